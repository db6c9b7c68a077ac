//! The journal on Redis: one server, a primary with replicas, or a cluster, fenced by epoch, reign and generation.
//! Must not know: what a record means, who waits for it, how shards are claimed.
//!
//! Promise: what an append has returned as appended was in the memory of the primary and of the wanted replicas, in one history that this
//! process owned. What that survives is the servers' affair and is looked at when the journal is opened (`protocols.md` D).
//! All that must not be divided happens inside the servers (`library.lua`).

mod append;
pub(crate) mod audit;
mod batch;
mod claim;
mod link;
mod network;
mod own;
mod read;
mod reigns;
mod restore;
mod settle;
mod standing;
mod stuck;
mod survey;
mod topology;
mod trim;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use booking_core::{Date, DayKey, DoctorId, UtcMillis};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use self::append::Sent;
use self::link::Lane;
use self::network::{Manner, Network};
use self::own::OwnRecords;
use self::reigns::Reigns;
use self::restore::KnownHeads;
pub use self::restore::Repaired;
use self::standing::{Standing, Standings, Wholeness};
use self::stuck::Stuck;
use self::survey::Survey;
use self::trim::Trimmer;
use super::{
    AppendError, DayAppend, DayOutcome, Journal, LoadedDay, LogKind, ReadError, ShardCursor, StoredRecord,
    StoredSnapshot,
};
use crate::clock::Clock;
use crate::config::StartError;
use crate::ledger::Ledger;
use crate::ownership::{ShardSet, Tenures};

/// For one pipeline, its WAIT included. Well below a lease, so that an owner has time left to settle what is unknown.
const CALL_DEADLINE: Duration = Duration::from_millis(1_500);
/// Shards that are repaired at once: each is two questions to two servers.
const REPAIRS_AT_ONCE: usize = 16;
/// How long a batch is offered to servers that certainly have not taken it; a slot that moves takes about this long.
const APPEND_PATIENCE: Duration = Duration::from_secs(1);

/// What the journal is told at its start.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://…` of one server, of a primary and its replicas, or of some nodes of a cluster. May contain a password: never logged.
    pub urls: Vec<String>,
    /// Replicas that must have a record before it is acknowledged; 0: none are asked.
    pub replicas_min: usize,
    /// Serve although the servers do not sync what they write, or do not tell.
    pub accept_appendfsync_no: bool,
    /// Whose data it is: another installation's is refused (`protocols.md` rule 35).
    pub installation: Uuid,
    /// How long the servers keep a record that the ledger has, in case the ledger goes back.
    pub keep: Duration,
}

impl RedisSettings {
    /// `urls` with `installation`, no replicas, and a day of records that the ledger has.
    pub fn new(urls: Vec<String>, installation: Uuid) -> Self {
        let keep = Duration::from_secs(86_400);
        Self { urls, replicas_min: 0, accept_appendfsync_no: false, installation, keep }
    }
}

/// A [`Journal`] in Redis. Cheap to clone.
#[derive(Clone)]
pub struct RedisJournal {
    shared: Arc<Shared>,
}

struct Shared {
    network: Network,
    standings: Standings,
    tenures: Arc<Tenures>,
    clock: Arc<dyn Clock>,
    installation: [u8; 16],
    replicas: usize,
    survey: Survey,
    /// Tokio's mutex: held while a batch is on its way, so that positions are sent in their order.
    appends: Mutex<Appends>,
    own: parking_lot::Mutex<OwnRecords>,
    stuck: Stuck,
    reigns: Reigns,
    trimmer: Trimmer,
}

struct Appends {
    /// Of the next record of this process.
    next_position: u64,
    /// What nobody knows the outcome of; settled by the barrier. One batch, or none.
    unsettled: Vec<Sent>,
}

impl RedisJournal {
    /// Looks at the servers, refuses those that forget on purpose, and gives them the functions. Nothing is owned yet.
    /// `tenures` says until when this process may speak; `clock` is its time.
    pub async fn open(
        settings: RedisSettings,
        tenures: Arc<Tenures>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let refused = |reason: String| StartError::Store(format!("the journal on Redis: {reason}"));
        let network = Network::open(&settings.urls, Arc::clone(&clock)).await.map_err(refused)?;
        let survey = survey::survey(&network, &settings).await.map_err(refused)?;
        network.load_libraries().await.map_err(refused)?;
        let shared = Shared {
            network,
            standings: Standings::none(Arc::clone(&tenures)),
            tenures,
            clock,
            installation: *settings.installation.as_bytes(),
            replicas: settings.replicas_min,
            survey,
            appends: Mutex::new(Appends { next_position: 1, unsettled: Vec::new() }),
            own: parking_lot::Mutex::default(),
            stuck: Stuck::default(),
            reigns: Reigns::default(),
            trimmer: Trimmer::new(settings.keep),
        };
        let this = Self { shared: Arc::new(shared) };
        trim::start(&this.shared);
        stuck::start(&this.shared);
        reigns::start(&this.shared);
        Ok(this)
    }

    /// The shards that must be claimed again before anything can be written to them: their history in Redis is another one, or a
    /// newer owner has them.
    pub fn lost_shards(&self) -> watch::Receiver<ShardSet> {
        self.shared.standings.lost()
    }

    /// Removes from Redis what a packed state covers and the ledger has had for long enough; how many records have gone. Done
    /// once a minute anyway.
    pub async fn trim(&self) -> Result<u64, ReadError> {
        trim::trim_due(&self.shared).await
    }

