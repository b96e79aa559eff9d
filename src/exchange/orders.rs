//! What the exchange knows of every order and fill, and how Binance writes it.

use super::text::decimal;
use crate::matching::{AccountId, Fill, SelfTrade, Trigger};
use crate::types::{LiquiditySide, Price, Side, TimeInForce};
use std::fmt::Write;

/// How an order is priced, in Binance's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Limit,
    LimitMaker,
    Market,
    StopLoss,
    StopLossLimit,
    TakeProfit,
    TakeProfitLimit,
}

/// Names of [`Kind`] on the wire.
const KINDS: [(Kind, &str); 7] = [
    (Kind::Limit, "LIMIT"),
    (Kind::LimitMaker, "LIMIT_MAKER"),
    (Kind::Market, "MARKET"),
    (Kind::StopLoss, "STOP_LOSS"),
    (Kind::StopLossLimit, "STOP_LOSS_LIMIT"),
    (Kind::TakeProfit, "TAKE_PROFIT"),
    (Kind::TakeProfitLimit, "TAKE_PROFIT_LIMIT"),
];

impl Kind {
    pub(super) fn parse(text: &str) -> Option<Self> {
        KINDS.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind)
    }

    pub(super) fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Every name, as `exchangeInfo` lists them.
    pub(super) fn names() -> String {
        KINDS.map(|(_, name)| format!("\"{name}\"")).join(",")
    }

    /// Whether it has a limit price.
    pub(super) fn is_limited(self) -> bool {
        !matches!(self, Self::Market | Self::StopLoss | Self::TakeProfit)
    }

    /// Whether it has a time in force of its own.
    pub(super) fn is_timed(self) -> bool {
        self.is_limited() && self != Self::LimitMaker
    }

    /// What an order of this kind waits for, with this stop price; `None` where it waits for nothing.
    pub(super) fn trigger(self, side: Side, stop: Price) -> Option<Trigger> {
        let stops_loss = match self {
            Self::StopLoss | Self::StopLossLimit => true,
            Self::TakeProfit | Self::TakeProfitLimit => false,
            Self::Limit | Self::LimitMaker | Self::Market => return None,
        };
        Some(if stops_loss == (side == Side::Buy) { Trigger::AtOrAbove(stop) } else { Trigger::AtOrBelow(stop) })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    New,
    PartiallyFilled,
    Filled,
    Canceled,
    Expired,
    ExpiredInMatch,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::PartiallyFilled => "PARTIALLY_FILLED",
            Self::Filled => "FILLED",
            Self::Canceled => "CANCELED",
            Self::Expired => "EXPIRED",
            Self::ExpiredInMatch => "EXPIRED_IN_MATCH",
        }
    }

    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::New | Self::PartiallyFilled)
    }
}

/// One order, open or not.
#[derive(Clone, Debug)]
pub(super) struct OrderRecord {
    pub id: u64,
    pub symbol: usize,
    pub account: AccountId,
    pub client_order_id: String,
    pub side: Side,
    pub kind: Kind,
    pub time_in_force: TimeInForce,
    pub price: i64,
    /// Zero where it is not a stop order.
    pub stop_price: i64,
    /// Since when it works; `None` of a stop order that was not triggered.
    pub working_ms: Option<u64>,
    pub quantity: i64,
    pub quote_quantity: i64,
    pub executed: i64,
    pub executed_amount: i64,
    pub status: Status,
    pub self_trade: SelfTrade,
    pub created_ms: u64,
    pub updated_ms: u64,
}

/// One fill of one order.
#[derive(Clone, Debug)]
pub(super) struct FillRecord {
    pub id: u64,
    pub order: u64,
    pub symbol: usize,
    pub account: AccountId,
    pub side: Side,
    pub fill: Fill,
    pub at_ms: u64,
}

/// What an execution report tells besides the order itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Execution<'a> {
    pub execution_id: u64,
    pub event_ms: u64,
    /// NEW, CANCELED, TRADE, EXPIRED or TRADE_PREVENTION.
    pub kind: &'static str,
    /// The client order id that this report carries: of a cancel request, its own.
    pub client_order_id: &'a str,
    /// The one it canceled; else empty.
    pub original_client_order_id: &'a str,
    pub fill: Option<&'a FillRecord>,
}

pub(super) fn side_name(side: Side) -> &'static str {
    if side == Side::Buy { "BUY" } else { "SELL" }
}

