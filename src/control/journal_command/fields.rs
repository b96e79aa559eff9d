//! The fields of what stages write down, each list the same as in `types/binary.rs`: what is added there does not compile
//! before it is added here.

use super::text::{Value, Writer};
use crate::types::{
    BudgetReading, CancelIntent, Denial, DenialReason, DepthLevel, Disconnect, Event, ExecutionReport, FramePart,
    GatewayMessage, HistoryBar, JournalHealth, LiquiditySide, Mark, MarketEvent, MarketMessage, MarketStamp, Money,
    Order, OrderIntent, OrderStatus, OrderType, OrderUpdate, Outgoing, PositionState, Price, Quantity, Quote, Refuser,
    ReportKind, RiskCommand, Round, SessionState, ShardCommand, Side, TimeInForce, Timestamp, Trade, TradingState,
};

/// What is one of several kinds of things, each with fields of its own.
pub(super) trait Kind {
    /// Which kind it is.
    fn kind(&self) -> &'static str;

    /// Writes its fields.
    fn fields(&self, writer: &mut Writer<'_>);
}

/// Structs as objects.
macro_rules! structs {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {
        $(impl Value for $name {
            fn write(&self, writer: &mut Writer<'_>) {
                // Named one by one, so that none is forgotten.
                let Self { $($field),+ } = self;
                writer.object(|writer| {
                    $(writer.field(stringify!($field), $field);)+
                });
            }
        })+
    };
}

/// Enums with fields: as objects, the kind first.
macro_rules! kinds {
    ($name:ident { $($variant:ident = $kind:literal
        $(($($unnamed:ident),+))?
        $({ $($field:ident),+ })?
    ),+ $(,)? }) => {
        impl Kind for $name {
            fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $kind,)+
                }
            }

            fn fields(&self, writer: &mut Writer<'_>) {
                match self {
                    $(Self::$variant $(($($unnamed),+))? $({ $($field),+ })? => {
                        $($(writer.field(stringify!($unnamed), $unnamed);)+)?
                        $($(writer.field(stringify!($field), $field);)+)?
                    })+
                }
                // For enums without any field.
                let _ = writer;
            }
        }

        impl Value for $name {
            fn write(&self, writer: &mut Writer<'_>) {
                writer.object(|writer| {
                    writer.field("kind", &self.kind());
                    self.fields(writer);
                });
            }
        }
    };
}

/// Enums without fields: as their names in the source.
macro_rules! names {
    ($($name:ty)+) => {
        $(impl Value for $name {
            fn write(&self, writer: &mut Writer<'_>) {
                writer.text(&format!("{self:?}"));
            }
        })+
    };
}

/// Numbers: counts of the smallest unit, as they are compared and added.
macro_rules! wrapped {
    ($($name:ident)+) => {
        $(impl Value for $name {
            fn write(&self, writer: &mut Writer<'_>) {
                self.0.write(writer);
            }
        })+
    };
}

names!(
    JournalHealth LiquiditySide OrderStatus OrderType Refuser ReportKind SessionState ShardCommand Side TimeInForce TradingState
);
wrapped!(Money Price Quantity);

impl Value for Timestamp {
    fn write(&self, writer: &mut Writer<'_>) {
        self.nanos().write(writer);
    }
}

/// As text: venues write that.
impl Value for FramePart {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(&String::from_utf8_lossy(self.as_bytes()));
    }
}

impl Value for DenialReason {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(self.name());
    }
}

