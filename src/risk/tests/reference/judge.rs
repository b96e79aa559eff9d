//! The controls, as the published list words them, in their order.

use super::world::{BPS, World, base_unit, ceil, is_within, sign, unit};
use super::{Verdict, order::Known};
use crate::risk::{
    AccountLimits, InstrumentLimits, KillScope, Limits, MarketOrders, Permission, RateLimit, Restriction,
    StrategyLimits,
};
use crate::types::*;
use std::collections::BTreeSet;

/// The controls that it judges by.
pub const CONTROLS: &[&str] = &[
    "c01_kill",
    "c02_kill_scope",
    "c03_trading_state",
    "c04_ready",
    "c05_authorisation",
    "c06_restricted",
    "c07_instrument_status",
    "c08_well_formed",
    "c09_unique_id",
    "c10_duplicate",
    "c11_freshness",
    "c12_reference",
    "c13_collar",
    "c14_drift",
    "c15_market_orders",
    "c16_quantity",
    "c17_notional",
    "c18_position",
    "c19_exposure",
    "c20_buying_power",
    "c21_open_orders",
    "c22_turnover",
    "c23_loss",
    "c24_message_rate",
    "c25_venue_budget",
    "c26_repeats",
    "c27_order_to_trade",
    "c28_parent",
    "c29_self_trade",
    "c30_amend",
    "c32_reject_storm",
    "c33_fills",
    "c34_unknown",
    "c35_exec_stream",
    "c37_clock",
    // Of the journal alone, which is never behind here.
    "c38_journal",
    "c39_stalled",
    "c41_identity",
];

/// Judges an intent in a world: first as the limits are, then, as long as overrides cover what denies, without that.
pub fn judge(world: &World<'_>, intent: &OrderIntent) -> Verdict {
    let wire = world.on_wire(intent);
    let mut lifted = Vec::new();
    while let Err(denial) = Case::new(world, intent, &wire, &lifted).judge() {
        if lifted.contains(&denial.reason) || world.find_override(&wire, denial.reason).is_none() {
            return Err(denial);
        }
        lifted.push(denial.reason);
    }
    if !world.has_room_at(&wire) || !world.has_room() {
        let capacity = world.config.order_capacity as i128;
        let (limit, observed) = (capacity, capacity + 1);
        return Err(Denial { reason: DenialReason::OrderTableFull, limit, observed });
    }
    Ok(lifted)
}

/// One order before the controls. Where it names something unknown there is nothing behind it.
struct Case<'a> {
    world: &'a World<'a>,
    order: &'a Order,
    /// How much is wanted in all, of an order that takes another's place.
    wanted: i128,
    stamp: &'a MarketStamp,
    decided: Timestamp,
    permission: Option<&'a Permission>,
    instrument: Option<&'a Instrument>,
    limits: Limits,
    market: InstrumentLimits,
    habits: StrategyLimits,
    account: AccountLimits,
    replaced: Option<&'a Known>,
    quantity: i128,
    /// What it adds to what may fill on its side.
    added: i128,
    /// What is held for the replaced order, where only one of the two can fill.
    excluded: i128,
    /// Booked, open buys, open sells: the strategy's in the instrument, and everybody's.
    own: (i128, i128, i128),
    all: (i128, i128, i128),
}

type Judged = Result<(), Denial>;

impl<'a> Case<'a> {
    fn new(world: &'a World<'a>, intent: &'a OrderIntent, order: &'a Order, lifted: &'a [DenialReason]) -> Self {
        let (strategy, instrument) = (order.strategy, order.instrument);
        let place = world.config.permissions.iter().position(|p| (p.strategy, p.instrument) == (strategy, instrument));
        let known = world.config.instruments.get(instrument);
        let table = world.limits;
        let replaced = world.replaced(order);
        let quantity = i128::from(order.quantity.0);
        let exclusive = replaced.filter(|replaced| replaced.filled == 0);
        let excluded = exclusive.map_or(0, |replaced| world.reserve(replaced));
        let mut case = Self {
            world,
            order,
            wanted: i128::from(intent.order.quantity.0),
            stamp: &intent.stamp,
            decided: intent.decided_ns,
            permission: place.map(|place| &world.config.permissions[place]),
            instrument: known,
            limits: place.map_or(Limits::NONE, |place| table.permissions[place]),
            market: known.map_or(InstrumentLimits::NONE, |_| table.instruments[instrument.index()]),
            habits: table.strategies.get(strategy.index()).copied().unwrap_or(StrategyLimits::NONE),
            account: known.map_or(AccountLimits::NONE, |_| table.accounts[0]),
            replaced,
            quantity,
            added: if exclusive.is_some() { (quantity - excluded).max(0) } else { quantity },
            excluded,
            own: place.map_or((0, 0, 0), |_| world.exposure(|other| other == (strategy, instrument))),
            all: known.map_or((0, 0, 0), |_| world.exposure(|other| other.1 == instrument)),
        };
        lifted.iter().for_each(|reason| case.lift(*reason));
        case
    }

