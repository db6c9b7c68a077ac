//! The applier with records that the ledger cannot take: one day suffers, and its readers do not notice.
//! Must not know: how the day at fault is found.

use std::sync::atomic::Ordering;

use booking_core::{AppointmentId, Status};
use engine::ledger::applier::ApplyLoop;
use engine::ledger::{AppointmentScope, Ledger};

use crate::Backend;
use crate::applier::{Bench, turn_until_idle};
use crate::ledger::{all, assert_same_rows};
use crate::story::{Story, ZONE, day, sold_again};

const DAYS: u128 = 6;
/// The day at fault.
const SICK: u128 = 3;

/// Six days with three bookings each, all mixed; tells the sick day's second and third.
fn six_days() -> (Story, [AppointmentId; 2]) {
    let mut story = Story::new();
    for number in 0..DAYS {
        story.publish(day(number), 8, 1);
    }
    let mut sick = Vec::new();
    for slot in 0..3 {
        for number in 0..DAYS {
            let id = story.book(day(number), 10 * number + slot as u128, slot);
            if number == SICK && slot > 0 {
                sick.push(id);
            }
        }
    }
    (story, [sick[0], sick[1]])
}

/// Every day but the sick one has all of its rows, and the reader sees those of the sick one too.
async fn assert_only_one_suffers(bench: &Bench, story: &Story, ids: &[AppointmentId]) {
    let reader = bench.reader();
    for (key, row) in story.rows() {
        let seen = reader.appointment(row.id).await.expect("read").expect("there");
        assert_eq!((seen.day, &*seen.time_zone, &seen.appointment), (key, ZONE, &row));
        if key != day(SICK) {
            assert_eq!(bench.ledger.appointment(row.id).await.expect("read"), Some(seen));
        }
        assert_eq!(reader.history(row.id).await.expect("read").len(), row.version as usize);
    }
    for id in ids {
        assert_eq!(bench.ledger.appointment(*id).await.expect("read"), None, "the ledger lacks it");
    }
    let parked = bench.ledger.parked().await.expect("read");
    assert_eq!(parked.iter().map(|mark| mark.day).collect::<Vec<_>>(), [day(SICK)]);
}

pub(crate) async fn a_poison_row_parks_one_day_only(backend: &impl Backend) {
    let bench = Bench::new(backend).await;
    let (mut story, _) = six_days();
    // Two more on the sick day: a place sold twice, then an honest booking behind it.
    let again = sold_again(story.records.iter().rfind(|record| record.day == day(SICK)).expect("a booking"), 1);
    let (poison, sequence) = (again.changes[0].row.id, 5);
    story.record(day(SICK), again);
    let behind = story.book(day(SICK), 99, 5);
    for number in 0..DAYS {
        story.book(day(number), 200 + number, 6);
    }
    bench.journal.push(&story.news());
    let mut apply_loop = bench.open().await.expect("opens");
    turn_until_idle(&mut apply_loop).await;

    assert_eq!(bench.ledger.applied_position().await.expect("read"), story.position());
    assert_eq!(
        bench.ledger.applied_sequence(day(SICK)).await.expect("read"),
        sequence - 1,
        "what came before is there"
    );
    assert_only_one_suffers(&bench, &story, &[poison, behind]).await;
    let parked = bench.ledger.parked().await.expect("read").remove(0);
    assert_eq!(parked.version.sequence, sequence);
    assert!(parked.reason.contains("seats"), "{}", parked.reason);
    assert_eq!(bench.reader().appointments(&all(AppointmentScope::Day(day(SICK)))).await.expect("read").len(), 6);
}

pub(crate) async fn an_undecodable_record_parks_its_day(backend: &impl Backend) {
    let bench = Bench::new(backend).await;
    let (mut story, [second, third]) = six_days();
    bench.journal.push(&story.news());
    let broken = story.records.iter().find(|it| it.event.changes.iter().any(|change| change.row.id == second));
    bench.journal.replace_body(broken.expect("the booking").position, &[250, 1, 2]);
    let mut apply_loop = bench.open().await.expect("opens");
    turn_until_idle(&mut apply_loop).await;

    assert_eq!(bench.ledger.applied_position().await.expect("read"), story.position());
    assert_eq!(bench.ledger.applied_sequence(day(SICK)).await.expect("read"), 2);
    assert_eq!(bench.ledger.appointment(third).await.expect("read"), None);
    assert!(bench.reader().appointment(third).await.expect("read").is_some(), "what can be read is seen");
    for number in (0..DAYS).filter(|number| *number != SICK) {
        assert_eq!(bench.ledger.applied_sequence(day(number)).await.expect("read"), 4);
    }
    assert!(bench.ledger.parked().await.expect("read")[0].reason.contains("decoded"));

    // A newer program that can read it takes it up where it was left.
    bench.journal.replace_body(
        broken.expect("the booking").position,
        &booking_core::encode_event(&broken.expect("the booking").event),
    );
    let restarted = bench.restarted();
    turn_until_idle(&mut restarted.open().await.expect("opens")).await;
    assert!(bench.ledger.parked().await.expect("read").is_empty());
    assert_same_rows(&*bench.ledger, &story).await;
}

