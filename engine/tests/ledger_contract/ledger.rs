//! The ledger by itself: what is applied, what is refused, what is read.
//! Must not know: the overlay, the applier.

use booking_core::{AppointmentId, Role, Status, SubjectId, UtcMillis};
use engine::ledger::{AppliedRecord, ApplyError, AppointmentQuery, AppointmentScope, Ledger, PlacedAppointment};
use uuid::Uuid;

use crate::Backend;
use crate::story::{SLOT_MILLIS, Story, ZONE, day, patient, start};

/// Everything of `scope`, as told at the beginning of time.
pub(crate) fn all(scope: AppointmentScope) -> AppointmentQuery {
    AppointmentQuery { scope, statuses: vec![], from: None, to: None, after: None, limit: 1_000, now: UtcMillis(0) }
}

/// Applies what `story` has recorded since the last call.
pub(crate) async fn apply_news(ledger: &dyn Ledger, story: &mut Story) {
    let news = story.news();
    ledger.apply(&news, story.position()).await.expect("applied");
}

/// Every row of the story is in the ledger, and nothing else on its days.
pub(crate) async fn assert_same_rows(ledger: &dyn Ledger, story: &Story) {
    let rows = story.rows();
    for (key, row) in &rows {
        let placed = ledger.appointment(row.id).await.expect("read").expect("the row");
        assert_eq!(placed, PlacedAppointment { day: *key, time_zone: ZONE.into(), appointment: row.clone() });
    }
    let days: std::collections::BTreeSet<_> = rows.iter().map(|(day, _)| *day).collect();
    let mut listed = 0;
    for day in days {
        listed += ledger.appointments(&all(AppointmentScope::Day(day))).await.expect("read").len();
    }
    assert_eq!(listed, rows.len());
}

/// A day with an appointment in every status that is stored.
fn eventful() -> (Story, [AppointmentId; 5]) {
    let mut story = Story::of_day(day(1), 6, 2);
    let held = story.hold(day(1), 1, 0);
    let confirmed = story.hold(day(1), 2, 1);
    assert!(story.confirm(day(1), confirmed));
    let cancelled = story.book(day(1), 3, 2);
    assert!(story.cancel(day(1), cancelled, Some("Fieber — 39°")));
    let expired = held;
    story.now += 60_000;
    story.expire(day(1));
    let absent = story.book(day(1), 4, 0);
    story.now = start(5).0 - 30_000;
    story.no_show(day(1), absent);
    let held = story.hold(day(1), 5, 5);
    story.close(day(1));
    (story, [held, confirmed, cancelled, expired, absent])
}

pub(crate) async fn rows_are_those_of_the_core(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let (mut story, [held, confirmed, cancelled, expired, absent]) = eventful();
    apply_news(&*ledger, &mut story).await;
    assert_same_rows(&*ledger, &story).await;
    let statuses = [held, confirmed, cancelled, expired, absent].map(|id| story.row(day(1), id).status);
    assert_eq!(statuses, [Status::Held, Status::Booked, Status::Cancelled, Status::Expired, Status::NoShow]);
    assert_eq!(ledger.appointment(AppointmentId(Uuid::max())).await.expect("read"), None);
    assert_eq!(ledger.time_zone(day(1)).await.expect("read").as_deref(), Some(ZONE));
    assert_eq!(ledger.time_zone(day(2)).await.expect("read"), None);
}

pub(crate) async fn applying_again_changes_nothing(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let (story, ids) = eventful();
    let records = &story.records;
    let at = |count: usize| records[count - 1].position;
    for (from, to) in [(0, 4), (0, 4), (2, 7), (0, records.len()), (5, records.len())] {
        ledger.apply(&records[from..to], at(to)).await.expect("applied");
    }
    assert_same_rows(&*ledger, &story).await;
    for id in ids {
        let steps = ledger.history(id).await.expect("read").len();
        assert_eq!(steps, story.row(day(1), id).version as usize);
    }
    ledger.apply(&records[..3], at(3)).await.expect("old records change nothing");
    assert_eq!(ledger.applied_position().await.expect("read"), story.position(), "the cursor never goes back");
}

