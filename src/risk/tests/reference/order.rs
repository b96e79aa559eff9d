//! What a history says of one order: its status by the rules that the state machine is described by.

use crate::types::*;

/// One order.
#[derive(Clone, Debug)]
pub struct Known {
    /// As it was sent.
    pub order: Order,
    /// The worst price at which it was taken to fill when it was approved.
    pub worst: i128,
    /// Twice the price that its fills are held against.
    pub twice_reference: i128,
    /// Whether it and the one whose place it takes cannot both fill.
    pub is_exclusive: bool,
    pub status: OrderStatus,
    pub filled: i128,
    /// What it had filled before it was known, of one that is not ours.
    pub adopted: i128,
    /// The venue's number of it, and when there was the last report of it.
    pub venue_order_id: u64,
    pub updated: Timestamp,
    /// The most that the venue said was filled.
    pub venue_filled: i128,
    /// Whether the venue has shown that it knows it.
    pub is_acknowledged: bool,
    pub unknown_since: Option<Timestamp>,
    pub is_cancel_wanted: bool,
    /// A cancel of it is with the gateway, unanswered.
    pub is_cancel_passed: bool,
    /// How often its cancel was to be sent again, and when it will be.
    pub retries: u32,
    pub retry_at: Option<Timestamp>,
    /// Whether it stands in the queue of orders whose slot may be used again.
    pub is_retired: bool,
}

/// What is learned of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Sent,
    Accepted,
    /// A fill was booked (and counted already).
    Filled,
    /// The venue ended it so.
    Ended(OrderStatus),
    NotSent,
    CancelPassed,
    CancelRejected,
    Unproven,
    FoundWorking,
    ReplaceRequested,
    ReplaceRefused,
}

impl Known {
    /// One that was just approved, or adopted.
    pub fn new(order: Order, worst: i128, now: Timestamp) -> Self {
        Self {
            order,
            worst,
            twice_reference: 0,
            is_exclusive: false,
            status: OrderStatus::Created,
            filled: 0,
            adopted: 0,
            venue_order_id: 0,
            updated: now,
            venue_filled: 0,
            is_acknowledged: false,
            unknown_since: None,
            is_cancel_wanted: false,
            is_cancel_passed: false,
            retries: 0,
            retry_at: None,
            is_retired: false,
        }
    }

    pub fn is_ours(&self) -> bool {
        self.order.strategy != StrategyId::NONE
    }

    pub fn is_open(&self) -> bool {
        use OrderStatus::*;
        !matches!(self.status, Filled | Canceled | Rejected | Expired | Denied)
    }

    /// What it may still fill: all that is not filled while it is open; then what the venue counts and we do not. What one
    /// that is not ours had filled before may be told or not: the count that leaves more to fill holds.
    pub fn due(&self) -> i128 {
        let whole = i128::from(self.order.quantity.0);
        let end = if self.is_open() { whole } else { whole.min(self.venue_filled) };
        let booked = self.adopted + self.filled;
        let is_doubted = self.is_open() && !self.is_ours();
        (end - if is_doubted { booked.min(self.venue_filled) } else { booked }).max(0)
    }

    /// Whether it may rest in the venue's book, now or when it arrives there.
    pub fn may_rest(&self) -> bool {
        let is_immediate = matches!(self.order.time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill);
        self.is_open()
            && match self.order.order_type {
                OrderType::Limit => !is_immediate || self.status == OrderStatus::Unknown,
                OrderType::StopLimit => self.filled > 0,
                OrderType::Market | OrderType::Stop => false,
            }
    }

    /// As the evidence goes.
    fn working(&self) -> OrderStatus {
        match (self.filled > 0, self.is_acknowledged) {
            (true, _) => OrderStatus::PartiallyFilled,
            (_, true) => OrderStatus::Accepted,
            _ => OrderStatus::Sent,
        }
    }

    /// Learns of something.
    pub fn learn(&mut self, news: News) {
        use OrderStatus::*;
        // Of one that is not ours the venue alone knows how much is left.
        let counted = if self.is_ours() { self.filled } else { self.venue_filled };
        let is_whole = counted >= i128::from(self.order.quantity.0);
        self.is_acknowledged |= matches!(news, News::Accepted | News::Filled | News::FoundWorking);
        // What never left, as the gateway said, and the venue knows all the same, has left.
        let may_begin = matches!(self.status, Created | Sent | Unknown | Denied);
        let works = matches!(self.status, Accepted | PartiallyFilled);
        self.status = match news {
            // The last fill wins over every other end.
            News::Filled if is_whole => Filled,
            News::Filled if may_begin || self.status == Accepted => PartiallyFilled,
            News::Accepted if may_begin => self.working(),
            News::Ended(end) if self.is_open() || self.status == Denied => end,
            News::Sent if self.status == Created => Sent,
            News::NotSent if matches!(self.status, Created | Sent | PendingCancel | Unknown) => Denied,
            News::CancelPassed if self.is_open() && self.status != Unknown => PendingCancel,
            News::CancelRejected if matches!(self.status, PendingCancel | PendingReplace) => self.working(),
            News::Unproven if self.is_open() => Unknown,
            News::FoundWorking if may_begin || self.status == PendingCancel => self.working(),
            News::ReplaceRequested if works => PendingReplace,
            News::ReplaceRefused if self.status == PendingReplace => self.working(),
            _ => self.status,
        };
        let is_answered = matches!(news, News::CancelRejected | News::FoundWorking | News::Unproven);
        if is_answered || !self.is_open() {
            self.is_cancel_passed = false;
        }
    }
}
