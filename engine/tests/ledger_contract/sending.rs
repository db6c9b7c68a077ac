//! What becomes of reminders: looked for, claimed by one, recorded, handed on to the next channel, dead.
//! Must not know: how a message leaves.

use std::sync::Arc;

use booking_core::{AppointmentId, UtcMillis};
use engine::ledger::ApplyError;
use engine::ledger::people::Channel;
use engine::ledger::reminders::{Claimer, Kind, Outcome, ReminderKey, ReminderRow, ReminderStatus, ReminderStore};
use engine::ownership::{ShardSet, Tenures};
use uuid::Uuid;

use crate::ledger::apply_news;
use crate::reminders::{all_channels, early, profile, rows_of, told};
use crate::story::{Story, day, patient};
use crate::{Backend, Database, Stores};

const THIS: Claimer = Claimer { incarnation: Uuid::from_u128(1) };
const NEXT: Claimer = Claimer { incarnation: Uuid::from_u128(2) };
/// How long a claim lasts here.
const CLAIM_MILLIS: i64 = 30_000;

/// A day with bookings of some patients, each confirmed at once.
pub(crate) async fn town(stores: &Stores, patients: u128) -> (Story, Vec<AppointmentId>) {
    let mut story = early(&[1, 2]);
    let ids = (0..patients).map(|who| story.book(day(1 + who % 2), 1 + who, (who / 2 % 4) as usize)).collect();
    apply_news(&*stores.ledger, &mut story).await;
    (story, ids)
}

/// Everything that is due before `until`.
pub(crate) async fn due(store: &dyn ReminderStore, until: UtcMillis) -> Vec<ReminderRow> {
    store.due(&ShardSet::ALL, None, until, usize::MAX).await.expect("read")
}

fn keys(rows: &[ReminderRow]) -> Vec<ReminderKey> {
    rows.iter().map(|row| row.key).collect()
}

async fn claim(store: &dyn ReminderStore, keys: &[ReminderKey], claimer: Claimer, now: UtcMillis) -> Vec<ReminderRow> {
    store.claim(keys, claimer, now, now.plus_millis(CLAIM_MILLIS)).await.expect("claimed")
}

async fn record(store: &dyn ReminderStore, key: ReminderKey, outcome: Outcome, now: UtcMillis) -> Vec<ReminderRow> {
    store.record(&[(key, outcome)], THIS, now).await.expect("recorded")
}

async fn row(store: &dyn ReminderStore, key: ReminderKey) -> ReminderRow {
    rows_of(store, key.appointment).await.into_iter().find(|row| row.key == key).expect("the row")
}

fn given_up() -> Outcome {
    Outcome::GivenUp { error: "the provider says no".to_owned() }
}

pub(crate) async fn due_rows_come_by_instant(backend: &impl Backend) {
    let stores = backend.open().await;
    let store = &*stores.reminders;
    let (story, ids) = town(&stores, 4).await;
    let now = UtcMillis(story.now);
    let all = due(store, UtcMillis(i64::MAX)).await;
    assert!(all.len() == 12 && all.is_sorted_by_key(|row| row.next_at));
    let confirmations = due(store, now.plus_millis(1)).await;
    assert_eq!(keys(&confirmations), keys(&all)[..4]);
    assert!(confirmations.iter().all(|row| row.key.kind == Kind::Confirmation));
    // Up to an instant, and not at it.
    assert_eq!(due(store, all[3].next_at).await, all[..3]);
    assert_eq!(store.due(&ShardSet::ALL, None, UtcMillis(i64::MAX), 4).await.expect("read"), all[..4]);
    let shards: ShardSet = [day(2).shard()].into_iter().collect();
    let of_second: Vec<ReminderRow> = all.iter().filter(|row| row.day == day(2)).cloned().collect();
    assert_eq!(store.due(&shards, None, UtcMillis(i64::MAX), 5).await.expect("read"), of_second[..5]);
    assert_eq!(store.due(&ShardSet::default(), None, UtcMillis(i64::MAX), 5).await.expect("read"), []);
    // A claim may lapse, so it is told; what is over is not.
    let key = rows_of(store, ids[0]).await[0].key;
    let claimed = claim(store, &[key], THIS, now).await;
    assert_eq!((claimed[0].status, claimed[0].attempts), (ReminderStatus::Sending, 1));
    assert_eq!(claimed[0].next_at, now.plus_millis(CLAIM_MILLIS));
    assert_eq!(due(store, claimed[0].next_at.plus_millis(1)).await[3], claimed[0]);
    record(store, key, Outcome::Sent, now).await;
    assert_eq!(due(store, UtcMillis(i64::MAX)).await.len(), 11);
}

