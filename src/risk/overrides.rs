//! Overrides (C42): a limit that does not hold for a few orders, because two people said so.

use super::controls::{self, Facts, Lifted};
use super::core::Core;
use crate::types::{
    ClientOrderId, Denial, DenialReason, InstrumentId, Notice, NoticeCode, OrderIntent, StrategyId, Timestamp,
};
use crossbeam::channel;

/// A temporary permission to pass one numeric limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Whose orders pass.
    pub strategy: StrategyId,
    /// In what.
    pub instrument: InstrumentId,
    /// Which denial they pass: one of [`Override::REASONS`].
    pub reason: DenialReason,
    /// How many orders pass.
    pub orders_left: u32,
    /// From when on none does.
    pub expires_ns: Timestamp,
    /// The operator who asked for it.
    pub requester: u32,
    /// The operator who approved of it: another one.
    pub approver: u32,
}

impl Override {
    /// What can be overridden: limits that are numbers, set for prices, sizes and money. Never a kill, a state, a
    /// breaker, readiness, a rate, permissions, well-formedness or identity.
    pub const REASONS: [DenialReason; 17] = [
        DenialReason::DuplicateOrder,
        DenialReason::PriceCollar,
        DenialReason::PriceTooFar,
        DenialReason::PriceDrift,
        DenialReason::MaxOrderQuantity,
        DenialReason::MaxDepthShare,
        DenialReason::MaxVolumeShare,
        DenialReason::MaxOrderNotional,
        DenialReason::MaxPosition,
        DenialReason::MaxGross,
        DenialReason::MaxNet,
        DenialReason::AllocationExceeded,
        DenialReason::MaxOpenOrders,
        DenialReason::MaxRestingNotional,
        DenialReason::MaxTurnover,
        DenialReason::MaxDailyTurnover,
        DenialReason::OrderToTradeRatio,
    ];

    /// Whether it makes sense now.
    ///
    /// # Errors
    /// What does not, in words.
    pub fn validate(&self, now: Timestamp) -> Result<(), &'static str> {
        if !Self::REASONS.contains(&self.reason) {
            return Err("an override of a control that is not a numeric limit was not taken");
        }
        if self.requester == self.approver {
            return Err("an override that nobody but its requester approved was not taken");
        }
        if self.orders_left == 0 || self.expires_ns <= now {
            return Err("an override that is over was not taken");
        }
        Ok(())
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.orders_left == 0 || self.expires_ns <= now
    }
}

/// The overrides in force: at most [`Overrides::CAPACITY`]. Where there is no room, a further one is not taken.
#[derive(Debug)]
pub(super) struct Overrides {
    list: Vec<Override>,
    port: channel::Receiver<Override>,
}

/// Places in the list of overrides, one bit each.
pub(super) type Used = u16;

impl Overrides {
    pub(super) const CAPACITY: usize = Used::BITS as usize;

    pub(super) fn new(port: channel::Receiver<Override>) -> Self {
        Self { list: Vec::with_capacity(Self::CAPACITY), port }
    }

    /// Judges again an order that a control denied, with every limit lifted that an override allows to pass. All other
    /// limits are still held, of the same control and of those behind it. Answers what was needed.
    ///
    /// # Errors
    /// The denial that no override covers.
    #[cold]
    pub(super) fn judge(&self, facts: &Facts<'_>, denial: Denial) -> Result<Used, Denial> {
        let (mut denial, mut used, mut lifted) = (denial, 0, Lifted::of(facts));
        // Each turn lifts one more: it ends.
        while let Some(place) = self.find(&facts.intent.order, denial.reason, facts.now)
            && used & (1 << place) == 0
            && lifted.lift(denial.reason)
        {
            used |= 1 << place;
            match controls::evaluate(&lifted.facts(facts)) {
                Ok(()) => return Ok(used),
                Err(next) => denial = next,
            }
        }
        Err(denial)
    }

    fn find(&self, order: &crate::types::Order, reason: DenialReason, now: Timestamp) -> Option<usize> {
        let is_it = |entry: &Override| {
            (entry.strategy, entry.instrument, entry.reason) == (order.strategy, order.instrument, reason)
                && !entry.is_over(now)
        };
        self.list.iter().position(is_it)
    }
}

impl Core {
    /// Takes the override that waits in the port.
    pub(super) fn take_override(&mut self) {
        let Ok(wanted) = self.overrides.port.try_recv() else { return };
        let now = self.now;
        self.overrides.list.retain(|entry| !entry.is_over(now));
        let problem = match wanted.validate(now) {
            Err(problem) => problem,
            Ok(()) if self.books.find(wanted.strategy, wanted.instrument).is_none() => {
                "an override of what is not permitted at all was not taken"
            }
            Ok(()) if self.overrides.list.len() >= Overrides::CAPACITY => "there are too many overrides: not taken",
            Ok(()) => return self.overrides.list.push(wanted),
        };
        let notice = Notice::new(NoticeCode::Misconfigured, now).instrument(wanted.instrument);
        self.notify(notice.strategy(wanted.strategy).excerpt(problem.as_bytes()));
    }

    /// An order passed by these overrides.
    #[cold]
    pub(super) fn use_overrides(&mut self, used: Used, intent: &OrderIntent) {
        for place in (0..Overrides::CAPACITY).filter(|place| used & (1 << place) != 0) {
            let Some(entry) = self.overrides.list.get_mut(place) else { continue };
            entry.orders_left = entry.orders_left.saturating_sub(1);
            let (reason, left) = (entry.reason, i128::from(entry.orders_left));
            let id: ClientOrderId = intent.order.client_order_id;
            let notice = Notice::new(NoticeCode::OverrideUsed, self.now).order(id).instrument(intent.order.instrument);
            self.notify(Notice { reason, ..notice.values(0, left) });
        }
    }
}