kinds!(Event {
    Cycle = "cycle",
    Gap = "gap" { count },
    KillWord = "kill_word" { word, bits },
    Killed = "killed" { generation },
    Command = "command" (command),
    Gateway = "gateway" { venue, message },
    Cancel = "cancel" { shard, intent },
    Intent = "intent" { shard, intent },
    Mark = "mark" { shard, mark },
    Journal = "journal" (health),
    Paused = "paused",
    Full = "full" { lane, sent },
    Approved = "approved" { order, only_if_unfilled },
    Denied = "denied" { client_order_id, denial },
    Canceling = "canceling" (intent),
    Hash = "hash" { taken, digest },
    ShardCommand = "shard_command" (command),
    Update = "update" (update),
    Market = "market" { lane, message },
    Order = "order" { order, only_if_unfilled },
    OrderCancel = "order_cancel" (intent),
    CaughtUp = "caught_up",
    Frame = "frame" { received_ns, rest, part },
    Connected = "connected" { number },
    Disconnected = "disconnected" { reason, is_read },
    Refused = "refused" { by, from, count },
    Budget = "budget" (reading),
});
kinds!(Disconnect {
    Stream = "stream",
    Protocol = "protocol",
    Closed = "closed" (code),
    Silent = "silent" (silence_ns),
    WriteBlocked = "write_blocked",
});
kinds!(BudgetReading {
    WeightLimit = "weight_limit" (limit),
    QuietUntil = "quiet_until" (until),
    Used = "used" { used_weight, weight_limit, used_orders, order_limit },
});
kinds!(MarketEvent {
    Quote = "quote" (quote),
    Trade = "trade" { aggressor, count, trade },
    DepthSnapshot = "depth_snapshot" { update_id, received_ns },
    DepthLevel = "depth_level" { side, is_last, level },
    DepthLost = "depth_lost" { received_ns },
    HistoryBar = "history_bar" (bar),
    HistoryEnd = "history_end",
    Connection = "connection" { is_up, received_ns },
});
kinds!(GatewayMessage {
    Report = "report" (report),
    Session = "session" { venue, state, received_ns },
    ReportStream = "report_stream" { venue, is_up, received_ns },
    Round = "round" { venue, round, received_ns },
    Balance = "balance" { venue, asset, total, received_ns },
    Transfer = "transfer" { venue, asset, amount, received_ns },
    Budget = "budget" { venue, used_weight, weight_limit, used_orders, order_limit, received_ns },
});
kinds!(RiskCommand {
    SetTradingState = "set_trading_state" (state),
    CancelAll = "cancel_all",
    TakeLimits = "take_limits",
    TakeOverride = "take_override",
    Reset = "reset" (strategy),
    Clock = "clock" { venue, offset_ns },
    ClockJump = "clock_jump" { by_ns },
    Volume = "volume" { instrument, day_volume },
});
kinds!(Round { Begun = "begun", Ended = "ended" { is_conclusive }, Failed = "failed" });
kinds!(Outgoing {
    None = "none",
    Orders = "orders" (venue),
    Cancels = "cancels" (venue),
    Updates = "updates" (shard),
    Intents = "intents",
    CancelIntents = "cancel_intents",
    Marks = "marks",
    Reports = "reports",
});
structs! {
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
}

#[cfg(test)]
mod tests {
    use super::super::text::Style;
    use super::super::words::Words;
    use super::*;
    use crate::types::Binary;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_of_entry_is_an_object_with_its_kind_and_reads_in_both_styles() {
        let words = Words::default();
        let mut kinds = BTreeSet::new();
        for tag in 0..40_u8 {
            for inner in 0..8_u8 {
                // A gateway message, a command, a market event of each kind.
                let mut bytes = vec![0; 300];
                bytes[0] = tag;
                let place = match tag {
                    5 => 2,
                    18 => 6,
                    _ => 1,
                };
                bytes[place] = inner;
                let Some(event) = Event::take(&mut bytes.as_slice()) else { continue };
                let mut writer = Writer::new(Style::Json, &words);
                event.write(&mut writer);
                let json = writer.finish();
                let value: serde_json::Value = serde_json::from_str(&json).expect(&json);
                assert_eq!(value["kind"], event.kind());
                let nested = [&value["message"]["kind"], &value["command"]["kind"], &value["message"]["event"]["kind"]];
                kinds.insert((event.kind(), nested.map(|kind| kind.as_str().unwrap_or_default().to_owned())));
                let mut writer = Writer::new(Style::Words, &words);
                event.write(&mut writer);
                assert!(!writer.finish().contains('"'));
            }
        }
        assert_eq!(kinds.len(), 27 - 3 + 7 + 8 + 8, "{kinds:?}");
    }
}
