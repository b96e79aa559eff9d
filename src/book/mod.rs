//! Market state, owned by a shard: top of book, depth, bars.
//!
//! Pure and single-threaded: what comes in is applied, what is there can be read. Nothing here allocates after
//! construction.

pub mod bars;
pub mod depth;
pub mod top;

pub use bars::{Bar, BarSeries};
pub use depth::{BookSync, DepthBook, Level};
pub use top::TopOfBook;

#[cfg(test)]
pub(crate) mod recorded;
