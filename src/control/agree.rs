//! Our books against the venue's own: orders, positions and balances, to the last unit.

use super::assemble::Facts;
use super::client::{ClientError, Rows, VenueClient};
use super::summary::VenueSummary;
use crate::risk::{OrderRecord, Risk};
use crate::types::{ClientOrderId, ExecutionReport, Instrument, Money, OrderStatus, StrategyId, VenueId, format_fixed};
use std::collections::{HashMap, HashSet};

/// Differences that are listed; further ones are counted.
const LISTED_MAX: usize = 10;

/// Compares what risk holds of a venue with what the venue says itself.
pub async fn compare(client: &VenueClient, venue: VenueId, facts: &Facts, risk: &Risk) -> VenueSummary {
    let mut differences = match find_differences(client, venue, facts, risk).await {
        Ok(differences) => differences,
        // No answer is no agreement.
        Err(error) => vec![format!("the venue's books cannot be read: {error}")],
    };
    let further = differences.len().saturating_sub(LISTED_MAX);
    let agrees = differences.is_empty();
    differences.truncate(LISTED_MAX);
    if further > 0 {
        differences.push(format!("and {further} more"));
    }
    VenueSummary { name: client.name.clone(), agrees, differences }
}

async fn find_differences(
    client: &VenueClient,
    venue: VenueId,
    facts: &Facts,
    risk: &Risk,
) -> Result<Vec<String>, ClientError> {
    let mut differences = Vec::new();
    let instruments = &facts.instruments;
    for instrument in instruments.iter().filter(|instrument| instrument.venue == venue) {
        let first = |list: &[u64]| list.get(instrument.id.index()).copied().unwrap_or(0);
        let orders = client.all(Rows::Orders, instruments, instrument, first(&facts.first_orders)).await?;
        differences.extend(compare_orders(instrument, facts.epoch, &orders, risk));
        let fills = client.all(Rows::Fills, instruments, instrument, first(&facts.first_trades)).await?;
        let theirs: i128 =
            fills.iter().map(|fill| i128::from(fill.last_quantity.0) * i128::from(fill.side.sign())).sum();
        let ours = risk.markets().get(instrument.id.index()).map_or(0, |market| market.exposure.booked());
        if ours != theirs {
            differences.push(format!("position {}: ours {ours}, the venue's {theirs} lots", instrument.symbol));
        }
    }
    let theirs = client.balances().await?;
    for (index, asset) in instruments.assets().iter().enumerate() {
        let Some(id) = u16::try_from(index).ok().map(crate::types::AssetId) else { continue };
        let started = facts.balances.iter().any(|(of, asset, _)| (*of, *asset) == (venue, id));
        let found = theirs.iter().find(|balance| balance.asset.as_bytes() == asset.as_bytes());
        if !started && found.is_none() {
            continue;
        }
        let ours = risk.ledger(venue).map_or(Money::ZERO, |ledger| ledger.balance(id));
        let theirs = found.map_or(Money::ZERO, |balance| balance.free.saturating_add(balance.locked));
        if ours != theirs {
            differences.push(format!("balance {asset}: ours {ours}, the venue's {theirs}"));
        }
    }
    Ok(differences)
}

/// Every order of this run that either side knows must be known to both, in the same state and filled as far.
fn compare_orders(instrument: &Instrument, epoch: u32, theirs: &[ExecutionReport], risk: &Risk) -> Vec<String> {
    let ours: HashMap<_, &OrderRecord> = risk
        .orders()
        .iter()
        // What is not ours is compared by its fills, in positions and balances.
        .filter(|record| record.order.instrument == instrument.id && record.order.strategy != StrategyId::NONE)
        .map(|record| (record.order.client_order_id, record))
        .collect();
    // Where the table was too small for the whole run, the oldest orders are gone from it, and only from it.
    let is_whole = risk.orders().len() < risk.orders().capacity();
    let mut differences = Vec::new();
    let quantity = |value: i64| format_fixed(value, instrument.quantity_precision);
    // Of earlier engine starts we have what was open when they ended, and the newest of the rest.
    let is_due = |id: ClientOrderId| id.epoch() == epoch || ours.contains_key(&id);
    for order in theirs.iter().filter(|order| is_due(order.client_order_id)) {
        let id = order.client_order_id;
        let Some(record) = ours.get(&id) else {
            if is_whole {
                differences.push(format!("order {id} of {}: the venue has it, we do not", instrument.symbol));
            }
            continue;
        };
        if record.status != order.status || record.filled != order.cumulative_quantity {
            differences.push(format!(
                "order {id} of {}: ours {:?} with {} filled, the venue's {:?} with {}",
                instrument.symbol,
                record.status,
                quantity(record.filled.0),
                order.status,
                quantity(order.cumulative_quantity.0)
            ));
        }
    }
    // Orders that the venue refused, or that never reached it, are in our books alone.
    let only_ours = |record: &OrderRecord| {
        matches!(record.status, OrderStatus::Denied)
            || (record.status == OrderStatus::Rejected && !record.is_acknowledged)
    };
    let theirs: HashSet<_> = theirs.iter().map(|order| order.client_order_id).collect();
    for (id, record) in ours.iter().filter(|(id, record)| !only_ours(record) && !theirs.contains(*id)) {
        let (status, symbol) = (record.status, instrument.symbol);
        differences.push(format!("order {id} of {symbol}: ours {status:?}, the venue does not have it"));
    }
    differences
}
