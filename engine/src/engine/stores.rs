//! Opens the stores that the settings name: one place for each profile.
//! Must not know: what the engine does with them.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::claims::guarded::Guard;
use crate::claims::postgres::PostgresClaims;
use crate::clock::Clock;
use crate::config::{DatabaseSettings, EngineConfig, RedisSettings, StartError, StoreSettings};
use crate::feed;
use crate::ids::Ids;
use crate::journal::Journal;
use crate::journal::lock::DirectoryLock;
use crate::journal::postgres::PostgresJournal;
use crate::journal::redis::{self, RedisJournal};
use crate::journal::sqlite::SqliteJournal;
use crate::ledger::Ledger;
use crate::ledger::postgres::PostgresLedger;
use crate::ledger::registry::Registry;
use crate::ledger::reminders::ReminderStore;
use crate::ledger::sqlite::SqliteLedger;
use crate::ownership::publishing_postgres::PostgresPublishLock;
use crate::ownership::{Cluster, Ownership, PeerTransport, PostgresOwnership, Tenures};
use crate::postgres;
use crate::running::{Owning, Stores};

/// Below the data directory: which process of the cluster the last one here was.
const INCARNATION_FILE: &str = "incarnation";
/// Below the data directory: whose data a Redis without a database holds.
pub(crate) const INSTALLATION_FILE: &str = "installation";

/// Stores, and what belongs to them.
pub(super) struct Opened {
    pub(super) stores: Stores,
    pub(super) cluster: Cluster,
    /// What is claimed across nodes, where there can be several.
    pub(super) guard: Option<Arc<Guard>>,
    /// Held for as long as the process lives, where no store holds it itself.
    pub(super) lock: Option<DirectoryLock>,
}

/// Opens what `config` names.
pub(super) async fn open(
    config: &EngineConfig,
    clock: &Arc<dyn Clock>,
    ids: &dyn Ids,
    transport: Option<Arc<dyn PeerTransport>>,
) -> Result<Opened, StartError> {
    match &config.stores {
        StoreSettings::Embedded => embedded(config).await,
        StoreSettings::Redis { redis } => redis_alone(config, redis, clock, ids).await,
        StoreSettings::RedisPostgres { redis, database } => {
            let lock = DirectoryLock::acquire(&config.data_dir)?;
            let (url, tenures) = (database.url.reveal(), Arc::new(Tenures::none()));
            let ledger = PostgresLedger::open(url, Arc::clone(&tenures), true).await?;
            let settings = redis_settings(redis, postgres::installation(url).await?);
            let journal = RedisJournal::open(settings, Arc::clone(&tenures), Arc::clone(clock)).await?;
            let parts = Shared { journal: Arc::new(journal), ledger, tenures, lock };
            shared(config, database, ids, transport, parts).await
        }
        StoreSettings::Postgres { database } => {
            let lock = DirectoryLock::acquire(&config.data_dir)?;
            let (url, tenures) = (database.url.reveal(), Arc::new(Tenures::none()));
            let ledger = PostgresLedger::open(url, Arc::clone(&tenures), false).await?;
            let accepts = database.accept_asynchronous_standby;
            let journal = PostgresJournal::open(url, Arc::clone(&tenures), accepts).await?;
            let parts = Shared { journal: Arc::new(journal), ledger, tenures, lock };
            shared(config, database, ids, transport, parts).await
        }
    }
}

/// The ledger's database has everything beside the journal.
fn stores<L>(journal: Arc<dyn Journal>, ledger: Arc<L>, owning: Owning) -> Stores
where
    L: Ledger + Registry + ReminderStore,
{
    Stores { journal, ledger: Arc::clone(&ledger) as _, registry: Arc::clone(&ledger) as _, reminders: ledger, owning }
}

async fn embedded(config: &EngineConfig) -> Result<Opened, StartError> {
    let journal = Arc::new(SqliteJournal::open(&config.data_dir).await?);
    let ledger = Arc::new(SqliteLedger::open(&config.data_dir).await?.with_reminders(&config.reminders));
    let cluster = Cluster { feed: feed::open(&config.feed, Arc::clone(&ledger) as _)?, ..Cluster::default() };
    let stores = stores(journal, ledger, Owning::Sole);
    Ok(Opened { stores, cluster, guard: None, lock: None })
}

