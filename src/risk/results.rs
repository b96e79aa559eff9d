//! What each strategy made and traded, in the account's currency, and the latches that hang on it.

use super::core::Core;
use super::facts::RiskFactsError;
use super::limits::StrategyLimits;
use super::order_table::OrderRecord;
use super::sweep::day_of;
use super::window::Window;
use crate::portfolio::{Fill, RateError, Rates, Rounding};
use crate::types::binary::binary_struct;
use crate::types::{
    AssetId, DenialReason, InstrumentId, Money, Notice, NoticeCode, Order, StrategyId, StrategyLatch, Timestamp,
};

/// One strategy's money in the instruments of one quote asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Purse {
    pub(super) asset: AssetId,
    /// Realized and unrealized, after fees.
    pub(super) profit: Money,
    /// What open orders are worth at their worst prices.
    pub(super) open: Money,
}

/// What one strategy made and traded. Everything in the account's currency, at the newest rates.
#[derive(Clone, Debug)]
pub struct Results {
    purses: Vec<Purse>,
    turnover: Window<Money>,
    day_turnover: Money,
    day: u32,
    profit: Money,
    /// The profit when the day began.
    day_start: Money,
    /// The highest profit so far.
    best: Money,
    /// The loss that tripped the day's limit.
    loss_tripped: Option<Money>,
    /// The drawdown that tripped its limit.
    drawdown_tripped: Option<Money>,
}

/// What of [`Results`] must survive, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultsFacts {
    /// Realized and unrealized profit, after fees, by quote asset. What open orders are worth they tell themselves.
    purses: Vec<(AssetId, Money)>,
    turnover: Window<Money>,
    day_turnover: Money,
    day: u32,
    profit: Money,
    day_start: Money,
    best: Money,
    loss_tripped: Option<Money>,
    drawdown_tripped: Option<Money>,
}

binary_struct!(ResultsFacts {
    purses,
    turnover,
    day_turnover,
    day,
    profit,
    day_start,
    best,
    loss_tripped,
    drawdown_tripped,
});

impl ResultsFacts {
    /// The same in other ids of assets.
    ///
    /// # Errors
    /// [`RiskFactsError::AssetGone`] where something was made in an asset that has none.
    pub(super) fn renamed(&self, asset: impl Fn(AssetId) -> Option<AssetId>) -> Result<Self, RiskFactsError> {
        let kept = self.purses.iter().filter(|(id, profit)| *profit != Money::ZERO || asset(*id).is_some());
        let purses = kept.map(|&(id, profit)| Ok((asset(id).ok_or(RiskFactsError::AssetGone(id))?, profit)));
        Ok(Self { purses: purses.collect::<Result<_, _>>()?, ..*self })
    }
}

impl Results {
    /// Nothing made and nothing traded.
    pub const NONE: Self = Self {
        purses: Vec::new(),
        turnover: Window::NONE,
        day_turnover: Money::ZERO,
        day: 0,
        profit: Money::ZERO,
        day_start: Money::ZERO,
        best: Money::ZERO,
        loss_tripped: None,
        drawdown_tripped: None,
    };

    /// Makes room for the money in instruments of this quote asset.
    pub(super) fn trade_in(&mut self, asset: AssetId) {
        if !self.purses.iter().any(|purse| purse.asset == asset) {
            self.purses.push(Purse { asset, ..Purse::default() });
        }
    }

    /// The purse of a quote asset that it trades in.
    pub(super) fn purse_mut(&mut self, asset: AssetId) -> Option<&mut Purse> {
        self.purses.iter_mut().find(|purse| purse.asset == asset)
    }

    /// What an earlier run left behind. Amounts of an earlier day count for nothing once the running day is told; those
    /// of a later one (the clock was set back) stand, and that day goes on until the clock has passed it.
    pub(super) fn restore(&mut self, latch: &StrategyLatch) {
        self.day = latch.day;
        self.day_turnover = latch.day_turnover;
        self.day_start = Money(latch.day_profit.0.saturating_neg());
        self.best = latch.drawdown.max(Money::ZERO);
        self.loss_tripped = latch.is_loss_tripped.then(|| self.loss());
        self.drawdown_tripped = latch.is_drawdown_tripped.then(|| self.drawdown());
    }

    /// What must survive.
    pub(super) fn facts(&self) -> ResultsFacts {
        ResultsFacts {
            purses: self.purses.iter().map(|purse| (purse.asset, purse.profit)).collect(),
            turnover: self.turnover,
            day_turnover: self.day_turnover,
            day: self.day,
            profit: self.profit,
            day_start: self.day_start,
            best: self.best,
            loss_tripped: self.loss_tripped,
            drawdown_tripped: self.drawdown_tripped,
        }
    }

