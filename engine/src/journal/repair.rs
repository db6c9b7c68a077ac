//! Which history of a day counts after a store has forgotten its end, and what must be put back.
//! Must not know: where the histories come from, how records are written.
//!
//! A failover leaves a store with a shorter log than was acknowledged, or with another one. The ledger's raw records and the memory of the
//! owner have parts of the longest history. The links decide what belongs together: from where the log certainly stands, each next
//! record is one that covers the one before. Where two do, the ledger's wins, else the one of the higher epoch (`protocols.md` D 7). What
//! the others have promised is asked for again (`crate::lost`).

use std::collections::BTreeMap;

use async_trait::async_trait;
use booking_core::DayKey;

use super::{Head, ReadError, StoredRecord, chain};
use crate::ledger::Ledger;

/// A ledger, as a repair sees it.
#[async_trait]
pub trait RawRecords: Send + Sync {
    /// See [`Ledger::raw_heads`].
    async fn heads(&self, shard: u16) -> Result<Vec<(DayKey, Head)>, ReadError>;

    /// See [`Ledger::raw_records`]: all of `day`.
    async fn records(&self, day: DayKey) -> Result<Vec<StoredRecord>, ReadError>;

    /// See [`Ledger::note_lost`].
    async fn note_lost(&self, records: &[StoredRecord]) -> Result<u64, ReadError>;
}

#[async_trait]
impl<L: Ledger + ?Sized> RawRecords for L {
    async fn heads(&self, shard: u16) -> Result<Vec<(DayKey, Head)>, ReadError> {
        self.raw_heads(shard).await
    }

    async fn records(&self, day: DayKey) -> Result<Vec<StoredRecord>, ReadError> {
        self.raw_records(day, 0).await
    }

    async fn note_lost(&self, records: &[StoredRecord]) -> Result<u64, ReadError> {
        Ledger::note_lost(self, records).await.map_err(|error| ReadError::Unavailable(error.to_string()))
    }
}

/// What is known of one day.
#[derive(Clone, Debug, Default)]
pub struct Histories {
    /// Where the store's log begins: the head of its packed state, or the default.
    pub base: Head,
    /// The store's records after `base`, in order.
    pub stored: Vec<StoredRecord>,
    /// The ledger's raw records, by sequence.
    pub ledger: Vec<StoredRecord>,
    /// Records that were acknowledged by an owner and that it remembers.
    pub memory: Vec<StoredRecord>,
}

/// What to do with the store's log of one day.
#[derive(Clone, Debug)]
pub struct RepairPlan {
    /// The day.
    pub day: DayKey,
    /// Up to here the store's log stays. The default: nothing of it does, nor its packed state.
    pub keep: Head,
    /// What follows, in order, with the old versions and links.
    pub put_back: Vec<StoredRecord>,
    /// Where the log ends then.
    pub head: Head,
    /// Records of another branch, which do not count any more. Some of them may have been acknowledged: never to be passed over in silence.
    pub lost: Vec<StoredRecord>,
}

impl RepairPlan {
    /// Whether the store's log is as it should be.
    pub fn is_nothing(&self) -> bool {
        self.put_back.is_empty() && self.lost.is_empty()
    }
}

/// The plan for `day`.
pub fn plan(day: DayKey, histories: &Histories) -> RepairPlan {
    let Histories { base, stored, ledger, memory } = histories;
    // A packed state that the ledger contradicts is of another branch, with all that follows it.
    let same_place = ledger.iter().find(|record| record.version.sequence == base.version.sequence);
    let is_contradicted = same_place.is_some_and(|record| head_of(record) != *base);
    let start = if is_contradicted { Head::default() } else { *base };
    let mut candidates: BTreeMap<u64, Vec<(bool, &StoredRecord)>> = BTreeMap::new();
    for (is_ledger, source) in [(true, ledger), (false, stored), (false, memory)] {
        for record in source {
            candidates.entry(record.version.sequence).or_default().push((is_ledger, record));
        }
    }
    let (mut chosen, mut head): (Vec<&StoredRecord>, Head) = (Vec::new(), start);
    while let Some(next) = candidates.get(&head.version.sequence.saturating_add(1)) {
        let follows = |(_, record): &&(bool, &StoredRecord)| {
            chain::follow(head, day, record.version, record.hash, &record.body).is_ok()
        };
        let best = next
            .iter()
            .filter(follows)
            .max_by_key(|(is_ledger, record)| (*is_ledger, record.version.epoch, record.hash.0));
        let Some((_, record)) = best else { break };
        head = head_of(record);
        chosen.push(record);
    }
    let kept = chosen
        .iter()
        .zip(stored)
        .take_while(|(record, held)| !is_contradicted && head_of(record) == head_of(held))
        .count();
    let keep = kept.checked_sub(1).map_or(start, |last| head_of(chosen[last]));
    let put_back: Vec<StoredRecord> = chosen[kept..].iter().map(|record| (*record).clone()).collect();
    let counts = |record: &StoredRecord| {
        let first = start.version.sequence + 1;
        let place = record.version.sequence.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        // What stands before the packed state is in it.
        place.is_none_or(|place| chosen.get(place).is_some_and(|chosen| head_of(chosen) == head_of(record)))
    };
    let mut lost: BTreeMap<_, &StoredRecord> = BTreeMap::new();
    for record in stored.iter().chain(memory).chain(ledger).filter(|record| !counts(record)) {
        lost.insert((record.version.sequence, record.version.epoch, record.hash.0), record);
    }
    RepairPlan { day, keep, put_back, head, lost: lost.into_values().cloned().collect() }
}

