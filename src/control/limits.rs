//! From configured limits to risk's own table, permissions and currency.

use crate::config::{
    Config, InstrumentConfig, MarketOrdersName, OrderTypeName, RestrictionName, SelfTradeName, SideName,
    StrategyConfig, TimeInForceName, Venue,
};
use crate::risk::{
    AccountLimits, InstrumentLimits, Limits, LimitsTable, MarketOrders, Permission, RateLimit, RateSource, Restriction,
    SelfTradePolicy, StrategyLimits,
};
use crate::types::{AssetId, Instrument, InstrumentId, Instruments, Money, Quantity, StrategyId, parse_fixed};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// Every limit, as risk takes it. The instruments are those of the configuration, in its order.
///
/// # Errors
/// Every amount that does not fit, with its key.
pub fn table(config: &Config, instruments: &Instruments, version: u64) -> Result<LimitsTable, Vec<String>> {
    let mut errors = Vec::new();
    let mut table = LimitsTable { version, ..LimitsTable::default() };
    for (wanted, instrument) in config.instruments.iter().zip(instruments.iter()) {
        let venue = config.venues.iter().find(|venue| venue.name == wanted.venue);
        let mut amounts = Amounts { key: wanted.name(), errors: &mut errors };
        table.instruments.push(of_instrument(wanted, venue, instrument, &mut amounts));
    }
    for (index, strategy) in config.strategies.iter().enumerate() {
        let mut amounts = Amounts { key: format!("strategies[{index}]"), errors: &mut errors };
        table.strategies.push(of_strategy(strategy, &mut amounts));
        for (name, instrument) in instruments_of(config, strategy, instruments) {
            table.permissions.push(of_permission(strategy, name, instrument, &mut amounts));
        }
    }
    for (index, venue) in config.venues.iter().enumerate() {
        let mut amounts = Amounts { key: format!("venues[{index}].limits"), errors: &mut errors };
        table.accounts.push(of_account(venue, &mut amounts));
    }
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}

/// Who may trade what, in the order of [`LimitsTable::permissions`].
#[must_use]
pub fn permissions(config: &Config, instruments: &Instruments) -> Vec<Permission> {
    let mut permissions = Vec::new();
    for (strategy, id) in config.strategies.iter().zip(0..=StrategyId::MAX.0) {
        for (_, instrument) in instruments_of(config, strategy, instruments) {
            permissions.push(Permission {
                strategy: StrategyId(id),
                instrument: instrument.id,
                may_buy: strategy.sides.contains(&SideName::Buy),
                may_sell: strategy.sides.contains(&SideName::Sell),
                may_limit: strategy.order_types.contains(&OrderTypeName::Limit),
                may_market: strategy.order_types.contains(&OrderTypeName::Market),
                may_stop: strategy.order_types.contains(&OrderTypeName::Stop),
                may_good_till_canceled: strategy.times_in_force.contains(&TimeInForceName::Resting),
                may_immediate: strategy.times_in_force.contains(&TimeInForceName::Immediate),
            });
        }
    }
    permissions
}

/// The instruments of a strategy, each with its configured name.
pub fn instruments_of<'a>(
    config: &'a Config,
    strategy: &'a StrategyConfig,
    instruments: &'a Instruments,
) -> impl Iterator<Item = (&'a str, &'a Instrument)> {
    strategy.instruments.iter().filter_map(|name| {
        let id = InstrumentId(u32::try_from(config.instrument_index(name)?).ok()?);
        Some((name.as_str(), instruments.get(id)?))
    })
}

/// What limits over several instruments are counted in, and which instruments tell the rates of the other assets into
/// it: the first of the configuration between the two, either way round.
///
/// # Errors
/// An asset that no instrument has, or that must be named as there is more than one quote asset.
pub fn currency(config: &Config, instruments: &Instruments) -> Result<(AssetId, Vec<RateSource>), String> {
    let mut quotes: Vec<AssetId> = instruments.iter().map(|instrument| instrument.quote).collect();
    quotes.dedup();
    let names = || instruments.assets().iter().map(crate::types::Symbol::as_str).collect::<Vec<_>>().join(", ");
    let currency = match (&config.engine.currency, quotes.as_slice()) {
        (Some(name), _) => instruments
            .asset_named(name.as_bytes())
            .ok_or_else(|| format!("engine.currency: no instrument has {name:?}; there are {}", names()))?,
        (None, [quote]) => *quote,
        (None, _) => {
            return Err(format!("engine.currency: is needed, as there are several quote assets; one of {}", names()));
        }
    };
    let source_of = |asset: AssetId| {
        let tells = |instrument: &&Instrument| {
            let pair = (instrument.base, instrument.quote);
            pair == (asset, currency) || pair == (currency, asset)
        };
        let instrument = instruments.iter().find(tells)?.id;
        Some(RateSource { asset, instrument })
    };
    let assets = (0..instruments.assets().len()).filter_map(|index| u16::try_from(index).ok().map(AssetId));
    Ok((currency, assets.filter(|asset| *asset != currency).filter_map(source_of).collect()))
}

