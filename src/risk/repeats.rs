//! Entries in a row: how often a strategy went the same way without a person's doing.

use super::config::RiskConfig;
use super::core::Core;
use crate::types::{DenialReason, Latch, Notice, NoticeCode, Side, StrategyId};

/// Entries in a row in each direction, by strategy and instrument, and which strategies have come to their limit.
///
/// An entry is an order that adds to the position, or turns it over; it counts with its first fill. One in the other
/// direction begins a new row. A strategy that came to its limit stays so until a person resets it, over restarts too.
#[derive(Debug)]
pub(super) struct Repeats {
    /// By the place of the holding; buys and sells.
    rows: Vec<[u32; 2]>,
    /// Whose each row is.
    owners: Vec<StrategyId>,
    /// By strategy id.
    is_tripped: Vec<bool>,
}

impl Repeats {
    /// Goes on where an earlier run ended: each instrument of a strategy with the strategy's longest rows.
    pub(super) fn new(config: &RiskConfig) -> Self {
        let latched = |strategy: StrategyId| {
            config.latches.iter().rev().find_map(|latch| match latch {
                Latch::Strategy(latch) if latch.strategy == strategy => Some((latch.repeats, latch.is_repeat_tripped)),
                _ => None,
            })
        };
        let owners: Vec<StrategyId> = config.permissions.iter().map(|permission| permission.strategy).collect();
        let strategies = (0..config.shard_of_strategy.len()).filter_map(|index| u16::try_from(index).ok());
        Self {
            rows: owners.iter().map(|&owner| latched(owner).map_or([0; 2], |(rows, _)| rows)).collect(),
            owners,
            is_tripped: strategies
                .map(|id| latched(StrategyId(id)).is_some_and(|(_, is_tripped)| is_tripped))
                .collect(),
        }
    }

    /// Entries in a row on this side.
    pub(super) fn count(&self, place: u32, side: Side) -> u32 {
        self.rows.get(place as usize).and_then(|row| row.get(side.index())).copied().unwrap_or(0)
    }

    /// Whether the strategy came to its limit.
    pub(super) fn is_tripped(&self, strategy: StrategyId) -> bool {
        self.is_tripped.get(strategy.index()).copied().unwrap_or(false)
    }

    /// The longest rows of a strategy in any instrument: what outlives the process.
    pub(super) fn longest(&self, strategy: StrategyId) -> [u32; 2] {
        let of_strategy = self.rows.iter().zip(&self.owners).filter(|(_, owner)| **owner == strategy);
        of_strategy
            .fold([0; 2], |[buys, sells], ([more_buys, more_sells], _)| [buys.max(*more_buys), sells.max(*more_sells)])
    }

    /// Counts an entry; answers how many there are in a row with it.
    fn enter(&mut self, place: u32, side: Side) -> u32 {
        let Some(row) = self.rows.get_mut(place as usize) else { return 0 };
        let count = row.get(side.index()).copied().unwrap_or(0).saturating_add(1);
        *row = match side {
            Side::Buy => [count, 0],
            Side::Sell => [0, count],
        };
        count
    }

    /// Goes on where an earlier run ended in this very place.
    pub(super) fn restore(&mut self, place: u32, counts: [u32; 2]) {
        if let Some(row) = self.rows.get_mut(place as usize) {
            *row = counts;
        }
    }

    /// The strategy came to its limit in an earlier run.
    pub(super) fn trip(&mut self, strategy: StrategyId) {
        if let Some(is_tripped) = self.is_tripped.get_mut(strategy.index()) {
            *is_tripped = true;
        }
    }

    /// A person looked.
    pub(super) fn reset(&mut self, strategy: StrategyId) {
        let is_meant = |owner: StrategyId| strategy == StrategyId::NONE || owner == strategy;
        for (row, _) in self.rows.iter_mut().zip(&self.owners).filter(|(_, owner)| is_meant(**owner)) {
            *row = [0; 2];
        }
        for (index, is_tripped) in self.is_tripped.iter_mut().enumerate() {
            *is_tripped &= !is_meant(u16::try_from(index).map_or(StrategyId::NONE, StrategyId));
        }
    }
}

impl Core {
    /// A fill of this order is about to be booked: the first of an order that adds to the position is an entry.
    pub(super) fn count_entry(&mut self, slot: u32) {
        let Some(record) = self.orders.at(slot) else { return };
        let (order, place) = (record.order, record.holding);
        // An order that took another's place goes on with it.
        let replaced_filled = self.orders.get(order.replaces).is_some_and(|replaced| replaced.filled.0 > 0);
        let Some(holding) = self.books.holding(place) else { return };
        let held = i128::from(order.side.sign()).saturating_neg().saturating_mul(holding.exposure.booked());
        let is_entry = i128::from(order.quantity.0) > held;
        if record.filled.0 > 0 || replaced_filled || !is_entry || self.strategies.get(order.strategy.index()).is_none()
        {
            return;
        }
        let count = self.repeats.enter(place, order.side);
        let limit = self.limits.strategy(order.strategy).max_repeat_executions;
        if count < limit || self.repeats.is_tripped(order.strategy) {
            return;
        }
        if let Some(is_tripped) = self.repeats.is_tripped.get_mut(order.strategy.index()) {
            *is_tripped = true;
        }
        let notice = Notice::new(NoticeCode::BreakerTripped, self.now).order(order.client_order_id);
        let notice = notice.instrument(order.instrument).values(i128::from(limit), i128::from(count));
        self.notify(Notice { reason: DenialReason::RepeatExecution, ..notice });
        self.send_latch(order.strategy);
    }
}
