//! What a gateway finds at its edge, as it stands in the journal: frames, connections that are lost, what was refused, and
//! what a ledger said that others write to as well.

use super::time::Timestamp;

/// The bytes of a frame that one entry holds.
pub const FRAME_PART_BYTES: usize = 160;

/// A part of a frame: up to [`FRAME_PART_BYTES`] of its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FramePart {
    length: u8,
    /// Zeros behind the length.
    bytes: [u8; FRAME_PART_BYTES],
}

const _: () = assert!(FRAME_PART_BYTES <= u8::MAX as usize && FRAME_PART_BYTES.is_multiple_of(8));

impl Default for FramePart {
    fn default() -> Self {
        Self { length: 0, bytes: [0; FRAME_PART_BYTES] }
    }
}

impl FramePart {
    /// Puts bytes behind those that are there; what does not fit any more is left out.
    pub fn push(&mut self, bytes: &[u8]) {
        let rest = self.bytes.iter_mut().skip(usize::from(self.length));
        for (place, byte) in rest.zip(bytes) {
            *place = *byte;
            self.length += 1;
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Whether no further byte fits.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.length as usize == FRAME_PART_BYTES
    }
}

/// As text: venues write that.
impl std::fmt::Debug for FramePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

/// Why a connection was lost, as far as it was not given up by the gateway itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disconnect {
    /// The stream ended or failed.
    #[default]
    Stream,
    /// The venue broke the protocol.
    Protocol,
    /// The venue closed it, with this code.
    Closed(u16),
    /// Nothing came for this many ns, or the venue did not answer in that time.
    Silent(u64),
    /// The venue read nothing of ours for so long that the buffer is full.
    WriteBlocked,
}

/// Who refuses what a gateway wants to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refuser {
    /// The venue's limits: what would be asked is not sent yet.
    #[default]
    Budget,
    /// The write buffer: a request finds no room in it, or cannot be written down.
    Buffer,
    /// The stream: what waits cannot be written, as it is over.
    Stream,
    /// What was sent before: some of it still waits to be written.
    Unsent,
}

/// What the ledger of a venue's limits said, to which others write as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetReading {
    /// The request weight that the venue allows in a minute.
    WeightLimit(u32),
    /// Until when no cancel may be sent.
    QuietUntil(Timestamp),
    /// What is used and allowed, of which risk is told.
    Used {
        /// Request weight used in the running minute.
        used_weight: u32,
        /// Request weight allowed in a minute.
        weight_limit: u32,
        /// Orders counted in the running ten seconds.
        used_orders: u32,
        /// Orders allowed in ten seconds.
        order_limit: u32,
    },
}

impl Default for BudgetReading {
    fn default() -> Self {
        Self::WeightLimit(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_takes_as_much_as_fits_and_reads_as_text() {
        let mut part = FramePart::default();
        part.push(b"{\"e\"");
        assert_eq!((part.as_bytes(), part.is_full()), (&b"{\"e\""[..], false));
        assert_eq!(format!("{part:?}"), "\"{\\\"e\\\"\"");
        part.push(&[b'x'; 1_000]);
        assert!(part.is_full());
        assert_eq!(part.as_bytes().len(), FRAME_PART_BYTES);
        assert!(part.as_bytes().ends_with(b"xx"));
    }
}
