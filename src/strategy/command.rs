//! `gannet strategies`: what is compiled in, and a new one.

use super::registry::{find, registry};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Lists strategies, shows their parameters, begins a new one.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  gannet strategies list                     the strategies, one a line
  gannet strategies schema market_maker      its parameters with their bounds, as a JSON Schema
  gannet strategies new trend_follower       begin strategies/trend_follower.rs; the next build compiles it in")]
pub struct StrategiesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the strategies that are compiled in
    List {
        /// Prints one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Prints the JSON Schema of a strategy's parameters
    Schema {
        /// The strategy, as `mean_reversion`
        name: String,
    },
    /// Writes strategies/NAME.rs to begin with
    New {
        /// The new strategy's name, in snake_case
        name: String,
        /// The project's folder
        #[arg(long, default_value = ".")]
        project: PathBuf,
    },
}

/// Runs `gannet strategies …`, writing to `output`.
///
/// # Errors
/// What was wrong, and what to do.
pub fn run(args: &StrategiesArgs, output: &mut impl Write) -> Result<(), String> {
    let text = match &args.action {
        Action::List { json: true } => pretty(&Value::Array(registry().iter().map(describe).collect())),
        Action::List { json: false } => list(),
        Action::Schema { name } => {
            let known = || registry().iter().map(|entry| entry.metadata.kind).collect::<Vec<_>>().join(", ");
            let entry = find(name).ok_or_else(|| format!("no strategy is named {name}; there are: {}", known()))?;
            pretty(&entry.schema())
        }
        Action::New { name, project } => {
            let path = write_new(name, project)?;
            format!(
                "wrote {}\nnext: edit it, then `cargo test {name}`, then `gannet strategies list`\n",
                path.display()
            )
        }
    };
    output.write_all(text.as_bytes()).map_err(|error| format!("the output could not be written: {error}"))
}

fn list() -> String {
    let mut text = String::new();
    for entry in registry() {
        let metadata = &entry.metadata;
        text.push_str(&format!("{:<20} {:<8} {}\n", metadata.kind, metadata.version, metadata.description));
    }
    text
}

fn describe(entry: &super::registry::Entry) -> Value {
    let metadata = &entry.metadata;
    let compatibility = &metadata.compatibility;
    json!({
        "kind": metadata.kind,
        "display_name": metadata.display_name,
        "version": metadata.version,
        "author": metadata.author,
        "description": metadata.description,
        "file": entry.file,
        "compatibility": {
            "venues": compatibility.venues,
            "market_types": compatibility.market_types.iter().map(|market| market.name()).collect::<Vec<_>>(),
            "symbol_patterns": compatibility.symbol_patterns,
            "capital_min": compatibility.capital_min,
        },
        "schema": entry.schema(),
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The file that `new` writes: compiled and tested as it stands, under a name of its own.
const TEMPLATE: &str = include_str!("template.rs");

fn write_new(name: &str, project: &Path) -> Result<PathBuf, String> {
    let text = template_for(name)?;
    let folder = project.join("strategies");
    if !folder.is_dir() {
        return Err(format!("there is no folder {}: name the project's folder with --project", folder.display()));
    }
    let path = folder.join(format!("{name}.rs"));
    // `create_new` refuses, in one step, to write over a file that is there.
    let file = std::fs::File::options().write(true).create_new(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!("{} is there already; choose another name", path.display()),
        _ => format!("{}: {error}", path.display()),
    })?;
    Ok(path)
}

/// The template under another name.
fn template_for(name: &str) -> Result<String, String> {
    if !names::is_snake_case(name) {
        return Err(format!(
            "{name:?} cannot name a strategy: words of a-z and 0-9 joined by _, beginning with a letter, and no word \
             of the language; for example trend_follower"
        ));
    }
    let type_name = names::camel_case(name);
    let title = name.replace('_', " ");
    let title = title.get(..1).unwrap_or_default().to_uppercase() + title.get(1..).unwrap_or_default();
    let renamed = TEMPLATE.replace("StrategyTemplate", &type_name).replace("strategy_template", name);
    Ok(renamed.replace("Strategy template", &title))
}

/// What names a strategy's file and type: the same text that the build script uses.
#[allow(dead_code, reason = "not all of it is for both")]
mod names {
    include!("names.rs");
}

#[cfg(test)]
#[path = "template.rs"]
mod template;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::registry::Entry;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: StrategiesArgs,
    }

    fn output(line: &[&str]) -> Result<String, String> {
        let line = Line::try_parse_from(["strategies"].iter().chain(line)).map_err(|error| error.to_string())?;
        let mut output = Vec::new();
        run(&line.args, &mut output)?;
        Ok(String::from_utf8(output).expect("text"))
    }

    #[test]
    fn lists_and_schemas_are_of_the_registry() {
        let listed: Value = serde_json::from_str(&output(&["list", "--json"]).expect("a list")).expect("JSON");
        let kinds: Vec<_> = listed.as_array().expect("a list").iter().map(|entry| entry["kind"].clone()).collect();
        assert!(kinds.contains(&json!("market_maker")) && kinds.contains(&json!("mean_reversion")));
        assert!(output(&["list"]).expect("a list").contains("mean_reversion "));
        let schema: Value = serde_json::from_str(&output(&["schema", "MeanReversion"]).expect("one")).expect("JSON");
        assert_eq!(schema["properties"]["length"]["minimum"], 2);
        let error = output(&["schema", "nothing"]).expect_err("unknown");
        assert!(error.contains("nothing") && error.contains("market_maker"), "{error}");
    }

    #[test]
    fn a_new_strategy_is_the_template_renamed() {
        let project = tempfile::tempdir().expect("a folder");
        let path = project.path().to_str().expect("text");
        let new = |name: &str| output(&["new", name, "--project", path]);
        assert!(new("trend_follower_2").expect_err("no folder").contains("--project"));
        std::fs::create_dir(project.path().join("strategies")).expect("a folder");
        new("trend_follower_2").expect("written");
        let file = project.path().join("strategies/trend_follower_2.rs");
        let text = std::fs::read_to_string(&file).expect("the file");
        assert!(text.contains("pub struct TrendFollower2 {") && text.contains("kind: \"trend_follower_2\""));
        assert!(text.contains("display_name: \"Trend follower 2\""));
        // But for the name it is what is compiled and tested below.
        let back = text.replace("TrendFollower2", "StrategyTemplate").replace("trend_follower_2", "strategy_template");
        assert_eq!(back.replace("Trend follower 2", "Strategy template"), TEMPLATE);
        std::fs::write(&file, "mine").expect("written");
        assert!(new("trend_follower_2").expect_err("refused").contains("already"));
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), "mine");
    }

    #[test]
    fn bad_names_are_refused() {
        let project = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(project.path().join("strategies")).expect("a folder");
        let path = project.path().to_str().expect("text");
        for name in ["", "Trend", "trend-follower", "2x", "_a", "a_", "a__b", "a.rs", "../a", "loop", "é"] {
            let error = output(&["new", name, "--project", path]).expect_err(name);
            assert!(error.contains("cannot name a strategy"), "{error}");
        }
        assert_eq!(std::fs::read_dir(project.path().join("strategies")).expect("a folder").count(), 0);
    }

    #[test]
    fn the_template_is_a_whole_strategy() {
        let entry = Entry::of::<template::StrategyTemplate>("strategies/strategy_template.rs");
        assert_eq!(entry.validate(&Value::Null), Ok(()));
        assert_eq!(crate::strategy::schema::unknown_keywords(&entry.schema()), Vec::<String>::new());
    }
}
