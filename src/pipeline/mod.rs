//! The machine: lanes, stages, clock, threads.

pub mod clock;
pub mod idle;
pub mod lane;
pub mod stage;
pub mod threads;
