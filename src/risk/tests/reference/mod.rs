//! A second risk engine, as naive as it can be: it keeps nothing but what happened, works everything out of that again
//! for each verdict, and shares nothing with the real one but plain types. It is written from the published list of
//! controls and from what the documentation says, not from the code.
//!
//! [`World`] is what follows from a history; [`judge`] is the controls, in their order, on that.

mod judge;
mod order;
mod world;

pub use judge::{CONTROLS, judge};
pub use world::World;

use crate::risk::{KillScope, LimitsTable, Override};
use crate::types::*;

/// What happened, in risk's order, each with its instant.
pub type History = Vec<(Timestamp, Event)>;

/// The reasons that overrides lifted for an order that passed, or why it did not.
pub type Verdict = Result<Vec<DenialReason>, Denial>;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A strategy wanted an order, and what became of it.
    Intent(Box<OrderIntent>, Verdict),
    /// A strategy wanted an order canceled.
    CancelAsked(ClientOrderId),
    /// Risk passed a cancel on, whoever wanted it.
    CancelPassed(CancelIntent),
    /// The gateway said something.
    Gateway(GatewayMessage),
    /// A person, or the engine's cold part, commanded something; the next two bring what they are about.
    Command(RiskCommand),
    /// Limits were put in place.
    Limits(Box<LimitsTable>),
    /// An override was given.
    Override(Override),
    /// A shard told the market of what it holds, or, of no instrument, that it lives.
    Mark(usize, Mark),
    /// A scope was killed, or released.
    Kill(KillScope, bool),
}
