//! What a stage writes into the journal: what it took, in the order in which it took it, and what it decided.
//!
//! A stage is a pure function of what it takes, so its entries are all that replay needs: the same stage, fed with the
//! taken ones, writes every entry again, the decided ones included. Entries stand in cycles: [`Event::Cycle`] names the
//! instant at which the stage was polled, and what follows it up to the next one happened in that poll. A poll that
//! changed nothing writes nothing.

use super::edge::{BudgetReading, Disconnect, FramePart, Refuser};
use super::ids::{ClientOrderId, VenueId};
use super::message::{
    CancelIntent, GatewayMessage, Mark, MarketMessage, OrderIntent, OrderUpdate, RiskCommand, ShardCommand,
};
use super::order::{Denial, Order};
use super::time::Timestamp;

/// One entry of a stage's journal lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The stage's own count of its entries, from 1; never resets while the stage lives.
    pub sequence: u64,
    /// The stage's instant.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What an entry says. Taken: what came from outside. Decided: what replay must come to again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Taken: the stage was polled at the entry's instant, and something came of it.
    #[default]
    Cycle,
    /// Taken: entries were left out before this one, as there was no room. What follows cannot be replayed.
    Gap {
        /// How many.
        count: u64,
    },
    /// Taken by risk: one word of the table of killed scopes has these bits now.
    KillWord {
        /// Which word.
        word: u8,
        /// Its bits.
        bits: u64,
    },
    /// Taken by risk: the kill switch was read, with the words told before.
    Killed {
        /// The generation that was read.
        generation: u64,
    },
    /// Taken by risk: a command. The n-th of a start that takes limits, or an override, takes the n-th blob of that kind:
    /// they were written down before.
    Command(RiskCommand),
    /// Taken by risk: from a gateway.
    Gateway {
        /// Whose gateway.
        venue: VenueId,
        /// What it says.
        message: GatewayMessage,
    },
    /// Taken by risk: a shard wants an order canceled.
    Cancel {
        /// Which shard.
        shard: u8,
        /// What it wants.
        intent: CancelIntent,
    },
    /// Taken by risk: a shard wants an order sent.
    Intent {
        /// Which shard.
        shard: u8,
        /// What it wants.
        intent: OrderIntent,
    },
    /// Taken by risk: the market of something held, or a shard's heartbeat.
    Mark {
        /// Which shard.
        shard: u8,
        /// The market.
        mark: Mark,
    },
    /// Taken by risk: how far the journal is behind.
    Journal(JournalHealth),
    /// Taken by risk: its thread, or all of them, stood still, so that no shard is blamed for a silence.
    Paused,
    /// Taken by a shard: a command.
    ShardCommand(ShardCommand),
    /// Taken by a shard: what risk says of an order.
    Update(OrderUpdate),
    /// Taken by a shard: market data. It is the first to be left out where there is no room, and may be left out always.
    Market {
        /// By which of the shard's lanes.
        lane: u8,
        /// What it says.
        message: MarketMessage,
    },
    /// Taken: an outgoing lane took this many messages in this cycle, and no more.
    Full {
        /// Which lane.
        lane: Outgoing,
        /// How many it took.
        sent: u32,
    },
    /// Taken by a gateway: an order that passed risk.
    Order {
        /// As it is to be sent.
        order: Order,
        /// Whether it may take another's place only while that one has no fill.
        only_if_unfilled: bool,
    },
    /// Taken by a gateway: a cancel from risk.
    OrderCancel(CancelIntent),
    /// Taken by a gateway: all orders that waited were taken, so that cancels of orders it does not know came too late.
    CaughtUp,
    /// Taken by a gateway: a frame of the venue, or a part of one, before it was read. What stands in place of a key is
    /// blanked.
    Frame {
        /// When its bytes were read.
        received_ns: Timestamp,
        /// How many bytes of it follow in later entries.
        rest: u32,
        /// Its bytes.
        part: FramePart,
    },
    /// Taken by a gateway: a connection arrived, and took the place of the one before it, if that still stood.
    Connected {
        /// The how many-th of this engine start.
        number: u64,
    },
    /// Taken by a gateway: its connection was lost.
    Disconnected {
        /// Why.
        reason: Disconnect,
        /// Whether that showed as it was read; else as it was looked after.
        is_read: bool,
    },
    /// Taken by a gateway: in this cycle, what it wanted was refused so many times in a row. All that is not told of was
    /// granted.
    Refused {
        /// By whom.
        by: Refuser,
        /// How many times that one was asked in the cycle before.
        from: u32,
        /// How many times it refused then.
        count: u32,
    },
    /// Taken by a gateway: what the ledger of the venue's limits said.
    Budget(BudgetReading),
    /// Decided by risk: the order passed, and is on its way as it stands here.
    Approved {
        /// As it is sent.
        order: Order,
        /// Whether it may take another's place only while that one has no fill.
        only_if_unfilled: bool,
    },
    /// Decided by risk: the order was denied.
    Denied {
        /// Which.
        client_order_id: ClientOrderId,
        /// Why.
        denial: Denial,
    },
    /// Decided by risk: a cancel is on its way.
    Canceling(CancelIntent),
    /// Decided: what the stage's state comes to, as one number.
    Hash {
        /// How many entries were taken so far.
        taken: u64,
        /// The number.
        digest: u64,
    },
}

/// How far the journal is behind, in what it means for trading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum JournalHealth {
    /// There is room, and what was written is kept.
    #[default]
    Ample,
    /// The room for orders is used up, or the disk is nearly full: no new orders.
    Short,
    /// Half of the reserve is used up: no new orders, and little room is left for what must be written.
    Scarce,
    /// The reserve is used up, or the log cannot be written: everything is canceled, until a person has looked.
    Gone,
}

/// A lane out of a stage, named in [`Event::Full`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outgoing {
    /// None.
    #[default]
    None,
    /// Risk's: approved orders to the gateway of this venue.
    Orders(u8),
    /// Risk's: cancels to the gateway of this venue.
    Cancels(u8),
    /// Risk's: order updates to this shard.
    Updates(u8),
    /// A shard's: orders that its strategies want, to risk.
    Intents,
    /// A shard's: cancels that its strategies want, to risk.
    CancelIntents,
    /// A shard's: marks and heartbeats, to risk.
    Marks,
    /// A gateway's: what it tells risk.
    Reports,
}

impl Event {
    /// Whether it came from outside: what replay feeds to the stage.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        !matches!(self, Self::Approved { .. } | Self::Denied { .. } | Self::Canceling(_) | Self::Hash { .. })
    }
}

const _: () = assert!(size_of::<Entry>() <= 192);
