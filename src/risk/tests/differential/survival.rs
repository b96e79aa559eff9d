//! What survives a crash: the facts of a history, through bytes and back into a second risk, which knows the same and comes
//! to the same by what the venue then says.

use super::super::rig::Rig;
use super::swarm::{FEW, Swarm};
use super::{Random, differ};
use crate::risk::{OrderFacts, Risk, RiskConfig, RiskFacts};
use crate::types::*;
use std::fmt::Debug;

/// Reports after the restart.
const FURTHER: usize = 30;

/// What was open is in doubt from the crash on.
fn doubted(order: &OrderFacts, at: Timestamp) -> OrderFacts {
    if order.status.is_terminal() {
        return OrderFacts { unknown_since: Timestamp::UNKNOWN, ..*order };
    }
    let unknown_since = if order.unknown_since.is_known() { order.unknown_since } else { at };
    OrderFacts { status: OrderStatus::Unknown, unknown_since, ..*order }
}

/// What positions, accounts and shares come to.
fn books(risk: &Risk) -> impl PartialEq + Debug + use<> {
    let strategies = [StrategyId(0), StrategyId(1), StrategyId::NONE];
    let positions: Vec<_> = risk.holdings().iter().map(|held| (held.position, held.exposure.booked())).collect();
    let facts = |ledger: Option<&crate::portfolio::Ledger>| ledger.map(crate::portfolio::Ledger::facts);
    (positions, facts(risk.ledger(VenueId(0))), strategies.map(|strategy| facts(risk.share(strategy))))
}

/// Everything that is worked out from the facts.
fn derived(risk: &Risk) -> impl PartialEq + Debug + use<> {
    let holdings = risk
        .holdings()
        .iter()
        .map(|held| (held.exposure, held.capital, held.open_orders, held.trading_state, held.unrealized, held.counted));
    let markets =
        risk.markets().iter().map(|market| (market.exposure, market.price, market.worth, market.trading_state));
    let venue = VenueId(0);
    (
        holdings.collect::<Vec<_>>(),
        markets.collect::<Vec<_>>(),
        (risk.ledger(venue).cloned(), risk.worth(venue).to_vec()),
        format!("{:?}", risk.core.resting),
    )
}

fn best(risk: &Risk) -> Vec<Option<Price>> {
    let instruments = risk.markets().iter().map(|market| market.instrument.id);
    let sides = instruments.flat_map(|id| [(id, Side::Buy), (id, Side::Sell)]);
    sides.map(|(id, side)| risk.core.own_book.best(id, side)).collect()
}

/// Whether a risk that begins with what this one knows knows the same, and comes to the same books.
///
/// # Errors
/// The first difference.
pub fn survives(live: &mut Rig, swarm: &Swarm, orders: &[Order], random: &mut Random) -> Result<(), String> {
    let facts = live.risk.facts();
    let bytes = facts.to_bytes();
    let read = RiskFacts::from_bytes(&bytes).ok_or("the bytes are no facts")?;
    differ("bytes", &read, &facts)?;
    differ("a part of the bytes", &RiskFacts::from_bytes(&bytes[..random.below(bytes.len() as u64) as usize]), &None)?;
    let config = RiskConfig { latches: Vec::new(), ..swarm.config.clone() };
    let mut restored = Rig::restored(&config, &read);
    restored.now = live.now;
    let again = restored.risk.facts();
    let expected = RiskFacts {
        at: again.at,
        trading_state: again.trading_state,
        orders: facts.orders.iter().map(|order| doubted(order, facts.at)).collect(),
        ..facts.clone()
    };
    for (order, expected) in again.orders.iter().zip(&expected.orders) {
        differ("order", order, expected)?;
    }
    differ("facts", &again, &expected)?;
    differ("derived", &derived(&restored.risk), &derived(&live.risk))?;
    let is_immediate = |order: &OrderFacts| {
        matches!(order.order.time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill)
    };
    if !facts.orders.iter().any(is_immediate) {
        differ("own book", &best(&restored.risk), &best(&live.risk))?;
    }
    if config.order_capacity == FEW {
        // Which slot is used again first is nobody's business.
        return Ok(());
    }
    for _ in 0..FURTHER {
        let report = swarm.further(orders, random);
        for rig in [&mut *live, &mut restored] {
            rig.report(report);
            rig.notices();
            rig.canceled();
        }
        differ(&format!("after {report:?}"), &books(&restored.risk), &books(&live.risk))?;
    }
    Ok(())
}
