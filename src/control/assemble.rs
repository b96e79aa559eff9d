//! From a configuration and what the venues say to the machine's own plain structs.

use super::client::{PAGE_ROWS, Rows, VenueClient};
use super::limits::{instruments_of, money};
use super::names::Names;
use super::resuming::{Beginning, Leftovers};
use crate::backtest::InstanceStart;
use crate::config::{Config, KeyKind, StrategyConfig, bar_interval_ns};
use crate::feed::FeedConfig;
use crate::feed::depth_sync::DepthRule;
use crate::gateway::{GatewayConfig, LastKnown};
use crate::pipeline::MachineConfig;
use crate::pipeline::clock::Clock;
use crate::risk::{LimitsTable, RiskConfig};
use crate::strategy::runner::{Instance, ShardConfig};
use crate::strategy::{Setup, registry};
use crate::types::{
    AssetId, ClientOrderId, ExecutionReport, Instrument, InstrumentId, Instruments, Money, Quantity, StrategyId,
    Symbol, TradingState, VenueId,
};
use crate::venue::binance::{Market, MarketCodec, MarketSymbol, OrderEncoder, SessionKind, UserCodec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Orders on the wire of one venue at most.
const WIRE_CAPACITY: usize = 1_024;

/// Bars of the past that an instrument is warmed up with.
#[derive(Clone, Debug)]
pub struct WarmUp {
    /// Which.
    pub instrument: InstrumentId,
    /// How long each lasts, in the venue's words; none where no strategy wants bars.
    pub interval: &'static str,
    /// How many.
    pub count: u32,
}

/// What the venues told before the start.
pub struct Facts {
    /// Every instrument, by id in the order of the configuration.
    pub instruments: Arc<Instruments>,
    /// Each account's balances.
    pub balances: Vec<(VenueId, AssetId, Money)>,
    /// What was traded in each instrument within the last 24 hours, by instrument id.
    pub day_volumes: Vec<Quantity>,
    /// This engine start's number: the highest in our orders at any venue, plus one.
    pub epoch: u32,
    /// The first venue order id of this run, by instrument id.
    pub first_orders: Vec<u64>,
    /// The first venue trade id of this run, by instrument id.
    pub first_trades: Vec<u64>,
}

/// Everything to build the machine from.
pub struct Assembly {
    /// The machine's configuration.
    pub machine: MachineConfig,
    /// What each strategy was built from, by id: for the journal.
    pub instances: Vec<InstanceStart>,
    /// How each strategy begins, by id.
    pub beginnings: Vec<Beginning>,
    /// Bars of the past, by instrument.
    pub warm_ups: Vec<WarmUp>,
}

/// Asks the venues for their instruments, the accounts' balances and our orders there.
///
/// # Errors
/// Everything that is missing or cannot be used, in words.
pub async fn ask_venues(config: &Config, clients: &mut [VenueClient]) -> Result<Facts, Vec<String>> {
    let mut errors = Vec::new();
    let mut specs = BTreeMap::new();
    for (venue, client) in clients.iter_mut().enumerate() {
        let name = client.name.clone();
        if let Err(error) = client.measure_clock().await {
            errors.push(format!("venue {name}: {error}"));
            continue;
        }
        let here = config.instruments.iter().filter(|instrument| instrument.venue == name);
        let symbols: Vec<Symbol> = here.filter_map(|instrument| Symbol::new(&instrument.symbol)).collect();
        match client.instruments(&symbols).await {
            Ok(found) => specs.extend(found.into_iter().map(|spec| ((venue, spec.instrument.symbol), spec))),
            Err(error) => errors.push(format!("venue {name}: {error}")),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut instruments = Instruments::new();
    for wanted in &config.instruments {
        let venue = config.venues.iter().position(|venue| venue.name == wanted.venue);
        let spec = venue.zip(Symbol::new(&wanted.symbol)).and_then(|key| specs.get(&key));
        let added = match (spec, venue.and_then(|venue| u8::try_from(venue).ok())) {
            (Some(spec), Some(venue)) => spec.add_to(&mut instruments, VenueId(venue)),
            _ => Err("the venue has no such symbol"),
        };
        if let Err(problem) = added {
            errors.push(format!("{}: {problem}", wanted.name()));
        }
    }
    let instruments = Arc::new(instruments);
    let mut facts = Facts {
        balances: Vec::new(),
        day_volumes: vec![Quantity::ZERO; instruments.len()],
        epoch: 1,
        first_orders: vec![0; instruments.len()],
        first_trades: vec![0; instruments.len()],
        instruments: Arc::clone(&instruments),
    };
    for (venue, client) in clients.iter().enumerate() {
        let Ok(venue) = u8::try_from(venue).map(VenueId) else { continue };
        match client.balances().await {
            Ok(balances) => facts.balances.extend(balances.iter().filter_map(|balance| {
                let asset = instruments.asset_named(balance.asset.as_bytes())?;
                Some((venue, asset, balance.free.checked_add(balance.locked)?))
            })),
            Err(error) => {
                // Who may not see the balances will not see the orders either: told once.
                errors.push(format!("venue {}: {error}", client.name));
                continue;
            }
        }
        for instrument in instruments.iter().filter(|instrument| instrument.venue == venue) {
            match (client.day_volume(instrument).await, facts.day_volumes.get_mut(instrument.id.index())) {
                (Ok(told), Some(day_volume)) => *day_volume = told,
                (Ok(_), None) => {}
                (Err(error), _) => errors.push(format!("venue {}: {error}", client.name)),
            }
            match ask_history(client, &instruments, instrument).await {
                Ok((epoch, order, trade)) => {
                    facts.epoch = facts.epoch.max(epoch + 1);
                    if let (Some(first_order), Some(first_trade)) = (
                        facts.first_orders.get_mut(instrument.id.index()),
                        facts.first_trades.get_mut(instrument.id.index()),
                    ) {
                        (*first_order, *first_trade) = (order + 1, trade + 1);
                    }
                }
                Err(error) => errors.push(format!("venue {}: {error}", client.name)),
            }
        }
    }
    if facts.epoch > ClientOrderId::EPOCH_MAX {
        errors.push(format!("the venue knows orders of epoch {}: no further one is left", facts.epoch - 1));
    }
    if errors.is_empty() { Ok(facts) } else { Err(errors) }
}

/// The highest epoch among our orders in an instrument, the newest order's and the newest trade's number.
async fn ask_history(
    client: &VenueClient,
    instruments: &Arc<Instruments>,
    instrument: &Instrument,
) -> Result<(u32, u64, u64), super::client::ClientError> {
    let mut orders = client.page(Rows::Orders, instruments, instrument, None).await?;
    let highest =
        |orders: &[ExecutionReport]| orders.iter().map(|order| order.client_order_id.epoch()).max().unwrap_or(0);
    let newest = orders.iter().map(|order| order.venue_order_id).max().unwrap_or(0);
    // A page full of others' orders may hide ours behind it: then all of history is looked through.
    if highest(&orders) == 0 && orders.len() >= PAGE_ROWS {
        orders = client.all(Rows::Orders, instruments, instrument, 0).await?;
    }
    let trades = client.page(Rows::Fills, instruments, instrument, None).await?;
    let newest_trade = trades.iter().map(|trade| trade.execution_id).max().unwrap_or(0);
    Ok((highest(&orders), newest, newest_trade))
}

/// Makes the machine's configuration.
///
/// # Errors
/// Everything that does not fit, with its key.
pub fn assemble(
    config: &Config,
    clients: &[VenueClient],
    facts: &Facts,
    leftovers: &Leftovers,
    clock: &Clock,
    seed: u32,
) -> Result<Assembly, Vec<String>> {
    let names = Names::of(config);
    let mut errors = Vec::new();
    let instruments = &facts.instruments;
    let limits = super::limits::table(config, instruments, 1).unwrap_or_else(|problems| {
        errors.extend(problems);
        LimitsTable::default()
    });
    let currency = super::limits::currency(config, instruments);
    let (currency, rate_sources) = match currency {
        Ok((currency, rate_sources)) => (Some(currency), rate_sources),
        Err(problem) => {
            errors.push(problem);
            (None, Vec::new())
        }
    };

    let mut shards: Vec<(ShardConfig, Vec<Instance>)> = (0..config.engine.shards)
        .map(|index| {
            let shard = ShardConfig {
                name: leak(format!("shard-{index}")),
                epoch: facts.epoch,
                handler_budget_ns: config.engine.handler_budget_us * 1_000,
                clock: clock.clone(),
            };
            (shard, Vec::new())
        })
        .collect();
    let (mut shard_of_strategy, mut starts, mut beginnings) = (Vec::new(), Vec::new(), Vec::new());
    let mut warm_ups: BTreeMap<InstrumentId, Vec<(u64, &'static str, u32)>> = BTreeMap::new();
    for (index, strategy) in config.strategies.iter().enumerate() {
        let key = format!("strategies[{index}]");
        let Some(id) = u16::try_from(index).ok().map(StrategyId).filter(|id| *id <= StrategyId::MAX) else {
            errors.push(format!("{key}: there are too many strategies"));
            break;
        };
        let of_strategy: Vec<Instrument> =
            instruments_of(config, strategy, instruments).map(|(_, instrument)| *instrument).collect();
        let shard = strategy.shard.unwrap_or(index % config.engine.shards);
        match instance(strategy, id, &of_strategy, leftovers, &names) {
            Ok((instance, start, beginning)) => {
                starts.push(start);
                beginnings.push(beginning);
                if let Some((_, instances)) = shards.get_mut(shard) {
                    instances.push(instance);
                }
            }
            Err(problems) => errors.extend(problems.into_iter().map(|problem| format!("{key}.{problem}"))),
        }
        shard_of_strategy.push(shard);
        for instrument in &of_strategy {
            if let Some(interval_ns) = bar_interval_ns(&strategy.bars) {
                let wanted = (interval_ns, leak(strategy.bars.clone()), strategy.warm_up_bars);
                warm_ups.entry(instrument.id).or_default().push(wanted);
            }
        }
    }

    let last_known: Vec<LastKnown> = facts
        .first_orders
        .iter()
        .zip(&facts.first_trades)
        .map(|(order, trade)| LastKnown {
            venue_order_id: order.saturating_sub(1),
            execution_id: trade.saturating_sub(1),
        })
        .collect();
    let mut venues = Vec::new();
    for ((index, venue), client) in config.venues.iter().enumerate().zip(clients) {
        let Ok(id) = u8::try_from(index).map(VenueId) else { continue };
        let here: Vec<Instrument> = instruments.iter().filter(|instrument| instrument.venue == id).copied().collect();
        let symbols: Vec<MarketSymbol> = here.iter().map(MarketSymbol::from).collect();
        let feed = FeedConfig {
            name: leak(format!("feed-{}", venue.name)),
            codec: MarketCodec::new(Market::Spot, &symbols),
            depth_rule: DepthRule::Contiguous,
            instruments: here.iter().map(|instrument| instrument.id).collect(),
            instrument_count: instruments.len(),
            subscription: subscription(&here),
            seed: seed.wrapping_add(1),
        };
        let kind = match venue.key_kind {
            KeyKind::Ed25519 => SessionKind::LoggedOn,
            KeyKind::Hmac => SessionKind::SignedEach,
        };
        let gateway = GatewayConfig {
            name: leak(format!("gateway-{}", venue.name)),
            venue: id,
            encoder: OrderEncoder::new(Arc::clone(&client.credentials), kind),
            codec: UserCodec::new(Arc::clone(instruments), id),
            instruments: Arc::clone(instruments),
            wire_capacity: WIRE_CAPACITY,
            request_timeout_ns: venue.request_timeout_ms * 1_000_000,
            clock_offset_ns: client.offset_ns(),
            budget: Arc::clone(client.budget()),
            reconcile_interval_ns: GatewayConfig::RECONCILE_INTERVAL_NS,
            last_known: last_known.clone(),
            open_orders: Vec::new(),
            seed: seed.wrapping_add(2),
        };
        venues.push((feed, gateway));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let risk = RiskConfig {
        instruments: (**instruments).clone(),
        permissions: super::limits::permissions(config, instruments),
        limits,
        shard_of_strategy,
        trading_state: TradingState::Active,
        order_capacity: RiskConfig::ORDER_CAPACITY,
        execution_capacity: RiskConfig::EXECUTION_CAPACITY,
        position_interval_ns: RiskConfig::POSITION_INTERVAL_NS,
        currency,
        rate_sources,
        day_volumes: facts.day_volumes.clone(),
        epoch: facts.epoch,
        latches: Vec::new(),
        identity: None,
    };
    let machine = MachineConfig {
        instruments: (**instruments).clone(),
        venues,
        shards,
        risk,
        balances: facts.balances.clone(),
        facts: None,
    };
    Ok(Assembly { machine, instances: starts, beginnings, warm_ups: join_warm_ups(instruments, &warm_ups) })
}

/// One instance of a strategy, what it was built from, and how it begins.
fn instance(
    strategy: &StrategyConfig,
    id: StrategyId,
    instruments: &[Instrument],
    leftovers: &Leftovers,
    names: &Names,
) -> Result<(Instance, InstanceStart, Beginning), Vec<String>> {
    let Some(entry) = registry::find(&strategy.kind) else {
        return Err(vec![format!("kind: there is no {:?}", strategy.kind)]);
    };
    let capital =
        money(&strategy.capital).ok_or_else(|| vec![format!("capital: {:?} does not fit", strategy.capital)])?;
    let bar_interval_ms = bar_interval_ns(&strategy.bars).map(|interval_ns| interval_ns / 1_000_000);
    let setup = Setup { strategy: id, instruments, capital, bar_interval_ms };
    let build = || entry.build(&strategy.params, &setup);
    let refused = |errors: Vec<_>| errors.iter().map(|error| format!("params: {error}")).collect::<Vec<_>>();
    let mut start = InstanceStart {
        id,
        kind: entry.metadata.kind.to_owned(),
        file_hash: entry.file_hash,
        params: strategy.params.to_string(),
        instruments: instruments.iter().map(|instrument| instrument.id).collect(),
        capital,
        bar_interval_ms,
        is_quarantined: false,
        resumed: None,
    };
    let begun = build().and_then(|built| leftovers.begin(&mut start, names, built, build));
    let (built, beginning) = begun.map_err(refused)?;
    let instance = Instance {
        id,
        name: strategy.name.clone(),
        strategy: built,
        instruments: start.instruments.clone(),
        bar_interval_ms,
        capital,
        is_quarantined: false,
    };
    Ok((instance, start, beginning))
}

/// For each instrument the shortest interval that any strategy wants, and enough of its bars for all of them.
fn join_warm_ups(
    instruments: &Instruments,
    wanted: &BTreeMap<InstrumentId, Vec<(u64, &'static str, u32)>>,
) -> Vec<WarmUp> {
    let join = |instrument: &Instrument| {
        let wanted = wanted.get(&instrument.id)?;
        let &(shortest_ns, interval, _) = wanted.iter().min_by_key(|(interval_ns, ..)| *interval_ns)?;
        let count =
            |&(interval_ns, _, count): &(u64, &str, u32)| u64::from(count).saturating_mul(interval_ns / shortest_ns);
        let count = wanted.iter().map(count).max().unwrap_or(0);
        Some(WarmUp { instrument: instrument.id, interval, count: u32::try_from(count).unwrap_or(u32::MAX).min(999) })
    };
    instruments.iter().filter_map(join).collect()
}

/// The text that subscribes to quotes, trades and depth of these instruments.
fn subscription(instruments: &[Instrument]) -> Vec<u8> {
    let streams = instruments.iter().flat_map(|instrument| {
        let symbol = instrument.symbol.as_str().to_ascii_lowercase();
        ["bookTicker", "trade", "depth@100ms"].map(|stream| format!("\"{symbol}@{stream}\""))
    });
    let streams: Vec<String> = streams.collect();
    format!("{{\"method\":\"SUBSCRIBE\",\"params\":[{}],\"id\":1}}", streams.join(",")).into_bytes()
}

/// A name that lives as long as the process: stages are made once.
fn leak(name: String) -> &'static str {
    Box::leak(name.into_boxed_str())
}
