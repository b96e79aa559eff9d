//! The venue's words and rows, and what they are to us.

use super::super::document::{Letters, Value, pick};
use super::super::market::DecodeError;
use super::super::order_entry::RequestKind;
use super::{Account, BALANCES_MAX, Balance, Leg, Legs, ROWS_MAX, Response, UserFrame, VenueError};
use crate::types::{
    AssetId, ClientOrderId, Excerpt, ExecutionReport, Instrument, InstrumentId, Instruments, LiquiditySide, Money,
    OrderStatus, ParseFixedError, Price, Quantity, ReportKind, Side, Timestamp, VenueId, fixed::pow10, parse_fixed,
};
use std::sync::Arc;

/// What the venue's names are to us.
pub(super) struct Names {
    pub(super) instruments: Arc<Instruments>,
    pub(super) venue: VenueId,
}

impl Names {
    fn instrument(&self, symbol: &str) -> Option<&Instrument> {
        self.instruments.find(self.venue, symbol.as_bytes())
    }

    fn asset(&self, value: Option<Value<'_, '_>>) -> AssetId {
        value
            .and_then(Value::text)
            .and_then(|name| self.instruments.asset_named(name.as_bytes()))
            .unwrap_or(AssetId::NONE)
    }

    pub(super) fn execution_report(&self, event: Value<'_, '_>) -> Result<UserFrame, DecodeError> {
        let letters = Letters::of(event)?;
        let [symbol, client, original, side] = [b's', b'c', b'C', b'S'].map(|letter| letters.get(letter));
        let [kind, status, reason, order] = [b'x', b'X', b'r', b'i'].map(|letter| letters.get(letter));
        let [last_quantity, total, last_price] = [b'l', b'z', b'L'].map(|letter| letters.get(letter));
        let [fee, fee_asset, time, trade] = [b'n', b'N', b'T', b't'].map(|letter| letters.get(letter));
        let [is_maker, whole, limit, stop] = [b'm', b'q', b'p', b'P'].map(|letter| letters.get(letter));
        // A cancel has an id of its own in `c`, and that of the order it cancels in `C`.
        let client = match original.and_then(Value::text) {
            Some(original) if !original.is_empty() => original,
            _ => required("c", client)?,
        };
        let mut report = ExecutionReport {
            client_order_id: ClientOrderId::parse(client.as_bytes()).unwrap_or(ClientOrderId::NONE),
            venue_order_id: unsigned("i", order)?,
            exchange_ns: Timestamp::from_millis(unsigned("T", time)?),
            instrument: InstrumentId::NONE,
            fee_asset: AssetId::NONE,
            side: side_of(required("S", side)?)?,
            ..ExecutionReport::default()
        };
        let known_status = status_of(required("X", status)?);
        report.status = known_status.unwrap_or(OrderStatus::Unknown);
        let mut last = Quantity::ZERO;
        if let Some(instrument) = self.instrument(required("s", symbol)?) {
            report.instrument = instrument.id;
            report.cumulative_quantity = quantity("z", total, instrument)?;
            last = quantity("l", last_quantity, instrument)?;
            report.last_price = price("L", last_price, instrument)?;
            report.order_quantity = stated_quantity("q", whole, instrument)?;
            report.order_price = first_price([("p", limit), ("P", stop)], instrument)?;
        }
        let kind = required("x", kind)?;
        let trade = trade.and_then(Value::unsigned).unwrap_or(0);
        // The venue has sent TRADE without a trade (no id, no quantity) for what is a change of status only.
        let is_trade = kind == "TRADE" && trade != 0 && (last.0 > 0 || report.instrument == InstrumentId::NONE);
        if is_trade {
            report.execution_id = trade;
            report.last_quantity = last;
            report.fee = fixed("n", fee, ExecutionReport::FEE_PRECISION)?;
            report.fee_asset = self.asset(fee_asset);
            let is_maker = is_maker.and_then(Value::boolean).ok_or(DecodeError::Field("m"))?;
            report.liquidity = if is_maker { LiquiditySide::Maker } else { LiquiditySide::Taker };
        } else {
            report.last_price = Price::ZERO;
        }
        let known_kind = match (kind, report.status) {
            // A fill without a price cannot be booked: its order's trades tell it.
            ("TRADE", _) if is_trade && last.0 > 0 && report.last_price.0 <= 0 => None,
            ("TRADE", _) if is_trade => Some(ReportKind::Fill),
            ("NEW", _) => Some(ReportKind::Accepted),
            ("REJECTED", _) => Some(ReportKind::Rejected),
            ("CANCELED" | "TRADE", OrderStatus::Canceled) => Some(ReportKind::Canceled),
            // Self-trade prevention took some or all of an order: only the status tells which.
            ("EXPIRED" | "TRADE" | "TRADE_PREVENTION", OrderStatus::Expired) => Some(ReportKind::Expired),
            ("CANCELED" | "EXPIRED" | "TRADE" | "TRADE_PREVENTION", _) => Some(ReportKind::Status),
            _ => None,
        };
        if kind == "REJECTED" {
            report.code = reject_code(reason);
        }
        report.kind = known_kind.unwrap_or(ReportKind::Status);
        let is_known = known_kind.is_some() && known_status.is_some();
        Ok(if is_known { UserFrame::Report(report) } else { UserFrame::UnknownReport(report) })
    }

