//! Faults that happen in time: what others do to sessions, streams and accounts.

use super::core::Core;
use super::faults::Fault;
use super::request::Params;
use super::text::decimal;
use super::trading::index_of;
use crate::matching::{AccountId, UNIT, amount};
use crate::types::{AssetId, Money, Price, Quantity};
use axum::extract::ws::Utf8Bytes;
use std::collections::BTreeMap;

const SECOND_NS: u64 = 1_000_000_000;
/// How client order ids of orders placed by hand begin, as those of Binance's own pages do.
const BY_HAND: &str = "web_";
/// The largest amount of an order placed by hand, in units of the quote asset.
const BY_HAND_AMOUNT_MAX: u64 = 60;
/// A transfer is at most this part of what is free.
const TRANSFER_PART: i64 = 1_000;

impl Core {
    /// Lets everything happen that is due by now.
    pub(super) fn disturb(&mut self, now_ns: u64) {
        while let Some(fault) = self.faults.due(now_ns) {
            let has_happened = match fault {
                Fault::Cut => self.on_a_session(|orders, _| orders.cut_at_ns = now_ns),
                Fault::Stall => {
                    self.on_a_session(|orders, wait| orders.stalled_until_ns = now_ns + wait % (4 * SECOND_NS))
                }
                Fault::StreamTerminated => self.end_a_stream(now_ns),
                Fault::ServerShutdown => self.announce_shutdown(now_ns),
                Fault::ExternalOrder => self.order_by_hand(now_ns),
                Fault::ExternalCancel => self.cancel_by_hand(now_ns),
                Fault::Transfer => self.transfer(now_ns),
                Fault::MarketCut => self.cut_a_market_client(),
                // A ban is of everybody, and counted where it begins; the others are of messages.
                _ => false,
            };
            if has_happened {
                self.faults.happened(fault);
            }
        }
    }

    /// Ends all faults. What was placed by hand and still works is canceled: from here on the books stand still.
    pub(super) fn end_faults(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        self.faults.end();
        let is_by_hand =
            |id: &u64| self.orders.get(index_of(*id)).is_some_and(|order| order.client_order_id.starts_with(BY_HAND));
        let open: Vec<u64> =
            self.accounts.iter().flat_map(|account| account.open.iter().copied()).filter(is_by_hand).collect();
        for id in open {
            self.cancel_one(id, &format!("{BY_HAND}end{id}"), now_ns / 1_000_000);
        }
    }

    fn on_a_session(&mut self, change: impl FnOnce(&mut super::core::SessionOrders, u64)) -> bool {
        let ids: Vec<u64> = self.sessions.keys().copied().collect();
        let Some(id) = self.faults.random().pick(&ids).copied() else { return false };
        let wait = self.faults.random().next();
        if let Some(orders) = self.sessions.get_mut(&id) {
            change(orders, wait);
        }
        true
    }

    fn end_a_stream(&mut self, now_ns: u64) -> bool {
        let count = self.users.len() as u64;
        let index = self.faults.random().below(count);
        let Some(listener) = usize::try_from(index).ok().filter(|index| *index < self.users.len()) else {
            return false;
        };
        let listener = self.users.remove(listener);
        let event = format!(
            "{{\"subscriptionId\":{},\"event\":{{\"e\":\"eventStreamTerminated\",\"E\":{}}}}}",
            listener.subscription_id,
            now_ns / 1_000_000
        );
        listener.queue.try_send(Utf8Bytes::from(event)).is_ok()
    }

    fn announce_shutdown(&mut self, now_ns: u64) -> bool {
        let listeners: Vec<usize> = (0..self.users.len()).collect();
        let Some(listener) = self.faults.random().pick(&listeners).and_then(|index| self.users.get(*index)) else {
            return false;
        };
        let (session, queue) = (listener.session, listener.queue.clone());
        let lead_ns = SECOND_NS + self.faults.random().below(2 * SECOND_NS);
        let Some(orders) = self.sessions.get_mut(&session).filter(|orders| orders.cut_at_ns == 0) else { return false };
        orders.cut_at_ns = now_ns + lead_ns;
        let event = format!("{{\"event\":{{\"e\":\"serverShutdown\",\"E\":{}}}}}", now_ns / 1_000_000);
        queue.try_send(Utf8Bytes::from(event)).is_ok()
    }

