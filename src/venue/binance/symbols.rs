//! The subscribed symbols, found by what stands in a frame.

use super::market::MarketSymbol;
use crate::types::Symbol;

/// The subscribed symbols, compared as three words each. Linear: a connection has few, and the last one found is
/// looked at first, as events of an instrument come in runs.
#[derive(Debug)]
pub(super) struct SymbolTable {
    entries: Vec<Entry>,
    last: usize,
}

/// A symbol and the quote mark behind it, as they stand in a frame.
#[derive(Clone, Copy, Debug)]
struct Entry {
    words: [u64; 3],
    masks: [u64; 3],
    bytes: usize,
    symbol: MarketSymbol,
}

impl SymbolTable {
    pub(super) fn new(symbols: &[MarketSymbol]) -> Self {
        let entry = |symbol: &MarketSymbol| {
            let (mut text, mut mask) = ([0u8; 24], [0u8; 24]);
            let quoted = symbol.symbol.as_bytes().iter().chain(b"\"");
            for ((text, mask), byte) in text.iter_mut().zip(&mut mask).zip(quoted) {
                (*text, *mask) = (*byte, 0xFF);
            }
            Entry {
                words: words(&text),
                masks: words(&mask),
                bytes: symbol.symbol.as_bytes().len() + 1,
                symbol: *symbol,
            }
        };
        Self { entries: symbols.iter().map(entry).collect(), last: 0 }
    }

    /// The symbol of exactly this name.
    pub(super) fn find(&self, name: &[u8]) -> Option<MarketSymbol> {
        self.entries.iter().map(|entry| entry.symbol).find(|entry| entry.symbol.as_bytes() == name)
    }

    /// The symbol that `bytes` begin with, closing quote mark included, and the bytes of both.
    #[inline]
    pub(super) fn starting(&mut self, bytes: &[u8]) -> Option<(MarketSymbol, usize)> {
        // Behind a symbol there is always more of the frame: where there is not, the general decoder will see.
        let found = words(bytes.first_chunk::<24>()?);
        if let Some(entry) = self.entries.get(self.last)
            && entry.matches(&found)
        {
            return Some((entry.symbol, entry.bytes));
        }
        let index = self.entries.iter().position(|entry| entry.matches(&found))?;
        self.last = index;
        self.entries.get(index).map(|entry| (entry.symbol, entry.bytes))
    }
}

impl Entry {
    #[inline]
    fn matches(&self, found: &[u64; 3]) -> bool {
        let ([a, b, c], [d, e, f], [x, y, z]) = (self.words, self.masks, *found);
        ((x & d) ^ a) | ((y & e) ^ b) | ((z & f) ^ c) == 0
    }
}

const _: () = assert!(Symbol::BYTES_MAX < 24);

#[inline]
fn words(bytes: &[u8; 24]) -> [u64; 3] {
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}
