//! The kill switch: a generation over a table of scopes.

use crate::types::{InstrumentId, StrategyId, VenueId};
use crossbeam::utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KillScope {
    /// Everything.
    Engine,
    /// Everything at a venue.
    Venue(VenueId),
    /// Everything of the account at a venue.
    Account(VenueId),
    /// An instrument, whoever trades it.
    Instrument(InstrumentId),
    /// A strategy, in all its instruments.
    Strategy(StrategyId),
}

const VENUE_WORDS: usize = 4;
const INSTRUMENT_WORDS: usize = 16;
const STRATEGY_WORDS: usize = 64;
const WORDS: usize = 1 + 2 * VENUE_WORDS + INSTRUMENT_WORDS + STRATEGY_WORDS;

impl KillScope {
    /// The word and the bit of a scope. One that the table has no bit for (a strategy or an instrument beyond all that a
    /// configuration may have) is the engine's: stopping too much is safe, stopping nothing is not.
    const fn place(self) -> (usize, u64) {
        const VENUES: usize = 1;
        const ACCOUNTS: usize = VENUES + VENUE_WORDS;
        const INSTRUMENTS: usize = ACCOUNTS + VENUE_WORDS;
        const STRATEGIES: usize = INSTRUMENTS + INSTRUMENT_WORDS;
        let (first, words, index) = match self {
            Self::Engine => (0, 1, 0),
            Self::Venue(VenueId(venue)) => (VENUES, VENUE_WORDS, venue as usize),
            Self::Account(VenueId(venue)) => (ACCOUNTS, VENUE_WORDS, venue as usize),
            Self::Instrument(instrument) => (INSTRUMENTS, INSTRUMENT_WORDS, instrument.index()),
            Self::Strategy(strategy) => (STRATEGIES, STRATEGY_WORDS, strategy.index()),
        };
        if index / 64 >= words { (0, 1) } else { (first + index / 64, 1 << (index % 64)) }
    }
}

#[derive(Debug)]
struct Shared {
    generation: CachePadded<AtomicU64>,
    words: [AtomicU64; WORDS],
}

/// The switch, shared by whoever may kill (signals, the kill file, the command line, a panic, the API) and by risk, which
/// reads the generation each cycle and the table when it has changed.
#[derive(Clone, Debug)]
pub struct KillSwitch(Arc<Shared>);

/// What risk read of the table last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kills {
    generation: u64,
    words: [u64; WORDS],
}

impl Default for KillSwitch {
    fn default() -> Self {
        Self::new()
    }
}

impl KillSwitch {
    /// A switch that nobody has set.
    #[must_use]
    pub fn new() -> Self {
        let words = [const { AtomicU64::new(0) }; WORDS];
        Self(Arc::new(Shared { generation: CachePadded::new(AtomicU64::new(0)), words }))
    }

    /// Kills a scope. Two atomic operations: it works while every other thread hangs.
    pub fn kill(&self, scope: KillScope) {
        let (word, bit) = scope.place();
        if let Some(word) = self.0.words.get(word) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        // Whoever sees the new generation sees the bit.
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// Releases a scope. Whether somebody may is for the caller to have proven; a wider scope that is killed stays so.
    pub fn release(&self, scope: KillScope) {
        let (word, bit) = scope.place();
        if let Some(word) = self.0.words.get(word) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// Replay: makes the table what it was when risk read it, word by word, and its generation last.
    pub fn restore(&self, word: u8, bits: u64) {
        if let Some(word) = self.0.words.get(usize::from(word)) {
            word.store(bits, Ordering::Relaxed);
        }
    }

    /// Replay: the generation that risk read.
    pub fn restore_generation(&self, generation: u64) {
        self.0.generation.store(generation, Ordering::Release);
    }

    /// A number that changes with every kill and release.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// What is killed now. A kill that happens meanwhile may or may not be in it, and changes the generation again.
    #[must_use]
    pub fn read(&self) -> Kills {
        let generation = self.generation();
        let mut words = [0; WORDS];
        for (copy, word) in words.iter_mut().zip(&self.0.words) {
            *copy = word.load(Ordering::Relaxed);
        }
        Kills { generation, words }
    }
}

impl Kills {
    /// Nothing killed.
    pub const NONE: Self = Self { generation: 0, words: [0; WORDS] };

    /// The generation that was read.
    #[inline]
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The words that are not as they were in `before`, with their numbers.
    pub(super) fn changes<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (u8, u64)> + 'a {
        let words = self.words.iter().zip(&before.words).zip(0..);
        words.filter(|((now, before), _)| now != before).map(|((now, _), word)| (word, *now))
    }

    /// Whether this very scope is killed; a wider one may be.
    #[inline]
    #[must_use]
    pub fn has(&self, scope: KillScope) -> bool {
        let (word, bit) = scope.place();
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Whether everything in an instrument of this venue is killed, whoever trades it.
    #[must_use]
    pub fn cover(&self, instrument: InstrumentId, venue: VenueId) -> bool {
        self.has(KillScope::Engine)
            || self.has(KillScope::Venue(venue))
            || self.has(KillScope::Account(venue))
            || self.has(KillScope::Instrument(instrument))
    }

    /// Whether anything is killed.
    #[must_use]
    pub fn any(&self) -> bool {
        self.words.iter().any(|word| *word != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_is_killed_and_released_alone() {
        let scopes = [
            KillScope::Engine,
            KillScope::Venue(VenueId(255)),
            KillScope::Account(VenueId(255)),
            KillScope::Account(VenueId(0)),
            KillScope::Instrument(InstrumentId(1_023)),
            KillScope::Instrument(InstrumentId(0)),
            KillScope::Strategy(StrategyId::MAX),
            KillScope::Strategy(StrategyId(64)),
        ];
        let switch = KillSwitch::new();
        assert_eq!(switch.read(), Kills::NONE);
        for killed in scopes {
            let before = switch.generation();
            switch.kill(killed);
            assert_ne!(switch.generation(), before);
            for scope in scopes {
                assert_eq!(switch.read().has(scope), scope == killed, "{scope:?} while {killed:?} is killed");
            }
            switch.release(killed);
            assert!(!switch.read().any());
            assert!(switch.generation() > before + 1);
        }
    }

    #[test]
    fn a_scope_without_a_bit_kills_everything() {
        for scope in [KillScope::Instrument(InstrumentId(1_024)), KillScope::Strategy(StrategyId::NONE)] {
            let switch = KillSwitch::new();
            switch.kill(scope);
            assert!(switch.read().has(KillScope::Engine), "{scope:?}");
        }
    }
}
