//! The whole stage over a pipe, with a scripted venue at the other end.

mod orders;
mod rig;
mod session;
