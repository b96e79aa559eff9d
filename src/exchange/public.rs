//! Public queries: rules, book, trades, klines, tickers.

use super::bars::{Bar, Interval};
use super::core::{Core, PublicTrade, SymbolState};
use super::error::ApiError;
use super::orders::{Kind, self_trade_names};
use super::recording::Level;
use super::request::Params;
use super::text::decimal;
use crate::matching::{UNIT, amount};
use crate::types::{Price, Quantity};
use std::fmt::Write;

impl Core {
    pub(super) fn exchange_info(&self, params: &Params, now_ms: u64) -> Result<String, ApiError> {
        let chosen = self.chosen(params)?;
        let symbols: Vec<String> = chosen.0.into_iter().map(|index| self.symbol_info(&self.symbols[index])).collect();
        Ok(format!(
            "{{\"timezone\":\"UTC\",\"serverTime\":{now_ms},\"rateLimits\":[{}],\"exchangeFilters\":[],\"symbols\":[{}]}}",
            self.limits.rules(),
            symbols.join(",")
        ))
    }

    fn symbol_info(&self, symbol: &SymbolState) -> String {
        let filters = &symbol.filters;
        let (base, quote) = (self.asset(symbol.base), self.asset(symbol.quote));
        format!(
            "{{\"symbol\":\"{}\",\"status\":\"TRADING\",\"baseAsset\":\"{base}\",\"baseAssetPrecision\":8,\"quoteAsset\":\"{quote}\",\
             \"quotePrecision\":8,\"quoteAssetPrecision\":8,\"baseCommissionPrecision\":8,\"quoteCommissionPrecision\":8,\
             \"orderTypes\":[{}],\"icebergAllowed\":false,\"ocoAllowed\":false,\"otoAllowed\":false,\
             \"opoAllowed\":false,\"quoteOrderQtyMarketAllowed\":true,\"allowTrailingStop\":false,\"cancelReplaceAllowed\":true,\
             \"amendAllowed\":false,\"pegInstructionsAllowed\":false,\"isSpotTradingAllowed\":true,\"isMarginTradingAllowed\":false,\
             \"filters\":[{{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"{tick}\",\"maxPrice\":\"{}\",\"tickSize\":\"{tick}\"}},\
             {{\"filterType\":\"LOT_SIZE\",\"minQty\":\"{lot}\",\"maxQty\":\"{}\",\"stepSize\":\"{lot}\"}},\
             {{\"filterType\":\"MARKET_LOT_SIZE\",\"minQty\":\"0.00000000\",\"maxQty\":\"{}\",\"stepSize\":\"0.00000000\"}},\
             {{\"filterType\":\"NOTIONAL\",\"minNotional\":\"{}\",\"applyMinToMarket\":true,\"maxNotional\":\"{}\",\
             \"applyMaxToMarket\":false,\"avgPriceMins\":5}},{{\"filterType\":\"MAX_NUM_ORDERS\",\"maxNumOrders\":{}}}],\
             \"permissions\":[],\"permissionSets\":[[\"SPOT\"]],\"defaultSelfTradePreventionMode\":\"EXPIRE_MAKER\",\
             \"allowedSelfTradePreventionModes\":[{}]}}",
            symbol.name,
            Kind::names(),
            decimal(filters.price_max),
            decimal(filters.quantity_max),
            decimal(filters.market_quantity_max),
            decimal(filters.notional_min),
            decimal(filters.notional_max),
            filters.open_orders_max,
            self_trade_names(),
            tick = decimal(filters.tick),
            lot = decimal(filters.lot),
        )
    }

    /// The symbols that `symbol` or `symbols` names, or all; and whether it is to be answered as one object.
    fn chosen(&self, params: &Params) -> Result<(Vec<usize>, bool), ApiError> {
        match (params.text("symbol"), params.text("symbols")) {
            (Some(_), Some(_)) => Err(ApiError::bad_combination()),
            (Some(symbol), None) => Ok((vec![self.symbol(symbol)?], true)),
            (None, Some(list)) => {
                let names: Vec<String> =
                    serde_json::from_str(list).map_err(|_| ApiError::illegal_characters("symbols", "[\"BTCUSDT\"]"))?;
                Ok((names.iter().map(|name| self.symbol(name)).collect::<Result<_, _>>()?, false))
            }
            (None, None) => Ok(((0..self.symbols.len()).collect(), false)),
        }
    }

    fn each(&self, params: &Params, write: impl Fn(&SymbolState) -> String) -> Result<String, ApiError> {
        let (chosen, is_one) = self.chosen(params)?;
        let rows: Vec<String> = chosen.into_iter().map(|index| write(&self.symbols[index])).collect();
        Ok(if is_one { rows.concat() } else { format!("[{}]", rows.join(",")) })
    }

