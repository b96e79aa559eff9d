//! The time that handlers may take.

use super::Core;
use crate::pipeline::clock::Clock;
use crate::types::{Notice, NoticeCode};

/// Who takes too long. A clock read costs 12 ns, as much as a small handler, so that there is one a cycle, after its
/// orders went out. A cycle over the budget is followed by cycles in which each call is timed and the culprit named;
/// where the slow cycle had made one call only, it is named at once.
pub(super) struct Budget {
    pub(super) clock: Clock,
    pub(super) limit_ns: u64,
    pub(super) timed_cycles_left: u32,
    pub(super) calls: u32,
    pub(super) last_called: usize,
}

impl Budget {
    const TIMED_CYCLES: u32 = 1_000;

    pub(super) const fn is_timing(&self) -> bool {
        self.timed_cycles_left > 0
    }
}

impl Core {
    /// The cycle did something: its time is taken, see [`Budget`].
    pub(super) fn close_cycle(&mut self) {
        let calls = std::mem::take(&mut self.budget.calls);
        if self.budget.is_timing() {
            self.budget.timed_cycles_left -= 1;
        } else if calls > 0 {
            let took_ns = self.budget.clock.now().since(self.cycle_ns);
            if took_ns > self.budget.limit_ns {
                self.budget.timed_cycles_left = Budget::TIMED_CYCLES;
                if calls == 1 {
                    self.check_budget(self.budget.last_called, took_ns);
                }
            }
        }
    }

    pub(super) fn check_budget(&mut self, index: usize, took_ns: u64) {
        if took_ns > self.budget.limit_ns
            && let Some(slot) = self.slots.get(index)
        {
            self.counters.slow_handlers.increment();
            let notice = Notice::new(NoticeCode::StrategySlow, self.now).strategy(slot.desk.id);
            self.notices.send(notice.values(i128::from(self.budget.limit_ns), i128::from(took_ns)));
        }
    }
}
