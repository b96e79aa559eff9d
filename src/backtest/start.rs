//! What an engine start begins with, as it stands in the journal: enough to build its stages again.

use crate::control::names::Names;
use crate::gateway::GatewayStart;
use crate::risk::{LimitsTable, Override, RiskConfig, RiskFacts};
use crate::strategy::registry::FileHash;
use crate::strategy::saved::{Left, SavedState};
use crate::types::binary::{binary_enum, binary_struct};
use crate::types::{AssetId, Binary, InstrumentId, Money, StrategyId, VenueId};

/// What an engine began with.
#[derive(Clone, Debug)]
pub struct EngineStart {
    /// Risk's configuration.
    pub config: RiskConfig,
    /// What each account began with.
    pub balances: Vec<(VenueId, (AssetId, Money))>,
    /// How many venues there are.
    pub venues: u8,
    /// What each shard runs.
    pub shards: Vec<Vec<InstanceStart>>,
    /// What each venue's gateway began with.
    pub gateways: Vec<GatewayStart>,
    /// What people call them: ids are those of one run.
    pub names: Names,
    /// By instrument id, the venue's first order and the first fill that are of this journal: what was before is not ours to
    /// know.
    pub firsts: Vec<(u64, u64)>,
    /// What an earlier run left behind.
    pub facts: Option<RiskFacts>,
}

/// What an instance of a strategy began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceStart {
    /// Its id.
    pub id: StrategyId,
    /// Which strategy it is of.
    pub kind: String,
    /// The hash of that strategy's file, as it was compiled.
    pub file_hash: FileHash,
    /// Its parameters, as JSON.
    pub params: String,
    /// What it may trade.
    pub instruments: Vec<InstrumentId>,
    /// What it may use, in the quote asset.
    pub capital: Money,
    /// How long its bars last.
    pub bar_interval_ms: Option<u64>,
    /// Whether it is in error from the start.
    pub is_quarantined: bool,
    /// What it took up of an earlier run; none where it began afresh.
    pub resumed: Option<SavedState>,
}

binary_struct! {
    EngineStart { config, balances, venues, shards, gateways, names, firsts, facts }
    InstanceStart {
        id, kind, file_hash, params, instruments, capital, bar_interval_ms, is_quarantined, resumed,
    }
}

impl EngineStart {
    /// The name of a strategy; its number where it has none.
    #[must_use]
    pub fn strategy_name(&self, id: StrategyId) -> String {
        self.names.strategies.get(id.index()).cloned().unwrap_or_else(|| format!("strategy {}", id.0))
    }

    /// How many shards there are.
    #[must_use]
    pub fn shard_count(&self) -> u8 {
        u8::try_from(self.shards.len()).unwrap_or(u8::MAX)
    }
}

/// What is written down beside entries, before the entry that needs it.
#[derive(Clone, Debug)]
pub enum Blob {
    /// An engine start.
    Start(Box<EngineStart>),
    /// Limits that a [`RiskCommand::TakeLimits`](crate::types::RiskCommand::TakeLimits) takes.
    Limits(Box<LimitsTable>),
    /// What a [`RiskCommand::TakeOverride`](crate::types::RiskCommand::TakeOverride) takes.
    Override(Override),
    /// What each instance left behind when the engine stopped in order.
    Left(Vec<(StrategyId, Left)>),
}

binary_enum!(Blob { 0 = Start(start), 1 = Limits(limits), 2 = Override(entry), 3 = Left(left) });

impl<T: Binary> Binary for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        T::take(from).map(Self::new)
    }
}