/// One process only: the journal itself says who came last.
async fn redis_alone(
    config: &EngineConfig,
    settings: &RedisSettings,
    clock: &Arc<dyn Clock>,
    ids: &dyn Ids,
) -> Result<Opened, StartError> {
    let lock = DirectoryLock::acquire(&config.data_dir)?;
    let ledger = SqliteLedger::open_behind_forgetful(&config.data_dir).await?;
    let ledger = Arc::new(ledger.with_reminders(&config.reminders));
    let file = config.data_dir.join(INSTALLATION_FILE);
    let installation = match read_id(&file)? {
        Some(id) => id,
        None => write_id(&file, ids.next())?,
    };
    let tenures = Arc::new(Tenures::none());
    let settings = redis_settings(settings, installation);
    let journal = Arc::new(RedisJournal::open(settings, Arc::clone(&tenures), Arc::clone(clock)).await?);
    journal.claim_alone().await?;
    let owning = Owning::Alone { tenures, reclaim: Arc::clone(&journal) as _ };
    let cluster = Cluster { feed: feed::open(&config.feed, Arc::clone(&ledger) as _)?, ..Cluster::default() };
    let stores = stores(journal, ledger, owning);
    Ok(Opened { stores, cluster, guard: None, lock: Some(lock) })
}

/// What both profiles with a database have.
struct Shared {
    journal: Arc<dyn Journal>,
    ledger: PostgresLedger,
    tenures: Arc<Tenures>,
    lock: DirectoryLock,
}

async fn shared(
    config: &EngineConfig,
    database: &DatabaseSettings,
    ids: &dyn Ids,
    transport: Option<Arc<dyn PeerTransport>>,
    parts: Shared,
) -> Result<Opened, StartError> {
    let url = database.url.reveal();
    let store: Arc<dyn Ownership> = Arc::new(PostgresOwnership::open(url).await?);
    // Whoever holds the lock of the directory knows that the process before it is dead: nobody need wait for its lease to end.
    let file = config.data_dir.join(INCARNATION_FILE);
    if let Some(before) = read_id(&file)? {
        store.leave(before).await.map_err(|error| StartError::Store(error.to_string()))?;
    }
    let incarnation = write_id(&file, ids.next())?;
    let owning = Owning::Shared {
        tenures: parts.tenures,
        store,
        incarnation,
        address: config.node.address.clone().unwrap_or_default(),
        lease_millis: config.node.lease_millis,
    };
    let guard = Some(Arc::new(Guard::new(Arc::new(PostgresClaims::open(url).await?))));
    let publish_lock = Some(Arc::new(PostgresPublishLock::new(url)?) as _);
    let ledger = Arc::new(parts.ledger.with_reminders(&config.reminders));
    let feed = feed::open(&config.feed, Arc::clone(&ledger) as _)?;
    let stores = stores(parts.journal, ledger, owning);
    Ok(Opened { stores, cluster: Cluster { transport, publish_lock, feed }, guard, lock: Some(parts.lock) })
}

/// What the journal on Redis is told.
pub(crate) fn redis_settings(settings: &RedisSettings, installation: Uuid) -> redis::RedisSettings {
    let urls = settings.urls.iter().map(|url| url.reveal().to_owned()).collect();
    redis::RedisSettings {
        replicas_min: settings.replicas as usize,
        accept_appendfsync_no: settings.accept_appendfsync_no,
        ..redis::RedisSettings::new(urls, installation)
    }
}

/// The id that `file` holds; `None`: there is no such file.
pub(crate) fn read_id(file: &Path) -> Result<Option<Uuid>, StartError> {
    match fs::read_to_string(file) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| unusable(file, "it is not a UUID")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(file, &error.to_string())),
    }
}

/// Written beside and renamed, so that a crash leaves the old id or the new one.
fn write_id(file: &Path, id: Uuid) -> Result<Uuid, StartError> {
    let beside = file.with_extension("new");
    let write = || {
        let mut open = fs::File::create(&beside)?;
        writeln!(open, "{id}")?;
        open.sync_all()?;
        fs::rename(&beside, file)
    };
    write().map(|()| id).map_err(|error| unusable(file, &error.to_string()))
}

fn unusable(file: &Path, reason: &str) -> StartError {
    StartError::Store(format!("{}: {reason}", file.display()))
}
