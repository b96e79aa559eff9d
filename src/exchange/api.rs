//! One list of requests for both ways in: what each is called, weighs and does.

use super::core::Core;
use super::error::ApiError;
use super::request::Params;
use crate::matching::AccountId;

/// How late a signed request may come where it does not say, and at most.
const RECEIVE_WINDOW_MS: u64 = 5_000;
const RECEIVE_WINDOW_MS_MAX: u64 = 60_000;
/// How far ahead of the server a timestamp may be.
const AHEAD_MS: u64 = 1_000;

/// A request that is answered at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Ping,
    Time,
    ExchangeInfo,
    Depth,
    Trades,
    AggregateTrades,
    Klines,
    AveragePrice,
    BookTicker,
    PriceTicker,
    DayTicker,
    Place,
    TestOrder,
    Cancel,
    CancelReplace,
    CancelAll,
    OrderStatus,
    OpenOrders,
    AllOrders,
    MyTrades,
    Account,
}

/// Operation, REST method and path below `/api/v3/`, WebSocket API method.
const TABLE: [(Operation, &str, &str, &str); 22] = [
    (Operation::Ping, "GET", "ping", "ping"),
    (Operation::Time, "GET", "time", "time"),
    (Operation::ExchangeInfo, "GET", "exchangeInfo", "exchangeInfo"),
    (Operation::Depth, "GET", "depth", "depth"),
    (Operation::Trades, "GET", "trades", "trades.recent"),
    (Operation::AggregateTrades, "GET", "aggTrades", "trades.aggregate"),
    (Operation::Klines, "GET", "klines", "klines"),
    (Operation::Klines, "GET", "uiKlines", "uiKlines"),
    (Operation::AveragePrice, "GET", "avgPrice", "avgPrice"),
    (Operation::BookTicker, "GET", "ticker/bookTicker", "ticker.book"),
    (Operation::PriceTicker, "GET", "ticker/price", "ticker.price"),
    (Operation::DayTicker, "GET", "ticker/24hr", "ticker.24hr"),
    (Operation::Place, "POST", "order", "order.place"),
    (Operation::TestOrder, "POST", "order/test", "order.test"),
    (Operation::Cancel, "DELETE", "order", "order.cancel"),
    (Operation::CancelReplace, "POST", "order/cancelReplace", "order.cancelReplace"),
    (Operation::CancelAll, "DELETE", "openOrders", "openOrders.cancelAll"),
    (Operation::OrderStatus, "GET", "order", "order.status"),
    (Operation::OpenOrders, "GET", "openOrders", "openOrders.status"),
    (Operation::AllOrders, "GET", "allOrders", "allOrders"),
    (Operation::MyTrades, "GET", "myTrades", "myTrades"),
    (Operation::Account, "GET", "account", "account.status"),
];

impl Operation {
    /// By REST path; the second says that the path exists, if only with another method.
    pub(super) fn of_rest(method: &str, path: &str) -> (Option<Self>, bool) {
        let of_path = |row: &&(Self, &str, &str, &str)| row.2 == path;
        let found = TABLE.iter().filter(of_path).find(|row| row.1 == method).map(|row| row.0);
        (found, TABLE.iter().any(|row| row.2 == path))
    }

    pub(super) fn of_method(method: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.3 == method).map(|row| row.0)
    }

    pub(super) fn is_signed(self) -> bool {
        matches!(
            self,
            Self::Place
                | Self::TestOrder
                | Self::Cancel
                | Self::CancelReplace
                | Self::CancelAll
                | Self::OrderStatus
                | Self::OpenOrders
                | Self::AllOrders
                | Self::MyTrades
                | Self::Account
        )
    }

    /// Whether it goes to the matching engine, and so takes the configured latency.
    pub(super) fn is_matched(self) -> bool {
        matches!(self, Self::Place | Self::Cancel | Self::CancelReplace | Self::CancelAll)
    }

    /// Whether it counts as a new order.
    pub(super) fn is_order(self) -> bool {
        matches!(self, Self::Place | Self::CancelReplace)
    }

    fn weight(self, params: &Params) -> u32 {
        let is_one = params.text("symbol").is_some();
        match self {
            Self::Ping | Self::Time => 1,
            Self::Place | Self::TestOrder | Self::Cancel | Self::CancelReplace | Self::CancelAll => 1,
            Self::Klines | Self::AveragePrice => 2,
            Self::OrderStatus | Self::AggregateTrades => 4,
            Self::BookTicker | Self::PriceTicker => {
                if is_one {
                    2
                } else {
                    4
                }
            }
            Self::DayTicker => {
                if is_one {
                    2
                } else {
                    80
                }
            }
            Self::OpenOrders => {
                if is_one {
                    6
                } else {
                    80
                }
            }
            Self::ExchangeInfo | Self::AllOrders | Self::MyTrades | Self::Account => 20,
            Self::Trades => 25,
            Self::Depth => match params.text("limit").and_then(|limit| limit.parse::<u32>().ok()).unwrap_or(100) {
                0..=100 => 5,
                101..=500 => 25,
                501..=1_000 => 50,
                _ => 250,
            },
        }
    }
}