    pub(super) fn account_position(
        &self,
        event: Value<'_, '_>,
        balances: &mut Vec<Balance>,
    ) -> Result<UserFrame, DecodeError> {
        let [time, list] = pick(event, &["E", "B"])?;
        self.balance_list(list, "a", "f", "l", balances)?;
        let exchange_ns = Timestamp::from_millis(unsigned("E", time)?);
        Ok(UserFrame::Account(Account { exchange_ns, is_absolute: true }))
    }

    pub(super) fn balance_update(
        &self,
        event: Value<'_, '_>,
        balances: &mut Vec<Balance>,
    ) -> Result<UserFrame, DecodeError> {
        let [time, asset, difference] = pick(event, &["E", "a", "d"])?;
        let asset = self.asset(asset);
        if asset != AssetId::NONE {
            balances.push(Balance { asset, free: money("d", difference)?, locked: Money::ZERO });
        }
        let exchange_ns = Timestamp::from_millis(unsigned("E", time)?);
        Ok(UserFrame::Account(Account { exchange_ns, is_absolute: false }))
    }

    fn balance_list(
        &self,
        list: Option<Value<'_, '_>>,
        asset: &'static str,
        free: &'static str,
        locked: &'static str,
        balances: &mut Vec<Balance>,
    ) -> Result<(), DecodeError> {
        let list = list.filter(|list| list.is_array()).ok_or(DecodeError::Field("balances"))?;
        for row in list.elements() {
            let asset = self.asset(row.field(asset));
            if asset == AssetId::NONE {
                continue;
            }
            if balances.len() >= BALANCES_MAX {
                return Err(DecodeError::TooManyRows);
            }
            balances.push(Balance {
                asset,
                free: money(free, row.field(free))?,
                locked: money(locked, row.field(locked))?,
            });
        }
        Ok(())
    }

    pub(super) fn response(
        &self,
        root: Value<'_, '_>,
        reports: &mut Vec<ExecutionReport>,
        balances: &mut Vec<Balance>,
    ) -> Result<Response, DecodeError> {
        let [id, status, result, error, limits] = pick(root, &["id", "status", "result", "error", "rateLimits"])?;
        let (Some(_), Some(status)) = (id, status) else { return Err(DecodeError::Field("id")) };
        let (kind, subject) = RequestKind::parse(id.and_then(Value::text).unwrap_or_default().as_bytes());
        let status = unsigned("status", Some(status))?;
        let (used_weight, used_orders) = limits.map_or((0, 0), usage);
        // Of a replace the halves are told where the answer has its result, or what an error has with it.
        let halves = if error.is_some() { error.and_then(|error| error.field("data")) } else { result };
        let halves = halves.filter(|halves| kind == RequestKind::Replace && halves.is_object());
        let response = Response {
            kind,
            subject,
            legs: halves.map(legs).transpose()?,
            status: u16::try_from(status).map_err(|_| DecodeError::Field("status"))?,
            error: error.map(venue_error).transpose()?,
            used_weight,
            used_orders,
        };
        if response.status == 200 && response.error.is_none() {
            let result = result.ok_or(DecodeError::Field("result"))?;
            match kind {
                RequestKind::Place | RequestKind::Cancel | RequestKind::Status => self.row(kind, result, reports)?,
                RequestKind::Replace => {
                    let [canceled, placed] = pick(result, &["cancelResponse", "newOrderResponse"])?;
                    self.row(RequestKind::Cancel, canceled.ok_or(DecodeError::Field("cancelResponse"))?, reports)?;
                    self.row(RequestKind::Place, placed.ok_or(DecodeError::Field("newOrderResponse"))?, reports)?;
                }
                RequestKind::CancelAll | RequestKind::OpenOrders | RequestKind::MyTrades | RequestKind::Fills => {
                    if !result.is_array() {
                        return Err(DecodeError::Field("result"));
                    }
                    self.rows(kind, result, reports)?;
                }
                RequestKind::Account => {
                    self.balance_list(result.field("balances"), "asset", "free", "locked", balances)?
                }
                RequestKind::Logon | RequestKind::Subscribe | RequestKind::Foreign => {}
            }
        }
        Ok(response)
    }

