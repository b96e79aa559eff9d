//! Joining a depth stream with a snapshot, as venues prescribe it.
//!
//! Updates are held back until a snapshot arrives; those it already contains are dropped; the first kept one must
//! reach across the snapshot's id and every further one must follow the one before. A break of that chain loses the
//! book, and the next snapshot starts over.

use crate::types::{Price, Quantity, Side, Timestamp};

/// How a market chains its depth updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthRule {
    /// Spot: an update's first id is the last id of the one before plus one.
    Contiguous,
    /// Futures: an update names the last id of the one before.
    Linked,
}

/// The ids and instants of one depth update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DepthUpdate {
    /// The first of the venue's ids in it.
    pub first_update_id: u64,
    /// The last of the venue's ids in it.
    pub last_update_id: u64,
    /// The last id of the update before, where the venue says so.
    pub previous_update_id: Option<u64>,
    /// The venue's instant of it.
    pub exchange_ns: Timestamp,
    /// When the feed had its bytes.
    pub received_ns: Timestamp,
}

/// One level of an update or a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideLevel {
    /// Which side of the book.
    pub side: Side,
    /// The level's price.
    pub price: Price,
    /// What rests there now; zero takes the level away.
    pub quantity: Quantity,
}

/// What is to be done with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It follows the one before: apply it.
    Apply,
    /// The book has it already.
    Old,
    /// It was held back until a snapshot arrives or is delivered.
    Held,
    /// It does not follow: updates are missing. The book is lost; this update is held for the next snapshot.
    Gap {
        /// The id that should have come.
        expected: u64,
        /// The id that came.
        found: u64,
    },
    /// What is held back reached its limit; all of it was let go, and waiting starts over.
    Overflow,
}

/// What became of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotVerdict {
    /// It joins the updates held back; it is to be delivered, then they.
    Joined,
    /// It is older than the first update held back: another one is needed.
    TooOld,
    /// Nobody waits for one, or it was larger than the limit.
    Unwanted,
}

/// What is to be delivered next, once a snapshot has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery<'a> {
    /// The snapshot.
    Snapshot {
        /// Its update id.
        update_id: u64,
        /// When the feed took it.
        received_ns: Timestamp,
        /// Its levels.
        levels: &'a [SideLevel],
    },
    /// An update that was held back.
    Update {
        /// Its ids and instants.
        update: DepthUpdate,
        /// Its levels.
        levels: &'a [SideLevel],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No book; updates are held back.
    Lost,
    /// A snapshot has joined; `delivered` counts the pieces that went out (the snapshot is the first).
    Delivering { delivered: usize },
    /// Updates are applied as they come.
    Synced,
}

/// The synchronisation of one instrument's depth.
#[derive(Debug)]
pub struct DepthSync {
    rule: DepthRule,
    state: State,
    /// Last id of the snapshot or update taken last.
    last_update_id: u64,
    /// Whether only a snapshot was taken so far, so that the first update may overlap it.
    is_first: bool,
    /// Updates held back, each with where its levels end in `levels`.
    held: Vec<(DepthUpdate, usize)>,
    levels: Vec<SideLevel>,
    snapshot: Vec<SideLevel>,
    snapshot_received_ns: Timestamp,
    snapshot_update_id: u64,
    snapshot_is_whole: bool,
    /// When a snapshot may be asked for (again).
    request_at: Timestamp,
    backoff_ns: u64,
}

impl DepthSync {
    /// Updates held back at most.
    pub const UPDATES_MAX: usize = 1_024;
    /// Levels held back at most, over all updates.
    pub const LEVELS_MAX: usize = 65_536;
    /// Levels of a snapshot at most: two sides of 1,000, as asked for, so that it fits a lane whole.
    pub const SNAPSHOT_LEVELS_MAX: usize = 2_000;
    /// Shortest and longest wait between two requests for a snapshot: they weigh on the venue's budget.
    const BACKOFF_NS: (u64, u64) = (500_000_000, 30_000_000_000);

    /// A book that is not known yet.
    #[must_use]
    pub fn new(rule: DepthRule) -> Self {
        Self {
            rule,
            state: State::Lost,
            last_update_id: 0,
            is_first: true,
            held: Vec::with_capacity(Self::UPDATES_MAX),
            levels: Vec::with_capacity(Self::LEVELS_MAX),
            snapshot: Vec::with_capacity(Self::SNAPSHOT_LEVELS_MAX),
            snapshot_received_ns: Timestamp::UNKNOWN,
            snapshot_update_id: 0,
            snapshot_is_whole: false,
            request_at: Timestamp::UNKNOWN,
            backoff_ns: Self::BACKOFF_NS.0,
        }
    }