pub(crate) async fn a_claim_that_came_to_nothing_is_no_attempt(backend: &impl Backend) {
    let stores = backend.open().await;
    let store = &*stores.reminders;
    let (mut story, ids) = town(&stores, 2).await;
    let (key, now) = (rows_of(store, ids[0]).await[0].key, UtcMillis(story.now));
    claim(store, &[key], THIS, now).await;
    let later = now.plus_millis(1_000);
    record(store, key, Outcome::Released { at: later, error: Some("nobody is there".to_owned()) }, now).await;
    let released = row(store, key).await;
    assert_eq!((released.status, released.attempts, released.next_at), (ReminderStatus::Pending, 0, later));
    assert_eq!(released.last_error.as_deref(), Some("nobody is there"));
    assert_eq!(claim(store, &[key], THIS, now).await, []);
    assert_eq!(claim(store, &[key], THIS, later).await[0].attempts, 1);
    // Nothing more to say leaves what was said; and one whose appointment has changed meanwhile is void.
    record(store, key, Outcome::Released { at: later, error: None }, later).await;
    assert_eq!(row(store, key).await, released);
    claim(store, &[key], THIS, later).await;
    story.cancel(day(1), ids[0], None);
    apply_news(&*stores.ledger, &mut story).await;
    record(store, key, Outcome::Released { at: later, error: None }, later).await;
    assert_eq!(row(store, key).await.status, ReminderStatus::Cancelled);
}

pub(crate) async fn one_of_two_claims_wins(backend: &impl Backend) {
    let stores = backend.open().await;
    let (story, ids) = town(&stores, 8).await;
    let now = UtcMillis(story.now);
    let all = keys(&due(&*stores.reminders, now.plus_millis(1)).await);
    assert_eq!(all.len(), ids.len());
    let claims = (0..4).map(|number| {
        let (store, mut keys) = (Arc::clone(&stores.reminders), all.clone());
        // Each in another order.
        keys.rotate_left(2 * number);
        tokio::spawn(async move { claim(&*store, &keys, THIS, now).await })
    });
    let mut won = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        won.extend(keys(&claim.await.expect("no panic")));
    }
    won.sort_unstable();
    let mut expected = all;
    expected.sort_unstable();
    assert_eq!(won, expected, "each once");
}

pub(crate) async fn a_claim_lapses(backend: &impl Backend) {
    let stores = backend.open().await;
    let store = &*stores.reminders;
    let (story, ids) = town(&stores, 1).await;
    let rows = rows_of(store, ids[0]).await;
    let (key, now) = (rows[0].key, UtcMillis(story.now));
    // What is not due yet is nobody's; and who names a row twice, or one that is not there, gets it once, or not at all.
    let stranger = ReminderKey { version: 9, ..key };
    let claimed = claim(store, &[rows[1].key, key, key, stranger], THIS, now).await;
    assert_eq!(keys(&claimed), [key]);
    assert_eq!(claim(store, &[key], THIS, now.plus_millis(CLAIM_MILLIS - 1)).await, []);
    let again = claim(store, &[key], THIS, now.plus_millis(CLAIM_MILLIS)).await;
    assert_eq!((again.len(), again[0].attempts), (1, 2));
}

