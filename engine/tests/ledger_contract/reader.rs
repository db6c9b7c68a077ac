//! Own writes: the ledger and what is on its way there, read as one.
//! Must not know: how the applier works.

use std::sync::Arc;

use booking_core::{PatientId, Status, UtcMillis};
use engine::ledger::overlay::{Overlay, OverlayEntry};
use engine::ledger::reader::Reader;
use engine::ledger::{AppliedRecord, AppointmentQuery, AppointmentScope, Ledger};

use crate::Backend;
use crate::journal::{Meanwhile, MoodyLedger};
use crate::ledger::{all, apply_news};
use crate::story::{Story, ZONE, day, patient, start};

/// Gives `records` to the overlay, as a day's actor does once they are durable.
pub(crate) fn publish(overlay: &Overlay, records: &[AppliedRecord]) {
    for record in records {
        overlay.publish(OverlayEntry::of_event(record.day, &ZONE.into(), &record.event, record.position).collect());
    }
}

async fn open(backend: &impl Backend) -> (Arc<dyn Ledger>, Arc<Overlay>, Reader) {
    let ledger = backend.open().await.ledger;
    let overlay = Arc::new(Overlay::default());
    (ledger.clone(), overlay.clone(), Reader::new(ledger, overlay))
}

pub(crate) async fn own_writes_are_seen_before_the_ledger_has_them(backend: &impl Backend) {
    let (ledger, overlay, reader) = open(backend).await;
    let mut story = Story::of_day(day(1), 4, 1);
    let id = story.hold(day(1), 1, 0);
    apply_news(&*ledger, &mut story).await;
    assert!(story.confirm(day(1), id));
    let other = story.book(day(1), 2, 1);
    let waiting = story.news();
    publish(&overlay, &waiting);

    let seen = reader.appointment(id).await.expect("read").expect("there");
    assert_eq!(seen.appointment, story.row(day(1), id));
    assert_eq!(&*seen.time_zone, ZONE);
    let steps = reader.history(id).await.expect("read");
    assert_eq!(steps.iter().map(|step| step.to).collect::<Vec<_>>(), [Status::Held, Status::Booked]);
    assert!(reader.appointment(other).await.expect("read").is_some(), "the ledger has never seen it");
    assert_eq!(reader.appointments(&all(AppointmentScope::Day(day(1)))).await.expect("read").len(), 2);

    ledger.apply(&waiting, story.position()).await.expect("applied");
    assert_eq!(reader.history(id).await.expect("read"), steps, "nothing twice while both have it");
    assert_eq!(reader.appointments(&all(AppointmentScope::Day(day(1)))).await.expect("read").len(), 2);
    overlay.evict(story.position());
    assert_eq!(reader.appointment(id).await.expect("read"), Some(seen));
    assert_eq!(reader.history(id).await.expect("read"), steps);
}

pub(crate) async fn the_higher_version_wins(backend: &impl Backend) {
    let (ledger, overlay, reader) = open(backend).await;
    let mut story = Story::of_day(day(1), 4, 1);
    let id = story.hold(day(1), 1, 0);
    publish(&overlay, &story.records);
    // The journal's reader was faster than the actor: the ledger has the confirm, the overlay only the hold.
    assert!(story.confirm(day(1), id));
    apply_news(&*ledger, &mut story).await;
    let seen = reader.appointment(id).await.expect("read").expect("there").appointment;
    assert_eq!((seen.status, seen.version), (Status::Booked, 2));
    assert_eq!(reader.history(id).await.expect("read").len(), 2);
    let listed = reader.appointments(&all(AppointmentScope::Patient(patient(1)))).await.expect("read");
    assert_eq!(listed[0].appointment, seen);
    assert_eq!(reader.appointment(booking_core::AppointmentId(uuid::Uuid::max())).await.expect("read"), None);
}