    /// Lifts the limits behind a reason, as far as their fields go. What is not configured is not there to be lifted.
    fn lift(&mut self, reason: DenialReason) {
        let Self { limits, market, habits, account, .. } = self;
        let quantities: &mut [&mut Quantity] = match reason {
            DenialReason::MaxOrderQuantity => &mut [&mut limits.max_order_quantity],
            DenialReason::MaxPosition => &mut [&mut limits.max_position, &mut market.max_position],
            _ => &mut [],
        };
        let amounts: &mut [&mut Money] = match reason {
            DenialReason::MaxOrderNotional => &mut [&mut limits.max_order_notional],
            DenialReason::MaxGross => &mut [&mut account.max_gross],
            DenialReason::MaxNet => &mut [&mut account.max_net],
            DenialReason::AllocationExceeded => &mut [&mut limits.allocation],
            DenialReason::MaxRestingNotional => &mut [&mut market.max_resting_notional],
            DenialReason::MaxTurnover => &mut [&mut habits.max_turnover],
            DenialReason::MaxDailyTurnover => &mut [&mut habits.max_daily_turnover],
            _ => &mut [],
        };
        let counts: &mut [&mut u32] = match reason {
            DenialReason::DuplicateOrder => &mut [&mut habits.max_duplicates],
            DenialReason::PriceCollar => &mut [&mut market.collar_bps],
            DenialReason::PriceTooFar => &mut [&mut market.passive_collar_bps],
            DenialReason::PriceDrift => &mut [&mut market.max_drift_bps],
            DenialReason::MaxDepthShare => &mut [&mut market.max_depth_share_bps],
            DenialReason::MaxVolumeShare => &mut [&mut market.max_volume_share_bps],
            DenialReason::MaxOpenOrders => {
                &mut [&mut habits.max_open_orders, &mut market.max_open_orders, &mut account.max_open_orders]
            }
            DenialReason::OrderToTradeRatio => &mut [&mut habits.max_order_to_trade],
            _ => &mut [],
        };
        quantities.iter_mut().filter(|limit| limit.0 > 0).for_each(|limit| limit.0 = i64::MAX);
        amounts.iter_mut().filter(|limit| limit.0 > 0).for_each(|limit| limit.0 = i128::MAX);
        counts.iter_mut().filter(|limit| ***limit > 0).for_each(|limit| **limit = u32::MAX);
    }

    fn judge(&self) -> Judged {
        self.c01_to_c02_kills()?;
        self.c03_trading_state()?;
        self.c04_ready()?;
        self.c05_authorisation()?;
        self.c06_to_c07_instrument()?;
        self.c08_well_formed()?;
        self.c09_unique_id()?;
        self.c10_duplicate()?;
        self.c11_to_c12_market_data()?;
        self.c13_collar()?;
        self.c14_drift()?;
        self.c15_market_orders()?;
        self.c16_quantity()?;
        self.c17_notional()?;
        self.c18_position()?;
        self.c19_exposure()?;
        self.c20_buying_power()?;
        self.c21_open_orders()?;
        self.c22_turnover()?;
        self.c23_loss()?;
        self.c24_message_rate()?;
        self.c25_venue_budget()?;
        self.c26_repeats()?;
        self.c27_order_to_trade()?;
        self.c28_parent()?;
        self.c29_self_trade()?;
        self.c30_amend()?;
        self.c32_reject_storm()?;
        self.c33_fills()?;
        self.c34_unknown()?;
        self.c35_to_c37_venue()?;
        self.c39_stalled()?;
        self.c41_identity()
    }

    /// Denies if something holds.
    #[expect(clippy::unused_self, reason = "reads as a sentence")]
    fn deny(&self, holds: bool, reason: DenialReason, limit: i128, observed: i128) -> Judged {
        if holds { Err(Denial { reason, limit, observed }) } else { Ok(()) }
    }

    fn configured(&self, control: i128, limits: &[i128]) -> Judged {
        self.deny(limits.contains(&0), DenialReason::LimitNotConfigured, 0, control)
    }

    fn sign(&self) -> i128 {
        sign(self.order.side)
    }

    fn is_buy(&self) -> bool {
        self.order.side == Side::Buy
    }

