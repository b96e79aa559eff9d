//! What the venue says: reports, answers, refusals.

use super::Core;
use super::session::Step;
use super::wire::{NotFound, Wire};
use crate::types::{
    ClientOrderId, ExecutionReport, GatewayMessage, InstrumentId, Notice, NoticeCode, OrderStatus, Quantity,
    ReportKind, Timestamp,
};
use crate::venue::binance::refusal::{Refusal, classify};
use crate::venue::binance::{Leg, RequestKind, Response, UserCodec, UserFrame, VenueError};
use crate::venue::budget::BudgetUse;

/// What became of one half of a replace, as far as it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Done,
    NotDone { code: i32 },
    Unproven,
}

impl Core {
    pub(super) fn frame(&mut self, codec: &mut UserCodec, frame: &mut [u8], received_ns: Timestamp) {
        self.counters.frames.increment();
        if !self.is_open() || frame.starts_with(LOG_ON_ANSWER) {
            blank_key(frame);
        }
        // As it came: it is decoded in place.
        self.tap.write_frame(received_ns, frame);
        match codec.decode_user(frame) {
            Ok(UserFrame::Report(report)) => self.live_report(report, received_ns),
            Ok(UserFrame::Response(response)) => self.response(&response, codec, received_ns),
            Ok(UserFrame::StreamTerminated) => self.stream_lost(received_ns),
            Ok(UserFrame::Shutdown) => self.is_leaving = true,
            Ok(UserFrame::Account(account)) if !account.is_absolute => {
                for change in codec.balances() {
                    let (venue, asset, amount) = (self.venue, change.asset, change.free);
                    self.tell(GatewayMessage::Transfer { venue, asset, amount, received_ns });
                }
            }
            // Balances are compared in rounds, where nothing moves meanwhile.
            Ok(UserFrame::Account(_) | UserFrame::Other) => {}
            Ok(UserFrame::UnknownReport(_)) | Err(_) => {
                // Something about orders was said that we do not understand. The only safe reading is to ask the
                // venue about every one of them: over a new session, which begins with that.
                self.counters.bad_frames.increment();
                self.notice(Notice::new(NoticeCode::BadOrderFrame, received_ns).excerpt(frame));
                self.is_broken = true;
            }
        }
    }

    /// A report of something that happened just now: its numbers are larger than those before it.
    fn live_report(&mut self, report: ExecutionReport, received_ns: Timestamp) {
        let is_sane = match report.kind {
            ReportKind::Accepted => self.is_order_number_sane(&report),
            ReportKind::Fill => self.numbers.takes_execution(report.instrument, report.execution_id),
            _ => true,
        };
        self.report(report, received_ns);
        if !is_sane {
            self.halt(b"the venue's numbers went back: it may have lost its state", received_ns);
        }
    }

    /// Whether the venue's number of an order that it has just taken is one that can follow those before it.
    fn is_order_number_sane(&mut self, report: &ExecutionReport) -> bool {
        let is_new = self.wire.find(report.client_order_id).is_some_and(|order| order.venue_order_id == 0);
        !is_new || self.numbers.takes_order(report.instrument, report.venue_order_id)
    }

    pub(super) fn report(&mut self, mut report: ExecutionReport, received_ns: Timestamp) {
        report.received_ns = received_ns;
        self.counters.reports.increment();
        if report.kind == ReportKind::Rejected {
            self.counters.rejects.increment();
        }
        if report.kind == ReportKind::Fill {
            self.executions.insert(report.instrument, report.execution_id);
        }
        let missing = self.wire.report(&report);
        self.tell(GatewayMessage::Report(report));
        if let Some((booked, stated)) = missing {
            self.rounds.hasten();
            let notice = Notice::new(NoticeCode::MissingFill, received_ns).order(report.client_order_id);
            self.notice(notice.instrument(report.instrument).values(i128::from(booked.0), i128::from(stated.0)));
        }
    }