pub(crate) async fn the_next_start_takes_over_what_the_last_one_claimed(backend: &impl Backend) {
    let stores = backend.open().await;
    let (story, ids) = town(&stores, 1).await;
    let (key, now) = (rows_of(&*stores.reminders, ids[0]).await[0].key, UtcMillis(story.now));
    assert_eq!(claim(&*stores.reminders, &[key], THIS, now).await.len(), 1);
    stores.ledger.close().await;
    let stores = backend.open().await;
    let store = &*stores.reminders;
    assert_eq!(claim(store, &[key], NEXT, now).await.len(), 1, "long before it lapses");
    // The first one is not dead after all.
    record(store, key, Outcome::Sent, now).await;
    assert_eq!(row(store, key).await.status, ReminderStatus::Sending, "not its claim any more");
    store.record(&[(key, Outcome::Sent)], NEXT, now).await.expect("recorded");
    assert_eq!(row(store, key).await.status, ReminderStatus::Sent);
}

pub(crate) async fn an_outcome_is_recorded_once(backend: &impl Backend) {
    let stores = backend.open().await;
    let store = &*stores.reminders;
    let (story, ids) = town(&stores, 4).await;
    let now = UtcMillis(story.now);
    let mut all = Vec::new();
    for id in ids {
        all.push(rows_of(store, id).await[0].key);
    }
    record(store, all[0], Outcome::Sent, now).await;
    assert_eq!(row(store, all[0]).await.status, ReminderStatus::Pending, "nobody has claimed it");
    assert_eq!(claim(store, &all, THIS, now).await.len(), 4);
    let later = now.plus_millis(2_000);
    let again = Outcome::Again { at: later, error: "it did not answer".to_owned() };
    let outcomes = [Outcome::Sent, again, Outcome::Missed, Outcome::Cancelled];
    let pairs: Vec<(ReminderKey, Outcome)> = all.iter().copied().zip(outcomes).collect();
    assert_eq!(store.record(&pairs, THIS, now).await.expect("recorded"), []);
    let rows = [row(store, all[0]).await, row(store, all[1]).await, row(store, all[2]).await, row(store, all[3]).await];
    assert_eq!((rows[0].status, rows[0].sent_at, rows[0].attempts), (ReminderStatus::Sent, Some(now), 1));
    assert_eq!((rows[1].status, rows[1].next_at), (ReminderStatus::Pending, later));
    assert_eq!(rows[1].last_error.as_deref(), Some("it did not answer"));
    assert!(rows[1].due_at < later, "as it was to go out first");
    assert_eq!((rows[2].status, rows[3].status), (ReminderStatus::Missed, ReminderStatus::Cancelled));
    // What is recorded already is not recorded again.
    record(store, all[0], Outcome::Missed, later).await;
    assert_eq!(row(store, all[0]).await, rows[0]);
    assert_eq!(keys(&claim(store, &all, THIS, now).await), [], "not before its next attempt");
    let claimed = claim(store, &all, THIS, later).await;
    assert_eq!((keys(&claimed), claimed[0].attempts), (vec![all[1]], 2));
}

pub(crate) async fn a_channel_that_gives_up_hands_on(backend: &impl Backend) {
    let stores = backend.open_with(&all_channels()).await;
    let store = &*stores.reminders;
    let chain = Some(vec![Channel::Sms, Channel::Email, Channel::File]);
    stores.registry.put_patient(patient(1), &profile(chain), UtcMillis(1)).await.expect("written");
    let (story, ids) = town(&stores, 1).await;
    let mut key = rows_of(store, ids[0]).await[0].key;
    let mut now = UtcMillis(story.now);
    let due_at = row(store, key).await.due_at;
    for (channel, rest) in [(Channel::Email, vec![Channel::File]), (Channel::File, vec![])] {
        claim(store, &[key], THIS, now).await;
        now = now.plus_millis(60_000);
        let next = record(store, key, given_up(), now).await;
        assert_eq!(row(store, key).await.status, ReminderStatus::Failed);
        assert_eq!(row(store, key).await.last_error.as_deref(), Some("the provider says no"));
        key.channel = channel;
        assert_eq!((keys(&next), &next[0].fallback), (vec![key], &rest));
        assert_eq!(next[0], row(store, key).await);
        assert_eq!((next[0].status, next[0].due_at, next[0].attempts), (ReminderStatus::Pending, now, 0));
        assert!(next[0].due_at > due_at);
    }
    claim(store, &[key], THIS, now).await;
    assert_eq!(record(store, key, given_up(), now).await, []);
    let last = row(store, key).await;
    assert_eq!((last.status, last.attempts), (ReminderStatus::Dead, 1));
    assert_eq!(keys(&store.dead(None, 9).await.expect("read")), [key]);
}

