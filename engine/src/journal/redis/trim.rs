//! Keeps the memory of the servers bounded: packed states are saved, and records go that a state covers and the ledger has had for long.
//! Must not know: what a record means.
//!
//! The ledger may go back to a copy from before (`protocols.md` rule 23), so a record stays for a day after the ledger had it. How far the
//! ledger was is noted once an hour; a process that starts anew begins a new day. Records go only below a stored state, and only when
//! every sink of the feed has them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use foldhash::HashMap;
use parking_lot::Mutex;

use super::append::function;
use super::link::Lane;
use super::network::{Answer, Manner, ShardCall};
use super::topology::number;
use super::{CALL_DEADLINE, Shared, read, wire};
use crate::journal::{AppendError, ReadError, ShardCursor, StoredSnapshot};
use crate::signal::Signal;

/// Between two looks at what may go.
const INTERVAL: Duration = Duration::from_secs(60);
/// Entries of a shard's order that one call removes: less than a millisecond of the server's time.
const ENTRIES_MAX: usize = 256;
/// Calls for one shard at one look: a shard that has more is gone on with at the next.
const CALLS_MAX: usize = 64;
/// Notes of one shard: so many fit into the time that records are kept, and one more.
const NOTES: u32 = 24;

/// How far the ledger was, and when.
#[derive(Default)]
struct Notes {
    /// The latest, perhaps not yet a note.
    latest: ShardCursor,
    /// The last that was one.
    noted: ShardCursor,
    /// Instants in microseconds, rising.
    notes: VecDeque<(u64, ShardCursor)>,
    /// What may go as far as the ledger is concerned.
    free: ShardCursor,
    /// What was said to be due.
    gone: ShardCursor,
}

/// See the module.
pub(super) struct Trimmer {
    keep: Duration,
    shards: Mutex<HashMap<u16, Notes>>,
    /// How far each sink of the feed is; a shard that is not named is needed whole.
    feeds: Mutex<BTreeMap<&'static str, HashMap<u16, ShardCursor>>>,
    stopped: Arc<Signal>,
}

impl Trimmer {
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, shards: Mutex::default(), feeds: Mutex::default(), stopped: Arc::default() }
    }

    /// The ledger has everything of these shards up to these records.
    pub(super) fn ledger_has(&self, cursors: impl IntoIterator<Item = (u16, ShardCursor)>) {
        let mut shards = self.shards.lock();
        for (shard, cursor) in cursors {
            let notes = shards.entry(shard).or_default();
            notes.latest = notes.latest.max(cursor);
        }
    }

    /// See [`crate::journal::Journal::feed_has`].
    pub(super) fn feed_has(&self, sink: &'static str, cursors: &[(u16, ShardCursor)]) {
        self.feeds.lock().entry(sink).or_default().extend(cursors.iter().copied());
    }

    /// Notes how far the ledger is now; what may go by now, by shard.
    fn due(&self, now_micros: u64) -> Vec<(u16, ShardCursor)> {
        let between = (self.keep / NOTES).as_micros() as u64;
        let keep = self.keep.as_micros() as u64;
        let mut due = Vec::new();
        let feeds = self.feeds.lock();
        let needed_from = |shard: u16| feeds.values().map(|feed| feed.get(&shard).copied().unwrap_or_default()).min();
        for (shard, notes) in self.shards.lock().iter_mut() {
            let is_time = notes.notes.back().is_none_or(|(at, _)| now_micros >= at.saturating_add(between));
            if is_time && notes.noted < notes.latest {
                notes.noted = notes.latest;
                notes.notes.push_back((now_micros, notes.latest));
            }
            while notes.notes.front().is_some_and(|(at, _)| now_micros >= at.saturating_add(keep)) {
                notes.free = notes.notes.pop_front().map_or(notes.free, |(_, cursor)| cursor);
            }
            let until = needed_from(*shard).map_or(notes.free, |needed| needed.min(notes.free));
            if until > notes.gone {
                notes.gone = until;
                due.push((*shard, until));
            }
        }
        due.sort_unstable();
        due
    }

    pub(super) fn stop(&self) {
        self.stopped.give();
    }
}

/// Begins to look, until the journal is closed or gone.
pub(super) fn start(shared: &Arc<Shared>) {
    let (clock, stopped) = (Arc::clone(&shared.clock), Arc::clone(&shared.trimmer.stopped));
    let weak: Weak<Shared> = Arc::downgrade(shared);
    tokio::spawn(async move {
        while crate::clock::timeout(&*clock, INTERVAL, stopped.wait()).await.is_none() {
            let Some(shared) = weak.upgrade() else { return };
            if let Err(error) = trim_due(&shared).await {
                tracing::warn!(%error, "old records stay in Redis for now");
            }
        }
    });
}

