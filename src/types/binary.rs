//! The bytes of nouns in the journal: little-endian, field by field, in the order that each list below gives.
//!
//! A list is a format: what was written stays readable for ever. A field or variant is only ever added, with a new version
//! of the records that hold it, and numbers of variants are never used again.

use super::edge::{BudgetReading, Disconnect, FRAME_PART_BYTES, FramePart, Refuser};
use super::entry::{Entry, Event, JournalHealth, Outgoing};
use super::fixed::{Price, Quantity};
use super::ids::{AssetId, ClientOrderId, InstrumentId, StrategyId, VenueId};
use super::instrument::{Instrument, InstrumentStatus, Instruments, Symbol};
use super::message::{
    CancelIntent, DepthLevel, ExecutionReport, GatewayMessage, HistoryBar, Latch, Mark, MarketEvent, MarketMessage,
    MarketStamp, OrderIntent, OrderUpdate, PositionState, Quote, ReportKind, RiskCommand, Round, SessionState,
    ShardCommand, StrategyLatch, Trade,
};
use super::money::Money;
use super::order::{
    Denial, DenialReason, LiquiditySide, Order, OrderStatus, OrderType, Side, TimeInForce, TradingState,
};
use super::time::Timestamp;

/// What has bytes in the journal.
pub trait Binary: Sized {
    /// Appends the bytes.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes a value off the front; `None` where the bytes are no such value.
    fn take(from: &mut &[u8]) -> Option<Self>;
}

/// Structs as the list of their fields.
macro_rules! binary_struct {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {
        $(impl $crate::types::Binary for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::types::Binary::put(&self.$field, out);)+
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::types::Binary::take(from)?),+ })
            }
        })+
    };
}

/// Enums as the list of their variants, each with its number and its fields.
macro_rules! binary_enum {
    ($name:ident { $($tag:literal = $variant:ident
        $(($($unnamed:ident),+))?
        $({ $($field:ident),+ })?
    ),+ $(,)? }) => {
        impl $crate::types::Binary for $name {
            #[allow(unreachable_patterns, reason = "an enum that may grow")]
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($($unnamed),+))? $({ $($field),+ })? => {
                        out.push($tag);
                        $($($crate::types::Binary::put($unnamed, out);)+)?
                        $($($crate::types::Binary::put($field, out);)+)?
                    })+
                }
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                let tag: u8 = $crate::types::Binary::take(from)?;
                match tag {
                    $($tag => {
                        $($(let $unnamed = $crate::types::Binary::take(from)?;)+)?
                        $($(let $field = $crate::types::Binary::take(from)?;)+)?
                        Some(Self::$variant $(($($unnamed),+))? $({ $($field),+ })?)
                    })+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {binary_enum, binary_struct};

macro_rules! integers {
    ($($integer:ty)+) => {
        $(impl Binary for $integer {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_le_bytes(*bytes))
            }
        })+
    };
}

macro_rules! wrapped {
    ($($name:ident)+) => {
        $(impl Binary for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Binary::take(from).map(Self)
            }
        })+
    };
}

integers!(u8 u16 u32 u64 i32 i64 i128);
wrapped!(Price Quantity Money AssetId InstrumentId StrategyId VenueId ClientOrderId);

impl Binary for usize {
    fn put(&self, out: &mut Vec<u8>) {
        u64::try_from(*self).unwrap_or(u64::MAX).put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Self::try_from(u64::take(from)?).ok()
    }
}

impl Binary for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Binary for Timestamp {
    fn put(&self, out: &mut Vec<u8>) {
        self.nanos().put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        u64::take(from).map(Self::from_nanos)
    }
}

impl<T: Binary> Binary for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(if bool::take(from)? { Some(T::take(from)?) } else { None })
    }
}

/// The most items that a list may say it has: what is taken in is bounded by its bytes, this bounds the room made for it.
const ITEMS_MAX: usize = 1 << 24;

