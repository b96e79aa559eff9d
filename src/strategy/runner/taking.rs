//! Taking: every input is written down as it is taken, and what came of no input by the cycle's own entry.

use super::Core;
use crate::pipeline::digest::Digest;
use crate::types::{Event, MarketMessage, OrderUpdate, ShardCommand, Timestamp};

/// How often the state's hash is written down, in entries taken.
pub(super) const HASH_EVERY: u64 = 65_536;

impl Core {
    #[inline]
    pub(super) fn begin_cycle(&mut self, now: Timestamp) {
        self.cycle_ns = self.cycle_ns.max(now);
        self.tap.begin(self.cycle_ns);
    }

    pub(super) fn take_command(&mut self, command: ShardCommand) {
        self.tap.write(Event::ShardCommand(command));
        match command {
            ShardCommand::StopAll => self.stop_all(),
        }
    }

    #[inline]
    pub(super) fn take_update(&mut self, update: &OrderUpdate) {
        self.tap.write(Event::Update(*update));
        self.on_update(update);
    }

    #[inline]
    pub(super) fn take_market(&mut self, lane: u8, message: &MarketMessage) {
        self.tap.write_market(lane, message);
        self.on_market(message);
    }

    /// What it came to, as one number.
    fn hash(&self) -> u64 {
        let mut digest = Digest::NONE;
        digest.fold(self.now.nanos());
        self.markets.list.iter().for_each(|market| market.fold(&mut digest));
        self.slots.iter().for_each(|slot| slot.desk.fold(&mut digest));
        digest.value()
    }

    /// The cycle is over. Where it did or sent something without having taken anything (a timer, a denial, what a lane had
    /// no room for before, a heartbeat), its instant is what is to be known of it.
    #[inline]
    pub(super) fn end_cycle(&mut self, has_worked: bool) {
        let has_sent = self.orders.sent() + self.cancels.sent() + self.marks.sent() > 0;
        if (has_worked || has_sent) && !self.tap.is_behind() {
            self.tap.touch();
        }
        self.orders.end_cycle(&mut self.tap);
        self.cancels.end_cycle(&mut self.tap);
        self.marks.end_cycle(&mut self.tap);
        let taken = self.tap.taken();
        if taken >= self.hash_at {
            self.hash_at = taken + HASH_EVERY;
            let digest = self.hash();
            self.tap.write(Event::Hash { taken, digest });
        }
    }
}
