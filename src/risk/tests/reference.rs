//! The money of the reference: worked out of the history in one pass, without average costs, caches or differences.

use crate::risk::RiskConfig;
use crate::types::*;
use std::collections::BTreeMap;

/// One unit of price times one of quantity, in the rig's instruments.
const UNIT: i128 = 100_000_000_000;
/// One unit of quantity.
const LOT: i128 = 10_000_000_000_000;
/// The quote asset of both instruments.
pub const USDT: AssetId = AssetId(1);
/// The base assets, by instrument.
const BASES: [usize; 2] = [0, 2];

/// One strategy's.
#[derive(Clone, Copy, Default)]
struct Made {
    profit: i128,
    best: i128,
    day_start: i128,
    loss_tripped: Option<i128>,
    drawdown_tripped: Option<i128>,
}

/// What an order could still do: its strategy, instrument, sign, quantity, and worst price.
pub type Due = (u16, u32, i128, i128, i128);

/// What follows from a history.
#[derive(Default)]
pub struct Finances {
    /// Bid and ask.
    marks: BTreeMap<u32, (i128, i128)>,
    marked_at: Timestamp,
    balances: [i128; 3],
    held: BTreeMap<(u16, u32), i128>,
    /// Of all fills, after fees.
    cash: BTreeMap<(u16, u32), i128>,
    cost: BTreeMap<(u16, u32), i128>,
    traded: Vec<(u16, Timestamp, i128)>,
    made: BTreeMap<u16, Made>,
    day: u64,
}

fn day_of(at: Timestamp) -> u64 {
    at.nanos() / 86_400_000_000_000
}

fn ceil(part: i128, whole: i128) -> i128 {
    -(-part).div_euclid(whole)
}

impl Finances {
    pub fn start(&mut self, asset: AssetId, amount: Money) {
        self.balances[asset.index()] = amount.0;
    }

    /// The day of an instant begins, if it is a new one.
    pub fn begin(&mut self, at: Timestamp) {
        if day_of(at) > self.day {
            self.day = day_of(at);
            for made in self.made.values_mut() {
                (made.day_start, made.loss_tripped) = (made.profit, None);
            }
        }
    }

    pub fn mark(&mut self, instrument: u32, quote: &Quote, config: &RiskConfig) {
        self.marks.insert(instrument, (i128::from(quote.bid.0), i128::from(quote.ask.0)));
        if instrument == 0 {
            self.marked_at = quote.received_ns;
        }
        let held: Vec<u16> =
            self.held.iter().filter(|((_, i), held)| *i == instrument && **held != 0).map(|((s, _), _)| *s).collect();
        held.into_iter().for_each(|strategy| self.evaluate(strategy, config));
    }

    pub fn fill(&mut self, of: (u16, u32), sign: i128, report: &ExecutionReport, at: Timestamp, config: &RiskConfig) {
        let (price, quantity) = (i128::from(report.last_price.0), i128::from(report.last_quantity.0));
        let (notional, fee) = (price * quantity * UNIT, i128::from(report.fee) * 10_000_000_000);
        let held = self.held.entry(of).or_default();
        // What closes takes its share of the cost, rounded towards zero.
        let closing = if *held * sign < 0 { quantity.min(held.abs()) } else { 0 };
        let cost = self.cost.entry(of).or_default();
        if closing > 0 {
            *cost -= if closing == held.abs() { *cost } else { *cost * closing / held.abs() };
        }
        *cost += sign * price * (quantity - closing) * UNIT;
        *held += sign * quantity;
        *self.cash.entry(of).or_default() -= sign * notional + fee;
        self.balances[BASES[of.1 as usize]] += sign * quantity * LOT;
        self.balances[USDT.index()] -= sign * notional + fee;
        self.traded.push((of.0, at, self.up(notional, config)));
        self.evaluate(of.0, config);
    }

    pub fn reset(&mut self, strategy: StrategyId) {
        let made = self.made.entry(strategy.0).or_default();
        (made.best, made.drawdown_tripped) = (made.profit, None);
    }

    /// An amount of the quote asset in the account's currency: that asset itself, or the base asset of instrument 0.
    fn rate(&self, config: &RiskConfig) -> (i128, i128) {
        let (bid, ask) = self.marks[&0];
        if config.currency == Some(USDT) { (1, 1) } else { (100, bid + (ask - bid) / 2) }
    }

    fn up(&self, amount: i128, config: &RiskConfig) -> i128 {
        let (numerator, denominator) = self.rate(config);
        ceil(amount * numerator, denominator)
    }

    fn down(&self, amount: i128, config: &RiskConfig) -> i128 {
        let (numerator, denominator) = self.rate(config);
        (amount * numerator).div_euclid(denominator)
    }

    fn evaluate(&mut self, strategy: u16, config: &RiskConfig) {
        let worth = |(of, cash): (&(u16, u32), &i128)| {
            let held = self.held[of];
            let (bid, ask) = self.marks[&of.1];
            cash + held * if held > 0 { bid } else { ask } * UNIT
        };
        let profit = self.cash.iter().filter(|((s, _), _)| *s == strategy).map(worth).sum();
        let profit = self.down(profit, config);
        let limits = &config.limits.strategies[usize::from(strategy)];
        let made = self.made.entry(strategy).or_default();
        made.profit = profit;
        made.best = made.best.max(profit);
        let (loss, drawdown) = (made.day_start - profit, made.best - profit);
        if loss > limits.max_daily_loss.0 {
            made.loss_tripped.get_or_insert(loss);
        }
        if drawdown > limits.max_drawdown.0 {
            made.drawdown_tripped.get_or_insert(drawdown);
        }
    }

