//! The cold plane's loop: it does for the hot plane what may wait, and shows people what happens.

use super::assemble::WarmUp;
use super::client::{ClientError, VenueClient};
use super::clocks::{MEASURE_EVERY, WallWatch};
use super::keeper::Keeper;
use super::office::Order;
use super::standing::Shown;
use super::status::{Status, is_warning};
use crate::pipeline::clock::Clock;
use crate::pipeline::{ColdEnds, Counters};
use crate::types::{
    FeedInput, FeedMessage, HistoryBar, InstrumentId, Instruments, Latch, Quantity, Request, RiskCommand, ShardCommand,
    Side, Timestamp, TradingState, VenueId,
};
use crate::venue::binance::rest::Snapshot;
use crate::venue::connect::{Endpoint, connect};
use crate::venue::connection::{Arrival, Connection};
use crossbeam::channel::{Receiver, Sender};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

/// How often the lanes are drained.
const TICK: Duration = Duration::from_millis(2);
/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a failed request for history waits before it is made again.
const HISTORY_RETRY: Duration = Duration::from_secs(2);
/// Ticks between two drawings: 10 a second.
const DRAW_EVERY: u32 = 50;
/// How often venues are asked what was traded in each instrument within 24 hours.
const VOLUMES_EVERY: Duration = Duration::from_secs(300);

/// What a request to a venue brought.
enum Fetched {
    Snapshot(usize, InstrumentId, Result<Snapshot, ClientError>),
    History(usize, InstrumentId, Vec<HistoryBar>),
    Clock(VenueId, Result<i64, ClientError>),
    Volume(InstrumentId, Result<Quantity, ClientError>),
}

/// What is shown ten times a second.
pub trait Display {
    /// Shows the newest state. `counters` are the hot plane's own.
    ///
    /// # Errors
    /// Where the display is gone.
    fn show(&mut self, status: &Status, counters: &Counters) -> std::io::Result<()>;
}

/// Shows nothing.
pub struct NoDisplay;

impl Display for NoDisplay {
    fn show(&mut self, _status: &Status, _counters: &Counters) -> std::io::Result<()> {
        Ok(())
    }
}

/// The cold plane.
pub struct Plane {
    ends: ColdEnds,
    /// The hot plane's counters.
    pub counters: Counters,
    clients: Arc<Vec<VenueClient>>,
    instruments: Arc<Instruments>,
    /// The newest state of everything.
    pub status: Status,
    clock: Clock,
    /// Messages to each feed that had no room yet.
    outgoing: Vec<VecDeque<FeedMessage>>,
    fetched: mpsc::UnboundedReceiver<Fetched>,
    results: mpsc::UnboundedSender<Fetched>,
    /// To the keeper: what must outlive the process, and what operators are shown.
    latches: Option<Sender<Latch>>,
    shown: Option<Sender<Shown>>,
    /// Each venue's newest ban that the keeper has.
    bans: Vec<Timestamp>,
    /// What operators decided, from the keeper.
    orders: Option<Receiver<Order>>,
    /// Commands to risk that had no room yet.
    commands: VecDeque<RiskCommand>,
    wall: WallWatch,
    /// When the venues' clocks are to be measured next.
    measure_at: Instant,
    /// When they are to be asked next what was traded.
    ask_volumes_at: Instant,
    seed: u32,
}

impl Plane {
    /// The plane behind these ends.
    #[must_use]
    pub fn new(
        ends: ColdEnds,
        counters: Counters,
        clients: Arc<Vec<VenueClient>>,
        instruments: Arc<Instruments>,
        strategies: Vec<String>,
        clock: Clock,
        seed: u32,
    ) -> Self {
        // Unbounded, but each entry answers a request of ours, and those are limited by their makers' backoff.
        let (results, fetched) = mpsc::unbounded_channel();
        let outgoing = ends.venues.iter().map(|_| VecDeque::new()).collect();
        let status = Status::new((*instruments).clone(), strategies);
        // They were measured to ask the venues anything.
        let measured = clients
            .iter()
            .zip(0..)
            .map(|(client, venue)| RiskCommand::Clock { venue: VenueId(venue), offset_ns: client.offset_ns() });
        let commands = measured.collect();
        let bans = clients.iter().map(|client| client.budget().banned_until()).collect();
        Self {
            ends,
            counters,
            clients,
            instruments,
            status,
            clock,
            outgoing,
            fetched,
            results,
            latches: None,
            shown: None,
            bans,
            orders: None,
            commands,
            wall: WallWatch::default(),
            measure_at: Instant::now() + MEASURE_EVERY,
            ask_volumes_at: Instant::now() + VOLUMES_EVERY,
            seed,
        }
    }