pub(crate) async fn what_is_void_while_it_is_sent_is_not_tried_again(backend: &impl Backend) {
    let stores = backend.open().await;
    let store = &*stores.reminders;
    let (mut story, ids) = town(&stores, 3).await;
    let now = UtcMillis(story.now);
    let all: Vec<ReminderKey> = keys(&due(store, now.plus_millis(1)).await);
    assert_eq!(claim(store, &all, THIS, now).await.len(), 3);
    for (number, id) in ids.iter().enumerate() {
        assert!(story.cancel(day(1 + number as u128 % 2), *id, None));
    }
    apply_news(&*stores.ledger, &mut story).await;
    for key in &all {
        assert_eq!(row(store, *key).await.status, ReminderStatus::Sending, "it may be out already");
    }
    let again = Outcome::Again { at: now, error: "no answer".to_owned() };
    let outcomes = [again, given_up(), Outcome::Sent];
    let pairs: Vec<(ReminderKey, Outcome)> = all.iter().copied().zip(outcomes).collect();
    assert_eq!(store.record(&pairs, THIS, now).await.expect("recorded"), []);
    for (key, status) in all.iter().zip([ReminderStatus::Cancelled, ReminderStatus::Cancelled, ReminderStatus::Sent]) {
        assert_eq!(row(store, *key).await.status, status);
    }
    assert_eq!(store.dead_count(&ShardSet::ALL).await.expect("read"), 0);
}

