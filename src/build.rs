//! Build script: finds the strategies, and writes their modules and registry.
//!
//! One file in `strategies/` is one strategy: `mean_reversion.rs` holds the type `MeanReversion`. Adding and removing
//! a file takes effect with the next build.

#![allow(clippy::disallowed_macros, reason = "cold: the build")]

include!("strategy/names.rs");

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=strategies");
    if let Err(message) = generate() {
        println!("cargo::error={message}");
    }
}

fn generate() -> Result<(), String> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(|error| error.to_string())?;
    let folder = Path::new(&root).join("strategies");
    let names = strategy_names(&folder)?;
    let mut modules = String::new();
    let mut entries = String::new();
    for name in &names {
        let path = folder.join(format!("{name}.rs"));
        println!("cargo::rerun-if-changed={}", path.display());
        let type_name = camel_case(name);
        let hash = file_hash(&fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        let written = writeln!(modules, "#[forbid(unsafe_code)]\n#[path = {path:?}]\npub mod {name};").and_then(|()| {
            writeln!(
                entries,
                "    crate::strategy::registry::Entry::of::<{name}::{type_name}>(\"strategies/{name}.rs\").with_hash({hash:?}),"
            )
        });
        written.map_err(|error| error.to_string())?;
    }
    let table =
        "/// Every strategy, in order of file names.\npub static REGISTRY: &[crate::strategy::registry::Entry] = &[\n";
    let output = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    let text = format!("{modules}\n{table}{entries}];\n");
    fs::write(Path::new(&output).join("strategies.rs"), text).map_err(|error| error.to_string())
}

/// The names of the files in `folder`, without `.rs`, sorted. Other files and folders are left alone.
fn strategy_names(folder: &Path) -> Result<Vec<String>, String> {
    let files = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names = Vec::new();
    for file in files {
        let path = file.map_err(|error| error.to_string())?.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if !is_snake_case(name) {
            let shown = path.display();
            return Err(format!("{shown}: a strategy's file is named in snake_case, like mean_reversion.rs"));
        }
        names.push(name.to_owned());
    }
    names.sort();
    Ok(names)
}