    /// What must outlive the process goes to the keeper from now on, and what operators decide comes from there.
    pub fn keep_with(&mut self, keeper: &Keeper, orders: Receiver<Order>) {
        (self.latches, self.shown) = (Some(keeper.latches.clone()), Some(keeper.shown.clone()));
        self.orders = Some(orders);
    }

    /// Fetches the bars of the past; they go to the feeds as they come. Bars that cannot be had are asked for again
    /// until they can: a strategy that was promised history does not start without it.
    pub fn warm_up(&self, warm_ups: &[WarmUp]) {
        for instrument in self.instruments.iter().copied() {
            let venue = usize::from(instrument.venue.0);
            let wanted = warm_ups.iter().find(|warm_up| warm_up.instrument == instrument.id).cloned();
            let (clients, results) = (Arc::clone(&self.clients), self.results.clone());
            tokio::spawn(async move {
                let mut bars = Vec::new();
                while let (Some(client), Some(wanted)) =
                    (clients.get(venue), wanted.as_ref().filter(|wanted| wanted.count > 0))
                {
                    match client.bars(&instrument, wanted.interval, wanted.count).await {
                        Ok(found) => {
                            bars = found;
                            break;
                        }
                        Err(error) => warn!("history of {}: {error}", instrument.symbol),
                    }
                    sleep(HISTORY_RETRY).await;
                }
                // The plane may have stopped meanwhile.
                let _ = results.send(Fetched::History(venue, instrument.id, bars));
            });
        }
    }

    /// Serves the hot plane until `stop` resolves.
    pub async fn run(&mut self, display: &mut impl Display, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut until_draw = 0;
        loop {
            tokio::select! {
                () = &mut stop => return,
                Some(fetched) = self.fetched.recv() => self.take_fetched(fetched),
                _ = ticks.tick() => {}
            }
            self.drain();
            if until_draw == 0 {
                until_draw = DRAW_EVERY;
                self.look_at_clocks();
                self.look_at_volumes();
                if let Some(keeper) = self.shown.as_ref().filter(|keeper| keeper.is_empty()) {
                    let _ = keeper.try_send(self.status.shown(self.open_orders()));
                }
                if let Err(error) = display.show(&self.status, &self.counters) {
                    warn!("the display is gone: {error}");
                }
            }
            until_draw -= 1;
        }
    }

    /// Stops trading in order: strategies stop, no new orders pass, working orders are canceled; waits until the venue
    /// has confirmed all of them, at most for `timeout`. Answers how many orders are still open.
    pub async fn shut_down(&mut self, display: &mut impl Display, timeout: Duration) -> u64 {
        let deadline = Instant::now() + timeout;
        // Whatever would trade on comes too late.
        self.orders = None;
        self.commands.clear();
        for shard in 0..self.ends.shards.len() {
            while self.ends.shards.get_mut(shard).is_some_and(|lane| lane.try_send(ShardCommand::StopAll).is_err()) {
                sleep(TICK).await;
            }
        }
        for command in [RiskCommand::SetTradingState(TradingState::CancelOnly), RiskCommand::CancelAll] {
            while self.ends.risk.try_send(command).is_err() {
                sleep(TICK).await;
            }
        }
        // Positions are told every 50 ms: four rounds of them after the commands are past what was under way.
        let settled = Instant::now() + Duration::from_millis(200);
        self.run(display, sleep(settled - Instant::now())).await;
        while self.open_orders() > 0 && Instant::now() < deadline {
            self.run(display, sleep(Duration::from_millis(20))).await;
        }
        self.open_orders()
    }