    /// Whether updates are applied as they come.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.state == State::Synced
    }

    /// The id of the newest update in the book.
    #[must_use]
    pub const fn last_update_id(&self) -> u64 {
        self.last_update_id
    }

    /// Forgets the book and what was held back: the connection was lost, or an update could not be passed on.
    pub fn lose(&mut self) {
        self.state = State::Lost;
        self.held.clear();
        self.levels.clear();
        self.snapshot.clear();
        self.snapshot_is_whole = false;
    }

    /// Whether a snapshot is to be asked for now. Answering so counts as asking: the next one waits, twice as long
    /// each time up to 30 s, until the book is in sync.
    pub fn wants_snapshot(&mut self, now: Timestamp) -> bool {
        if self.state != State::Lost || now < self.request_at {
            return false;
        }
        self.request_at = now.plus(self.backoff_ns);
        self.backoff_ns = (self.backoff_ns * 2).min(Self::BACKOFF_NS.1);
        true
    }

    /// Whether updates are missing between the book and this one.
    #[must_use]
    pub fn is_ahead(&self, update: &DepthUpdate) -> bool {
        self.state == State::Synced && matches!(self.follows(update), Follows::No { .. })
    }

    /// Judges an update. With [`Verdict::Apply`] the caller passes `levels` on; otherwise they are kept here if needed.
    pub fn on_update(&mut self, update: DepthUpdate, levels: impl Iterator<Item = SideLevel>) -> Verdict {
        if self.state != State::Synced {
            return self.hold(update, levels);
        }
        match self.follows(&update) {
            Follows::Yes => {
                self.take(&update);
                Verdict::Apply
            }
            Follows::Old => Verdict::Old,
            Follows::No { expected, found } => {
                self.lose();
                match self.hold(update, levels) {
                    Verdict::Held => Verdict::Gap { expected, found },
                    other => other,
                }
            }
        }
    }

    /// Starts to take a snapshot, forgetting any that was begun before.
    pub fn begin_snapshot(&mut self, update_id: u64, now: Timestamp) {
        if self.state == State::Lost {
            self.snapshot.clear();
            self.snapshot_update_id = update_id;
            self.snapshot_received_ns = now;
            self.snapshot_is_whole = true;
        }
    }

    /// Takes one level of the snapshot begun last.
    pub fn snapshot_level(&mut self, level: SideLevel) {
        if self.state != State::Lost || !self.snapshot_is_whole {
            return;
        }
        if self.snapshot.len() < Self::SNAPSHOT_LEVELS_MAX {
            self.snapshot.push(level);
        } else {
            self.snapshot_is_whole = false;
        }
    }

    /// Ends the snapshot and joins it with what was held back.
    pub fn end_snapshot(&mut self) -> SnapshotVerdict {
        if self.state != State::Lost || !self.snapshot_is_whole {
            return SnapshotVerdict::Unwanted;
        }
        self.last_update_id = self.snapshot_update_id;
        self.is_first = true;
        // The first update that the snapshot does not contain must reach across its id.
        let first_new = self.held.iter().map(|(update, _)| *update).find(|update| self.follows(update) != Follows::Old);
        if let Some(update) = first_new
            && self.follows(&update) != Follows::Yes
        {
            self.snapshot_is_whole = false;
            return SnapshotVerdict::TooOld;
        }
        self.state = State::Delivering { delivered: 0 };
        SnapshotVerdict::Joined
    }

    /// The next piece to deliver, or `None` where nothing is. [`DepthSync::delivered`] moves on.
    #[must_use]
    pub fn delivery(&self) -> Option<Delivery<'_>> {
        let State::Delivering { delivered } = self.state else { return None };
        let Some(index) = delivered.checked_sub(1) else {
            return Some(Delivery::Snapshot {
                update_id: self.snapshot_update_id,
                received_ns: self.snapshot_received_ns,
                levels: &self.snapshot,
            });
        };
        let (update, end) = *self.held.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.held.get(before)).map_or(0, |&(_, end)| end);
        Some(Delivery::Update { update, levels: self.levels.get(start..end).unwrap_or_default() })
    }

    /// Tells that the piece of [`DepthSync::delivery`] went out, or is contained in what did. After the last one the
    /// book is in sync. Pieces that the book already has are passed over.
    pub fn delivered(&mut self) -> Verdict {
        let State::Delivering { delivered } = self.state else { return Verdict::Old };
        if let Some(index) = delivered.checked_sub(1)
            && let Some(&(update, _)) = self.held.get(index)
        {
            self.take(&update);
        }
        let mut next = delivered + 1;
        // `held[next - 1]` is the next update to look at.
        while let Some(&(update, _)) = self.held.get(next - 1) {
            match self.follows(&update) {
                Follows::Yes => {
                    self.state = State::Delivering { delivered: next };
                    return Verdict::Apply;
                }
                Follows::Old => next += 1,
                Follows::No { expected, found } => {
                    self.lose();
                    return Verdict::Gap { expected, found };
                }
            }
        }
        self.state = State::Synced;
        self.held.clear();
        self.levels.clear();
        self.backoff_ns = Self::BACKOFF_NS.0;
        Verdict::Old
    }

    fn take(&mut self, update: &DepthUpdate) {
        self.last_update_id = update.last_update_id;
        self.is_first = false;
    }

    fn hold(&mut self, update: DepthUpdate, levels: impl Iterator<Item = SideLevel>) -> Verdict {
        if self.held.len() == Self::UPDATES_MAX {
            self.lose();
            return Verdict::Overflow;
        }
        for level in levels {
            if self.levels.len() == Self::LEVELS_MAX {
                self.lose();
                return Verdict::Overflow;
            }
            self.levels.push(level);
        }
        self.held.push((update, self.levels.len()));
        Verdict::Held
    }

    fn follows(&self, update: &DepthUpdate) -> Follows {
        let known = self.last_update_id;
        match (self.rule, update.previous_update_id) {
            (DepthRule::Linked, Some(previous)) => {
                if self.is_first {
                    if update.last_update_id < known {
                        Follows::Old
                    } else if update.first_update_id <= known || previous <= known {
                        Follows::Yes
                    } else {
                        Follows::No { expected: known, found: previous }
                    }
                } else if update.last_update_id <= known {
                    Follows::Old
                } else if previous == known {
                    Follows::Yes
                } else {
                    Follows::No { expected: known, found: previous }
                }
            }
            _ => {
                let expected = known.saturating_add(1);
                if update.last_update_id <= known {
                    Follows::Old
                } else if update.first_update_id <= expected {
                    Follows::Yes
                } else {
                    Follows::No { expected, found: update.first_update_id }
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Yes,
    Old,
    No { expected: u64, found: u64 },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(first: u64, last: u64) -> DepthUpdate {
        DepthUpdate { first_update_id: first, last_update_id: last, ..DepthUpdate::default() }
    }

    fn linked(first: u64, last: u64, previous: u64) -> DepthUpdate {
        DepthUpdate { previous_update_id: Some(previous), ..update(first, last) }
    }

    fn level(price: i64) -> SideLevel {
        SideLevel { side: Side::Buy, price: Price(price), quantity: Quantity(1) }
    }

    fn snapshot(sync: &mut DepthSync, id: u64) -> SnapshotVerdict {
        sync.begin_snapshot(id, Timestamp::from_nanos(1));
        sync.snapshot_level(level(100));
        sync.end_snapshot()
    }

    /// Delivers everything and answers the last ids of what went out, the snapshot first.
    fn deliver(sync: &mut DepthSync) -> Vec<u64> {
        let mut out = Vec::new();
        while let Some(piece) = sync.delivery() {
            out.push(match piece {
                Delivery::Snapshot { update_id, .. } => update_id,
                Delivery::Update { update, .. } => update.last_update_id,
            });
            sync.delivered();
        }
        out
    }

    #[test]
    fn held_updates_join_the_snapshot() {
        let mut sync = DepthSync::new(DepthRule::Contiguous);
        assert!(sync.wants_snapshot(Timestamp::from_nanos(1)));
        for (first, last) in [(10, 12), (13, 15), (16, 16)] {
            assert_eq!(sync.on_update(update(first, last), [level(5)].into_iter()), Verdict::Held);
        }
        assert_eq!(snapshot(&mut sync, 13), SnapshotVerdict::Joined);
        assert_eq!(deliver(&mut sync), [13, 15, 16]);
        assert!(sync.is_synced());
        assert_eq!(sync.on_update(update(14, 16), [].into_iter()), Verdict::Old);
        assert_eq!(sync.on_update(update(17, 20), [].into_iter()), Verdict::Apply);
        assert_eq!(sync.on_update(update(22, 23), [].into_iter()), Verdict::Gap { expected: 21, found: 22 });
        assert!(!sync.is_synced());
        // The update that showed the gap waits for the next snapshot.
        assert_eq!(snapshot(&mut sync, 21), SnapshotVerdict::Joined);
        assert_eq!(deliver(&mut sync), [21, 23]);
    }

    #[test]
    fn an_old_snapshot_is_asked_for_again() {
        let mut sync = DepthSync::new(DepthRule::Contiguous);
        sync.on_update(update(10, 12), [].into_iter());
        assert_eq!(snapshot(&mut sync, 8), SnapshotVerdict::TooOld);
        assert_eq!(sync.delivery(), None);
        assert_eq!(snapshot(&mut sync, 9), SnapshotVerdict::Joined);
        assert_eq!(deliver(&mut sync), [9, 12]);
        assert_eq!(snapshot(&mut sync, 30), SnapshotVerdict::Unwanted);
    }

    #[test]
    fn a_snapshot_alone_is_a_book_and_the_next_update_must_reach_it() {
        let mut sync = DepthSync::new(DepthRule::Contiguous);
        assert_eq!(snapshot(&mut sync, 20), SnapshotVerdict::Joined);
        assert_eq!(deliver(&mut sync), [20]);
        assert_eq!(sync.on_update(update(18, 20), [].into_iter()), Verdict::Old);
        assert_eq!(sync.on_update(update(18, 22), [].into_iter()), Verdict::Apply);
    }

    #[test]
    fn updates_that_come_while_delivering_keep_their_place() {
        let mut sync = DepthSync::new(DepthRule::Contiguous);
        sync.on_update(update(10, 12), [level(1)].into_iter());
        assert_eq!(snapshot(&mut sync, 11), SnapshotVerdict::Joined);
        assert_eq!(sync.on_update(update(13, 14), [level(2), level(3)].into_iter()), Verdict::Held);
        assert!(matches!(sync.delivery(), Some(Delivery::Snapshot { levels, .. }) if levels.len() == 1));
        sync.delivered();
        assert!(matches!(sync.delivery(), Some(Delivery::Update { levels, .. }) if levels == [level(1)]));
        sync.delivered();
        assert!(matches!(sync.delivery(), Some(Delivery::Update { levels, .. }) if levels == [level(2), level(3)]));
        sync.delivered();
        assert!(sync.is_synced());
        assert_eq!(sync.last_update_id(), 14);
    }

    #[test]
    fn a_gap_among_held_updates_loses_the_book() {
        let mut sync = DepthSync::new(DepthRule::Contiguous);
        sync.on_update(update(10, 12), [].into_iter());
        sync.on_update(update(15, 16), [].into_iter());
        assert_eq!(snapshot(&mut sync, 10), SnapshotVerdict::Joined);
        assert_eq!(sync.delivered(), Verdict::Apply);
        assert_eq!(sync.delivered(), Verdict::Gap { expected: 13, found: 15 });
        assert!(!sync.is_synced());
    }

    #[test]
    fn futures_follow_by_the_previous_id() {
        let mut sync = DepthSync::new(DepthRule::Linked);
        sync.on_update(linked(90, 99, 80), [].into_iter());
        sync.on_update(linked(101, 110, 99), [].into_iter());
        sync.on_update(linked(115, 120, 110), [].into_iter());
        assert_eq!(snapshot(&mut sync, 105), SnapshotVerdict::Joined);
        assert_eq!(deliver(&mut sync), [105, 110, 120]);
        assert_eq!(sync.on_update(linked(130, 140, 120), [].into_iter()), Verdict::Apply);
        assert_eq!(sync.on_update(linked(141, 150, 141), [].into_iter()), Verdict::Gap { expected: 140, found: 141 });
    }

    #[test]
    fn what_is_held_back_has_a_limit_and_requests_wait_longer_each_time() {
        let mut sync = DepthSync::new(DepthRule::Contiguous);
        for id in 0..DepthSync::UPDATES_MAX as u64 {
            assert_eq!(sync.on_update(update(id, id), [].into_iter()), Verdict::Held);
        }
        assert_eq!(sync.on_update(update(5_000, 5_000), [].into_iter()), Verdict::Overflow);
        let seconds = |tenths: u64| Timestamp::from_nanos(1_000_000_000_000 + tenths * 100_000_000);
        assert!(sync.wants_snapshot(seconds(0)));
        assert!(!sync.wants_snapshot(seconds(4)));
        assert!(sync.wants_snapshot(seconds(5)));
        assert!(!sync.wants_snapshot(seconds(14)));
        assert!(sync.wants_snapshot(seconds(15)));
    }
}
