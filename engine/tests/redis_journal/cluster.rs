//! A cluster whose primaries change while records are appended.
//! Must not know: how servers are found.

use async_trait::async_trait;
use booking_core::DayKey;
use engine::journal::contract::{append_of, day};
use engine::journal::repair::RawRecords;
use engine::journal::{AppendError, DayOutcome, Head, Journal, ReadError, StoredRecord};
use servers::RedisCluster;

use crate::support::{Owner, alone, eventually, settings};

const DAYS: i32 = 24;

/// A ledger that has nothing.
struct Nothing;

#[async_trait]
impl RawRecords for Nothing {
    async fn heads(&self, _shard: u16) -> Result<Vec<(DayKey, Head)>, ReadError> {
        Ok(Vec::new())
    }

    async fn records(&self, _day: DayKey) -> Result<Vec<StoredRecord>, ReadError> {
        Ok(Vec::new())
    }

    async fn note_lost(&self, records: &[StoredRecord]) -> Result<u64, ReadError> {
        assert!(records.is_empty(), "nobody else writes: {records:?}");
        Ok(0)
    }
}

/// One more record to each day, as an owner would: what is unknown is settled and read again, what is lost is claimed again
/// and repaired. A head that is not known (`None`) is read first. Returns how many were acknowledged.
async fn round(owner: &Owner, heads: &mut [Option<Head>]) -> usize {
    let mut acknowledged = 0;
    for number in 0..DAYS {
        let place = number as usize;
        let lost: Vec<u16> = owner.journal.lost_shards().borrow().iter().collect();
        for (shard, _) in owner.journal.reclaim_alone(&lost).await.unwrap_or_default() {
            owner.journal.repair_shard(shard, &Nothing, &[]).await.expect("a repair");
        }
        if heads[place].is_none() {
            let Ok(loaded) = owner.journal.load(day(number)).await else { continue };
            heads[place] = Some(loaded.map(|loaded| loaded.head).unwrap_or_default());
        }
        let expected = heads[place].unwrap_or_default();
        let epoch = owner.journal.epoch_of(day(number).shard());
        let (append, head) = append_of(day(number), epoch, expected, &[b"x"]);
        match owner.journal.append(&[append]).await {
            Ok(outcomes) => match outcomes[0] {
                DayOutcome::Appended { .. } => {
                    acknowledged += 1;
                    heads[place] = Some(head);
                }
                DayOutcome::StaleEpoch { .. } | DayOutcome::Failed => {}
                DayOutcome::Unsettled => heads[place] = None,
                DayOutcome::Conflict { actual } => panic!("{}: {actual:?} instead of {expected:?}", day(number)),
            },
            Err(AppendError::Unknown(_)) => {
                owner.settle().await;
                // If it stands, it is remembered; so its memory tells where the day ends.
                let own = owner.journal.remembered(day(number).shard());
                if own.iter().any(|record| record.day == day(number) && record.hash == head.hash) {
                    heads[place] = Some(head);
                }
            }
            Err(AppendError::Failed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_go_on_over_a_failover_and_nothing_acknowledged_is_lost() {
    let mut cluster = RedisCluster::start().await;
    let owner = alone(settings(cluster.urls().into_iter().take(2).collect(), 0)).await;
    let mut heads = vec![Some(Head::default()); DAYS as usize];
    assert_eq!(round(&owner, &mut heads).await, DAYS as usize);

    let slot = cluster.slot_of(&format!("{{{}}}", day(0).shard())).await;
    cluster.hold_replication_of(slot).await;
    assert_eq!(round(&owner, &mut heads).await, DAYS as usize, "acknowledged, and on one server only");
    let killed = cluster.kill_primary_of(slot).await;
    let during = round(&owner, &mut heads).await;
    let primary = cluster.wait_for_failover(slot, killed).await;
    assert_ne!(primary, killed);
    let heads = std::sync::Mutex::new(heads);
    eventually("every day is written again", async || {
        let mut now = heads.lock().expect("nobody panicked").clone();
        let count = round(&owner, &mut now).await;
        *heads.lock().expect("nobody panicked") = now;
        count == DAYS as usize
    })
    .await;
    let heads = heads.into_inner().expect("nobody panicked");
    for (number, head) in (0..DAYS).zip(heads) {
        let loaded = owner.journal.load(day(number)).await.expect("a load").expect("a day");
        assert_eq!(Some(loaded.head), head, "{}: {during} were written while the primary was gone", day(number));
        assert_eq!(loaded.tail.len() as u64, loaded.head.version.sequence);
    }
}
