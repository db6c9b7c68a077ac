//! The guard against selling a place twice.
//! Must not know: how seats are stored.

use booking_core::{AppointmentId, Event};
use engine::ledger::{AppliedRecord, ApplyError, Ledger};

use crate::Backend;
use crate::ledger::{apply_news, assert_same_rows};
use crate::story::{Story, day, sold_again};

fn id_of(event: &Event) -> AppointmentId {
    event.changes.last().expect("a change").row.id
}

async fn assert_refused(ledger: &dyn Ledger, records: &[AppliedRecord], position: u64) {
    let before = ledger.applied_position().await.expect("read");
    let outcome = ledger.apply(records, position).await;
    assert!(matches!(&outcome, Err(ApplyError::Refused(reason)) if reason.contains("seats")), "{outcome:?}");
    assert_eq!(ledger.applied_position().await.expect("read"), before);
}

pub(crate) async fn a_place_taken_twice_is_refused_without_trace(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 2, 1);
    story.publish(day(2), 2, 1);
    let first = story.book(day(1), 1, 0);
    apply_news(&*ledger, &mut story).await;

    let good = story.book(day(2), 1, 0);
    let again = sold_again(&story.records[2], 1);
    story.record(day(1), again.clone());
    assert_refused(&*ledger, &story.news(), story.position()).await;
    assert_eq!(ledger.appointment(id_of(&again)).await.expect("read"), None);
    assert!(ledger.history(id_of(&again)).await.expect("read").is_empty());
    assert_eq!(ledger.appointment(good).await.expect("read"), None, "nothing of the batch is applied");
    assert_eq!(ledger.applied_sequence(day(2)).await.expect("read"), 1);
    assert!(ledger.appointment(first).await.expect("read").is_some());
}

pub(crate) async fn collapsing_a_batch_hides_no_violation(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    // Taken twice, and the first one gives it back: in the end nobody sits on another's place.
    let mut story = Story::of_day(day(1), 2, 1);
    let first = story.book(day(1), 1, 0);
    let again = sold_again(&story.records[1], 1);
    story.record(day(1), again);
    story.cancel(day(1), first, None);
    assert_refused(&*ledger, &story.news(), story.position()).await;

    // Taken and given back within the batch, while another one has had it since long.
    let mut story = Story::of_day(day(2), 2, 1);
    story.book(day(2), 1, 0);
    apply_news(&*ledger, &mut story).await;
    let again = sold_again(&story.records[1], 2);
    let intruder = id_of(&again);
    story.record(day(2), again);
    assert!(story.cancel(day(2), intruder, None));
    assert_refused(&*ledger, &story.news(), story.position()).await;
}

pub(crate) async fn places_change_hands_within_a_batch(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 1, 1);
    let first = story.book(day(1), 1, 0);
    apply_news(&*ledger, &mut story).await;
    // One batch: given back, held, expired by the next one's booking, given back, taken.
    assert!(story.cancel(day(1), first, None));
    story.hold(day(1), 2, 0);
    story.now += 60_000;
    let third = story.book(day(1), 3, 0);
    assert!(story.cancel(day(1), third, None));
    story.book(day(1), 4, 0);
    apply_news(&*ledger, &mut story).await;
    assert_same_rows(&*ledger, &story).await;
    // One batch from an empty place to an empty place, and again.
    let mut story = Story::of_day(day(2), 1, 1);
    for round in 0..2 {
        let id = story.book(day(2), round, 0);
        assert!(story.cancel(day(2), id, None));
        apply_news(&*ledger, &mut story).await;
    }
    story.book(day(2), 7, 0);
    apply_news(&*ledger, &mut story).await;
    assert_same_rows(&*ledger, &story).await;
}

pub(crate) async fn only_the_holder_gives_a_place_back(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 2, 1);
    let first = story.book(day(1), 1, 0);
    apply_news(&*ledger, &mut story).await;
    assert!(story.cancel(day(1), first, None));
    let mut cancel = story.news();
    cancel[0].event.changes[0].row.id = id_of(&sold_again(&story.records[1], 1));
    assert_refused(&*ledger, &cancel, story.position()).await;
    ledger.apply(&story.records, story.position()).await.expect("the holder can");
}
