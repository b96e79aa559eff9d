//! The cold plane: it does for the hot plane what may wait, and shows people what happens.

pub mod assemble;
pub mod client;
pub mod plane;
pub mod status;
pub mod summary;
pub mod view;
