//! How ids find their place in a hash table: a small fixed hasher over the sixteen bytes of a UUID.
//! Must not know: what the ids name. Not for keys that an outsider can choose freely in bulk.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A hash map keyed by ids. Nothing may depend on its order of iteration.
pub(crate) type IdMap<Id, Value> = HashMap<Id, Value, BuildHasherDefault<IdHasher>>;

/// Two odd constants without structure (the first decimals of pi and e in binary).
const LOW_KEY: u64 = 0x243f_6a88_85a3_08d3;
const HIGH_KEY: u64 = 0xb7e1_5162_8aed_2a6b;

/// A folded 64 × 64 → 128 bit multiplication for sixteen bytes: every input bit reaches both ends of the hash, so
/// that the ten low bits which all ids of a day share do no harm.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct IdHasher {
    state: u64,
}

fn folded_product(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<16>();
        for block in blocks {
            let word = u128::from_le_bytes(*block);
            self.state = folded_product((word as u64) ^ self.state ^ LOW_KEY, ((word >> 64) as u64) ^ HIGH_KEY);
        }
        for byte in rest {
            self.state = folded_product(self.state ^ u64::from(*byte) ^ LOW_KEY, HIGH_KEY);
        }
    }

    /// The length that a byte array writes before itself: the same for every id.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{Hash, Hasher};

    use super::IdHasher;
    use crate::id::PatientId;

    #[test]
    fn ids_that_differ_in_few_bits_spread_over_both_ends_of_the_hash() {
        let hash = |number: u128| {
            let mut hasher = IdHasher::default();
            PatientId::from_bytes(number.to_be_bytes()).hash(&mut hasher);
            hasher.finish()
        };
        for shift in [0_u32, 10, 40, 64, 100] {
            let low: HashSet<u64> = (0..4096_u128).map(|count| hash(count << shift) & 0xffff).collect();
            let high: HashSet<u64> = (0..4096_u128).map(|count| hash(count << shift) >> 48).collect();
            assert!(low.len() > 3700 && high.len() > 3700, "shift {shift}: {} {}", low.len(), high.len());
        }
    }
}