    /// Orders that are not proven ended, as risk told last.
    #[must_use]
    pub fn open_orders(&self) -> u64 {
        self.status.positions.values().map(|report| u64::from(report.open_orders)).sum()
    }

    /// Takes everything the hot plane has to say.
    pub fn drain(&mut self) {
        for lane in &mut self.ends.notices {
            let status = &mut self.status;
            lane.drain(u64::MAX, |notice| {
                let line = status.notice(notice);
                if is_warning(notice.code) {
                    warn!("{line}");
                } else {
                    info!("{line}");
                }
            });
        }
        while self.ends.retired_limits.try_recv().is_ok() {}
        // What the keeper has no room for waits in risk's lane.
        while let Some(keeper) = self.latches.as_ref().filter(|keeper| !keeper.is_full())
            && let Some(latch) = self.ends.latches.next()
        {
            let _ = keeper.try_send(latch);
        }
        self.keep_bans();
        let status = &mut self.status;
        self.ends.positions.drain(u64::MAX, |report| status.position(report));
        for venue in &mut self.ends.venues {
            venue.sent.drain(u64::MAX, |sent| status.sent(sent));
        }
        while self.ends.retired.try_recv().is_ok_and(|mut connection| {
            connection.close();
            true
        }) {}
        self.take_orders();
        self.take_requests();
        for (venue, outgoing) in self.ends.venues.iter_mut().zip(&mut self.outgoing) {
            while let Some(message) = outgoing.front() {
                if venue.inputs.try_send(*message).is_err() {
                    break;
                }
                outgoing.pop_front();
            }
        }
    }

    /// Has it kept until when a venue has banned this address.
    fn keep_bans(&mut self) {
        let Some(keeper) = &self.latches else { return };
        for ((client, kept), venue) in self.clients.iter().zip(&mut self.bans).zip(0..) {
            let until = client.budget().banned_until();
            if until > *kept && keeper.try_send(Latch::Ban { venue: VenueId(venue), until }).is_ok() {
                *kept = until;
            }
        }
    }

    /// Has risk told of each venue's clock, every ten seconds and when the wall clock has jumped.
    fn look_at_clocks(&mut self) {
        let jumped = self.wall.look(&self.clock);
        if let Some(by_ns) = jumped {
            warn!("the wall clock jumped by {by_ns} ns: no new orders until the venues' clocks are measured again");
            self.commands.push_back(RiskCommand::ClockJump { by_ns });
        } else if Instant::now() < self.measure_at {
            return;
        }
        self.measure_at = Instant::now() + MEASURE_EVERY;
        for venue in (0..self.clients.len()).filter_map(|venue| u8::try_from(venue).ok().map(VenueId)) {
            let (clients, results) = (Arc::clone(&self.clients), self.results.clone());
            tokio::spawn(async move {
                if let Some(client) = clients.get(usize::from(venue.0)) {
                    let _ = results.send(Fetched::Clock(venue, client.measure_clock().await));
                }
            });
        }
    }

    /// Has risk told, every few minutes, what was traded in each instrument within 24 hours. Where no answer comes, what was
    /// told last stands.
    fn look_at_volumes(&mut self) {
        if Instant::now() < self.ask_volumes_at {
            return;
        }
        self.ask_volumes_at = Instant::now() + VOLUMES_EVERY;
        let (clients, results) = (Arc::clone(&self.clients), self.results.clone());
        let instruments = Arc::clone(&self.instruments);
        // One after the other: this is never urgent.
        tokio::spawn(async move {
            for instrument in instruments.iter() {
                if let Some(client) = clients.get(usize::from(instrument.venue.0)) {
                    let _ = results.send(Fetched::Volume(instrument.id, client.day_volume(instrument).await));
                }
            }
        });
    }

    /// Hands on what operators decided: an object goes into its port before the command that takes it.
    fn take_orders(&mut self) {
        while self.commands.is_empty()
            && let Some(order) = self.orders.as_ref().and_then(|orders| orders.try_recv().ok())
        {
            // The ports have as much room as the lane of commands.
            let command = match order {
                Order::Command(command) => Some(command),
                Order::Limits(limits) => self.ends.limits.try_send(limits).ok().map(|()| RiskCommand::TakeLimits),
                Order::Override(wanted) => {
                    self.ends.overrides.try_send(wanted).ok().map(|()| RiskCommand::TakeOverride)
                }
            };
            match command {
                Some(command) => self.commands.push_back(command),
                None => warn!("risk takes no more orders of operators: one was not handed on"),
            }
            self.send_commands();
        }
        self.send_commands();
    }

