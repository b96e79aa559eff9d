//! What every control makes of one order, and how far it is from each limit: for people who ask, never while it trades.
//!
//! A control tells its limit and what it found where it denies. So how near a passing order came to a limit is found by asking
//! again with that limit alone set to one: what it found then is what it had found.

use super::{CONTROLS, Facts, Lifted, each, evaluate};
use crate::types::{Denial, DenialReason};

/// What was made of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Every control in its order, by name, with its own verdict; the first that denies is what counts.
    pub checks: Vec<(&'static str, Result<(), Denial>)>,
    /// How near it came to the limits that are numbers, of those that were judged before it was denied.
    pub margins: Vec<Margin>,
}

/// How near an order came to a limit. Limit and observed are in the unit of their control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    /// What a denial for it is called.
    pub reason: DenialReason,
    /// The limit.
    pub limit: i128,
    /// What was found; `None` where that is at most one.
    pub observed: Option<i128>,
}

impl Explanation {
    /// Of these facts.
    pub(in crate::risk) fn of(facts: &Facts<'_>) -> Self {
        let checks = CONTROLS.iter().copied().zip(each(facts)).collect();
        Self { checks, margins: DenialReason::ALL.iter().filter_map(|reason| margin(facts, *reason)).collect() }
    }
}

/// `None` where the reason has no number behind it, where that is not configured, and where the order was denied before.
fn margin(facts: &Facts<'_>, reason: DenialReason) -> Option<Margin> {
    let mut lifted = Lifted::of(facts);
    let limit = lifted.limit(reason).filter(|limit| *limit > 0)?;
    lifted.set(reason, 1);
    match evaluate(&lifted.facts(facts)) {
        Err(denial) if denial.reason == reason => Some(Margin { reason, limit, observed: Some(denial.observed) }),
        Err(_) => None,
        Ok(()) => Some(Margin { reason, limit, observed: None }),
    }
}
