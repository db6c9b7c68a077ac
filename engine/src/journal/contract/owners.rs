//! What a journal must do about shards: who owns them, their records in order, appends that an owner has left behind.
//! Must not know: which store is under test.

use super::*;
use crate::journal::ShardCursor;

/// Runs these tests, each over a store of its own; those about two processes where the store can have two.
pub(super) async fn run(factory: &dyn JournalFactory) {
    an_owner_installs_what_it_owns(factory.empty().await).await;
    a_shard_is_read_in_order(factory.empty().await).await;
    what_was_applied_need_not_be_read(factory.empty().await).await;
    the_same_append_again_is_no_second_one(factory.empty().await).await;
    a_newer_owner_refuses_the_older(factory).await;
    a_log_of_this_process_has_its_own_records(factory).await;
    a_barrier_ends_an_append_under_way(factory).await;
}

/// The first days whose shards differ from each other.
fn days_of_other_shards(count: usize) -> Vec<DayKey> {
    let mut days: Vec<DayKey> = Vec::new();
    for day in (1..).map(day) {
        if days.len() == count {
            break;
        }
        if days.iter().all(|other| other.shard() != day.shard()) {
            days.push(day);
        }
    }
    days
}

async fn grow_shard(journal: &dyn Journal, day: DayKey, expected: Head, bodies: &[&[u8]]) -> Head {
    let (append, head) = append_of(day, journal.epoch_of(day.shard()), expected, bodies);
    let outcomes = journal.append(&[append]).await.expect("the journal writes");
    assert!(matches!(outcomes[..], [DayOutcome::Appended { .. }]), "{day} after {expected:?}: {outcomes:?}");
    head
}

async fn an_owner_installs_what_it_owns(journal: Arc<dyn Journal>) {
    let shard = day(1).shard();
    let own = [(shard, journal.epoch_of(shard))];
    assert_eq!(journal.install(&own).await.expect("it installs"), own);
    assert_eq!(journal.install(&[]).await.expect("nothing to do"), []);
    grow_shard(&*journal, day(1), Head::default(), &[b"one"]).await;
    assert!(!journal.promise().is_empty());
}

