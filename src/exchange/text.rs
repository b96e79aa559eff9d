//! Numbers as Binance spot writes them.

use crate::matching::PRECISION;
use crate::types::{FixedText, format_fixed};

/// A price, quantity or amount with its 8 decimal places.
pub(super) fn decimal(value: i64) -> FixedText {
    format_fixed(value, PRECISION)
}
