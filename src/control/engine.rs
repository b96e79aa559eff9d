//! One run of the engine, from configuration to summary.

use super::agree;
use super::assemble::{Facts, ask_venues, assemble};
use super::audit::Entry;
use super::client::VenueClient;
use super::data_dir::DataDir;
use super::identity;
use super::journaling::{self, JournalOptions, Opened, Recovery, Start};
use super::keeper::Keeper;
use super::names::Names;
use super::office::Office;
use super::plane::{Display, Plane};
use super::resuming::Beginning;
use super::status::Status;
use super::summary::{Latency, PositionSummary, ProfitAndLoss, StrategySummary, Summary, VenueSummary, decimal};
use super::watchdog::file::{Watched, end_kill};
use super::watchdog::guard::Guard;
use crate::config::Config;
use crate::journal::crash;
use crate::pipeline::clock::Clock;
use crate::pipeline::{self, Counters, HotStage};
use crate::portfolio::Rounding;
use crate::risk::{KillSwitch, OrderRecord, Risk};
use crate::types::{ClientOrderId, Money, OrderStatus, Timestamp, VenueId};
use crate::venue::binance::Credentials;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// What a run is made of besides its configuration.
pub struct Run<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Each venue's keys, in the configured order.
    pub credentials: Vec<Credentials>,
    /// Starts masks and spreads retries.
    pub seed: u32,
    /// The kill word: whoever holds a clone can set it.
    pub kill: KillSwitch,
    /// The arguments that start this program as the watchdog of this run; none runs without.
    pub watchdog: Option<Vec<OsString>>,
    /// Where its journal is.
    pub journal: JournalOptions,
}