    pub(super) fn depth_snapshot(&self, params: &Params) -> Result<String, ApiError> {
        let symbol = &self.symbols[self.symbol(params.required("symbol")?)?];
        Ok(symbol.book.snapshot(symbol.last_update_id, params.limit(100, 5_000)?))
    }

    pub(super) fn recent_trades(&self, params: &Params) -> Result<String, ApiError> {
        let symbol = &self.symbols[self.symbol(params.required("symbol")?)?];
        let limit = params.limit(500, 1_000)?;
        let rows = symbol.trades.iter().skip(symbol.trades.len().saturating_sub(limit)).map(|trade| {
            let traded = amount(Price(trade.price), Quantity(trade.quantity)).unwrap_or(0);
            format!(
                "{{\"id\":{},\"price\":\"{}\",\"qty\":\"{}\",\"quoteQty\":\"{}\",\"time\":{},\"isBuyerMaker\":{},\"isBestMatch\":true}}",
                trade.id,
                decimal(trade.price),
                decimal(trade.quantity),
                decimal(traded),
                trade.at_ms,
                trade.is_buyer_maker
            )
        });
        Ok(array(rows))
    }

    pub(super) fn aggregate_trades(&self, params: &Params) -> Result<String, ApiError> {
        let symbol = &self.symbols[self.symbol(params.required("symbol")?)?];
        let limit = params.limit(500, 1_000)?;
        let from_id = params.integer("fromId")?;
        let (start, end) = (params.integer("startTime")?, params.integer("endTime")?);
        let fits = |trade: &&PublicTrade| {
            from_id.is_none_or(|id| trade.id >= id)
                && start.is_none_or(|start| trade.at_ms >= start)
                && end.is_none_or(|end| trade.at_ms <= end)
        };
        let all: Vec<_> = symbol.aggregates.iter().filter(fits).collect();
        let skip = if from_id.is_some() || start.is_some() { 0 } else { all.len().saturating_sub(limit) };
        let rows = all.into_iter().skip(skip).take(limit).map(|trade| {
            format!(
                "{{\"a\":{},\"p\":\"{}\",\"q\":\"{}\",\"f\":{},\"l\":{},\"T\":{},\"m\":{},\"M\":true}}",
                trade.id,
                decimal(trade.price),
                decimal(trade.quantity),
                trade.first_id,
                trade.last_id,
                trade.at_ms,
                trade.is_buyer_maker
            )
        });
        Ok(array(rows))
    }

    pub(super) fn klines(&self, params: &Params, now_ms: u64) -> Result<String, ApiError> {
        let symbol = &self.symbols[self.symbol(params.required("symbol")?)?];
        let interval = Interval::parse(params.required("interval")?).ok_or_else(ApiError::bad_interval)?;
        let end_ms = params.integer("endTime")?.map_or(now_ms, |end_ms| end_ms.min(now_ms));
        let bars = symbol.bars.query(interval, params.integer("startTime")?, end_ms, params.limit(500, 1_000)?);
        let row = |bar: &Bar| {
            let mut out = String::new();
            bar.write_row(interval, &mut out);
            out
        };
        Ok(array(bars.iter().map(row)))
    }

    pub(super) fn book_ticker(&self, params: &Params) -> Result<String, ApiError> {
        self.each(params, |symbol| {
            let (_, bid, ask) = symbol.top;
            format!(
                "{{\"symbol\":\"{}\",\"bidPrice\":\"{}\",\"bidQty\":\"{}\",\"askPrice\":\"{}\",\"askQty\":\"{}\"}}",
                symbol.name,
                decimal(bid.0),
                decimal(bid.1),
                decimal(ask.0),
                decimal(ask.1)
            )
        })
    }

    pub(super) fn price_ticker(&self, params: &Params) -> Result<String, ApiError> {
        self.each(params, |symbol| {
            let last = symbol.trades.back().map_or(symbol.top.1.0, |trade| trade.price);
            format!("{{\"symbol\":\"{}\",\"price\":\"{}\"}}", symbol.name, decimal(last))
        })
    }

    pub(super) fn average_price(&self, params: &Params, now_ms: u64) -> Result<String, ApiError> {
        let symbol = &self.symbols[self.symbol(params.required("symbol")?)?];
        let price = symbol.bars.average_price(now_ms).unwrap_or(symbol.top.1.0);
        let last = symbol.trades.back().map_or(now_ms, |trade| trade.at_ms);
        Ok(format!("{{\"mins\":5,\"price\":\"{}\",\"closeTime\":{last}}}", decimal(price)))
    }

