//! From the kill switch to the last cancel on the wire: a thousand open orders, through the real stages.
//!
//! `cargo bench --bench kill -- [--json] [--count N]`
//!
//! The venue is memory: what is written to it costs no system call, and its own limits are left aside. A repetition has
//! the strategy rest its orders, kills the engine's scope, takes the instant at which the last byte of the last cancel
//! was written, lets the venue confirm, and releases. All times in ns.

#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a harness fails by panicking"
)]

#[allow(dead_code, reason = "what other measurements use of it")]
mod rig;

use gannet::pipeline::clock::Clock;
use gannet::pipeline::heartbeat::Heartbeats;
use gannet::pipeline::stage::Stage;
use gannet::pipeline::{self, ColdEnds, Counters, HotStage, Machine};
use gannet::risk::{KillScope, KillSwitch};
use gannet::strategy::AnyStrategy;
use gannet::strategy::prelude::*;
use gannet::types::{ClientOrderId, RiskCommand, TradingState};
use gannet::venue::connection::{Arrival, Connection};
use gannet::venue::{ByteStream, FrameReader, StreamError};
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Orders that are open when the switch is thrown.
const OPEN_ORDERS: u64 = 1_000;
/// Strategies, as each may have 128 orders working.
const STRATEGIES: u64 = 8;
/// Orders of one quote, of each strategy.
const BURST: u64 = 5;
/// Cycles in which everything must have happened.
const PATIENCE: usize = 100_000;

/// Rests orders at every quote.
struct Rester;

impl Strategy for Rester {
    const METADATA: Metadata = Metadata {
        kind: "rester",
        display_name: "Rester",
        version: "1.0.0",
        author: "Gannet",
        description: "Orders that rest, for measurements.",
        compatibility: Compatibility::ANY,
    };
    type Params = rig::NoParams;

    fn new(_params: &rig::NoParams, _setup: &Setup) -> Result<Self, FieldError> {
        Ok(Self)
    }

    fn on_quote(&mut self, context: &mut Context, instrument: InstrumentId, quote: &Quote) -> Handled {
        for level in 0..BURST {
            let price = Price(quote.bid.0 - 1_000 - level as i64);
            // A denial shows in the counts that the harness compares.
            let _ = context.submit(NewOrder::limit(instrument, Side::Buy, Quantity(100), price));
        }
        Ok(())
    }
}

/// What the harness and its stream share.
#[derive(Default)]
struct Wire {
    incoming: Mutex<VecDeque<u8>>,
    written_at: AtomicU64,
}

/// The venue: says what the harness gives it, and remembers when it was written to.
struct Venue {
    wire: Arc<Wire>,
    clock: Clock,
}

impl ByteStream for Venue {
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        let mut incoming = self.wire.incoming.lock().expect("one thread");
        let count = incoming.len().min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(incoming.drain(..count)) {
            *slot = byte;
        }
        Ok(count)
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        self.wire.written_at.store(self.clock.now().nanos(), Ordering::Relaxed);
        Ok(bytes.len())
    }
}

impl Wire {
    fn say(&self, text: &str) {
        self.incoming.lock().expect("one thread").extend(rig::framed(text));
    }
}

/// The report that an order was accepted, or canceled.
fn report(id: ClientOrderId, kind: &str) -> String {
    let number = 1_000_000_000 + u64::from(id.sequence());
    format!(
        "{{\"subscriptionId\":0,\"event\":{{\"e\":\"executionReport\",\"E\":1723161255208,\"s\":\"BTCUSDT\",\"c\":\"{id}\",\"S\":\"BUY\",\"o\":\"LIMIT\",\"f\":\"GTC\",\"q\":\"0.00100\",\"p\":\"61837.00\",\"P\":\"0.00\",\"C\":\"\",\"x\":\"{kind}\",\"X\":\"{kind}\",\"r\":\"NONE\",\"i\":{number},\"l\":\"0.00000\",\"z\":\"0.00000\",\"L\":\"0.00\",\"n\":\"0\",\"N\":null,\"T\":1723161255208,\"t\":-1,\"I\":{number},\"m\":false}}}}"
    )
}

struct Harness {
    stages: Vec<HotStage>,
    cold: ColdEnds,
    counters: Counters,
    kill: KillSwitch,
    clock: Clock,
    orders: Arc<Wire>,
    quotes: Arc<Wire>,
    quoted: u64,
    /// Orders that were sent and not yet canceled.
    open: Vec<ClientOrderId>,
}