    fn send_commands(&mut self) {
        while let Some(command) = self.commands.front()
            && self.ends.risk.try_send(*command).is_ok()
        {
            self.commands.pop_front();
        }
    }

    fn take_requests(&mut self) {
        for index in 0..self.ends.venues.len() {
            while let Some(venue) = self.ends.venues.get_mut(index)
                && venue.gateway_requests.next().is_some()
            {
                let arrivals = venue.gateway_arrivals.clone();
                self.connect(index, |client| &client.order_api, arrivals);
            }
            while let Some(venue) = self.ends.venues.get_mut(index)
                && let Some(request) = venue.feed_requests.next()
            {
                let arrivals = venue.feed_arrivals.clone();
                match request {
                    Request::Connect => self.connect(index, |client| &client.market_stream, arrivals),
                    Request::Snapshot(instrument) => self.fetch_snapshot(index, instrument),
                }
            }
        }
    }

    /// Makes a connection on a thread of its own, as that blocks.
    fn connect(&mut self, venue: usize, endpoint: fn(&VenueClient) -> &Endpoint, arrivals: Sender<Arrival>) {
        let Some(client) = self.clients.get(venue) else { return };
        let endpoint = endpoint(client).clone();
        self.seed = self.seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let (tls, clock, seed) = (Arc::clone(&client.tls), self.clock.clone(), self.seed);
        let failed = arrivals.clone();
        let thread = std::thread::Builder::new().name("connect".to_owned()).spawn(move || {
            let arrival = match connect(&endpoint, CONNECT_TIMEOUT, tls) {
                Ok(connected) => {
                    let connection = Connection::new(Box::new(connected.socket), connected.reader, seed, clock.now());
                    Arrival::Connected(Box::new(connection))
                }
                Err(error) => {
                    warn!("{endpoint}: {error}");
                    Arrival::Failed { retry_after_s: error.retry_after_s() }
                }
            };
            // The stage may have stopped meanwhile.
            let _ = arrivals.try_send(arrival);
        });
        if let Err(error) = thread {
            warn!("a thread to connect cannot be started: {error}");
            let _ = failed.try_send(Arrival::Failed { retry_after_s: None });
        }
    }

    fn fetch_snapshot(&self, venue: usize, instrument: InstrumentId) {
        let Some(instrument) = self.instruments.get(instrument).copied() else { return };
        let (clients, results) = (Arc::clone(&self.clients), self.results.clone());
        tokio::spawn(async move {
            if let Some(client) = clients.get(venue) {
                let snapshot = client.snapshot(&instrument).await;
                let _ = results.send(Fetched::Snapshot(venue, instrument.id, snapshot));
            }
        });
    }

