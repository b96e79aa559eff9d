//! The thread plan: which stages run on which thread, and the loop that runs them.

use super::clock::Clock;
use super::heartbeat::Pulse;
use super::idle::{Idle, IdleStrategy};
use super::stage::Stage;
use core_affinity::CoreId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// How stages are spread over threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `fused` below six cores, else `split`.
    #[default]
    Auto,
    /// All hot stages on one thread, run to completion. Fastest where a hop across cores costs more than the work.
    Fused,
    /// Feed | shards | risk and gateway.
    Split,
    /// Stages by name, a list for each thread, with the core to pin it to if any.
    Explicit(Vec<ThreadSpec>),
}

/// One thread of an explicit layout.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreadSpec {
    /// Names of stages, in the order in which they are polled.
    pub stages: Vec<String>,
    /// The core to pin to.
    pub core: Option<usize>,
}

/// One hot thread: the places of its stages in the list of all, and its core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedThread {
    /// Its name: those of its stages.
    pub name: String,
    /// Indexes into the list of stages.
    pub stages: Vec<usize>,
    /// The core it is pinned to.
    pub core: Option<usize>,
}

/// Spreads the stages named `stages` over threads. `cores` are the numbers of the cores this process may run on.
///
/// Threads of `fused` and `split` are pinned only where the cores outnumber them by two: the cold plane and the kernel
/// need somewhere to run.
///
/// # Errors
/// Everything that is wrong with an explicit layout, at once: unknown, repeated and missing stages, cores that do not
/// exist or are used twice. No thread was started.
pub fn plan(layout: &Layout, stages: &[&str], cores: &[usize]) -> Result<Vec<PlannedThread>, Vec<String>> {
    let groups: Vec<(Vec<usize>, Option<usize>)> = match layout {
        Layout::Auto if cores.len() < 6 => return plan(&Layout::Fused, stages, cores),
        Layout::Auto => return plan(&Layout::Split, stages, cores),
        Layout::Fused => vec![((0..stages.len()).collect(), None)],
        Layout::Split => {
            let of = |wanted: &dyn Fn(&str) -> bool| {
                stages.iter().enumerate().filter(|(_, name)| wanted(name)).map(|(index, _)| index).collect::<Vec<_>>()
            };
            vec![
                (of(&|name| name.starts_with("feed")), None),
                (of(&|name| name.starts_with("shard")), None),
                (of(&|name| name.starts_with("risk") || name.starts_with("gateway")), None),
            ]
        }
        Layout::Explicit(threads) => explicit(threads, stages, cores)?,
    };
    let may_pin = cores.len() >= groups.len() + 2;
    let is_explicit = matches!(layout, Layout::Explicit(_));
    let planned =
        groups.into_iter().filter(|(indexes, _)| !indexes.is_empty()).enumerate().map(|(order, (indexes, core))| {
            let names: Vec<&str> = indexes.iter().filter_map(|&index| stages.get(index).copied()).collect();
            let automatic = if may_pin && !is_explicit { cores.iter().rev().nth(order).copied() } else { None };
            PlannedThread { name: names.join("+"), stages: indexes, core: core.or(automatic) }
        });
    Ok(planned.collect())
}

type Groups = Vec<(Vec<usize>, Option<usize>)>;

fn explicit(threads: &[ThreadSpec], stages: &[&str], cores: &[usize]) -> Result<Groups, Vec<String>> {
    let mut errors = Vec::new();
    let mut used_cores = Vec::new();
    let mut used_stages = Vec::new();
    let mut groups = Vec::new();
    for (order, thread) in threads.iter().enumerate() {
        let mut indexes = Vec::new();
        for name in &thread.stages {
            match stages.iter().position(|stage| stage == name) {
                None => errors
                    .push(format!("threads[{order}]: no stage is named {name:?}; there are {}", stages.join(", "))),
                Some(index) if used_stages.contains(&index) => {
                    errors.push(format!("threads[{order}]: stage {name:?} is listed twice"));
                }
                Some(index) => {
                    used_stages.push(index);
                    indexes.push(index);
                }
            }
        }
        if let Some(core) = thread.core {
            if !cores.contains(&core) {
                errors.push(format!(
                    "threads[{order}].core: this process may not run on core {core}; it may on {cores:?}"
                ));
            }
            if used_cores.contains(&core) {
                errors.push(format!("threads[{order}].core: core {core} is used by another hot thread"));
            }
            used_cores.push(core);
        }
        groups.push((indexes, thread.core));
    }
    for (index, name) in stages.iter().enumerate() {
        if !used_stages.contains(&index) {
            errors.push(format!("threads: stage {name:?} is on no thread"));
        }
    }
    if errors.is_empty() { Ok(groups) } else { Err(errors) }
}

/// The numbers of the cores this process may run on.
#[must_use]
pub fn allowed_cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Why trading must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The stage of this name panicked.
    Panicked(&'static str),
    /// The watchdog raised an alarm: this thread, or another, stood still.
    Alarmed,
}

/// What a hot thread tells its trouble to: it sets the kill word, so that what is left of the machine cancels everything.
pub type OnTrouble = Arc<dyn Fn(Trouble) + Send + Sync>;

