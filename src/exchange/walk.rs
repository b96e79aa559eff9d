//! A market by chance: prices that walk, in place of recorded ones. Cheap to make, so that thousands of exchanges can be
//! run one after the other, and as true to form as a recording: depth updates follow each other without a gap, quotes and
//! trades agree with the book.

use super::book::PublicBook;
use super::core::Core;
use super::random::Random;
use super::recording::{Level, RecordedTrade};
use super::replay::Due;
use crate::matching::UNIT;
use crate::types::Side;

/// Levels on each side of the book.
const LEVELS: i64 = 8;
/// Steps made at once, before requests are looked at.
const STEPS_MAX: usize = 256;

/// How the market walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkConfig {
    /// Decides it all.
    pub seed: u64,
    /// Where every symbol starts, at 8 decimal places.
    pub price: i64,
    /// How far it goes at most in one step, in ticks.
    pub step_ticks: i64,
    /// How often it makes a step.
    pub interval_ns: u64,
}

/// The market of every symbol.
#[derive(Debug)]
pub(super) struct Walk {
    config: WalkConfig,
    random: Random,
    /// Each symbol's middle, in ticks.
    middles: Vec<i64>,
    next_ns: u64,
    next_trade: u64,
}

impl Walk {
    pub(super) fn new(config: WalkConfig, symbols: usize, now_ns: u64) -> Self {
        let random = Random::new(config.seed);
        Self { config, random, middles: vec![0; symbols], next_ns: now_ns, next_trade: 1 }
    }
}

impl Core {
    /// The first book of every symbol.
    pub(super) fn open_walk(&mut self, now_ns: u64) {
        let Some(walk) = &mut self.walk else { return };
        for (middle, symbol) in walk.middles.iter_mut().zip(&self.symbols) {
            *middle = (walk.config.price / symbol.filters.tick).max(4 * LEVELS);
        }
        self.step(now_ns);
    }

    /// Makes the steps that are due; tells when to come back.
    pub(super) fn advance_walk(&mut self, now_ns: u64) -> Due {
        for _ in 0..STEPS_MAX {
            let Some(walk) = &mut self.walk else { break };
            let at_ns = walk.next_ns;
            if at_ns > now_ns {
                return Due::At(at_ns);
            }
            walk.next_ns = at_ns + walk.config.interval_ns.max(1);
            self.step(at_ns);
        }
        Due::Now
    }

    /// One step of every symbol: a new book, a quote, and most often a trade.
    fn step(&mut self, at_ns: u64) {
        let at_ms = at_ns / 1_000_000;
        for index in 0..self.symbols.len() {
            let Some(walk) = &mut self.walk else { return };
            let (tick, lot) = (self.symbols[index].filters.tick, self.symbols[index].filters.lot);
            let Some(middle) = walk.middles.get_mut(index) else { return };
            *middle = (*middle + walk.random.between(-walk.config.step_ticks, walk.config.step_ticks)).max(4 * LEVELS);
            let spread = walk.random.between(1, 3);
            let (best_bid, best_ask) = (*middle, *middle + spread);
            // A level is worth about a hundred to a thousand of the quote asset.
            let unit =
                (100 * i128::from(UNIT) * i128::from(UNIT) / i128::from((best_ask * tick).max(1))).max(lot.into());
            let unit = i64::try_from(unit).unwrap_or(lot);
            let mut level = |ticks: i64| -> Level {
                let quantity = unit.saturating_mul(walk.random.between(1, 10));
                (ticks * tick, quantity - quantity % lot)
            };
            let bids: Vec<Level> = (0..LEVELS).map(|depth| level(best_bid - depth)).collect();
            let asks: Vec<Level> = (0..LEVELS).map(|depth| level(best_ask + depth)).collect();
            let trade = (walk.random.below(4) > 0).then(|| {
                let aggressor = if walk.random.below(2) == 0 { Side::Buy } else { Side::Sell };
                let price = if aggressor == Side::Buy { best_ask } else { best_bid } * tick;
                let quantity = unit.saturating_mul(walk.random.between(1, 6));
                let id = walk.next_trade;
                walk.next_trade += 1;
                let quantity = quantity - quantity % lot;
                RecordedTrade {
                    id,
                    event_ms: at_ms,
                    trade_ms: at_ms,
                    price,
                    quantity,
                    aggressor,
                    aggregate: Some((1, quantity)),
                }
            });
            let newest = self.symbols[index].last_update_id;
            let update_id = self.jump(index, &PublicBook::new(&bids, &asks), newest, at_ms.max(1));
            let top = |levels: &[Level]| levels.first().copied().unwrap_or_default();
            self.quote(index, update_id, top(&bids), top(&asks));
            if let Some(trade) = trade {
                self.trade(index, &trade);
            }
            self.summary.market_events += 1;
        }
    }
}
