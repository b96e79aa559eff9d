//! Orders in, queries of them, and what accounts are told.

use super::core::{Core, ORDERS_MAX};
use super::error::ApiError;
use super::orders::{Execution, FillRecord, Kind, OrderRecord, Status, self_trade_of, side_name};
use super::public::array;
use super::request::Params;
use super::text::decimal;
use crate::matching::{AccountId, Ended, Fill, NewOrder, OrderId, Report, SelfTrade, Size, amount};
use crate::types::{OrderType, Price, Quantity, Side, TimeInForce};

/// How an order is named in a request about it: by its number, or by its client order id.
const ORDER_NAMES: (&str, &str) = ("orderId", "origClientOrderId");

impl Core {
    /// `order.place`, `POST /api/v3/order`; with `is_test` only what [`Core::admit`] judges is judged, and nothing happens.
    pub(super) fn place(
        &mut self,
        account: AccountId,
        params: &Params,
        now_ms: u64,
        is_test: bool,
    ) -> Result<String, ApiError> {
        let (record, detail) = self.admit(account, params, now_ms)?;
        if is_test {
            return Ok("{}".to_owned());
        }
        self.limits.order(now_ms, account)?;
        self.submit(record, detail, now_ms)
    }

    /// Reads an order, and in what detail it is to be answered, and judges it by all rules that need no matching.
    pub(super) fn admit(
        &self,
        account: AccountId,
        params: &Params,
        now_ms: u64,
    ) -> Result<(OrderRecord, &'static str), ApiError> {
        let record = self.read_order(account, params, now_ms)?;
        let detail = match params.text("newOrderRespType") {
            None if matches!(record.kind, Kind::Limit | Kind::Market) => "FULL",
            None | Some("ACK") => "ACK",
            Some("RESULT") => "RESULT",
            Some("FULL") => "FULL",
            Some(_) => return Err(ApiError::bad_value("newOrderRespType")),
        };
        self.check_filters(&record, now_ms)?;
        Ok((record, detail))
    }

    /// Gives an admitted order to matching.
    pub(super) fn submit(&mut self, record: OrderRecord, detail: &str, now_ms: u64) -> Result<String, ApiError> {
        let account = record.account;
        self.faults.ordered(self.now_ns);
        if self
            .open_orders(account)
            .any(|open| open.symbol == record.symbol && open.client_order_id == record.client_order_id)
        {
            return Err(ApiError::rejected("Duplicate order sent."));
        }
        let new = NewOrder {
            id: OrderId(record.id),
            account,
            side: record.side,
            order_type: if record.kind.is_limited() { OrderType::Limit } else { OrderType::Market },
            time_in_force: record.time_in_force,
            price: Price(record.price),
            size: if record.quantity > 0 {
                Size::Base(Quantity(record.quantity))
            } else {
                Size::Quote(record.quote_quantity)
            },
            is_post_only: record.kind == Kind::LimitMaker,
            self_trade: record.self_trade,
            trigger: record.kind.trigger(record.side, Price(record.stop_price)),
        };
        let mut reports = Vec::new();
        let symbol = record.symbol;
        let quantity = self.symbols[symbol].market.place(&mut self.ledger, &new, &mut reports)?;
        let (id, first_fill) = (record.id, self.fills.len());
        let working_ms = new.trigger.is_none().then_some(now_ms);
        self.orders.push(OrderRecord { quantity: quantity.0, working_ms, ..record });
        self.accounts[usize::from(account.0)].open.push(id);
        self.report(id, "NEW", None, now_ms);
        if reports.is_empty() {
            self.tell_balances(account, symbol, now_ms);
        }
        self.book_reports(symbol, &reports, now_ms);
        let record = &self.orders[index_of(id)];
        let fills: Vec<_> = self.fills[first_fill..].iter().filter(|fill| fill.order == id).cloned().collect();
        let name = &self.symbols[symbol].name;
        Ok(record.placed(name, detail, &fills, |fill| self.asset(fill.fee_asset).to_owned()))
    }