impl<T: Binary> Binary for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        u32::try_from(self.len()).unwrap_or(u32::MAX).put(out);
        self.iter().for_each(|item| item.put(out));
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let count = usize::try_from(u32::take(from)?).ok().filter(|count| *count <= ITEMS_MAX)?;
        let mut items = Self::with_capacity(count.min(from.len()));
        for _ in 0..count {
            items.push(T::take(from)?);
        }
        Some(items)
    }
}

impl<A: Binary, B: Binary> Binary for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?))
    }
}

impl<T: Binary + Copy, const N: usize> Binary for [T; N] {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|item| item.put(out));
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut items = Vec::with_capacity(N);
        for _ in 0..N {
            items.push(T::take(from)?);
        }
        items.try_into().ok()
    }
}

impl Binary for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_bytes().to_vec().put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(Vec::take(from)?).ok()
    }
}

impl Binary for Symbol {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_bytes().to_vec().put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Self::new(&String::take(from)?)
    }
}

impl Binary for FramePart {
    fn put(&self, out: &mut Vec<u8>) {
        let bytes = self.as_bytes();
        u8::try_from(bytes.len()).unwrap_or(0).put(out);
        out.extend_from_slice(bytes);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let count = usize::from(u8::take(from)?);
        let (bytes, rest) = from.split_at_checked(count).filter(|_| count <= FRAME_PART_BYTES)?;
        *from = rest;
        let mut part = Self::default();
        part.push(bytes);
        Some(part)
    }
}

impl Binary for DenialReason {
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u16).put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let number = u16::take(from)?;
        Self::ALL.into_iter().chain([Self::None]).find(|reason| *reason as u16 == number)
    }
}

impl Binary for Instruments {
    fn put(&self, out: &mut Vec<u8>) {
        self.assets().to_vec().put(out);
        self.iter().copied().collect::<Vec<Instrument>>().put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut instruments = Self::new();
        for asset in Vec::take(from)? {
            instruments.intern_asset(asset).ok()?;
        }
        for instrument in Vec::<Instrument>::take(from)? {
            let id = instrument.id;
            (instruments.add(instrument).ok()? == id).then_some(())?;
        }
        Some(instruments)
    }
}