/// What proves who asks.
pub(super) enum Proof<'a> {
    /// A session that logged on.
    Session(AccountId),
    /// An API key and a signature of this payload.
    Signature { api_key: Option<&'a str>, payload: &'a str, signature: Option<&'a str> },
}

impl Core {
    /// Answers a request with the JSON of its result.
    pub(super) fn call(
        &mut self,
        operation: Operation,
        params: &Params,
        proof: &Proof<'_>,
        now_ms: u64,
    ) -> Result<String, ApiError> {
        let answer = self.answer(operation, params, proof, now_ms);
        self.summary.refused += u64::from(answer.is_err());
        answer
    }

    fn answer(
        &mut self,
        operation: Operation,
        params: &Params,
        proof: &Proof<'_>,
        now_ms: u64,
    ) -> Result<String, ApiError> {
        self.limits.weigh(now_ms, operation.weight(params))?;
        let account =
            if operation.is_signed() { self.authenticate(params, proof, now_ms)? } else { AccountId::default() };
        match operation {
            Operation::Ping => Ok("{}".to_owned()),
            Operation::Time => Ok(format!("{{\"serverTime\":{now_ms}}}")),
            Operation::ExchangeInfo => self.exchange_info(params, now_ms),
            Operation::Depth => self.depth_snapshot(params),
            Operation::Trades => self.recent_trades(params),
            Operation::AggregateTrades => self.aggregate_trades(params),
            Operation::Klines => self.klines(params, now_ms),
            Operation::AveragePrice => self.average_price(params, now_ms),
            Operation::BookTicker => self.book_ticker(params),
            Operation::PriceTicker => self.price_ticker(params),
            Operation::DayTicker => self.day_ticker(params, now_ms),
            Operation::Place => self.place(account, params, now_ms, false),
            Operation::TestOrder => self.place(account, params, now_ms, true),
            Operation::Cancel => self.cancel(account, params, now_ms),
            Operation::CancelReplace => self.cancel_replace(account, params, now_ms),
            Operation::CancelAll => self.cancel_all(account, params, now_ms),
            Operation::OrderStatus => self.order_status(account, params),
            Operation::OpenOrders => self.open_orders_status(account, params),
            Operation::AllOrders => self.all_orders(account, params),
            Operation::MyTrades => self.my_trades(account, params),
            Operation::Account => self.account_status(account, params),
        }
    }

    /// Who asks, if the proof holds and the request is of now. Judged by the wall clock whatever the speed.
    pub(super) fn authenticate(&self, params: &Params, proof: &Proof<'_>, now_ms: u64) -> Result<AccountId, ApiError> {
        let account = match proof {
            Proof::Session(account) => *account,
            Proof::Signature { api_key, payload, signature } => {
                let api_key = api_key.filter(|key| !key.is_empty()).ok_or_else(ApiError::bad_api_key_format)?;
                let account = self.account_of_key(api_key)?;
                let signature = signature.ok_or_else(|| ApiError::missing("signature"))?;
                if !self.accounts[usize::from(account.0)].key.verifies(payload, signature) {
                    return Err(ApiError::bad_signature());
                }
                account
            }
        };
        let timestamp = params.integer("timestamp")?.ok_or_else(|| ApiError::missing("timestamp"))?;
        // Sixteen digits are microseconds.
        let timestamp_ms = if timestamp >= 1_000_000_000_000_000 { timestamp / 1_000 } else { timestamp };
        let window_ms = match params.text("recvWindow") {
            None => RECEIVE_WINDOW_MS,
            // Fractions of a millisecond are allowed and make no difference here.
            Some(text) => text
                .split('.')
                .next()
                .and_then(|whole| whole.parse().ok())
                .ok_or_else(|| ApiError::bad_value("recvWindow"))?,
        };
        if window_ms > RECEIVE_WINDOW_MS_MAX {
            return Err(ApiError::bad_value("recvWindow"));
        }
        if timestamp_ms >= now_ms + AHEAD_MS {
            return Err(ApiError::ahead_of_server());
        }
        if now_ms.saturating_sub(timestamp_ms) > window_ms {
            return Err(ApiError::out_of_receive_window());
        }
        Ok(account)
    }
}