pub(crate) async fn a_parked_day_is_tried_again_at_start(backend: &impl Backend) {
    let bench = Bench::new(backend).await;
    let (mut story, ids) = six_days();
    bench.journal.push(&story.news());
    *bench.ledger.dislikes.lock() = Some((day(SICK), 3));
    turn_until_idle(&mut bench.open().await.expect("opens")).await;
    assert_only_one_suffers(&bench, &story, &ids).await;

    // Still disliked after a restart: the reader sees the day all the same.
    let bench = bench.restarted();
    turn_until_idle(&mut bench.open().await.expect("opens")).await;
    assert_only_one_suffers(&bench, &story, &ids).await;
    assert_eq!(bench.overlay.len(), 2, "the two that the ledger lacks");

    *bench.ledger.dislikes.lock() = None;
    let bench = bench.restarted();
    turn_until_idle(&mut bench.open().await.expect("opens")).await;
    assert!(bench.ledger.parked().await.expect("read").is_empty());
    assert!(bench.overlay.is_empty());
    assert_same_rows(&*bench.ledger, &story).await;
}

/// No start of the process need follow there, and nobody else has the shard.
pub(crate) async fn a_parked_day_is_tried_again_each_minute_where_shards_change_hands(backend: &impl Backend) {
    let bench = Bench::new(backend).await;
    bench.journal.is_shared.store(true, Ordering::SeqCst);
    let mut apply_loop = bench.open().await.expect("opens");
    let (mut story, lacking) = six_days();
    let mut ids = lacking.to_vec();
    let told = async |apply_loop: &mut ApplyLoop, story: &mut Story| {
        bench.journal.push(&story.news());
        bench.progress.advanced(story.position());
        turn_until_idle(apply_loop).await;
    };
    *bench.ledger.dislikes.lock() = Some((day(SICK), 3));
    told(&mut apply_loop, &mut story).await;
    assert_only_one_suffers(&bench, &story, &ids).await;
    a_minute_of_sweeps(&mut apply_loop).await;
    assert_only_one_suffers(&bench, &story, &ids).await;

    // Somebody has mended it. What was recorded while it was parked is not left out, nor what comes later.
    ids.push(story.book(day(SICK), 77, 7));
    told(&mut apply_loop, &mut story).await;
    assert_only_one_suffers(&bench, &story, &ids).await;
    *bench.ledger.dislikes.lock() = None;
    a_minute_of_sweeps(&mut apply_loop).await;
    assert!(bench.ledger.parked().await.expect("read").is_empty());
    assert_same_rows(&*bench.ledger, &story).await;
    story.close(day(SICK));
    told(&mut apply_loop, &mut story).await;
    assert_same_rows(&*bench.ledger, &story).await;
}

/// The clock moves a millisecond each time a sweep looks whether it is due.
async fn a_minute_of_sweeps(apply_loop: &mut ApplyLoop) {
    for _ in 0..60_001 {
        apply_loop.sweep_parked().await;
    }
}

pub(crate) async fn a_parked_day_follows_its_journal(backend: &impl Backend) {
    let bench = Bench::new(backend).await;
    let (mut story, [second, _]) = six_days();
    bench.journal.push(&story.news());
    *bench.ledger.dislikes.lock() = Some((day(SICK), 3));
    let mut apply_loop = bench.open().await.expect("opens");
    turn_until_idle(&mut apply_loop).await;
    // Later records, of parked appointments, of applied ones and of new ones; nobody but the applier publishes them.
    assert!(story.cancel(day(SICK), second, None));
    let first = story.rows().iter().find(|(key, row)| *key == day(SICK) && row.version == 1).map(|(_, row)| row.id);
    assert!(story.cancel(day(SICK), first.expect("a booking"), Some("better")));
    story.book(day(SICK), 77, 7);
    story.close(day(SICK));
    bench.journal.push(&story.news());
    bench.progress.advanced(story.position());
    turn_until_idle(&mut apply_loop).await;

    let reader = bench.reader();
    for (key, row) in story.rows() {
        assert_eq!(reader.appointment(row.id).await.expect("read").expect("there").appointment, row, "{key}");
        assert_eq!(reader.history(row.id).await.expect("read").len(), row.version as usize);
    }
    let scope = AppointmentScope::Day(day(SICK));
    let cancelled = engine::ledger::AppointmentQuery { statuses: vec![Status::Cancelled], ..all(scope) };
    assert_eq!(reader.appointments(&cancelled).await.expect("read").len(), 2);
}