/// Names of [`SelfTrade`] on the wire; the first is the default.
const SELF_TRADES: [(SelfTrade, &str); 4] = [
    (SelfTrade::ExpireMaker, "EXPIRE_MAKER"),
    (SelfTrade::ExpireTaker, "EXPIRE_TAKER"),
    (SelfTrade::ExpireBoth, "EXPIRE_BOTH"),
    (SelfTrade::Allowed, "NONE"),
];

pub(super) fn self_trade_of(text: &str) -> Option<SelfTrade> {
    SELF_TRADES.iter().find(|(_, name)| *name == text).map(|(mode, _)| *mode)
}

/// Every mode, as `exchangeInfo` lists them.
pub(super) fn self_trade_names() -> String {
    SELF_TRADES.map(|(_, name)| format!("\"{name}\"")).join(",")
}

fn self_trade_name(mode: SelfTrade) -> &'static str {
    SELF_TRADES.iter().find(|(known, _)| *known == mode).map_or("", |(_, name)| name)
}

impl OrderRecord {
    /// `"stopPrice":"…",` where it has one.
    fn stop_price_field(&self) -> String {
        if self.stop_price > 0 { format!("\"stopPrice\":\"{}\",", decimal(self.stop_price)) } else { String::new() }
    }

    /// `"NAME":…,` of an order that works.
    fn working_time_field(&self, name: &str) -> String {
        self.working_ms.map_or_else(String::new, |at_ms| format!("\"{name}\":{at_ms},"))
    }

