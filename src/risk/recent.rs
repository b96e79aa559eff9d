//! What a strategy ordered a moment ago, to know repeats by.

use super::core::Core;
use crate::types::{Order, OrderIntent, Timestamp};

const CAPACITY: u32 = 256;
const SLOTS: usize = CAPACITY as usize;
const MASK: usize = SLOTS - 1;
/// Four tags for each order that is remembered: a new order shares the tag of one by chance in two of nine cases, and in far
/// fewer while the ring is not full.
const TAGS: usize = 4 * SLOTS;

/// The newest approved orders of one strategy. Denied ones are not remembered: they repeat nothing.
///
/// It holds 256. Where more were approved within the window, those it forgot count as the same order: a strategy that
/// sends faster than it can be judged is denied.
#[derive(Clone, Debug)]
pub struct Recent {
    /// A ring, the newest before `next`.
    ring: [(u64, Timestamp); SLOTS],
    next: usize,
    /// How many orders in the ring have each tag: most orders are like none of them, which this says at one look.
    tags: [u16; TAGS],
}

impl Recent {
    /// Nothing was ordered.
    pub const NONE: Self = Self { ring: [(0, Timestamp::UNKNOWN); SLOTS], next: 0, tags: [0; TAGS] };

    /// Remembers an approved order.
    pub fn remember(&mut self, order: &Order, now: Timestamp) {
        let print = fingerprint(order);
        if let Some(slot) = self.ring.get_mut(self.next & MASK) {
            let (forgotten, at) = std::mem::replace(slot, (print, now));
            if at.is_known()
                && let Some(count) = self.tags.get_mut(tag(forgotten))
            {
                *count = count.saturating_sub(1);
            }
        }
        if now.is_known()
            && let Some(count) = self.tags.get_mut(tag(print))
        {
            *count = count.saturating_add(1);
        }
        self.next = self.next.wrapping_add(1) & MASK;
    }

    /// How often the same order was approved within `window_ns`, both ends included.
    #[inline]
    pub(super) fn count(&self, order: &Order, now: Timestamp, window_ns: u64) -> u32 {
        let is_within = |at: Timestamp| at.is_known() && now.since(at) <= window_ns;
        // The oldest is the one to be forgotten next.
        if self.ring.get(self.next & MASK).is_some_and(|&(_, at)| is_within(at)) {
            return CAPACITY;
        }
        let wanted = fingerprint(order);
        if self.tags.get(tag(wanted)) == Some(&0) {
            return 0;
        }
        let mut count = 0;
        // The newest first; the oldest is out of the window, so this ends.
        for back in 1..SLOTS {
            match self.ring.get(self.next.wrapping_sub(back) & MASK) {
                Some(&(print, at)) if is_within(at) => count += u32::from(print == wanted),
                _ => break,
            }
        }
        count
    }
}

/// The upper bits of a fingerprint, which its last multiplication has mixed best.
#[inline]
fn tag(print: u64) -> usize {
    usize::try_from(print >> 40).unwrap_or(0) % TAGS
}

/// 64 bits of what makes an order the same: instrument, side, type, prices and quantity. Each field is folded in by an
/// odd multiplier and a rotation, so that no two fields' changes cancel; two different orders within half a second with
/// the same 64 bits do not happen by chance.
#[inline]
fn fingerprint(order: &Order) -> u64 {
    let kind = u64::from(order.instrument.0) << 8 | (order.side as u64) << 4 | order.order_type as u64;
    let fold = |print: u64, field: u64| (print ^ field).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    [kind, order.price.0.cast_unsigned(), order.stop_price.0.cast_unsigned(), order.quantity.0.cast_unsigned()]
        .into_iter()
        .fold(0x243f_6a88_85a3_08d3, fold)
}

impl Core {
    /// Remembers what was approved, and where the market was.
    pub(super) fn remember(&mut self, intent: &OrderIntent) {
        let (order, now) = (&intent.order, self.now);
        if let Some(strategy) = self.strategies.get_mut(order.strategy.index()) {
            strategy.recent.remember(order, now);
        }
        let window_ns = self.limits.instrument(order.instrument).drift_window_ns;
        if !order.order_type.is_stop()
            && let Some(state) = self.instruments.get_mut(order.instrument.index())
        {
            state.drift.approved(&intent.stamp, now, window_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{InstrumentId, OrderType, Price, Quantity, Side};

    fn order(quantity: i64) -> Order {
        Order { price: Price(100), quantity: Quantity(quantity), ..Order::default() }
    }

    #[test]
    fn both_ends_of_the_window_count() {
        let mut recent = Recent::NONE;
        recent.remember(&order(1), Timestamp::from_nanos(1_000));
        let count = |now| recent.count(&order(1), Timestamp::from_nanos(now), 500);
        assert_eq!([1_000, 1_499, 1_500, 1_501, 900].map(count), [1, 1, 1, 0, 1]);
    }

    #[test]
    fn every_field_makes_another_order() {
        let mut recent = Recent::NONE;
        let now = Timestamp::from_nanos(1);
        let first = order(5);
        recent.remember(&first, now);
        for other in [
            Order { instrument: InstrumentId(1), ..first },
            Order { side: Side::Sell, ..first },
            Order { order_type: OrderType::StopLimit, ..first },
            Order { price: Price(101), ..first },
            Order { stop_price: Price(1), ..first },
            Order { quantity: Quantity(6), ..first },
            Order { price: Price(5), quantity: Quantity(100), ..first },
        ] {
            assert_eq!(recent.count(&other, now, 500), 0, "{other:?}");
        }
        assert_eq!(recent.count(&first, now, 500), 1);
    }

    #[test]
    fn what_it_forgot_within_the_window_counts_as_the_same() {
        let mut recent = Recent::NONE;
        for nanos in 1..=u64::from(CAPACITY) {
            recent.remember(&order(1_000), Timestamp::from_nanos(nanos));
        }
        let count = |recent: &Recent, now| recent.count(&order(1), Timestamp::from_nanos(now), 500);
        assert_eq!(count(&recent, 501), CAPACITY);
        assert_eq!(count(&recent, 502), 0, "the oldest is out of the window: nothing in it was forgotten");
        recent.remember(&order(1), Timestamp::from_nanos(600));
        assert_eq!(count(&recent, 601), 1);
    }
}