pub(crate) async fn history_is_complete(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 2, 1);
    let first = story.hold(day(1), 1, 0);
    story.now += 60_000;
    // Another patient's booking meets the hold that is due.
    let second = story.book(day(1), 2, 0);
    assert!(story.cancel(day(1), second, Some("moved away")));
    apply_news(&*ledger, &mut story).await;

    let steps = ledger.history(first).await.expect("read");
    assert_eq!(steps.len(), 2);
    assert_eq!((steps[0].from, steps[0].to, steps[0].version), (None, Status::Held, 1));
    assert_eq!((steps[0].actor, steps[0].role), (SubjectId(patient(1).0), Role::Patient));
    assert_eq!((steps[1].from, steps[1].to, steps[1].version), (Some(Status::Held), Status::Expired, 2));
    assert_eq!((steps[1].actor, steps[1].role), (SubjectId(Uuid::nil()), Role::System), "not the other patient");
    let steps = ledger.history(second).await.expect("read");
    assert_eq!(steps.iter().map(|step| step.to).collect::<Vec<_>>(), [Status::Booked, Status::Cancelled]);
    let reason = steps[1].reason.as_ref().and_then(|reason| reason.as_plain().map(str::to_owned));
    assert_eq!(reason.as_deref(), Some("moved away"));
    assert_eq!(steps[1].at, story.row(day(1), second).updated_at);
    assert!(ledger.history(AppointmentId(Uuid::max())).await.expect("read").is_empty());
}

pub(crate) async fn gaps_and_forks_are_refused(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let (story, _) = eventful();
    let records = &story.records;
    ledger.apply(&records[..2], records[1].position).await.expect("applied");
    let gap = ledger.apply(&records[3..], story.position()).await;
    assert!(matches!(&gap, Err(ApplyError::Refused(reason)) if reason.contains("missing")), "{gap:?}");
    let mut fork = records[1].clone();
    fork.version.epoch += 1;
    let fork = ledger.apply(&[fork], story.position()).await;
    assert!(matches!(&fork, Err(ApplyError::Refused(reason)) if reason.contains("fork")), "{fork:?}");
    assert_eq!(ledger.applied_sequence(day(1)).await.expect("read"), 2);
    assert_eq!(ledger.applied_position().await.expect("read"), records[1].position);
}

pub(crate) async fn cursor_moves_with_its_batch(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    assert_eq!(ledger.applied_position().await.expect("read"), 0);
    assert_eq!(ledger.applied_sequence(day(1)).await.expect("read"), 0);
    let mut story = Story::of_day(day(1), 4, 1);
    story.publish(day(2), 4, 1);
    story.book(day(2), 1, 0);
    apply_news(&*ledger, &mut story).await;
    assert_eq!(ledger.applied_position().await.expect("read"), story.position());
    // What cannot be decoded is not among the records: the cursor moves over it all the same.
    ledger.apply(&[], story.position() + 10).await.expect("applied");
    assert_eq!(ledger.applied_position().await.expect("read"), story.position() + 10);
    assert_eq!(ledger.applied_sequence(day(1)).await.expect("read"), 1);
    assert_eq!(ledger.applied_sequence(day(2)).await.expect("read"), 2);
}

pub(crate) async fn parked_days_are_skipped(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 4, 1);
    story.publish(day(2), 4, 1);
    apply_news(&*ledger, &mut story).await;
    let parked_at = story.position();
    story.book(day(1), 1, 0);
    let version = story.records[2].version;
    ledger.park(day(1), version, "the first reason").await.expect("parked");
    ledger.park(day(1), version, "another reason").await.expect("parked");
    let other = story.book(day(2), 2, 0);
    apply_news(&*ledger, &mut story).await;

    assert!(ledger.appointment(other).await.expect("read").is_some());
    assert_eq!(ledger.applied_sequence(day(1)).await.expect("read"), 1);
    assert_eq!(ledger.applied_position().await.expect("read"), story.position());
    let parked = ledger.parked().await.expect("read");
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].day, parked[0].version, parked[0].position), (day(1), version, parked_at));
    assert_eq!(parked[0].reason, "the first reason");
}