pub(crate) async fn nothing_slips_between_the_two_reads(backend: &impl Backend) {
    let ledger = MoodyLedger::new(backend.open().await.ledger);
    let overlay = Arc::new(Overlay::default());
    let reader = Reader::new(ledger.clone(), overlay.clone());
    let mut story = Story::of_day(day(1), 4, 1);
    apply_news(&*ledger, &mut story).await;
    for (slot, read) in ["appointment", "history", "appointments"].into_iter().enumerate() {
        let id = story.book(day(1), slot as u128, slot);
        let records = story.news();
        publish(&overlay, &records);
        // The applier takes the change from the one to the other while the reader is between the two.
        *ledger.meanwhile.lock() = Some(Meanwhile { records, overlay: overlay.clone() });
        let found = match read {
            "appointment" => reader.appointment(id).await.expect("read").is_some(),
            "history" => !reader.history(id).await.expect("read").is_empty(),
            _ => {
                let page = reader.appointments(&all(AppointmentScope::Day(day(1)))).await.expect("read");
                page.iter().any(|placed| placed.appointment.id == id)
            }
        };
        assert!(found, "{read}");
        assert!(overlay.is_empty(), "the applier was there");
    }
}

pub(crate) async fn filters_apply_to_the_merged_rows(backend: &impl Backend) {
    let (ledger, overlay, reader) = open(backend).await;
    let mut story = Story::of_day(day(1), 6, 1);
    let cancelled = story.book(day(1), 1, 0);
    let confirmed = story.hold(day(1), 2, 1);
    let kept = story.book(day(1), 3, 2);
    apply_news(&*ledger, &mut story).await;
    assert!(story.cancel(day(1), cancelled, None));
    assert!(story.confirm(day(1), confirmed));
    let new = story.book(day(1), 4, 0);
    publish(&overlay, &story.news());

    let ids = async |statuses: &[Status], from: Option<UtcMillis>, now: UtcMillis| {
        let scope = AppointmentScope::Day(day(1));
        let query = AppointmentQuery { statuses: statuses.to_vec(), from, now, ..all(scope) };
        let page = reader.appointments(&query).await.expect("read");
        page.iter().map(|placed| placed.appointment.id).collect::<Vec<_>>()
    };
    let early = UtcMillis(0);
    assert_eq!(ids(&[Status::Booked], None, early).await, [new, confirmed, kept]);
    assert_eq!(ids(&[Status::Booked], Some(start(1)), early).await, [confirmed, kept]);
    assert_eq!(ids(&[Status::Cancelled], None, early).await, [cancelled]);
    assert!(ids(&[Status::Held], None, early).await.is_empty(), "the ledger's row is of yesterday");
    assert_eq!(ids(&[Status::Completed], None, start(2)).await, [new, confirmed]);
    let of_nobody = AppointmentScope::Patient(PatientId(uuid::Uuid::nil()));
    assert!(reader.appointments(&all(of_nobody)).await.expect("read").is_empty());
}

pub(crate) async fn pages_are_full_however_much_waits(backend: &impl Backend) {
    let (ledger, overlay, reader) = open(backend).await;
    let mut story = Story::of_day(day(1), 40, 1);
    let ids: Vec<_> = (0..40).map(|slot| story.book(day(1), slot as u128, slot)).collect();
    apply_news(&*ledger, &mut story).await;
    // What waits for the ledger empties its first pages.
    for id in &ids[..25] {
        assert!(story.cancel(day(1), *id, None));
    }
    publish(&overlay, &story.news());
    let scope = AppointmentScope::Day(day(1));
    let booked = AppointmentQuery { statuses: vec![Status::Booked], limit: 4, ..all(scope) };
    let mut paged = Vec::new();
    loop {
        let page = reader.appointments(&AppointmentQuery { after: paged.last().copied(), ..booked.clone() }).await;
        let page = page.expect("read");
        if page.is_empty() {
            break;
        }
        assert!(page.len() == 4 || paged.len() + page.len() == 15, "a short page is the last one");
        assert!(paged.len() < 40, "more pages than rows");
        paged.extend(page.iter().map(|placed| (placed.appointment.start, placed.appointment.id)));
    }
    assert_eq!(paged.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ids[25..]);
}