    pub(super) fn day_ticker(&self, params: &Params, now_ms: u64) -> Result<String, ApiError> {
        self.each(params, |symbol| {
            let day = symbol.bars.day(now_ms).unwrap_or_default();
            let (_, bid, ask) = symbol.top;
            let last = symbol.trades.back().map_or(0, |trade| trade.quantity);
            let change = Change::of(&day);
            // A market that has just opened had a day before: of the volume at least what the recording has.
            format!(
                "{{\"symbol\":\"{}\",\"priceChange\":\"{}\",\"priceChangePercent\":\"{}\",\"weightedAvgPrice\":\"{}\",\
                 \"prevClosePrice\":\"{open}\",\"lastPrice\":\"{}\",\"lastQty\":\"{}\",\"bidPrice\":\"{}\",\"bidQty\":\"{}\",\
                 \"askPrice\":\"{}\",\"askQty\":\"{}\",\"openPrice\":\"{open}\",\"highPrice\":\"{}\",\"lowPrice\":\"{}\",\
                 \"volume\":\"{}\",\"quoteVolume\":\"{}\",\"openTime\":{},\"closeTime\":{now_ms},\"firstId\":{},\"lastId\":{},\"count\":{}}}",
                symbol.name,
                decimal(change.price),
                change.percent,
                decimal(change.average),
                decimal(day.close),
                decimal(last),
                decimal(bid.0),
                decimal(bid.1),
                decimal(ask.0),
                decimal(ask.1),
                decimal(day.high),
                decimal(day.low),
                decimal(day.volume.max(symbol.recorded_volume)),
                decimal(day.amount),
                day.open_ms,
                day.first_id,
                day.last_id,
                day.trade_count,
                open = decimal(day.open),
            )
        })
    }
}

/// What a day's bar says of its price.
struct Change {
    price: i64,
    percent: String,
    average: i64,
}

impl Change {
    fn of(day: &Bar) -> Self {
        let price = day.close - day.open;
        let thousandths = (i128::from(price) * 100_000).checked_div(i128::from(day.open)).unwrap_or(0);
        let average = (i128::from(day.amount) * i128::from(UNIT)).checked_div(i128::from(day.volume)).unwrap_or(0);
        Self {
            price,
            percent: crate::types::format_fixed(i64::try_from(thousandths).unwrap_or(0), 3).to_string(),
            average: i64::try_from(average).unwrap_or(0),
        }
    }
}

pub(super) fn ticker_event(
    name: &str,
    now_ms: u64,
    day: &Bar,
    top: &(u64, Level, Level),
    last_quantity: i64,
) -> String {
    let change = Change::of(day);
    let (_, bid, ask) = top;
    let mut out = format!(
        "{{\"e\":\"24hrTicker\",\"E\":{now_ms},\"s\":\"{name}\",\"p\":\"{}\",\"P\":\"{}\",\"w\":\"{}\",\"x\":\"{open}\",\"c\":\"{}\",\
         \"Q\":\"{}\",\"b\":\"{}\",\"B\":\"{}\",\"a\":\"{}\",\"A\":\"{}\",\"o\":\"{open}\",",
        decimal(change.price),
        change.percent,
        decimal(change.average),
        decimal(day.close),
        decimal(last_quantity),
        decimal(bid.0),
        decimal(bid.1),
        decimal(ask.0),
        decimal(ask.1),
        open = decimal(day.open),
    );
    let _ = write!(
        out,
        "\"h\":\"{}\",\"l\":\"{}\",\"v\":\"{}\",\"q\":\"{}\",\"O\":{},\"C\":{now_ms},\"F\":{},\"L\":{},\"n\":{}}}",
        decimal(day.high),
        decimal(day.low),
        decimal(day.volume),
        decimal(day.amount),
        day.open_ms,
        day.first_id,
        day.last_id,
        day.trade_count
    );
    out
}

pub(super) fn mini_ticker_event(name: &str, now_ms: u64, day: &Bar) -> String {
    format!(
        "{{\"e\":\"24hrMiniTicker\",\"E\":{now_ms},\"s\":\"{name}\",\"c\":\"{}\",\"o\":\"{}\",\"h\":\"{}\",\"l\":\"{}\",\"v\":\"{}\",\"q\":\"{}\"}}",
        decimal(day.close),
        decimal(day.open),
        decimal(day.high),
        decimal(day.low),
        decimal(day.volume),
        decimal(day.amount)
    )
}

pub(super) fn array(rows: impl Iterator<Item = String>) -> String {
    format!("[{}]", rows.collect::<Vec<_>>().join(","))
}
