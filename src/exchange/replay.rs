//! Plays the recordings: what is due becomes book, matching and messages; at the end it starts again.

use super::bars::Print;
use super::book::{Changes, PublicBook, depth_event};
use super::clock::ReplayClock;
use super::config::{ExchangeConfig, ExchangeError, Speed};
use super::core::{Core, PublicTrade, TRADES_KEPT};
use super::hub::Stream;
use super::recording::{Event, EventKind, Level, RecordedTrade, Recording};
use super::text::decimal;
use crate::matching::Report;
use crate::types::{Price, Quantity, Side};
use std::sync::Arc;

/// How far klines reach into the past at the start: the recording is taken to have run before, lap after lap.
const HISTORY_NS: u64 = 600_000_000_000;
/// At most so many laps of it.
const HISTORY_LAPS_MAX: u64 = 20;
/// How many events are played before requests are looked at.
pub(super) const BATCH: usize = 256;
/// How many messages a batch may put into one client's queue.
pub(super) const BATCH_MESSAGES: usize = 4 * BATCH;

struct Player {
    recording: Arc<Recording>,
    next: usize,
    /// What this lap adds to recorded update and trade ids, so that ids go on.
    update_offset: u64,
    trade_offset: u64,
}

pub(super) struct Replay {
    players: Vec<Player>,
    pub clock: ReplayClock,
    speed: Speed,
    /// The lap, in recorded time.
    begin_ns: u64,
    end_ns: u64,
    start_ns: u64,
    /// How far the venue's clock was ahead of the recorder's: event times are restated without it.
    clock_lead_ns: i64,
}

/// When the next event is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// At once.
    Now,
    /// At this wall instant.
    At(u64),
}

impl Replay {
    pub(super) fn new(recordings: Vec<Recording>, config: &ExchangeConfig, now_ns: u64) -> Result<Self, ExchangeError> {
        let spans: Vec<_> = recordings.iter().map(Recording::span).collect();
        let begin_ns = spans.iter().map(|span| span.0).min();
        let end_ns = spans.iter().map(|span| span.1).max();
        let (Some(begin_ns), Some(end_ns)) = (begin_ns, end_ns) else {
            if config.walk.is_some() {
                return Ok(Self::of_nothing(now_ns));
            }
            return Err(ExchangeError::Config("there is no recording to play".to_owned()));
        };
        if spans.iter().any(|first| spans.iter().any(|second| first.1 < second.0)) {
            let text = "the recordings do not overlap in time, so they cannot be played side by side";
            return Err(ExchangeError::Config(text.to_owned()));
        }
        let clock_lead_ns = recordings.iter().map(|recording| recording.clock_lead_ns).max().unwrap_or(0);
        let offset_ns = u64::try_from(config.start_offset.as_nanos()).unwrap_or(u64::MAX);
        let wanted_ns = begin_ns.saturating_add(offset_ns);
        if wanted_ns >= end_ns {
            let length = (end_ns - begin_ns) / 1_000_000_000;
            return Err(ExchangeError::Config(format!("the start is past the end: the recording has {length} s")));
        }
        // At recorded pace the venue's whole seconds fall on wall ones, so that bars are those of the recording.
        let second = 1_000_000_000i128;
        let venue_ns = i128::from(wanted_ns) + i128::from(clock_lead_ns);
        let adjust_ns = u64::try_from((i128::from(now_ns) - venue_ns).rem_euclid(second)).unwrap_or(0);
        let start_ns = wanted_ns.saturating_add(adjust_ns).min(end_ns);
        let players = recordings.into_iter().map(|recording| Player {
            recording: Arc::new(recording),
            next: 0,
            update_offset: 0,
            trade_offset: 0,
        });
        Ok(Self {
            players: players.collect(),
            clock: ReplayClock::new(config.speed, start_ns, now_ns),
            speed: config.speed,
            begin_ns,
            end_ns,
            start_ns,
            clock_lead_ns,
        })
    }

    /// No recording: the market comes from elsewhere.
    fn of_nothing(now_ns: u64) -> Self {
        Self {
            players: Vec::new(),
            clock: ReplayClock::new(Speed::RECORDED, now_ns, now_ns),
            speed: Speed::RECORDED,
            begin_ns: now_ns,
            end_ns: now_ns,
            start_ns: now_ns,
            clock_lead_ns: 0,
        }
    }

