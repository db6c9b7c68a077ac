//! What is durable: the per-day ordered log of events, as a port with one contract for every store.
//! Must not know: what a record means, who waits for it.
//!
//! Every append is conditional. It carries the owner's epoch and the day's expected head; the store refuses a stale
//! one. Records of one day form a chain: each record's hash covers its predecessor's hash, its version and its body.

pub mod chain;
#[cfg(any(test, feature = "testing"))]
pub mod contract;
pub mod lock;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod poison;
pub mod postgres;
pub mod recent;
pub mod redis;
pub mod repair;
pub mod sqlite;
pub(crate) mod wal;

use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{Date, DayKey, DayVersion, DoctorId, UtcMillis};

use crate::ledger::Ledger;
use crate::ownership::ShardSet;

/// A link of a day's chain: SHA-256 over predecessor, version and body, cut to 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ChainHash(pub [u8; 16]);

/// Where a day's log ends. The default (version 0, hash 0) is a day that was never written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Of the last record.
    pub version: DayVersion,
    /// Of the last record.
    pub hash: ChainHash,
}

/// One record to append.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Its place in the day's log, and the epoch that writes it.
    pub version: DayVersion,
    /// Over predecessor, version and body ([`chain::link`]).
    pub hash: ChainHash,
    /// An encoded event.
    pub body: Arc<[u8]>,
}

/// Records of one day, in order, to be appended together or not at all.
#[derive(Clone, Debug)]
pub struct DayAppend {
    /// Which day.
    pub day: DayKey,
    /// The owner's epoch.
    pub epoch: u32,
    /// Where the owner believes the log ends.
    pub expected: Head,
    /// At least one; sequences follow `expected` without a gap.
    pub records: Vec<NewRecord>,
    /// After these records: when the day next has work to do by itself (its earliest hold expiry). Kept by the store in
    /// an index, so that a crash forgets no work (`protocols.md` rule 26).
    pub next_work_at: Option<UtcMillis>,
}

/// What became of one [`DayAppend`] of a batch whose append returned `Ok`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DayOutcome {
    /// Durable.
    Appended {
        /// Position of its last record. Positions rise within a shard, in the order in which records became durable; the
        /// records of one [`DayAppend`] have consecutive positions.
        position: u64,
    },
    /// Nothing was written: the log does not end where the owner believed.
    Conflict {
        /// Where it ends.
        actual: Head,
    },
    /// Certainly not written: the part of the store that has the day does not answer, while others do.
    Failed,
    /// Perhaps written, by a part of the store that does not answer any more. The store finds out by itself; until then it refuses to
    /// read the day, and to write to it.
    Unsettled,
    /// Nothing was written: a newer owner exists.
    StaleEpoch {
        /// The epoch that the store knows.
        current: u32,
    },
}

/// Why a whole batch has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Certainly not written: nothing of the batch is, or will become, durable (disk full or store busy before commit).
    #[error("the journal did not write: {0}")]
    Failed(String),
    /// Perhaps written. The owner must call [`Journal::barrier`] and re-read before it tells anybody anything.
    #[error("it is unknown if the journal wrote: {0}")]
    Unknown(String),
    /// An I/O error on write or sync: what is read back from now on proves nothing. Every later append fails likewise, and
    /// the process must end.
    #[error("the journal is poisoned by an I/O error: {0}")]
    Poisoned(String),
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store did not answer.
    #[error("the store did not answer: {0}")]
    Unavailable(String),
    /// The store answered with something that cannot be: says where, and what to do.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// One record as stored.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    /// Which day.
    pub day: DayKey,
    /// Its shard.
    pub shard: u16,
    /// See [`DayOutcome::Appended`].
    pub position: u64,
    /// Its place in the day's log.
    pub version: DayVersion,
    /// Its link of the chain.
    pub hash: ChainHash,
    /// An encoded event.
    pub body: Arc<[u8]>,
}

impl StoredRecord {
    /// Its place among the records of its shard.
    pub fn cursor(&self) -> ShardCursor {
        ShardCursor { epoch: self.version.epoch, position: self.position }
    }
}

/// A packed state of a day.
#[derive(Clone, Debug)]
pub struct StoredSnapshot {
    /// Which day.
    pub day: DayKey,
    /// The record after which the state stands.
    pub head: Head,
    /// `DoctorDay::pack`.
    pub bytes: Arc<[u8]>,
}

/// All that is needed to rebuild a day, read as one consistent whole.
#[derive(Clone, Debug)]
pub struct LoadedDay {
    /// The newest snapshot, if one was saved.
    pub snapshot: Option<StoredSnapshot>,
    /// Every record after the snapshot, in order; the first continues the snapshot's chain.
    pub tail: Vec<StoredRecord>,
    /// Where the log ends.
    pub head: Head,
}

/// How far a shard's records are known somewhere: all up to this one, in the order of (epoch, position).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct ShardCursor {
    /// Of the record: the owner's when it was written.
    pub epoch: u32,
    /// Of the record, in its owner's log.
    pub position: u64,
}

/// Whose records [`Journal::read_after`] reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogKind {
    /// Everything that was ever written: the next process goes on where this one ends.
    Lasting,
    /// What this process has written itself: positions begin with 1 at each start. What others wrote is read by shard
    /// ([`Journal::read_shard`]), when the shard is taken over.
    OfThisProcess,
}

