//! The gateway once more, from what it writes down, beside the one that is live: whatever goes wrong, both must come to the
//! same, by the same way.

use gannet::backtest::GatewayReplay;
use gannet::gateway::{Gateway, GatewayStart};
use gannet::pipeline::tap::Drain;
use gannet::types::{Entry, Event, GatewayMessage, Instruments};
use std::collections::VecDeque;

pub struct Again {
    replay: GatewayReplay,
    of_gateway: Drain,
    of_risk: Drain,
    /// What risk took that the replay has not told yet, and the other way round.
    taken: VecDeque<GatewayMessage>,
    told: VecDeque<GatewayMessage>,
}

impl Again {
    pub fn new(start: &GatewayStart, instruments: &Instruments, of_gateway: Drain, of_risk: Drain) -> Self {
        let replay = GatewayReplay::new(start, instruments);
        Self { replay, of_gateway, of_risk, taken: VecDeque::new(), told: VecDeque::new() }
    }

    /// Goes on with what was written down since.
    pub fn follow(&mut self) -> Result<(), String> {
        let Self { replay, of_gateway, of_risk, taken, told } = self;
        of_risk.drain(|entry| {
            if let Event::Gateway { message, .. } = entry.event {
                taken.push_back(message);
            }
        });
        let mut outcome = Ok(());
        of_gateway.drain(|entry| {
            if outcome.is_ok() {
                outcome = next(replay, entry, told);
            }
        });
        outcome?;
        self.pair()
    }

    /// Nothing follows: it is where the live one is.
    pub fn end(mut self, live: &Gateway) -> Result<(), String> {
        self.follow()?;
        next(&mut self.replay, &Entry { event: Event::Cycle, ..Entry::default() }, &mut self.told)?;
        self.pair()?;
        match (self.taken.front(), self.replay.gateway().digest() == live.digest()) {
            (None, true) => Ok(()),
            (taken, _) => Err(format!("the replayed gateway comes to something else; it never told {taken:?}")),
        }
    }

    fn pair(&mut self) -> Result<(), String> {
        while let (Some(taken), Some(told)) = (self.taken.front(), self.told.front()) {
            if taken != told {
                return Err(format!("the replayed gateway tells {told:?}, and risk took {taken:?}"));
            }
            self.taken.pop_front();
            self.told.pop_front();
        }
        Ok(())
    }
}

fn next(replay: &mut GatewayReplay, entry: &Entry, told: &mut VecDeque<GatewayMessage>) -> Result<(), String> {
    let outcome = replay.next(entry, &mut |entry| {
        if let Event::Gateway { message, .. } = entry.event {
            told.push_back(message);
        }
    });
    outcome.map_err(|difference| format!("the gateway replays otherwise: {difference:?}"))
}
