//! What kind of history a seed is: which limits are tight, what happens often, how reports misbehave.

use super::super::reference::Event;
use super::super::rig::{RICH, config, instruments};
use super::Random;
use crate::risk::{
    LimitsTable, MarketOrders, Permission, RateLimit, RateSource, Restriction, RiskConfig, SelfTradePolicy,
};
use crate::types::*;
use std::collections::VecDeque;

/// What a seed draws.
pub struct Swarm {
    pub config: RiskConfig,
    /// What the account begins with.
    pub balances: Vec<(AssetId, i128)>,
    pub length: usize,
    /// How often each kind of event comes, and each kind of report, in the order of `events.rs`.
    pub events: Vec<u64>,
    pub reports: Vec<u64>,
    /// One in how many orders is odd.
    pub odd_one_in: u64,
    /// The longest pause between two events.
    pub pause_ns: u64,
    pub has_days: bool,
    /// Whether all orders are the same, but for sides.
    pub is_dull: bool,
    /// How many execution ids there are: where they are few, many a fill comes twice.
    pub executions: u64,
    /// How many of the newest orders are spoken of.
    pub recent: usize,
    /// What is to happen next, before anything is drawn.
    pub next: VecDeque<Event>,
    /// The newest limits.
    pub limits: LimitsTable,
}

/// A hundredth of the quote asset: what ten quantity units are worth at the usual price.
const CENT: i128 = 10_000_000_000_000_000;
const MS: u64 = 1_000_000;
/// Orders in a small table.
pub const FEW: usize = 6;

impl Swarm {
    pub fn new(random: &mut Random) -> Self {
        let mut config = ground(random);
        let policy = random.of(&[MarketOrders::Allow, MarketOrders::Allow, MarketOrders::Protect, MarketOrders::Deny]);
        config.limits.instruments.iter_mut().for_each(|limits| limits.market_orders = policy);
        for _ in 0..random.of(&[1, 2, 3, 6]) {
            tighten(&mut config, random);
        }
        if random.one_in(16) {
            let reason = random.of(&[DenialReason::ModeMismatch, DenialReason::BuildNotApproved]);
            config.identity = Some(Denial { reason, limit: 1, observed: 2 });
        }
        if random.one_in(8) {
            config.latches = latches(random);
        }
        let is_poor = random.one_in(6);
        let assets = (0..config.instruments.assets().len() as u16).map(AssetId);
        let poor = |random: &mut Random| i128::from(random.between(0, 40)) * CENT / 10;
        let balances = assets.map(|asset| (asset, if is_poor { poor(random) } else { RICH.0 })).collect();
        // Half of the kinds of events do not happen at all.
        let mut some = |most: u64| if random.one_in(2) { 0 } else { 1 + random.below(most) };
        let events = [200, 540, 100, 10, 8, 8, 20, 30, 12, 12, 12, 3, 8, 12, 60, 12, 40].map(&mut some);
        let reports = [400, 200, 60, 60, 100, 100, 60, 60, 100, 20].map(&mut some);
        let swarm = Self {
            balances,
            is_dull: random.one_in(6),
            length: random.of(&[40, 80, 80, 150, 150, 300, 600]),
            events: [500].into_iter().chain(events).collect(),
            reports: [300].into_iter().chain(reports).collect(),
            odd_one_in: random.of(&[2, 3, 6, 20]),
            pause_ns: random.of(&[MS / 10, 4 * MS, 4 * MS, 4 * MS, 40 * MS, 400 * MS]),
            has_days: random.one_in(6),
            executions: random.of(&[20, 400, 1_000_000]),
            recent: random.of(&[2, 5, 12]),
            next: VecDeque::new(),
            limits: config.limits.clone(),
            config,
        };
        let mut swarm = if random.one_in(12) { swarm.stubborn() } else { swarm };
        if swarm.config.order_capacity == FEW {
            // Where a round ends several orders at once, which of their slots is used again first is nobody's business.
            (swarm.events[4], swarm.events[16]) = (0, 0);
        }
        swarm
    }

    /// A venue that accepts one order after another, and refuses to cancel.
    fn stubborn(self) -> Self {
        let (mut events, mut reports) = (vec![0; self.events.len()], vec![0; self.reports.len()]);
        (events[0], events[1], events[2]) = (15, 300, 500);
        (reports[2], reports[7]) = (100, 400);
        Self { events, reports, recent: 1, length: 150, odd_one_in: 20, pause_ns: 400 * MS, ..self }
    }