    fn read_order(&self, account: AccountId, params: &Params, now_ms: u64) -> Result<OrderRecord, ApiError> {
        let symbol = self.symbol(params.required("symbol")?)?;
        let side = match params.required("side")? {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => return Err(ApiError::bad_side()),
        };
        let kind = Kind::parse(params.required("type")?).ok_or_else(ApiError::bad_order_type)?;
        let time_in_force = match (kind.is_timed(), params.text("timeInForce")) {
            (true, None) => return Err(ApiError::missing("timeInForce")),
            (true, Some("IOC")) => TimeInForce::ImmediateOrCancel,
            (true, Some("FOK")) => TimeInForce::FillOrKill,
            (true, Some("GTC")) | (false, None) => TimeInForce::GoodTillCanceled,
            (true, Some(_)) => return Err(ApiError::bad_time_in_force()),
            (false, Some(_)) => return Err(ApiError::not_required("timeInForce")),
        };
        let price = match (kind.is_limited(), params.decimal("price")?) {
            (false, None) => 0,
            (false, Some(_)) => return Err(ApiError::not_required("price")),
            (true, price) => price.ok_or_else(|| ApiError::missing("price"))?,
        };
        let stop_price = match (kind.trigger(side, Price(0)), params.decimal("stopPrice")?) {
            (None, None) => 0,
            (None, Some(_)) => return Err(ApiError::not_required("stopPrice")),
            (Some(_), price) => price.ok_or_else(|| ApiError::missing("stopPrice"))?,
        };
        let (quantity, quote_quantity) = match (kind, params.decimal("quantity")?, params.decimal("quoteOrderQty")?) {
            (Kind::Market, Some(_), Some(_)) => return Err(ApiError::bad_combination()),
            (Kind::Market, None, None) => return Err(ApiError::missing_either("quantity", "quoteOrderQty")),
            (Kind::Market, None, Some(quote)) => (0, quote),
            (_, Some(quantity), None) => (quantity, 0),
            (_, None, _) => return Err(ApiError::missing("quantity")),
            (_, Some(_), Some(_)) => return Err(ApiError::not_required("quoteOrderQty")),
        };
        if quantity == 0 && quote_quantity == 0 {
            return Err(ApiError::bad_value("quantity"));
        }
        let self_trade = match params.text("selfTradePreventionMode") {
            None => SelfTrade::default(),
            Some(mode) => self_trade_of(mode).ok_or_else(|| ApiError::bad_value("selfTradePreventionMode"))?,
        };
        let id = self.orders.len() as u64 + 1;
        Ok(OrderRecord {
            id,
            symbol,
            account,
            client_order_id: client_order_id(params, "newClientOrderId", id)?,
            side,
            kind,
            time_in_force,
            price,
            stop_price,
            working_ms: None,
            quantity,
            quote_quantity,
            executed: 0,
            executed_amount: 0,
            status: Status::New,
            self_trade,
            created_ms: now_ms,
            updated_ms: now_ms,
        })
    }

    fn check_filters(&self, record: &OrderRecord, now_ms: u64) -> Result<(), ApiError> {
        let symbol = &self.symbols[record.symbol];
        let filters = &symbol.filters;
        let is_limited = record.kind.is_limited();
        let is_stop = record.kind.trigger(record.side, Price(0)).is_some();
        for price in [is_limited.then_some(record.price), is_stop.then_some(record.stop_price)].into_iter().flatten() {
            let is_in_range = (filters.tick..=filters.price_max).contains(&price);
            if !is_in_range || price % filters.tick != 0 {
                return Err(ApiError::filter("PRICE_FILTER"));
            }
        }
        if record.quantity > 0 {
            let is_in_range = (filters.lot..=filters.quantity_max).contains(&record.quantity);
            if !is_in_range || record.quantity % filters.lot != 0 {
                return Err(ApiError::filter("LOT_SIZE"));
            }
            if !is_limited && record.quantity > filters.market_quantity_max {
                return Err(ApiError::filter("MARKET_LOT_SIZE"));
            }
        }
        let price = match record.kind {
            Kind::Market => symbol.bars.average_price(now_ms).unwrap_or(symbol.top.1.0),
            Kind::StopLoss | Kind::TakeProfit => record.stop_price,
            _ => record.price,
        };
        let notional = if record.quantity > 0 {
            amount(Price(price), Quantity(record.quantity))
        } else {
            Some(record.quote_quantity)
        };
        let is_too_large = is_limited && notional.is_none_or(|notional| notional > filters.notional_max);
        if is_too_large || notional.is_some_and(|notional| notional < filters.notional_min) {
            return Err(ApiError::filter("NOTIONAL"));
        }
        let open = self.open_orders(record.account).filter(|open| open.symbol == record.symbol).count();
        if open >= filters.open_orders_max || self.orders.len() >= ORDERS_MAX {
            return Err(ApiError::filter("MAX_NUM_ORDERS"));
        }
        Ok(())
    }