    fn take_fetched(&mut self, fetched: Fetched) {
        let (venue, instrument) = match &fetched {
            Fetched::Clock(venue, Ok(offset_ns)) => {
                self.commands.push_back(RiskCommand::Clock { venue: *venue, offset_ns: *offset_ns });
                return;
            }
            Fetched::Volume(instrument, Ok(day_volume)) => {
                self.commands.push_back(RiskCommand::Volume { instrument: *instrument, day_volume: *day_volume });
                return;
            }
            Fetched::Volume(_, Err(error)) => return warn!("what is traded in a day: {error}"),
            Fetched::Clock(venue, Err(error)) => return warn!("the clock of venue {}: {error}", venue.0),
            Fetched::Snapshot(venue, instrument, _) | Fetched::History(venue, instrument, _) => (*venue, *instrument),
        };
        let Some(outgoing) = self.outgoing.get_mut(venue) else { return };
        let mut push = |input| outgoing.push_back(FeedMessage { instrument, input });
        match fetched {
            Fetched::Snapshot(_, _, Ok(snapshot)) => {
                push(FeedInput::SnapshotBegin { update_id: snapshot.last_update_id });
                for (side, levels) in [(Side::Buy, &snapshot.bids), (Side::Sell, &snapshot.asks)] {
                    for level in levels {
                        push(FeedInput::SnapshotLevel { side, price: level.price, quantity: level.quantity });
                    }
                }
                push(FeedInput::SnapshotEnd);
            }
            // The feed asks again when its backoff is over.
            Fetched::Clock(..) | Fetched::Volume(..) => {}
            Fetched::Snapshot(_, _, Err(error)) => warn!("snapshot: {error}"),
            Fetched::History(_, _, bars) => {
                bars.into_iter().for_each(|bar| push(FeedInput::HistoryBar(bar)));
                push(FeedInput::HistoryEnd);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::ColdVenue;
    use crate::pipeline::lane::{self, lane};

    /// A plane in front of lanes of two messages, and the hot ends of those to a feed, a shard and to risk.
    fn plane() -> (Plane, lane::Receiver<FeedMessage>, lane::Receiver<ShardCommand>, lane::Receiver<RiskCommand>) {
        let (inputs, feed) = lane(2);
        let (shard_commands, shard) = lane(2);
        let (risk_commands, risk) = lane(2);
        let (feed_arrivals, gateway_arrivals) = (crossbeam::channel::bounded(1).0, crossbeam::channel::bounded(1).0);
        let venue = ColdVenue {
            venue: VenueId(0),
            inputs,
            feed_requests: lane(2).1,
            feed_arrivals,
            gateway_requests: lane(2).1,
            gateway_arrivals,
            sent: lane(2).1,
        };
        let ends = ColdEnds {
            venues: vec![venue],
            shards: vec![shard_commands],
            risk: risk_commands,
            positions: lane(2).1,
            latches: lane(2).1,
            limits: crossbeam::channel::bounded(1).0,
            retired_limits: crossbeam::channel::bounded(1).1,
            overrides: crossbeam::channel::bounded(1).0,
            notices: Vec::new(),
            retired: crossbeam::channel::bounded(1).1,
        };
        let clock = Clock::virtual_at(Timestamp::from_nanos(1));
        let (clients, instruments) = (Arc::new(Vec::new()), Arc::new(Instruments::new()));
        (Plane::new(ends, Counters::default(), clients, instruments, Vec::new(), clock, 1), feed, shard, risk)
    }

    #[test]
    fn what_the_feed_has_no_room_for_waits_in_order() {
        let (mut plane, mut feed, ..) = plane();
        let instrument = InstrumentId(0);
        plane.take_fetched(Fetched::History(0, instrument, vec![HistoryBar::default(); 4]));
        let mut seen = Vec::new();
        for _ in 0..4 {
            plane.drain();
            feed.drain(u64::MAX, |message| seen.push(message.input));
        }
        let bar = FeedInput::HistoryBar(HistoryBar::default());
        assert_eq!(seen, [bar, bar, bar, bar, FeedInput::HistoryEnd]);
    }

    #[test]
    fn commands_wait_for_room() {
        let (mut plane, _, mut shard, mut risk) = plane();
        for _ in 0..2 {
            plane.ends.shards[0].try_send(ShardCommand::StopAll).expect("room");
            plane.ends.risk.try_send(RiskCommand::CancelAll).expect("room");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (mut stops, mut commands) = (0, Vec::new());
        runtime.block_on(async {
            let hot = async {
                while commands.len() < 4 {
                    sleep(TICK * 3).await;
                    stops += shard.drain(u64::MAX, |_| {});
                    risk.drain(u64::MAX, |command| commands.push(*command));
                }
            };
            let mut display = NoDisplay;
            let (open_orders, ()) = tokio::join!(plane.shut_down(&mut display, Duration::from_secs(60)), hot);
            assert_eq!(open_orders, 0);
        });
        assert_eq!(stops, 3);
        let stop = RiskCommand::SetTradingState(TradingState::CancelOnly);
        assert_eq!(commands, [RiskCommand::CancelAll, RiskCommand::CancelAll, stop, RiskCommand::CancelAll]);
    }
}
