//! One side of the book: what the recorded market shows, and where our orders stand in its queues.

use super::{AccountId, OrderId};
use crate::types::{Price, Side};
use std::collections::{BTreeMap, VecDeque};

/// The order of prices on a side, best first: the price for asks, its negative for bids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(i64);

impl Rank {
    pub(super) fn new(side: Side, price: Price) -> Self {
        Self(if side == Side::Buy { -price.0 } else { price.0 })
    }

    pub(super) fn price(self) -> Price {
        Price(self.0.abs())
    }

    /// Past every price.
    pub(super) const WORST: Self = Self(i64::MAX);
}

/// A level of the recorded book.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    quantity: i64,
    /// What our orders took since its last update.
    taken: i64,
}

/// An order of ours in the queue of its price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    pub(super) order: OrderId,
    pub(super) account: AccountId,
    pub(super) remaining: i64,
    /// What the recorded market has in front of it.
    ahead: i64,
    /// How much of `ahead` went when the level shrank, which a trade that is reported later may explain: quotes are
    /// recorded before the trades that caused them, and the queue must not move twice.
    unexplained: i64,
}

/// What stands first in line for an incoming order.
#[derive(Clone, Copy, Debug)]
pub(super) enum First {
    /// So much of the recorded market at this price.
    Recorded(Rank, i64),
    /// An order of ours.
    Ours(Rank, Queued),
}

#[derive(Debug, Default)]
pub(super) struct BookSide {
    levels: BTreeMap<Rank, Level>,
    queues: BTreeMap<Rank, VecDeque<Queued>>,
}

impl BookSide {
    /// What the recorded market still has at this price.
    pub(super) fn available(&self, rank: Rank) -> i64 {
        self.levels.get(&rank).map_or(0, |level| level.quantity.saturating_sub(level.taken).max(0))
    }

    /// States a level anew. `explains` says that no trade of before is still to be reported.
    pub(super) fn update(&mut self, rank: Rank, quantity: i64, explains: bool) {
        if quantity > 0 {
            self.levels.insert(rank, Level { quantity, taken: 0 });
        } else {
            self.levels.remove(&rank);
        }
        if let Some(queue) = self.queues.get_mut(&rank) {
            for queued in queue {
                let gone = (queued.ahead - quantity).max(0);
                queued.ahead -= gone;
                queued.unexplained = if explains { 0 } else { queued.unexplained.saturating_add(gone) };
            }
        }
    }

    /// Takes away every level better than `rank`.
    pub(super) fn remove_better(&mut self, rank: Rank) {
        while let Some((&better, _)) = self.levels.range(..rank).next() {
            self.update(better, 0, false);
        }
    }

    /// Takes so much of what the recorded market has at this price, from the front.
    pub(super) fn take(&mut self, rank: Rank, quantity: i64) {
        if let Some(level) = self.levels.get_mut(&rank) {
            level.taken = level.taken.saturating_add(quantity);
        }
        for queued in self.queues.get_mut(&rank).into_iter().flatten() {
            queued.ahead = (queued.ahead - quantity).max(0);
        }
    }

    /// Puts an order at the end of its queue.
    pub(super) fn join(&mut self, rank: Rank, order: OrderId, account: AccountId, remaining: i64) {
        let ahead = self.available(rank);
        let queued = Queued { order, account, remaining, ahead, unexplained: 0 };
        self.queues.entry(rank).or_default().push_back(queued);
    }

    /// Takes an order out of its queue.
    pub(super) fn leave(&mut self, rank: Rank, order: OrderId) {
        if let Some(queue) = self.queues.get_mut(&rank) {
            queue.retain(|queued| queued.order != order);
            if queue.is_empty() {
                self.queues.remove(&rank);
            }
        }
    }

