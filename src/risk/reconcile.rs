//! Our books against the venue's (C44), at the end of every round that the gateway makes.
//!
//! A difference may be a fill on its way. So it counts as a break only when two conclusive rounds in a row find the same
//! difference in the same asset. A break makes the venue reduce-only and is told; a later round that agrees ends it, or a
//! person who has looked. A round that failed proves nothing, least of all that anything is flat.

use super::core::Core;
use crate::types::binary::binary_struct;
use crate::types::{AssetId, Money, Notice, NoticeCode, Round, Symbol, Timestamp, VenueId};

/// One account's books, as the venue states them.
#[derive(Clone, Debug)]
pub(super) struct Reconciliation {
    /// When the running round began; `None` between rounds.
    begun_ns: Option<Timestamp>,
    /// Whether a round has ended since the session came up: before, no order passes (C04).
    pub(super) is_reconciled: bool,
    /// Whether a conclusive round was compared.
    is_compared: bool,
    /// By asset, what the running round was told; what is not told is zero.
    stated: Vec<Money>,
    /// By asset, ours less the venue's as the last conclusive round found it.
    differences: Vec<Money>,
    /// Whether two rounds in a row have found the same difference.
    pub(super) is_broken: bool,
}

/// What of an account's comparison with its venue must survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconciliationFacts {
    begun_ns: Option<Timestamp>,
    is_compared: bool,
    is_broken: bool,
    stated: Vec<(AssetId, Money)>,
    differences: Vec<(AssetId, Money)>,
}

binary_struct!(ReconciliationFacts { begun_ns, is_compared, is_broken, stated, differences });

impl ReconciliationFacts {
    /// The same in other ids of assets. What is of an asset that is gone is left out.
    pub(super) fn renamed(&self, asset: impl Fn(AssetId) -> Option<AssetId>) -> Self {
        let renamed = |amounts: &[(AssetId, Money)]| {
            amounts.iter().filter_map(|&(id, amount)| Some((asset(id)?, amount))).collect::<Vec<_>>()
        };
        Self { stated: renamed(&self.stated), differences: renamed(&self.differences), ..*self }
    }
}

impl Reconciliation {
    pub(super) fn facts(&self) -> ReconciliationFacts {
        let by_asset = |amounts: &[Money]| {
            let amounts = (0..).map(AssetId).zip(amounts.iter().copied());
            amounts.filter(|(_, amount)| *amount != Money::ZERO).collect::<Vec<_>>()
        };
        ReconciliationFacts {
            begun_ns: self.begun_ns,
            is_compared: self.is_compared,
            is_broken: self.is_broken,
            stated: by_asset(&self.stated),
            differences: by_asset(&self.differences),
        }
    }

    /// Goes on with what an earlier run found; a break stays one until a round agrees, or a person has looked. Only where
    /// the same run goes on, a round that was under way does too, and a first comparison was made.
    pub(super) fn restore(&mut self, facts: &ReconciliationFacts, is_same_run: bool) {
        let fill = |amounts: &mut [Money], facts: &[(AssetId, Money)]| {
            for (asset, amount) in facts {
                if let Some(own) = amounts.get_mut(asset.index()) {
                    *own = *amount;
                }
            }
        };
        self.is_broken = facts.is_broken;
        fill(&mut self.differences, &facts.differences);
        if is_same_run {
            (self.begun_ns, self.is_compared) = (facts.begun_ns, facts.is_compared);
            fill(&mut self.stated, &facts.stated);
        }
    }

    pub(super) fn new(asset_count: usize) -> Self {
        Self {
            begun_ns: None,
            is_reconciled: false,
            is_compared: false,
            stated: vec![Money::ZERO; asset_count],
            differences: vec![Money::ZERO; asset_count],
            is_broken: false,
        }
    }

    /// The session was lost, and the round under way with it.
    pub(super) const fn on_lost(&mut self) {
        self.begun_ns = None;
        self.is_reconciled = false;
    }
}