fn of_instrument(
    wanted: &InstrumentConfig,
    venue: Option<&Venue>,
    instrument: &Instrument,
    amounts: &mut Amounts<'_>,
) -> InstrumentLimits {
    let rate = match (wanted.messages_per_second.zip(wanted.message_burst), venue) {
        (Some((per_second, burst)), _) => rate(per_second, burst),
        (None, Some(venue)) => venue_rate(venue),
        (None, None) => RateLimit::NONE,
    };
    InstrumentLimits {
        restriction: match wanted.restriction {
            RestrictionName::None => Restriction::None,
            RestrictionName::Buys => Restriction::Buys,
            RestrictionName::Sells => Restriction::Sells,
            RestrictionName::Both => Restriction::Both,
        },
        max_data_age_ns: wanted.data_age_max_ms.unwrap_or(0) * MS,
        collar_bps: wanted.collar_bps.unwrap_or(0),
        passive_collar_bps: wanted.passive_collar_bps.unwrap_or(0),
        max_slippage_bps: wanted.slippage_max_bps.unwrap_or(0),
        max_drift_bps: wanted.drift_max_bps,
        drift_window_ns: wanted.drift_window_ms * MS,
        market_orders: match wanted.market_orders {
            MarketOrdersName::Deny => MarketOrders::Deny,
            MarketOrdersName::Protect => MarketOrders::Protect,
            MarketOrdersName::Allow => MarketOrders::Allow,
        },
        max_depth_share_bps: wanted.depth_share_max_percent.unwrap_or(0) * 100,
        max_volume_share_bps: wanted.volume_share_max_bps().unwrap_or(0),
        max_position: amounts.quantity("position_max", wanted.position_max.as_ref(), instrument),
        max_open_orders: wanted.open_orders_max,
        max_resting_notional: amounts.money("resting_notional_max", wanted.resting_notional_max.as_ref()),
        rate,
    }
}

fn of_strategy(strategy: &StrategyConfig, amounts: &mut Amounts<'_>) -> StrategyLimits {
    let limits = &strategy.limits;
    StrategyLimits {
        duplicate_window_ns: limits.duplicate_window_ms * MS,
        max_duplicates: limits.duplicates_max,
        max_open_orders: limits.open_orders_max,
        max_turnover: amounts.money("limits.turnover_max", limits.turnover_max.as_ref()),
        turnover_window_ns: limits.turnover_window_s * SECOND,
        max_daily_turnover: amounts.money("limits.daily_turnover_max", limits.daily_turnover_max.as_ref()),
        max_daily_loss: amounts.money("limits.daily_loss_max", limits.daily_loss_max.as_ref()),
        max_drawdown: amounts.money("limits.drawdown_max", limits.drawdown_max.as_ref()),
        rate: rate(limits.messages_per_second.unwrap_or(0), limits.message_burst.unwrap_or(0)),
        max_repeat_executions: limits.entries_in_a_row_max,
        ratio_window_ns: limits.order_to_trade_window_s * SECOND,
        alert_order_to_trade: limits.order_to_trade_alert,
        max_order_to_trade: limits.order_to_trade_max,
        free_messages: limits.free_messages,
        max_rejects: limits.rejects_max,
        reject_window_ns: limits.reject_window_ms * MS,
        max_fills_per_second: limits.fills_per_second_max,
        max_fill_slippage_bps: limits.fill_slippage_max_bps,
        max_lag_ns: limits.lag_max_ms * MS,
    }
}

