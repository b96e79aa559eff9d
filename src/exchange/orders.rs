//! What the exchange knows of every order and fill, and how Binance writes it.

use super::text::decimal;
use crate::matching::{AccountId, Fill, SelfTrade};
use crate::types::{LiquiditySide, Side, TimeInForce};
use std::fmt::Write;

/// How an order is priced, in Binance's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Limit,
    LimitMaker,
    Market,
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

pub(super) fn self_trade_name(mode: SelfTrade) -> &'static str {
    if mode == SelfTrade::ExpireMaker { "EXPIRE_MAKER" } else { "EXPIRE_TAKER" }
}

impl OrderRecord {
    pub(super) fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Limit => "LIMIT",
            Kind::LimitMaker => "LIMIT_MAKER",
            Kind::Market => "MARKET",
        }
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
            self.kind_name(),
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
            ",\"stopPrice\":\"0.00000000\",\"icebergQty\":\"0.00000000\",\"time\":{},\"updateTime\":{},\"isWorking\":true,\
             \"workingTime\":{},\"selfTradePreventionMode\":\"{}\"}}",
            self.created_ms,
            self.updated_ms,
            self.created_ms,
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
                ",\"workingTime\":{},\"selfTradePreventionMode\":\"{}\"",
                self.created_ms,
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
        let _ = write!(out, ",\"selfTradePreventionMode\":\"{}\"}}", self_trade_name(self.self_trade));
        out
    }

    /// The user event of what just happened to it.
    pub(super) fn execution_report(&self, symbol: &str, fee_asset: Option<&str>, execution: &Execution<'_>) -> String {
        let fill = execution.fill.map(|record| record.fill);
        let (last_quantity, last_price, last_amount, fee) =
            fill.map_or((0, 0, 0, 0), |fill| (fill.quantity.0, fill.price.0, fill.amount, fill.fee));
        let mut out = format!(
            "{{\"e\":\"executionReport\",\"E\":{},\"s\":\"{symbol}\",\"c\":\"{}\",\"S\":\"{}\",\"o\":\"{}\",\"f\":\"{}\",\"q\":\"{}\",\
             \"p\":\"{}\",\"P\":\"0.00000000\",\"F\":\"0.00000000\",\"g\":-1,\"C\":\"{}\",\"x\":\"{}\",\"X\":\"{}\",\"r\":\"NONE\",",
            execution.event_ms,
            execution.client_order_id,
            side_name(self.side),
            self.kind_name(),
            self.time_in_force_name(),
            decimal(self.quantity),
            decimal(self.price),
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
             \"W\":{},\"V\":\"{}\"}}",
            self.updated_ms,
            execution.execution_id,
            self.status.is_open(),
            execution.fill.is_some(),
            self.created_ms,
            decimal(self.executed_amount),
            decimal(last_amount),
            decimal(self.quote_quantity),
            self.created_ms,
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