    pub(super) fn rows(
        &self,
        kind: RequestKind,
        list: Value<'_, '_>,
        reports: &mut Vec<ExecutionReport>,
    ) -> Result<(), DecodeError> {
        for row in list.elements() {
            // A canceled order list has no number of its own; its orders are told by their execution reports.
            if kind == RequestKind::CancelAll && row.field("orderId").is_none() && row.field("orderListId").is_some() {
                continue;
            }
            self.row(kind, row, reports)?;
        }
        Ok(())
    }

    fn row(
        &self,
        kind: RequestKind,
        row: Value<'_, '_>,
        reports: &mut Vec<ExecutionReport>,
    ) -> Result<(), DecodeError> {
        if reports.len() >= ROWS_MAX {
            return Err(DecodeError::TooManyRows);
        }
        reports.push(match kind {
            RequestKind::MyTrades | RequestKind::Fills => self.fill_row(row)?,
            _ => self.order_row(kind, row)?,
        });
        Ok(())
    }

    fn order_row(&self, kind: RequestKind, row: Value<'_, '_>) -> Result<ExecutionReport, DecodeError> {
        let [symbol, order, client, original, total, status, side] =
            pick(row, &["symbol", "orderId", "clientOrderId", "origClientOrderId", "executedQty", "status", "side"])?;
        let [transacted, updated] = pick(row, &["transactTime", "updateTime"])?;
        let client = required("clientOrderId", original.or(client))?;
        let mut report = ExecutionReport {
            client_order_id: ClientOrderId::parse(client.as_bytes()).unwrap_or(ClientOrderId::NONE),
            venue_order_id: unsigned("orderId", order)?,
            instrument: InstrumentId::NONE,
            fee_asset: AssetId::NONE,
            ..ExecutionReport::default()
        };
        if let Some(time) = transacted.or(updated) {
            report.exchange_ns = Timestamp::from_millis(unsigned("updateTime", Some(time))?);
        }
        let instrument = self.instrument(required("symbol", symbol)?);
        report.instrument = instrument.map_or(InstrumentId::NONE, |instrument| instrument.id);
        // An ACK says no more than that.
        let Some(status) = status else {
            if kind != RequestKind::Place {
                return Err(DecodeError::Field("status"));
            }
            (report.kind, report.status) = (ReportKind::Accepted, OrderStatus::Accepted);
            return Ok(report);
        };
        report.status = status_of(required("status", Some(status))?).unwrap_or(OrderStatus::Unknown);
        report.side = side_of(required("side", side)?)?;
        if let Some(instrument) = instrument {
            report.cumulative_quantity = quantity("executedQty", total, instrument)?;
            let [whole, limit, stop] = pick(row, &["origQty", "price", "stopPrice"])?;
            report.order_quantity = stated_quantity("origQty", whole, instrument)?;
            report.order_price = first_price([("price", limit), ("stopPrice", stop)], instrument)?;
        }
        report.kind = match (kind, report.status) {
            (RequestKind::Cancel | RequestKind::CancelAll, OrderStatus::Canceled) => ReportKind::Canceled,
            (RequestKind::Place, OrderStatus::Accepted) => ReportKind::Accepted,
            _ => ReportKind::Status,
        };
        Ok(report)
    }