    /// `order.cancel`, `DELETE /api/v3/order`.
    pub(super) fn cancel(&mut self, account: AccountId, params: &Params, now_ms: u64) -> Result<String, ApiError> {
        let symbol = self.symbol(params.required("symbol")?)?;
        let cancel_id = client_order_id(params, "newClientOrderId", self.executions + 1)?;
        let id = self.cancelable(account, symbol, params, ORDER_NAMES)??;
        Ok(self.cancel_one(id, &cancel_id, now_ms))
    }

    /// The open order that these parameters name, within their `cancelRestrictions`. The outer error is of the request,
    /// the inner one of the order.
    pub(super) fn cancelable(
        &self,
        account: AccountId,
        symbol: usize,
        params: &Params,
        names: (&str, &str),
    ) -> Result<Result<u64, ApiError>, ApiError> {
        let required = match params.text("cancelRestrictions") {
            None => None,
            Some("ONLY_NEW") => Some(Status::New),
            Some("ONLY_PARTIALLY_FILLED") => Some(Status::PartiallyFilled),
            Some(_) => return Err(ApiError::bad_value("cancelRestrictions")),
        };
        let id = match self.find(account, symbol, params, names) {
            Err(error) if error == ApiError::no_such_order() => return Ok(Err(ApiError::unknown_order())),
            found => found?,
        };
        let status = self.orders[index_of(id)].status;
        Ok(match required {
            _ if !status.is_open() => Err(ApiError::unknown_order()),
            Some(required) if required != status => Err(ApiError::restricted_cancel()),
            _ => Ok(id),
        })
    }

    /// `openOrders.cancelAll`, `DELETE /api/v3/openOrders`.
    pub(super) fn cancel_all(&mut self, account: AccountId, params: &Params, now_ms: u64) -> Result<String, ApiError> {
        let symbol = self.symbol(params.required("symbol")?)?;
        let open: Vec<u64> =
            self.open_orders(account).filter(|open| open.symbol == symbol).map(|open| open.id).collect();
        if open.is_empty() {
            return Err(ApiError::unknown_order());
        }
        let mut answers = Vec::with_capacity(open.len());
        for id in open {
            let cancel_id = format!("gx{:020}", self.executions + 1);
            answers.push(self.cancel_one(id, &cancel_id, now_ms));
        }
        Ok(array(answers.into_iter()))
    }

    pub(super) fn cancel_one(&mut self, id: u64, cancel_id: &str, now_ms: u64) -> String {
        let (symbol, account) = (self.orders[index_of(id)].symbol, self.orders[index_of(id)].account);
        let _ = self.symbols[symbol].market.cancel(&mut self.ledger, OrderId(id));
        self.close(id, Status::Canceled, now_ms);
        self.report_cancel(id, cancel_id, now_ms);
        self.tell_balances(account, symbol, now_ms);
        self.orders[index_of(id)].canceled(&self.symbols[symbol].name, cancel_id)
    }

    pub(super) fn order_status(&self, account: AccountId, params: &Params) -> Result<String, ApiError> {
        let symbol = self.symbol(params.required("symbol")?)?;
        let id = self.find(account, symbol, params, ORDER_NAMES)?;
        Ok(self.orders[index_of(id)].query(&self.symbols[symbol].name))
    }

    pub(super) fn open_orders_status(&self, account: AccountId, params: &Params) -> Result<String, ApiError> {
        let symbol = params.text("symbol").map(|symbol| self.symbol(symbol)).transpose()?;
        let wanted = self.open_orders(account).filter(|order| symbol.is_none_or(|symbol| order.symbol == symbol));
        Ok(array(wanted.map(|order| order.query(&self.symbols[order.symbol].name))))
    }

    /// From `orderId` on, or in a span of time, or the last ones.
    pub(super) fn all_orders(&self, account: AccountId, params: &Params) -> Result<String, ApiError> {
        let symbol = self.symbol(params.required("symbol")?)?;
        let window = Window::read(params, "orderId")?;
        let of_account = self.orders.iter().filter(|order| order.account == account && order.symbol == symbol);
        let wanted = window.choose(of_account, |order| (order.id, order.created_ms));
        Ok(array(wanted.into_iter().map(|order| order.query(&self.symbols[symbol].name))))
    }