/// Runs the engine until `stop` resolves, then shuts it down in order.
///
/// # Errors
/// Everything that keeps it from starting, in words.
pub async fn run(
    run: Run<'_>,
    display: &mut impl Display,
    stop: impl Future<Output = ()>,
) -> Result<Summary, Vec<String>> {
    let mut stop = pin!(stop);
    let Run { config, credentials, seed, kill, watchdog, journal } = run;
    let clock = Clock::wall();
    let data = DataDir::new(&config.engine.data_dir);
    let _lock = data.create().and_then(|()| data.lock()).map_err(|error| vec![error.to_string()])?;
    end_kill(&data).map_err(|error| vec![error.to_string()])?;
    let names = Names::of(config);
    let opened = Opened::open(journal, &data).map_err(|error| vec![error])?;
    let keeper = Keeper::start(data.clone(), names.clone(), kill.clone()).map_err(|error| vec![error])?;
    let guard = guard(&data, &kill, watchdog, &clock)?;
    if let Some(guard) = &guard {
        tokio::select! {
            watched = guard.watched() => watched.map_err(|error| vec![error])?,
            () = &mut stop => return Err(vec!["stopped before anything was traded".to_owned()]),
        }
    }
    let heartbeats = guard.as_ref().map(|guard| guard.heartbeats().clone()).unwrap_or_default();
    let made = config.venues.iter().zip(credentials).map(|(venue, keys)| VenueClient::new(venue, keys, &clock));
    let mut clients = made.collect::<Result<Vec<_>, _>>().map_err(|error| vec![error])?;
    // A ban that an earlier run was told of still holds: it is longer for whoever does not heed it.
    let bans = data.state().map_err(|error| vec![error.to_string()])?.bans;
    for client in &clients {
        if let Some(until) = bans
            .get(&client.name)
            .map(|until_ms| Timestamp::from_millis(*until_ms))
            .filter(|until| *until > clock.now())
        {
            client.budget().ban(Some(until), clock.now());
        }
    }
    keeper.keep_bans(clients.iter().map(|client| (client.name.clone(), Arc::clone(client.budget()))).collect());
    let keys: Vec<&str> = clients.iter().map(|client| client.credentials.api_key()).collect();
    let identity = identity::judge(config, &keys, &data).err().unwrap_or_default();
    identity.iter().for_each(|mismatch| tracing::error!("{mismatch}"));
    if identity.is_empty() {
        identity::remember(config, &keys, &data).map_err(|error| vec![error.to_string()])?;
    }
    let mut facts = ask_venues(config, &mut clients).await?;
    facts.epoch = next_epoch(&data, facts.epoch.max(opened.epoch().saturating_add(1)))?;
    crash::reach("epoch-after");
    let paged = journaling::paged_orders(&data).map_err(|error| vec![error])?;
    let restored = opened.restored(&names, &facts.instruments, &paged).map_err(|error| vec![error])?;
    let recovery = restored.as_ref().map(|_| opened.recovery);
    restored.iter().for_each(|restored| restored.begin(&mut facts));
    heartbeats.set_epoch(facts.epoch);
    let state = data.state().map_err(|error| vec![error.to_string()])?;
    let watched = Watched::of(&data, &state).map_err(|error| vec![error.to_string()])?;
    let mut assembly = assemble(config, &clients, &facts, &opened.leftovers(), &clock, seed)?;
    assembly.machine.risk.latches = state.latches(&names);
    assembly.machine.risk.identity = identity.first().map(Into::into);
    if let Some(restored) = restored {
        let open = restored.facts.orders.iter().filter(|order| order.is_live()).count();
        info!("recovered what epoch {} left behind: {open} orders that are not proven ended", restored.epoch);
        restored.enter(&mut assembly.machine);
    }
    for instance in assembly.machine.shards.iter_mut().flat_map(|(_, instances)| instances) {
        instance.is_quarantined = watched.quarantined.contains_key(&instance.name);
    }
    for (name, beginning) in names.strategies.iter().zip(&assembly.beginnings) {
        match beginning {
            Beginning::New => {}
            Beginning::Resumed => info!("strategy {name} resumes where it was"),
            Beginning::Afresh { because } => warn!("strategy {name} begins afresh: {because}"),
        }
    }
    let beginnings = std::mem::take(&mut assembly.beginnings);
    let (limits, office_clock) = (assembly.machine.risk.limits.clone(), clock.clone());
    let start = Start::of(&assembly.machine, &assembly.instances, &names, &facts);
    let page = journaling::order_page(&data)?;
    let machine = pipeline::build(assembly.machine, &clock, kill, heartbeats.clone())?;
    let (machine, taps) = machine.with_journal(page, config.engine.journal_market_data);
    let recorder = opened.start(config, start, taps, clock.now()).map_err(|error| vec![error])?;
    let (running, ends, counters) = machine.start(&config.layout(), config.idle())?;
    for (name, core) in &running.plan {
        info!("hot thread {name}{}", core.map(|core| format!(", pinned to core {core}")).unwrap_or_default());
    }
    info!("epoch {}", facts.epoch);

    let clients = Arc::new(clients);
    let instruments = Arc::clone(&facts.instruments);
    let mut plane = Plane::new(ends, counters, Arc::clone(&clients), instruments, names.strategies, clock, seed);
    let (mut office, orders) = Office::new(config, Arc::clone(&facts.instruments), limits, office_clock);
    office.keep_in(recorder.journal().clone());
    plane.keep_with(&keeper, orders);
    keeper.open(office);
    plane.warm_up(&assembly.warm_ups);
    plane.run(display, stop).await;
    let timeout = Duration::from_millis(config.engine.shutdown_timeout_ms);
    let open_orders = plane.shut_down(display, timeout).await;
    if open_orders > 0 {
        tracing::warn!("{open_orders} orders are not proven ended after {timeout:?}: look at the venue");
    } else {
        // Else the watchdog takes the rest for what a dead engine left behind.
        heartbeats.set_stopped();
    }
    let stages = running.stop();
    plane.drain();
    // The keeper's last words may be for the journal.
    drop(keeper);
    crash::reach("left-before");
    if let Err(error) = journaling::keep_left(recorder.journal(), &stages) {
        warn!("what strategies have come to is not in the journal, so that they begin afresh: {error}");
    }
    crash::reach("left-after");
    drop(recorder);
    journaling::discard_order_page(&data);
    let Some(risk) = stages.iter().find_map(|stage| if let HotStage::Risk(risk) = stage { Some(risk) } else { None })
    else {
        return Err(vec!["the risk stage is gone: its thread panicked".to_owned()]);
    };
    let mut venues = Vec::new();
    for (client, index) in clients.iter().zip(0..) {
        venues.push(agree::compare(client, VenueId(index), &facts, risk).await);
    }
    Ok(summarize(config, &facts, risk, (recovery, beginnings), &plane.status, &plane.counters, venues))
}

/// Has the run watched, if it is to be.
fn guard(
    data: &DataDir,
    kill: &KillSwitch,
    watchdog: Option<Vec<OsString>>,
    clock: &Clock,
) -> Result<Option<Guard>, Vec<String>> {
    if let Some(arguments) = watchdog {
        let guard = Guard::start(data, kill.clone(), arguments, clock.now());
        return guard.map(Some).map_err(|error| vec![format!("the watchdog: {error}")]);
    }
    let state = data.state().map_err(|error| vec![error.to_string()])?;
    let watched = Watched::of(data, &state).map_err(|error| vec![error.to_string()])?;
    match watched.latch.filter(|latch| !latch.is_flat) {
        None => Ok(None),
        Some(latch) => Err(vec![format!(
            "{}: the watchdog fired ({}), and no venue has confirmed since that nothing is open; run with it, or              `gannet watchdog` alone until it says FLAT",
            data.path().display(),
            latch.cause
        )]),
    }
}

/// This engine start's number: more than any that the venues or an earlier run knows, and on the disk when it is told.
fn next_epoch(data: &DataDir, of_venues: u32) -> Result<u32, Vec<String>> {
    let state = data.update_state(|state| state.epoch = of_venues.max(state.epoch.saturating_add(1)));
    let epoch = state.map_err(|error| vec![error.to_string()])?.epoch;
    let detail = format!("epoch {epoch}, process {}", std::process::id());
    Entry::of_engine("start", detail).write(data).map_err(|error| vec![error.to_string()])?;
    if epoch > ClientOrderId::EPOCH_MAX {
        return Err(vec![format!("{}: the last epoch was used: no further one is left", data.path().display())]);
    }
    Ok(epoch)
}

