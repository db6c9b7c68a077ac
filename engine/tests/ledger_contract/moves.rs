//! Appointments that move: within a day, to another one, and back.
//! Must not know: who drives a move.

use std::sync::Arc;

use booking_core::{AppointmentId, DayKey, Status};
use engine::journal::ReadError;
use engine::ledger::overlay::Overlay;
use engine::ledger::reader::Reader;
use engine::ledger::registry::Doctor;
use engine::ledger::{ApplyError, AppointmentScope};

use crate::Backend;
use crate::ledger::{all, apply_news, assert_same_rows};
use crate::reader::publish;
use crate::registry::{create, doctor};
use crate::story::{Story, day, patient, start};

fn two_days() -> Story {
    let mut story = Story::of_day(day(1), 4, 1);
    story.publish(day(2), 4, 1);
    story
}

async fn listed(reader: &Reader, scope: AppointmentScope) -> Vec<(AppointmentId, DayKey)> {
    let page = reader.appointments(&all(scope)).await.expect("read");
    page.iter().map(|placed| (placed.appointment.id, placed.day)).collect()
}

/// `id` stands on `home` and nowhere else, whoever asks.
async fn assert_home(reader: &Reader, id: AppointmentId, home: DayKey, version: u32) {
    let placed = reader.appointment(id).await.expect("read").expect("there");
    assert_eq!((placed.day, placed.appointment.version), (home, version));
    assert_eq!(listed(reader, AppointmentScope::Patient(patient(1))).await, [(id, home)]);
    for number in 1..=3 {
        let here = listed(reader, AppointmentScope::Day(day(number))).await;
        assert_eq!(here.contains(&(id, home)), day(number) == home, "day {number}");
    }
    let versions = reader.history(id).await.expect("read").iter().map(|step| step.version).collect::<Vec<_>>();
    assert_eq!(versions, (1..=version).collect::<Vec<_>>());
}

