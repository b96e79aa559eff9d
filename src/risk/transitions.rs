//! The order state machine, as one table: what follows is drawn from it.
#![doc = include_str!("transitions.md")]

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

impl OrderEvent {
    /// Every event, in the order of the columns.
    pub const ALL: [Self; 15] = [
        Self::Sent,
        Self::Accepted,
        Self::PartialFill,
        Self::LastFill,
        Self::Filled,
        Self::Canceled,
        Self::Rejected,
        Self::Expired,
        Self::NotSent,
        Self::CancelRequested,
        Self::CancelRejected,
        Self::Unproven,
        Self::FoundWorking,
        Self::ReplaceRequested,
        Self::ReplaceRejected,
    ];
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
/// Reports come in any order, so the end must not depend on it:
///
/// - A fill implies the acknowledgement that it overtook.
/// - What comes late never takes a terminal status back, and a last fill wins over every other end.
/// - `Unknown` is left by evidence of the venue only, or by the gateway's proof that the order never left it; what we
///   ourselves ask for (a cancel, a replace) is no evidence. That proof makes an order `Denied` (by us, it never left the
///   engine), not `Rejected` (by the venue); should the venue know the order all the same, the venue's word wins.
/// - `PendingCancel` ends with the order, or with the venue's word that it works all the same: a refused cancel, or a query
///   that found it. Asking once more harms nothing, so a query answered before the cancel arrived may end it early.
/// - `PendingReplace` is left when the replacing order is proven not to come, never because a query found the order
///   working: it may have been answered before the replacement, and a second replacement must not be sent beside the
///   first. A replacement without an answer makes both orders `Unknown`. A cancel passes all the same.
/// - Only an order whose state is settled (working, nothing pending) can be replaced; a cancel passes in every open state.
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
        (PendingReplace,  [__,     __,     __,     FILL_,  FILL_,  CANC_,  REJEC,  EXPIR,  __,     PENDC,  Resume, UNKNO,  __,     __,     Resume]),
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
    use std::fmt::Write as _;

    #[test]
    fn rows_and_columns_stand_where_they_are_looked_up() {
        for (row, (status, _)) in TRANSITIONS.iter().enumerate() {
            assert_eq!(row, usize::from(*status as u8));
        }
        for (column, event) in OrderEvent::ALL.into_iter().enumerate() {
            assert_eq!(column, usize::from(event as u8));
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
        use OrderEvent::{CancelRejected, CancelRequested, ReplaceRejected, ReplaceRequested, Sent, Unproven};
        for event in [Sent, CancelRequested, CancelRejected, Unproven, ReplaceRequested, ReplaceRejected] {
            assert_eq!(next(Unknown, event), Next::Keep);
        }
    }

    #[test]
    fn every_open_status_ends_by_the_venues_word_and_can_become_unknown() {
        use OrderEvent as E;
        for (status, _) in TRANSITIONS.iter().filter(|(status, _)| status.is_open()) {
            for (event, end) in [
                (E::LastFill, Filled),
                (E::Filled, Filled),
                (E::Canceled, Canceled),
                (E::Rejected, Rejected),
                (E::Expired, Expired),
            ] {
                assert_eq!(next(*status, event), Next::To(end), "{status:?}");
            }
            let doubted = next(*status, E::Unproven);
            assert_eq!(doubted, if *status == Unknown { Next::Keep } else { Next::To(Unknown) }, "{status:?}");
        }
    }

    #[test]
    fn only_a_settled_order_is_replaced_and_no_query_ends_that() {
        for (status, _) in TRANSITIONS {
            let is_settled = matches!(status, Accepted | PartiallyFilled);
            let replaced = next(status, OrderEvent::ReplaceRequested);
            assert_eq!(replaced, if is_settled { Next::To(PendingReplace) } else { Next::Keep }, "{status:?}");
        }
        assert_eq!(next(PendingReplace, OrderEvent::FoundWorking), Next::Keep);
        assert_eq!(next(PendingReplace, OrderEvent::Accepted), Next::Keep);
        assert_eq!(next(PendingReplace, OrderEvent::ReplaceRejected), Next::Resume);
        assert_eq!(next(PendingReplace, OrderEvent::CancelRejected), Next::Resume, "STOP_ON_FAILURE: neither was done");
    }

    /// The table as a diagram, then as a table.
    fn drawn() -> String {
        let mut text = String::from(
            "\n`Resume` is the status that the venue's evidence allows: partially filled where a fill is booked, accepted\n\
             where the venue has shown that it knows the order, else sent. What is not drawn changes nothing.\n\n\
             ```mermaid\nstateDiagram-v2\n    state Resume <<choice>>\n    [*] --> Created\n",
        );
        for (status, cells) in &TRANSITIONS {
            let mut targets: Vec<(String, Vec<String>)> = Vec::new();
            for (event, cell) in OrderEvent::ALL.iter().zip(cells) {
                let target = match cell {
                    Next::Keep => continue,
                    Next::To(to) => format!("{to:?}"),
                    Next::Resume => "Resume".to_owned(),
                };
                let event = format!("{event:?}");
                match targets.iter_mut().find(|(known, _)| *known == target) {
                    Some((_, events)) => events.push(event),
                    None => targets.push((target, vec![event])),
                }
            }
            for (target, events) in targets {
                let _ = writeln!(text, "    {status:?} --> {target}: {}", events.join(", "));
            }
        }
        for (target, when) in [(PartiallyFilled, "filled in part"), (Accepted, "acknowledged"), (Sent, "neither")] {
            let _ = writeln!(text, "    Resume --> {target:?}: {when}");
        }
        for (status, _) in TRANSITIONS.iter().filter(|(status, _)| status.is_terminal()) {
            let _ = writeln!(text, "    {status:?} --> [*]");
        }
        text.push_str("```\n\n| |");
        for event in OrderEvent::ALL {
            let _ = write!(text, " {event:?} |");
        }
        text.push_str("\n|---|");
        text.push_str(&"---|".repeat(OrderEvent::ALL.len()));
        for (status, cells) in &TRANSITIONS {
            let _ = write!(text, "\n| **{status:?}** |");
            for cell in cells {
                let _ = match cell {
                    Next::Keep => write!(text, " · |"),
                    Next::To(to) => write!(text, " {to:?} |"),
                    Next::Resume => write!(text, " Resume |"),
                };
            }
        }
        text.push('\n');
        text
    }

    #[test]
    fn the_documentation_is_drawn_from_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/risk/transitions.md");
        let drawn = drawn();
        if std::env::var_os("GANNET_DRAW").is_some() {
            std::fs::write(path, &drawn).expect("the sources can be written");
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == drawn,
            "src/risk/transitions.md is not what the table says; draw it anew with \
             `GANNET_DRAW=1 cargo test --lib risk::transitions`, and look at what changed"
        );
    }
}
