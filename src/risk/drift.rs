//! Where the market was when our own orders went out.

use super::window::Window;
use crate::types::{MarketStamp, Timestamp};

/// The lowest and the highest mid that orders of one instrument were approved at, by eighths of the window.
#[derive(Clone, Copy, Debug)]
pub struct Drift(Window<Mids>);

/// Twice the mid, which is bid plus ask: exact.
#[derive(Clone, Copy, Debug)]
struct Mids {
    lowest: i128,
    highest: i128,
}

const NO_MIDS: Mids = Mids { lowest: i128::MAX, highest: i128::MIN };

impl Drift {
    /// No order went out.
    pub const NONE: Self = Self(Window::new(NO_MIDS));

    /// An order was approved in this market.
    pub fn approved(&mut self, stamp: &MarketStamp, now: Timestamp, window_ns: u64) {
        let twice_mid = i128::from(stamp.bid.0) + i128::from(stamp.ask.0);
        self.0.add(now, window_ns, NO_MIDS, |mids| {
            mids.lowest = mids.lowest.min(twice_mid);
            mids.highest = mids.highest.max(twice_mid);
        });
    }

    /// Twice the lowest and twice the highest mid within the window; `None` where no order went out.
    #[inline]
    pub(super) fn range(&self, now: Timestamp, window_ns: u64) -> Option<(i128, i128)> {
        let join = |lowest_highest: (i128, i128), mids: &Mids| {
            (lowest_highest.0.min(mids.lowest), lowest_highest.1.max(mids.highest))
        };
        let range = self.0.iter(now, window_ns).fold((i128::MAX, i128::MIN), join);
        (range.0 <= range.1).then_some(range)
    }
}
