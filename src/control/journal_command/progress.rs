//! How far a long command is, on a terminal's standard error.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often progress is shown.
const SHOW_INTERVAL: Duration = Duration::from_millis(250);
/// Calls between two looks at the clock.
const CALLS: u32 = 1_024;

/// One line that is written over and over.
pub(super) struct Progress {
    is_shown: bool,
    is_any: bool,
    calls: u32,
    shown: Instant,
}

impl Progress {
    /// Shown on a terminal, unless `is_quiet`.
    pub(super) fn new(is_quiet: bool) -> Self {
        let is_shown = !is_quiet && std::io::stderr().is_terminal();
        Self { is_shown, is_any: false, calls: 0, shown: Instant::now() }
    }

    /// Something was done: of many calls a few look at the clock.
    pub(super) fn step(&mut self, line: impl FnOnce() -> String) {
        self.calls += 1;
        if self.calls >= CALLS {
            self.show(line);
        }
    }

    /// Much was done.
    pub(super) fn show(&mut self, line: impl FnOnce() -> String) {
        self.calls = 0;
        if self.is_shown && self.shown.elapsed() > SHOW_INTERVAL {
            (self.shown, self.is_any) = (Instant::now(), true);
            eprint!("\r\x1b[K{} ", line());
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_any) {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
