//! The audit log: `audit.jsonl` in the data directory, a line for everything that somebody decided. Only ever appended to,
//! and on the disk before the engine goes on.

use super::data_dir::{DataDir, DataError};
use super::requests::now_ms;
use serde::{Deserialize, Serialize};

/// The file's name in the data directory.
pub const FILE: &str = "audit.jsonl";

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When, in ms since the epoch.
    pub at_ms: u64,
    /// What was decided.
    pub what: String,
    /// What came of it: `requested`, `approved`, `done`, `refused`, `expired`, `failed`, or of what the engine itself tells,
    /// nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// By whom, in the order of their signatures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What there is to add.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The number of the request, if it was one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request: String,
}

impl Entry {
    /// What the engine itself tells.
    #[must_use]
    pub fn of_engine(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), detail: detail.into(), ..Self::default() }
    }

    /// Has it on the disk, stamped with this instant.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn write(&self, dir: &DataDir) -> Result<(), DataError> {
        let stamped = Self { at_ms: now_ms(), ..self.clone() };
        // Text and numbers: there is nothing in it that JSON cannot say. JSON has no line ends within.
        dir.append(FILE, &serde_json::to_string(&stamped).unwrap_or_default())
    }
}

/// Every line about a request, oldest first.
#[must_use]
pub fn about(dir: &DataDir, request: &str) -> Vec<Entry> {
    // However long it has become.
    let text = std::fs::read_to_string(dir.file(FILE)).unwrap_or_default();
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    entries.filter(|entry| entry.request == request).collect()
}
