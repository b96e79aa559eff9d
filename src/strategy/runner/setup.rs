//! Setting up: the books and bars that instances need, and the instances.

use super::{Core, Instance, Shard, Slot};
use crate::book::BarSeries;
use crate::strategy::FieldError;
use crate::strategy::desk::{Desk, Holding, InstanceState};
use crate::strategy::market::Subscriber;
use crate::types::{Instruments, Notice, NoticeCode, StrategyId, Timestamp};

impl Core {
    /// Makes the series of bars of each instrument, shortest interval first.
    pub(super) fn add_series(
        &mut self,
        instances: &[Instance],
        instruments: &Instruments,
        errors: &mut Vec<FieldError>,
    ) {
        for instance in instances {
            for &id in &instance.instruments {
                let Some(index) = instruments.get(id).and_then(|instrument| self.markets.intern(instrument)) else {
                    errors.push(FieldError::new(instance.name.as_str(), "an instrument of it is unknown"));
                    continue;
                };
                let Some(market) = self.markets.list.get_mut(index) else { continue };
                if let Some(interval) = instance.bar_interval_ms
                    && !market.series.iter().any(|series| series.interval_ms() == interval)
                {
                    market.series.push(BarSeries::new(interval));
                }
                market.series.sort_unstable_by_key(BarSeries::interval_ms);
            }
        }
        for market in &self.markets.list {
            let shortest = market.series.first().map_or(1, BarSeries::interval_ms);
            if market.series.iter().any(|series| series.interval_ms() % shortest != 0) {
                let message = "the intervals of bars of one instrument must be multiples of the shortest";
                errors.push(FieldError::new(market.instrument.symbol.as_str(), message));
            }
        }
    }

    pub(super) fn add(&mut self, instance: Instance, epoch: u32, errors: &mut Vec<FieldError>) {
        let mut refuse = |message: &str| errors.push(FieldError::new(instance.name.as_str(), message));
        if instance.id > StrategyId::MAX {
            return refuse("its id is too large");
        }
        if instance.instruments.is_empty() || instance.instruments.len() > Shard::INSTRUMENTS_MAX {
            return refuse("an instance trades 1 to 64 instruments");
        }
        let index = self.slots.len();
        if self.slot_of.len() <= instance.id.index() {
            self.slot_of.resize(instance.id.index() + 1, None);
        }
        match self.slot_of.get_mut(instance.id.index()) {
            Some(entry) if entry.is_none() => *entry = u16::try_from(index).ok(),
            _ => return refuse("its id is another's already"),
        }
        let mut holdings: Vec<Holding> = Vec::with_capacity(instance.instruments.len());
        for &instrument in &instance.instruments {
            let Some(found) = self.markets.find(instrument) else { continue };
            let Some(market) = self.markets.list.get_mut(found) else { continue };
            if holdings.iter().any(|holding| holding.instrument == instrument) {
                return refuse("an instrument of it is named twice");
            }
            let wanted = instance.bar_interval_ms;
            let series = market.series.iter().position(|series| Some(series.interval_ms()) == wanted);
            market.subscribers.push(Subscriber { instance: index, series });
            holdings.push(Holding { instrument, market: found, series, position: Default::default() });
        }
        let mut desk = Desk::new(instance.id, instance.name, instance.capital, epoch, holdings);
        if instance.is_quarantined {
            desk.state = InstanceState::Error;
            self.notices.send(Notice::new(NoticeCode::StrategyQuarantined, Timestamp::UNKNOWN).strategy(instance.id));
        }
        self.slots.push(Slot { strategy: instance.strategy, desk });
    }
}
