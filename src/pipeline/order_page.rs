//! The order page: every order that risk let pass, in memory that outlives the process, before it can be on the wire.
//!
//! The log has an order within a millisecond; a process that is killed before that takes it along. What it wrote into
//! shared memory stays, without any system call. So after the death of a process no order of its is unknown, and after a
//! loss of power the venue is asked for orders of ours.
//!
//! A ring of slots of 16 words. A slot's id is taken away before its other words change and is written last, with a word
//! over all of them, so that a process that dies in between leaves no slot that could be believed: its order had not left
//! risk.

use super::heartbeat::{is_ours, mapping::Words, private};
use crate::types::{
    ClientOrderId, InstrumentId, Order, OrderType, Price, Quantity, Side, StrategyId, TimeInForce, Timestamp,
};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Orders that the page holds: many times as many as pass within the millisecond that the log takes.
pub const CAPACITY: usize = 1_024;
const SLOT_WORDS: usize = 16;
const WORDS: usize = SLOT_WORDS * (CAPACITY + 1);
const BYTES: u64 = (WORDS * size_of::<u64>()) as u64;
/// Marks a page of this layout: `GANNETO1`.
const MAGIC: u64 = 0x314f_5445_4e4e_4147;

/// An order as the page has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PagedOrder {
    /// As it was sent.
    pub order: Order,
    /// When it was approved.
    pub approved_ns: Timestamp,
    /// Whether it may take another's place only while that one has no fill.
    pub only_if_unfilled: bool,
}

/// The page of a running engine.
#[derive(Debug)]
pub struct OrderPage {
    words: Words,
    next: usize,
}

impl OrderPage {
    /// An empty page in the file at `path`, for its owner alone. What was in it is gone.
    ///
    /// # Errors
    /// Where the file cannot be made or mapped, or is not this user's alone.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = private(OpenOptions::new().read(true).write(true).create(true).truncate(false)).open(path)?;
        is_ours(&file)?;
        if file.metadata()?.len() < BYTES {
            file.set_len(BYTES)?;
        }
        let words = Words::of(&file, WORDS)?;
        // Every page of it is touched here, so that no order waits for memory.
        words.all().iter().for_each(|word| word.store(0, Ordering::Relaxed));
        if let Some(first) = words.all().first() {
            first.store(MAGIC, Ordering::Release);
        }
        Ok(Self { words, next: 0 })
    }

    /// What an engine that is gone left in the file at `path`, in no order; nothing where there is no such file.
    ///
    /// # Errors
    /// Where the file cannot be read, is not this user's alone, or is no order page.
    pub fn read(path: &Path) -> io::Result<Vec<PagedOrder>> {
        let opened = private(OpenOptions::new().read(true).write(true)).open(path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        is_ours(&file)?;
        if file.metadata()?.len() < BYTES {
            return Ok(Vec::new());
        }
        let words = Words::of(&file, WORDS)?;
        match words.all().first().map(|word| word.load(Ordering::Acquire)) {
            Some(MAGIC) => {}
            // Made, and never begun.
            Some(0) | None => return Ok(Vec::new()),
            Some(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "is no order page of this version")),
        }
        Ok(words.all().chunks_exact(SLOT_WORDS).skip(1).filter_map(read_slot).collect())
    }

    /// Keeps an order. Takes the place of the oldest.
    #[inline]
    pub fn keep(&mut self, order: &Order, approved_ns: Timestamp, only_if_unfilled: bool) {
        let slot = self.next + 1;
        self.next = slot % CAPACITY;
        let Some(words) = self.words.all().get(slot * SLOT_WORDS..(slot + 1) * SLOT_WORDS) else { return };
        let [id, check, fields @ ..] = words else { return };
        // Behind this, nothing of the slot counts before its id stands there again.
        id.store(0, Ordering::Release);
        let values = pack(order, approved_ns, only_if_unfilled);
        for (word, value) in fields.iter().zip(values) {
            word.store(value, Ordering::Release);
        }
        check.store(sum(order.client_order_id.0, &values), Ordering::Release);
        id.store(order.client_order_id.0, Ordering::Release);
    }
}

const FIELDS: usize = 8;

fn pack(order: &Order, approved_ns: Timestamp, only_if_unfilled: bool) -> [u64; FIELDS] {
    let flags = u64::from(order.is_post_only) | u64::from(order.is_reduce_only) << 1 | u64::from(only_if_unfilled) << 2;
    let kinds = order.side as u64 | (order.order_type as u64) << 8 | (order.time_in_force as u64) << 16 | flags << 24;
    [
        order.replaces.0,
        order.price.0.cast_unsigned(),
        order.stop_price.0.cast_unsigned(),
        order.quantity.0.cast_unsigned(),
        order.parent_quantity.0.cast_unsigned(),
        u64::from(order.instrument.0) | u64::from(order.parent) << 32,
        u64::from(order.strategy.0) << 32 | kinds,
        approved_ns.nanos(),
    ]
}

