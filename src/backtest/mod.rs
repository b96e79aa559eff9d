//! The stages again, without their threads: on what a journal has of them.
//!
//! A stage is a pure function of what it takes, in order. [`RiskReplay`], [`GatewayReplay`] and the replay of a shard feed the
//! real stage what the journal says that it took, poll by poll, and hold everything that it then writes down against what
//! was written down live. What a shard sends and a gateway tells is held against what risk took from it. Where risk is told to follow, it takes the verdicts
//! from the journal instead, which is how a restart finds what happened. [`History`] follows the records of a whole
//! journal.

mod cycle;
mod gateway;
mod gateways;
mod history;
mod leaving;
mod risk;
mod sent;
mod shard;
mod shards;
mod start;

#[cfg(test)]
mod tests;

pub use cycle::Difference;
pub use gateway::GatewayReplay;
pub use history::{FirstDifference, History, StageSummary};
pub use leaving::Leaving;
pub use risk::RiskReplay;
pub use shards::{Stop, StopReason};
pub use start::{Blob, EngineStart, InstanceStart};
