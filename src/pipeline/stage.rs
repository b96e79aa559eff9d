//! A stage: what a hot thread does, in one method.

use crate::types::Timestamp;

/// A part of the hot plane: feed, shard, risk, gateway.
///
/// A stage owns no thread, draws no random number and knows no other stage. The same stages run on pinned threads in
/// production and on one thread under a virtual clock in simulation.
pub trait Stage: Send {
    /// Does what work there is, up to the limits of a cycle, and answers how much that was; zero means idle.
    ///
    /// `now` is the loop's clock, read just before; a stage sees no other but at the network's edge.
    fn poll(&mut self, now: Timestamp) -> usize;

    /// Its name in thread names and reports.
    fn name(&self) -> &'static str;
}