    /// The symbol whose event is next in recorded time.
    fn next(&self) -> Option<(usize, u64)> {
        let upcoming = self.players.iter().enumerate().filter_map(|(index, player)| {
            player.recording.events.get(player.next).map(|event| (index, event.received_ns))
        });
        upcoming.min_by_key(|(_, received_ns)| *received_ns)
    }

    /// A venue instant of the recording on the wall clock, in milliseconds.
    fn restate(&self, venue_ms: u64, now_ns: u64, is_history: bool) -> u64 {
        if self.clock.is_flat_out() && !is_history {
            return now_ns / 1_000_000;
        }
        let recorded_ns = i128::from(venue_ms) * 1_000_000 - i128::from(self.clock_lead_ns);
        self.clock.wall(u64::try_from(recorded_ns).unwrap_or(0)) / 1_000_000
    }
}

impl Core {
    /// Brings books and bars to the starting point; nobody listens yet.
    pub(super) fn play_history(&mut self, now_ns: u64) {
        self.replay_past_laps();
        for index in 0..self.replay.players.len() {
            let recording = Arc::clone(&self.replay.players[index].recording);
            let book = PublicBook::new(&recording.snapshot_bids, &recording.snapshot_asks);
            self.symbols[index].last_update_id = recording.snapshot_id;
            self.jump(index, &book, recording.snapshot_id, 0);
        }
        while let Some((index, received_ns)) = self.replay.next() {
            if received_ns >= self.replay.start_ns {
                break;
            }
            self.play(index, now_ns, true);
        }
    }

    /// Klines of before the recording: its trades again, in earlier laps with lower ids.
    fn replay_past_laps(&mut self) {
        let lap_ns = self.replay.end_ns - self.replay.begin_ns + 1;
        let wall = |recorded_ns| self.replay.clock.wall(recorded_ns);
        let lap_wall_ns = (wall(self.replay.end_ns) - wall(self.replay.begin_ns)).max(1);
        let played_ns = wall(self.replay.start_ns) - wall(self.replay.begin_ns);
        let laps = HISTORY_NS.saturating_sub(played_ns).div_ceil(lap_wall_ns).min(HISTORY_LAPS_MAX);
        for lap in (1..=laps).rev() {
            for (player, symbol) in self.replay.players.iter().zip(&mut self.symbols) {
                let trades = player.recording.events.iter().filter_map(|event| match &event.kind {
                    EventKind::Trade(trade) => Some(trade),
                    _ => None,
                });
                let ids = player.trade_span();
                for trade in trades {
                    let venue_ms = trade.trade_ms.saturating_sub(lap * lap_ns / 1_000_000);
                    symbol.bars.add(&Print {
                        id: trade.id.saturating_sub(lap * ids),
                        trade_ms: self.replay.restate(venue_ms, 0, true),
                        price: trade.price,
                        quantity: trade.quantity,
                        aggressor: trade.aggressor,
                    });
                }
            }
        }
    }

    /// Plays what is due, at most [`BATCH`] events; tells when to come back.
    pub(super) fn advance(&mut self, now_ns: u64) -> Due {
        self.now_ns = now_ns;
        self.disturb(now_ns);
        if self.walk.is_some() {
            return self.advance_walk(now_ns);
        }
        for _ in 0..BATCH {
            let Some((index, received_ns)) = self.replay.next() else {
                self.start_again(now_ns);
                continue;
            };
            let due_ns = self.replay.clock.wall(received_ns);
            if !self.replay.clock.is_flat_out() && due_ns > now_ns {
                return Due::At(due_ns);
            }
            self.play(index, now_ns, false);
            self.summary.market_events += 1;
        }
        Due::Now
    }

    /// The next lap: ids go on, and each book jumps to the first of the recording by ordinary depth updates.
    fn start_again(&mut self, now_ns: u64) {
        self.summary.laps += 1;
        let wall_ns = if self.replay.clock.is_flat_out() { now_ns } else { self.replay.clock.wall(self.replay.end_ns) };
        self.replay.clock = ReplayClock::new(self.replay.speed, self.replay.begin_ns, wall_ns);
        for index in 0..self.symbols.len() {
            let newest = self.symbols[index].last_update_id.max(self.symbols[index].top.0);
            let player = &mut self.replay.players[index];
            let recording = Arc::clone(&player.recording);
            player.next = 0;
            player.trade_offset += player.trade_span();
            let book = PublicBook::new(&recording.snapshot_bids, &recording.snapshot_asks);
            let update_id = self.jump(index, &book, newest, wall_ns / 1_000_000);
            self.replay.players[index].update_offset = update_id.saturating_sub(recording.snapshot_id);
            let top = |side: Option<Level>| side.unwrap_or_default();
            self.quote(index, update_id, top(book.bids().next()), top(book.asks().next()));
        }
    }

