//! Judges heartbeats: pure, so that every case can be tested without a process.

use crate::pipeline::heartbeat::{Heartbeats, Phase, Running, SHARDS_MAX};
use crate::types::StrategyId;

/// How much time between two looks counts at most, in ns. Where the watchdog itself was not run (a machine that was
/// suspended, or is busy), nothing can be said of the engine either.
const LOOK_MAX_NS: u64 = 100_000_000;
/// How long the engine's plain thread may be silent and still count as running, in ns. It beats a hundred times a second.
const GUARD_SILENT_MAX_NS: u64 = 1_000_000_000;

/// What a look at the heartbeats says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing trades that could stand still: the engine starts, or has stopped in order.
    Quiet,
    /// Threads run.
    Beating,
    /// No thread has beaten since the last look: whether the process is there is worth asking.
    Silent,
    /// A hot thread stands still.
    Stalled(Stall),
}

/// A hot thread that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Which.
    pub thread: usize,
    /// For how long.
    pub silent_ns: u64,
    /// The handler it is in, and for how long it has been in that same call; `None` where it is in none, or where the
    /// whole process stands still, which is no handler's doing.
    pub handler: Option<(StrategyId, u64)>,
}

/// A count that should grow, and for how long it has not.
#[derive(Clone, Copy, Default)]
struct Silence {
    count: u64,
    ns: u64,
}

impl Silence {
    /// Answers whether it grew.
    fn look(&mut self, count: u64, passed_ns: u64) -> bool {
        let grew = self.count != count;
        *self = Self { count, ns: if grew { 0 } else { self.ns.saturating_add(passed_ns) } };
        grew
    }
}

/// What it remembers from look to look.
pub struct Judge {
    stall_ns: u64,
    generation: u64,
    last_ns: u64,
    threads: Vec<Silence>,
    guard: Silence,
    handlers: Vec<(Option<Running>, u64)>,
}

impl Judge {
    /// A thread that is silent for `stall_ns` stands still.
    #[must_use]
    pub fn new(stall_ns: u64) -> Self {
        let handlers = vec![(None, 0); SHARDS_MAX];
        Self { stall_ns, generation: 0, last_ns: 0, threads: Vec::new(), guard: Silence::default(), handlers }
    }

    /// Looks at the page. `now_ns` is this process's own monotonic clock.
    pub fn look(&mut self, page: &Heartbeats, now_ns: u64) -> Verdict {
        let engine = page.engine();
        let mut passed_ns = now_ns.saturating_sub(self.last_ns).min(LOOK_MAX_NS);
        self.last_ns = now_ns;
        if engine.generation != self.generation || engine.threads != self.threads.len() {
            // Another engine, or its threads have just started: what was is forgotten.
            passed_ns = 0;
            self.generation = engine.generation;
            self.threads = (0..engine.threads).map(|thread| Silence { count: page.beats(thread), ns: 0 }).collect();
            self.handlers.fill((None, 0));
        }
        self.guard.look(page.guard_beats(), passed_ns);
        for (shard, (running, held_ns)) in self.handlers.iter_mut().enumerate() {
            let now = page.running(shard);
            *held_ns = if now.is_some() && now == *running { held_ns.saturating_add(passed_ns) } else { 0 };
            *running = now;
        }
        if engine.phase != Phase::Trading {
            return Verdict::Quiet;
        }
        let mut has_beaten = false;
        for (thread, silence) in self.threads.iter_mut().enumerate() {
            has_beaten |= silence.look(page.beats(thread), passed_ns);
        }
        let worst = self.threads.iter().enumerate().max_by_key(|(_, silence)| silence.ns);
        match worst {
            Some((thread, silence)) if silence.ns >= self.stall_ns => {
                Verdict::Stalled(Stall { thread, silent_ns: silence.ns, handler: self.handler_on(thread) })
            }
            _ if has_beaten => Verdict::Beating,
            _ => Verdict::Silent,
        }
    }

