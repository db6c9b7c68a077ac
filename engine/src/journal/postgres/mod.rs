//! The journal in PostgreSQL: each append is one statement and one round trip, fenced by the ownership rows of its shards.
//! Must not know: what a record means, who claims shards.
//!
//! Promise: what an append has returned as appended was committed under the settings that were checked at the start
//! ([`promise`]): on one disk, or also on a synchronous standby. A commit that came with a warning is not believed.

mod append;
pub(crate) mod audit;
mod barrier;
mod link;
mod promise;
mod read;
mod sent;
mod snapshots;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use booking_core::{Date, DayKey, DoctorId, UtcMillis};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgPool};
use tokio::sync::Mutex;

use self::append::Encoded;
use self::link::{Backend, Failure, Link};
use self::promise::Settings;
use self::sent::Sent;
use super::poison::Poison;
use super::recent::{Recent, RecentRecords};
use super::{
    AppendError, DayAppend, DayOutcome, Journal, LoadedDay, LogKind, ReadError, ShardCursor, StoredRecord,
    StoredSnapshot,
};
use crate::config::StartError;
use crate::ownership::Tenures;
use crate::postgres::{self, Purpose, WriteFailure};
use crate::telemetry::pools::{self, Watched};

/// Longest wait for a write. With a synchronous standby away a commit waits for ever; its caller is told that nobody
/// knows. Longer than the server waits for a lock, shorter than a lease.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// Loads, the applier's pages and snapshots.
const READERS_MAX: u32 = 4;
/// Own records in memory for the applier, about ten megabytes; what is older is read from the table.
const RECENT_RECORDS_MAX: usize = 65_536;

/// A [`Journal`] in PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct PostgresJournal {
    shared: Arc<Shared>,
}

struct Shared {
    options: PgConnectOptions,
    settings: Settings,
    tenures: Arc<Tenures>,
    /// The only connection that appends; `None` until it is needed, and after an outcome that nobody knows.
    /// Its mutex is tokio's: held while an append is under way, so that there is one at a time.
    appender: Mutex<Option<Link>>,
    /// Held while a barrier is raised, on a connection apart from the appender's, whose append it may have to end.
    raising: Mutex<()>,
    readers: PgPool,
    _watched: Watched,
    /// Never held across a wait.
    state: parking_lot::Mutex<State>,
    /// Never set: the server ends itself after a failed sync, and comes back with what is on its disk.
    poison: Poison,
}

struct State {
    /// Of the appends that are sent from now on; see [`barrier`].
    generation: i64,
    recent: RecentRecords,
    /// Sent, and its outcome not known; a barrier settles it.
    in_flight: Option<Arc<Sent>>,
    /// Processes of the server whose connections were given up, to be ended by the next barrier.
    abandoned: Vec<Backend>,
    /// The logs that this process has written: one for each shard it has claimed, each time.
    logs: BTreeSet<(u16, u32)>,
}

impl PostgresJournal {
    /// Opens the journal in the database of `url`, whose schema is up to date ([`postgres::migrate`]). It appends under the
    /// epochs of `tenures`. Settings under which acknowledged records could be lost are refused unless `accept_asynchronous`.
    pub async fn open(url: &str, tenures: Arc<Tenures>, accept_asynchronous: bool) -> Result<Self, StartError> {
        let options = postgres::options(url)?;
        let failed =
            |error: sqlx::Error| StartError::Store(format!("the journal in PostgreSQL does not open: {error}"));
        let reading = postgres::for_purpose(&options, "journal read", Purpose::Read);
        let mut connection = postgres::connect(&reading).await.map_err(failed)?;
        let settings = Settings::read(&mut connection).await.map_err(failed)?;
        settings.require(accept_asynchronous)?;
        connection.close().await.map_err(failed)?;
        let link = Link::open(&Link::options(&options, "journal append"), &settings.synchronous_commit).await;
        let state = State {
            generation: 1,
            recent: RecentRecords::new(RECENT_RECORDS_MAX),
            in_flight: None,
            abandoned: Vec::new(),
            logs: BTreeSet::new(),
        };
        let readers = postgres::pool(&reading, READERS_MAX);
        let watched = pools::watch("journal_read", &readers);
        Ok(Self {
            shared: Arc::new(Shared {
                readers,
                _watched: watched,
                options,
                settings,
                tenures,
                appender: Mutex::new(Some(link.map_err(failed)?)),
                raising: Mutex::new(()),
                state: parking_lot::Mutex::new(state),
                poison: Poison::default(),
            }),
        })
    }
}

impl Shared {
    async fn connect(&self, what: &str) -> Result<Link, sqlx::Error> {
        Link::open(&Link::options(&self.options, &format!("journal {what}")), &self.settings.synchronous_commit).await
    }

    /// Remembers what is about to be sent; its base and its generation.
    fn begin(&self, sent: &Arc<Sent>) -> (u64, i64) {
        let mut state = self.state.lock();
        state.logs.extend(sent.logs());
        state.in_flight = Some(Arc::clone(sent));
        (state.recent.last_position(), state.generation)
    }