    fn time_in_force_name(&self) -> &'static str {
        match self.time_in_force {
            TimeInForce::GoodTillCanceled | TimeInForce::Day => "GTC",
            TimeInForce::ImmediateOrCancel => "IOC",
            TimeInForce::FillOrKill => "FOK",
        }
    }

    /// The part that answers and queries share, from `price` to `side`.
    fn write_terms(&self, out: &mut String) {
        let _ = write!(
            out,
            "\"price\":\"{}\",\"origQty\":\"{}\",\"executedQty\":\"{}\",\"origQuoteOrderQty\":\"{}\",\
             \"cummulativeQuoteQty\":\"{}\",\"status\":\"{}\",\"timeInForce\":\"{}\",\"type\":\"{}\",\"side\":\"{}\"",
            decimal(self.price),
            decimal(self.quantity),
            decimal(self.executed),
            decimal(self.quote_quantity),
            decimal(self.executed_amount),
            self.status.name(),
            self.time_in_force_name(),
            self.kind.name(),
            side_name(self.side),
        );
    }

    /// As an order query answers it.
    pub(super) fn query(&self, symbol: &str) -> String {
        let mut out = format!(
            "{{\"symbol\":\"{symbol}\",\"orderId\":{},\"orderListId\":-1,\"clientOrderId\":\"{}\",",
            self.id, self.client_order_id
        );
        self.write_terms(&mut out);
        let _ = write!(
            out,
            ",\"stopPrice\":\"{}\",\"icebergQty\":\"0.00000000\",\"time\":{},\"updateTime\":{},\"isWorking\":{},\
             \"workingTime\":{},\"selfTradePreventionMode\":\"{}\"}}",
            decimal(self.stop_price),
            self.created_ms,
            self.updated_ms,
            self.working_ms.is_some(),
            self.working_ms.map_or("-1".to_owned(), |at_ms| at_ms.to_string()),
            self_trade_name(self.self_trade)
        );
        out
    }

    /// As placing it answers: `ACK`, `RESULT` or `FULL`.
    pub(super) fn placed(
        &self,
        symbol: &str,
        detail: &str,
        fills: &[FillRecord],
        asset: impl Fn(&Fill) -> String,
    ) -> String {
        let mut out = format!(
            "{{\"symbol\":\"{symbol}\",\"orderId\":{},\"orderListId\":-1,\"clientOrderId\":\"{}\",\"transactTime\":{}",
            self.id, self.client_order_id, self.updated_ms
        );
        if detail != "ACK" {
            out.push(',');
            self.write_terms(&mut out);
            let _ = write!(
                out,
                ",{}{}\"selfTradePreventionMode\":\"{}\"",
                self.stop_price_field(),
                self.working_time_field("workingTime"),
                self_trade_name(self.self_trade)
            );
        }
        if detail == "FULL" {
            out.push_str(",\"fills\":[");
            for (index, record) in fills.iter().enumerate() {
                let _ = write!(
                    out,
                    "{}{{\"price\":\"{}\",\"qty\":\"{}\",\"commission\":\"{}\",\"commissionAsset\":\"{}\",\"tradeId\":{}}}",
                    if index > 0 { "," } else { "" },
                    decimal(record.fill.price.0),
                    decimal(record.fill.quantity.0),
                    decimal(record.fill.fee),
                    asset(&record.fill),
                    record.id
                );
            }
            out.push(']');
        }
        out.push('}');
        out
    }

    /// As canceling it answers.
    pub(super) fn canceled(&self, symbol: &str, cancel_id: &str) -> String {
        let mut out = format!(
            "{{\"symbol\":\"{symbol}\",\"origClientOrderId\":\"{}\",\"orderId\":{},\"orderListId\":-1,\
             \"clientOrderId\":\"{cancel_id}\",\"transactTime\":{},",
            self.client_order_id, self.id, self.updated_ms
        );
        self.write_terms(&mut out);
        let (stop_price, mode) = (self.stop_price_field(), self_trade_name(self.self_trade));
        let _ = write!(out, ",{stop_price}\"selfTradePreventionMode\":\"{mode}\"}}");
        out
    }

    /// The user event of what just happened to it.
    pub(super) fn execution_report(&self, symbol: &str, fee_asset: Option<&str>, execution: &Execution<'_>) -> String {
        let fill = execution.fill.map(|record| record.fill);
        let (last_quantity, last_price, last_amount, fee) =
            fill.map_or((0, 0, 0, 0), |fill| (fill.quantity.0, fill.price.0, fill.amount, fill.fee));
        let mut out = format!(
            "{{\"e\":\"executionReport\",\"E\":{},\"s\":\"{symbol}\",\"c\":\"{}\",\"S\":\"{}\",\"o\":\"{}\",\"f\":\"{}\",\"q\":\"{}\",\
             \"p\":\"{}\",\"P\":\"{}\",\"F\":\"0.00000000\",\"g\":-1,\"C\":\"{}\",\"x\":\"{}\",\"X\":\"{}\",\"r\":\"NONE\",",
            execution.event_ms,
            execution.client_order_id,
            side_name(self.side),
            self.kind.name(),
            self.time_in_force_name(),
            decimal(self.quantity),
            decimal(self.price),
            decimal(self.stop_price),
            execution.original_client_order_id,
            execution.kind,
            self.status.name(),
        );
        let _ = write!(
            out,
            "\"i\":{},\"l\":\"{}\",\"z\":\"{}\",\"L\":\"{}\",",
            self.id,
            decimal(last_quantity),
            decimal(self.executed),
            decimal(last_price)
        );
        match fee_asset {
            Some(asset) => {
                let _ = write!(out, "\"n\":\"{}\",\"N\":\"{asset}\",", decimal(fee));
            }
            None => out.push_str("\"n\":\"0\",\"N\":null,"),
        }
        let trade_id = execution.fill.map_or("-1".to_owned(), |record| record.id.to_string());
        let is_maker = fill.is_some_and(|fill| fill.liquidity == LiquiditySide::Maker);
        let _ = write!(
            out,
            "\"T\":{},\"t\":{trade_id},\"I\":{},\"w\":{},\"m\":{is_maker},\"M\":{},\"O\":{},\"Z\":\"{}\",\"Y\":\"{}\",\"Q\":\"{}\",\
             {}\"V\":\"{}\"}}",
            self.updated_ms,
            execution.execution_id,
            self.status.is_open() && self.working_ms.is_some(),
            execution.fill.is_some(),
            self.created_ms,
            decimal(self.executed_amount),
            decimal(last_amount),
            decimal(self.quote_quantity),
            self.working_time_field("W"),
            self_trade_name(self.self_trade),
        );
        out
    }
}

impl FillRecord {
    /// As `myTrades` answers it.
    pub(super) fn query(&self, symbol: &str, fee_asset: &str) -> String {
        format!(
            "{{\"symbol\":\"{symbol}\",\"id\":{},\"orderId\":{},\"orderListId\":-1,\"price\":\"{}\",\"qty\":\"{}\",\
             \"quoteQty\":\"{}\",\"commission\":\"{}\",\"commissionAsset\":\"{fee_asset}\",\"time\":{},\"isBuyer\":{},\
             \"isMaker\":{},\"isBestMatch\":true}}",
            self.id,
            self.order,
            decimal(self.fill.price.0),
            decimal(self.fill.quantity.0),
            decimal(self.fill.amount),
            decimal(self.fill.fee),
            self.at_ms,
            self.side == Side::Buy,
            self.fill.liquidity == LiquiditySide::Maker,
        )
    }
}
