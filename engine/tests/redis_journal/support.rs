//! Journals over real servers, and the records that the tests write.
//! Must not know: what is tested.

use std::sync::Arc;
use std::time::Duration;

use booking_core::{DayKey, SHARD_COUNT};
use engine::clock::{Clock, SystemClock};
use engine::journal::contract::append_of;
use engine::journal::redis::{RedisJournal, RedisSettings};
use engine::journal::{AppendError, DayOutcome, Head, Journal};
use engine::ownership::Tenures;
use uuid::Uuid;

/// Whose data the tests write.
pub(crate) const INSTALLATION: Uuid = Uuid::from_u128(0x1);
/// Far beyond every deadline of the journal.
const PATIENCE: Duration = Duration::from_secs(40);

/// An opened journal and what it may speak for.
pub(crate) struct Owner {
    pub(crate) journal: RedisJournal,
    pub(crate) tenures: Arc<Tenures>,
}

/// Settings for `urls` with `replicas`.
pub(crate) fn settings(urls: Vec<String>, replicas: usize) -> RedisSettings {
    let mut settings = RedisSettings::new(urls, INSTALLATION);
    settings.replicas_min = replicas;
    settings
}

/// Opens a journal that owns nothing yet.
pub(crate) async fn open(settings: RedisSettings) -> Owner {
    let tenures = Arc::new(Tenures::none());
    let opened = RedisJournal::open(settings, Arc::clone(&tenures), Arc::new(SystemClock::start())).await;
    Owner { journal: opened.expect("it opens"), tenures }
}

/// Opens a journal that owns everything.
pub(crate) async fn alone(settings: RedisSettings) -> Owner {
    let owner = open(settings).await;
    owner.journal.claim_alone().await.expect("it claims everything");
    owner
}

/// A process that starts and owns every shard under `epoch`, as a database would have told it.
pub(crate) async fn owner_under(settings: RedisSettings, epoch: u32) -> Owner {
    let owner = open(settings).await;
    owner.take(epoch).await;
    owner
}

impl Owner {
    /// Takes every shard under `epoch`.
    pub(crate) async fn take(&self, epoch: u32) {
        self.take_some(&(0..SHARD_COUNT).collect::<Vec<_>>(), epoch).await;
    }

    /// Takes `shards` under `epoch`.
    pub(crate) async fn take_some(&self, shards: &[u16], epoch: u32) {
        let wanted: Vec<(u16, u32)> = shards.iter().map(|shard| (*shard, epoch)).collect();
        let ours = self.journal.install(&wanted).await.expect("it installs");
        assert_eq!(ours, wanted);
        ours.iter().for_each(|(shard, epoch)| self.tenures.grant(*shard, *epoch));
        self.tenures.extend(u64::MAX);
    }

    /// Appends `body` to `day` after `expected`.
    pub(crate) async fn try_append(
        &self,
        day: DayKey,
        expected: Head,
        body: &[u8],
    ) -> Result<(DayOutcome, Head), AppendError> {
        let (append, head) = append_of(day, self.journal.epoch(), expected, &[body]);
        self.journal.append(&[append]).await.map(|outcomes| (outcomes[0], head))
    }

    /// As [`Owner::try_append`], and it is written.
    pub(crate) async fn append(&self, day: DayKey, expected: Head, body: &[u8]) -> Head {
        let (outcome, head) = self.try_append(day, expected, body).await.expect("the journal writes");
        assert!(matches!(outcome, DayOutcome::Appended { .. }), "{day}: {outcome:?}");
        head
    }

    /// The bodies that `day` has now.
    pub(crate) async fn bodies(&self, day: DayKey) -> Vec<Vec<u8>> {
        let loaded = self.journal.load(day).await.expect("a load");
        loaded.map(|loaded| loaded.tail.iter().map(|record| record.body.to_vec()).collect()).unwrap_or_default()
    }

    /// The bodies that this process remembers of `day`'s shard.
    pub(crate) fn remembered(&self, day: DayKey) -> Vec<Vec<u8>> {
        self.journal.remembered(day.shard()).iter().map(|record| record.body.to_vec()).collect()
    }

    /// Raises the barrier as often as it takes.
    pub(crate) async fn settle(&self) {
        eventually("the barrier is raised", async || self.journal.barrier().await.is_ok()).await;
    }
}

/// Becomes ready when `condition` holds; fails after a long time.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let clock = SystemClock::start();
    let holds = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(engine::clock::timeout(&clock as &dyn Clock, PATIENCE, holds).await.is_some(), "never: {what}");
}