    /// The outcome of `sent` is known: these of its records are stored.
    fn end(&self, sent: &Arc<Sent>, stored: impl Iterator<Item = StoredRecord>) {
        let mut state = self.state.lock();
        state.recent.push(stored);
        if state.in_flight.as_ref().is_some_and(|current| Arc::ptr_eq(current, sent)) {
            state.in_flight = None;
        }
    }

    /// An append whose outcome nobody knows must be settled before the next: its records would come before that one's.
    async fn settle_before(&self) -> Result<(), AppendError> {
        if self.state.lock().in_flight.is_none() {
            return Ok(());
        }
        barrier::raise(self)
            .await
            .map_err(|error| AppendError::Failed(format!("an older append is unsettled: {error}")))
    }

    async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        let encoded = Encoded::of(batch, |shard| self.tenures.epoch(shard)).map_err(AppendError::Failed)?;
        let mut slot = self.appender.lock().await;
        self.settle_before().await?;
        // Out of its place while it is used: a future that is dropped takes the connection with it.
        let mut link = match slot.take() {
            Some(link) => link,
            None => self.connect("append").await.map_err(|error| AppendError::Failed(error.to_string()))?,
        };
        let sent = Arc::new(Sent::of(batch, link.backend.clone()));
        let (base, generation) = self.begin(&sent);
        let Link { connection, notices, .. } = &mut link;
        let judged = link::judge(notices, WRITE_DEADLINE, encoded.send(connection, base, generation)).await;
        match judged {
            Ok(outcomes) => {
                self.end(&sent, sent.stored(&outcomes));
                *slot = Some(link);
                Ok(outcomes)
            }
            Err(Failure { kind: WriteFailure::Definite, words, is_usable }) => {
                self.end(&sent, std::iter::empty());
                *slot = is_usable.then_some(link);
                Err(AppendError::Failed(words))
            }
            Err(Failure { words, .. }) => Err(AppendError::Unknown(words)),
        }
    }

    /// From memory, or from the table what was dropped there.
    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        let (first_held, logs) = {
            let state = self.state.lock();
            match state.recent.after(position, limit) {
                Recent::Held(records) => return Ok(records),
                Recent::Dropped { first_held } => (first_held, state.logs.iter().copied().collect::<Vec<_>>()),
            }
        };
        // Positions have no gaps, so this many positions are this many records.
        let until = position.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX)).min(first_held - 1);
        read::read_own(&self.readers, &logs, position, until).await
    }
}

#[async_trait]
impl Journal for PostgresJournal {
    async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        if batch.is_empty() { Ok(Vec::new()) } else { self.shared.append(batch).await }
    }

    async fn barrier(&self) -> Result<(), AppendError> {
        barrier::raise(&self.shared).await
    }

    async fn load(&self, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
        read::load(&self.shared.readers, day).await
    }

    async fn save_snapshots(&self, snapshots: &[StoredSnapshot]) -> Result<(), AppendError> {
        snapshots::save(&self.shared.readers, snapshots).await
    }

    async fn read_after(&self, position: u64, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        self.shared.read_after(position, limit).await
    }

    async fn last_position(&self) -> Result<u64, ReadError> {
        Ok(self.shared.state.lock().recent.last_position())
    }

    async fn days_of(&self, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError> {
        read::days_of(&self.shared.readers, doctor, from, to).await
    }

    /// Of the shards that are ours.
    async fn open_work(&self, until: UtcMillis, limit: usize) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
        read::open_work(&self.shared.readers, self.shared.tenures.owned().iter(), until, limit).await
    }

    fn epoch(&self) -> u32 {
        (0..booking_core::SHARD_COUNT).map(|shard| self.shared.tenures.epoch(shard)).max().unwrap_or_default()
    }

    fn epoch_of(&self, shard: u16) -> u32 {
        self.shared.tenures.epoch(shard)
    }

    fn log(&self) -> LogKind {
        LogKind::OfThisProcess
    }

    /// The claim has fenced the older owner already, and waited for its last append; this looks if it still stands.
    async fn install(&self, shards: &[(u16, u32)]) -> Result<Vec<(u16, u32)>, AppendError> {
        let stored = read::epochs(&self.shared.readers, shards).await;
        let stored: BTreeSet<(u16, u32)> =
            stored.map_err(|error| AppendError::Failed(error.to_string()))?.into_iter().collect();
        Ok(shards.iter().copied().filter(|own| stored.contains(own)).collect())
    }

    async fn read_shard(&self, shard: u16, after: ShardCursor, limit: usize) -> Result<Vec<StoredRecord>, ReadError> {
        read::read_shard(&self.shared.readers, shard, after, limit).await
    }

    async fn ahead_of(&self, cursors: &[(u16, ShardCursor)]) -> Result<Vec<u16>, ReadError> {
        read::ahead_of(&self.shared.readers, cursors).await
    }

    fn applied(&self, position: u64) {
        self.shared.state.lock().recent.forget_up_to(position);
    }

    fn promise(&self) -> String {
        self.shared.settings.words()
    }

    async fn poisoned(&self) -> String {
        self.shared.poison.wait().await
    }

    async fn close(&self) {
        if let Some(link) = self.shared.appender.lock().await.take()
            && let Err(error) = link.connection.close().await
        {
            tracing::warn!(%error, "the connection of the journal did not close");
        }
        self.shared.readers.close().await;
    }
}
