//! The strategies that were compiled in, by name.

use super::{AnyStrategy, FieldError, Metadata, Setup, Strategy, schema};
use serde_json::Value;
use std::any::Any;
use std::sync::OnceLock;

type Build = fn(&(dyn Any + Send), &Setup) -> Result<Box<dyn AnyStrategy>, FieldError>;

/// Tells a strategy's file from every other, and from what it was before an edit. Not against somebody who means to
/// deceive.
pub type FileHash = [u8; 16];

/// One strategy file.
pub struct Entry {
    /// What it says of itself.
    pub metadata: Metadata,
    /// Its file, from the project's folder: `strategies/mean_reversion.rs`.
    pub file: &'static str,
    /// The hash of that file as it was compiled; zeros where the build script did not see it.
    pub file_hash: FileHash,
    schema: fn() -> Value,
    params: fn(&Value) -> Result<Box<dyn Any + Send>, FieldError>,
    build: Build,
}

impl Entry {
    /// The entry of a strategy in `file`. The build script makes one of each file.
    #[must_use]
    pub const fn of<S: Strategy>(file: &'static str) -> Self {
        Self {
            metadata: S::METADATA,
            file,
            file_hash: [0; 16],
            schema: schema::of::<S::Params>,
            params: |value| {
                let params = serde_json::from_value::<S::Params>(value.clone());
                params.map(|params| Box::new(params) as _).map_err(|error| FieldError::new("", error.to_string()))
            },
            build: |params, setup| match params.downcast_ref() {
                Some(params) => Ok(Box::new(S::new(params, setup)?)),
                None => Err(FieldError::new("", "parameters of another strategy")),
            },
        }
    }

    /// The same, of a file with this hash.
    #[must_use]
    pub const fn with_hash(mut self, file_hash: FileHash) -> Self {
        self.file_hash = file_hash;
        self
    }

    /// The JSON Schema of its parameters: draft 7, without references.
    #[must_use]
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// Checks parameters against the schema; `null` stands for all defaults.
    ///
    /// # Errors
    /// Every wrong field, with what is allowed.
    pub fn validate(&self, params: &Value) -> Result<(), Vec<FieldError>> {
        self.params(params).map(|_| ())
    }

    /// The typed parameters, for [`Shard::set_params`](super::runner::Shard::set_params).
    ///
    /// # Errors
    /// As [`Entry::validate`].
    pub fn params(&self, params: &Value) -> Result<Box<dyn Any + Send>, Vec<FieldError>> {
        let none = Value::Object(serde_json::Map::new());
        let params = if params.is_null() { &none } else { params };
        schema::validate(&self.schema(), params)?;
        (self.params)(params).map_err(|error| vec![error])
    }

    /// An instance.
    ///
    /// # Errors
    /// Every field that is out of its bounds, or the first that does not fit the setup.
    pub fn build(&self, params: &Value, setup: &Setup) -> Result<Box<dyn AnyStrategy>, Vec<FieldError>> {
        let params = self.params(params)?;
        (self.build)(params.as_ref(), setup).map_err(|error| vec![error])
    }
}

/// Every strategy, in order of file names.
#[must_use]
pub fn registry() -> &'static [Entry] {
    crate::strategies::REGISTRY
}

/// Strategies of a program that has this library and was not built with their files: tests, mostly.
static MORE: OnceLock<&[Entry]> = OnceLock::new();

/// Adds strategies to the catalogue that [`find`] looks in. Once, before a configuration is read; later calls change
/// nothing.
pub fn add(entries: &'static [Entry]) {
    MORE.get_or_init(|| entries);
}

/// The strategy of this kind, by any of its spellings: `mean_reversion`, `MEAN_REVERSION`, `MeanReversion`,
/// `MeanReversionStrategy`, `strategies/mean_reversion.rs`, `strategies.mean_reversion`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    let name = name.trim();
    let name = name.strip_suffix(".rs").unwrap_or(name);
    let name = name.rsplit(['/', '.']).next().unwrap_or(name);
    let wanted = plain(name);
    registry().iter().chain(MORE.get().copied().unwrap_or_default()).find(|entry| {
        let kind = plain(entry.metadata.kind);
        kind == wanted || wanted.strip_suffix("strategy") == Some(&kind)
    })
}

/// The name without case and underscores.
fn plain(name: &str) -> String {
    name.chars().filter(|&letter| letter != '_').map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[allow(dead_code, reason = "the build script's")]
    mod names {
        include!("names.rs");
    }

    #[test]
    fn every_file_is_an_entry_of_its_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/strategies");
        let files = std::fs::read_dir(folder).expect("the strategies").map(|file| file.expect("a file").file_name());
        let files: BTreeSet<_> = files.map(|name| format!("strategies/{}", name.to_string_lossy())).collect();
        assert_eq!(registry().iter().map(|entry| entry.file.to_owned()).collect::<BTreeSet<_>>(), files);
        for entry in registry() {
            assert_eq!(entry.file, format!("strategies/{}.rs", entry.metadata.kind));
        }
    }

    #[test]
    fn every_file_has_the_hash_of_its_text() {
        for entry in registry() {
            let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/").to_owned() + entry.file);
            assert_eq!(entry.file_hash, names::file_hash(&text.expect("the file")), "{}", entry.file);
        }
        // As published with the function: of nothing, and of "a".
        let hash = |text: &[u8]| u128::from_be_bytes(names::file_hash(text));
        assert_eq!(hash(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(hash(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn all_spellings_of_a_name_are_found() {
        for name in [
            "mean_reversion",
            "MEAN_REVERSION",
            "MeanReversion",
            "MeanReversionStrategy",
            "mean_reversion_strategy",
            "strategies/mean_reversion.rs",
            "strategies.mean_reversion",
            " mean_reversion ",
        ] {
            assert_eq!(find(name).map(|entry| entry.metadata.kind), Some("mean_reversion"), "{name}");
        }
        for name in ["", "mean", "reversion", "strategy", "mean reversion"] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn schemas_are_draft_7_and_checked_in_whole() {
        for entry in registry() {
            let schema = entry.schema();
            assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
            assert_eq!(schema["additionalProperties"], false, "{} takes unknown parameters", entry.metadata.kind);
            assert_eq!(schema::unknown_keywords(&schema), Vec::<String>::new(), "{}", entry.metadata.kind);
            let properties = schema["properties"].as_object().expect("parameters");
            for (name, property) in properties {
                assert!(property["description"].is_string(), "{}: {name} is not described", entry.metadata.kind);
                assert!(!property["default"].is_null(), "{}: {name} has no default", entry.metadata.kind);
            }
            assert_eq!(entry.validate(&Value::Null), Ok(()), "{}", entry.metadata.kind);
        }
    }

    #[test]
    fn wrong_parameters_are_all_named() {
        let entry = find("mean_reversion").expect("compiled in");
        let wrong = serde_json::json!({"length": 1, "width": "wide", "lenght": 20});
        let errors = entry.validate(&wrong).expect_err("three mistakes");
        let fields: BTreeSet<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, BTreeSet::from(["length", "lenght", "width"]));
    }
}
