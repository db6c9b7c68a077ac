//! What an audit reads of a journal and of a ledger, whatever they are kept in.
//! Must not know: SQL, Redis, what is wrong with what is read.
//!
//! Sources answer rows as they stand, also those that the store itself would refuse. They have no deadlines of their own beyond those of
//! their servers: an audit takes as long as the stores are large.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use booking_core::{AppointmentId, Date, DayKey, DayVersion, UtcMillis};

use super::finding::Findings;
use super::rows::DayRows;
use crate::journal::{Head, ReadError, ShardCursor, StoredRecord, StoredSnapshot};
use crate::ledger::ParkedDay;
use crate::ledger::lost::BrokenRecord;
use crate::ledger::won_keys::KeyDigest;

/// A row, or in words why it is none.
pub(crate) type Checked<T> = Result<T, String>;

/// Days, and in words every name that is none.
pub(crate) type NamedDays = (BTreeSet<DayKey>, Vec<String>);

/// Where the log of a day ends, as the journal says beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadRow {
    pub(crate) head: Head,
    /// Of the last block, where there are blocks.
    pub(crate) position: Option<u64>,
    pub(crate) next_work: NextWork,
}

/// What the index of open work says of a day.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NextWork {
    /// When the day must next do something; `None`: nothing is to come.
    At(Option<UtcMillis>),
    /// It is to be looked at by its owner, who then knows: so after a repair.
    ToBeFound,
}

/// What is kept beside the records of a day.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) snapshot: Option<Checked<StoredSnapshot>>,
    pub(crate) head: Option<Checked<HeadRow>>,
}

/// Records of one day that were stored together.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) record_count: u64,
    /// Its own position and that of the day's block before it, where there are blocks.
    pub(crate) chained: Option<(u64, u64)>,
    pub(crate) records: Checked<Vec<StoredRecord>>,
}

/// What holds for the whole journal.
#[derive(Clone, Debug)]
pub(crate) enum Bounds {
    /// One log of one process at a time: the highest epoch that was given out, and the last position.
    OneLog { epoch: u32, last_position: u64 },
    /// A log for each shard and epoch: the highest epoch of each shard.
    Shards { epochs: BTreeMap<u16, u32> },
}

impl Bounds {
    /// The highest epoch that a record of `shard` can have.
    pub(crate) fn epoch_of(&self, shard: u16) -> u32 {
        match self {
            Self::OneLog { epoch, .. } => *epoch,
            Self::Shards { epochs } => epochs.get(&shard).copied().unwrap_or_default(),
        }
    }

    /// Names the run of the one process that wrote under `epoch` in `shard`.
    pub(crate) fn run_of(&self, shard: u16, epoch: u32) -> (u16, u32) {
        match self {
            Self::OneLog { .. } => (0, epoch),
            Self::Shards { .. } => (shard, epoch),
        }
    }
}

/// Up to where the ledger has applied the journal, parked days aside.
#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// Positions rise over all days.
    Position(u64),
    /// By shard.
    Shards(BTreeMap<u16, ShardCursor>),
}

impl Progress {
    /// Whether the ledger has gone past `record`.
    pub(crate) fn is_past(&self, record: &StoredRecord) -> bool {
        match self {
            Self::Position(position) => record.position <= *position,
            Self::Shards(cursors) => cursors.get(&record.shard).is_some_and(|cursor| record.cursor() <= *cursor),
        }
    }

    /// Where the ledger stands with the shard of `day`, in words.
    pub(crate) fn words(&self, day: DayKey) -> String {
        match self {
            Self::Position(position) => format!("position {position}"),
            Self::Shards(cursors) => {
                let cursor = cursors.get(&day.shard()).copied().unwrap_or_default();
                format!("position {} of epoch {} of its shard", cursor.position, cursor.epoch)
            }
        }
    }
}

/// What the table of won keys does not have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WonKeyBounds {
    /// Keys of records up to this position of the journal.
    pub(crate) after_position: u64,
    /// Keys that concern no date from this one on.
    pub(crate) forgotten_before: Option<Date>,
}

/// A row of a won key.
pub(crate) type WonRow = (KeyDigest, DayKey, Date);

/// A journal as an audit reads it. Days are opened one after another, in their order, none left out.
#[async_trait]
pub(crate) trait JournalSource: Send {
    /// Adds what is wrong with the store as such.
    async fn examine(&mut self, findings: &mut Findings) -> Result<(), ReadError>;

    /// See [`Bounds`].
    async fn bounds(&mut self) -> Result<Bounds, ReadError>;

    /// Every day that the store names.
    async fn days(&mut self) -> Result<NamedDays, ReadError>;

    /// An instant at or before that of the newest record: visits that had ended by then need not be remembered.
    async fn last_at(&mut self) -> Result<UtcMillis, ReadError>;

    /// Begins to read `day`.
    async fn open(&mut self, day: DayKey) -> Result<Beside, ReadError>;

    /// The next records of the day that was opened last, in the order of their sequences; `None`: there are no more.
    async fn next(&mut self, findings: &mut Findings) -> Result<Option<Block>, ReadError>;

    /// Adds what no day has asked for.
    async fn finish(&mut self, findings: &mut Findings) -> Result<(), ReadError>;
}

/// A ledger as an audit reads it.
#[async_trait]
pub(crate) trait LedgerSource: Send {
    /// Adds what is wrong with the store as such.
    async fn examine(&mut self, findings: &mut Findings) -> Result<(), ReadError>;

    /// See [`Progress`]; `is_one_log`: of a journal whose positions rise over all days.
    async fn progress(&mut self, is_one_log: bool) -> Result<Progress, ReadError>;

    /// The parked days.
    async fn parked(&mut self) -> Result<BTreeMap<DayKey, ParkedDay>, ReadError>;

    /// `None` if it is a ledger of a program that kept no keys.
    async fn won_key_bounds(&mut self) -> Result<Option<WonKeyBounds>, ReadError>;

    /// Every day that the store names.
    async fn days(&mut self) -> Result<NamedDays, ReadError>;

    /// How far `day` is applied; the default if it is not.
    async fn applied(&mut self, day: DayKey) -> Result<DayVersion, ReadError>;

    /// The rows of `day`, the steps of `appointments` among them, and in words every row that is none.
    async fn rows(&mut self, day: DayKey, appointments: &[AppointmentId]) -> Result<(DayRows, Vec<String>), ReadError>;

    /// The rows of one appointment, and the day where it stands; in words every row that is none.
    async fn appointment(
        &mut self,
        appointment: AppointmentId,
    ) -> Result<(Option<DayKey>, DayRows, Vec<String>), ReadError>;

    /// Lost records whose promises are broken; none if it is a ledger of a program that kept none.
    async fn broken(&mut self) -> Result<Vec<BrokenRecord>, ReadError>;

    /// The next won key, by day.
    async fn next_won_key(&mut self) -> Result<Option<Checked<WonRow>>, ReadError>;

    /// The next step of an appointment that has no row: the appointment, and the step's version.
    async fn next_orphan(&mut self) -> Result<Option<Checked<(AppointmentId, u32)>>, ReadError>;

    /// The records of `day` that are kept as they were in a journal that may forget its end; none where it may not.
    async fn raw_records(&mut self, day: DayKey) -> Result<Vec<StoredRecord>, ReadError>;
}
