//! One connection of the WebSocket API, without its socket: what came in is carried out when it is due, what goes out is
//! told when it is due. Latency and faults are here, for the server and the offline exchange alike.

use super::core::{Core, SESSION_QUEUE, SessionOrders};
use super::faults::{ReportFate, RequestFate};
use super::ws_api::Session;
use axum::extract::ws::Utf8Bytes;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Requests that wait; one more closes the connection.
const REQUESTS_MAX: usize = 10_000;
/// How often a disturbed connection looks whether it is still to be there.
const LOOK_NS: u64 = 10_000_000;
/// How long a message waits for the one that is to overtake it.
const OVERTAKEN_NS: u64 = 100_000_000;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Without a word.
    Cut,
    /// With a reason.
    Closed(&'static str),
}

/// When something is due, and its number among all.
type Place = (u64, u64);

pub(super) struct Link {
    session: Session,
    latency_ns: u64,
    requests: BTreeMap<Place, (Utf8Bytes, RequestFate)>,
    messages: BTreeMap<Place, Utf8Bytes>,
    /// The message that the next one is to overtake.
    overtaken: Option<Place>,
    number: u64,
    stalled_until_ns: u64,
    end: Option<End>,
    /// What its subscriptions have to tell.
    events: mpsc::Receiver<Utf8Bytes>,
}

impl Link {
    pub(super) fn open(core: &mut Core, latency_ns: u64, now_ns: u64) -> Self {
        let (queue, events) = mpsc::channel(SESSION_QUEUE);
        core.next_session += 1;
        let id = core.next_session;
        core.sessions.insert(id, SessionOrders::default());
        Self {
            session: Session::new(id, queue, now_ns / 1_000_000),
            latency_ns,
            requests: BTreeMap::new(),
            messages: BTreeMap::new(),
            overtaken: None,
            number: 0,
            stalled_until_ns: 0,
            end: None,
            events,
        }
    }

    /// Ends its subscriptions.
    pub(super) fn close(&self, core: &mut Core) {
        let id = self.session.id();
        core.sessions.remove(&id);
        core.users.retain(|listener| listener.session != id);
    }

    /// Takes a request.
    pub(super) fn receive(&mut self, core: &mut Core, text: Utf8Bytes, now_ns: u64) {
        self.advance(core, now_ns);
        let fate = core.faults.request(now_ns);
        let late_ns = match fate {
            RequestFate::Swallowed => return,
            RequestFate::CutBefore => return self.end = Some(End::Cut),
            RequestFate::Delayed(late_ns) => late_ns,
            _ => 0,
        };
        if self.requests.len() >= REQUESTS_MAX {
            return self.end = Some(End::Closed("Too many requests"));
        }
        let place = self.place(now_ns + self.latency_ns + late_ns);
        self.requests.insert(place, (text, fate));
        self.advance(core, now_ns);
    }

    /// Carries out what is due, and takes what there is to tell.
    pub(super) fn advance(&mut self, core: &mut Core, now_ns: u64) {
        if let Some(orders) = core.sessions.get(&self.session.id()) {
            self.stalled_until_ns = orders.stalled_until_ns;
            if orders.cut_at_ns != 0 && orders.cut_at_ns <= now_ns {
                self.end.get_or_insert(End::Cut);
            }
        }
        self.take_events(core, now_ns);
        while self.end.is_none() && self.stalled_until_ns <= now_ns {
            let Some((text, fate)) = pop_due(&mut self.requests, now_ns) else { break };
            self.carry_out(core, &text, fate, now_ns);
            // What a request causes is told after its answer, and before the next one's.
            self.take_events(core, now_ns);
        }
        if self.session.was_cut_off(core) {
            self.end.get_or_insert(End::Closed("too slow"));
        }
    }

