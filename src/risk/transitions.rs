//! The order state machine, as one table.

use crate::types::OrderStatus::{
    self, Accepted, Canceled, Created, Denied, Expired, Filled, PartiallyFilled, PendingCancel, PendingReplace,
    Rejected, Sent, Unknown,
};

/// What happened to an order. A column of [`TRANSITIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OrderEvent {
    /// It was written to the socket.
    Sent,
    /// The venue acknowledged it.
    Accepted,
    /// A fill was booked, and some of it is still open.
    PartialFill,
    /// A fill was booked, and nothing of it is open.
    LastFill,
    /// The venue says that it filled it whole (its fills may be on their way).
    Filled,
    /// The venue canceled it.
    Canceled,
    /// The venue refused it.
    Rejected,
    /// The venue ended it.
    Expired,
    /// The gateway proves that it never left.
    NotSent,
    /// A cancel was passed on.
    CancelRequested,
    /// The venue refused to cancel it.
    CancelRejected,
    /// Its fate is not proven.
    Unproven,
    /// A query found it working.
    FoundWorking,
    /// An order that is to take its place was passed on.
    ReplaceRequested,
    /// The order that was to take its place never will: it was refused, or never left.
    ReplaceRejected,
}

/// What becomes of the status. A cell of [`TRANSITIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The status stays.
    Keep,
    /// The status is this.
    To(OrderStatus),
    /// The order works again, as far as the venue's evidence goes: partially filled, accepted, or only sent.
    Resume,
}

/// What each event makes of each status.
///
/// Reports come in any order, so the end must not depend on it: a fill implies the acknowledgement that it overtook,
/// what comes late never takes a terminal status back, and a last fill wins over every other end. `Unknown` is left by
/// evidence of the venue only, or by the gateway's proof that the order never left it. That proof makes an order
/// `Denied` (by us, it never left the engine), not `Rejected` (by the venue); should the venue know the order all the
/// same, the venue's word wins.
#[rustfmt::skip]
pub const TRANSITIONS: [(OrderStatus, [Next; 15]); 12] = {
    use Next::{Keep as __, Resume};
    const WORKS: Next = Next::To(Accepted);
    const SENT_: Next = Next::To(Sent);
    const PART_: Next = Next::To(PartiallyFilled);
    const FILL_: Next = Next::To(Filled);
    const CANC_: Next = Next::To(Canceled);
    const REJEC: Next = Next::To(Rejected);
    const EXPIR: Next = Next::To(Expired);
    const DENY_: Next = Next::To(Denied);
    const PENDC: Next = Next::To(PendingCancel);
    const PENDR: Next = Next::To(PendingReplace);
    const UNKNO: Next = Next::To(Unknown);
    [
        //                 Sent    Accept  Partl   LastF   Filled  Cancel  Reject  Expire  NotSnt  CnlReq  CnlRej  Unprov  FoundW  RplReq  RplRej
        (Created,         [SENT_,  WORKS,  PART_,  FILL_,  FILL_,  CANC_,  REJEC,  EXPIR,  DENY_,  PENDC,  __,     UNKNO,  Resume, __,     __]),
        (Sent,            [__,     WORKS,  PART_,  FILL_,  FILL_,  CANC_,  REJEC,  EXPIR,  DENY_,  PENDC,  __,     UNKNO,  Resume, __,     __]),
        (Accepted,        [__,     __,     PART_,  FILL_,  FILL_,  CANC_,  REJEC,  EXPIR,  __,     PENDC,  __,     UNKNO,  __,     PENDR,  __]),
        (PartiallyFilled, [__,     __,     __,     FILL_,  FILL_,  CANC_,  REJEC,  EXPIR,  __,     PENDC,  __,     UNKNO,  __,     PENDR,  __]),
        (PendingCancel,   [__,     __,     __,     FILL_,  FILL_,  CANC_,  REJEC,  EXPIR,  DENY_,  __,     Resume, UNKNO,  Resume, __,     __]),
        (PendingReplace,  [__,     __,     __,     FILL_,  FILL_,  CANC_,  REJEC,  EXPIR,  __,     PENDC,  Resume, UNKNO,  Resume, __,     Resume]),
        (Unknown,         [__,     Resume, PART_,  FILL_,  FILL_,  CANC_,  REJEC,  EXPIR,  DENY_,  __,     __,     __,     Resume, __,     __]),
        (Filled,          [__,     __,     __,     __,     __,     __,     __,     __,     __,     __,     __,     __,     __,     __,     __]),
        (Canceled,        [__,     __,     __,     FILL_,  __,     __,     __,     __,     __,     __,     __,     __,     __,     __,     __]),
        (Rejected,        [__,     __,     __,     FILL_,  __,     __,     __,     __,     __,     __,     __,     __,     __,     __,     __]),
        (Expired,         [__,     __,     __,     FILL_,  __,     __,     __,     __,     __,     __,     __,     __,     __,     __,     __]),
        (Denied,          [__,     Resume, PART_,  FILL_,  FILL_,  CANC_,  REJEC,  EXPIR,  __,     __,     __,     __,     Resume, __,     __]),
    ]
};

/// The table's cell.
#[must_use]
pub fn next(status: OrderStatus, event: OrderEvent) -> Next {
    let row = TRANSITIONS.get(usize::from(status as u8));
    row.and_then(|(_, cells)| cells.get(usize::from(event as u8))).copied().unwrap_or(Next::Keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_where_their_status_is_looked_up() {
        for (row, (status, _)) in TRANSITIONS.iter().enumerate() {
            assert_eq!(row, usize::from(*status as u8));
        }
        assert_eq!(next(Denied, OrderEvent::FoundWorking), Next::Resume);
        assert_eq!(next(Created, OrderEvent::Sent), Next::To(Sent));
    }

    #[test]
    fn a_terminal_status_is_left_for_filled_only_unless_we_denied_it() {
        for (status, cells) in TRANSITIONS.iter().filter(|(status, _)| status.is_terminal() && *status != Denied) {
            for cell in cells {
                assert!(matches!(cell, Next::Keep | Next::To(Filled)), "{status:?}");
            }
        }
    }

    #[test]
    fn unknown_is_not_left_without_evidence() {
        for event in [OrderEvent::Sent, OrderEvent::CancelRequested, OrderEvent::CancelRejected, OrderEvent::Unproven] {
            assert_eq!(next(Unknown, event), Next::Keep);
        }
    }
}