async fn a_shard_is_read_in_order(journal: Arc<dyn Journal>) {
    let days = days_of_other_shards(2);
    let (mut heads, epoch) = ([Head::default(); 2], journal.epoch());
    for round in 0..3_u8 {
        for (day, head) in days.iter().zip(&mut heads) {
            *head = grow(&*journal, *day, *head, &[&[round], &[round, round]]).await;
        }
    }
    let shard = days[1].shard();
    let all = journal.read_shard(shard, ShardCursor::default(), 100).await.expect("a read");
    assert_eq!(all.iter().map(|record| record.version.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(all.iter().all(|record| record.day == days[1] && record.shard == shard && record.version.epoch == epoch));
    assert!(all.windows(2).all(|pair| pair[0].cursor() < pair[1].cursor()));
    for (after, limit) in [(0, 2), (2, 3), (3, 100), (5, 0), (6, 5)] {
        let cursor = if after == 0 { ShardCursor::default() } else { all[after - 1].cursor() };
        let some = journal.read_shard(shard, cursor, limit).await.expect("a read");
        let sequences: Vec<_> = some.iter().map(|record| record.version.sequence as usize).collect();
        assert_eq!(sequences, (after + 1..=6).take(limit).collect::<Vec<_>>(), "after {after}, {limit} at most");
    }
    let later = ShardCursor { epoch: epoch + 1, position: 0 };
    assert!(journal.read_shard(shard, later, 10).await.expect("a read").is_empty());
    let other = days[0].shard();
    for (cursors, expected) in [
        (vec![(shard, ShardCursor::default()), (other, later)], vec![shard]),
        (vec![(shard, all[4].cursor()), (other, ShardCursor::default())], vec![shard, other]),
        (vec![(shard, all[5].cursor())], vec![]),
        (vec![], vec![]),
    ] {
        let mut ahead = journal.ahead_of(&cursors).await.expect("a read");
        ahead.sort_by_key(|number| *number != shard);
        assert_eq!(ahead, expected, "after {cursors:?}");
    }
}

async fn what_was_applied_need_not_be_read(journal: Arc<dyn Journal>) {
    let head = grow(&*journal, day(1), Head::default(), &[b"1", b"2", b"3"]).await;
    journal.applied(2);
    let rest = journal.read_after(2, 10).await.expect("a read");
    assert_eq!(rest.iter().map(|record| record.position).collect::<Vec<_>>(), [3]);
    journal.applied(3);
    assert!(journal.read_after(3, 10).await.expect("a read").is_empty());
    grow(&*journal, day(1), head, &[b"4"]).await;
    let rest = journal.read_after(3, 10).await.expect("a read");
    assert_eq!(rest.iter().map(|record| record.position).collect::<Vec<_>>(), [4]);
    assert_eq!(journal.last_position().await.expect("a read"), 4);
    assert_eq!(bodies(&*journal, day(1)).await.len(), 4, "the day itself has everything");
}

/// An owner that did not hear of its success may ask again: told of the success or of the head that it made, never both written.
async fn the_same_append_again_is_no_second_one(journal: Arc<dyn Journal>) {
    let (append, head) = append_of(day(1), journal.epoch(), Head::default(), &[b"1", b"2"]);
    let first = journal.append(std::slice::from_ref(&append)).await.expect("the journal writes");
    let (other, _) = append_of(day(2), journal.epoch(), Head::default(), &[b"x"]);
    let again = journal.append(&[append, other]).await.expect("the journal answers");
    assert!(again[0] == first[0] || again[0] == DayOutcome::Conflict { actual: head }, "{again:?} after {first:?}");
    let [_, DayOutcome::Appended { position }] = again[..] else { panic!("{again:?}") };
    assert!(position == 3 || (journal.log() == LogKind::OfThisProcess && position > 3), "{again:?}");
    assert_eq!(bodies(&*journal, day(1)).await, [b"1", b"2"]);
    assert_eq!(journal.last_position().await.expect("a read"), position);
}

async fn a_newer_owner_refuses_the_older(factory: &dyn JournalFactory) {
    let older = factory.empty().await;
    let days = days_of_other_shards(2);
    let (taken, kept) = (days[0], days[1]);
    let head = grow_shard(&*older, taken, Head::default(), &[b"one"]).await;
    let kept_head = grow_shard(&*older, kept, Head::default(), &[b"one"]).await;
    let Some(newer) = factory.take_over(&older, &[taken.shard()]).await else { return };
    let (old_epoch, epoch) = (older.epoch_of(taken.shard()), newer.epoch_of(taken.shard()));
    assert!(epoch > old_epoch && newer.epoch_of(kept.shard()) == 0, "it has that shard alone");

    let (late, _) = append_of(taken, old_epoch, head, &[b"late"]);
    let (good, kept_head) = append_of(kept, older.epoch_of(kept.shard()), kept_head, &[b"two"]);
    let outcomes = older.append(&[late.clone(), good]).await.expect("the journal answers");
    assert_eq!(outcomes[0], DayOutcome::StaleEpoch { current: epoch });
    assert!(matches!(outcomes[1], DayOutcome::Appended { .. }), "its other shard is not concerned: {outcomes:?}");
    // Read from a record of the newer owner, say: what counts is who was given it.
    let (borrowed, _) = append_of(taken, epoch, head, &[b"borrowed"]);
    let outcomes = older.append(&[borrowed]).await.expect("the journal answers");
    assert!(matches!(outcomes[..], [DayOutcome::StaleEpoch { .. }]), "an epoch of somebody else's: {outcomes:?}");
    assert_eq!(older.install(&[(taken.shard(), old_epoch)]).await.expect("an answer"), []);
    let outcomes = older.append(&[late]).await.expect("the journal answers");
    assert_eq!(outcomes, [DayOutcome::StaleEpoch { current: epoch }], "installing again changes nothing");

    assert_eq!(bodies(&*newer, taken).await, [b"one"]);
    let head = grow_shard(&*newer, taken, head, &[b"two"]).await;
    assert_eq!((head.version.epoch, head.version.sequence), (epoch, 2));
    let (foreign, _) = append_of(kept, epoch, kept_head, &[b"foreign"]);
    let outcomes = newer.append(&[foreign]).await.expect("the journal answers");
    assert!(matches!(outcomes[..], [DayOutcome::StaleEpoch { .. }]), "not its shard: {outcomes:?}");
    assert_eq!(bodies(&*newer, kept).await.len(), 2);
    let told = newer.read_shard(taken.shard(), ShardCursor::default(), 10).await.expect("a read");
    assert_eq!(told.iter().map(|record| record.version.epoch).collect::<Vec<_>>(), [old_epoch, epoch]);
    let since = newer.read_shard(taken.shard(), told[0].cursor(), 10).await.expect("a read");
    assert_eq!(since.iter().map(|record| &record.body[..]).collect::<Vec<_>>(), [b"two"]);
    newer.close().await;
}

async fn a_log_of_this_process_has_its_own_records(factory: &dyn JournalFactory) {
    let older = factory.empty().await;
    let head = grow_shard(&*older, day(1), Head::default(), &[b"one", b"two"]).await;
    let Some(newer) = factory.take_over(&older, &[day(1).shard()]).await else { return };
    assert_eq!(newer.log(), LogKind::OfThisProcess, "two processes have two logs");
    assert_eq!(newer.last_position().await.expect("a read"), 0);
    assert!(newer.read_after(0, 10).await.expect("a read").is_empty());
    grow_shard(&*newer, day(1), head, &[b"three"]).await;
    for (journal, positions) in [(&older, vec![1, 2]), (&newer, vec![1])] {
        let own = journal.read_after(0, 10).await.expect("a read");
        assert_eq!(own.iter().map(|record| record.position).collect::<Vec<_>>(), positions);
    }
    newer.close().await;
}

async fn a_barrier_ends_an_append_under_way(factory: &dyn JournalFactory) {
    let journal = factory.empty().await;
    let head = grow(&*journal, day(1), Head::default(), &[b"one"]).await;
    let Some(stall) = factory.stall(&journal).await else { return };
    let (append, late_head) = append_of(day(1), journal.epoch(), head, &[b"late"]);
    let under_way = tokio::spawn({
        let journal = Arc::clone(&journal);
        async move { journal.append(&[append]).await }
    });
    stall.reached().await;
    journal.barrier().await.expect("a barrier");
    let seen = journal.load(day(1)).await.expect("a load").expect("a written day").head;
    stall.end().await;
    let outcome = under_way.await.expect("the append ends");
    let actual = if seen == late_head {
        late_head
    } else {
        assert!(outcome.is_err(), "what has no effect is no success: {outcome:?}");
        head
    };
    // Whoever waited for the outcome raises the barrier again.
    journal.barrier().await.expect("a barrier");
    grow(&*journal, day(1), actual, &[b"next"]).await;
    let records = u64::try_from(bodies(&*journal, day(1)).await.len()).expect("few records");
    assert_eq!(records, actual.version.sequence + 1, "what the barrier left out stays out");
    let own = journal.read_after(0, 10).await.expect("a read");
    assert_eq!(own.iter().map(|record| record.position).collect::<Vec<_>>(), (1..=records).collect::<Vec<_>>());
}