    fn response(&mut self, response: &Response, codec: &UserCodec, received_ns: Timestamp) {
        let id = response.client_order_id();
        self.ledger
            .budget
            .observe(BudgetUse { weight: response.used_weight, orders: response.used_orders }, received_ns);
        if let Some(error) = &response.error
            && classify(response.status, error.code) == Refusal::TooMany
        {
            self.too_many(response.status, error, received_ns);
        }
        match (response.kind, &response.error) {
            (RequestKind::Logon, None) => self.next_step = Some(Step::Subscribing { since: received_ns }),
            (RequestKind::Subscribe, None) => self.next_step = Some(Step::Reconciling),
            (RequestKind::Logon | RequestKind::Subscribe, Some(error)) => {
                let notice = Notice::new(NoticeCode::Misconfigured, received_ns).values(0, i128::from(error.code));
                self.notice(notice.excerpt(error.message.as_bytes()));
                self.is_broken = true;
            }
            // Of a replace, the old order ends by its own report.
            (RequestKind::Place | RequestKind::Replace, None) => {
                if let Some(placed) = codec.reports().last()
                    && !self.is_order_number_sane(placed)
                {
                    self.halt(b"the venue's numbers went back: it may have lost its state", received_ns);
                }
                self.wire.placed(id, codec.reports().last().map_or(0, |report| report.venue_order_id));
            }
            (RequestKind::Place, Some(error)) => self.place_refused(id, response.status, error, received_ns),
            (RequestKind::Replace, Some(error)) => self.replace_refused(id, response, error, received_ns),
            (RequestKind::Cancel, Some(error)) => self.cancel_refused(id, response.status, error, received_ns),
            (RequestKind::CancelAll, error) => {
                let instrument = InstrumentId(u32::try_from(response.subject).unwrap_or(u32::MAX));
                self.canceled_all(instrument, response.status, error.as_ref(), received_ns);
            }
            (RequestKind::Status, None) => {
                for &report in codec.reports() {
                    self.report(report, received_ns);
                }
            }
            (RequestKind::Status, Some(error)) if classify(response.status, error.code) == Refusal::NoSuchOrder => {
                self.no_such_order(id, error.code, received_ns);
            }
            (RequestKind::MyTrades, None) => self.trades(response.subject, codec.reports(), received_ns),
            (RequestKind::Account | RequestKind::OpenOrders | RequestKind::Fills, _) => {
                self.round_answered(response, codec, received_ns);
            }
            // The report stream tells what became of a cancel; what else is refused is asked again when it is overdue.
            _ => {}
        }
    }

    /// All fills of an order, oldest first; risk books those that it has not.
    fn trades(&mut self, venue_order_id: u64, fills: &[ExecutionReport], received_ns: Timestamp) {
        let Some(id) = self.wire.find_by_venue_id(venue_order_id) else { return };
        let mut total = Quantity::ZERO;
        for &fill in fills {
            total.0 = total.0.saturating_add(fill.last_quantity.0);
            let report = ExecutionReport { client_order_id: id, cumulative_quantity: total, received_ns, ..fill };
            self.executions.insert(fill.instrument, fill.execution_id);
            self.tell(GatewayMessage::Report(report));
        }
        self.wire.trades_answered(id, total);
    }

    // --- Refusals -------------------------------------------------------------------------------------------------

    /// The venue had too much of us: what it counts is left alone until it says, or until its window ends.
    fn too_many(&mut self, status: u16, error: &VenueError, received_ns: Timestamp) {
        // The venue states its own clock's instant.
        let ours = error.retry_after.nanos().saturating_add_signed(self.clock_offset_ns.saturating_neg());
        let until = error.retry_after.is_known().then(|| Timestamp::from_nanos(ours));
        if status == BANNED {
            self.ledger.budget.ban(until, received_ns);
            let until = i128::from(self.ledger.budget.banned_until().nanos());
            self.notice(Notice::new(NoticeCode::VenueBan, received_ns).values(0, until));
        } else if error.code == TOO_MANY_ORDERS {
            self.ledger.budget.stop_orders(until, received_ns);
        } else {
            self.ledger.budget.stop(until, received_ns);
        }
    }

