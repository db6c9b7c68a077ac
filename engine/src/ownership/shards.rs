//! A set of virtual shards.
//! Must not know: who owns them.

use booking_core::SHARD_COUNT;

const WORDS: usize = SHARD_COUNT as usize / 64;

/// A set of shards, as one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct ShardSet {
    words: [u64; WORDS],
}

impl ShardSet {
    /// Every shard.
    pub const ALL: Self = Self { words: [u64::MAX; WORDS] };

    /// Adds `shard`; numbers from [`SHARD_COUNT`] on are none.
    pub fn insert(&mut self, shard: u16) {
        if let Some(word) = self.words.get_mut(usize::from(shard / 64)) {
            *word |= 1 << (shard % 64);
        }
    }

    /// Whether `shard` is in it.
    pub fn contains(&self, shard: u16) -> bool {
        self.words.get(usize::from(shard / 64)).is_some_and(|word| word & (1 << (shard % 64)) != 0)
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.words.iter_mut().zip(other.words).for_each(|(word, others)| *word |= others);
    }

    /// By number.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..SHARD_COUNT).filter(|shard| self.contains(*shard))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
}

impl FromIterator<u16> for ShardSet {
    fn from_iter<I: IntoIterator<Item = u16>>(shards: I) -> Self {
        let mut set = Self::default();
        shards.into_iter().for_each(|shard| set.insert(shard));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_what_was_put_in_and_nothing_else() {
        let set: ShardSet = [0, 63, 64, 1_023, 5_000].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 1_023]);
        assert_eq!((set.len(), set.is_empty()), (4, false));
        assert_eq!(ShardSet::ALL.len(), usize::from(SHARD_COUNT));
        assert!(ShardSet::default().is_empty());
    }
}
