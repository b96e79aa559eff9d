//! The machine.
pub mod clock;
pub mod idle;
pub mod lane;
pub mod stage;
pub mod threads;