    fn carry_out(&mut self, core: &mut Core, text: &str, fate: RequestFate, now_ns: u64) {
        let now_ms = now_ns / 1_000_000;
        core.now_ns = now_ns;
        let (answer, late_ns) = match fate {
            RequestFate::Refused(error) | RequestFate::Unproven { error, is_done: false } => {
                (self.session.refuse(core, text, error, now_ms), 0)
            }
            RequestFate::Unproven { error, is_done: true } => {
                self.session.answer(core, text, now_ms);
                (self.session.refuse(core, text, error, now_ms), 0)
            }
            RequestFate::Unanswered => {
                self.session.answer(core, text, now_ms);
                return;
            }
            RequestFate::CutAfter => {
                self.session.answer(core, text, now_ms);
                return self.end = Some(End::Cut);
            }
            RequestFate::Answered { late_ns } => (self.session.answer(core, text, now_ms), late_ns),
            RequestFate::Delayed(_) | RequestFate::Swallowed | RequestFate::CutBefore => {
                (self.session.answer(core, text, now_ms), 0)
            }
        };
        self.tell(answer.into(), now_ns + late_ns);
    }

    fn take_events(&mut self, core: &mut Core, now_ns: u64) {
        while let Ok(event) = self.events.try_recv() {
            self.take_event(core, event, now_ns);
        }
    }

    fn take_event(&mut self, core: &mut Core, event: Utf8Bytes, now_ns: u64) {
        match core.faults.report() {
            ReportFate::Dropped => {}
            ReportFate::Sent => self.tell(event, now_ns),
            ReportFate::Duplicated => {
                self.tell(event.clone(), now_ns);
                self.tell(event, now_ns);
            }
            ReportFate::Delayed(late_ns) => {
                let place = self.place(now_ns + late_ns);
                self.messages.insert(place, event);
            }
            ReportFate::Reordered => {
                let place = self.place(now_ns + OVERTAKEN_NS);
                self.messages.insert(place, event);
                self.overtaken = Some(place);
            }
        }
    }

    /// Queues a message, and behind it the one that waits to be overtaken.
    fn tell(&mut self, message: Utf8Bytes, at_ns: u64) {
        let place = self.place(at_ns);
        self.messages.insert(place, message);
        if let Some(overtaken) = self.overtaken.take().and_then(|place| self.messages.remove(&place)) {
            let place = self.place(at_ns);
            self.messages.insert(place, overtaken);
        }
    }

    fn place(&mut self, due_ns: u64) -> Place {
        self.number += 1;
        (due_ns, self.number)
    }

    /// The next message that is due.
    pub(super) fn next(&mut self, now_ns: u64) -> Option<Utf8Bytes> {
        if self.end == Some(End::Cut) || self.stalled_until_ns > now_ns {
            return None;
        }
        pop_due(&mut self.messages, now_ns)
    }

    /// How it ended, if it has.
    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// Resolves when there is an event to be taken; it is then taken.
    pub(super) async fn wait_for_event(&mut self) -> Option<Utf8Bytes> {
        self.events.recv().await
    }

    /// Takes an event that was waited for.
    pub(super) fn took(&mut self, core: &mut Core, event: Utf8Bytes, now_ns: u64) {
        self.take_event(core, event, now_ns);
        self.advance(core, now_ns);
    }

    /// When it is to be looked at again: for what waits, and where it may be disturbed for that too.
    pub(super) fn due_ns(&self, core: &Core, now_ns: u64) -> Option<u64> {
        let first = |map: Option<&Place>| map.map(|place| place.0.max(self.stalled_until_ns));
        let due = [first(self.requests.keys().next()), first(self.messages.keys().next())].into_iter().flatten().min();
        let look = (core.faults.is_on() || self.stalled_until_ns > now_ns).then_some(now_ns + LOOK_NS);
        due.into_iter().chain(look).min()
    }
}

fn pop_due<T>(map: &mut BTreeMap<Place, T>, now_ns: u64) -> Option<T> {
    map.first_entry().filter(|entry| entry.key().0 <= now_ns).map(|entry| entry.remove())
}