binary_enum!(InstrumentStatus { 0 = Unknown, 1 = Trading, 2 = Halted });
binary_enum!(Side { 0 = Buy, 1 = Sell });
binary_enum!(OrderType { 0 = Limit, 1 = Market, 2 = Stop, 3 = StopLimit });
binary_enum!(TimeInForce { 0 = GoodTillCanceled, 1 = ImmediateOrCancel, 2 = FillOrKill, 3 = Day });
binary_enum!(LiquiditySide { 0 = Maker, 1 = Taker });
binary_enum!(TradingState { 0 = Active, 1 = ReduceOnly, 2 = CancelOnly, 3 = Halted });
binary_enum!(OrderStatus {
    0 = Created,
    1 = Sent,
    2 = Accepted,
    3 = PartiallyFilled,
    4 = PendingCancel,
    5 = PendingReplace,
    6 = Unknown,
    7 = Filled,
    8 = Canceled,
    9 = Rejected,
    10 = Expired,
    11 = Denied,
});
binary_enum!(ReportKind {
    0 = Sent,
    1 = Accepted,
    2 = Fill,
    3 = Canceled,
    4 = Rejected,
    5 = Expired,
    6 = CancelRejected,
    7 = Unknown,
    8 = NotSent,
    9 = Status,
});
binary_enum!(SessionState { 0 = Down, 1 = LoggingOn, 2 = Reconciling, 3 = Ready });
binary_enum!(JournalHealth { 0 = Ample, 1 = Short, 2 = Scarce, 3 = Gone });
binary_enum!(Outgoing {
    0 = None,
    1 = Orders(venue),
    2 = Cancels(venue),
    3 = Updates(shard),
    4 = Intents,
    5 = CancelIntents,
    6 = Marks,
    7 = Reports,
});
binary_enum!(Disconnect { 0 = Stream, 1 = Protocol, 2 = Closed(code), 3 = Silent(silence_ns), 4 = WriteBlocked });
binary_enum!(Refuser { 0 = Budget, 1 = Buffer, 2 = Stream, 3 = Unsent });
binary_enum!(BudgetReading {
    0 = WeightLimit(limit),
    1 = QuietUntil(until),
    2 = Used { used_weight, weight_limit, used_orders, order_limit },
});
binary_enum!(Round { 0 = Begun, 1 = Ended { is_conclusive }, 2 = Failed });
binary_enum!(GatewayMessage {
    0 = Report(report),
    1 = Session { venue, state, received_ns },
    2 = ReportStream { venue, is_up, received_ns },
    3 = Round { venue, round, received_ns },
    4 = Balance { venue, asset, total, received_ns },
    5 = Transfer { venue, asset, amount, received_ns },
    6 = Budget { venue, used_weight, weight_limit, used_orders, order_limit, received_ns },
});
binary_enum!(RiskCommand {
    0 = SetTradingState(state),
    1 = CancelAll,
    2 = TakeLimits,
    3 = TakeOverride,
    4 = Reset(strategy),
    5 = Clock { venue, offset_ns },
    6 = ClockJump { by_ns },
    7 = Volume { instrument, day_volume },
});
binary_enum!(ShardCommand { 0 = StopAll });
binary_enum!(MarketEvent {
    0 = Quote(quote),
    1 = Trade { aggressor, count, trade },
    2 = DepthSnapshot { update_id, received_ns },
    3 = DepthLevel { side, is_last, level },
    4 = DepthLost { received_ns },
    5 = HistoryBar(bar),
    6 = HistoryEnd,
    7 = Connection { is_up, received_ns },
});
binary_enum!(Latch {
    0 = Strategy(latch),
    1 = Execution { instrument, execution_id },
    2 = Ban { venue, until },
    3 = Account { venue, rejects_tripped },
});
binary_enum!(Event {
    0 = Cycle,
    1 = Gap { count },
    2 = KillWord { word, bits },
    3 = Killed { generation },
    4 = Command(command),
    5 = Gateway { venue, message },
    6 = Cancel { shard, intent },
    7 = Intent { shard, intent },
    8 = Mark { shard, mark },
    9 = Paused,
    10 = Journal(health),
    11 = Full { lane, sent },
    12 = Approved { order, only_if_unfilled },
    13 = Denied { client_order_id, denial },
    14 = Canceling(intent),
    15 = Hash { taken, digest },
    16 = ShardCommand(command),
    17 = Update(update),
    18 = Market { lane, message },
    // Gateways'.
    32 = Order { order, only_if_unfilled },
    33 = OrderCancel(intent),
    34 = CaughtUp,
    35 = Frame { received_ns, rest, part },
    36 = Connected { number },
    37 = Disconnected { reason, is_read },
    38 = Refused { by, from, count },
    39 = Budget(reading),
});
binary_struct! {
    Entry { sequence, at, event }
    Denial { reason, limit, observed }
    Order {
        client_order_id, replaces, price, stop_price, quantity, parent_quantity, instrument, parent, strategy, side,
        order_type, time_in_force, is_post_only, is_reduce_only,
    }
    MarketStamp { bid, ask, data_ns, near_depth, is_synced }
    OrderIntent { order, stamp, received_ns, decided_ns }
    CancelIntent { client_order_id, instrument, strategy, decided_ns }
    Quote { bid, bid_quantity, ask, ask_quantity, exchange_ns, received_ns }
    Mark { instrument, quote }
    Trade { price, quantity, high, low, exchange_ns, received_ns }
    DepthLevel { price, quantity, update_id, exchange_ns, received_ns }
    HistoryBar { open, high, low, close, volume, open_ns }
    MarketMessage { instrument, event }
    PositionState { quantity, average_price, realized, fees }
    OrderUpdate {
        position, client_order_id, price, stop_price, quantity, filled, venue_filled, last_price, received_ns,
        instrument, code, strategy, reason, status, side, order_type,
    }
    ExecutionReport {
        client_order_id, venue_order_id, execution_id, last_price, last_quantity, cumulative_quantity, fee,
        order_quantity, order_price, exchange_ns, received_ns, code, instrument, fee_asset, kind, status, side,
        liquidity,
    }
    StrategyLatch {
        day_profit, drawdown, day_turnover, day, repeats, rejects_tripped, fill_rate_tripped, slippage_tripped_bps, strategy, is_loss_tripped, is_drawdown_tripped,
        is_repeat_tripped,
    }
    Instrument {
        id, venue, symbol, base, quote, price_precision, quantity_precision, tick, lot, quantity_min, quantity_max,
        market_quantity_max, price_min, price_max, notional_min, notional_max, status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any value that some bytes are: what reads it writes those very bytes again.
    fn round_trip<T: Binary + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
        let mut from = bytes;
        let value = T::take(&mut from)?;
        let mut out = Vec::new();
        value.put(&mut out);
        assert_eq!(out, bytes[..bytes.len() - from.len()], "{value:?}");
        let again = T::take(&mut out.as_slice());
        assert_eq!(again.as_ref(), Some(&value));
        Some(value)
    }

    proptest! {
        #[test]
        fn what_can_be_read_is_written_the_same(
            tag in 0..40u8,
            bytes in proptest::collection::vec(prop_oneof![0..4u8, any::<u8>()], 300),
        ) {
            let mut entry = vec![0; 16];
            entry.push(tag);
            entry.extend(bytes);
            round_trip::<Entry>(&entry);
            let mut short = entry.as_slice();
            while let Some((_, rest)) = short.split_last() {
                short = rest;
                let _ = Entry::take(&mut &*short);
            }
        }

        #[test]
        fn arbitrary_bytes_make_no_room_for_what_is_not_there(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            round_trip::<Vec<u8>>(&bytes);
            round_trip::<Vec<Latch>>(&bytes);
            round_trip::<Option<Denial>>(&bytes);
        }
    }

    #[test]
    fn every_kind_of_entry_and_every_reason_is_written_and_read() {
        let mut seen = 0;
        for tag in 0..40u8 {
            let mut bytes = vec![0; 16];
            bytes.push(tag);
            bytes.extend([0; 300]);
            // A gateway message, a command, a market event of each kind.
            for inner in 0..8u8 {
                let place = match tag {
                    5 => 18,
                    18 => 22,
                    _ => 17,
                };
                bytes[place] = inner;
                seen += usize::from(round_trip::<Entry>(&bytes).is_some());
            }
        }
        assert!(seen > 60, "{seen}");
        for reason in DenialReason::ALL {
            let mut out = Vec::new();
            reason.put(&mut out);
            assert_eq!(DenialReason::take(&mut out.as_slice()), Some(reason));
        }
    }

    #[test]
    fn instruments_keep_their_ids() {
        let mut instruments = Instruments::new();
        let base = instruments.intern_asset(Symbol::new("BTC").expect("a symbol")).expect("room");
        let quote = instruments.intern_asset(Symbol::new("USDT").expect("a symbol")).expect("room");
        let instrument = Instrument {
            id: InstrumentId::NONE,
            venue: VenueId(0),
            symbol: Symbol::new("BTCUSDT").expect("a symbol"),
            base,
            quote,
            price_precision: 2,
            quantity_precision: 5,
            tick: Price(1),
            lot: Quantity(1),
            quantity_min: Quantity(1),
            quantity_max: Quantity(9),
            market_quantity_max: Quantity::ZERO,
            price_min: Price(1),
            price_max: Price(9),
            notional_min: Money(5),
            notional_max: Money::ZERO,
            status: InstrumentStatus::Trading,
        };
        instruments.add(instrument).expect("good");
        let mut out = Vec::new();
        instruments.put(&mut out);
        let read = Instruments::take(&mut out.as_slice()).expect("whole");
        assert_eq!(read.iter().collect::<Vec<_>>(), instruments.iter().collect::<Vec<_>>());
        assert_eq!(read.assets(), instruments.assets());
    }
}