    /// From `fromId` on, or in a span of time, or the last ones; of one order with `orderId`.
    pub(super) fn my_trades(&self, account: AccountId, params: &Params) -> Result<String, ApiError> {
        let symbol = self.symbol(params.required("symbol")?)?;
        let order = params.integer("orderId")?;
        let window = Window::read(params, "fromId")?;
        let of_account = self.fills.iter().filter(|fill| {
            fill.account == account && fill.symbol == symbol && order.is_none_or(|order| fill.order == order)
        });
        let wanted = window.choose(of_account, |fill| (fill.id, fill.at_ms));
        let name = &self.symbols[symbol].name;
        Ok(array(wanted.into_iter().map(|fill| fill.query(name, self.asset(fill.fill.fee_asset)))))
    }

    pub(super) fn account_status(&self, account: AccountId, params: &Params) -> Result<String, ApiError> {
        let omits_zero = params.text("omitZeroBalances") == Some("true");
        let rate = |ppm: u32| decimal(i64::from(ppm) * 100);
        let state = &self.accounts[usize::from(account.0)];
        let balances = self.assets.iter().enumerate().filter_map(|(index, asset)| {
            let balance = self.ledger.balance(account, crate::types::AssetId(u16::try_from(index).ok()?));
            let is_zero = balance.free == 0 && balance.locked == 0;
            (!(omits_zero && is_zero)).then(|| {
                format!(
                    "{{\"asset\":\"{asset}\",\"free\":\"{}\",\"locked\":\"{}\"}}",
                    decimal(balance.free),
                    decimal(balance.locked)
                )
            })
        });
        Ok(format!(
            "{{\"makerCommission\":{},\"takerCommission\":{},\"buyerCommission\":0,\"sellerCommission\":0,\
             \"commissionRates\":{{\"maker\":\"{}\",\"taker\":\"{}\",\"buyer\":\"0.00000000\",\"seller\":\"0.00000000\"}},\
             \"canTrade\":true,\"canWithdraw\":false,\"canDeposit\":false,\"brokered\":false,\"requireSelfTradePrevention\":false,\
             \"preventSor\":false,\"updateTime\":{},\"accountType\":\"SPOT\",\"balances\":{},\"permissions\":[\"SPOT\"],\"uid\":{}}}",
            self.fees.maker_ppm / 100,
            self.fees.taker_ppm / 100,
            rate(self.fees.maker_ppm),
            rate(self.fees.taker_ppm),
            state.updated_ms,
            array(balances),
            account.0 + 1
        ))
    }

