//! The machine: lanes, stages, clock, threads.

pub mod clock;
pub mod lane;
pub mod stage;
