//! A sorted table that can take back what was written to it since the last commit.
//! Must not know: what its rows mean.

use std::collections::BTreeMap;

/// Rows by key, and what stood in the place of each that was written since the last commit.
pub(super) struct Table<K, V> {
    rows: BTreeMap<K, V>,
    before: Vec<(K, Option<V>)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), before: Vec::new() }
    }
}

impl<K: Ord + Copy, V: Clone> Table<K, V> {
    /// Every row, in the order of keys.
    pub(super) const fn rows(&self) -> &BTreeMap<K, V> {
        &self.rows
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// Writes a row, in place of another if there is one.
    pub(super) fn put(&mut self, key: K, value: V) {
        let old = self.rows.insert(key, value);
        self.before.push((key, old));
    }

    /// Takes a row away; nothing if there is none.
    pub(super) fn remove(&mut self, key: &K) {
        let old = self.rows.remove(key);
        self.before.push((*key, old));
    }

    /// Keeps what was written.
    pub(super) fn commit(&mut self) {
        self.before.clear();
    }

    /// Takes back what was written, last first.
    pub(super) fn roll_back(&mut self) {
        while let Some((key, old)) = self.before.pop() {
            match old {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }
}
