//! Ctrl-C, seen between two records.

use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants the command to end.
#[derive(Clone)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on, SIGINT and SIGTERM only set this; a second one ends the process as ever.
    ///
    /// # Errors
    /// Where the system refuses, in words.
    pub(super) fn watch() -> Result<Self, String> {
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The first registration acts when the flag is set already: at the second signal.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&seen))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&seen)))
                .map_err(|error| format!("signals: {error}"))?;
        }
        Ok(Self(seen))
    }

    /// Whether one came.
    pub(super) fn is_seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