    /// The longest time that a part of a cluster goes on without the rest of it: leases must be longer (`protocols.md` D 8).
    pub fn cluster_node_timeout(&self) -> Option<Duration> {
        self.shared.survey.cluster_node_timeout
    }

    /// What this process has written of `shard` and the ledger is not known to have: the memory of `protocols.md` D 7, for
    /// a repair here or for the next owner who asks.
    pub fn remembered(&self, shard: u16) -> Vec<StoredRecord> {
        self.shared.own.lock().of_shard(shard)
    }
}

impl Shared {
    fn manner(&self, lane: Lane, patience: Duration) -> Manner {
        Manner { lane, replicas: self.replicas, limit: CALL_DEADLINE, patience }
    }

    /// The epoch under which `shard` may be written here; 0: it may not.
    fn epoch_of(&self, shard: u16) -> u32 {
        let epoch = self.standings.epoch(shard);
        if self.tenures.epoch(shard) == epoch { epoch } else { 0 }
    }
}

#[async_trait]
impl Journal for RedisJournal {
    async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        self.shared.append(batch).await
    }

    async fn barrier(&self) -> Result<(), AppendError> {
        settle::barrier(&self.shared).await
    }

    async fn load(&self, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
        read::load(&self.shared, day).await
    }

    async fn save_snapshots(&self, snapshots: &[StoredSnapshot]) -> Result<(), AppendError> {
        trim::save_snapshots(&self.shared, snapshots).await
    }

    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        Ok(self.shared.own.lock().after(position, limit))
    }

    async fn last_position(&self) -> Result<u64, ReadError> {
        Ok(self.shared.own.lock().last_position())
    }

    async fn days_of(&self, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError> {
        read::days_of(&self.shared, doctor, from, to).await
    }

    async fn open_work(&self, until: UtcMillis, limit: usize) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
        read::open_work(&self.shared, until, limit).await
    }

    fn epoch(&self) -> u32 {
        self.shared.standings.highest_epoch()
    }

    fn epoch_of(&self, shard: u16) -> u32 {
        self.shared.epoch_of(shard)
    }

    fn log(&self) -> LogKind {
        LogKind::OfThisProcess
    }

    async fn install(&self, shards: &[(u16, u32)]) -> Result<Vec<(u16, u32)>, AppendError> {
        claim::install(&self.shared, shards).await
    }

    async fn read_shard(&self, shard: u16, after: ShardCursor, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        read::read_shard(&self.shared, shard, after, limit).await
    }

    async fn ahead_of(&self, cursors: &[(u16, ShardCursor)]) -> Result<Vec<u16>, ReadError> {
        read::ahead_of(&self.shared, cursors).await
    }

    fn in_doubt(&self, shards: &[u16]) -> ShardSet {
        let is_doubtful = |standing: Standing| standing.wholeness == Wholeness::Doubtful;
        shards.iter().copied().filter(|shard| self.shared.standings.of(*shard).is_some_and(is_doubtful)).collect()
    }

    fn memory_of(&self, shards: &ShardSet, position: u64, limit: usize) -> Vec<StoredRecord> {
        self.shared.own.lock().of_shards(shards, position, limit)
    }

    fn forget_memory(&self, positions: &[u64]) {
        self.shared.own.lock().forget(positions);
    }

    async fn repair(&self, shards: &[u16], ledger: &dyn Ledger, memory: &[StoredRecord]) -> Result<(), ReadError> {
        let known = KnownHeads::read(ledger, shards).await?;
        let mut memories: BTreeMap<u16, Vec<StoredRecord>> = BTreeMap::new();
        memory.iter().for_each(|record| memories.entry(record.shard).or_default().push(record.clone()));
        let (known, memories) = (&known, &memories);
        let memory_of = |shard: u16| memories.get(&shard).map(Vec::as_slice).unwrap_or_default();
        let repairs = futures_util::stream::iter(shards.iter().copied())
            .map(|shard| async move { self.repair_shard(shard, known, memory_of(shard)).await })
            .buffer_unordered(REPAIRS_AT_ONCE);
        let unreadable = |error: AppendError| ReadError::Unavailable(error.to_string());
        repairs.map_err(unreadable).try_for_each(|_| async { Ok(()) }).await?;
        restore::mark_whole(&self.shared, shards).await.map_err(unreadable)
    }

    fn take_lost(&self) -> Vec<u16> {
        self.lost_shards().borrow().iter().collect()
    }

    fn applied(&self, position: u64) {
        // What of a lost shard the ledger lacks, its repair needs.
        let is_settled = |shard| self.shared.tenures.is_open(shard);
        let gone = self.shared.own.lock().forget_up_to(position, is_settled);
        self.shared.trimmer.ledger_has(gone);
    }

    fn feed_has(&self, sink: &'static str, cursors: &[(u16, ShardCursor)]) {
        self.shared.trimmer.feed_has(sink, cursors);
    }

    fn promise(&self) -> String {
        self.shared.survey.promise.clone()
    }

    /// Never: what Redis reads back is what it has, and what it has lost is found by the reign.
    async fn poisoned(&self) -> String {
        std::future::pending().await
    }

    async fn close(&self) {
        self.shared.trimmer.stop();
        self.shared.stuck.stop();
        self.shared.reigns.stop();
        self.shared.network.close().await;
    }
}