impl Harness {
    fn new() -> Self {
        let clock = Clock::wall();
        let config = rig::config(&clock, (0..STRATEGIES).map(|_| Box::new(Rester) as Box<dyn AnyStrategy>).collect());
        let machine = pipeline::build(config, &clock, KillSwitch::new(), Heartbeats::default());
        let Machine { stages, cold, counters, kill, .. } = machine.unwrap_or_else(|errors| panic!("{errors:?}"));
        let (orders, quotes) = (Arc::<Wire>::default(), Arc::<Wire>::default());
        let mut harness = Self { stages, cold, counters, kill, clock, orders, quotes, quoted: 0, open: Vec::new() };
        let arrival = |wire: &Arc<Wire>, seed: u32| {
            let venue = Venue { wire: Arc::clone(wire), clock: harness.clock.clone() };
            Arrival::Connected(Box::new(Connection::new(
                Box::new(venue),
                FrameReader::new(),
                seed,
                harness.clock.now(),
            )))
        };
        let (feed, gateway) = (arrival(&harness.quotes, 3), arrival(&harness.orders, 5));
        let venue = &mut harness.cold.venues[0];
        venue.feed_arrivals.try_send(feed).unwrap_or_else(|_| panic!("room"));
        venue.gateway_arrivals.try_send(gateway).unwrap_or_else(|_| panic!("room"));
        rig::start(&mut venue.inputs);
        harness.cycles(100);
        for greeting in rig::greetings() {
            harness.orders.incoming.lock().expect("one thread").extend(greeting);
            harness.cycles(100);
        }
        harness
    }

    /// Polls every stage once, as the loop of a hot thread does.
    fn cycle(&mut self) {
        let mut now = self.clock.now();
        for stage in &mut self.stages {
            if stage.poll(now) > 0 {
                now = self.clock.now();
            }
        }
    }

    fn cycles(&mut self, count: usize) {
        (0..count).for_each(|_| self.cycle());
    }

    /// Polls until `is_done`.
    fn until(&mut self, what: &str, mut is_done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..PATIENCE {
            if is_done(self) {
                return;
            }
            self.cycle();
        }
        let mut lines = Vec::new();
        for lane in &mut self.cold.notices {
            lane.drain(u64::MAX, |notice| lines.push(format!("{notice:?}")));
        }
        lines.truncate(5);
        panic!("{what}: {} orders open\n{:?}\n{}", self.open.len(), self.counters.risk, lines.join("\n"));
    }

    /// Lets the strategy rest its orders, all of them accepted.
    fn rest(&mut self) {
        while (self.open.len() as u64) < OPEN_ORDERS {
            self.quotes.say(&rig::quote_frame(self.quoted));
            self.quoted += 1;
            let before = self.open.len();
            self.until("orders are sent", |harness| {
                let (wire, open) = (&harness.orders, &mut harness.open);
                harness.cold.venues[0].sent.drain(u64::MAX, |sent| {
                    wire.say(&report(sent.client_order_id, "NEW"));
                    open.push(sent.client_order_id);
                });
                harness.open.len() as u64 >= before as u64 + STRATEGIES * BURST
            });
        }
        self.until("orders are accepted", |harness| harness.orders.incoming.lock().expect("one thread").is_empty());
        self.cycles(100);
    }

    /// Throws the switch, and answers how long it took until the last cancel was written.
    fn kill(&mut self) -> u64 {
        let before = self.counters.gateways[0].cancels_sent.get();
        let thrown = self.clock.now().nanos();
        self.kill.kill(KillScope::Engine);
        // One request for the instrument, and one for each order.
        self.until("cancels are sent", |harness| {
            harness.counters.gateways[0].cancels_sent.get() - before > OPEN_ORDERS
        });
        self.orders.written_at.load(Ordering::Relaxed).saturating_sub(thrown).max(1)
    }

    /// Lets the venue confirm, and trading go on.
    fn release(&mut self) {
        self.orders.say("{\"id\":\"x0000000000000000\",\"status\":200,\"result\":[],\"rateLimits\":[]}");
        for id in std::mem::take(&mut self.open) {
            self.orders.say(&report(id, "CANCELED"));
        }
        self.until("cancels are confirmed", |harness| harness.orders.incoming.lock().expect("one thread").is_empty());
        self.cycles(1_000);
        self.kill.release(KillScope::Engine);
        self.cycles(10);
        self.cold.risk.try_send(RiskCommand::SetTradingState(TradingState::Active)).expect("room");
        self.cycles(10);
        for lane in &mut self.cold.notices {
            lane.drain(u64::MAX, |_| {});
        }
        self.cold.positions.drain(u64::MAX, |_| {});
        self.cold.latches.drain(u64::MAX, |_| {});
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments.iter().position(|argument| argument == "--count");
    let count: u64 = count.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(1_000);
    let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that the histogram takes");
    let mut harness = Harness::new();
    // The first few find cold memory.
    for repetition in 0..count + 10 {
        harness.rest();
        let time = harness.kill();
        harness.release();
        if repetition >= 10 {
            times.saturating_record(time);
        }
    }
    let [p50, p99, p99_9] = [0.5, 0.99, 0.999].map(|quantile| times.value_at_quantile(quantile));
    let (count, max) = (times.len(), times.max());
    if arguments.iter().any(|argument| argument == "--json") {
        println!(
            "{{\"interval\":\"kill_to_last_cancel\",\"open_orders\":{OPEN_ORDERS},\"count\":{count},\"p50\":{p50},\"p99\":{p99},\"p99_9\":{p99_9},\"max\":{max}}}"
        );
    } else {
        println!("kill to the last of {OPEN_ORDERS} cancels, {count} times, in ns:");
        println!("p50 {p50}  p99 {p99}  p99.9 {p99_9}  max {max}");
    }
}
