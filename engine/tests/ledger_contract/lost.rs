//! Records of branches that are over wait in the ledger until they are settled, or their day is over.
//! Must not know: what they promised.

use booking_core::DayKey;
use engine::journal::{ChainHash, StoredRecord};
use engine::ledger::lost::LostOutcome;
use engine::ledger::{AppliedRecord, ApplyError, Ledger};
use engine::ownership::Tenures;

use crate::story::{Story, date, day};
use crate::{Backend, Database};

fn stored(record: &AppliedRecord) -> StoredRecord {
    let AppliedRecord { day, version, position, hash, body, .. } = record.clone();
    StoredRecord { day, shard: day.shard(), position, version, hash, body }
}

/// Two days; a booking on each.
fn lost() -> Vec<StoredRecord> {
    let mut story = Story::of_day(day(1), 4, 1);
    story.book(day(1), 1, 0);
    story.publish(DayKey { date: date(1), ..day(2) }, 4, 1);
    story.book(DayKey { date: date(1), ..day(2) }, 2, 0);
    story.records.iter().map(stored).collect()
}

fn plain(record: &StoredRecord) -> (DayKey, u64, u32, u64, ChainHash, Vec<u8>) {
    let version = record.version;
    (record.day, version.sequence, version.epoch, record.position, record.hash, record.body.to_vec())
}

async fn waiting(ledger: &dyn Ledger, day: DayKey) -> Vec<(DayKey, u64, u32, u64, ChainHash, Vec<u8>)> {
    ledger.lost_records(day).await.expect("read").iter().map(plain).collect()
}

pub(crate) async fn lost_records_wait_until_they_are_settled(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let lost = lost();
    let (first, second) = (lost[0].day, lost[2].day);
    assert_eq!(ledger.note_lost(&[]).await.expect("nothing"), 0);
    assert_eq!(ledger.note_lost(&lost).await.expect("noted"), 4);
    let another = StoredRecord { hash: ChainHash([0xEE; 16]), ..lost[1].clone() };
    let again = [lost.clone(), vec![another.clone()]].concat();
    assert_eq!(ledger.note_lost(&again).await.expect("noted"), 1, "of two branches, and each once");
    assert_eq!(ledger.lost_days().await.expect("read"), [first, second]);
    let mut of_first = vec![plain(&lost[0]), plain(&lost[1]), plain(&another)];
    of_first.sort_by_key(|record| (record.1, record.4.0));
    assert_eq!(waiting(&*ledger, first).await, of_first);

    ledger.settle_lost(&lost[..2], &LostOutcome::Settled).await.expect("settled");
    ledger.settle_lost(&lost[2..], &LostOutcome::Broken("the slot is taken".to_owned())).await.expect("settled");
    ledger.close().await;
    let ledger = backend.open().await.ledger;
    assert_eq!(ledger.note_lost(&lost).await.expect("noted"), 0, "what is settled stays so");
    assert_eq!(ledger.lost_days().await.expect("read"), [first]);
    assert_eq!(waiting(&*ledger, first).await, [plain(&another)]);
    assert!(waiting(&*ledger, second).await.is_empty());
}

pub(crate) async fn lost_records_are_kept_until_their_day_is_over(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let lost = lost();
    ledger.note_lost(&lost).await.expect("noted");
    ledger.forget_won_keys(date(0)).await.expect("forgotten");
    assert_eq!(ledger.lost_days().await.expect("read").len(), 2, "not over yet");
    ledger.forget_won_keys(date(1)).await.expect("forgotten");
    assert_eq!(ledger.lost_days().await.expect("read"), [lost[2].day]);
    assert_eq!(ledger.note_lost(&lost[..1]).await.expect("noted"), 1, "nothing of it was left");
}

/// A note does no harm, whoever makes it; what became of it the owner alone says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_the_shard_notes_and_does_not_settle() {
    let database = Database::new().await;
    let owner = database.open().await.ledger;
    let over = Database::ledger(&database.url, Tenures::sole(Database::EPOCH - 1)).await;
    let lost = lost();
    assert_eq!(over.note_lost(&lost).await.expect("noted"), 4);
    let settled = over.settle_lost(&lost, &LostOutcome::Settled).await;
    assert!(matches!(settled, Err(ApplyError::Unavailable(_))), "{settled:?}");
    assert_eq!(owner.lost_days().await.expect("read").len(), 2);
    owner.settle_lost(&lost, &LostOutcome::Settled).await.expect("settled");
    assert!(owner.lost_days().await.expect("read").is_empty());
}
