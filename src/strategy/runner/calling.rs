//! Calling strategies: for updates of their orders, for deadlines, for the end; and what becomes of one that fails.

use super::{Core, Moment, Shard, Slot};
use crate::strategy::Event;
use crate::strategy::context::Context;
use crate::strategy::desk::{Desk, InstanceState};
use crate::types::{ClientOrderId, Notice, NoticeCode, OrderUpdate, StrategyId, Timestamp};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Core {
    /// Books an update of risk and tells the strategy.
    pub(super) fn on_update(&mut self, update: &OrderUpdate) {
        self.now = self.now.max(update.received_ns);
        if let Some(index) = self.slot_index(update.strategy)
            && let Some(slot) = self.slots.get_mut(index)
        {
            slot.desk.apply(update);
            if update.client_order_id == ClientOrderId::NONE {
                // What the strategy holds from before the start: there is no order to tell it of.
                return;
            }
            self.call(index, update.received_ns, Event::Order(update));
        }
    }

    /// Tells strategies of the orders that the shard had to deny.
    pub(super) fn tell_denials(&mut self) -> usize {
        let mut told = 0;
        for index in 0..self.slots.len() {
            // As many as there are now: what those handlers want and cannot have is told in the next cycle.
            let Some(slot) = self.slots.get(index).filter(|slot| slot.desk.has_denials_due) else { continue };
            for _ in 0..slot.desk.working.len() {
                let now = self.now;
                let Some(update) = self.slots.get_mut(index).and_then(|slot| slot.desk.next_denial(now)) else { break };
                self.on_update(&update);
                told += 1;
            }
        }
        told
    }

    pub(super) fn fire_timers(&mut self) -> usize {
        let mut fired = 0;
        for index in 0..self.slots.len() {
            let wake_ns = self.slots.get(index).and_then(|slot| slot.desk.brackets.wake_ns);
            if wake_ns.is_some_and(|at| at <= self.cycle_ns) {
                self.now = self.now.max(self.cycle_ns);
                self.tend(index, self.now);
                fired += 1;
            }
            // As many as may be pending: what those handlers ask for, in the past, is told in the next cycle.
            for _ in 0..Desk::TIMERS_MAX {
                let cycle_ns = self.cycle_ns;
                let Some(at) = self.slots.get_mut(index).and_then(|slot| slot.desk.take_timer(cycle_ns)) else { break };
                self.now = self.now.max(cycle_ns);
                self.call(index, self.now, Event::Timer(at));
                fired += 1;
            }
        }
        fired
    }

    pub(super) fn stop_all(&mut self) {
        self.now = self.now.max(self.cycle_ns);
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else { return };
            let was_running = slot.desk.state == InstanceState::Running;
            if slot.desk.state != InstanceState::Error {
                slot.desk.state = InstanceState::Stopped;
            }
            slot.desk.stop_brackets();
            if was_running {
                self.invoke(index, self.now, Event::Stop);
            }
            self.halt(index, NoticeCode::StrategyStopped);
            self.tend(index, self.now);
        }
    }

    fn slot_index(&self, strategy: StrategyId) -> Option<usize> {
        self.slot_of.get(strategy.index()).copied().flatten().map(usize::from)
    }

    pub(super) fn call_by_id(&mut self, strategy: StrategyId, event: Event) {
        if let Some(index) = self.slot_index(strategy) {
            self.call(index, self.now, event);
        }
    }

    /// Calls a handler of an instance, if it runs. Its brackets come first: neither a slow nor a failed strategy keeps
    /// them from what they are there for.
    #[inline]
    pub(super) fn call(&mut self, index: usize, received_ns: Timestamp, event: Event) {
        if matches!(event, Event::Quote(..) | Event::Order(_)) {
            self.tend(index, received_ns);
        }
        if self.slots.get(index).is_some_and(|slot| slot.desk.state == InstanceState::Running) {
            self.invoke(index, received_ns, event);
        }
    }

    /// Calls a handler, and sends what it wants.
    pub(super) fn invoke(&mut self, index: usize, received_ns: Timestamp, event: Event) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let moment = Moment { now: self.now, decided_ns: self.cycle_ns, received_ns };
        self.counters.handler_calls.increment();
        self.budget.calls += 1;
        self.budget.last_called = index;
        let started = self.budget.is_timing().then(|| self.budget.clock.now());
        let Slot { strategy, desk } = slot;
        let mut context = Context { now: moment.now, markets: &self.markets, desk, notices: &mut self.notices };
        self.calls = self.calls.wrapping_add(1);
        self.mark.enter(context.desk.id, moment.decided_ns, self.calls);
        // A strategy that panicked is never called again, and of what it shares with others it can only read.
        let returned = catch_unwind(AssertUnwindSafe(|| strategy.handle(&mut context, event)));
        self.mark.leave();
        match returned {
            Ok(Ok(())) => desk.errors_in_row = 0,
            Ok(Err(error)) => {
                self.counters.handler_errors.increment();
                desk.errors_in_row = desk.errors_in_row.saturating_add(1);
                let notice = Notice::new(NoticeCode::StrategyError, moment.now).strategy(desk.id);
                self.notices.send(notice.values(i128::from(desk.errors_in_row), i128::from(error.0)));
                if desk.errors_in_row >= Shard::ERRORS_MAX && desk.state == InstanceState::Running {
                    desk.state = InstanceState::Paused;
                    desk.discard_outbox();
                    self.halt(index, NoticeCode::StrategyPaused);
                }
            }
            Err(payload) => {
                self.counters.panics.increment();
                let notice = Notice::new(NoticeCode::StrategyPanicked, moment.now).strategy(desk.id);
                self.notices.send(notice.excerpt(panic_text(payload.as_ref()).as_bytes()));
                // Dropping what a strategy panicked with could panic again; it happens once an instance.
                std::mem::forget(payload);
                desk.state = InstanceState::Error;
                desk.discard_outbox();
                desk.cancel_all(None);
            }
        }
        if let Some(started) = started {
            let took_ns = self.budget.clock.now().since(started);
            self.check_budget(index, took_ns);
        }
        self.send(index, moment);
    }

    /// Does what the brackets of an instance want done, whether it runs or not.
    #[inline]
    fn tend(&mut self, index: usize, received_ns: Timestamp) {
        if self.slots.get(index).is_some_and(|slot| !slot.desk.brackets.is_empty()) {
            self.send(index, Moment { now: self.now, decided_ns: self.cycle_ns, received_ns });
        }
    }

    /// An instance calls no more: its orders are canceled, the exits of its brackets are not.
    fn halt(&mut self, index: usize, code: NoticeCode) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.desk.cancel_all(None);
        self.notices.send(Notice::new(code, self.now).strategy(slot.desk.id));
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "with something that is no text",
    }
}
