//! A gateway again, from its entries: without a socket, and without keys.

use super::cycle::{Cycle, Difference};
use crate::gateway::{Gateway, GatewayLanes, GatewayStart};
use crate::pipeline::lane::{Receiver, Sender, roomy_lane};
use crate::pipeline::stage::Stage;
use crate::pipeline::tap::Tap;
use crate::risk::approved_lane;
use crate::types::{
    CancelIntent, Entry, Event, GatewayMessage, Instruments, Notice, Request, SentOrder, Timestamp, VenueId,
};
use crate::venue::connection::ConnectionPort;
use crossbeam::channel;
use std::sync::Arc;

/// More than a gateway takes from one lane in a poll, or than risk's lane lets it tell.
const LANE: usize = 8_192;

/// A gateway under replay.
pub struct GatewayReplay {
    venue: VenueId,
    gateway: Gateway,
    cycle: Cycle,
    cancels: Sender<CancelIntent>,
    reports: Receiver<GatewayMessage>,
    sent: Receiver<SentOrder>,
    requests: Receiver<Request>,
    notices: Receiver<Notice>,
    /// The instant of the newest cycle that has run.
    pub(super) ran_ns: Timestamp,
}

impl GatewayReplay {
    /// The gateway as it was when the engine started.
    #[must_use]
    pub fn new(start: &GatewayStart, instruments: &Instruments) -> Self {
        let (cancels, cancels_in) = roomy_lane(LANE);
        let (reports_out, reports) = roomy_lane(LANE);
        let (sent_out, sent) = roomy_lane(LANE);
        let (requests_out, requests) = roomy_lane(LANE);
        let (notices_out, notices) = roomy_lane(LANE);
        let lanes = GatewayLanes {
            // Nothing comes by it: nobody but risk approves an order.
            orders: approved_lane(2).1,
            cancels: cancels_in,
            reports: reports_out,
            sent: sent_out,
            connections: ConnectionPort { arrivals: channel::never(), retired: channel::bounded(1).0 },
            requests: requests_out,
            notices: notices_out,
        };
        let (tap, drain) = Tap::roomy();
        let gateway = Gateway::replaying(start.clone(), Arc::new(instruments.clone()), lanes).with_journal(tap);
        Self {
            venue: start.venue,
            gateway,
            cycle: Cycle::new(drain),
            cancels,
            reports,
            sent,
            requests,
            notices,
            ran_ns: Timestamp::UNKNOWN,
        }
    }

    /// The stage, as it is after the cycles so far.
    #[must_use]
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The next entry. One that begins a cycle lets the one before it run; `tell` is told what it tells risk. The newest
    /// cycle never runs before another begins: a crash may have cut it short, and what it lacks could be that it was refused
    /// what replay then would grant.
    ///
    /// # Errors
    /// The first difference.
    pub fn next(&mut self, entry: &Entry, tell: &mut impl FnMut(Entry)) -> Result<(), Box<Difference>> {
        let is_over = self.cycle.is_over_with(entry);
        let outcome = if is_over { self.run(tell) } else { Ok(()) };
        self.cycle.entries.push(*entry);
        outcome
    }

    fn run(&mut self, tell: &mut impl FnMut(Entry)) -> Result<(), Box<Difference>> {
        let Some(first) = self.cycle.entries.first().copied() else { return Ok(()) };
        for entry in &self.cycle.entries {
            self.gateway.foretell(&entry.event);
            if let Event::OrderCancel(cancel) = entry.event {
                // The lane holds more than a poll takes; and were it refused, the comparison would show it.
                let _ = self.cancels.try_send(cancel);
            }
        }
        self.gateway.poll(first.at);
        self.ran_ns = first.at;
        let Self { venue, reports, sent, requests, notices, .. } = self;
        reports.drain(u64::MAX, |&message| {
            tell(Entry { sequence: first.sequence, at: first.at, event: Event::Gateway { venue: *venue, message } });
        });
        sent.drain(u64::MAX, |_| {});
        requests.drain(u64::MAX, |_| {});
        notices.drain(u64::MAX, |_| {});
        self.cycle.compare(false)
    }
}
