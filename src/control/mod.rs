//! The cold plane.

pub mod status;
pub mod summary;
pub mod view;