impl Core {
    /// A round of reconciliation goes on.
    pub(super) fn on_round(&mut self, venue: VenueId, round: Round) {
        let now = self.now;
        let Some(state) = self.venues.get_mut(usize::from(venue.0)).map(|state| &mut state.reconciliation) else {
            return;
        };
        match round {
            Round::Begun => {
                state.begun_ns = Some(now);
                state.stated.fill(Money::ZERO);
            }
            Round::Failed => state.begun_ns = None,
            Round::Ended { is_conclusive } => {
                let Some(begun_ns) = state.begun_ns.take() else { return };
                state.is_reconciled = true;
                self.end_untold(venue, begun_ns);
                if is_conclusive {
                    self.compare(venue);
                }
            }
        }
    }

    /// What the venue says the account holds.
    pub(super) fn on_balance(&mut self, venue: VenueId, asset: AssetId, total: Money) {
        let state = self.venues.get_mut(usize::from(venue.0));
        if let Some(stated) = state.and_then(|state| state.reconciliation.stated.get_mut(asset.index())) {
            *stated = total;
        }
    }

    /// Before our first order there is nothing of ours to disagree with: what the first round says is what the account
    /// began with, fills while nobody looked included.
    fn compare(&mut self, venue: VenueId) {
        let place = usize::from(venue.0);
        let (mut differs, mut broken) = (false, None);
        let Some(ledger) = self.books.ledgers.get_mut(place) else { return };
        let Some(state) = self.venues.get_mut(place) else { return };
        let Reconciliation { stated, differences, is_broken, is_compared, .. } = &mut state.reconciliation;
        let is_first = !std::mem::replace(is_compared, true) && !state.has_sent;
        for (asset, (&stated, known)) in (0u16..).map(AssetId).zip(stated.iter().zip(differences)) {
            if is_first {
                ledger.begin_with(asset, stated);
            }
            let ours = ledger.balance(asset);
            let difference = ours.saturating_sub(stated);
            let before = std::mem::replace(known, difference);
            differs |= difference != Money::ZERO;
            if difference != Money::ZERO && difference == before && broken.is_none() {
                broken = Some((asset, stated, ours));
            }
        }
        let was_broken = *is_broken;
        // One that found something else than the round before neither breaks nor mends.
        *is_broken = broken.is_some() || (was_broken && differs);
        match broken {
            Some((asset, stated, ours)) if !was_broken => self.tell_break(asset, stated, ours),
            None if was_broken && !differs => self.notify(Notice::new(NoticeCode::BooksAgree, self.now)),
            _ => {}
        }
    }

    /// A person looked at a break: what could not be explained is booked as money that came or left, as every fill there
    /// was had been told by then.
    pub(super) fn accept_balances(&mut self) {
        for venue in (0u8..).map(VenueId).take(self.venues.len()) {
            let place = usize::from(venue.0);
            if !self.is_broken(venue) {
                continue;
            }
            for asset in (0u16..).map(AssetId).take(self.books.assets.len()) {
                let state = self.venues.get_mut(place);
                let difference = state.and_then(|state| state.reconciliation.differences.get_mut(asset.index()));
                let difference = difference.map(std::mem::take).unwrap_or_default();
                if difference != Money::ZERO {
                    self.on_transfer(venue, asset, Money(difference.0.saturating_neg()));
                }
            }
            if let Some(state) = self.venues.get_mut(place) {
                state.reconciliation.is_broken = false;
            }
        }
    }

    #[cold]
    fn tell_break(&mut self, asset: AssetId, stated: Money, ours: Money) {
        self.counters.breaks.increment();
        let name = self.books.assets.get(asset.index()).copied();
        let notice = Notice::new(NoticeCode::BooksDisagree, self.now).values(stated.0, ours.0);
        self.notify(notice.excerpt(name.as_ref().map_or(b"?".as_slice(), Symbol::as_bytes)));
    }

    /// Whether the venue of an instrument is reduce-only as its books and ours disagree.
    #[inline]
    pub(super) fn is_broken(&self, venue: VenueId) -> bool {
        self.venues.get(usize::from(venue.0)).is_some_and(|state| state.reconciliation.is_broken)
    }
}