pub(crate) async fn dead_letters_are_listed_driven_again_and_discarded(backend: &impl Backend) {
    let stores = backend.open().await;
    let store = &*stores.reminders;
    let (mut story, _) = town(&stores, 8).await;
    let now = UtcMillis(story.now);
    let all = keys(&due(store, now.plus_millis(1)).await);
    claim(store, &all, THIS, now).await;
    let outcomes: Vec<(ReminderKey, Outcome)> = all.iter().map(|key| (*key, given_up())).collect();
    store.record(&outcomes, THIS, now).await.expect("recorded");
    assert_eq!(store.dead_count(&ShardSet::ALL).await.expect("read"), 8);
    let (mut after, mut pages) = (None, Vec::new());
    loop {
        let page = store.dead(after, 3).await.expect("read");
        let Some(last) = page.last() else { break };
        after = Some((last.due_at, last.key.message_id()));
        pages.push(page);
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
    let dead = pages.concat();
    assert!(dead.is_sorted_by_key(|row| (row.due_at, row.key.message_id())));
    assert!(dead.iter().all(|row| row.status == ReminderStatus::Dead));

    let (first, second) = (dead[0].key, dead[1].key);
    assert!(store.discard(first.message_id()).await.expect("written"));
    assert!(!store.discard(first.message_id()).await.expect("written"), "there is none any more");
    assert_eq!(row(store, first).await.status, ReminderStatus::Failed);
    let later = now.plus_millis(3_600_000);
    assert_eq!(store.redrive(Some(second.message_id()), later).await.expect("written"), 1);
    assert_eq!(store.redrive(Some(first.message_id()), later).await.expect("written"), 0);
    let driven = row(store, second).await;
    assert_eq!((driven.status, driven.attempts, driven.next_at), (ReminderStatus::Pending, 0, later));
    assert_eq!(driven.key.message_id(), second.message_id(), "whoever gets it twice knows it");
    // A change makes what is dead void too.
    let void = dead[2].key;
    assert!(story.cancel(dead[2].day, void.appointment, None));
    apply_news(&*stores.ledger, &mut story).await;
    assert_eq!(row(store, void).await.status, ReminderStatus::Cancelled);
    assert_eq!(store.redrive(None, later).await.expect("written"), 5);
    assert_eq!(store.dead(None, 9).await.expect("read"), []);
    assert_eq!(claim(store, &all, THIS, later).await.len(), 6);
    assert_eq!(told(&rows_of(store, void.appointment).await).len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_a_shard_claims_and_records_nothing_of_it() {
    let database = Database::new().await;
    let stores = database.open().await;
    let store = &*stores.reminders;
    let (story, _) = town(&stores, 2).await;
    let now = UtcMillis(story.now);
    let rows = due(store, now.plus_millis(1)).await;
    let (of_1, of_2): (Vec<_>, Vec<_>) =
        keys(&rows).into_iter().partition(|key| rows.iter().any(|row| row.key == *key && row.day == day(1)));
    assert_eq!(claim(store, &of_1, THIS, now).await.len(), 1);
    database.lose(day(1)).await;
    let both = [&of_1[..], &of_2].concat();
    let refused = store.claim(&both, THIS, now.plus_millis(CLAIM_MILLIS), now.plus_millis(2 * CLAIM_MILLIS)).await;
    assert!(matches!(&refused, Err(ApplyError::Unavailable(why)) if why.contains("newer owner")), "{refused:?}");
    let refused = store.record(&[(of_1[0], Outcome::Sent)], THIS, now).await;
    assert!(matches!(&refused, Err(ApplyError::Unavailable(why)) if why.contains("newer owner")), "{refused:?}");
    assert_eq!(row(store, of_1[0]).await.status, ReminderStatus::Sending);
    // The new owner takes it over at once; it knows nothing of the other shard.
    let tenures = Tenures::none();
    tenures.grant(day(1).shard(), Database::EPOCH + 1);
    let next = Database::ledger(&database.url, tenures).await;
    assert_eq!(keys(&claim(&next, &both, NEXT, now).await), of_1);
    next.record(&[(of_1[0], Outcome::Sent), (of_2[0], Outcome::Sent)], NEXT, now).await.expect("recorded");
    assert_eq!(row(store, of_1[0]).await.status, ReminderStatus::Sent);
    assert_eq!(row(store, of_2[0]).await.status, ReminderStatus::Pending);
}

/// Appliers, senders and operators at once: nobody waits in a circle, nothing is sent twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_send_and_those_who_apply_do_not_stand_in_each_others_way() {
    const DAYS: u128 = 24;
    let database = Database::new().await;
    let stores = database.open().await;
    let mut story = early(&(1..=DAYS).collect::<Vec<_>>());
    let mut ids = Vec::new();
    for number in 1..=DAYS {
        ids.extend((0..4).map(|slot| (number, story.book(day(number), 10 * number + slot as u128, slot))));
    }
    apply_news(&*stores.ledger, &mut story).await;
    let now = UtcMillis(story.now);
    let all = keys(&due(&*stores.reminders, now.plus_millis(1)).await);
    let senders = (0..3).map(|number| {
        let (store, mut keys) = (Arc::clone(&stores.reminders), all.clone());
        keys.rotate_left(17 * number);
        tokio::spawn(async move {
            let mut sent = Vec::new();
            for chunk in keys.chunks(16) {
                let claimed: Vec<ReminderKey> =
                    claim(&*store, chunk, THIS, now).await.iter().map(|row| row.key).collect();
                let outcomes: Vec<_> = claimed.iter().map(|key| (*key, Outcome::Sent)).collect();
                store.record(&outcomes, THIS, now).await.expect("recorded");
                sent.extend(claimed);
            }
            sent
        })
    });
    let senders: Vec<_> = senders.collect();
    for (number, id) in &ids {
        assert!(story.cancel(day(*number), *id, None));
    }
    let news = story.news();
    for chunk in news.chunks(10) {
        stores.ledger.apply(chunk, chunk[chunk.len() - 1].position).await.expect("applied");
    }
    let mut sent = Vec::new();
    for sender in senders {
        sent.extend(sender.await.expect("no panic"));
    }
    let count = sent.len();
    sent.sort_unstable();
    sent.dedup();
    assert_eq!(sent.len(), count, "each by one");
    for key in all {
        let status = row(&*stores.reminders, key).await.status;
        let expected = if sent.contains(&key) { ReminderStatus::Sent } else { ReminderStatus::Cancelled };
        assert_eq!(status, expected);
    }
}
