//! C02: the kill switches of a strategy, an instrument, a venue, an account.

use super::{Facts, deny};
use crate::risk::kill::KillScope;
use crate::types::{Denial, DenialReason};

/// From the narrowest scope to the widest; that of the engine is C01. `observed`: the generation of the kill switch.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let order = &facts.intent.order;
    if facts.kills.has(KillScope::Strategy(order.strategy)) {
        return deny(DenialReason::KilledStrategy, 0, facts.kills.generation());
    }
    if facts.kills.has(KillScope::Instrument(order.instrument)) {
        return deny(DenialReason::KilledInstrument, 0, facts.kills.generation());
    }
    // An order in an unknown instrument is at no venue; C05 denies it.
    let Some(venue) = facts.instrument.map(|instrument| instrument.venue) else { return Ok(()) };
    if facts.kills.has(KillScope::Venue(venue)) {
        return deny(DenialReason::KilledVenue, 0, facts.kills.generation());
    }
    if facts.kills.has(KillScope::Account(venue)) {
        return deny(DenialReason::KilledAccount, 0, facts.kills.generation());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::{KillScope, KillSwitch};
    use crate::types::{InstrumentId, StrategyId, VenueId};

    #[test]
    fn each_scope_stops_its_own_orders_and_no_others() {
        for (own, other, reason) in [
            (
                KillScope::Strategy(StrategyId(0)),
                KillScope::Strategy(StrategyId(1)),
                DenialReason::KilledStrategy,
            ),
            (
                KillScope::Instrument(InstrumentId(0)),
                KillScope::Instrument(InstrumentId(1)),
                DenialReason::KilledInstrument,
            ),
            (KillScope::Venue(VenueId(0)), KillScope::Venue(VenueId(1)), DenialReason::KilledVenue),
            (KillScope::Account(VenueId(0)), KillScope::Account(VenueId(1)), DenialReason::KilledAccount),
        ] {
            let case = Case::new();
            let switch = KillSwitch::new();
            let judge = || {
                let kills = switch.read();
                case.with(|facts| super::check(&Facts { kills: &kills, ..*facts }))
            };
            assert_eq!(judge(), Ok(()));
            switch.kill(other);
            assert_eq!(judge(), Ok(()), "{other:?}");
            switch.kill(own);
            assert_eq!(judge(), denied(reason, 0, 2), "{own:?}");
            switch.release(own);
            assert_eq!(judge(), Ok(()));
        }
    }

    #[test]
    fn the_narrowest_scope_is_named_and_an_unknown_instrument_has_no_venue() {
        let case = Case::new();
        let switch = KillSwitch::new();
        switch.kill(KillScope::Account(VenueId(0)));
        switch.kill(KillScope::Venue(VenueId(0)));
        let judge = |instrument: Option<()>| {
            let kills = switch.read();
            case.with(|facts| {
                let instrument = instrument.and(facts.instrument);
                super::check(&Facts { kills: &kills, instrument, ..*facts })
            })
        };
        assert_eq!(judge(Some(())), denied(DenialReason::KilledVenue, 0, 2));
        assert_eq!(judge(None), Ok(()));
        switch.kill(KillScope::Instrument(InstrumentId(0)));
        assert_eq!(judge(Some(())), denied(DenialReason::KilledInstrument, 0, 3));
        switch.kill(KillScope::Strategy(StrategyId(0)));
        assert_eq!(judge(Some(())), denied(DenialReason::KilledStrategy, 0, 4));
    }
}