    /// The handler that a silent thread is in.
    fn handler_on(&self, thread: usize) -> Option<(StrategyId, u64)> {
        if self.guard.ns > GUARD_SILENT_MAX_NS.min(self.stall_ns) {
            return None;
        }
        let on_thread = |(running, held_ns): &(Option<Running>, u64)| {
            running.filter(|running| running.thread == thread).map(|running| (running.strategy, *held_ns))
        };
        self.handlers.iter().filter_map(on_thread).max_by_key(|(_, held_ns)| *held_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::heartbeat::{Mark, Pulse};
    use crate::types::Timestamp;

    const MS: u64 = 1_000_000;
    const NOW: Timestamp = Timestamp::from_nanos(1);

    /// An engine of two threads, the second of which runs shard 0; a look each 10 ms.
    struct Rig {
        page: Heartbeats,
        pulses: [Pulse; 2],
        mark: Mark,
        judge: Judge,
        now_ns: u64,
    }

    impl Rig {
        fn new() -> Self {
            let page = Heartbeats::default();
            page.set_trading(2);
            let (pulses, mark) = ([page.pulse(0), page.pulse(1)], page.mark(0));
            mark.place(1);
            let mut rig = Self { page, pulses, mark, judge: Judge::new(1_000 * MS), now_ns: 5 };
            rig.look(10);
            rig
        }

        fn look(&mut self, after_ms: u64) -> Verdict {
            self.now_ns += after_ms * MS;
            self.judge.look(&self.page, self.now_ns)
        }

        /// For so many ms these threads beat, and the plain one if it runs.
        fn pass(&mut self, ms: u64, threads: &[usize], guard: bool) -> Verdict {
            let mut verdict = Verdict::Quiet;
            for _ in 0..ms / 10 {
                for &thread in threads {
                    self.pulses[thread].beat(NOW);
                }
                if guard {
                    self.page.guard_beat();
                }
                verdict = self.look(10);
            }
            verdict
        }
    }

    fn stall(verdict: Verdict) -> Stall {
        match verdict {
            Verdict::Stalled(stall) => stall,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_thread_stalls_when_it_was_silent_for_long_enough_and_no_earlier() {
        let mut rig = Rig::new();
        assert_eq!(rig.pass(3_000, &[0, 1], true), Verdict::Beating);
        assert_eq!(rig.pass(990, &[0], true), Verdict::Beating);
        let stalled = stall(rig.pass(10, &[0], true));
        assert_eq!(stalled, Stall { thread: 1, silent_ns: 1_000 * MS, handler: None });
        assert_eq!(rig.pass(10, &[0, 1], true), Verdict::Beating);
        assert_eq!(rig.pass(10, &[], true), Verdict::Silent);
    }

    #[test]
    fn the_handler_that_does_not_return_is_named_and_its_time_is_of_one_call() {
        let mut rig = Rig::new();
        rig.mark.enter(StrategyId(4), NOW, 1);
        assert_eq!(stall(rig.pass(1_500, &[0], true)).handler, Some((StrategyId(4), 1_490 * MS)));
        // Another call of the same handler: slow, but it returns.
        rig.mark.leave();
        rig.mark.enter(StrategyId(4), NOW, 2);
        assert_eq!(stall(rig.pass(500, &[0], true)).handler, Some((StrategyId(4), 490 * MS)));
        rig.mark.leave();
        assert_eq!(stall(rig.pass(10, &[0], true)).handler, None);
        // A handler on a thread that beats is not what holds the other one up.
        rig.mark.enter(StrategyId(4), NOW, 3);
        assert_eq!(stall(rig.pass(1_200, &[1], true)), Stall { thread: 0, silent_ns: 1_200 * MS, handler: None });
    }

    #[test]
    fn no_strategy_is_blamed_for_a_process_that_stands_still_as_a_whole() {
        let mut rig = Rig::new();
        rig.mark.enter(StrategyId(4), NOW, 1);
        let stalled = stall(rig.pass(6_000, &[], false));
        assert_eq!((stalled.silent_ns, stalled.handler), (6_000 * MS, None));
    }

    #[test]
    fn time_in_which_the_watchdog_did_not_run_says_nothing() {
        let mut rig = Rig::new();
        // The machine was suspended for an hour.
        assert_eq!(rig.look(3_600_000), Verdict::Silent);
        assert_eq!(rig.pass(890, &[], true), Verdict::Silent);
        assert_eq!(stall(rig.pass(10, &[], true)).silent_ns, 1_000 * MS);
    }

    #[test]
    fn an_engine_that_starts_or_has_stopped_is_quiet() {
        let mut rig = Rig::new();
        rig.page.set_stopped();
        assert_eq!(rig.pass(5_000, &[], true), Verdict::Quiet);
        let starting = Heartbeats::default();
        assert_eq!(Judge::new(MS).look(&starting, 1), Verdict::Quiet);
    }
}
