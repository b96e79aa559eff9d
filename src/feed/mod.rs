//! Market data in: one venue's public stream, decoded, put in sequence and sent to the shards that want it.
//!
//! Old and repeated events are dropped by the venue's own ids; depth is joined with a snapshot ([`depth_sync`]) and
//! lost on any gap; what a shard has no room for is conflated ([`outbox`]). All of it is counted, and what a person
//! should know is said in a notice with where and what.

pub mod depth_sync;
pub mod outbox;

use crate::metrics::{FeedCounters, Shared};
use crate::pipeline::clock::Clock;
use crate::pipeline::lane::{Receiver, Sender};
use crate::pipeline::stage::Stage;
use crate::types::{
    FeedInput, FeedMessage, HistoryBar, InstrumentId, Notice, NoticeCode, Quote, Request, Side, Timestamp, Trade,
};
use crate::venue::binance::{DecodeError, MarketCodec, MarketFrame};
use crate::venue::connection::{Arrival, Backoff, Connection, ConnectionPort, Lost};
use depth_sync::{Delivery, DepthRule, DepthSync, DepthUpdate, SideLevel, SnapshotVerdict, Verdict};
use outbox::{LevelStamp, Outbox};

/// Frames taken from the socket in one cycle: enough to keep up, few enough that the first one's order is not late.
const FRAMES_PER_CYCLE: usize = 8;
/// Fetched messages taken in one cycle.
const INPUTS_PER_CYCLE: u64 = 4_096;
/// How long a connection that was replaced is read on, so that nothing is missed before its successor's streams begin.
const OVERLAP_NS: u64 = 10_000_000_000;
/// How often a connection is looked after.
const KEEP_ALIVE_EVERY_NS: u64 = 100_000_000;

/// What the feed is made of.
pub struct FeedConfig {
    /// `feed-VENUE`.
    pub name: &'static str,
    /// Decodes this venue's frames.
    pub codec: MarketCodec,
    /// How its depth updates chain.
    pub depth_rule: DepthRule,
    /// Its instruments that anybody subscribes to.
    pub instruments: Vec<InstrumentId>,
    /// How many instruments there are in all; bounds the ids.
    pub instrument_count: usize,
    /// The text that subscribes to all streams, sent after each connect.
    pub subscription: Vec<u8>,
    /// Starts masks and spreads retries.
    pub seed: u32,
}

/// The lanes of the feed.
pub struct FeedLanes {
    /// Snapshots and history.
    pub inputs: Receiver<FeedMessage>,
    /// Connections, and where lost ones go.
    pub connections: ConnectionPort,
    /// One a shard: its lane and the instruments it wants.
    pub shards: Vec<(Sender<crate::types::MarketMessage>, Vec<InstrumentId>)>,
    /// What only the cold plane can do.
    pub requests: Sender<Request>,
    /// What people should know.
    pub notices: Sender<Notice>,
}

/// What was seen last of one instrument.
struct Stream {
    instrument: InstrumentId,
    depth: DepthSync,
    quote_update_id: u64,
    trade_id: u64,
    was_crossed: bool,
}

/// The stage.
pub struct Feed {
    name: &'static str,
    clock: Clock,
    connection: Option<Box<Connection>>,
    /// The one before, which the venue is about to end, and until when it is read.
    leaving: Option<(Box<Connection>, Timestamp)>,
    backoff: Backoff,
    wants_connection: bool,
    looked_after_ns: Timestamp,
    subscription: Vec<u8>,
    inputs: Receiver<FeedMessage>,
    port: ConnectionPort,
    requests: Sender<Request>,
    codec: MarketCodec,
    core: Core,
}

/// What decoding and sequencing need; apart from the connection, so that a frame can be lent from it meanwhile.
struct Core {
    streams: Vec<Option<Stream>>,
    outboxes: Vec<Outbox>,
    notices: Sender<Notice>,
    counters: Shared<FeedCounters>,
    /// A bar of the past (`None`: the end of them) that some shard's lane had no room for, and how many shards had.
    history: Option<(InstrumentId, Option<HistoryBar>, usize)>,
    /// Whether a snapshot and the updates behind it are on their way out.
    is_delivering: bool,
    /// Whether the venue said that it is about to close.
    is_leaving: bool,
    /// Whether the connection before is still read: what the new one brings too early comes from there.
    is_overlapping: bool,
}