    fn fill_row(&self, row: Value<'_, '_>) -> Result<ExecutionReport, DecodeError> {
        let [symbol, trade, order, at_price, of_quantity, fee, fee_asset, time] =
            pick(row, &["symbol", "id", "orderId", "price", "qty", "commission", "commissionAsset", "time"])?;
        let [is_buyer, is_maker] = pick(row, &["isBuyer", "isMaker"])?;
        let boolean =
            |field, value: Option<Value<'_, '_>>| value.and_then(Value::boolean).ok_or(DecodeError::Field(field));
        let mut report = ExecutionReport {
            venue_order_id: unsigned("orderId", order)?,
            execution_id: unsigned("id", trade)?,
            exchange_ns: Timestamp::from_millis(unsigned("time", time)?),
            fee: fixed("commission", fee, ExecutionReport::FEE_PRECISION)?,
            fee_asset: self.asset(fee_asset),
            instrument: InstrumentId::NONE,
            kind: ReportKind::Fill,
            status: OrderStatus::PartiallyFilled,
            side: if boolean("isBuyer", is_buyer)? { Side::Buy } else { Side::Sell },
            liquidity: if boolean("isMaker", is_maker)? { LiquiditySide::Maker } else { LiquiditySide::Taker },
            ..ExecutionReport::default()
        };
        if let Some(instrument) = self.instrument(required("symbol", symbol)?) {
            report.instrument = instrument.id;
            report.last_price = price("price", at_price, instrument)?;
            report.last_quantity = quantity("qty", of_quantity, instrument)?;
        }
        Ok(report)
    }
}

/// Zero where the venue does not state it.
fn stated_quantity(
    field: &'static str,
    value: Option<Value<'_, '_>>,
    instrument: &Instrument,
) -> Result<Quantity, DecodeError> {
    if value.is_none() { Ok(Quantity::ZERO) } else { quantity(field, value, instrument) }
}

/// The first of these prices that is there and not zero.
fn first_price(
    fields: [(&'static str, Option<Value<'_, '_>>); 2],
    instrument: &Instrument,
) -> Result<Price, DecodeError> {
    for (name, value) in fields {
        if value.is_some() {
            let found = price(name, value, instrument)?;
            if found != Price::ZERO {
                return Ok(found);
            }
        }
    }
    Ok(Price::ZERO)
}

/// The error of an answer, or of a REST body.
pub(in super::super) fn venue_error(error: Value<'_, '_>) -> Result<VenueError, DecodeError> {
    let [code, message, data] = pick(error, &["code", "msg", "data"])?;
    let code =
        code.and_then(Value::signed).and_then(|code| i32::try_from(code).ok()).ok_or(DecodeError::Field("code"))?;
    let message = Excerpt::new(message.and_then(Value::text).unwrap_or_default().as_bytes());
    let retry_after = data.and_then(|data| data.field("retryAfter")).and_then(Value::unsigned).unwrap_or(0);
    Ok(VenueError { code, message, retry_after: Timestamp::from_millis(retry_after) })
}

/// What became of a replace's halves.
fn legs(halves: Value<'_, '_>) -> Result<Legs, DecodeError> {
    let [canceled, cancel_answer] = pick(halves, &["cancelResult", "cancelResponse"])?;
    let [placed, place_answer] = pick(halves, &["newOrderResult", "newOrderResponse"])?;
    let leg = |result: Option<Value<'_, '_>>, answer: Option<Value<'_, '_>>| match result.and_then(Value::text) {
        Some("SUCCESS") => Leg::Done,
        Some("NOT_ATTEMPTED") => Leg::NotTried,
        Some("FAILURE") => {
            let code = answer.and_then(|answer| answer.field("code")).and_then(Value::signed);
            code.and_then(|code| i32::try_from(code).ok()).map_or(Leg::Unproven, Leg::Refused)
        }
        _ => Leg::Unproven,
    };
    Ok(Legs { cancel: leg(canceled, cancel_answer), place: leg(placed, place_answer) })
}

/// The weight of the running minute and the orders of the running ten seconds.
fn usage(limits: Value<'_, '_>) -> (u32, u32) {
    let (mut weight, mut orders) = (0, 0);
    for limit in limits.elements() {
        let kind = limit.field("rateLimitType").and_then(Value::text);
        let interval = limit.field("interval").and_then(Value::text);
        let count =
            limit.field("count").and_then(Value::unsigned).and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        match (kind, interval) {
            (Some("REQUEST_WEIGHT"), Some("MINUTE")) => weight = count,
            (Some("ORDERS"), Some("SECOND")) => orders = count,
            _ => {}
        }
    }
    (weight, orders)
}

/// The venue's words for where an order stands; `None` for one that we do not know.
fn status_of(text: &str) -> Option<OrderStatus> {
    Some(match text {
        "NEW" => OrderStatus::Accepted,
        "PENDING_NEW" => OrderStatus::Sent,
        "PARTIALLY_FILLED" => OrderStatus::PartiallyFilled,
        "FILLED" => OrderStatus::Filled,
        "CANCELED" => OrderStatus::Canceled,
        "PENDING_CANCEL" => OrderStatus::PendingCancel,
        "REJECTED" => OrderStatus::Rejected,
        "EXPIRED" | "EXPIRED_IN_MATCH" => OrderStatus::Expired,
        _ => return None,
    })
}

/// The code that a refusal of this reason has in answers: new order rejected.
fn reject_code(reason: Option<Value<'_, '_>>) -> i32 {
    if reason.and_then(Value::text).is_none_or(|reason| reason == "NONE") { 0 } else { -2010 }
}

fn side_of(text: &str) -> Result<Side, DecodeError> {
    match text {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(DecodeError::Field("side")),
    }
}

fn required<'i>(field: &'static str, value: Option<Value<'_, 'i>>) -> Result<&'i str, DecodeError> {
    value.and_then(Value::text).ok_or(DecodeError::Field(field))
}