/// Removes what may go by now; how many records have gone.
pub(super) async fn trim_due(shared: &Shared) -> Result<u64, ReadError> {
    let mut gone = 0;
    for (shard, until) in shared.trimmer.due(shared.clock.monotonic_micros()) {
        for _ in 0..CALLS_MAX {
            match trim(shared, shard, until).await? {
                Some(count) => gone += count,
                None => break,
            }
        }
    }
    Ok(gone)
}

/// Removes some of `shard` up to `until`; `None` when there is nothing left.
async fn trim(shared: &Shared, shard: u16, until: ShardCursor) -> Result<Option<u64>, ReadError> {
    let epoch = shared.epoch_of(shard);
    let order = read::order(shared, shard, (ShardCursor::default(), Some(until)), ENTRIES_MAX).await?;
    let Some((last, _)) = order.last().filter(|_| epoch != 0) else { return Ok(None) };
    let mut days: BTreeMap<_, u64> = BTreeMap::new();
    for (_, entry) in &order {
        let free = days.entry(entry.day).or_default();
        *free = entry.last_sequence.max(*free);
    }
    let logs: Vec<Vec<u8>> = days.keys().map(|day| wire::log_key(*day)).collect();
    let (header, order_key, snapshots) = (wire::shard_key(shard), wire::order_key(shard), wire::snapshots_key(shard));
    let mut keys = vec![header.as_bytes(), order_key.as_bytes(), snapshots.as_bytes()];
    keys.extend(logs.iter().map(Vec::as_slice));
    let mut command = function("hotslot_trim_v1", &keys);
    command.arg(&shared.installation[..]).arg(epoch).arg(format!("{}-{}", last.epoch, last.position + 1));
    for (day, free) in &days {
        command.arg(&day.to_bytes()[..]).arg(*free);
    }
    let answer = read::ask(shared, &[ShardCall { shard, command }]).await?.pop();
    Ok(answer.as_ref().and_then(number).map(|count| count.max(0) as u64))
}

/// See [`crate::journal::Journal::save_snapshots`].
pub(super) async fn save_snapshots(shared: &Shared, snapshots: &[StoredSnapshot]) -> Result<(), AppendError> {
    let call = |snapshot: &StoredSnapshot| {
        let shard = snapshot.day.shard();
        let keys =
            [wire::shard_key(shard).into_bytes(), wire::log_key(snapshot.day), wire::snapshots_key(shard).into_bytes()];
        let mut command = function("hotslot_snapshot_v1", &keys.each_ref().map(Vec::as_slice));
        command.arg(&shared.installation[..]).arg(shared.epoch_of(shard));
        command.arg(&snapshot.day.to_bytes()[..]).arg(wire::pack_snapshot(snapshot));
        ShardCall { shard, command }
    };
    let calls: Vec<ShardCall> = snapshots.iter().map(call).collect();
    let manner = Manner { lane: Lane::Read, replicas: 0, limit: CALL_DEADLINE, patience: Duration::ZERO };
    for answer in shared.network.call(manner, &calls).await {
        match answer {
            Answer::Done(_) => {}
            Answer::Refused(reason) | Answer::Unknown(reason) => return Err(AppendError::Failed(reason)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> ShardCursor {
        ShardCursor { epoch: 1, position }
    }

    #[test]
    fn what_the_ledger_had_goes_after_the_time_that_it_is_kept() {
        let trimmer = Trimmer::new(Duration::from_micros(2_400));
        trimmer.ledger_has([(7, at(10))]);
        assert!(trimmer.due(0).is_empty());
        trimmer.ledger_has([(7, at(20)), (7, at(15))]);
        assert!(trimmer.due(99).is_empty() && trimmer.due(100).is_empty(), "noted");
        assert_eq!(trimmer.due(2_400), [(7, at(10))]);
        assert!(trimmer.due(2_499).is_empty());
        assert_eq!(trimmer.due(2_500), [(7, at(20))]);
        assert!(trimmer.due(u64::MAX).is_empty());
    }

    #[test]
    fn nothing_goes_that_a_sink_of_the_feed_has_not_got() {
        let trimmer = Trimmer::new(Duration::from_micros(2_400));
        trimmer.feed_has("one", &[]);
        trimmer.feed_has("other", &[(7, at(20))]);
        trimmer.ledger_has([(7, at(10))]);
        assert!(trimmer.due(0).is_empty(), "noted");
        assert!(trimmer.due(2_400).is_empty(), "one sink has nothing");
        trimmer.feed_has("one", &[(7, at(4))]);
        assert_eq!(trimmer.due(2_401), [(7, at(4))]);
        trimmer.feed_has("one", &[(7, at(40))]);
        assert_eq!(trimmer.due(2_402), [(7, at(10))], "as far as the ledger's day is over");
        assert!(trimmer.due(2_403).is_empty());
    }
}