    /// Books what matching did, and tells the accounts.
    pub(super) fn book_reports(&mut self, symbol: usize, reports: &[Report], now_ms: u64) {
        let mut accounts = Vec::new();
        for report in reports {
            let id = match report {
                Report::Fill(fill) => self.book_fill(symbol, fill, now_ms),
                Report::Triggered(order) => {
                    let record = &mut self.orders[index_of(order.0)];
                    (record.working_ms, record.updated_ms) = (Some(now_ms), now_ms);
                    self.report(order.0, "NEW", None, now_ms);
                    order.0
                }
                Report::Ended { order, why } => {
                    let (status, kind) = match why {
                        Ended::Unfilled => (Status::Expired, "EXPIRED"),
                        Ended::SelfTrade => (Status::ExpiredInMatch, "TRADE_PREVENTION"),
                    };
                    self.close(order.0, status, now_ms);
                    self.report(order.0, kind, None, now_ms);
                    order.0
                }
            };
            let account = self.orders[index_of(id)].account;
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        for account in accounts {
            self.tell_balances(account, symbol, now_ms);
        }
    }

    fn book_fill(&mut self, symbol: usize, fill: &Fill, now_ms: u64) -> u64 {
        let id = fill.order.0;
        let order = &mut self.orders[index_of(id)];
        order.executed += fill.quantity.0;
        order.executed_amount = order.executed_amount.saturating_add(fill.amount);
        let record = FillRecord {
            id: self.fills.len() as u64 + 1,
            order: id,
            symbol,
            account: order.account,
            side: order.side,
            fill: *fill,
            at_ms: now_ms,
        };
        if order.executed >= order.quantity {
            self.close(id, Status::Filled, now_ms);
        } else {
            order.status = Status::PartiallyFilled;
            order.updated_ms = now_ms;
        }
        self.fills.push(record.clone());
        self.report(id, "TRADE", Some(&record), now_ms);
        id
    }

    fn close(&mut self, id: u64, status: Status, now_ms: u64) {
        let order = &mut self.orders[index_of(id)];
        (order.status, order.updated_ms) = (status, now_ms);
        self.accounts[usize::from(order.account.0)].open.retain(|open| *open != id);
    }

    fn report(&mut self, id: u64, kind: &'static str, fill: Option<&FillRecord>, now_ms: u64) {
        let client_order_id = self.orders[index_of(id)].client_order_id.clone();
        self.tell_execution(id, kind, (&client_order_id, ""), fill, now_ms);
    }

    fn report_cancel(&mut self, id: u64, cancel_id: &str, now_ms: u64) {
        let original = self.orders[index_of(id)].client_order_id.clone();
        self.tell_execution(id, "CANCELED", (cancel_id, &original), None, now_ms);
    }

    fn tell_execution(
        &mut self,
        id: u64,
        kind: &'static str,
        ids: (&str, &str),
        fill: Option<&FillRecord>,
        now_ms: u64,
    ) {
        self.executions += 1;
        let execution = Execution {
            execution_id: self.executions,
            event_ms: now_ms,
            kind,
            client_order_id: ids.0,
            original_client_order_id: ids.1,
            fill,
        };
        let order = &self.orders[index_of(id)];
        let fee_asset = fill.map(|record| self.asset(record.fill.fee_asset));
        let event = order.execution_report(&self.symbols[order.symbol].name, fee_asset, &execution);
        let account = order.account;
        tracing::trace!(side = side_name(order.side), id, kind, "order");
        self.tell(account, &event);
    }

    pub(super) fn open_orders(&self, account: AccountId) -> impl Iterator<Item = &OrderRecord> {
        let open = self.accounts.get(usize::from(account.0)).map(|account| account.open.as_slice()).unwrap_or_default();
        open.iter().filter_map(|id| self.orders.get(index_of(*id)))
    }

    /// The order that these parameters (its number, its client order id) name: of several with that client order id, the newest.
    fn find(&self, account: AccountId, symbol: usize, params: &Params, names: (&str, &str)) -> Result<u64, ApiError> {
        let is_own = |order: &&OrderRecord| order.account == account && order.symbol == symbol;
        let found = match (params.integer(names.0)?, params.text(names.1)) {
            (Some(id), _) => self.orders.get(index_of(id)).filter(is_own),
            (None, Some(text)) => self.orders.iter().rev().filter(is_own).find(|order| order.client_order_id == text),
            (None, None) => return Err(ApiError::missing_either(names.1, names.0)),
        };
        found.map(|order| order.id).ok_or_else(ApiError::no_such_order)
    }
}

/// Order ids are positions in the list of orders, from 1.
pub(super) fn index_of(id: u64) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX).wrapping_sub(1)
}

/// The client order id that this parameter gives, or one made of `number`.
pub(super) fn client_order_id(params: &Params, name: &str, number: u64) -> Result<String, ApiError> {
    let Some(text) = params.text(name) else { return Ok(format!("gx{number:020}")) };
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    if text.len() > 36 || !text.bytes().all(is_legal) {
        return Err(ApiError::illegal_characters(name, "^[\\.A-Z\\:/a-z0-9_-]{1,36}$"));
    }
    Ok(text.to_owned())
}

/// Which part of a history is asked for.
struct Window {
    from_id: Option<u64>,
    start_ms: Option<u64>,
    end_ms: Option<u64>,
    limit: usize,
}

impl Window {
    fn read(params: &Params, id: &str) -> Result<Self, ApiError> {
        Ok(Self {
            from_id: params.integer(id)?,
            start_ms: params.integer("startTime")?,
            end_ms: params.integer("endTime")?,
            limit: params.limit(500, 1_000)?,
        })
    }

    fn choose<'a, T>(&self, rows: impl Iterator<Item = &'a T>, key: impl Fn(&T) -> (u64, u64)) -> Vec<&'a T> {
        let fits = |row: &&T| {
            let (id, at_ms) = key(row);
            self.from_id.is_none_or(|from| id >= from)
                && self.start_ms.is_none_or(|start| at_ms >= start)
                && self.end_ms.is_none_or(|end| at_ms <= end)
        };
        let mut rows: Vec<&T> = rows.filter(fits).collect();
        if self.from_id.is_none() && self.start_ms.is_none() {
            rows.drain(..rows.len().saturating_sub(self.limit));
        }
        rows.truncate(self.limit);
        rows
    }
}