impl Feed {
    /// The feed of one venue, not connected yet.
    #[must_use]
    pub fn new(config: FeedConfig, lanes: FeedLanes, clock: Clock, counters: Shared<FeedCounters>) -> Self {
        let mut streams: Vec<Option<Stream>> = (0..config.instrument_count).map(|_| None).collect();
        for instrument in config.instruments {
            if let Some(slot) = streams.get_mut(instrument.index()) {
                let depth = DepthSync::new(config.depth_rule);
                *slot = Some(Stream { instrument, depth, quote_update_id: 0, trade_id: 0, was_crossed: false });
            }
        }
        let outboxes = lanes.shards.into_iter().map(|(lane, subscribed)| {
            Outbox::new(lane, &subscribed, config.instrument_count, Shared::clone(&counters))
        });
        Self {
            name: config.name,
            clock,
            connection: None,
            leaving: None,
            backoff: Backoff::new(config.seed),
            wants_connection: false,
            looked_after_ns: Timestamp::UNKNOWN,
            subscription: config.subscription,
            inputs: lanes.inputs,
            port: lanes.connections,
            requests: lanes.requests,
            codec: config.codec,
            core: Core {
                streams,
                outboxes: outboxes.collect(),
                notices: lanes.notices,
                counters,
                history: None,
                is_delivering: false,
                is_leaving: false,
                is_overlapping: false,
            },
        }
    }

    /// Asks for a connection while there is none (or the venue is about to end the one there is), and takes it.
    #[cold]
    fn reconnect(&mut self, now: Timestamp) -> usize {
        if self.wants_connection || self.backoff.is_due(now) {
            self.wants_connection = self.requests.try_send(Request::Connect).is_err();
        }
        match self.port.arrivals.try_recv() {
            Ok(Arrival::Connected(mut connection)) => {
                self.core.is_leaving = false;
                self.core.counters.connects.increment();
                self.core.notice(Notice::new(NoticeCode::Connected, now));
                if connection.queue(&self.subscription).is_err() {
                    self.core.notice(
                        Notice::new(NoticeCode::Misconfigured, now)
                            .excerpt(b"the subscription does not fit the write buffer"),
                    );
                }
                // Make before break: both serve for a while, and the ids remove what both deliver.
                if let Some(old) = self.connection.replace(connection) {
                    self.retire_leaving();
                    self.leaving = Some((old, now.plus(OVERLAP_NS)));
                    self.core.is_overlapping = true;
                }
                self.backoff.connected(now);
                for outbox in &mut self.core.outboxes {
                    for stream in self.core.streams.iter().flatten() {
                        outbox.connection(stream.instrument, true, now);
                    }
                }
                1
            }
            Ok(Arrival::Failed { retry_after_s }) => {
                self.backoff.failed(now, retry_after_s);
                0
            }
            Err(_) => 0,
        }
    }

    /// Reads on what the connection before still brings, until it ends or its time is over.
    #[cold]
    fn read_leaving(&mut self, now: Timestamp) -> usize {
        let Some((connection, until)) = &mut self.leaving else { return 0 };
        let (clock, codec, core) = (&self.clock, &mut self.codec, &mut self.core);
        core.is_overlapping = false;
        let was_leaving = core.is_leaving;
        let polled = connection.poll(
            FRAMES_PER_CYCLE,
            || clock.now(),
            |frame, received_ns| core.frame(codec, frame, received_ns),
        );
        // What it says of its own end is known.
        core.is_leaving = was_leaving;
        core.is_overlapping = true;
        match polled {
            Ok(count) if now < *until => count,
            Ok(_) | Err(_) => {
                self.retire_leaving();
                1
            }
        }
    }

    fn retire_leaving(&mut self) {
        self.core.is_overlapping = false;
        if let Some((connection, _)) = self.leaving.take() {
            self.port.retire(connection);
        }
    }

