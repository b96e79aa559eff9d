//! Replay: what the next poll finds that no lane carries.

use super::{Cut, Gateway};
use crate::types::{Disconnect, Event, Order, Timestamp};

/// What is found in the poll that comes.
#[derive(Default)]
pub(super) struct Foretold {
    /// As they were sent, and whether only in the place of one without a fill. They come by no lane, as nobody but risk
    /// makes what that one carries.
    pub(super) orders: Vec<(Order, bool)>,
    /// Whether all orders that waited were taken.
    pub(super) is_caught_up: bool,
    /// Whether a connection arrived.
    pub(super) is_connected: bool,
    /// The frames that were read, and when.
    pub(super) frames: Vec<(Timestamp, Vec<u8>)>,
    /// A frame of which not all parts have come.
    frame: Vec<u8>,
    disconnected: Option<(Disconnect, bool)>,
}

impl Foretold {
    /// The end of the connection, if it was found there.
    pub(super) fn cut(&mut self, is_read: bool) -> Result<usize, Cut> {
        match self.disconnected.take_if(|(_, was_read)| *was_read == is_read) {
            Some((reason, _)) => Err((reason, "")),
            None => Ok(0),
        }
    }
}

impl Gateway {
    /// Replay: tells, before a poll, what it will find: all but cancels, which come by their lane.
    pub fn foretell(&mut self, event: &Event) {
        self.core.ledger.foretell(event);
        self.line.foretell(event);
        let foretold = self.foretold.get_or_insert_default();
        match *event {
            Event::Order { order, only_if_unfilled } => foretold.orders.push((order, only_if_unfilled)),
            Event::CaughtUp => foretold.is_caught_up = true,
            Event::Connected { .. } => foretold.is_connected = true,
            Event::Disconnected { reason, is_read } => foretold.disconnected = Some((reason, is_read)),
            Event::Frame { received_ns, rest, part } => {
                foretold.frame.extend_from_slice(part.as_bytes());
                if rest == 0 {
                    foretold.frames.push((received_ns, std::mem::take(&mut foretold.frame)));
                }
            }
            Event::Full { lane, sent } => self.core.reports.take_only(lane, sent),
            _ => {}
        }
    }
}
