//! The gateways of an engine start under replay, each up to where entries of it were left out.

use super::cycle::Difference;
use super::gateway::GatewayReplay;
use super::sent::Sent;
use super::shards::{Followed, StopReason};
use super::start::EngineStart;
use crate::types::{Entry, Event, StrategyId};

/// Where a gateway and its journal part.
pub(super) struct GatewayDifference {
    pub(super) venue: u8,
    pub(super) difference: Box<Difference>,
}

/// One gateway.
struct Run {
    replay: GatewayReplay,
    told: Sent,
}

/// All gateways of an engine start.
#[derive(Default)]
pub(super) struct Gateways {
    /// By venue; none where replay ended.
    runs: Vec<Option<Run>>,
}

impl Gateways {
    /// As they were when an engine started.
    pub(super) fn new(start: &EngineStart) -> Self {
        let instruments = &start.config.instruments;
        let run = |start| Some(Run { replay: GatewayReplay::new(start, instruments), told: Sent::default() });
        Self { runs: start.gateways.iter().map(run).collect() }
    }

    /// The next entry of a gateway.
    pub(super) fn entry(&mut self, venue: u8, entry: &Entry) -> Result<Followed, GatewayDifference> {
        let Some(run) = self.runs.get_mut(usize::from(venue)) else { return Ok(Followed::PassedOver) };
        let Some(Run { replay, told }) = run else { return Ok(Followed::PassedOver) };
        if let Event::Gap { count } = entry.event {
            // The cycle before it lacks something, too: it is not run.
            *run = None;
            return Ok(Followed::Stopped(StrategyId::NONE, StopReason::Gap { count }));
        }
        let mut outcome = Ok(());
        let ran = replay.next(entry, &mut |message| {
            if outcome.is_ok() {
                outcome = told.sent(message);
            }
        });
        // What it wrote down comes first: what it told followed from that.
        ran.and(outcome).map(|()| Followed::Replayed).map_err(|difference| GatewayDifference { venue, difference })
    }

    /// An entry of risk: what it took from a gateway.
    pub(super) fn taken(&mut self, entry: &Entry) -> Result<(), GatewayDifference> {
        let Event::Gateway { venue, .. } = entry.event else { return Ok(()) };
        match self.runs.get_mut(usize::from(venue.0)) {
            Some(Some(run)) => {
                run.told.taken(*entry).map_err(|difference| GatewayDifference { venue: venue.0, difference })
            }
            _ => Ok(()),
        }
    }

    /// There are no more entries of this engine start.
    pub(super) fn finish(&mut self) -> Result<(), GatewayDifference> {
        for (run, venue) in self.runs.iter().zip(0..) {
            // What waits for room may have been told in the cycle that did not run.
            let Some(run) = run.as_ref().filter(|run| !run.replay.gateway().has_backlog()) else { continue };
            run.told.finish(run.replay.ran_ns).map_err(|difference| GatewayDifference { venue, difference })?;
        }
        Ok(())
    }
}
