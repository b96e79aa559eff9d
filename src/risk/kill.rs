//! The kill word: one atomic number that stops all trading.

use crossbeam::utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A count of kills, shared by whoever may kill (signals, later the file, the command line and the API) and by risk,
/// which reads it each cycle. Any value that risk has not seen yet halts; nothing but a restart takes that back.
///
/// A count, not a flag, so that each kill is seen as one, whoever else killed before.
#[derive(Clone, Debug, Default)]
pub struct KillWord(Arc<CachePadded<AtomicU64>>);

impl KillWord {
    /// A word that nobody has set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Kills. One atomic addition: safe in a signal handler, and it works while every other thread hangs.
    pub fn set(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// How often it was set; zero means never.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