    /// What an earlier run left behind, exactly: in place of what [`Results::restore`] took in, but that what tripped there
    /// stays so.
    pub(super) fn restore_facts(&mut self, facts: &ResultsFacts) {
        for (asset, profit) in &facts.purses {
            self.trade_in(*asset);
            if let Some(purse) = self.purse_mut(*asset) {
                purse.profit = *profit;
            }
        }
        let of_the_day = self.loss_tripped.filter(|_| self.day == facts.day);
        self.loss_tripped = facts.loss_tripped.or(of_the_day);
        self.drawdown_tripped = facts.drawdown_tripped.or(self.drawdown_tripped);
        self.turnover = facts.turnover;
        self.day_turnover = facts.day_turnover;
        self.day = facts.day;
        self.profit = facts.profit;
        self.day_start = facts.day_start;
        self.best = facts.best;
    }

    /// What a restart must not forget.
    pub(super) fn latch(&self, strategy: StrategyId) -> StrategyLatch {
        StrategyLatch {
            day_profit: self.day_profit(),
            drawdown: self.drawdown(),
            day_turnover: self.day_turnover,
            day: self.day,
            strategy,
            is_loss_tripped: self.loss_tripped.is_some(),
            is_drawdown_tripped: self.drawdown_tripped.is_some(),
            ..StrategyLatch::default()
        }
    }

    /// Goes on to this day if it is later than the running one: amounts of the day begin anew, and its latch ends.
    /// Answers whether a latch ended.
    pub(super) fn begin_day(&mut self, day: u32) -> bool {
        if day <= self.day {
            return false;
        }
        self.day = day;
        self.day_turnover = Money::ZERO;
        self.day_start = self.profit;
        self.loss_tripped.take().is_some()
    }

    /// Counts what a fill traded.
    pub(super) fn traded(&mut self, now: Timestamp, window_ns: u64, amount: Money) {
        self.turnover.add(now, window_ns, amount);
        self.day_turnover = self.day_turnover.saturating_add(amount);
    }

    /// Works out the profit at the newest rates. Where an asset in which something was made has none, the last figure
    /// stands: orders are denied for want of a rate meanwhile.
    pub(super) fn count(&mut self, rates: &Rates) {
        let worth = |purse: &Purse| match purse.profit {
            Money::ZERO => Some(Money::ZERO),
            profit => rates.newest(purse.asset)?.apply(profit, Rounding::Down),
        };
        let sum = self.purses.iter().try_fold(Money::ZERO, |sum, purse| sum.checked_add(worth(purse)?));
        if let Some(sum) = sum {
            self.profit = sum;
            self.best = self.best.max(sum);
        }
    }

    /// What open orders of the strategy are worth at their worst prices, at rates of at most this age.
    #[inline(always)]
    pub(super) fn open(&self, rates: &Rates, now: Timestamp, age_ns_max: u64) -> Result<Money, RateError> {
        let mut sum = Money::ZERO;
        for purse in self.purses.iter().filter(|purse| purse.open != Money::ZERO) {
            let worth = rates.value(purse.open, purse.asset, now, age_ns_max, Rounding::Up)?;
            sum = sum.checked_add(worth).ok_or(RateError::Overflow)?;
        }
        Ok(sum)
    }

    /// Profit since the day began.
    #[must_use]
    pub fn day_profit(&self) -> Money {
        self.profit.saturating_sub(self.day_start)
    }

    /// Loss since the day began; zero or less where there is a profit.
    #[must_use]
    pub fn loss(&self) -> Money {
        self.day_start.saturating_sub(self.profit)
    }

    /// How far the profit is below its best.
    #[must_use]
    pub fn drawdown(&self) -> Money {
        self.best.saturating_sub(self.profit)
    }

    /// What was traded within the window, and at most a seventh of it longer.
    #[must_use]
    pub fn window_turnover(&self, now: Timestamp, window_ns: u64) -> Money {
        self.turnover.total(now, window_ns)
    }

    /// What was traded in the day so far.
    #[must_use]
    pub const fn day_turnover(&self) -> Money {
        self.day_turnover
    }

    /// The loss that tripped the day's limit, until the next day.
    #[must_use]
    pub const fn loss_tripped(&self) -> Option<Money> {
        self.loss_tripped
    }

    /// The drawdown that tripped its limit, until a person sets it back.
    #[must_use]
    pub const fn drawdown_tripped(&self) -> Option<Money> {
        self.drawdown_tripped
    }

    /// Whether the strategy may only reduce.
    #[must_use]
    pub const fn is_tripped(&self) -> bool {
        self.loss_tripped.is_some() || self.drawdown_tripped.is_some()
    }

    /// Trips what is past its limit and was not tripped: the reason, the limit and what was found.
    fn trip(&mut self, limits: &StrategyLimits) -> [Option<(DenialReason, Money, Money)>; 2] {
        let (loss, drawdown) = (self.loss(), self.drawdown());
        let trip = |tripped: &mut Option<Money>, reason, limit: Money, found: Money| {
            let is_past = limit > Money::ZERO && found > limit && tripped.is_none();
            is_past.then(|| {
                *tripped = Some(found);
                (reason, limit, found)
            })
        };
        [
            trip(&mut self.loss_tripped, DenialReason::DailyLossLimit, limits.max_daily_loss, loss),
            trip(&mut self.drawdown_tripped, DenialReason::MaxDrawdown, limits.max_drawdown, drawdown),
        ]
    }