pub(crate) async fn unparking_is_all_or_nothing(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::of_day(day(1), 4, 1);
    apply_news(&*ledger, &mut story).await;
    for number in 0..3 {
        story.book(day(1), number, number as usize);
    }
    let missing: Vec<AppliedRecord> = story.news();
    ledger.park(day(1), missing[0].version, "broken").await.expect("parked");
    ledger.apply(&[], story.position()).await.expect("the others went on");

    let with_gap = [missing[0].clone(), missing[2].clone()];
    assert!(matches!(ledger.unpark(day(1), &with_gap).await, Err(ApplyError::Refused(_))));
    assert_eq!(ledger.parked().await.expect("read").len(), 1, "the mark stays");
    assert_eq!(ledger.applied_sequence(day(1)).await.expect("read"), 1);
    ledger.unpark(day(1), &missing).await.expect("unparked");
    assert!(ledger.parked().await.expect("read").is_empty());
    assert_same_rows(&*ledger, &story).await;
}

pub(crate) async fn pages_are_stable(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let mut story = Story::new();
    for number in 0..9 {
        story.publish(day(number), 12, 5);
        // Backwards, so that the order of pages is not that of writing; patient 1 on every day.
        for slot in (0..12).rev() {
            story.book(day(number), if slot == number as usize { 1 } else { 100 + slot as u128 }, slot);
            story.take(day(number), patient(200 + slot as u128), Some(slot), None);
        }
    }
    apply_news(&*ledger, &mut story).await;
    for scope in [AppointmentScope::Day(day(3)), AppointmentScope::Patient(patient(1))] {
        let whole = ledger.appointments(&all(scope)).await.expect("read");
        assert!(whole.is_sorted_by_key(|placed| (placed.appointment.start, placed.appointment.id)));
        assert_eq!(whole.len(), if matches!(scope, AppointmentScope::Day(_)) { 24 } else { 9 });
        let mut paged: Vec<PlacedAppointment> = Vec::new();
        loop {
            let after = paged.last().map(|placed| (placed.appointment.start, placed.appointment.id));
            let page = ledger.appointments(&AppointmentQuery { after, limit: 5, ..all(scope) }).await.expect("read");
            assert!(page.len() <= 5 && paged.len() <= whole.len());
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, whole);
        let (from, to) = (Some(start(2)), Some(start(5)));
        let part = ledger.appointments(&AppointmentQuery { from, to, ..all(scope) }).await.expect("read");
        let expected = whole.iter().filter(|it| it.appointment.start >= start(2) && it.appointment.start < start(5));
        assert_eq!(part, expected.cloned().collect::<Vec<_>>(), "half-open");
    }
}

pub(crate) async fn statuses_are_told_at_now(backend: &impl Backend) {
    let ledger = backend.open().await.ledger;
    let (mut story, [held, confirmed, cancelled, _, absent]) = eventful();
    apply_news(&*ledger, &mut story).await;
    let ids = async |statuses: &[Status], now: UtcMillis| {
        let query = AppointmentQuery { statuses: statuses.to_vec(), now, ..all(AppointmentScope::Day(day(1))) };
        let page = ledger.appointments(&query).await.expect("read");
        page.iter().map(|placed| placed.appointment.id).collect::<Vec<_>>()
    };
    let end = UtcMillis(start(1).0 + SLOT_MILLIS);
    assert_eq!(ids(&[Status::Booked], UtcMillis(end.0 - 1)).await, [confirmed]);
    assert!(ids(&[Status::Completed], UtcMillis(end.0 - 1)).await.is_empty());
    assert!(ids(&[Status::Booked], end).await.is_empty());
    assert_eq!(ids(&[Status::Completed], end).await, [confirmed]);
    assert_eq!(ids(&[Status::Cancelled, Status::NoShow], end).await, [absent, cancelled]);
    assert_eq!(ids(&[Status::Held], end).await, [held]);
    assert_eq!(ids(&[], end).await.len(), 5);
}

pub(crate) async fn a_restart_forgets_nothing(backend: &impl Backend) {
    let (mut story, _) = eventful();
    let ledger = backend.open().await.ledger;
    apply_news(&*ledger, &mut story).await;
    ledger.park(day(9), story.records[0].version, "broken").await.expect("parked");
    ledger.close().await;
    let ledger = backend.open().await.ledger;
    assert_same_rows(&*ledger, &story).await;
    assert_eq!(ledger.applied_position().await.expect("read"), story.position());
    assert_eq!(ledger.parked().await.expect("read").len(), 1);
    story.publish(day(2), 8, 1);
    story.book(day(2), 1, 7);
    apply_news(&*ledger, &mut story).await;
    assert_same_rows(&*ledger, &story).await;
}
