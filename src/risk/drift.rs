//! Where the market was when our own orders went out.

use super::window::{Figures, Window};
use crate::types::{MarketStamp, Timestamp};

/// The lowest and the highest mid that orders of one instrument were approved at.
#[derive(Clone, Copy, Debug)]
pub struct Drift(Window<Mids>);

/// Twice the mid, which is bid plus ask: exact.
#[derive(Clone, Copy, Debug)]
struct Mids {
    lowest: u64,
    highest: u64,
}

impl Figures for Mids {
    const NONE: Self = Self { lowest: u64::MAX, highest: u64::MIN };

    fn join(self, other: Self) -> Self {
        Self { lowest: self.lowest.min(other.lowest), highest: self.highest.max(other.highest) }
    }
}

impl Drift {
    /// No order went out.
    pub const NONE: Self = Self(Window::NONE);

    /// An order was approved in this market.
    pub fn approved(&mut self, stamp: &MarketStamp, now: Timestamp, window_ns: u64) {
        // An approved order was decided in a market of positive prices (C12).
        let twice_mid = stamp.bid.0.unsigned_abs().saturating_add(stamp.ask.0.unsigned_abs());
        self.0.add(now, window_ns, Mids { lowest: twice_mid, highest: twice_mid });
    }

    /// Twice the lowest and twice the highest mid within the window; `None` where no order went out.
    #[inline]
    pub(super) fn range(&self, now: Timestamp, window_ns: u64) -> Option<(u64, u64)> {
        let Mids { lowest, highest } = self.0.total(now, window_ns);
        (lowest <= highest).then_some((lowest, highest))
    }
}