fn unsigned(field: &'static str, value: Option<Value<'_, '_>>) -> Result<u64, DecodeError> {
    value.and_then(Value::unsigned).ok_or(DecodeError::Field(field))
}

fn fixed(field: &'static str, value: Option<Value<'_, '_>>, precision: u8) -> Result<i64, DecodeError> {
    parse_fixed(required(field, value)?.as_bytes(), precision).map_err(|reason| DecodeError::Number { field, reason })
}

fn price(field: &'static str, value: Option<Value<'_, '_>>, instrument: &Instrument) -> Result<Price, DecodeError> {
    fixed(field, value, instrument.price_precision).map(Price)
}

fn quantity(
    field: &'static str,
    value: Option<Value<'_, '_>>,
    instrument: &Instrument,
) -> Result<Quantity, DecodeError> {
    fixed(field, value, instrument.quantity_precision).map(Quantity)
}

fn money(field: &'static str, value: Option<Value<'_, '_>>) -> Result<Money, DecodeError> {
    parse_money(required(field, value)?).map_err(|reason| DecodeError::Number { field, reason })
}

/// Reads a decimal of up to 18 places as money. Balances of small tokens do not fit 64 bits at eight places, so whole
/// and fraction are read apart.
pub(in super::super) fn parse_money(text: &str) -> Result<Money, ParseFixedError> {
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    // A sign here would be a second one; both parts are digits only.
    let part = |part: &str| {
        if part.starts_with('-') { Err(ParseFixedError::NotANumber) } else { parse_fixed(part.as_bytes(), 0) }
    };
    let mut value = i128::from(part(whole)?).checked_mul(ONE).ok_or(ParseFixedError::Overflow)?;
    if let Some(fraction) = fraction {
        let places = u8::try_from(fraction.len()).unwrap_or(u8::MAX);
        let scale = pow10(Money::PRECISION.checked_sub(places).ok_or(ParseFixedError::TooPrecise)?);
        let fraction = i128::from(part(fraction)?).checked_mul(i128::from(scale.ok_or(ParseFixedError::Overflow)?));
        value = fraction.and_then(|fraction| value.checked_add(fraction)).ok_or(ParseFixedError::Overflow)?;
    }
    Ok(Money(if is_negative { -value } else { value }))
}

/// One whole unit as money.
const ONE: i128 = 1_000_000_000_000_000_000;
