//! C35: reports of executions come.

use super::{Facts, deny};
use crate::types::{Denial, DenialReason};

#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    if facts.account_breakers.is_reported { Ok(()) } else { deny(DenialReason::ExecStreamDown, 1, 0) }
}