    /// Changes a book to another one by depth updates whose last id is the answer: `update_id` where one suffices.
    pub(super) fn jump(&mut self, index: usize, to: &PublicBook, update_id: u64, event_ms: u64) -> u64 {
        let mut last_id = update_id;
        for changes in self.symbols[index].book.changes_to(to) {
            if event_ms > 0 {
                last_id += 1;
            }
            self.depth(index, last_id, event_ms, &changes.bids, &changes.asks);
        }
        last_id
    }

    fn play(&mut self, index: usize, now_ns: u64, is_history: bool) {
        let player = &mut self.replay.players[index];
        let recording = Arc::clone(&player.recording);
        let Some(Event { kind, .. }) = recording.events.get(player.next) else { return };
        player.next += 1;
        let (update_offset, trade_offset) = (player.update_offset, player.trade_offset);
        match kind {
            EventKind::Quote { update_id, bid, ask } => self.quote(index, update_id + update_offset, *bid, *ask),
            EventKind::Depth { update_id, event_ms, bids, asks } => {
                let event_ms = self.replay.restate(*event_ms, now_ns, is_history);
                let (bids, asks) = (recording.levels(bids), recording.levels(asks));
                self.depth(index, update_id + update_offset, event_ms, bids, asks);
            }
            EventKind::Trade(trade) => {
                let event_ms = self.replay.restate(trade.event_ms, now_ns, is_history);
                let trade_ms = self.replay.restate(trade.trade_ms, now_ns, is_history);
                let trade = RecordedTrade { id: trade.id + trade_offset, event_ms, trade_ms, ..*trade };
                self.trade(index, &trade);
            }
        }
    }

    pub(super) fn quote(&mut self, index: usize, update_id: u64, bid: Level, ask: Level) {
        let symbol = &mut self.symbols[index];
        symbol.top = (update_id, bid, ask);
        let mut reports = Vec::new();
        let pair = |(price, quantity)| (Price(price), Quantity(quantity));
        symbol.market.quote(&mut self.ledger, update_id, pair(bid), pair(ask), &mut reports);
        let name = &symbol.name;
        self.hub.publish((index, Stream::BookTicker), || {
            format!(
                "{{\"u\":{update_id},\"s\":\"{name}\",\"b\":\"{}\",\"B\":\"{}\",\"a\":\"{}\",\"A\":\"{}\"}}",
                decimal(bid.0),
                decimal(bid.1),
                decimal(ask.0),
                decimal(ask.1)
            )
        });
        self.settle(index, &reports);
    }

