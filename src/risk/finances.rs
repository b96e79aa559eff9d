//! What the controls of money look at: gathered for one order.

use super::books::{Holding, Market};
use super::capital::Capital;
use super::core::Core;
use super::results::Results;
use super::worth::{QuoteWorth, Worth};
use crate::portfolio::Rates;
use crate::types::{AssetId, Money, Notice, NoticeCode, Order, OrderIntent, OrderType, Price, Side, Symbol, VenueId};

/// The money around one order: the account's, and its strategy's.
#[derive(Clone, Copy, Debug)]
pub struct Finances<'a> {
    /// What other assets are worth in the account's currency.
    pub rates: &'a Rates,
    /// What the account can still spend of the asset that the order pays with.
    pub free: Money,
    /// The strategy's capital in the instrument.
    pub capital: Capital,
    /// What all positions of the account are worth, by quote asset.
    pub account: &'a [QuoteWorth],
    /// What the instrument's position is worth in that.
    pub market: Worth,
    /// What the smallest quantity of it counts as in that.
    pub unit: Money,
    /// What the strategy made and traded.
    pub results: &'a Results,
}

impl Finances<'_> {
    /// No money at all: denies.
    pub const NONE: Self = Self {
        rates: &Rates::NONE,
        free: Money::ZERO,
        capital: Capital::NONE,
        account: &[],
        market: Worth::NONE,
        unit: Money::ZERO,
        results: &Results::NONE,
    };
}

impl Core {
    /// Values an instrument that has no mark yet by the market that its first order was decided in.
    pub(super) fn prepare_finances(&mut self, intent: &OrderIntent) {
        let (order, stamp) = (&intent.order, &intent.stamp);
        if stamp.bid.0 > 0 && stamp.bid < stamp.ask {
            self.books.price_first(order.instrument, Price(stamp.bid.0 + (stamp.ask.0 - stamp.bid.0) / 2));
        }
    }

    /// While an order may take the place of another, what is held for the two is held at the worse of their prices; at
    /// its own again (no other price is given) when it is known that it will not.
    pub(super) fn reprice(&mut self, slot: u32, other: Price) {
        let Some(record) = self.orders.at_mut(slot) else { return };
        let order = record.order;
        let own = match order.order_type {
            OrderType::Limit | OrderType::StopLimit => order.price,
            // Their worst price is of the market then, which is not kept: what was held stays held.
            OrderType::Market | OrderType::Stop => record.worst_price,
        };
        let (before, reserve, place) = (record.worst_price, record.reserve.0, record.holding);
        record.worst_price = own.max(other);
        let after = record.worst_price;
        if before != after {
            self.books.reserve(place, order.side, reserve, 0, before);
            self.books.reserve(place, order.side, 0, reserve, after);
        }
    }

    /// Money came to an account, or left it where negative, other than by trading.
    pub(super) fn on_transfer(&mut self, venue: VenueId, asset: AssetId, amount: Money) {
        let ledger = self.books.ledgers.get_mut(usize::from(venue.0));
        let is_booked = ledger.is_some_and(|ledger| ledger.transfer(asset, amount).is_ok());
        let code = if is_booked { NoticeCode::Transfer } else { NoticeCode::Misconfigured };
        let name = self.books.assets.get(asset.index()).copied();
        let notice = Notice::new(code, self.now).values(0, amount.0);
        self.notify(notice.excerpt(name.as_ref().map_or(b"an asset that is not of this run", Symbol::as_bytes)));
    }

    /// Gathers the money around an order.
    #[inline]
    pub(super) fn finances(&self, order: &Order, holding: Option<&Holding>, market: Option<&Market>) -> Finances<'_> {
        let books = &self.books;
        let (Some(holding), Some(market)) = (holding, market) else { return Finances::NONE };
        let venue = usize::from(market.instrument.venue.0);
        let paid = match order.side {
            Side::Buy => market.instrument.quote,
            Side::Sell => market.instrument.base,
        };
        Finances {
            rates: &books.rates,
            free: books.ledgers.get(venue).map_or(Money::ZERO, |ledger| ledger.free(paid)),
            capital: holding.capital,
            account: books.accounts.get(venue).map_or(&[], Vec::as_slice),
            market: market.worth,
            unit: market.unit,
            results: books.results.get(order.strategy.index()).unwrap_or(Finances::NONE.results),
        }
    }
}
