//! The numbers of stages: under which each one's records stand. The only place that knows them.

use super::record::{JOURNAL_STAGE, STAGES_MAX};

/// The stage under which risk's entries stand.
pub const RISK_STAGE: u16 = 0;
/// The stage under which payloads of the cold plane stand.
pub const COLD_STAGE: u16 = JOURNAL_STAGE - 1;
/// The stage of the first shard; those of the others follow.
const FIRST_SHARD: u16 = 1;
/// How many shards there are numbers for. Behind them come those of gateways.
pub const SHARDS_MAX: u8 = 64;
/// The stage of the first venue's gateway; those of the others follow.
const FIRST_GATEWAY: u16 = FIRST_SHARD + SHARDS_MAX as u16;
/// How many gateways there are numbers for.
pub const GATEWAYS_MAX: u8 = 128;

/// The stage under which a shard's entries stand; the last one's for all that there are no numbers for, which a
/// configuration has not.
#[must_use]
pub const fn shard_stage(shard: u8) -> u16 {
    let last = SHARDS_MAX - 1;
    FIRST_SHARD + (if shard < last { shard } else { last }) as u16
}

/// The stage under which the entries of a venue's gateway stand; the last one's for all that there are no numbers for.
#[must_use]
pub const fn gateway_stage(venue: u8) -> u16 {
    let last = GATEWAYS_MAX - 1;
    FIRST_GATEWAY + (if venue < last { venue } else { last }) as u16
}

/// Whose records stand under a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JournalStage {
    /// Risk.
    Risk,
    /// The shard of this place.
    Shard(u8),
    /// The gateway of the venue of this id.
    Gateway(u8),
    /// The cold plane.
    Control,
    /// The log itself.
    Journal,
    /// Nobody that this program knows.
    Unknown(u16),
}

impl JournalStage {
    /// Whose number this is.
    #[must_use]
    pub fn of(number: u16) -> Self {
        match number {
            RISK_STAGE => Self::Risk,
            COLD_STAGE => Self::Control,
            JOURNAL_STAGE => Self::Journal,
            _ => match u8::try_from(number - FIRST_SHARD) {
                Ok(shard) if shard < SHARDS_MAX => Self::Shard(shard),
                _ => match u8::try_from(number.wrapping_sub(FIRST_GATEWAY)) {
                    Ok(venue) if venue < GATEWAYS_MAX => Self::Gateway(venue),
                    _ => Self::Unknown(number),
                },
            },
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Risk => RISK_STAGE,
            Self::Shard(shard) => shard_stage(shard),
            Self::Gateway(venue) => gateway_stage(venue),
            Self::Control => COLD_STAGE,
            Self::Journal => JOURNAL_STAGE,
            Self::Unknown(number) => number,
        }
    }

    /// The stage of this name or number; `None` where there is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "risk" => Some(Self::Risk),
            "control" => Some(Self::Control),
            "journal" => Some(Self::Journal),
            _ => {
                let place = |text: &str, max: u8| text.parse().ok().filter(|place| *place < max);
                if let Some(shard) = text.strip_prefix("shard-") {
                    place(shard, SHARDS_MAX).map(Self::Shard)
                } else if let Some(venue) = text.strip_prefix("gateway-") {
                    place(venue, GATEWAYS_MAX).map(Self::Gateway)
                } else {
                    text.parse().ok().filter(|number| *number < STAGES_MAX).map(Self::of)
                }
            }
        }
    }
}

/// `risk`, `shard-0`, `gateway-0`, `control`, `journal`; the number of one that is not known.
impl std::fmt::Display for JournalStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Risk => f.pad("risk"),
            Self::Shard(shard) => f.pad(&format!("shard-{shard}")),
            Self::Gateway(venue) => f.pad(&format!("gateway-{venue}")),
            Self::Control => f.pad("control"),
            Self::Journal => f.pad("journal"),
            Self::Unknown(number) => f.pad(&number.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_one_stage_with_one_name() {
        for number in 0..STAGES_MAX {
            let stage = JournalStage::of(number);
            assert_eq!(stage.number(), number);
            assert_eq!(JournalStage::parse(&stage.to_string()), Some(stage));
            assert_eq!(JournalStage::parse(&number.to_string()), Some(stage));
        }
        assert_eq!(JournalStage::of(shard_stage(SHARDS_MAX - 1)), JournalStage::Shard(SHARDS_MAX - 1));
        assert_eq!(JournalStage::of(shard_stage(SHARDS_MAX - 1) + 1), JournalStage::Gateway(0));
        assert_eq!(JournalStage::of(gateway_stage(GATEWAYS_MAX - 1)), JournalStage::Gateway(GATEWAYS_MAX - 1));
        for text in ["rsik", "shard-64", "gateway-128", "shard-", "256", ""] {
            assert_eq!(JournalStage::parse(text), None, "{text}");
        }
    }
}