    pub fn pause(&self, random: &mut Random) -> u64 {
        if self.has_days && random.one_in(200) {
            return random.of(&[86_400_000, 3_600_000, 60_000, 10_000]) * MS;
        }
        random.below(self.pause_ns)
    }
}

/// Two strategies, three instruments: one as usual; one with coarse ticks and lots and every bound that venues state; one
/// against another asset, whose rate the first one tells.
fn ground(random: &mut Random) -> RiskConfig {
    let mut all = Instruments::new();
    for asset in instruments().assets() {
        all.intern_asset(*asset).expect("room");
    }
    let usual = *instruments().get(InstrumentId(0)).expect("there");
    let symbol = |name| Symbol::new(name).expect("a symbol");
    let coarse = Instrument {
        symbol: symbol("ETHUSDT"),
        base: AssetId(2),
        tick: Price(5),
        lot: Quantity(2),
        market_quantity_max: Quantity(40),
        price_min: Price(100),
        price_max: Price(1_000_000),
        notional_max: Money(4 * CENT),
        status: if random.one_in(12) { InstrumentStatus::Halted } else { InstrumentStatus::Trading },
        ..usual
    };
    let quantity_max = Quantity::ZERO;
    let other = Instrument { symbol: symbol("ETHBTC"), base: AssetId(2), quote: AssetId(0), quantity_max, ..usual };
    for instrument in [usual, coarse, other] {
        all.add(Instrument { id: InstrumentId::NONE, ..instrument }).expect("sensible");
    }
    let places = [(0, 0), (1, 0), (1, 1), (0, 2)];
    let mut config = config();
    config.limits.permissions = vec![config.limits.permissions[0]; places.len()];
    config.limits.instruments = vec![config.limits.instruments[0]; 3];
    RiskConfig {
        instruments: all,
        permissions: places.map(|(s, i)| Permission::all(StrategyId(s), InstrumentId(i))).to_vec(),
        rate_sources: vec![RateSource { asset: AssetId(0), instrument: InstrumentId(0) }],
        day_volumes: [i64::MAX; 3].map(|most| Quantity(random.of(&[most, most, most, 1_000, 100_000]))).to_vec(),
        order_capacity: if random.one_in(16) { FEW } else { 1_024 },
        ..config
    }
}

fn latches(random: &mut Random) -> Vec<Latch> {
    let mut tenths = || i128::from(random.between(-30, 30)) * CENT / 10;
    let [day_profit, drawdown, day_turnover] = [tenths(), tenths().max(0), tenths().abs()].map(Money);
    let strategy = Latch::Strategy(StrategyLatch {
        day_profit,
        drawdown,
        day_turnover,
        day: random.of(&[0, 0, 3]),
        repeats: [random.below(4) as u32, random.below(4) as u32],
        rejects_tripped: random.of(&[0, 0, 0, 3]),
        fill_rate_tripped: random.of(&[0, 0, 0, 4]),
        slippage_tripped_bps: random.of(&[0, 0, 0, 70]),
        strategy: StrategyId(random.of(&[0, 1])),
        is_loss_tripped: random.one_in(3),
        is_drawdown_tripped: random.one_in(3),
        is_repeat_tripped: random.one_in(3),
    });
    let execution = Latch::Execution { instrument: InstrumentId(0), execution_id: 1 + random.below(10) };
    let storm = Latch::Account { venue: VenueId(0), rejects_tripped: 5 };
    if random.one_in(8) { vec![strategy, execution, storm] } else { vec![strategy, execution] }
}

