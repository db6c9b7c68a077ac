//! What the engine asks of a ledger at its start: who is where when, and which keys have won.
//! Must not know: what it does with it.

use std::collections::{BTreeMap, BTreeSet};

use booking_core::{Date, DayKey, SubjectId, UtcMillis};
use engine::ledger::Ledger;
use engine::ledger::won_keys::{KeyDigest, LiveAppointment};
use engine::ownership::ShardSet;

use crate::Backend;
use crate::ledger::apply_news;
use crate::story::{SLOT_MILLIS, Story, date, day, patient, start};

async fn live(ledger: &dyn Ledger, now: UtcMillis) -> Vec<LiveAppointment> {
    let mut seen = Vec::new();
    ledger.live_appointments(&ShardSet::ALL, now, &mut |live| seen.push(live)).await.expect("read");
    seen.sort_unstable_by_key(|live| live.id);
    seen
}

async fn won(ledger: &dyn Ledger, from: Date) -> BTreeSet<(KeyDigest, DayKey, Date)> {
    let mut seen = Vec::new();
    ledger
        .won_keys(&ShardSet::ALL, from, &mut |digest, day, until| seen.push((digest, day, until)))
        .await
        .expect("read");
    assert!(seen.is_sorted_by_key(|(_, _, until)| *until));
    let set: BTreeSet<_> = seen.iter().copied().collect();
    assert_eq!(set.len(), seen.len(), "none twice");
    set
}

pub(crate) async fn live_appointments_are_those_that_are_not_over(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 6, 2);
    story.publish(day(2), 2, 1);
    let early = story.book(day(1), 1, 0);
    let moved = story.book(day(1), 2, 1);
    let held = story.hold(day(1), 3, 2);
    let late = story.book(day(1), 4, 5);
    let cancelled = story.book(day(1), 5, 5);
    assert!(story.cancel(day(1), cancelled, None));
    story.move_to(day(1), moved, day(2), 1);
    // Kept for a move that is not settled: the appointment is still where it was.
    story.hold_for_move(day(1), late, day(2), 0);
    apply_news(&*ledger, &mut story).await;

    let expected = |at: DayKey, id| {
        let row = story.row(at, id);
        let (id, patient, start, end, version) = (row.id, row.patient, row.start, row.end, row.version);
        LiveAppointment { id, patient, day: at, start, end, hold_expires_at: row.hold_expires_at, version }
    };
    let mut all = [expected(day(1), early), expected(day(2), moved), expected(day(1), held), expected(day(1), late)];
    all.sort_unstable_by_key(|live| live.id);
    assert_eq!(live(&*ledger, UtcMillis(0)).await, all);
    assert_eq!(live(&*ledger, UtcMillis(start(0).0 + SLOT_MILLIS - 1)).await, all, "the end is exclusive");
    let ids = async |now| live(&*ledger, now).await.iter().map(|live| live.id).collect::<BTreeSet<_>>();
    assert_eq!(ids(start(1)).await, BTreeSet::from([moved, held, late]));
    assert_eq!(ids(start(2)).await, BTreeSet::from([held, late]), "day 2 is over");
    assert!(ids(start(6)).await.is_empty());
}

pub(crate) async fn many_live_appointments_come_once_each(backend: &impl Backend) {
    const EACH: u128 = 1_000;
    let ledger = backend.open().await.ledger;
    let mut story = Story::new();
    // Of several dates and doctors, told by the thousand: wherever one page ends, the next goes on.
    let later = |doctor, days| DayKey { date: date(days), ..day(doctor) };
    let days = [day(1), day(2), later(1, 3), later(2, 3), later(1, 40)];
    for (number, day) in (0_u128..).zip(days) {
        story.publish(day, 2, 500);
        for patient in 0..EACH {
            story.book(day, 1_000_000 * number + patient, (patient % 2) as usize);
        }
    }
    apply_news(&*ledger, &mut story).await;
    let seen = live(&*ledger, UtcMillis(0)).await;
    let expected: BTreeSet<_> = story.rows().iter().map(|(day, row)| (row.id, *day, row.patient, row.start)).collect();
    assert_eq!(seen.len(), expected.len(), "none twice");
    assert_eq!(
        seen.iter().map(|live| (live.id, live.day, live.patient, live.start)).collect::<BTreeSet<_>>(),
        expected
    );
}

