//! Dense ids, and the client order id that is never used twice.

use std::fmt;

/// Names one instrument of one venue; an index into [`Instruments`](super::Instruments).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct InstrumentId(pub u32);

/// Names one strategy instance. At most [`StrategyId::MAX`], as the client order id has room for no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct StrategyId(pub u16);

/// Names one venue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct VenueId(pub u8);

/// Names one asset (BTC, USDT); an index into the asset list of [`Instruments`](super::Instruments).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct AssetId(pub u16);

impl InstrumentId {
    /// No instrument, in messages that may concern none.
    pub const NONE: Self = Self(u32::MAX);

    /// The id as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl StrategyId {
    /// The largest id that fits a [`ClientOrderId`].
    pub const MAX: Self = Self((1 << ClientOrderId::STRATEGY_BITS) - 2);

    /// No strategy, in messages that may concern none. Also the owner of orders that are not ours to manage.
    pub const NONE: Self = Self(u16::MAX);

    /// The id as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl AssetId {
    /// No asset: a report without a fee, or with one in an asset that no configured instrument uses.
    pub const NONE: Self = Self(u16::MAX);

    /// The id as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for InstrumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instrument {}", self.0)
    }
}

impl fmt::Display for StrategyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "strategy {}", self.0)
    }
}

/// The id under which we send an order: 20 bits of epoch, 12 of strategy, 32 of sequence.
///
/// The epoch is one number an engine start and never used twice, so no id is either. Exhaustion: an epoch past
/// 1,048,575 or a sequence past 4,294,967,295 makes [`ClientOrderId::new`] answer `None`, and the order is denied
/// (`ORDER_ID_EXHAUSTED`) until the engine is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ClientOrderId(pub u64);

impl ClientOrderId {
    /// Bits of the strategy's id.
    pub const STRATEGY_BITS: u32 = 12;
    /// Bits of the sequence within strategy and epoch.
    pub const SEQUENCE_BITS: u32 = 32;
    /// The largest epoch.
    pub const EPOCH_MAX: u32 = (1 << (64 - Self::STRATEGY_BITS - Self::SEQUENCE_BITS)) - 1;
    /// Bytes of the text form.
    pub const TEXT_BYTES: usize = 18;

    /// No order.
    pub const NONE: Self = Self(0);

    /// The id of order `sequence` (from 1) of `strategy` in `epoch` (from 1); `None` where a part does not fit.
    #[must_use]
    pub const fn new(epoch: u32, strategy: StrategyId, sequence: u64) -> Option<Self> {
        if epoch == 0 || epoch > Self::EPOCH_MAX || strategy.0 > StrategyId::MAX.0 {
            return None;
        }
        if sequence == 0 || sequence >> Self::SEQUENCE_BITS != 0 {
            return None;
        }
        let high = ((epoch as u64) << Self::STRATEGY_BITS) | strategy.0 as u64;
        Some(Self((high << Self::SEQUENCE_BITS) | sequence))
    }

    /// The engine start that sent it.
    #[must_use]
    pub const fn epoch(self) -> u32 {
        (self.0 >> (Self::STRATEGY_BITS + Self::SEQUENCE_BITS)) as u32
    }

    /// The strategy that wanted it.
    #[must_use]
    pub const fn strategy(self) -> StrategyId {
        StrategyId(((self.0 >> Self::SEQUENCE_BITS) & ((1 << Self::STRATEGY_BITS) - 1)) as u16)
    }

    /// Its number within strategy and epoch.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are meant")]
    pub const fn sequence(self) -> u32 {
        self.0 as u32
    }

    /// The text that venues see: `gn` and 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn text(self) -> [u8; Self::TEXT_BYTES] {
        let mut text = *b"gn0000000000000000";
        for (nibble, byte) in text.iter_mut().skip(2).enumerate() {
            let shift = 60 - 4 * nibble;
            let digit = u8::try_from((self.0 >> shift) & 15).unwrap_or(0);
            *byte = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        }
        text
    }

    /// Reads [`ClientOrderId::text`] back; `None` for any id that is not of this form (not one of ours).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(b"gn")?;
        if digits.len() != 16 {
            return None;
        }
        let mut value = 0u64;
        for &byte in digits {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            value = (value << 4) | u64::from(digit);
        }
        let id = Self(value);
        (id.epoch() != 0 && id.sequence() != 0).then_some(id)
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gn{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_and_text_come_back(epoch in 1..=ClientOrderId::EPOCH_MAX, strategy in 0..=StrategyId::MAX.0, sequence in 1..=u32::MAX) {
            let id = ClientOrderId::new(epoch, StrategyId(strategy), u64::from(sequence)).expect("in range");
            prop_assert_eq!((id.epoch(), id.strategy(), id.sequence()), (epoch, StrategyId(strategy), sequence));
            let text = id.text();
            prop_assert_eq!(std::str::from_utf8(&text).expect("ascii"), id.to_string());
            prop_assert_eq!(ClientOrderId::parse(&text), Some(id));
        }

        #[test]
        fn foreign_text_is_not_ours(text in "[a-zA-Z0-9_-]{1,36}") {
            prop_assume!(!(text.starts_with("gn") && text.len() == 18));
            prop_assert_eq!(ClientOrderId::parse(text.as_bytes()), None);
        }
    }

    #[test]
    fn exhaustion_is_a_refusal() {
        assert_eq!(ClientOrderId::new(0, StrategyId(0), 1), None);
        assert_eq!(ClientOrderId::new(ClientOrderId::EPOCH_MAX + 1, StrategyId(0), 1), None);
        assert_eq!(ClientOrderId::new(1, StrategyId(StrategyId::MAX.0 + 1), 1), None);
        assert_eq!(ClientOrderId::new(1, StrategyId(0), 0), None);
        assert_eq!(ClientOrderId::new(1, StrategyId(0), 1 << 32), None);
        assert!(ClientOrderId::new(ClientOrderId::EPOCH_MAX, StrategyId::MAX, (1 << 32) - 1).is_some());
    }
}