fn of_permission(strategy: &StrategyConfig, name: &str, instrument: &Instrument, amounts: &mut Amounts<'_>) -> Limits {
    let limits = &strategy.limits;
    Limits {
        max_order_quantity: amounts.quantity(
            "limits.order_quantity_max",
            limits.order_quantity_max.as_ref(),
            instrument,
        ),
        max_order_notional: amounts.money("limits.order_notional_max", limits.order_notional_max.as_ref()),
        max_position: amounts.quantity("limits.position_max", limits.position_max.as_ref(), instrument),
        allocation: if strategy.allocations.is_empty() {
            let capital = amounts.money("capital", Some(&strategy.capital));
            let parts = i128::try_from(strategy.instruments.len()).unwrap_or(i128::MAX);
            Money(capital.0.checked_div(parts).unwrap_or(0))
        } else {
            amounts.money(&format!("allocations.{name}"), strategy.allocations.get(name))
        },
    }
}

fn of_account(venue: &Venue, amounts: &mut Amounts<'_>) -> AccountLimits {
    let limits = &venue.limits;
    AccountLimits {
        max_gross: amounts.money("gross_max", limits.gross_max.as_ref()),
        max_net: amounts.money("net_max", limits.net_max.as_ref()),
        max_rate_age_ns: limits.rate_age_max_ms * MS,
        max_open_orders: limits.open_orders_max,
        rate: venue_rate(venue),
        max_budget_percent: limits.budget_max_percent,
        self_trade: match limits.self_trade {
            SelfTradeName::DenyNew => SelfTradePolicy::DenyNew,
            SelfTradeName::CancelOld => SelfTradePolicy::CancelOld,
        },
        max_rejects: limits.rejects_max,
        reject_window_ns: limits.reject_window_ms * MS,
        max_unknown: limits.unknown_max,
        max_unknown_age_ns: limits.unknown_age_max_ms * MS,
        max_clock_skew_ns: limits.clock_skew_max_ms * MS,
    }
}

const fn venue_rate(venue: &Venue) -> RateLimit {
    RateLimit {
        per_second: venue.messages_per_second,
        burst: venue.message_burst,
        cancel_reserve: venue.cancel_reserve,
    }
}

/// A tenth of the burst, and at least one message, is for cancels: what was sent can always be taken back.
fn rate(per_second: u32, burst: u32) -> RateLimit {
    RateLimit { per_second, burst, cancel_reserve: (burst / 10).max(1).min(burst.saturating_sub(1)) }
}

/// Reads quantities and amounts, and notes what does not fit. A missing one is zero, which denies.
struct Amounts<'a> {
    key: String,
    errors: &'a mut Vec<String>,
}

impl Amounts<'_> {
    fn quantity(&mut self, name: &str, text: Option<&String>, instrument: &Instrument) -> Quantity {
        let Some(text) = text else { return Quantity::ZERO };
        match parse_fixed(text.as_bytes(), instrument.quantity_precision) {
            Ok(value) => Quantity(value),
            Err(problem) => {
                self.errors.push(format!("{}.{name}: {text:?}: {problem}", self.key));
                Quantity::ZERO
            }
        }
    }

    fn money(&mut self, name: &str, text: Option<&String>) -> Money {
        let Some(text) = text else { return Money::ZERO };
        money(text).unwrap_or_else(|| {
            self.errors.push(format!("{}.{name}: {text:?} does not fit", self.key));
            Money::ZERO
        })
    }
}

