//! `gannet watchdog`.

use super::file::WatchdogFile;
use super::{End, Watchdog, lock};
use crate::config::Config;
use crate::control::command::{DEFAULT_FILE, load};
use crate::control::data_dir::DataDir;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

/// The exit code where it had to cancel everything, and every venue is flat.
const FLAT: u8 = 3;

/// Options of `gannet watchdog`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet run                                    starts it, and starts it again where it dies
  gannet watchdog --config gannet.toml          finish by hand what a watchdog that died left behind
  gannet watchdog -- run --config gannet.toml   the same, and start the engine again where a strategy hangs
Ends with exit code 0 when the engine has stopped in order, and with 3 where it had to cancel everything: then every venue
has confirmed twice that no order is open (FLAT). Until then it does not end, and SIGINT and SIGTERM do not end it: stop the
engine, and it follows.")]
pub struct WatchdogArgs {
    /// The engine's configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// The engine's own arguments, to start it again with.
    #[arg(last = true, value_name = "ENGINE ARGUMENTS")]
    pub engine: Vec<OsString>,
}

/// Watches an engine.
#[must_use]
pub fn run(args: &WatchdogArgs) -> ExitCode {
    match watch(args) {
        Ok(End::Stopped) => ExitCode::SUCCESS,
        Ok(End::Flat) => ExitCode::from(FLAT),
        Err(errors) => {
            for error in errors {
                eprintln!("gannet watchdog: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn watch(args: &WatchdogArgs) -> Result<End, Vec<String>> {
    let one = |error: &dyn std::fmt::Display| vec![error.to_string()];
    let config: Config = load(&args.config)?;
    crate::control::log_to_stderr(&config.engine.log);
    let data = DataDir::new(&config.engine.data_dir);
    let Some(_lock) = lock(&data).map_err(|error| one(&error))? else {
        return Err(vec![format!("{}: another watchdog watches this data directory", data.path().display())]);
    };
    // Only who holds the lock may write what this reads.
    let file = data.state().and_then(|state| WatchdogFile::read(&data, &state)).map_err(|error| one(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| one(&error))?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| one(&error))?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| one(&error))?;
        let work = async {
            let mut watchdog = Watchdog::open(&config, data, file, args.engine.clone()).await?;
            watchdog.run().await.map_err(|error| vec![error])
        };
        tokio::pin!(work);
        loop {
            tokio::select! {
                end = &mut work => return end,
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            warn!("the watchdog ends when the engine has stopped in order, or when every venue is flat");
        }
    })
}