    #[cold]
    fn lost(&mut self, lost: Lost, now: Timestamp) {
        self.retire_leaving();
        if let Some(connection) = self.connection.take() {
            self.port.retire(connection);
        }
        if self.backoff.lost(now) {
            self.port.retire_arrivals();
        }
        self.core.counters.disconnects.increment();
        self.core.notice(Notice::new(NoticeCode::Disconnected, now).excerpt(lost.name().as_bytes()));
        let Core { streams, outboxes, .. } = &mut self.core;
        for stream in streams.iter_mut().flatten() {
            stream.depth.lose();
            for outbox in outboxes.iter_mut() {
                outbox.connection(stream.instrument, false, now);
                outbox.depth_lost(stream.instrument, now);
            }
        }
    }

    fn look_after(&mut self, now: Timestamp) {
        self.looked_after_ns = now;
        let counters = &self.core.counters;
        counters.slow_frames.add(self.codec.slow_frames().saturating_sub(counters.slow_frames.get()));
        if let Some(connection) = &mut self.connection
            && let Err(lost) = connection.keep_alive(now)
        {
            self.lost(lost, now);
        }
        if self.connection.is_none() {
            return;
        }
        for stream in self.core.streams.iter_mut().flatten() {
            if stream.depth.wants_snapshot(now) && self.requests.try_send(Request::Snapshot(stream.instrument)).is_ok()
            {
                self.core.counters.snapshots_requested.increment();
            }
        }
    }
}