    /// Lowers what remains of an order of ours; it leaves when nothing does.
    pub(super) fn fill(&mut self, rank: Rank, order: OrderId, quantity: i64) {
        let queued = self.queues.get_mut(&rank).and_then(|queue| queue.iter_mut().find(|queued| queued.order == order));
        if let Some(queued) = queued {
            queued.remaining -= quantity;
            if queued.remaining <= 0 {
                self.leave(rank, order);
            }
        }
    }

    /// What is first in line for an order that takes down to `limit`.
    pub(super) fn first(&self, limit: Rank) -> Option<First> {
        let recorded =
            self.levels.range(..=limit).find(|(_, level)| level.quantity > level.taken).map(|(rank, _)| *rank);
        let ours = self.best_of_ours(limit);
        match (recorded, ours) {
            (Some(rank), Some((our_rank, queued))) if our_rank == rank && queued.ahead > 0 => {
                Some(First::Recorded(rank, self.available(rank).min(queued.ahead)))
            }
            (Some(rank), Some((our_rank, _))) if rank < our_rank => Some(First::Recorded(rank, self.available(rank))),
            (_, Some((rank, queued))) => Some(First::Ours(rank, queued)),
            (Some(rank), None) => Some(First::Recorded(rank, self.available(rank))),
            (None, None) => None,
        }
    }

    /// The order of ours that is first in line down to `limit`.
    pub(super) fn best_of_ours(&self, limit: Rank) -> Option<(Rank, Queued)> {
        let (rank, queue) = self.queues.range(..=limit).next()?;
        Some((*rank, *queue.front()?))
    }

    /// The orders of ours strictly better than `rank`, first in line first.
    pub(super) fn ours_better_than(&self, rank: Rank) -> Vec<(Rank, Queued)> {
        let queues = self.queues.range(..rank);
        queues.flat_map(|(rank, queue)| queue.iter().map(move |queued| (*rank, *queued))).collect()
    }

    /// Moves the queue at `rank` by a recorded trade; answers which orders it fills, and by how much.
    pub(super) fn trade(&mut self, rank: Rank, quantity: i64) -> Vec<(OrderId, i64)> {
        let mut fills = Vec::new();
        let mut filled = 0;
        let mut is_reached = true;
        for queued in self.queues.get_mut(&rank).into_iter().flatten() {
            let explained = queued.unexplained.min(quantity);
            queued.unexplained -= explained;
            let moved = quantity - explained;
            let beyond = (moved - queued.ahead).max(0);
            queued.ahead = (queued.ahead - moved).max(0);
            let fill = if is_reached { queued.remaining.min((beyond - filled).max(0)) } else { 0 };
            is_reached = is_reached && fill == queued.remaining;
            filled += fill;
            if fill > 0 {
                fills.push((queued.order, fill));
            }
        }
        fills
    }

    /// What can be taken down to `limit`, best first: price and quantity. Orders of `avoided` are left out.
    pub(super) fn takeable(&self, limit: Rank, avoided: Option<AccountId>) -> impl Iterator<Item = (Price, i64)> {
        let mut levels = self.levels.range(..=limit).peekable();
        let mut queues = self.queues.range(..=limit).peekable();
        std::iter::from_fn(move || {
            let rank = match (levels.peek(), queues.peek()) {
                (Some((level, _)), Some((queue, _))) => **level.min(queue),
                (Some((level, _)), None) => **level,
                (None, Some((queue, _))) => **queue,
                (None, None) => return None,
            };
            let mut quantity = 0i64;
            if let Some((_, level)) = levels.next_if(|(at, _)| **at == rank) {
                quantity = level.quantity.saturating_sub(level.taken).max(0);
            }
            if let Some((_, queue)) = queues.next_if(|(at, _)| **at == rank) {
                let others = queue.iter().filter(|queued| Some(queued.account) != avoided);
                quantity = others.fold(quantity, |sum, queued| sum.saturating_add(queued.remaining));
            }
            Some((rank.price(), quantity))
        })
    }
}
