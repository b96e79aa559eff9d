//! Outlets: a stage's ends of the lanes out of it, where what it sends is part of its state.
//!
//! What a lane has room for depends on who reads it and when, so it is an input of the stage like any other: a lane that was
//! full counts as full for the rest of the cycle, and how much it took is written down. In replay it takes no more.

use super::lane::{Full, Sender};
use super::tap::Tap;
use crate::types::{Event, Outgoing};

/// The sending end of a lane out of a stage.
pub struct Outlet<T> {
    sender: Sender<T>,
    lane: Outgoing,
    /// How many it took in this cycle.
    sent: u32,
    /// How many it may take in this cycle.
    room: u32,
}

impl<T: Copy + Send + Sync + 'static> Outlet<T> {
    /// Of this lane, which is called so in the journal.
    #[must_use]
    pub const fn new(sender: Sender<T>, lane: Outgoing) -> Self {
        Self { sender, lane, sent: 0, room: u32::MAX }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The lane was full, now or before in this cycle.
    #[inline]
    pub fn try_send(&mut self, message: T) -> Result<(), Full> {
        if self.sent >= self.room {
            return Err(Full);
        }
        if let Err(full) = self.sender.try_send(message) {
            self.room = self.sent;
            return Err(full);
        }
        self.sent += 1;
        Ok(())
    }

    /// Replay: how many it took in the cycle that comes.
    pub fn take_only(&mut self, lane: Outgoing, sent: u32) {
        if self.lane == lane {
            self.room = sent;
        }
    }

    /// How many messages it took in this cycle.
    #[must_use]
    pub const fn sent(&self) -> u32 {
        self.sent
    }

    /// The cycle is over. That the lane was full is written down where anything else was, or where it took anything.
    #[inline]
    pub fn end_cycle(&mut self, tap: &mut Tap) {
        if self.room != u32::MAX && (self.sent > 0 || tap.is_open()) {
            tap.write(Event::Full { lane: self.lane, sent: self.sent });
        }
        (self.sent, self.room) = (0, u32::MAX);
    }
}
