//! The whole stage over a pipe, with a scripted venue at the other end.

mod limits;
mod mass;
mod orders;
mod replaces;
mod replays;
mod rig;
mod rounds;
mod session;