    fn cancel_refused(&mut self, id: ClientOrderId, status: u16, error: &VenueError, received_ns: Timestamp) {
        match classify(status, error.code) {
            Refusal::Proven | Refusal::NoSuchOrder => self.wire.cancel_refused(id, received_ns),
            Refusal::TooMany => {
                let quiet_until = self.ledger.quiet_until(&mut self.tap);
                return self.doubt(id, quiet_until, received_ns);
            }
            // It may be canceled all the same.
            Refusal::Unproven => return self.doubt(id, received_ns.plus(Wire::ASK_AGAIN_NS), received_ns),
        }
        self.cancel_rejected(id, error.code, received_ns);
    }

    fn canceled_all(
        &mut self,
        instrument: InstrumentId,
        status: u16,
        error: Option<&VenueError>,
        received_ns: Timestamp,
    ) {
        match error.map(|error| classify(status, error.code)) {
            // What was canceled is told by its reports; where nothing was open, there was nothing to do. A refusal that is
            // proven would be one again: the cancels of single orders follow anyway.
            None | Some(Refusal::NoSuchOrder | Refusal::Proven) => self.mass_cancels.answered(instrument),
            Some(Refusal::TooMany) => {
                let quiet_until = self.ledger.quiet_until(&mut self.tap);
                self.mass_cancels.retry(instrument, quiet_until);
            }
            Some(Refusal::Unproven) => self.mass_cancels.retry(instrument, received_ns.plus(Wire::ASK_AGAIN_NS)),
        }
    }

    fn doubt(&mut self, id: ClientOrderId, ask_at: Timestamp, received_ns: Timestamp) {
        let Some(instrument) = self.wire.find(id).map(|order| order.instrument) else { return };
        if self.wire.doubt(id, ask_at) {
            self.tell_unknown(id, instrument, received_ns);
        }
    }

    fn place_refused(&mut self, id: ClientOrderId, status: u16, error: &VenueError, received_ns: Timestamp) {
        match classify(status, error.code) {
            Refusal::Proven | Refusal::TooMany => self.rejected(id, error.code, error, received_ns),
            Refusal::NoSuchOrder | Refusal::Unproven => self.doubt(id, received_ns, received_ns),
        }
    }

    /// A replace was not done, or only by half: each order for itself.
    fn replace_refused(&mut self, id: ClientOrderId, response: &Response, error: &VenueError, received_ns: Timestamp) {
        let Some(old) = self.wire.find(id).map(|order| order.replaces) else { return };
        let (cancel, place) = halves(response, error);
        match place {
            Half::NotDone { code } => self.rejected(id, code, error, received_ns),
            Half::Done | Half::Unproven => self.doubt(id, received_ns, received_ns),
        }
        match cancel {
            // Its own report tells.
            Half::Done => {}
            Half::NotDone { code } => {
                let is_refused = response.legs.is_some();
                self.wire.replace_refused(old, is_refused, received_ns);
                if is_refused {
                    self.cancel_rejected(old, code, received_ns);
                }
            }
            Half::Unproven => self.doubt(old, received_ns, received_ns),
        }
    }

    fn cancel_rejected(&mut self, id: ClientOrderId, code: i32, received_ns: Timestamp) {
        self.notice(Notice::new(NoticeCode::CancelRejected, received_ns).order(id).values(0, i128::from(code)));
        self.tell_refusal(id, ReportKind::CancelRejected, code, received_ns);
    }

    fn rejected(&mut self, id: ClientOrderId, code: i32, error: &VenueError, received_ns: Timestamp) {
        let Some(instrument) = self.wire.find(id).map(|order| order.instrument) else { return };
        self.counters.rejects.increment();
        self.tell_refusal(id, ReportKind::Rejected, code, received_ns);
        self.wire.remove(id);
        let notice = Notice::new(NoticeCode::Rejected, received_ns).order(id).instrument(instrument);
        self.notice(notice.values(0, i128::from(code)).excerpt(error.message.as_bytes()));
    }

    fn tell_refusal(&mut self, id: ClientOrderId, kind: ReportKind, code: i32, received_ns: Timestamp) {
        let Some(order) = self.wire.find(id) else { return };
        let (instrument, side) = (order.instrument, order.side);
        let report = ExecutionReport {
            client_order_id: id,
            instrument,
            side,
            kind,
            code,
            received_ns,
            ..ExecutionReport::default()
        };
        self.tell(GatewayMessage::Report(report));
    }