/// Makes something tight from the start. What is counted over time stays as it begins: what was counted under another
/// length of a window, or under another rate, is no longer told apart.
fn tighten(config: &mut RiskConfig, random: &mut Random) {
    let limits = &mut config.limits;
    match random.below(16) {
        0 => limits.strategies[0].rate = RateLimit { per_second: 20, burst: 8, cancel_reserve: 2 },
        1 => limits.accounts[0].rate = RateLimit { per_second: 40, burst: 10, cancel_reserve: 3 },
        2 => limits.instruments[0].rate = RateLimit { per_second: 25, burst: 6, cancel_reserve: 1 },
        3 => {
            for instrument in &mut limits.instruments {
                (instrument.max_drift_bps, instrument.drift_window_ns) = (40, 40 * MS);
            }
        }
        4 => {
            for strategy in &mut limits.strategies {
                strategy.ratio_window_ns = 400 * MS;
                (strategy.free_messages, strategy.max_order_to_trade) = (4, 3);
            }
        }
        5 => {
            for strategy in &mut limits.strategies {
                strategy.turnover_window_ns = 200 * MS;
                strategy.max_turnover = Money(i128::from(random.between(2, 20)) * CENT);
            }
        }
        6 => {
            let permission = &mut config.permissions[random.below(4) as usize];
            match random.below(7) {
                0 => permission.may_buy = false,
                1 => permission.may_sell = false,
                2 => permission.may_limit = false,
                3 => permission.may_market = false,
                4 => permission.may_stop = false,
                5 => permission.may_good_till_canceled = false,
                _ => permission.may_immediate = false,
            }
        }
        7 => {
            let (strategy, market) = (&mut limits.strategies[0], &mut limits.instruments[0]);
            match random.below(5) {
                0 => strategy.turnover_window_ns = 0,
                1 => strategy.ratio_window_ns = 0,
                2 => strategy.rate.per_second = 0,
                3 => market.drift_window_ns = 0,
                _ => market.rate.burst = 0,
            }
        }
        8 => {
            let (strategy, account) = (&mut limits.strategies[0], &mut limits.accounts[0]);
            (strategy.reject_window_ns, account.reject_window_ns) = (100 * MS, 100 * MS);
            strategy.max_rejects = random.below(6) as u32;
            account.max_rejects = random.below(8) as u32;
        }
        _ => change(limits, random),
    }
}

/// Changes a limit: to a tight one for the most part, sometimes to none.
pub fn change(limits: &mut LimitsTable, random: &mut Random) {
    let habits = &mut limits.strategies[random.below(2) as usize];
    let market = &mut limits.instruments[random.below(3) as usize];
    let place = &mut limits.permissions[random.below(4) as usize];
    let account = &mut limits.accounts[0];
    let is_none = random.one_in(10);
    let what = random.below(32);
    let some = |random: &mut Random, most: u64| if is_none { 0 } else { 1 + random.below(most) as u32 };
    let wide = |random: &mut Random, most| if is_none { Quantity::ZERO } else { Quantity(random.between(1, most)) };
    let half = |random: &mut Random, most| {
        if is_none { Money::ZERO } else { Money(i128::from(random.between(1, most)) * CENT / 2) }
    };
    match what {
        0 => (habits.max_duplicates, habits.duplicate_window_ns) = (some(random, 2), 60 * MS),
        1 => habits.max_open_orders = some(random, 4),
        2 => habits.max_daily_turnover = half(random, 40),
        3 => habits.max_daily_loss = half(random, 6),
        4 => habits.max_drawdown = half(random, 6),
        5 => habits.max_repeat_executions = some(random, 4),
        6 => {
            use Restriction::{Both, Buys, None, Sells};
            market.restriction = random.of(&[Buys, Sells, Both, None]);
        }
        7 => market.market_orders = random.of(&[MarketOrders::Deny, MarketOrders::Protect, MarketOrders::Allow]),
        8 => market.max_open_orders = some(random, 5),
        9 => market.max_resting_notional = half(random, 20),
        10 => market.max_position = wide(random, 60),
        11 => market.max_data_age_ns = if is_none { 0 } else { 1_000_000 },
        12 => market.collar_bps = random.of(&[50, 100, 100, 2_000]),
        13 => market.passive_collar_bps = random.of(&[50, 500, 2_000]),
        14 => market.max_slippage_bps = random.of(&[0, 10, 50, 200, 200, 10_000]),
        15 if random.one_in(2) => market.max_volume_share_bps = random.of(&[0, 1, 100, 1_000, 10_000]),
        15 => market.max_depth_share_bps = random.of(&[0, 100, 1_000, 5_000]),
        16 => place.max_order_quantity = wide(random, 30),
        17 => place.max_order_notional = half(random, 4),
        18 => place.max_position = wide(random, 60),
        19 => place.allocation = half(random, 10),
        20 => account.max_gross = half(random, 20),
        21 => account.max_net = half(random, 10),
        22 => account.max_rate_age_ns = random.of(&[0, 50 * MS, 500 * MS]),
        23 => account.max_open_orders = some(random, 5),
        24 => account.max_budget_percent = random.of(&[0, 50, 80]),
        25 => habits.max_fills_per_second = some(random, 5),
        26 => habits.max_fill_slippage_bps = random.of(&[0, 50, 500, 900]),
        27 => habits.max_lag_ns = if is_none { 0 } else { MS },
        28 => account.max_unknown = some(random, 3),
        29 => account.max_unknown_age_ns = random.of(&[0, MS, 50 * MS]),
        30 => account.max_clock_skew_ns = if is_none { 0 } else { MS },
        _ => account.self_trade = random.of(&[SelfTradePolicy::DenyNew, SelfTradePolicy::CancelOld]),
    }
}