/// A configured amount.
pub(super) fn money(text: &str) -> Option<Money> {
    let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let places = u8::try_from(places).ok()?;
    Money::from_scaled(parse_fixed(text.as_bytes(), places).ok()?, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EXAMPLE;
    use crate::types::{InstrumentStatus, Price, Symbol, VenueId};

    fn instruments(pairs: &[(&str, &str)]) -> Instruments {
        let mut instruments = Instruments::new();
        for (base, quote) in pairs {
            let mut asset = |name: &str| instruments.intern_asset(Symbol::new(name).expect("a name")).expect("room");
            let (base, quote) = (asset(base), asset(quote));
            let instrument = Instrument {
                id: InstrumentId::NONE,
                venue: VenueId(0),
                symbol: Symbol::new(&format!("{base:?}{quote:?}").replace(['(', ')'], "")).expect("a name"),
                base,
                quote,
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
            };
            instruments.add(instrument).expect("sensible");
        }
        instruments
    }

    fn example() -> Config {
        Config::parse(EXAMPLE).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn the_example_and_the_demo_leave_nothing_unconfigured() {
        let demo = Config::parse(&include_str!("demo.toml").replace("ADDRESS", "127.0.0.1:9"));
        let demo = demo.unwrap_or_else(|errors| panic!("{errors}"));
        for (config, pairs) in [(example(), &[("BTC", "USDT")][..]), (demo, &[("BTC", "USDT"), ("BTCF", "USDT")])] {
            let instruments = instruments(pairs);
            let table = table(&config, &instruments, 7).expect("fits");
            table.validate().expect("makes sense");
            assert_eq!(table.version, 7);
            assert_eq!(permissions(&config, &instruments).len(), table.permissions.len());
            let shown = format!("{table:?}");
            for nothing in [": 0,", ": 0 ", "Money(0)", "Quantity(0)"] {
                assert!(!shown.contains(nothing), "{nothing:?} in {shown}");
            }
            assert!(currency(&config, &instruments).is_ok());
        }
    }

    #[test]
    fn amounts_that_are_missing_are_zero_and_those_that_do_not_fit_are_told() {
        let mut config = example();
        config.venues[0].limits.gross_max = None;
        config.instruments[0].position_max = Some("0.000001".to_owned());
        config.strategies[0].limits.daily_loss_max = Some("9".repeat(40));
        let instruments = instruments(&[("BTC", "USDT")]);
        let errors = table(&config, &instruments, 1).expect_err("two").join("\n");
        for key in ["binance:BTCUSDT.position_max", "strategies[0].limits.daily_loss_max"] {
            assert!(errors.contains(key), "{key} in {errors}");
        }
        config.instruments[0].position_max = None;
        config.strategies[0].limits.daily_loss_max = None;
        let table = table(&config, &instruments, 1).expect("fits");
        assert_eq!(table.accounts[0].max_gross, Money::ZERO);
        assert_eq!(table.instruments[0].max_position, Quantity::ZERO);
        assert_eq!(table.strategies[0].max_daily_loss, Money::ZERO);
    }

    #[test]
    fn capital_in_equal_parts_or_as_it_is_said() {
        let mut config = example();
        let mut second = config.instruments[0].clone();
        second.symbol = "ETHUSDT".to_owned();
        config.instruments.push(second);
        config.strategies[0].instruments.push("binance:ETHUSDT".to_owned());
        config.strategies[0].capital = "100".to_owned();
        let instruments = instruments(&[("BTC", "USDT"), ("ETH", "USDT")]);
        let allocations = |config: &Config| {
            let table = table(config, &instruments, 1).expect("fits");
            table.permissions.iter().map(|limits| limits.allocation.to_decimal_string()).collect::<Vec<_>>()
        };
        assert_eq!(allocations(&config), ["50", "50"]);
        config.strategies[0].allocations.insert("binance:ETHUSDT".to_owned(), "30".to_owned());
        assert_eq!(allocations(&config), ["0", "30"]);
    }

    #[test]
    fn the_currency_and_who_tells_its_rates() {
        let mut config = example();
        config.engine.currency = None;
        let one = instruments(&[("BTC", "USDT"), ("ETH", "USDT")]);
        let (usdt, sources) = currency(&config, &one).expect("one quote asset");
        assert_eq!(one.asset_named(b"USDT"), Some(usdt));
        let places: Vec<_> = sources.iter().map(|source| (source.asset.0, source.instrument.0)).collect();
        assert_eq!(places, [(0, 0), (2, 1)]);
        let several = instruments(&[("ETH", "BTC"), ("BTC", "USDT"), ("USDT", "TRY")]);
        assert!(currency(&config, &several).expect_err("which?").contains("ETH, BTC, USDT, TRY"));
        config.engine.currency = Some("USDT".to_owned());
        let (_, sources) = currency(&config, &several).expect("named");
        let places: Vec<_> = sources.iter().map(|source| (source.asset.0, source.instrument.0)).collect();
        assert_eq!(places, [(1, 1), (3, 2)], "ETH has no instrument with USDT");
        config.engine.currency = Some("EUR".to_owned());
        assert!(currency(&config, &several).expect_err("unknown").contains("engine.currency"));
    }

    #[test]
    fn permissions_are_what_is_listed() {
        let mut config = example();
        config.strategies[0].sides = vec![SideName::Sell];
        config.strategies[0].order_types = vec![OrderTypeName::Limit];
        config.strategies[0].times_in_force = vec![TimeInForceName::Immediate];
        let instruments = instruments(&[("BTC", "USDT")]);
        let permission = permissions(&config, &instruments)[0];
        let all = Permission::all(StrategyId(0), InstrumentId(0));
        let wanted =
            Permission { may_buy: false, may_market: false, may_stop: false, may_good_till_canceled: false, ..all };
        assert_eq!(permission, wanted);
        assert_eq!(permissions(&example(), &instruments)[0], all);
    }
}