impl Stage for Feed {
    fn poll(&mut self, now: Timestamp) -> usize {
        let mut work_done = self.core.take_inputs(&mut self.inputs, now);
        for outbox in &mut self.core.outboxes {
            work_done += outbox.flush();
        }
        if self.connection.is_none() || self.core.is_leaving {
            work_done += self.reconnect(now);
        }
        if now.since(self.looked_after_ns) >= KEEP_ALIVE_EVERY_NS {
            self.look_after(now);
        }
        if self.leaving.is_some() {
            work_done += self.read_leaving(now);
        }
        let Some(connection) = &mut self.connection else { return work_done };
        let (clock, codec, core) = (&self.clock, &mut self.codec, &mut self.core);
        let polled = connection.poll(
            FRAMES_PER_CYCLE,
            || clock.now(),
            |frame, received_ns| core.frame(codec, frame, received_ns),
        );
        match polled {
            Ok(count) => work_done + count,
            Err(lost) => {
                self.lost(lost, now);
                work_done + 1
            }
        }
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

impl Core {
    fn notice(&mut self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            self.counters.notices_dropped.increment();
        }
    }

    #[inline]
    fn frame(&mut self, codec: &mut MarketCodec, frame: &mut [u8], received_ns: Timestamp) {
        self.counters.frames.increment();
        match codec.decode(frame) {
            Ok(MarketFrame::Quote { instrument, mut quote, update_id }) => {
                quote.received_ns = received_ns;
                self.quote(instrument, quote, update_id);
            }
            Ok(MarketFrame::Trade { instrument, mut trade, aggressor, first_trade_id, last_trade_id }) => {
                trade.received_ns = received_ns;
                self.trade(instrument, trade, aggressor, (first_trade_id, last_trade_id));
            }
            Ok(MarketFrame::Depth { instrument, first_update_id, last_update_id, previous_update_id, exchange_ns }) => {
                let update =
                    DepthUpdate { first_update_id, last_update_id, previous_update_id, exchange_ns, received_ns };
                self.depth(codec, instrument, update);
            }
            Ok(MarketFrame::Shutdown) => self.is_leaving = true,
            Ok(MarketFrame::Reply { error: Some(code), .. }) => {
                let notice = Notice::new(NoticeCode::Misconfigured, received_ns).values(0, i128::from(code));
                self.notice(notice.excerpt(b"the venue refused the subscription"));
            }
            Ok(MarketFrame::Reply { .. } | MarketFrame::Other) => {}
            Err(error) => self.bad_frame(error, frame, received_ns),
        }
    }

    /// A frame that cannot be read may have been of any instrument: what was depth is found out by the gap it leaves.
    #[cold]
    fn bad_frame(&mut self, error: DecodeError, frame: &[u8], received_ns: Timestamp) {
        let code = if matches!(error, DecodeError::UnknownSymbol) {
            self.counters.unknown_symbols.increment();
            NoticeCode::UnknownSymbol
        } else {
            self.counters.bad_frames.increment();
            NoticeCode::BadMarketFrame
        };
        self.notice(Notice::new(code, received_ns).excerpt(frame));
    }

    #[inline]
    fn quote(&mut self, instrument: InstrumentId, quote: Quote, update_id: u64) {
        self.counters.quotes.increment();
        let Some(Some(stream)) = self.streams.get_mut(instrument.index()) else { return };
        if update_id <= stream.quote_update_id {
            self.counters.old_events.increment();
            return;
        }
        stream.quote_update_id = update_id;
        // A crossed quote goes on all the same: risk must see that there is no market, not the last good one.
        let is_crossed = quote.bid_quantity.0 > 0 && quote.ask_quantity.0 > 0 && quote.bid >= quote.ask;
        let was_crossed = std::mem::replace(&mut stream.was_crossed, is_crossed);
        for outbox in &mut self.outboxes {
            outbox.quote(instrument, quote);
        }
        if is_crossed {
            self.counters.crossed_quotes.increment();
        }
        if is_crossed && !was_crossed {
            let notice = Notice::new(NoticeCode::CrossedBook, quote.received_ns).instrument(instrument);
            self.notice(notice.values(i128::from(quote.bid.0), i128::from(quote.ask.0)));
        }
    }

    #[inline]
    fn trade(&mut self, instrument: InstrumentId, trade: Trade, aggressor: Side, (first_id, last_id): (u64, u64)) {
        self.counters.trades.increment();
        let Some(Some(stream)) = self.streams.get_mut(instrument.index()) else { return };
        if first_id <= stream.trade_id {
            self.counters.old_events.increment();
            return;
        }
        if self.is_overlapping && stream.trade_id != 0 && first_id > stream.trade_id.saturating_add(1) {
            return;
        }
        stream.trade_id = last_id;
        for outbox in &mut self.outboxes {
            outbox.trade(instrument, aggressor, trade);
        }
    }

    fn depth(&mut self, codec: &MarketCodec, instrument: InstrumentId, update: DepthUpdate) {
        self.counters.depth_updates.increment();
        let Some(Some(stream)) = self.streams.get_mut(instrument.index()) else { return };
        let (bids, asks) = codec.levels();
        let levels = || {
            let side = |side| {
                move |level: &crate::venue::binance::Level| SideLevel {
                    side,
                    price: level.price,
                    quantity: level.quantity,
                }
            };
            bids.iter().map(side(Side::Buy)).chain(asks.iter().map(side(Side::Sell)))
        };
        let received_ns = update.received_ns;
        if self.is_overlapping && stream.depth.is_ahead(&update) {
            return;
        }
        match stream.depth.on_update(update, levels()) {
            Verdict::Apply => {
                let stamp =
                    LevelStamp { update_id: update.last_update_id, exchange_ns: update.exchange_ns, received_ns };
                let count = bids.len() + asks.len();
                let mut is_whole = true;
                for outbox in &mut self.outboxes {
                    is_whole &= outbox.depth_update(instrument, stamp, count, levels()).is_ok();
                }
                if !is_whole {
                    self.counters.lost_depth_updates.increment();
                    stream.depth.lose();
                    self.depth_lost(instrument, received_ns);
                }
            }
            Verdict::Gap { expected, found } => self.depth_gap(instrument, received_ns, expected, found),
            Verdict::Overflow => self.depth_lost(instrument, received_ns),
            Verdict::Old => self.counters.old_events.increment(),
            Verdict::Held => {}
        }
    }

    #[cold]
    fn depth_gap(&mut self, instrument: InstrumentId, received_ns: Timestamp, expected: u64, found: u64) {
        self.counters.depth_gaps.increment();
        let notice = Notice::new(NoticeCode::DepthGap, received_ns).instrument(instrument);
        self.notice(notice.values(i128::from(expected), i128::from(found)));
        self.depth_lost(instrument, received_ns);
    }

    #[cold]
    fn depth_lost(&mut self, instrument: InstrumentId, received_ns: Timestamp) {
        for outbox in &mut self.outboxes {
            outbox.depth_lost(instrument, received_ns);
        }
        self.notice(Notice::new(NoticeCode::DepthLost, received_ns).instrument(instrument));
    }

    /// Takes what the cold plane fetched, and delivers snapshots as far as there is room.
    #[inline]
    fn take_inputs(&mut self, inputs: &mut Receiver<FeedMessage>, now: Timestamp) -> usize {
        let mut work_done = 0;
        // History that found no room waits, and everything behind it, so that no bar is lost.
        if self.history.is_some() {
            work_done += self.send_history();
        }
        while self.history.is_none() && work_done < usize::try_from(INPUTS_PER_CYCLE).unwrap_or(usize::MAX) {
            let Some(message) = inputs.next() else { break };
            work_done += 1;
            self.input(message, now);
        }
        if self.is_delivering {
            work_done += self.deliver(now);
        }
        work_done
    }

    #[cold]
    fn input(&mut self, FeedMessage { instrument, input }: FeedMessage, now: Timestamp) {
        let Some(Some(stream)) = self.streams.get_mut(instrument.index()) else { return };
        match input {
            FeedInput::SnapshotBegin { update_id } => stream.depth.begin_snapshot(update_id, now),
            FeedInput::SnapshotLevel { side, price, quantity } => {
                stream.depth.snapshot_level(SideLevel { side, price, quantity });
            }
            FeedInput::SnapshotEnd => match stream.depth.end_snapshot() {
                SnapshotVerdict::Joined => {
                    self.is_delivering = true;
                    self.counters.snapshots_applied.increment();
                }
                SnapshotVerdict::TooOld => {
                    self.notice(Notice::new(NoticeCode::SnapshotTooOld, now).instrument(instrument));
                }
                SnapshotVerdict::Unwanted => {}
            },
            FeedInput::HistoryBar(bar) => {
                self.history = Some((instrument, Some(bar), 0));
                self.send_history();
            }
            FeedInput::HistoryEnd => {
                self.history = Some((instrument, None, 0));
                self.send_history();
            }
        }
    }

    /// Sends the bar that waits to the shards that have not had it, and answers whether all have now.
    fn send_history(&mut self) -> usize {
        let Some((instrument, bar, done)) = &mut self.history else { return 0 };
        for outbox in self.outboxes.iter_mut().skip(*done) {
            if outbox.history(*instrument, *bar).is_err() {
                return 0;
            }
            *done += 1;
        }
        self.history = None;
        1
    }

    #[cold]
    fn deliver(&mut self, now: Timestamp) -> usize {
        let mut work_done = 0;
        self.is_delivering = false;
        for index in 0..self.streams.len() {
            let Some(Some(stream)) = self.streams.get_mut(index) else { continue };
            let instrument = stream.instrument;
            while let Some(piece) = stream.depth.delivery() {
                // A piece that fits one shard but not another is sent to both again: levels are absolute.
                let is_sent = self.outboxes.iter_mut().all(|outbox| match piece {
                    Delivery::Snapshot { update_id, received_ns, levels } => {
                        let stamp = LevelStamp { update_id, exchange_ns: Timestamp::UNKNOWN, received_ns };
                        outbox.snapshot(instrument, stamp, levels).is_ok()
                    }
                    Delivery::Update { update, levels } => {
                        let (update_id, exchange_ns) = (update.last_update_id, update.exchange_ns);
                        let stamp = LevelStamp { update_id, exchange_ns, received_ns: update.received_ns };
                        outbox.depth_update(instrument, stamp, levels.len(), levels.iter().copied()).is_ok()
                    }
                });
                if !is_sent {
                    self.is_delivering = true;
                    break;
                }
                work_done += 1;
                let verdict = stream.depth.delivered();
                if let Verdict::Gap { expected, found } = verdict {
                    self.depth_gap(instrument, now, expected, found);
                    break;
                }
                if stream.depth.is_synced() {
                    let update_id = i128::from(stream.depth.last_update_id());
                    self.notice(Notice::new(NoticeCode::DepthSynced, now).instrument(instrument).values(0, update_id));
                    break;
                }
            }
        }
        work_done
    }
}

#[cfg(test)]
mod tests;
