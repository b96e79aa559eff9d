//! What must outlive the process: told to the cold plane, and taken in again at the start.

use super::breakers::{Rejects, StrategyBreakers};
use super::core::Core;
use super::executions::Owner;
use crate::types::{InstrumentId, Latch, StrategyId, StrategyLatch, Timestamp, VenueId};

/// The shortest time between two reports of one latch, unless something trips: 50 ms.
const INTERVAL_NS: u64 = 50_000_000;

/// What changed since it was told. A lane without room loses nothing: the newest state goes out the next time.
#[derive(Debug)]
pub(super) struct Latches {
    is_strategy_due: Vec<bool>,
    /// The newest execution by instrument, and whether it is to be told.
    executions: Vec<(u64, bool)>,
    is_account_due: Vec<bool>,
    is_any_due: bool,
    sent_ns: Timestamp,
}

impl Latches {
    pub(super) fn new(strategies: usize, instruments: usize, accounts: usize) -> Self {
        Self {
            is_strategy_due: vec![false; strategies],
            executions: vec![(0, false); instruments],
            is_account_due: vec![false; accounts],
            is_any_due: false,
            sent_ns: Timestamp::UNKNOWN,
        }
    }

    /// The newest execution that was booked in an instrument; zero for none.
    pub(super) fn newest(&self, instrument: InstrumentId) -> u64 {
        self.executions.get(instrument.index()).map_or(0, |(newest, _)| *newest)
    }

    /// An execution was booked by an earlier run, which is for others to remember.
    pub(super) fn restore_newest(&mut self, instrument: InstrumentId, execution_id: u64) {
        if let Some((newest, _)) = self.executions.get_mut(instrument.index()) {
            *newest = (*newest).max(execution_id);
        }
    }

    /// An execution was booked.
    pub(super) fn booked(&mut self, instrument: InstrumentId, execution_id: u64) {
        if let Some((newest, is_due)) = self.executions.get_mut(instrument.index())
            && execution_id > *newest
        {
            (*newest, *is_due) = (execution_id, true);
            self.is_any_due = true;
        }
    }
}

impl Core {
    /// Takes in what an earlier run left behind.
    pub(super) fn restore_latches(&mut self, latches: &[Latch]) {
        for latch in latches {
            match latch {
                Latch::Strategy(latch) => {
                    if let Some(results) = self.books.results.get_mut(latch.strategy.index()) {
                        results.restore(latch);
                    }
                    if let Some(state) = self.strategies.get_mut(latch.strategy.index()) {
                        state.breakers = StrategyBreakers::restored(latch);
                    }
                }
                Latch::Account { venue, rejects_tripped } => {
                    if let Some(state) = self.venues.get_mut(usize::from(venue.0)) {
                        state.breakers.rejects = Rejects::restored(*rejects_tripped);
                    }
                }
                Latch::Execution { instrument, execution_id } => {
                    if let Some((newest, _)) = self.kept.executions.get_mut(instrument.index()) {
                        *newest = (*newest).max(*execution_id);
                        self.executions.insert(*instrument, *execution_id, Owner::Order);
                    }
                }
                // The gateway's matter.
                Latch::Ban { .. } => {}
            }
        }
    }

    /// What is kept of a strategy is no longer what was told last.
    #[inline]
    pub(super) fn latch_changed(&mut self, strategy: StrategyId) {
        if let Some(is_due) = self.kept.is_strategy_due.get_mut(strategy.index()) {
            *is_due = true;
            self.kept.is_any_due = true;
        }
    }

    /// What a restart must not forget of a strategy.
    pub(super) fn strategy_latch(&self, strategy: StrategyId) -> Option<StrategyLatch> {
        let latch = self.books.results.get(strategy.index())?.latch(strategy);
        let (repeats, is_repeat_tripped) = (self.repeats.longest(strategy), self.repeats.is_tripped(strategy));
        let breakers = &self.strategies.get(strategy.index())?.breakers;
        Some(StrategyLatch {
            repeats,
            is_repeat_tripped,
            rejects_tripped: breakers.rejects.tripped().unwrap_or(0),
            fill_rate_tripped: breakers.fill_rate_tripped.unwrap_or(0),
            slippage_tripped_bps: breakers.slippage_tripped.map_or(0, |bps| i64::try_from(bps).unwrap_or(i64::MAX)),
            ..latch
        })
    }

    /// Tells what is kept of a strategy at once; where there is no room, with the next interval.
    pub(super) fn send_latch(&mut self, strategy: StrategyId) -> bool {
        let Some(latch) = self.strategy_latch(strategy) else { return true };
        let is_sent = self.latches.try_send(Latch::Strategy(latch)).is_ok();
        if let Some(is_due) = self.kept.is_strategy_due.get_mut(strategy.index()) {
            *is_due = !is_sent;
        }
        self.kept.is_any_due |= !is_sent;
        is_sent
    }

    /// Tells at once whether refusals have stopped an account; where there is no room, with the next interval.
    pub(super) fn send_account_latch(&mut self, venue: VenueId) -> bool {
        let Some(state) = self.venues.get(usize::from(venue.0)) else { return true };
        let rejects_tripped = state.breakers.rejects.tripped().unwrap_or(0);
        let is_sent = self.latches.try_send(Latch::Account { venue, rejects_tripped }).is_ok();
        if let Some(is_due) = self.kept.is_account_due.get_mut(usize::from(venue.0)) {
            *is_due = !is_sent;
        }
        self.kept.is_any_due |= !is_sent;
        is_sent
    }

    /// Tells what changed, at most once an interval.
    pub(super) fn report_latches(&mut self) -> usize {
        if !self.kept.is_any_due || self.now.since(self.kept.sent_ns) < INTERVAL_NS {
            return 0;
        }
        self.kept.sent_ns = self.now;
        self.kept.is_any_due = false;
        let mut sent = 0;
        for index in 0..self.kept.is_strategy_due.len() {
            let Ok(strategy) = u16::try_from(index).map(StrategyId) else { break };
            if self.kept.is_strategy_due.get(index) == Some(&true) {
                sent += usize::from(self.send_latch(strategy));
            }
        }
        for index in 0..self.kept.is_account_due.len() {
            let Ok(venue) = u8::try_from(index).map(VenueId) else { break };
            if self.kept.is_account_due.get(index) == Some(&true) {
                sent += usize::from(self.send_account_latch(venue));
            }
        }
        for (instrument, (execution_id, is_due)) in (0..).map(InstrumentId).zip(&mut self.kept.executions) {
            if *is_due {
                *is_due = self.latches.try_send(Latch::Execution { instrument, execution_id: *execution_id }).is_err();
                self.kept.is_any_due |= *is_due;
                sent += usize::from(!*is_due);
            }
        }
        sent
    }
}