/// Starts one hot thread. It runs until `stop` is set, beats in `pulse` each cycle, and hands its stages back.
///
/// A stage that panics is polled no more, and the thread's other stages go on. An alarm of the watchdog is seen before any
/// stage is polled: a thread that stood still does not trade on.
///
/// # Errors
/// Where the system refuses a thread.
pub fn spawn<S: Stage + 'static>(
    thread: PlannedThread,
    mut stages: Vec<S>,
    clock: Clock,
    idle: IdleStrategy,
    stop: Arc<AtomicBool>,
    on_trouble: OnTrouble,
    mut pulse: Pulse,
) -> std::io::Result<JoinHandle<Vec<S>>> {
    std::thread::Builder::new().name(thread.name).spawn(move || {
        if let Some(core) = thread.core {
            // Validated before; a core taken away since only costs the pinning.
            let _ = core_affinity::set_for_current(CoreId { id: core });
        }
        let mut alive: Vec<usize> = (0..stages.len()).collect();
        let mut idle = Idle::new(idle);
        while !stop.load(Ordering::Relaxed) {
            let mut polled = 0;
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut work_done = 0;
                    let mut now = clock.now();
                    if pulse.beat(now) {
                        on_trouble(Trouble::Alarmed);
                    }
                    for &index in &alive {
                        polled = index;
                        let Some(stage) = stages.get_mut(index) else { continue };
                        let done = stage.poll(now);
                        work_done += done;
                        // A stage that had nothing to do took no time worth reading the clock for.
                        if done > 0 {
                            now = clock.now();
                        }
                    }
                    idle.after(work_done);
                }
            }));
            if unwound.is_err() {
                alive.retain(|&index| index != polled);
                if let Some(stage) = stages.get(polled) {
                    on_trouble(Trouble::Panicked(stage.name()));
                }
            }
        }
        stages
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::heartbeat::Heartbeats;
    use crate::types::Timestamp;
    use std::sync::atomic::AtomicUsize;

    const STAGES: [&str; 5] = ["feed", "shard-0", "shard-1", "risk", "gateway"];

    #[test]
    fn layouts_hold_every_stage_once() {
        let cores: Vec<usize> = (0..8).collect();
        let fused = plan(&Layout::Fused, &STAGES, &cores).expect("a plan");
        assert_eq!(fused.len(), 1);
        assert_eq!(fused[0].core, Some(7));
        let split = plan(&Layout::Auto, &STAGES, &cores).expect("a plan");
        assert_eq!(
            split.iter().map(|thread| thread.name.as_str()).collect::<Vec<_>>(),
            ["feed", "shard-0+shard-1", "risk+gateway"]
        );
        assert_eq!(plan(&Layout::Auto, &STAGES, &[0, 1]).expect("a plan").len(), 1);
        // Two cores do not outnumber one thread by two: nothing is pinned.
        assert_eq!(plan(&Layout::Fused, &STAGES, &[0, 1]).expect("a plan")[0].core, None);
    }

    #[test]
    fn every_error_of_an_explicit_layout_is_told_at_once() {
        let thread =
            |stages: &[&str], core| ThreadSpec { stages: stages.iter().map(|&name| name.to_owned()).collect(), core };
        let threads =
            vec![thread(&["feed", "fed"], Some(9)), thread(&["feed", "risk"], Some(1)), thread(&["gateway"], Some(1))];
        let errors = plan(&Layout::Explicit(threads), &STAGES, &[0, 1]).expect_err("refused");
        assert_eq!(errors.len(), 6, "{errors:#?}");
        let threads = vec![thread(&["feed", "shard-0", "shard-1"], Some(0)), thread(&["risk", "gateway"], None)];
        assert_eq!(plan(&Layout::Explicit(threads), &STAGES, &[0, 1]).expect("a plan")[0].core, Some(0));
    }

    struct Probe {
        name: &'static str,
        polls: Arc<AtomicUsize>,
        panics_at: usize,
    }

    impl Stage for Probe {
        fn poll(&mut self, _now: Timestamp) -> usize {
            let polls = self.polls.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(polls != self.panics_at, "as the test wants");
            0
        }

        fn name(&self) -> &'static str {
            self.name
        }
    }

    #[test]
    fn a_stage_that_panics_leaves_its_neighbours_running() {
        let stop = Arc::new(AtomicBool::new(false));
        let (bad, good) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let told = Arc::new(AtomicUsize::new(0));
        let stages = vec![
            Probe { name: "bad", polls: Arc::clone(&bad), panics_at: 3 },
            Probe { name: "good", polls: Arc::clone(&good), panics_at: usize::MAX },
        ];
        let thread = plan(&Layout::Fused, &["bad", "good"], &[0]).expect("a plan").remove(0);
        let alarmed = Arc::new(AtomicUsize::new(0));
        let on_trouble: OnTrouble = {
            let (told, alarmed) = (Arc::clone(&told), Arc::clone(&alarmed));
            Arc::new(move |trouble| match trouble {
                Trouble::Panicked(name) => {
                    assert_eq!(name, "bad");
                    told.fetch_add(1, Ordering::Relaxed);
                }
                Trouble::Alarmed => drop(alarmed.fetch_add(1, Ordering::Relaxed)),
            })
        };
        let page = Heartbeats::default();
        let (clock, idle) = (Clock::wall(), IdleStrategy::Park);
        let handle = spawn(thread, stages, clock, idle, Arc::clone(&stop), on_trouble, page.pulse(0));
        let handle = handle.expect("a thread");
        while good.load(Ordering::Relaxed) < 10 {
            std::thread::yield_now();
        }
        assert!(page.beats(0) >= 9, "it beats each cycle");
        assert_eq!(alarmed.load(Ordering::Relaxed), 0);
        page.raise_alarm();
        while alarmed.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(handle.join().expect("stages").len(), 2);
        assert_eq!((bad.load(Ordering::Relaxed), told.load(Ordering::Relaxed)), (3, 1));
    }
}