    /// A person looked: the drawdown counts from here. The day's loss latch stays until the day is over.
    fn reset_drawdown(&mut self) -> bool {
        self.best = self.profit;
        self.drawdown_tripped.take().is_some()
    }
}

impl Core {
    /// Works out what a strategy made, after a fill or a mark, and trips what went past its limit: from then on only
    /// orders that reduce pass, and what is open and could do more is canceled.
    pub(super) fn judge_results(&mut self, strategy: StrategyId) {
        let limits = *self.limits.strategy(strategy);
        let Some(results) = self.books.results.get_mut(strategy.index()) else { return };
        results.count(&self.books.rates);
        self.digest.fold_wide(results.profit.0);
        let trips = results.trip(&limits);
        self.latch_changed(strategy);
        for (reason, limit, found) in trips.into_iter().flatten() {
            let notice = Notice::new(NoticeCode::BreakerTripped, self.now).strategy(strategy);
            self.notify(Notice { reason, ..notice.values(limit.0, found.0) });
            self.send_latch(strategy);
            self.start_sweep();
        }
    }

    /// A fill of this strategy was booked.
    pub(super) fn judge_fill(&mut self, strategy: StrategyId, instrument: InstrumentId, fill: &Fill) {
        let window_ns = self.limits.strategy(strategy).turnover_window_ns;
        if let Some(market) = self.books.markets.get(instrument.index())
            && let Some(results) = self.books.results.get_mut(strategy.index())
        {
            let instrument = &market.instrument;
            let traded = instrument.notional(fill.price, fill.quantity).zip(self.books.rates.newest(instrument.quote));
            let traded = traded.and_then(|(notional, rate)| rate.apply(notional, Rounding::Up));
            // What has no value counts as more than any limit.
            results.traded(self.now, window_ns, traded.unwrap_or(Money(i128::MAX)));
        }
        self.judge_results(strategy);
        if self.books.results.get(strategy.index()).is_some_and(Results::is_tripped) {
            // It may have turned what reduces into what opens.
            self.start_sweep();
        }
    }

    /// Something moved that is every strategy's: a limit, or a rate.
    pub(super) fn judge_all_results(&mut self) {
        for strategy in (0..).map(StrategyId).take(self.books.results.len()) {
            self.judge_results(strategy);
        }
    }

    /// A mark moved what is held in an instrument.
    pub(super) fn judge_holders(&mut self, instrument: InstrumentId) {
        let mut next = 0;
        while let Some(place) = self.books.holder(instrument, next) {
            next += 1;
            if let Some(holding) = self.books.holding(place)
                && holding.position.quantity().0 != 0
            {
                self.judge_results(holding.permission.strategy);
            }
        }
    }

    /// Whether an order of a strategy past a loss limit could do more than reduce: it adds, or all of its side together
    /// could go past zero and it is not reduce-only itself.
    pub(super) fn opens_past_a_loss(&self, record: &OrderRecord) -> bool {
        let Order { strategy, side, is_reduce_only, .. } = record.order;
        self.books.results.get(strategy.index()).is_some_and(Results::is_tripped)
            && !is_reduce_only
            && self.books.holding(record.holding).is_some_and(|holding| {
                let held = holding.exposure.booked().saturating_mul(-i128::from(side.sign()));
                holding.exposure.open(side) > held
            })
    }

    /// Goes on to the day of `now` where that is a new one.
    pub(super) fn turn_day(&mut self) {
        let Ok(day) = u32::try_from(day_of(self.now)) else { return };
        if day <= self.day {
            return;
        }
        self.tap.touch();
        self.day = day;
        for index in 0..self.books.results.len() {
            let Some(results) = self.books.results.get_mut(index) else { continue };
            let is_reset = results.begin_day(day);
            let Ok(strategy) = u16::try_from(index).map(StrategyId) else { continue };
            self.latch_changed(strategy);
            if is_reset {
                let notice = Notice::new(NoticeCode::BreakerReset, self.now).strategy(strategy);
                self.notify(Notice { reason: DenialReason::DailyLossLimit, ..notice });
            }
        }
    }

    /// A person looked at this strategy: see [`RiskCommand::Reset`](crate::types::RiskCommand::Reset).
    pub(super) fn reset_results(&mut self, strategy: StrategyId) {
        for index in 0..self.books.results.len() {
            let Ok(id) = u16::try_from(index).map(StrategyId) else { continue };
            if strategy != StrategyId::NONE && strategy != id {
                continue;
            }
            if self.books.results.get_mut(index).is_some_and(Results::reset_drawdown) {
                let notice = Notice::new(NoticeCode::BreakerReset, self.now).strategy(id);
                self.notify(Notice { reason: DenialReason::MaxDrawdown, ..notice });
            }
            self.send_latch(id);
        }
    }
}