pub(crate) async fn appointments_of_a_day_that_is_parked_from_its_first_record_count(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 2, 1);
    let id = story.book(day(1), 1, 0);
    story.publish(day(2), 2, 1);
    ledger.park(day(2), story.records[2].version, "as the test wants it").await.expect("parked");
    story.move_to(day(1), id, day(2), 1);
    apply_news(&*ledger, &mut story).await;
    let seen = live(&*ledger, UtcMillis(0)).await;
    assert_eq!(seen.iter().map(|live| (live.id, live.day)).collect::<Vec<_>>(), [(id, day(2))]);
}

pub(crate) async fn won_keys_follow_the_days_of_their_answers(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let later = DayKey { date: date(5), ..day(2) };
    let mut story = Story::of_day(day(1), 4, 2);
    story.publish(later, 4, 2);
    story.key = Some("book");
    let id = story.book(day(1), 1, 0);
    story.key = Some("book");
    story.book(day(1), 2, 0);
    story.key = Some("book later");
    let back = story.book(later, 3, 0);
    story.book(later, 4, 1);
    let step = story.hold_for_move(day(1), id, later, 2);
    story.key = Some("move");
    story.commit_move(step);
    story.accept_move(step);
    let step = story.hold_for_move(later, back, day(1), 3);
    story.key = Some("back");
    story.commit_move(step);
    apply_news(&*ledger, &mut story).await;

    let key = |number, key| KeyDigest::of(SubjectId(patient(number).0), key);
    let today = [(key(1, "book"), day(1), date(0)), (key(2, "book"), day(1), date(0))];
    let to_come =
        [(key(3, "book later"), later, date(5)), (key(1, "move"), day(1), date(5)), (key(3, "back"), later, date(5))];
    let all: BTreeSet<_> = today.into_iter().chain(to_come).collect();
    assert_eq!(won(&*ledger, date(-100)).await, all);
    assert_eq!(won(&*ledger, date(0)).await, all);
    assert_eq!(won(&*ledger, date(1)).await, BTreeSet::from(to_come));
    assert!(won(&*ledger, date(6)).await.is_empty());
    ledger.apply(&story.records, story.position()).await.expect("old records change nothing");
    assert_eq!(won(&*ledger, date(0)).await, all);

    assert_eq!(ledger.forget_won_keys(date(0)).await.expect("forgotten"), 0);
    assert_eq!(ledger.forget_won_keys(date(1)).await.expect("forgotten"), 2);
    assert_eq!(ledger.forget_won_keys(date(1)).await.expect("forgotten"), 0);
    assert_eq!(won(&*ledger, date(-100)).await, BTreeSet::from(to_come));
}

pub(crate) async fn many_keys_are_forgotten_in_batches(backend: &impl Backend) {
    const KEYS: u64 = 9_000;
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 1, 1);
    story.key = Some("book");
    story.book(day(1), 1, 0);
    let booking = story.records[1].clone();
    let mut records = vec![story.records[0].clone()];
    for sequence in 2..2 + KEYS {
        let mut record = booking.clone();
        (record.version.sequence, record.position) = (sequence, sequence);
        record.event.fact = booking_core::Fact::Remembered;
        record.event.changes.clear();
        if let Some((key, _)) = &mut record.event.remembered {
            key.key = sequence.to_string().into();
        }
        records.push(record);
    }
    records[0].position = 1;
    ledger.apply(&records, 2 + KEYS).await.expect("applied");
    let mut by_day: BTreeMap<DayKey, u64> = BTreeMap::new();
    ledger
        .won_keys(&ShardSet::ALL, date(0), &mut |_, day, _| *by_day.entry(day).or_default() += 1)
        .await
        .expect("read");
    assert_eq!(by_day, BTreeMap::from([(day(1), KEYS)]));
    assert_eq!(ledger.forget_won_keys(date(1)).await.expect("forgotten"), KEYS);
    assert!(won(&*ledger, date(0)).await.is_empty());
}