    fn depth(&mut self, index: usize, update_id: u64, event_ms: u64, bids: &[Level], asks: &[Level]) {
        let symbol = &mut self.symbols[index];
        let first_id = symbol.last_update_id + 1;
        symbol.last_update_id = update_id;
        symbol.book.apply(bids, asks);
        let mut reports = Vec::new();
        for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
            for &(price, quantity) in levels {
                let (price, quantity) = (Price(price), Quantity(quantity));
                symbol.market.level(&mut self.ledger, update_id, side, price, quantity, &mut reports);
            }
        }
        let name = &symbol.name;
        self.hub.publish((index, Stream::DepthFast), || depth_event(name, event_ms, (first_id, update_id), bids, asks));
        if self.hub.has_listeners((index, Stream::DepthSlow)) {
            let (_, changes) = symbol.slow_depth.get_or_insert_with(|| (first_id, Default::default()));
            changes.0.extend(bids.iter().copied());
            changes.1.extend(asks.iter().copied());
        }
        self.settle(index, &reports);
    }

    pub(super) fn trade(&mut self, index: usize, trade: &RecordedTrade) {
        let symbol = &mut self.symbols[index];
        let is_buyer_maker = trade.aggressor == Side::Sell;
        let (id, price, quantity) = (trade.id, trade.price, trade.quantity);
        symbol.bars.add(&Print { id, trade_ms: trade.trade_ms, price, quantity, aggressor: trade.aggressor });
        let public =
            PublicTrade { id, first_id: id, last_id: id, price, quantity, at_ms: trade.trade_ms, is_buyer_maker };
        keep(&mut symbol.trades, public);
        let mut reports = Vec::new();
        symbol.market.trade(&mut self.ledger, trade.aggressor, Price(price), Quantity(quantity), &mut reports);
        let name = &symbol.name;
        self.hub.publish((index, Stream::Trade), || {
            format!(
                "{{\"e\":\"trade\",\"E\":{},\"s\":\"{name}\",\"t\":{id},\"p\":\"{}\",\"q\":\"{}\",\"T\":{},\"m\":{is_buyer_maker},\"M\":true}}",
                trade.event_ms,
                decimal(price),
                decimal(quantity),
                trade.trade_ms
            )
        });
        if let Some((count, sum)) = trade.aggregate {
            let aggregate_id = symbol.next_aggregate;
            symbol.next_aggregate += 1;
            let first_id = id.saturating_sub(u64::from(count - 1));
            keep(&mut symbol.aggregates, PublicTrade { id: aggregate_id, first_id, quantity: sum, ..public });
            self.hub.publish((index, Stream::AggregateTrade), || {
                format!(
                    "{{\"e\":\"aggTrade\",\"E\":{},\"s\":\"{name}\",\"a\":{aggregate_id},\"p\":\"{}\",\"q\":\"{}\",\"f\":{first_id},\
                     \"l\":{id},\"T\":{},\"m\":{is_buyer_maker},\"M\":true}}",
                    trade.event_ms,
                    decimal(price),
                    decimal(sum),
                    trade.trade_ms
                )
            });
        }
        self.settle(index, &reports);
    }

    fn settle(&mut self, index: usize, reports: &[Report]) {
        if !reports.is_empty() {
            self.book_reports(index, reports, self.now_ns / 1_000_000);
        }
    }

    /// The streams that come every 100 ms.
    pub(super) fn tick_fast(&mut self) {
        self.publish_partial(true);
    }

    /// The streams that come every second.
    pub(super) fn tick_second(&mut self, now_ms: u64) {
        self.publish_partial(false);
        for index in 0..self.symbols.len() {
            let symbol = &mut self.symbols[index];
            let name = &symbol.name;
            if let Some((first_id, (bids, asks))) = symbol.slow_depth.take() {
                let changes = Changes { bids: bids.into_iter().collect(), asks: asks.into_iter().collect() };
                let ids = (first_id, symbol.last_update_id);
                self.hub.publish((index, Stream::DepthSlow), || {
                    depth_event(name, now_ms, ids, &changes.bids, &changes.asks)
                });
            }
            for interval in self.hub.klines(index) {
                let bars = symbol.bars.query(interval, Some(interval.open_ms(now_ms.saturating_sub(1_000))), now_ms, 2);
                for bar in bars {
                    let is_closed = bar.open_ms + interval.length_ms() <= now_ms;
                    self.hub.publish((index, Stream::Kline(interval)), || bar.event(name, interval, now_ms, is_closed));
                }
            }
            if let Some(day) = symbol.bars.day(now_ms) {
                let top = symbol.top;
                let last = symbol.trades.back().map_or(0, |trade| trade.quantity);
                self.hub
                    .publish((index, Stream::Ticker), || super::public::ticker_event(name, now_ms, &day, &top, last));
                self.hub.publish((index, Stream::MiniTicker), || super::public::mini_ticker_event(name, now_ms, &day));
            }
        }
    }

    fn publish_partial(&mut self, is_fast: bool) {
        for (index, symbol) in self.symbols.iter().enumerate() {
            for levels in [5, 10, 20] {
                let stream = Stream::Partial { levels, is_fast };
                self.hub.publish((index, stream), || symbol.book.snapshot(symbol.last_update_id, usize::from(levels)));
            }
        }
    }
}

impl Player {
    /// How many trade ids a lap takes.
    fn trade_span(&self) -> u64 {
        let id = |event: &Event| if let EventKind::Trade(trade) = &event.kind { Some(trade.id) } else { None };
        let first = self.recording.events.iter().find_map(id);
        let last = self.recording.events.iter().rev().find_map(id);
        first.zip(last).map_or(0, |(first, last)| last.saturating_sub(first) + 1)
    }
}

fn keep(trades: &mut std::collections::VecDeque<PublicTrade>, trade: PublicTrade) {
    if trades.len() == TRADES_KEPT {
        trades.pop_front();
    }
    trades.push_back(trade);
}