    /// The account of the newest order: whoever trades is who is disturbed.
    fn trading_account(&self) -> Option<AccountId> {
        self.orders.iter().rev().find(|order| !order.client_order_id.starts_with(BY_HAND)).map(|order| order.account)
    }

    /// Somebody trades by hand on the same account: at the touch or near it, now and then at market.
    fn order_by_hand(&mut self, now_ns: u64) -> bool {
        let Some(account) = self.trading_account() else { return false };
        let symbols: Vec<usize> = (0..self.symbols.len()).collect();
        let random = self.faults.random();
        let Some(index) = random.pick(&symbols).copied() else { return false };
        let (side, is_market) = (if random.below(2) == 0 { "BUY" } else { "SELL" }, random.below(3) == 0);
        let (away, wanted) = (random.between(-5, 20), random.below(BY_HAND_AMOUNT_MAX - 10) + 10);
        let symbol = &self.symbols[index];
        let (_, bid, ask) = symbol.top;
        let ticks = away * symbol.filters.tick;
        let price = if side == "BUY" { bid.0 - ticks } else { ask.0 + ticks };
        let price = (price - price % symbol.filters.tick).max(symbol.filters.tick);
        let quantity = i128::from(wanted) * i128::from(UNIT) * i128::from(UNIT) / i128::from(price);
        let Ok(quantity) = i64::try_from(quantity) else { return false };
        let quantity = quantity - quantity % symbol.filters.lot;
        if amount(Price(price), Quantity(quantity)).is_none_or(|amount| amount < symbol.filters.notional_min) {
            return false;
        }
        let mut query = format!(
            "symbol={}&side={side}&quantity={}&newClientOrderId={BY_HAND}{}",
            symbol.name,
            decimal(quantity),
            self.orders.len()
        );
        query.push_str(&if is_market {
            "&type=MARKET".to_owned()
        } else {
            format!("&type=LIMIT&timeInForce=GTC&price={}", decimal(price))
        });
        self.place(account, &Params::from_query(&query), now_ns / 1_000_000, false).is_ok()
    }

    fn cancel_by_hand(&mut self, now_ns: u64) -> bool {
        let Some(account) = self.trading_account() else { return false };
        let open: Vec<u64> = self.open_orders(account).map(|order| order.id).collect();
        let Some(id) = self.faults.random().pick(&open).copied() else { return false };
        self.cancel_one(id, &format!("{BY_HAND}c{}", self.executions), now_ns / 1_000_000);
        true
    }

    /// A deposit or a withdrawal of something that the account has.
    fn transfer(&mut self, now_ns: u64) -> bool {
        let Some(account) = self.trading_account() else { return false };
        let held: Vec<(AssetId, i64)> = (0u16..)
            .map(AssetId)
            .take(self.assets.len())
            .map(|asset| (asset, self.ledger.balance(account, asset).free))
            .filter(|(_, free)| *free > TRANSFER_PART)
            .collect();
        let Some((asset, free)) = self.faults.random().pick(&held).copied() else { return false };
        let change = self.faults.random().between(-free / TRANSFER_PART, free / TRANSFER_PART);
        if change == 0 || !self.ledger.deposit(account, asset, change) {
            return false;
        }
        if let Some(sum) = self.transferred.get_mut(asset.index()) {
            *sum += change;
        }
        let (now_ms, name) = (now_ns / 1_000_000, self.asset(asset));
        let event = format!(
            "{{\"e\":\"balanceUpdate\",\"E\":{now_ms},\"a\":\"{name}\",\"d\":\"{}\",\"T\":{now_ms}}}",
            decimal(change)
        );
        self.accounts[usize::from(account.0)].updated_ms = now_ms;
        self.tell(account, &event);
        true
    }

    /// What came or left by transfers so far, by asset.
    pub(super) fn transfers(&self) -> BTreeMap<String, Money> {
        let sums = self.assets.iter().zip(&self.transferred).filter(|(_, sum)| **sum != 0);
        sums.filter_map(|(asset, sum)| Some((asset.clone(), Money::from_scaled(*sum, 8)?))).collect()
    }

    fn cut_a_market_client(&mut self) -> bool {
        let clients = self.hub.clients();
        let Some(client) = self.faults.random().pick(&clients).copied() else { return false };
        self.hub.leave(client);
        true
    }
}