    /// Everything from C08 on comes after C05, which lets nothing pass that is not known.
    fn instrument(&self) -> &'a Instrument {
        self.instrument.expect("permitted")
    }

    fn unit(&self) -> i128 {
        unit(self.instrument())
    }

    fn limited(&self) -> bool {
        matches!(self.order.order_type, OrderType::Limit | OrderType::StopLimit)
    }

    fn stops(&self) -> bool {
        matches!(self.order.order_type, OrderType::Stop | OrderType::StopLimit)
    }

    fn touch(&self) -> i128 {
        i128::from(if self.is_buy() { self.stamp.ask.0 } else { self.stamp.bid.0 })
    }

    fn twice_mid(&self) -> i128 {
        i128::from(self.stamp.bid.0) + i128::from(self.stamp.ask.0)
    }

    /// From C13 on there is one.
    fn worst(&self) -> i128 {
        self.world.worst_price(self.order, self.stamp).expect("C13 denies without")
    }

    /// At its worst price.
    fn notional(&self) -> i128 {
        self.worst() * self.quantity * self.unit()
    }

    /// How much could still be reduced, if all that is on its way on this side fills.
    fn room(&self, (booked, buys, sells): (i128, i128, i128)) -> i128 {
        if self.is_buy() { (-booked - buys).max(0) } else { (booked - sells).max(0) }
    }

    fn is_reducing(&self) -> bool {
        self.added <= self.room(self.own)
    }

    fn c01_to_c02_kills(&self) -> Judged {
        let (strategy, instrument) = (self.order.strategy, self.order.instrument);
        for (scope, reason, is_there) in [
            (KillScope::Engine, DenialReason::KillSwitchActive, true),
            (KillScope::Strategy(strategy), DenialReason::KilledStrategy, true),
            (KillScope::Instrument(instrument), DenialReason::KilledInstrument, true),
            (KillScope::Venue(VenueId(0)), DenialReason::KilledVenue, self.instrument.is_some()),
            (KillScope::Account(VenueId(0)), DenialReason::KilledAccount, self.instrument.is_some()),
        ] {
            self.deny(is_there && self.world.killed.contains(&scope), reason, 0, self.world.generation)?;
        }
        Ok(())
    }

    fn c03_trading_state(&self) -> Judged {
        let world = self.world;
        self.deny(world.state == TradingState::Halted, DenialReason::Halted, 0, 1)?;
        let place = (self.order.strategy, self.order.instrument);
        let cancels = world.state == TradingState::CancelOnly || world.cancel_only_instruments.contains(&place.1);
        self.deny(cancels, DenialReason::CancelOnly, 0, 1)?;
        let own_only =
            world.state == TradingState::ReduceOnly || self.order.is_reduce_only || world.reduce_only.contains(&place);
        let all_only = world.reduce_only_instruments.contains(&place.1) || world.is_broken && self.instrument.is_some();
        for (is_on, exposure) in [(own_only, self.own), (all_only, self.all)] {
            let room = self.room(exposure);
            self.deny(is_on && self.added > room, DenialReason::ReduceOnlyIncrease, room, self.added)?;
        }
        Ok(())
    }

    fn c04_ready(&self) -> Judged {
        let (ready, session) = (SessionState::Ready, self.world.session);
        let session = match session {
            SessionState::Ready if !self.world.is_reconciled => SessionState::Reconciling,
            session => session,
        };
        let is_away = self.instrument.is_some() && session != ready;
        self.deny(is_away, DenialReason::NotReady, ready as i128, session as i128)
    }

    fn c05_authorisation(&self) -> Judged {
        let order = self.order;
        let is_permitted = self.permission.is_some_and(|may| {
            let rests = matches!(order.time_in_force, TimeInForce::GoodTillCanceled | TimeInForce::Day);
            let is_market = matches!(order.order_type, OrderType::Market | OrderType::Stop);
            (if self.is_buy() { may.may_buy } else { may.may_sell })
                && (if is_market { may.may_market } else { may.may_limit })
                && (!self.stops() || may.may_stop)
                && (order.order_type == OrderType::Market
                    || (if rests { may.may_good_till_canceled } else { may.may_immediate }))
        });
        self.deny(!is_permitted, DenialReason::NotPermitted, 0, 1)
    }

    fn c06_to_c07_instrument(&self) -> Judged {
        let is_restricted = match self.market.restriction {
            Restriction::None => false,
            Restriction::Both => true,
            Restriction::Buys => self.is_buy(),
            Restriction::Sells => !self.is_buy(),
        };
        self.deny(is_restricted, DenialReason::RestrictedSymbol, 0, 1)?;
        let (trading, status) = (InstrumentStatus::Trading, self.instrument().status);
        self.deny(status != trading, DenialReason::InstrumentHalted, trading as i128, status as i128)
    }

    fn c08_well_formed(&self) -> Judged {
        let (order, instrument) = (self.order, self.instrument());
        let id = order.client_order_id;
        let rests = matches!(order.time_in_force, TimeInForce::GoodTillCanceled | TimeInForce::Day);
        let is_market = order.order_type == OrderType::Market;
        let (price, stop_price) = (i128::from(order.price.0), i128::from(order.stop_price.0));
        let is_odd = id.epoch() == 0
            || id.sequence() == 0
            || id.strategy() != order.strategy
            || !self.limited() && price != 0
            || !self.stops() && stop_price != 0
            || order.is_post_only && (!self.limited() || !rests)
            || self.stops() && (order.is_post_only || !rests)
            || is_market && order.time_in_force == TimeInForce::FillOrKill;
        self.deny(is_odd, DenialReason::BadOrder, 0, 1)?;
        self.bad_quantity(instrument)?;
        if self.limited() {
            self.bad_price(instrument, price)?;
        }
        if self.stops() {
            self.bad_price(instrument, stop_price)?;
        }
        let at = if is_market {
            self.touch()
        } else if self.limited() {
            price
        } else {
            stop_price
        };
        if at <= 0 {
            return Ok(());
        }
        let Some(notional) = (at * self.quantity).checked_mul(self.unit()) else {
            return self.deny(true, DenialReason::NotionalOverflow, i128::MAX, self.quantity);
        };
        let (least, most) = (instrument.notional_min.0, instrument.notional_max.0);
        self.deny(notional < least, DenialReason::MinNotional, least, notional)?;
        self.deny(most > 0 && notional > most, DenialReason::NotionalOverflow, most, notional)
    }

    fn bad_quantity(&self, instrument: &Instrument) -> Judged {
        let least = i128::from(instrument.quantity_min.0).max(1);
        self.deny(self.quantity < least, DenialReason::BadQuantity, least, self.quantity)?;
        let is_market = matches!(self.order.order_type, OrderType::Market | OrderType::Stop);
        let stated = [(instrument.quantity_max, true), (instrument.market_quantity_max, is_market)];
        let stated = stated.iter().filter(|(most, is_held)| *is_held && most.0 > 0).map(|(most, _)| i128::from(most.0));
        let most = stated.min().unwrap_or(i128::MAX);
        self.deny(self.quantity > most, DenialReason::BadQuantity, most, self.quantity)?;
        let lot = i128::from(instrument.lot.0);
        self.deny(self.quantity % lot != 0, DenialReason::BadLot, lot, self.quantity)
    }

    fn bad_price(&self, instrument: &Instrument, price: i128) -> Judged {
        let (least, most) = (i128::from(instrument.price_min.0).max(1), i128::from(instrument.price_max.0));
        self.deny(price < least, DenialReason::BadPrice, least, price)?;
        self.deny(most > 0 && price > most, DenialReason::BadPrice, most, price)?;
        let tick = i128::from(instrument.tick.0);
        self.deny(price % tick != 0, DenialReason::BadTick, tick, price)
    }

    fn c09_unique_id(&self) -> Judged {
        let last = self.world.last_id.get(&self.order.strategy).copied().unwrap_or_default();
        let id = self.order.client_order_id;
        self.deny(id <= last, DenialReason::DuplicateClientOrderId, i128::from(last.0), i128::from(id.0))
    }

    fn c10_duplicate(&self) -> Judged {
        let most = i128::from(self.habits.max_duplicates);
        self.configured(10, &[i128::from(self.habits.duplicate_window_ns), most])?;
        let print = |order: &Order| {
            let prices = (order.price, order.stop_price);
            (order.strategy, order.instrument, order.side, order.order_type, prices, order.quantity)
        };
        let is_recent = |at: Timestamp| self.world.now.since(at) <= self.habits.duplicate_window_ns;
        let same =
            self.world.passed.iter().filter(|other| is_recent(other.at) && print(&other.order) == print(self.order));
        let count = same.count() as i128 + 1;
        self.deny(count > most, DenialReason::DuplicateOrder, most, count)
    }

    fn c11_to_c12_market_data(&self) -> Judged {
        let most = i128::from(self.market.max_data_age_ns);
        self.configured(11, &[most])?;
        let age = i128::from(self.world.now.nanos()) - i128::from(self.stamp.data_ns.nanos());
        self.deny(age > most, DenialReason::StaleMarketData, most, age)?;
        self.deny(!self.stamp.is_synced, DenialReason::BookNotSynced, 1, 0)?;
        let (bid, ask) = (i128::from(self.stamp.bid.0), i128::from(self.stamp.ask.0));
        self.deny(bid <= 0 || ask <= bid, DenialReason::NoReferencePrice, bid, ask)
    }

    fn c13_collar(&self) -> Judged {
        let (collar, passive) = (i128::from(self.market.collar_bps), i128::from(self.market.passive_collar_bps));
        self.configured(13, &[collar, passive])?;
        if !self.limited() {
            self.configured(13, &[i128::from(self.market.max_slippage_bps)])?;
        }
        let (bid, ask) = (i128::from(self.stamp.bid.0), i128::from(self.stamp.ask.0));
        let worst = self.world.worst_price(self.order, self.stamp);
        self.deny(worst.is_none(), DenialReason::NoReferencePrice, bid, ask)?;
        let twice_stop = 2 * i128::from(self.order.stop_price.0);
        let away = (twice_stop - self.twice_mid()).abs();
        let is_far = self.stops() && away * BPS > self.twice_mid() * passive;
        self.deny(is_far, DenialReason::PriceTooFar, passive, ceil(away * BPS, self.twice_mid()))?;
        let reference = if self.stops() { twice_stop } else { self.twice_mid() };
        let beyond = (2 * self.worst() - reference) * self.sign();
        let is_over = beyond * BPS > reference * collar;
        self.deny(is_over, DenialReason::PriceCollar, collar, ceil(beyond * BPS, reference))?;
        let is_far = -beyond * BPS > reference * passive;
        self.deny(is_far, DenialReason::PriceTooFar, passive, ceil(-beyond * BPS, reference))
    }

    fn c14_drift(&self) -> Judged {
        let (most, window) = (i128::from(self.market.max_drift_bps), self.market.drift_window_ns);
        self.configured(14, &[most, i128::from(window)])?;
        let counts = self.world.passed.iter().filter(|other| {
            other.order.instrument == self.order.instrument
                && !matches!(other.order.order_type, OrderType::Stop | OrderType::StopLimit)
                && is_within(other.at, self.world.now, window)
        });
        let mids = counts.map(|other| i128::from(other.stamp.bid.0) + i128::from(other.stamp.ask.0));
        let Some(from) = (if self.is_buy() { mids.min() } else { mids.max() }) else { return Ok(()) };
        let walked = (2 * self.worst() - from) * self.sign();
        let is_over = !self.stops() && walked * BPS > from * most;
        self.deny(is_over, DenialReason::PriceDrift, most, ceil(walked * BPS, from))
    }

    fn c15_market_orders(&self) -> Judged {
        let is_denied = !self.limited() && self.market.market_orders == MarketOrders::Deny;
        self.deny(is_denied, DenialReason::MarketOrderNotAllowed, 0, 1)
    }

    fn c16_quantity(&self) -> Judged {
        let most = i128::from(self.limits.max_order_quantity.0);
        self.configured(16, &[most])?;
        self.deny(self.quantity > most, DenialReason::MaxOrderQuantity, most, self.quantity)?;
        let (share, depth) = (i128::from(self.market.max_depth_share_bps), i128::from(self.stamp.near_depth.0));
        self.configured(16, &[share])?;
        let taken = if depth <= 0 { i128::MAX } else { ceil(self.quantity * BPS, depth) };
        self.deny(taken > share, DenialReason::MaxDepthShare, share, taken)?;
        let share = i128::from(self.market.max_volume_share_bps);
        self.configured(16, &[share])?;
        let traded = self.world.day_volumes.get(&self.order.instrument).copied().filter(|traded| *traded > 0);
        let taken = traded.map_or(i128::MAX, |traded| ceil(self.quantity * BPS, traded));
        self.deny(taken > share, DenialReason::MaxVolumeShare, share, taken)
    }

    fn c17_notional(&self) -> Judged {
        let most = self.limits.max_order_notional.0;
        self.configured(17, &[most])?;
        self.deny(self.notional() > most, DenialReason::MaxOrderNotional, most, self.notional())
    }

    fn c18_position(&self) -> Judged {
        for ((booked, buys, sells), most) in
            [(self.own, self.limits.max_position.0), (self.all, self.market.max_position.0)]
        {
            let most = i128::from(most);
            self.configured(18, &[most])?;
            let worst = if self.is_buy() { booked + buys } else { sells - booked } + self.added;
            self.deny(worst > most, DenialReason::MaxPosition, most, worst)?;
        }
        Ok(())
    }

    fn c19_exposure(&self) -> Judged {
        let (world, own, limits) = (self.world, self.instrument(), &self.account);
        self.configured(19, &[limits.max_gross.0, limits.max_net.0, i128::from(limits.max_rate_age_ns)])?;
        // Each market at the upper and the lower end of what it may be; this one with the order and without.
        let ends = |instrument: &Instrument, added: i128| {
            let (booked, buys, sells) = world.exposure(|place| place.1 == instrument.id);
            let (buys, sells) = if self.is_buy() { (buys + added, sells) } else { (buys, sells + added) };
            // Before the first mark, by the market that the first order was decided in.
            let first = if instrument.id == own.id { self.twice_mid() / 2 } else { 0 };
            let price = world.prices.get(&instrument.id).copied().unwrap_or(first) * unit(instrument);
            ((booked + buys) * price, (booked - sells) * price)
        };
        let size = |(long, short): (i128, i128)| long.abs().max(short.abs());
        let instruments = || world.config.instruments.iter();
        let mut assets = Vec::new();
        for instrument in instruments().filter(|instrument| instrument.venue == own.venue) {
            if !assets.contains(&instrument.quote) {
                assets.push(instrument.quote);
            }
        }
        let (mut gross, mut net) = (0, 0);
        for asset in assets {
            let (mut sizes, mut sum) = (0, 0);
            for instrument in instruments().filter(|instrument| instrument.quote == asset) {
                let (long, short) = ends(instrument, if instrument.id == own.id { self.added } else { 0 });
                sizes += size((long, short));
                sum += if self.is_buy() { long } else { -short };
            }
            if sizes > 0 || asset == own.quote {
                let rate = self.rate(asset)?;
                gross += rate.up(sizes);
                net += rate.up(sum);
            }
        }
        let adds = size(ends(own, self.added)) > size(ends(own, 0));
        self.deny(adds && gross > limits.max_gross.0, DenialReason::MaxGross, limits.max_gross.0, gross)?;
        self.deny(net > limits.max_net.0, DenialReason::MaxNet, limits.max_net.0, net)
    }

    fn rate(&self, asset: AssetId) -> Result<super::world::Rate, Denial> {
        let most = self.account.max_rate_age_ns;
        self.world.rate(asset, most).map_err(|stale| Denial {
            reason: DenialReason::StaleFx,
            limit: i128::from(most),
            observed: stale.0,
        })
    }

    fn c20_buying_power(&self) -> Judged {
        let instrument = self.instrument();
        let released = self.replaced.map_or(0, |known| self.world.held_price(known)) * self.excluded * self.unit();
        let (asset, needed, back) = if self.is_buy() {
            (instrument.quote, self.notional(), released)
        } else {
            let unit = base_unit(instrument);
            (instrument.base, self.quantity * unit, self.excluded * unit)
        };
        let free = self.world.free(asset) + back;
        self.deny(needed > free, DenialReason::InsufficientBuyingPower, free, needed)?;
        let most = self.limits.allocation.0;
        self.configured(20, &[most])?;
        let used = self.capital_used(self.notional() - released);
        self.deny(used > most, DenialReason::AllocationExceeded, most, used)
    }

    /// What the position would have cost if all of this side filled, with `notional` more. Closing costs nothing; of what
    /// goes beyond the position the part beyond counts, at the average of all.
    fn capital_used(&self, notional: i128) -> i128 {
        let place = (self.order.strategy, self.order.instrument);
        let (world, side) = (self.world, self.order.side);
        let position = world.positions[&place];
        let open = world.open(|order| (order.strategy, order.instrument) == place);
        let (mut quantity, mut amount) = (self.added, notional);
        for (known, reserve) in open.filter(|(known, _)| known.order.side == side) {
            quantity += reserve;
            amount += reserve * world.held_price(known) * self.unit();
        }
        let against = -position.quantity * self.sign();
        if against <= 0 {
            return (position.cost * self.sign()).max(0) + amount;
        }
        let beyond = quantity - against;
        if beyond <= 0 { 0 } else { ceil(amount * beyond, quantity) }
    }

    /// At its price, or else its stop price: where it rests.
    fn resting(&self, order: &Order, quantity: i128) -> i128 {
        let limited = matches!(order.order_type, OrderType::Limit | OrderType::StopLimit);
        i128::from(if limited { order.price.0 } else { order.stop_price.0 }) * quantity * self.unit()
    }

    fn c21_open_orders(&self) -> Judged {
        let (world, order) = (self.world, self.order);
        let is_new = order.replaces == ClientOrderId::NONE;
        for (most, open) in [
            (self.habits.max_open_orders, world.open(|other| other.strategy == order.strategy).count()),
            (self.market.max_open_orders, world.open(|other| other.instrument == order.instrument).count()),
            (self.account.max_open_orders, world.open(|_| true).count()),
        ] {
            let (most, count) = (i128::from(most), open as i128 + 1);
            self.configured(21, &[most])?;
            self.deny(is_new && count > most, DenialReason::MaxOpenOrders, most, count)?;
        }
        let most = self.market.max_resting_notional.0;
        self.configured(21, &[most])?;
        let here = world.open(|other| other.instrument == order.instrument);
        let rests: i128 = here.map(|(known, reserve)| self.resting(&known.order, reserve)).sum();
        let same = self.replaced.filter(|replaced| replaced.order.instrument == order.instrument);
        let leaves = same.map_or(0, |replaced| self.resting(&replaced.order, self.excluded));
        let worth = rests - leaves + self.resting(order, self.quantity);
        self.deny(worth > most, DenialReason::MaxRestingNotional, most, worth)
    }

    fn c22_turnover(&self) -> Judged {
        let (world, limits, strategy) = (self.world, &self.habits, self.order.strategy);
        let (most, most_daily) = (limits.max_turnover.0, limits.max_daily_turnover.0);
        self.configured(22, &[most, most_daily, i128::from(limits.turnover_window_ns)])?;
        let mut open = 0;
        let mut assets: Vec<AssetId> = Vec::new();
        for permission in world.config.permissions.iter().filter(|permission| permission.strategy == strategy) {
            let quote = world.instrument(permission.instrument).quote;
            if !assets.contains(&quote) {
                assets.push(quote);
            }
        }
        for asset in assets {
            let orders = world.open(|other| other.strategy == strategy);
            let orders = orders.map(|(known, reserve)| (world.instrument(known.order.instrument), known, reserve));
            let orders = orders.filter(|(instrument, ..)| instrument.quote == asset);
            let amount: i128 =
                orders.map(|(instrument, known, reserve)| reserve * world.held_price(known) * unit(instrument)).sum();
            if amount != 0 {
                open += self.rate(asset)?.up(amount);
            }
        }
        let new = self.rate(self.instrument().quote)?.up(self.notional());
        let length = limits.turnover_window_ns;
        let counts =
            world.fills.iter().filter(|fill| fill.strategy == strategy && is_within(fill.at, world.now, length));
        let traded = counts.fold(0i128, |sum, fill| sum.saturating_add(fill.worth));
        let window = traded.saturating_add(open).saturating_add(new);
        self.deny(window > most, DenialReason::MaxTurnover, most, window)?;
        let day = world.results[&strategy].day_turnover.saturating_add(open).saturating_add(new);
        self.deny(day > most_daily, DenialReason::MaxDailyTurnover, most_daily, day)
    }

    fn c23_loss(&self) -> Judged {
        let results = &self.world.results[&self.order.strategy];
        for (reason, most, found, tripped) in [
            (DenialReason::DailyLossLimit, self.habits.max_daily_loss.0, results.loss(), results.loss_tripped),
            (DenialReason::MaxDrawdown, self.habits.max_drawdown.0, results.drawdown(), results.drawdown_tripped),
        ] {
            self.configured(23, &[most])?;
            let is_over = (tripped.is_some() || found > most) && !self.is_reducing();
            self.deny(is_over, reason, most, tripped.map_or(found, |tripped| tripped.max(found)))?;
        }
        Ok(())
    }

    /// When messages of a strategy, or about an instrument, were sent; of all without either.
    fn sent(&self, strategy: Option<StrategyId>, instrument: Option<InstrumentId>) -> Vec<Timestamp> {
        let counts = self.world.messages.iter().filter(|(_, of, about)| {
            strategy.is_none_or(|strategy| strategy == *of) && instrument.is_none_or(|instrument| instrument == *about)
        });
        counts.map(|(at, ..)| *at).collect()
    }

    fn c24_message_rate(&self) -> Judged {
        for (rate, sent) in [
            (self.habits.rate, self.sent(Some(self.order.strategy), None)),
            (self.market.rate, self.sent(None, Some(self.order.instrument))),
            (self.account.rate, self.sent(None, None)),
        ] {
            let (burst, reserve) = (i128::from(rate.burst), i128::from(rate.cancel_reserve));
            self.configured(24, &[burst, i128::from(rate.per_second)])?;
            let left = left(&sent, self.world.now, rate);
            self.deny(left <= reserve, DenialReason::RateLimit, burst - reserve, burst - left + 1)?;
        }
        Ok(())
    }

    fn c25_venue_budget(&self) -> Judged {
        let percent = i128::from(self.account.max_budget_percent);
        self.configured(25, &[percent])?;
        let Some((at, counts)) = self.world.budget else { return Ok(()) };
        for ((used, stated), seconds) in counts.into_iter().zip([60, 10]) {
            let used = if self.world.now.since(at) < seconds * 1_000_000_000 { i128::from(used) } else { 0 };
            let ours = i128::from(stated) * percent;
            self.deny(stated > 0 && used * 100 >= ours, DenialReason::VenueBudget, ours / 100, used)?;
        }
        Ok(())
    }

    fn c26_repeats(&self) -> Judged {
        let most = i128::from(self.habits.max_repeat_executions);
        self.configured(26, &[most])?;
        let place = (self.order.strategy, self.order.instrument);
        let row = self.world.rows.get(&place).map_or(0, |row| i128::from(row[self.order.side.index()]));
        let is_over = row >= most || self.world.repeat_tripped.contains(&place.0);
        self.deny(is_over && !self.is_reducing(), DenialReason::RepeatExecution, most, row + 1)
    }

    fn c27_order_to_trade(&self) -> Judged {
        let (limits, strategy) = (&self.habits, self.order.strategy);
        let most = i128::from(limits.max_order_to_trade);
        self.configured(27, &[i128::from(limits.ratio_window_ns), most, i128::from(limits.alert_order_to_trade)])?;
        let counts = |at: Timestamp| is_within(at, self.world.now, limits.ratio_window_ns);
        let messages = self.sent(Some(strategy), None).into_iter().filter(|at| counts(*at)).count() as i128 + 1;
        let fills = self.world.fills.iter().filter(|fill| fill.strategy == strategy && counts(fill.at)).count();
        let fills = (fills as i128).max(1);
        let is_over = messages > i128::from(limits.free_messages) && messages > most * fills;
        self.deny(is_over, DenialReason::OrderToTradeRatio, most, ceil(messages, fills))
    }

    fn c28_parent(&self) -> Judged {
        let (world, order) = (self.world, self.order);
        if order.parent == 0 {
            return Ok(());
        }
        let reason = DenialReason::ChildExceedsParent;
        let wanted = i128::from(order.parent_quantity.0);
        let newest = world.wholes.keys().filter(|whole| whole.0 == order.strategy).map(|whole| whole.1).max();
        let is_part = |strategy, parent| (strategy, parent) == (order.strategy, order.parent);
        if let Some(whole) = world.wholes.get(&(order.strategy, order.parent)) {
            let is_other = (whole.instrument, whole.side) != (order.instrument, order.side);
            self.deny(is_other, reason, 0, self.quantity)?;
            let is_other = whole.quantity != order.parent_quantity;
            self.deny(is_other, reason, i128::from(whole.quantity.0), wanted)?;
        } else {
            // Its number was passed over, so it may have been forgotten.
            self.deny(newest.is_some_and(|newest| order.parent <= newest), reason, 0, self.quantity)?;
        }
        let filled = world.fills.iter().filter(|fill| is_part(fill.strategy, fill.parent));
        let filled: i128 = filled.map(|fill| fill.quantity).sum();
        let open: i128 = world.open(|other| is_part(other.strategy, other.parent)).map(|(_, reserve)| reserve).sum();
        let sum = filled + open + self.added;
        self.deny(sum > wanted, reason, wanted, sum)
    }

    fn c29_self_trade(&self) -> Judged {
        let rest = self.world.orders.values().filter(|other| {
            other.order.instrument == self.order.instrument && other.order.side != self.order.side && other.may_rest()
        });
        let prices: BTreeSet<i128> = rest.map(|other| i128::from(other.order.price.0)).collect();
        let Some(own) = (if self.is_buy() { prices.first() } else { prices.last() }) else { return Ok(()) };
        let meets = (self.worst() - own) * self.sign() >= 0;
        self.deny(meets && !self.stops(), DenialReason::SelfTrade, *own, self.worst())
    }

    fn c30_amend(&self) -> Judged {
        let (world, order) = (self.world, self.order);
        if order.replaces == ClientOrderId::NONE {
            return Ok(());
        }
        let reason = DenialReason::OrderNotAmendable;
        let works = OrderStatus::Accepted as i128;
        let what = |order: &Order| (order.strategy, order.instrument, order.side, order.parent);
        let Some(replaced) = self.replaced.filter(|replaced| what(&replaced.order) == what(order)) else {
            return self.deny(true, reason, works, -1);
        };
        let is_coming = world
            .orders
            .values()
            .any(|other| other.order.replaces == replaced.order.client_order_id && other.is_open());
        let is_leaving = world.replaced(&replaced.order).is_some_and(Known::is_open);
        let status = if is_coming || is_leaving { OrderStatus::PendingReplace } else { replaced.status };
        let is_settled = matches!(status, OrderStatus::Accepted | OrderStatus::PartiallyFilled);
        self.deny(!is_settled, reason, works, status as i128)?;
        let filled = replaced.filled.max(replaced.venue_filled);
        self.deny(self.wanted <= filled, DenialReason::AmendBelowFilled, filled, self.wanted)
    }

    fn c32_reject_storm(&self) -> Judged {
        for (of, most, window) in [
            (Some(self.order.strategy), self.habits.max_rejects, self.habits.reject_window_ns),
            (None, self.account.max_rejects, self.account.reject_window_ns),
        ] {
            self.configured(32, &[i128::from(most), i128::from(window)])?;
            let tripped = self.world.rejects.get(&of).and_then(|rejects| rejects.tripped);
            self.deny(tripped.is_some(), DenialReason::RejectStorm, i128::from(most), tripped.unwrap_or(0))?;
        }
        Ok(())
    }

    fn c33_fills(&self) -> Judged {
        let (limits, strategy) = (&self.habits, self.order.strategy);
        let (most, far) = (i128::from(limits.max_fills_per_second), i128::from(limits.max_fill_slippage_bps));
        self.configured(33, &[most, far])?;
        let opens = !self.is_reducing();
        let fast = self.world.fill_rate.get(&strategy).and_then(|fills| fills.tripped);
        self.deny(fast.is_some() && opens, DenialReason::FillRate, most, fast.unwrap_or(0))?;
        let off = self.world.slippage.get(&strategy).copied();
        self.deny(off.is_some() && opens, DenialReason::Slippage, far, off.unwrap_or(0))
    }

    fn c34_unknown(&self) -> Judged {
        let (most, oldest) = (i128::from(self.account.max_unknown), i128::from(self.account.max_unknown_age_ns));
        self.configured(34, &[most, oldest])?;
        let since = || self.world.orders.values().filter_map(|known| known.unknown_since);
        let count = since().count() as i128;
        self.deny(count > most, DenialReason::TooManyUnknown, most, count)?;
        let age = since().map(|since| i128::from(self.world.now.since(since))).max().unwrap_or(0);
        self.deny(age > oldest, DenialReason::TooManyUnknown, oldest, age)
    }

    fn c35_to_c37_venue(&self) -> Judged {
        self.deny(!self.world.is_reported, DenialReason::ExecStreamDown, 1, 0)?;
        let most = i128::from(self.account.max_clock_skew_ns);
        self.configured(37, &[most])?;
        let (offset, jump) = (i128::from(self.world.clock.0), i128::from(self.world.clock.1));
        self.deny(jump != 0, DenialReason::ClockSkew, most, jump)?;
        self.deny(offset.abs() > most, DenialReason::ClockSkew, most, offset)
    }

    fn c39_stalled(&self) -> Judged {
        let most = i128::from(self.habits.max_lag_ns);
        self.configured(39, &[most])?;
        let is_silent = self.world.is_silent(self.order.strategy);
        self.deny(is_silent, DenialReason::StrategyStalled, 1_000_000_000, -1)?;
        let lag = i128::from(self.world.now.since(self.decided));
        self.deny(lag > most, DenialReason::StrategyStalled, most, lag)
    }

    fn c41_identity(&self) -> Judged {
        self.world.config.identity.map_or(Ok(()), Err)
    }
}

/// Whole messages left in a bucket after these, from the beginning: `level` in billionths of a message.
fn left(sent: &[Timestamp], now: Timestamp, limit: RateLimit) -> i128 {
    const MESSAGE: i128 = 1_000_000_000;
    let full = i128::from(limit.burst) * MESSAGE;
    let mut level = full;
    let mut last = Timestamp::UNKNOWN;
    for instant in sent {
        level = (level + i128::from(instant.since(last)) * i128::from(limit.per_second)).min(full);
        level = (level - MESSAGE).max(0);
        last = *instant;
    }
    (level + i128::from(now.since(last)) * i128::from(limit.per_second)).min(full) / MESSAGE
}