pub(crate) async fn a_move_is_one_step_and_one_row(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = two_days();
    let (id, other) = (story.book(day(1), 1, 0), story.hold(day(1), 2, 1));
    story.move_within(day(1), id, 3);
    story.move_to(day(1), other, day(2), 0);
    apply_news(&*ledger, &mut story).await;
    assert_same_rows(&*ledger, &story).await;
    for (id, status) in [(id, Status::Booked), (other, Status::Held)] {
        let steps = ledger.history(id).await.expect("read");
        assert_eq!(steps.iter().map(|step| step.version).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((steps[1].from, steps[1].to), (Some(status), status));
    }
    let moved = ledger.appointment(other).await.expect("read").expect("there");
    assert_eq!((moved.day, moved.appointment.start), (day(2), start(0)));
    // What follows is the new day's.
    assert!(story.confirm(day(2), other));
    apply_news(&*ledger, &mut story).await;
    assert_same_rows(&*ledger, &story).await;
}

pub(crate) async fn every_step_is_seen_before_and_after_the_ledger(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let overlay = Arc::new(Overlay::default());
    let reader = Reader::new(ledger.clone(), overlay.clone());
    let mut story = two_days();
    story.publish(day(3), 4, 1);
    let id = story.book(day(1), 1, 0);
    apply_news(&*ledger, &mut story).await;
    let (mut home, mut version) = (day(1), 1);
    // Away, further, back, and away again.
    for (slot, to) in [day(2), day(3), day(1), day(2)].into_iter().enumerate() {
        let step = story.hold_for_move(home, id, to, slot);
        publish(&overlay, &story.news());
        assert_home(&reader, id, home, version).await;
        story.commit_move(step);
        let committed = story.position();
        publish(&overlay, &story.news());
        (home, version) = (to, version + 1);
        assert_home(&reader, id, home, version).await;
        story.accept_move(step);
        publish(&overlay, &story.news());
        assert_home(&reader, id, home, version).await;
        if slot % 2 == 1 {
            // The ledger comes up to the commit, not to the arrival.
            ledger.apply(&story.records, story.position()).await.expect("applied");
            overlay.evict(committed);
            assert_home(&reader, id, home, version).await;
            assert!(overlay.is_empty(), "an arrival is no entry");
        }
    }
    assert_same_rows(&*ledger, &story).await;
}

pub(crate) async fn one_record_a_batch_or_all_in_one(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    for (round, batch) in [(0, 1), (10, 2), (20, 100)] {
        let mut story = Story::numbered(1 + round);
        let (here, there) = (day(round + 1), day(round + 2));
        story.publish(here, 2, 1);
        story.publish(there, 2, 1);
        let id = story.book(here, 1, 0);
        story.move_to(here, id, there, 0);
        story.move_within(there, id, 1);
        story.move_to(there, id, here, 0);
        story.book(there, 2, 1);
        for record in &mut story.records {
            record.position += 10_000 * round as u64;
        }
        for records in story.records.chunks(batch) {
            ledger.apply(records, records[records.len() - 1].position).await.expect("applied");
        }
        assert_same_rows(&*ledger, &story).await;
    }
}

pub(crate) async fn an_arrival_has_its_seat_from_the_first_step(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = two_days();
    let id = story.book(day(1), 1, 0);
    let step = story.hold_for_move(day(1), id, day(2), 0);
    apply_news(&*ledger, &mut story).await;
    // Both places are taken: here still, there already.
    let mut intruder = story.records[2].event.clone();
    let row = &mut intruder.changes[0].row;
    (row.id, row.patient) = (AppointmentId(uuid::Uuid::max()), patient(9));
    for number in [1, 2] {
        let mut record = story.records.iter().rfind(|record| record.day == day(number)).expect("a record").clone();
        (record.version.sequence, record.event) = (record.version.sequence + 1, intruder.clone());
        let outcome = ledger.apply(&[record], story.position() + 1).await;
        assert!(matches!(&outcome, Err(ApplyError::Refused(reason)) if reason.contains("seats")), "{outcome:?}");
    }
    // Given up: the place there is free again, in the same batch too.
    story.drop_move(step);
    let other = story.book(day(2), 2, 0);
    assert!(story.cancel(day(2), other, None));
    story.move_to(day(1), id, day(2), 0);
    story.book(day(1), 3, 0);
    apply_news(&*ledger, &mut story).await;
    assert_same_rows(&*ledger, &story).await;
}

pub(crate) async fn a_parked_day_of_departure_shows_the_new_home(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let overlay = Arc::new(Overlay::default());
    let reader = Reader::new(ledger.clone(), overlay.clone());
    let mut story = two_days();
    let id = story.book(day(1), 1, 0);
    apply_news(&*ledger, &mut story).await;
    overlay.pin_day(day(1));
    story.move_to(day(1), id, day(2), 1);
    let version = story.records[4].version;
    ledger.park(day(1), version, "as the test wants it").await.expect("parked");
    let news = story.news();
    publish(&overlay, &news);
    ledger.apply(&news, story.position()).await.expect("applied");
    overlay.evict(story.position());
    assert_home(&reader, id, day(2), 2).await;
    assert_eq!(overlay.newest().len(), 1);
    assert_eq!(overlay.newest()[0].day, day(2));

    // Later steps of the new home are applied: the older ones of the parked day do not hide them.
    story.publish(day(3), 4, 1);
    story.move_to(day(2), id, day(3), 0);
    let news = story.news();
    publish(&overlay, &news);
    ledger.apply(&news, story.position()).await.expect("applied");
    overlay.evict(story.position());
    assert_home(&reader, id, day(3), 3).await;
    // Nor do they after a restart, when nobody but the parked day's records is here.
    let restarted = Arc::new(Overlay::default());
    restarted.pin_day(day(1));
    let missing: Vec<_> =
        story.records.iter().filter(|it| it.day == day(1) && it.version >= version).cloned().collect();
    publish(&restarted, &missing);
    assert_eq!(restarted.newest().len(), 1);
    assert_home(&Reader::new(ledger.clone(), restarted), id, day(3), 3).await;
    ledger.unpark(day(1), &missing).await.expect("unparked");
    assert_home(&reader, id, day(3), 3).await;
    assert_same_rows(&*ledger, &story).await;
}

pub(crate) async fn a_home_without_a_row_is_shown(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 4, 1);
    let id = story.book(day(1), 1, 0);
    apply_news(&*ledger, &mut story).await;
    story.publish(day(2), 4, 1);
    ledger.park(day(2), story.records[2].version, "already its publication").await.expect("parked");
    story.move_to(day(1), id, day(2), 1);
    apply_news(&*ledger, &mut story).await;
    assert_eq!(ledger.appointment(id).await.expect("read").expect("there").day, day(2));
    assert_eq!(ledger.appointments(&all(AppointmentScope::Patient(patient(1)))).await.expect("read").len(), 1);
}

/// Each process applies its own records: those of the day of departure can come first.
pub(crate) async fn a_home_that_another_process_has_yet_to_apply_is_shown(backend: &impl Backend) {
    let stores = backend.open().await;
    let ledger = stores.ledger;
    let mut story = two_days();
    let id = story.book(day(1), 1, 0);
    story.move_to(day(1), id, day(2), 1);
    let (departure, arrival): (Vec<_>, Vec<_>) = story.news().into_iter().partition(|record| record.day == day(1));
    ledger.apply(&departure, story.position()).await.expect("applied");
    let unknown = ledger.appointment(id).await;
    assert!(matches!(unknown, Err(ReadError::Damaged(_))), "nobody knows the zone: {unknown:?}");
    create(&stores.registry, &Doctor { id: day(2).doctor, ..doctor(1, "Ada", "Zug", &[]) }).await;
    let placed = ledger.appointment(id).await.expect("read").expect("there");
    assert_eq!((placed.day, &*placed.time_zone), (day(2), "Europe/Zurich"));
    assert_eq!(ledger.appointments(&all(AppointmentScope::Patient(patient(1)))).await.expect("read"), [placed]);
    ledger.apply(&arrival, story.position() + 1).await.expect("applied");
    assert_same_rows(&*ledger, &story).await;
}