fn summarize(
    config: &Config,
    facts: &Facts,
    risk: &Risk,
    (recovered, beginnings): (Option<Recovery>, Vec<Beginning>),
    status: &Status,
    counters: &Counters,
    venues: Vec<VenueSummary>,
) -> Summary {
    let sent = |record: &&OrderRecord| record.status != OrderStatus::Denied;
    let filled = |record: &&OrderRecord| record.filled.0 > 0;
    let strategies = config.strategies.iter().zip(0u16..).zip(beginnings).map(|((strategy, id), began)| {
        let own = || risk.orders().iter().filter(|record| record.order.strategy.0 == id).filter(sent);
        StrategySummary {
            name: strategy.name.clone(),
            began,
            orders_sent: count(own().count()),
            orders_filled: count(own().filter(filled).count()),
        }
    });
    let strategies: Vec<StrategySummary> = strategies.collect();
    Summary {
        market_events: counters
            .feeds
            .iter()
            .map(|feed| feed.quotes.get() + feed.trades.get() + feed.depth_updates.get())
            .sum(),
        orders_sent: strategies.iter().map(|strategy| strategy.orders_sent).sum(),
        orders_filled: strategies.iter().map(|strategy| strategy.orders_filled).sum(),
        strategies,
        recovered,
        denied: risk.denied().map(|(reason, count)| (reason.name(), count)).collect(),
        positions: positions(config, facts, risk),
        pnl: profit_and_loss(config, facts, risk),
        tick_to_trade_ns: Latency::of(&status.tick_to_trade),
        dropped: dropped(counters),
        venue_agrees: venues.iter().all(|venue| venue.agrees),
        venues,
    }
}

/// What all holdings made, in the account's currency at the newest rates.
fn profit_and_loss(config: &Config, facts: &Facts, risk: &Risk) -> ProfitAndLoss {
    let mut sums = [Money::ZERO; 3];
    let mut unvalued = Vec::new();
    for holding in risk.holdings() {
        let id = holding.permission.instrument;
        let unrealized = risk.unrealized(holding.permission.strategy, id);
        let parts = [holding.position.realized(), unrealized.unwrap_or(Money::ZERO), holding.position.fees()];
        let rate = facts.instruments.get(id).and_then(|instrument| risk.rates().newest(instrument.quote));
        let valued = rate.and_then(|rate| {
            let [realized, unrealized, fees] = parts.map(|part| rate.apply(part, Rounding::Down));
            Some([realized?, unrealized?, fees?])
        });
        let name = || config.instruments.get(id.index()).map(|instrument| instrument.name());
        match valued {
            Some(parts) => {
                for (sum, part) in sums.iter_mut().zip(parts) {
                    *sum = sum.saturating_add(part);
                }
            }
            None if parts != [Money::ZERO; 3] => unvalued.extend(name()),
            None => {}
        }
    }
    unvalued.dedup();
    let [realized, unrealized, fees] = sums.map(|amount| amount.to_decimal_string());
    let currency = risk.rates().currency().and_then(|currency| facts.instruments.asset(currency));
    let currency = currency.map(|currency| currency.to_string()).unwrap_or_default();
    ProfitAndLoss { currency, realized, unrealized, fees, unvalued }
}

/// Net positions by instrument. The average price is of the strategies' open costs together.
fn positions(config: &Config, facts: &Facts, risk: &Risk) -> Vec<PositionSummary> {
    let named = config.instruments.iter().zip(facts.instruments.iter());
    named
        .map(|(wanted, instrument)| {
            let own = || risk.holdings().iter().filter(|holding| holding.permission.instrument == instrument.id);
            let quantity: i64 = own().map(|holding| holding.position.quantity().0).sum();
            let cost: Money = own().map(|holding| holding.position.open_cost()).sum();
            let held = instrument.notional(crate::types::Price(1), crate::types::Quantity(quantity));
            let average = held.filter(|unit| unit.0 != 0).map_or(0, |unit| cost.0 / unit.0);
            PositionSummary {
                instrument: wanted.name(),
                quantity: decimal(quantity, instrument.quantity_precision),
                average_price: decimal(i64::try_from(average).unwrap_or(0), instrument.price_precision),
            }
        })
        .collect()
}

/// Every counter of something left out, conflated or not shown, summed by name.
fn dropped(counters: &Counters) -> BTreeMap<String, u64> {
    let lists = counters
        .feeds
        .iter()
        .map(|block| block.list())
        .chain(counters.shards.iter().map(|block| block.list()))
        .chain([counters.risk.list()])
        .chain(counters.gateways.iter().map(|block| block.list()));
    let is_loss = |name: &str| name.starts_with("conflated") || name.starts_with("lost") || name.ends_with("dropped");
    let mut sums = BTreeMap::new();
    for (name, count) in lists.flatten().filter(|(name, count)| is_loss(name) && *count > 0) {
        *sums.entry(name.to_owned()).or_default() += count;
    }
    sums
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
