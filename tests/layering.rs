//! Who may import whom: the layering of the architecture, read from the sources.

#![allow(
    clippy::disallowed_macros,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module and what of the crate it may name. A path in the list allows everything below it.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("venue", &["types"]),
    ("book", &["types"]),
    ("metrics", &["types"]),
    ("portfolio", &["types"]),
    ("matching", &["types"]),
    ("pipeline/lane", &["types", "metrics"]),
    ("pipeline/stage", &["types", "metrics"]),
    ("pipeline/tape", &["types"]),
    ("pipeline/tap", &["types", "pipeline::lane"]),
    ("pipeline/outlet", &["types", "pipeline::lane", "pipeline::tap"]),
    ("pipeline/digest", &[]),
    ("pipeline/order_page", &["types", "pipeline::heartbeat"]),
    ("pipeline/clock", &["types"]),
    ("pipeline/heartbeat", &["types"]),
    ("pipeline/idle", &["types"]),
    ("pipeline/threads", &["types", "pipeline"]),
    ("feed", &["types", "venue", "metrics", "pipeline::lane", "pipeline::stage", "pipeline::clock"]),
    (
        "strategy",
        &[
            "types",
            "book",
            "portfolio",
            "metrics",
            "pipeline::lane",
            "pipeline::stage",
            "pipeline::clock",
            "pipeline::heartbeat",
            "pipeline::tap",
            "pipeline::outlet",
            "pipeline::digest",
            "strategies",
        ],
    ),
    (
        "risk",
        &[
            "types",
            "portfolio",
            "metrics",
            "pipeline::lane",
            "pipeline::stage",
            "pipeline::tap",
            "pipeline::outlet",
            "pipeline::digest",
            "pipeline::order_page",
        ],
    ),
    (
        "gateway",
        &[
            "types",
            "venue",
            "risk::Approved",
            "metrics",
            "pipeline::lane",
            "pipeline::stage",
            "pipeline::clock",
            "pipeline::tap",
            "pipeline::outlet",
            "pipeline::digest",
        ],
    ),
    ("journal", &["types", "pipeline::lane", "pipeline::tap"]),
    ("exchange", &["types", "book", "venue", "matching", "portfolio"]),
];

/// Crates that only cold modules may name.
const COLD_CRATES: &[&str] =
    &["tokio", "sqlx", "tracing", "rust_decimal", "reqwest", "axum", "clap", "ratatui", "toml"];

/// Hot modules, and the one crate each of them alone may name.
const HOT: &[&str] =
    &["types", "feed", "book", "strategy", "risk", "gateway", "metrics", "portfolio", "pipeline", "venue"];

/// Cold files inside hot modules, each with the reason.
const COLD_FILES: &[(&str, &str)] =
    &[("strategy/command.rs", "a subcommand"), ("pipeline/mod.rs", "builds the machine, once")];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file but those that are tests alone (`#[cfg(test)] mod name;`), which may import anything.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    rust_files(&source(), &mut files);
    let mut tests = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("a source file");
        for (start, marker) in text.match_indices("#[cfg(test)]\nmod ") {
            let rest = &text[start + marker.len()..];
            let Some(end) = rest.find([';', '{']).filter(|&end| rest[end..].starts_with(';')) else { continue };
            let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
                Some("mod" | "lib") => file.with_file_name(""),
                _ => file.with_extension(""),
            };
            tests.push(folder.join(rest[..end].trim()));
        }
    }
    files.retain(|file| !tests.iter().any(|test| file.with_extension("") == *test || file.starts_with(test)));
    files
}

/// The file's code without comments and without its tests, which may import anything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every `crate::a::b` path that a source names, groups in braces opened one level.
fn crate_paths(code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (start, _) in code.match_indices("crate::").chain(code.match_indices("gannet::")) {
        if code[..start].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$') {
            continue;
        }
        let rest = &code[start..];
        let rest = &rest[rest.find("::").expect("matched") + 2..];
        if let Some(group) = rest.strip_prefix('{') {
            for item in group[..group.find('}').unwrap_or(group.len())].split(',') {
                paths.insert(item.trim().trim_end_matches("::self").to_owned());
            }
            continue;
        }
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches(':').to_owned();
        match rest[end..].strip_prefix('{') {
            Some(group) => {
                for item in group[..group.find('}').unwrap_or(group.len())].split(',') {
                    paths.insert(format!("{path}::{}", item.trim()));
                }
            }
            None => {
                paths.insert(path);
            }
        }
    }
    paths.into_iter().filter(|path| !path.is_empty()).collect()
}

fn module_of(file: &Path) -> String {
    file.strip_prefix(source()).expect("below src").with_extension("").to_string_lossy().replace('\\', "/")
}

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let mut wrong = Vec::new();
    let mut judged = 0;
    for file in &sources() {
        let module = module_of(file);
        let rule = MAY_IMPORT.iter().find(|(name, _)| module == *name || module.starts_with(&format!("{name}/")));
        let Some((name, allowed)) = rule else { continue };
        judged += 1;
        let own = name.replace('/', "::");
        for path in crate_paths(&code(file)) {
            let is_within = |module: &str| path == module || path.starts_with(&format!("{module}::"));
            if !is_within(&own) && !allowed.iter().any(|module| is_within(module)) {
                wrong
                    .push(format!("{} names crate::{path}", file.strip_prefix(source()).expect("below src").display()));
            }
        }
    }
    assert!(judged > 30, "only {judged} files were judged: the test reads the wrong folder");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn strategies_import_only_what_strategies_may() {
    let mut files = Vec::new();
    rust_files(&source().with_file_name("strategies"), &mut files);
    assert!(!files.is_empty());
    for file in &files {
        for path in crate_paths(&code(file)) {
            let first = path.split("::").next().expect("a first part");
            assert!(["types", "book", "strategy"].contains(&first), "{} names {path}", file.display());
        }
    }
}

#[test]
fn hot_modules_name_no_cold_crate_and_only_the_lane_knows_the_ring() {
    let mut wrong = Vec::new();
    for file in &sources() {
        let module = module_of(file);
        let code = code(file);
        let names = |name: &str| {
            let path = format!("{name}::");
            code.match_indices(&path).any(|(start, _)| {
                !code[..start].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
            })
        };
        let place = file.strip_prefix(source()).expect("below src").to_string_lossy().into_owned();
        if names("disruptor") && module != "pipeline/lane" {
            wrong.push(format!("{place} names disruptor"));
        }
        let is_hot = HOT.iter().any(|hot| module == *hot || module.starts_with(&format!("{hot}/")));
        if is_hot && !COLD_FILES.iter().any(|(cold, _)| place == *cold) {
            wrong.extend(COLD_CRATES.iter().filter(|name| names(name)).map(|name| format!("{place} names {name}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_risk_makes_an_approved_order() {
    for file in sources() {
        let module = module_of(&file);
        if !module.starts_with("risk/") && module != "risk" {
            assert!(!code(&file).contains("Approved::new"), "{} makes an Approved", file.display());
        }
    }
}

#[test]
fn unsafe_code_stands_where_two_processes_share_memory_and_nowhere_else() {
    for file in sources() {
        let (code, module) = (code(&file), module_of(&file));
        // The module's own permission, the page of heartbeats, the words of the order page.
        let count = code.matches("unsafe {").count() + code.matches("allow(unsafe_code").count();
        assert_eq!(count, if module == "pipeline/heartbeat" { 3 } else { 0 }, "{}", file.display());
    }
}