fn sum(id: u64, values: &[u64; FIELDS]) -> u64 {
    values.iter().fold(id ^ MAGIC, |sum, value| (sum ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

#[expect(clippy::cast_possible_truncation, reason = "the parts of packed words")]
fn read_slot(words: &[AtomicU64]) -> Option<PagedOrder> {
    let [id, check, fields @ ..] = words else { return None };
    let id = id.load(Ordering::Acquire);
    let mut values = [0; FIELDS];
    for (value, word) in values.iter_mut().zip(fields) {
        *value = word.load(Ordering::Acquire);
    }
    if id == 0 || check.load(Ordering::Acquire) != sum(id, &values) {
        return None;
    }
    let [replaces, price, stop_price, quantity, parent_quantity, places, kinds, approved_ns] = values;
    let order = Order {
        client_order_id: ClientOrderId(id),
        replaces: ClientOrderId(replaces),
        price: Price(price.cast_signed()),
        stop_price: Price(stop_price.cast_signed()),
        quantity: Quantity(quantity.cast_signed()),
        parent_quantity: Quantity(parent_quantity.cast_signed()),
        instrument: InstrumentId(places as u32),
        parent: (places >> 32) as u32,
        strategy: StrategyId((kinds >> 32) as u16),
        side: if kinds & 0xff == Side::Buy as u64 { Side::Buy } else { Side::Sell },
        order_type: match kinds >> 8 & 0xff {
            0 => OrderType::Limit,
            1 => OrderType::Market,
            2 => OrderType::Stop,
            _ => OrderType::StopLimit,
        },
        time_in_force: match kinds >> 16 & 0xff {
            0 => TimeInForce::GoodTillCanceled,
            1 => TimeInForce::ImmediateOrCancel,
            2 => TimeInForce::FillOrKill,
            _ => TimeInForce::Day,
        },
        is_post_only: kinds >> 24 & 1 != 0,
        is_reduce_only: kinds >> 25 & 1 != 0,
    };
    let approved_ns = Timestamp::from_nanos(approved_ns);
    Some(PagedOrder { order, approved_ns, only_if_unfilled: kinds >> 26 & 1 != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(sequence: u64) -> Order {
        Order {
            client_order_id: ClientOrderId::new(3, StrategyId(7), sequence).expect("in range"),
            replaces: ClientOrderId(sequence.wrapping_mul(3)),
            price: Price(-5),
            stop_price: Price(i64::MAX),
            quantity: Quantity(sequence.cast_signed()),
            parent_quantity: Quantity(9),
            instrument: InstrumentId(u32::MAX - 1),
            parent: u32::MAX,
            strategy: StrategyId(7),
            side: if sequence.is_multiple_of(2) { Side::Sell } else { Side::Buy },
            order_type: [OrderType::Limit, OrderType::Market, OrderType::Stop, OrderType::StopLimit]
                [sequence as usize % 4],
            time_in_force: TimeInForce::Day,
            is_post_only: true,
            is_reduce_only: sequence.is_multiple_of(3),
        }
    }

    #[test]
    fn what_was_kept_is_there_for_the_next_engine_the_newest_where_there_is_no_room_for_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("orders");
        assert_eq!(OrderPage::read(&path).expect("none"), []);
        let mut page = OrderPage::create(&path).expect("made");
        assert_eq!(OrderPage::read(&path).expect("empty"), []);
        let count = CAPACITY as u64 + 5;
        for sequence in 1..=count {
            page.keep(&order(sequence), Timestamp::from_nanos(sequence), sequence == count);
        }
        drop(page);
        let mut read = OrderPage::read(&path).expect("read");
        read.sort_by_key(|paged| paged.order.client_order_id);
        let expected = (6..=count).map(|sequence| PagedOrder {
            order: order(sequence),
            approved_ns: Timestamp::from_nanos(sequence),
            only_if_unfilled: sequence == count,
        });
        assert_eq!(read, expected.collect::<Vec<_>>());
        OrderPage::create(&path).expect("made anew");
        assert_eq!(OrderPage::read(&path).expect("empty"), []);
    }

    #[test]
    fn a_slot_that_is_not_whole_is_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("orders");
        let mut page = OrderPage::create(&path).expect("made");
        page.keep(&order(1), Timestamp::from_nanos(1), false);
        for word in SLOT_WORDS..SLOT_WORDS + 2 + FIELDS {
            let words = page.words.all();
            let before = words[word].fetch_xor(1 << 17, Ordering::Relaxed);
            assert_eq!(OrderPage::read(&path).expect("read"), [], "word {word}");
            words[word].store(before, Ordering::Relaxed);
        }
        assert_eq!(OrderPage::read(&path).expect("read").len(), 1);
        page.words.all()[0].store(7, Ordering::Relaxed);
        assert_eq!(OrderPage::read(&path).expect_err("another layout").kind(), io::ErrorKind::InvalidData);
    }
}