    /// C19 and C20, for an order that is not in `due`, which are all that could still fill.
    pub fn judge(
        &self,
        order: Due,
        all: &BTreeMap<u32, (i128, i128, i128)>,
        due: &[Due],
        now: Timestamp,
        config: &RiskConfig,
    ) -> Option<Denial> {
        let deny = |reason, limit: i128, observed: i128| Some(Denial { reason, limit, observed });
        let (strategy, instrument, sign, quantity, worst) = order;
        let account = &config.limits.accounts[0];
        let age = now.since(self.marked_at);
        if config.currency != Some(USDT) && age > account.max_rate_age_ns {
            return deny(DenialReason::StaleFx, i128::from(account.max_rate_age_ns), i128::from(age));
        }
        let ends = |with_order: bool| {
            let mut sums = (0, 0, 0);
            for (id, (booked, buys, sells)) in all {
                let more = if with_order && *id == instrument { quantity } else { 0 };
                let (bid, ask) = self.marks[id];
                let price = (bid + (ask - bid) / 2) * UNIT;
                let long = (booked + buys + if sign > 0 { more } else { 0 }) * price;
                let short = (booked - sells - if sign < 0 { more } else { 0 }) * price;
                sums = (sums.0 + long.abs().max(short.abs()), sums.1 + long, sums.2 + short);
            }
            sums
        };
        let ((before, ..), (gross, long, short)) = (ends(false), ends(true));
        let in_currency = |amount| self.up(amount, config);
        if gross > before && in_currency(gross) > account.max_gross.0 {
            return deny(DenialReason::MaxGross, account.max_gross.0, in_currency(gross));
        }
        let net = in_currency(if sign > 0 { long } else { -short });
        if net > account.max_net.0 {
            return deny(DenialReason::MaxNet, account.max_net.0, net);
        }
        let base = BASES[instrument as usize];
        let is_same_base = |(_, id, ..): &&Due| BASES[*id as usize] == base;
        let (free, needed) = if sign > 0 {
            let reserved = due.iter().filter(|due| due.2 > 0).map(|due| due.3 * due.4 * UNIT).sum::<i128>();
            (self.balances[USDT.index()] - reserved, quantity * worst * UNIT)
        } else {
            let reserved = due.iter().filter(|due| due.2 < 0).filter(is_same_base).map(|due| due.3 * LOT).sum::<i128>();
            (self.balances[base] - reserved, quantity * LOT)
        };
        if needed > free {
            return deny(DenialReason::InsufficientBuyingPower, free, needed);
        }
        let of = (strategy, instrument);
        let place = config.permissions.iter().position(|p| (p.strategy.0, p.instrument.0) == of)?;
        let allocation = config.limits.permissions[place].allocation.0;
        let same_side = due.iter().filter(|due| (due.0, due.1) == of && due.2 == sign);
        let (open, on_its_way) = same_side.fold((quantity, quantity * worst * UNIT), |(open, worth), due| {
            (open + due.3, worth + due.3 * due.4 * UNIT)
        });
        let against = (-sign * self.held.get(&of).copied().unwrap_or(0)).max(0);
        let cost = self.cost.get(&of).copied().unwrap_or(0);
        let used = if against == 0 {
            (sign * cost).max(0) + on_its_way
        } else if open <= against {
            0
        } else {
            ceil(on_its_way * (open - against), open)
        };
        if used > allocation {
            return deny(DenialReason::AllocationExceeded, allocation, used);
        }
        None
    }

    /// C22 and C23. `room` is what the order could still reduce.
    pub fn judge_results(
        &self,
        order: Due,
        room: i128,
        due: &[Due],
        now: Timestamp,
        config: &RiskConfig,
    ) -> Option<Denial> {
        let deny = |reason, limit: i128, observed: i128| Some(Denial { reason, limit, observed });
        let (strategy, _, _, quantity, worst) = order;
        let limits = &config.limits.strategies[usize::from(strategy)];
        let open = due.iter().filter(|due| due.0 == strategy).map(|due| due.3 * due.4 * UNIT).sum();
        let coming = self.up(open, config) + self.up(quantity * worst * UNIT, config);
        let part = limits.turnover_window_ns / 7 + 1;
        let traded = |is_counted: &dyn Fn(Timestamp) -> bool| {
            let counted = self.traded.iter().filter(|(s, at, _)| *s == strategy && is_counted(*at));
            counted.map(|(.., amount)| amount).sum::<i128>() + coming
        };
        let window = traded(&|at| at.nanos() / part + 8 > now.nanos() / part);
        if window > limits.max_turnover.0 {
            return deny(DenialReason::MaxTurnover, limits.max_turnover.0, window);
        }
        let day = traded(&|at| day_of(at) == day_of(now));
        if day > limits.max_daily_turnover.0 {
            return deny(DenialReason::MaxDailyTurnover, limits.max_daily_turnover.0, day);
        }
        let made = self.made.get(&strategy).copied().unwrap_or_default();
        for (reason, limit, found, tripped) in [
            (DenialReason::DailyLossLimit, limits.max_daily_loss, made.day_start - made.profit, made.loss_tripped),
            (DenialReason::MaxDrawdown, limits.max_drawdown, made.best - made.profit, made.drawdown_tripped),
        ] {
            if tripped.is_some() && quantity > room {
                return deny(reason, limit.0, found.max(tripped.unwrap_or(found)));
            }
        }
        None
    }
}
