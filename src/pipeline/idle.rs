//! What a hot thread does when none of its stages had work.

use std::time::Duration;

/// How a thread waits. From lowest latency to lowest cost: `spin`, `spin-hint`, `yield`, `park`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdleStrategy {
    /// Polls again at once. For a pinned thread on a core of its own.
    Spin,
    /// Polls again after the processor's pause instruction: a sibling hardware thread gains.
    SpinHint,
    /// Spins for some thousand empty polls, then offers the core to others after each. The default, as it is the only
    /// one that is neither slow nor harmful where cores are shared.
    #[default]
    Yield,
    /// As `yield`, and after some hundred of those sleeps for 50 µs at a time. For laptops and tests.
    Park,
}

/// Counts empty polls of one thread and waits accordingly.
#[derive(Debug)]
pub struct Idle {
    strategy: IdleStrategy,
    empty_polls: u32,
}

impl Idle {
    /// Empty polls before a thread gives its core away: some tens of microseconds of four stages.
    const SPINS: u32 = 2_000;
    /// Yields before a thread parks.
    const YIELDS: u32 = 200;
    /// How long a parked thread sleeps.
    const PARK: Duration = Duration::from_micros(50);

    /// Waits as `strategy` says.
    #[must_use]
    pub const fn new(strategy: IdleStrategy) -> Self {
        Self { strategy, empty_polls: 0 }
    }

    /// To be called after each cycle with the work it did.
    #[inline]
    pub fn after(&mut self, work_done: usize) {
        if work_done > 0 {
            self.empty_polls = 0;
            return;
        }
        self.empty_polls = self.empty_polls.saturating_add(1);
        match self.strategy {
            IdleStrategy::Spin => {}
            IdleStrategy::SpinHint => std::hint::spin_loop(),
            IdleStrategy::Yield if self.empty_polls > Self::SPINS => std::thread::yield_now(),
            IdleStrategy::Park if self.empty_polls > Self::SPINS + Self::YIELDS => {
                std::thread::park_timeout(Self::PARK)
            }
            IdleStrategy::Park if self.empty_polls > Self::SPINS => std::thread::yield_now(),
            IdleStrategy::Yield | IdleStrategy::Park => std::hint::spin_loop(),
        }
    }
}
