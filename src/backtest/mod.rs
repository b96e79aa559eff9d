//! The stages again, without their threads: on what a journal has of them.
//!
//! A stage is a pure function of what it takes, in order. [`RiskReplay`] feeds the real stage what the journal says that it
//! took, poll by poll, and holds everything that it then writes down against what was written down live; where it is told to follow, it
//! takes the verdicts from there instead, which is how a restart finds what happened. [`History`]
//! follows the records of a whole journal.

mod history;
mod risk;

pub use history::{FirstDifference, History};
pub use risk::{Blob, Difference, RiskReplay, RiskStart};