/// Where a log ends with `record`.
pub fn head_of(record: &StoredRecord) -> Head {
    Head { version: record.version, hash: record.hash }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use booking_core::{Date, DoctorId};

    use super::*;

    fn day() -> DayKey {
        DayKey { doctor: DoctorId::from_bytes([7; 16]), date: Date::from_days(20_000).expect("a date") }
    }

    /// One record after each other, each under its epoch and with a body of one letter.
    fn grow(head: Head, records: &[(u32, u8)]) -> Vec<StoredRecord> {
        let mut head = head;
        let next = |(epoch, letter): &(u32, u8)| {
            let record = chain::next_record(head, day(), *epoch, Arc::from([*letter]));
            head = Head { version: record.version, hash: record.hash };
            let (position, shard) = (record.version.sequence, day().shard());
            StoredRecord { day: day(), shard, position, version: record.version, hash: record.hash, body: record.body }
        };
        records.iter().map(next).collect()
    }

    fn letters(records: &[StoredRecord]) -> String {
        records.iter().map(|record| char::from(record.body[0])).collect()
    }

    fn check(histories: &Histories, keep: u64, put_back: &str, lost: &str) -> RepairPlan {
        let plan = plan(day(), histories);
        let found = (plan.keep.version.sequence, letters(&plan.put_back), letters(&plan.lost));
        assert_eq!(found, (keep, put_back.to_owned(), lost.to_owned()));
        plan
    }

    #[test]
    fn the_longest_history_is_put_together_from_its_parts() {
        let all = grow(Head::default(), &[(1, b'a'), (1, b'b'), (1, b'c'), (2, b'd'), (2, b'e')]);
        let base = Head::default();
        let parts = Histories { base, stored: all[..1].into(), ledger: all[..3].into(), memory: all[3..].into() };
        let plan = check(&parts, 1, "bcde", "");
        assert_eq!(plan.head, head_of(&all[4]));
        let whole = Histories { base, stored: all.clone(), ledger: all[..3].into(), memory: all[3..].into() };
        assert!(check(&whole, 5, "", "").is_nothing());
        let empty = Histories { base, stored: Vec::new(), ledger: all.clone(), memory: Vec::new() };
        check(&empty, 0, "abcde", "");
        let packed =
            Histories { base: head_of(&all[2]), stored: all[3..4].into(), ledger: all.clone(), memory: Vec::new() };
        check(&packed, 4, "e", "");
        let no_way = Histories { base, stored: all[..1].into(), ledger: Vec::new(), memory: all[3..].into() };
        check(&no_way, 1, "", "de");
    }

    #[test]
    fn at_a_fork_the_ledger_wins_else_the_higher_epoch_and_the_other_branch_is_named() {
        let trunk = grow(Head::default(), &[(1, b'a'), (1, b'b')]);
        let end = head_of(&trunk[1]);
        let (old, new) = (grow(end, &[(1, b'c'), (1, b'd'), (1, b'e')]), grow(end, &[(2, b'x')]));
        let with = |branch: &[StoredRecord]| [&trunk[..], branch].concat();
        let base = Head::default();
        let by_epoch = Histories { base, stored: with(&old), ledger: Vec::new(), memory: new.clone() };
        check(&by_epoch, 2, "x", "cde");
        let by_ledger = Histories { base, stored: with(&new), ledger: with(&old[..2]), memory: old[2..].into() };
        check(&by_ledger, 2, "cde", "x");
        let packed = Histories { base: head_of(&new[0]), stored: Vec::new(), ledger: with(&old), memory: Vec::new() };
        check(&packed, 0, "abcde", "");
    }
}