/// The store of the journal. One implementation a backend; all pass the same contract suite.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Makes `batch` durable in one write; at most one entry a day. When this returns `Ok`, every `Appended` entry is
    /// durable to the promise of the backend, and every other entry but an `Unsettled` one has left no trace. Outcomes are in the order of the
    /// batch. Never cancelled by its caller.
    async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError>;

    /// After `Ok`: every append that was started before and has not returned `Ok` is, and stays, either wholly visible to
    /// reads or without effect for ever.
    async fn barrier(&self) -> Result<(), AppendError>;

    /// Everything needed to rebuild `day`, checked against its chain; `None` if it was never written.
    async fn load(&self, day: DayKey) -> Result<Option<LoadedDay>, ReadError>;

    /// Keeps packed states. A snapshot older than the stored one is ignored. Losing one costs time only.
    async fn save_snapshots(&self, snapshots: &[StoredSnapshot]) -> Result<(), AppendError>;

    /// At most `limit` records with positions after `position`, in the order of positions. Of a log of this process: those
    /// that [`Journal::applied`] has not given free.
    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError>;

    /// The position of the last durable record; 0 if there is none.
    async fn last_position(&self) -> Result<u64, ReadError>;

    /// The written days of `doctor` with `from <= date <= to`, by date.
    async fn days_of(&self, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError>;

    /// At most `limit` days whose next work is due at or before `until`, earliest first.
    async fn open_work(&self, until: UtcMillis, limit: usize) -> Result<Vec<(DayKey, UtcMillis)>, ReadError>;

    /// The epoch under which this process may write; fixed when the journal was opened. Where shards are owned one by one: the
    /// highest of them.
    fn epoch(&self) -> u32;

    /// The epoch under which this process may write days of `shard`; 0: it may not.
    fn epoch_of(&self, shard: u16) -> u32 {
        let _ = shard;
        self.epoch()
    }

    /// What [`Journal::read_after`] reads.
    fn log(&self) -> LogKind {
        LogKind::Lasting
    }

    /// Takes shards over under their new epochs, before anything of them is loaded: after this no older owner can append to them.
    /// Returns those that are ours now; the others have a newer owner.
    async fn install(&self, shards: &[(u16, u32)]) -> Result<Vec<(u16, u32)>, AppendError> {
        Ok(shards.to_vec())
    }

    /// At most `limit` records of `shard` after `after`, in the order of (epoch, position), whoever wrote them.
    async fn read_shard(&self, shard: u16, after: ShardCursor, limit: usize) -> Result<Vec<StoredRecord>, ReadError>;

    /// Those of `cursors` after which their shard has records.
    async fn ahead_of(&self, cursors: &[(u16, ShardCursor)]) -> Result<Vec<u16>, ReadError> {
        let mut ahead = Vec::new();
        for (shard, cursor) in cursors {
            if !self.read_shard(*shard, *cursor, 1).await?.is_empty() {
                ahead.push(*shard);
            }
        }
        Ok(ahead)
    }

    /// Those of `shards`, installed and not repaired since, of which the store may have forgotten what only an earlier owner remembers.
    fn in_doubt(&self, shards: &[u16]) -> ShardSet {
        let _ = shards;
        ShardSet::default()
    }

    /// What this process has written of `shards`, whoever has them now, and the ledger is not known to have: at most `limit` records after
    /// `position`, by position. The memory of `protocols.md` D 7, of a store that may forget.
    fn memory_of(&self, shards: &ShardSet, position: u64, limit: usize) -> Vec<StoredRecord> {
        let _ = (shards, position, limit);
        Vec::new()
    }

    /// Of that memory the records at these positions, which are sorted, are kept elsewhere: they need not be remembered.
    fn forget_memory(&self, positions: &[u64]) {
        let _ = positions;
    }

    /// After [`Journal::install`] and before anything of `shards` is read: brings back what the store has forgotten of them and
    /// somebody still knows: the ledger, this process, or an earlier owner, whose `memory` it is (`protocols.md` D 7). Nothing to do
    /// for a store that does not forget.
    async fn repair(&self, shards: &[u16], ledger: &dyn Ledger, memory: &[StoredRecord]) -> Result<(), ReadError> {
        let _ = (shards, ledger, memory);
        Ok(())
    }

    /// Shards of ours that the store does not let us write any more although nobody has claimed them: to be claimed again. Empties the
    /// list.
    fn take_lost(&self) -> Vec<u16> {
        Vec::new()
    }

    /// The ledger has everything of this process's log up to `position`: it need not be kept for it any more. Never blocks.
    fn applied(&self, position: u64) {
        let _ = position;
    }

    /// `sink` of the feed has everything of these shards up to these cursors, and needs all after them: what it needs is not trimmed. Told
    /// once without cursors before a sink needs anything. Never blocks.
    fn feed_has(&self, sink: &'static str, cursors: &[(u16, ShardCursor)]) {
        let _ = (sink, cursors);
    }

    /// What an acknowledged record survives here, in words for an operator.
    fn promise(&self) -> String;

    /// Becomes ready, with the reason, when the journal is poisoned: then the process must end.
    async fn poisoned(&self) -> String;

    /// Flushes what a clean shutdown flushes and releases the store.
    async fn close(&self);
}
