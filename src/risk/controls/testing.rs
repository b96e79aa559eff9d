//! An order that every control lets pass, for each control's test to spoil.

pub(super) use super::Facts;
use super::{Rate, Terms};
use crate::portfolio::Rates;
use crate::risk::breakers::{AccountBreakers, StrategyBreakers};
pub(super) use crate::risk::exposure::Exposure;
use crate::risk::{
    AccountLimits, Budget, Capital, Drift, Finances, InstrumentLimits, Kills, Limits, OpenOrders, OrderToTrade,
    ParentFacts, Permission, QuoteWorth, RateLimit, Recent, Results, StrategyLimits, Worth, wide,
};
use crate::types::{
    AssetId, ClientOrderId, Instrument, InstrumentId, InstrumentStatus, JournalHealth, MarketStamp, Money, Order,
    OrderIntent, Price, SessionState, StrategyId, Symbol, Timestamp, VenueId,
};
pub(super) use crate::types::{Denial, DenialReason, Quantity, Side, TradingState};

pub(super) const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000);

pub(super) struct Case {
    pub intent: OrderIntent,
    pub instrument: Instrument,
    pub limits: Limits,
    pub instrument_limits: InstrumentLimits,
    pub strategy_limits: StrategyLimits,
    pub account_limits: AccountLimits,
    pub exposure: Exposure,
    pub instrument_exposure: Exposure,
    pub rates: Rates,
    pub free: Money,
    pub capital: Capital,
    pub account: Vec<QuoteWorth>,
    pub market: Worth,
    pub unit: Money,
    pub results: Results,
    pub strategy_rate: RateLimit,
    pub strategy_left: u64,
    pub instrument_rate: RateLimit,
    pub instrument_left: u64,
    pub venue_rate: RateLimit,
    pub venue_left: u64,
    pub account_breakers: AccountBreakers,
    pub day_volume: Quantity,
}

impl Case {
    /// A buy of 0.00010 at 100.00 in a market of 99.99 to 100.01.
    pub(super) fn new() -> Self {
        let order = Order {
            client_order_id: ClientOrderId::new(1, StrategyId(0), 5).expect("in range"),
            price: Price(10_000),
            quantity: Quantity(10),
            ..Order::default()
        };
        let stamp = MarketStamp {
            bid: Price(9_999),
            ask: Price(10_001),
            data_ns: NOW,
            near_depth: Quantity(1_000_000),
            is_synced: true,
        };
        let rate = RateLimit { per_second: 10, burst: 100, cancel_reserve: 0 };
        Self {
            intent: OrderIntent { order, stamp, received_ns: NOW, decided_ns: NOW },
            instrument: Instrument {
                id: InstrumentId(0),
                venue: VenueId(0),
                symbol: Symbol::new("BTCUSDT").expect("a symbol"),
                base: AssetId(0),
                quote: AssetId(1),
                price_precision: 2,
                quantity_precision: 5,
                tick: Price(1),
                lot: Quantity(1),
                quantity_min: Quantity::ZERO,
                quantity_max: Quantity::ZERO,
                market_quantity_max: Quantity::ZERO,
                price_min: Price::ZERO,
                price_max: Price::ZERO,
                notional_min: Money::ZERO,
                notional_max: Money::ZERO,
                status: InstrumentStatus::Trading,
            },
            limits: Limits {
                max_order_quantity: Quantity(1_000),
                max_order_notional: Money(1_000_000_000_000_000_000),
                max_position: Quantity(1_000),
                ..wide::LIMITS
            },
            instrument_limits: InstrumentLimits {
                max_position: Quantity(1_000),
                max_data_age_ns: 1_000,
                collar_bps: 100,
                passive_collar_bps: 1_000,
                max_slippage_bps: 10,
                max_depth_share_bps: 10_000,
                ..wide::INSTRUMENT
            },
            strategy_limits: wide::STRATEGY,
            account_limits: wide::ACCOUNT,
            exposure: Exposure::default(),
            instrument_exposure: Exposure::default(),
            rates: Rates::new(Some(AssetId(1)), 3),
            free: Money(i128::MAX / 4),
            capital: Capital::NONE,
            account: vec![QuoteWorth { asset: AssetId(1), ..QuoteWorth::default() }],
            market: Worth::NONE,
            unit: Money(1_000_000_000_000_000),
            results: Results::NONE,
            strategy_rate: rate,
            strategy_left: 100,
            instrument_rate: rate,
            instrument_left: 100,
            venue_rate: rate,
            venue_left: 100,
            account_breakers: AccountBreakers::NONE,
            day_volume: Quantity(i64::MAX),
        }
    }

    /// What `judge` makes of it.
    pub(super) fn with(&self, judge: impl Fn(&Facts<'_>) -> Result<(), Denial>) -> Result<(), Denial> {
        let permission = Permission::all(StrategyId(0), InstrumentId(0));
        judge(&Facts {
            intent: &self.intent,
            terms: Terms::of(&self.intent, Some(&self.instrument), self.instrument_limits.max_slippage_bps),
            now: NOW,
            kills: &Kills::NONE,
            trading_state: TradingState::Active,
            instrument_state: TradingState::Active,
            session: Some(SessionState::Ready),
            permission: Some(&permission),
            instrument: Some(&self.instrument),
            last_id: ClientOrderId::NONE,
            limits: &self.limits,
            instrument_limits: &self.instrument_limits,
            strategy_limits: &self.strategy_limits,
            account_limits: &self.account_limits,
            day_volume: self.day_volume,
            replaced: None,
            parent: ParentFacts::None,
            opposing: None,
            exposure: &self.exposure,
            instrument_exposure: &self.instrument_exposure,
            recent: &Recent::NONE,
            drift: &Drift::NONE,
            open_orders: OpenOrders::default(),
            finances: Finances {
                rates: &self.rates,
                free: self.free,
                capital: self.capital,
                account: &self.account,
                market: self.market,
                unit: self.unit,
                results: &self.results,
            },
            strategy_rate: Rate { limit: &self.strategy_rate, left: self.strategy_left },
            instrument_rate: Rate { limit: &self.instrument_rate, left: self.instrument_left },
            venue_rate: Rate { limit: &self.venue_rate, left: self.venue_left },
            budget: &Budget::NONE,
            repeats: 0,
            is_repeat_tripped: false,
            order_to_trade: &OrderToTrade::NONE,
            strategy_breakers: &StrategyBreakers::NONE,
            account_breakers: &self.account_breakers,
            is_reconciled: true,
            journal: JournalHealth::Ample,
            is_shard_silent: false,
            identity: None,
        })
    }
}

pub(super) fn exposure(booked: i64, open_buys: i64, open_sells: i64) -> Exposure {
    let mut exposure = Exposure::default();
    exposure.book(Side::Buy, booked);
    exposure.reserve(Side::Buy, 0, open_buys);
    exposure.reserve(Side::Sell, 0, open_sells);
    exposure
}

pub(super) fn denied(reason: DenialReason, limit: i128, observed: i128) -> Result<(), Denial> {
    Err(Denial { reason, limit, observed })
}

#[test]
fn every_control_lets_a_good_order_pass() {
    assert_eq!(Case::new().with(super::evaluate), Ok(()));
    assert_eq!(super::CONTROLS.len(), 38);
    assert!(super::CONTROLS.is_sorted(), "evaluated in the order of their numbers");
}
