//! A fixed-size hash index that neither allocates nor pauses.
//!
//! The standard map leaves tombstones where keys are removed and, after as many insertions as it has room, rehashes in
//! place: a pause of the whole table's size on one unlucky order. This one closes the hole on removal instead.

/// A key that spreads itself over 64 bits.
pub(super) trait Key: Copy + Eq {
    /// Any 64 bits that differ where keys differ, for the most part.
    fn bits(self) -> u64;
}

impl Key for u64 {
    fn bits(self) -> u64 {
        self
    }
}

/// Instrument and execution id.
impl Key for (u32, u64) {
    fn bits(self) -> u64 {
        self.1 ^ u64::from(self.0).rotate_left(48)
    }
}

/// Keys in a row that are kept together, as a power of two.
const ROW_BITS: u32 = 3;
const ROW_MASK: u64 = (1 << ROW_BITS) - 1;

/// Open addressing with linear probing, at most half full.
#[derive(Debug)]
pub(super) struct Index<K> {
    buckets: Vec<Option<(K, u32)>>,
    mask: usize,
    shift: u32,
}

impl<K: Key> Index<K> {
    /// An index with room for `capacity` keys.
    pub(super) fn new(capacity: usize) -> Self {
        let size = capacity.max(1).saturating_mul(2).next_power_of_two();
        Self { buckets: vec![None; size], mask: size - 1, shift: 64 - size.trailing_zeros() }
    }

    /// Where a key would like to be: eight keys in a row are neighbors, as orders and executions are numbered in a row
    /// and a cache line fetched for one then serves the next; which eight stand where is told by the top bits of a
    /// multiplication by 2^64 divided by the golden ratio.
    fn home(&self, key: K) -> usize {
        let bits = key.bits();
        let row = (bits >> ROW_BITS).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        let place = (row & !ROW_MASK) | (bits & ROW_MASK);
        usize::try_from(place).unwrap_or(0) & self.mask
    }

    /// The bucket of a key, or the free one where it would go. The index is at most half full, so there is always one.
    fn probe(&self, key: K) -> usize {
        let mut bucket = self.home(key);
        while let Some(Some((found, _))) = self.buckets.get(bucket) {
            if *found == key {
                break;
            }
            bucket = (bucket + 1) & self.mask;
        }
        bucket
    }

    /// The value of a key.
    #[inline]
    pub(super) fn find(&self, key: K) -> Option<u32> {
        self.buckets.get(self.probe(key)).copied().flatten().map(|(_, value)| value)
    }

    /// Puts a key in or replaces its value. The owner keeps the number of keys within the capacity.
    #[inline]
    pub(super) fn insert(&mut self, key: K, value: u32) {
        let bucket = self.probe(key);
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            *bucket = Some((key, value));
        }
    }

    /// Takes a key out and moves the keys behind it up to where they want to be.
    pub(super) fn remove(&mut self, key: K) {
        let mut hole = self.probe(key);
        let mut bucket = hole;
        self.put(hole, None);
        loop {
            bucket = (bucket + 1) & self.mask;
            let Some(Some(entry)) = self.buckets.get(bucket).copied() else { return };
            // A key may move into the hole if its home is not between the hole and where it stands now.
            let distance = bucket.wrapping_sub(self.home(entry.0)) & self.mask;
            if distance >= bucket.wrapping_sub(hole) & self.mask {
                self.put(hole, Some(entry));
                self.put(bucket, None);
                hole = bucket;
            }
        }
    }

    fn put(&mut self, bucket: usize, entry: Option<(K, u32)>) {
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            *bucket = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn equals_a_map(steps in proptest::collection::vec((0..3u8, 0..40u64), 1..600)) {
            let mut index = Index::new(40);
            let mut map = BTreeMap::new();
            for (step, (action, key)) in (0u32..).zip(steps) {
                if action == 0 {
                    index.remove(key);
                    map.remove(&key);
                } else {
                    index.insert(key, step);
                    map.insert(key, step);
                }
                for key in 0..40 {
                    prop_assert_eq!(index.find(key), map.get(&key).copied());
                }
            }
        }
    }
}