    /// The venue does not know the order: proof only when it had all the time there is to accept it.
    fn no_such_order(&mut self, id: ClientOrderId, code: i32, received_ns: Timestamp) {
        let Some(order) = self.wire.find(id) else { return };
        let (instrument, side) = (order.instrument, order.side);
        match self.wire.not_found(id, received_ns) {
            NotFound::Unproven => {}
            NotFound::Forgotten => self.halt(b"the venue does not know an order that it had acknowledged", received_ns),
            NotFound::NeverTaken => self.tell(GatewayMessage::Report(ExecutionReport {
                client_order_id: id,
                instrument,
                side,
                kind: ReportKind::Status,
                status: OrderStatus::Rejected,
                code,
                received_ns,
                ..ExecutionReport::default()
            })),
        }
    }
}

/// The status of an answer to a banned address.
const BANNED: u16 = 418;
/// The venue's code for too many orders, where too much weight has another.
const TOO_MANY_ORDERS: i32 = -1015;
/// Its code for a replace of which nothing was done.
const NOT_REPLACED: i32 = -2022;

/// How the answer to a log on begins: it names the key.
const LOG_ON_ANSWER: &[u8] = b"{\"id\":\"l";
/// The name of that field.
const KEY: &[u8] = b"\"apiKey\"";

/// Blanks keys that a frame names, as long as they are: nobody needs them, and nothing that is kept may have them.
#[cold]
fn blank_key(frame: &mut [u8]) {
    let mut rest = frame;
    while let Some(place) = rest.windows(KEY.len()).position(|window| window == KEY) {
        let Some((_, behind)) = rest.split_at_mut_checked(place + KEY.len()) else { return };
        let is_value = |byte: &u8| !matches!(byte, b':' | b' ' | b'\t' | b'\r' | b'\n');
        let Some(value) = behind.iter().position(is_value) else { return };
        let Some((quote, value)) = behind.get_mut(value..).and_then(<[u8]>::split_first_mut) else { return };
        if *quote != b'"' {
            rest = value;
            continue;
        }
        let end = value.iter().position(|byte| *byte == b'"').unwrap_or(value.len());
        let Some((key, behind)) = value.split_at_mut_checked(end) else { return };
        key.fill(b'*');
        rest = behind;
    }
}

/// What a refusal of a replace proves of its halves: the cancel and the new order.
fn halves(response: &Response, error: &VenueError) -> (Half, Half) {
    if response.status >= 500 {
        return (Half::Unproven, Half::Unproven);
    }
    let refused = |code: i32| match classify(response.status, code) {
        _ if code == NOT_REPLACED => Half::NotDone { code },
        Refusal::Proven | Refusal::TooMany | Refusal::NoSuchOrder => Half::NotDone { code },
        Refusal::Unproven => Half::Unproven,
    };
    let Some(legs) = response.legs else { return (refused(error.code), refused(error.code)) };
    let half = |leg: Leg| match leg {
        Leg::Done => Half::Done,
        Leg::Refused(code) => refused(code),
        Leg::NotTried => Half::NotDone { code: error.code },
        Leg::Unproven => Half::Unproven,
    };
    (half(legs.cancel), half(legs.place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_blanked_and_nothing_else_is() {
        for (before, after) in [
            (r#"{"id":"l0","result":{"apiKey":"vmPUZE","x":1}}"#, r#"{"id":"l0","result":{"apiKey":"******","x":1}}"#),
            (r#"{"apiKey" : "abc","apiKey":null,"apiKey":"d"}"#, r#"{"apiKey" : "***","apiKey":null,"apiKey":"*"}"#),
            (r#"{"apiKey":"cut of"#, r#"{"apiKey":"******"#),
            (r#"{"apiKey""#, r#"{"apiKey""#),
            (r#"{"apiKey": "#, r#"{"apiKey": "#),
            (r#"{"key":"x"}"#, r#"{"key":"x"}"#),
            ("", ""),
        ] {
            let mut frame = before.as_bytes().to_vec();
            blank_key(&mut frame);
            assert_eq!(String::from_utf8_lossy(&frame), after);
        }
    }
}
