//! The reminders that are written with an appointment, and what is void by a change.
//! Must not know: who sends them; how offsets and quiet hours are reckoned.

use booking_core::{AppointmentId, PatientId, PersonalText, UtcMillis};
use engine::config::ReminderSettings;
use engine::ledger::people::{Channel, PatientProfile};
use engine::ledger::reminders::{Claimer, Kind, Outcome, PolicyScope, ReminderRow, ReminderStatus, ReminderStore};
use uuid::Uuid;

use crate::Backend;
use crate::ledger::apply_news;
use crate::policies::{doctor, policy};
use crate::story::{MORNING, Story, day, patient, start};

pub(crate) const DAY_MILLIS: i64 = 86_400_000;

/// A row in short: version, kind, offset in minutes, status.
pub(crate) type Told = (u32, Kind, u32, ReminderStatus);

const PENDING: ReminderStatus = ReminderStatus::Pending;
const CANCELLED: ReminderStatus = ReminderStatus::Cancelled;

/// Ten days before the first slot: every offset is ahead.
pub(crate) fn early(days: &[u128]) -> Story {
    early_numbered(0, days)
}

fn early_numbered(number: u128, days: &[u128]) -> Story {
    let mut story = Story::numbered(number);
    story.now = MORNING - 10 * DAY_MILLIS;
    days.iter().for_each(|number| story.publish(day(*number), 4, 2));
    story
}

pub(crate) fn told(rows: &[ReminderRow]) -> Vec<Told> {
    rows.iter().map(|row| (row.key.version, row.key.kind, row.key.offset_seconds / 60, row.status)).collect()
}

pub(crate) async fn rows_of(store: &dyn ReminderStore, id: AppointmentId) -> Vec<ReminderRow> {
    store.of_appointment(id).await.expect("read")
}

/// What a version gives that is booked: the notice first, as it is due first.
fn booked(version: u32, notice: Kind, status: ReminderStatus) -> [Told; 3] {
    [(version, notice, 0, status), (version, Kind::Reminder, 1_440, status), (version, Kind::Reminder, 120, status)]
}

pub(crate) async fn rows_follow_the_life_of_an_appointment(backend: &impl Backend) {
    let stores = backend.open().await;
    let mut story = early(&[1]);
    let id = story.book(day(1), 1, 0);
    apply_news(&*stores.ledger, &mut story).await;
    let rows = rows_of(&*stores.reminders, id).await;
    assert_eq!(told(&rows), booked(1, Kind::Confirmation, PENDING));
    let row = story.row(day(1), id);
    for row_of_reminder in &rows {
        assert_eq!((row_of_reminder.day, row_of_reminder.patient), (day(1), row.patient));
        assert_eq!((row_of_reminder.start, row_of_reminder.next_at), (row.start, row_of_reminder.due_at));
        assert_eq!((row_of_reminder.attempts, &row_of_reminder.fallback), (0, &Vec::new()));
    }
    assert_eq!(rows[0].due_at, row.updated_at);
    assert_eq!(rows[2].due_at, row.start.plus_millis(-7_200_000));
    assert_eq!(stores.reminders.pending_of(&[id]).await.expect("read").len(), 3);

    story.move_within(day(1), id, 2);
    apply_news(&*stores.ledger, &mut story).await;
    let rows = rows_of(&*stores.reminders, id).await;
    assert_eq!(told(&rows), [booked(1, Kind::Confirmation, CANCELLED), booked(2, Kind::Change, PENDING)].concat());
    assert_eq!((rows[5].start, rows[5].due_at), (start(2), start(2).plus_millis(-7_200_000)));

    assert!(story.cancel(day(1), id, None));
    apply_news(&*stores.ledger, &mut story).await;
    let expected = [
        &booked(1, Kind::Confirmation, CANCELLED)[..],
        &booked(2, Kind::Change, CANCELLED),
        &[(3, Kind::Cancellation, 0, PENDING)],
    ];
    assert_eq!(told(&rows_of(&*stores.reminders, id).await), expected.concat());
    let pending = stores.reminders.pending_of(&[id, AppointmentId(Uuid::nil())]).await.expect("read");
    assert_eq!(told(&pending), [(3, Kind::Cancellation, 0, PENDING)]);
}

pub(crate) async fn a_move_to_another_day_takes_its_reminders_along(backend: &impl Backend) {
    let stores = backend.open().await;
    let mut story = early(&[1, 2]);
    let id = story.book(day(1), 1, 0);
    apply_news(&*stores.ledger, &mut story).await;
    story.move_to(day(1), id, day(2), 3);
    apply_news(&*stores.ledger, &mut story).await;
    let rows = rows_of(&*stores.reminders, id).await;
    assert_eq!(told(&rows), [booked(1, Kind::Confirmation, CANCELLED), booked(2, Kind::Change, PENDING)].concat());
    assert!(rows[3..].iter().all(|row| (row.day, row.start) == (day(2), start(3))));
    for (shard, count) in [(day(1).shard(), 0), (day(2).shard(), 3)] {
        let due =
            stores.reminders.due(&[shard].into_iter().collect(), None, UtcMillis(i64::MAX), 99).await.expect("read");
        assert_eq!(due.len(), count, "whoever has the new day sends");
    }
}

pub(crate) async fn what_is_not_booked_has_none(backend: &impl Backend) {
    let stores = backend.open().await;
    let mut story = early(&[1]);
    let [expired, cancelled, confirmed] = [0, 1, 2].map(|slot| story.hold(day(1), 10 + slot as u128, slot));
    let missed = story.book(day(1), 4, 3);
    apply_news(&*stores.ledger, &mut story).await;
    for held in [expired, cancelled, confirmed] {
        assert_eq!(rows_of(&*stores.reminders, held).await, []);
    }
    assert!(story.cancel(day(1), cancelled, None) && story.confirm(day(1), confirmed));
    story.now += 60_000;
    story.expire(day(1));
    story.now = start(3).0;
    story.no_show(day(1), missed);
    apply_news(&*stores.ledger, &mut story).await;
    assert_eq!(rows_of(&*stores.reminders, expired).await, []);
    assert_eq!(rows_of(&*stores.reminders, cancelled).await, []);
    assert_eq!(told(&rows_of(&*stores.reminders, confirmed).await), booked(2, Kind::Confirmation, PENDING));
    assert_eq!(told(&rows_of(&*stores.reminders, missed).await), booked(1, Kind::Confirmation, CANCELLED));
}

/// A move there, a cancellation there; and one that moves within the day.
fn travels(number: u128) -> (Story, [AppointmentId; 2]) {
    let [here, there] = [day(number), day(number + 1)];
    let mut story = early_numbered(number, &[number, number + 1]);
    let (traveller, other) = (story.book(here, number, 0), story.book(here, number + 1, 1));
    story.move_to(here, traveller, there, 2);
    story.move_within(here, other, 3);
    assert!(story.cancel(there, traveller, None));
    (story, [traveller, other])
}

pub(crate) async fn rows_are_the_same_however_records_come(backend: &impl Backend) {
    let stores = backend.open().await;
    let mut all = Vec::new();
    for number in [100, 200, 300] {
        let (story, ids) = travels(number);
        let records = &story.records;
        match number {
            // One batch a record, and each once more.
            100 => {
                for (at, record) in records.iter().enumerate() {
                    stores.ledger.apply(&records[..=at], record.position).await.expect("applied");
                }
            }
            200 => stores.ledger.apply(records, story.position()).await.expect("applied"),
            // As two owners do it, of whom the second is late.
            _ => {
                for number in [301, 300] {
                    let of_day: Vec<_> = records.iter().filter(|record| record.day == day(number)).cloned().collect();
                    let cursor = of_day.last().expect("records").cursor();
                    stores.ledger.apply_shard(day(number).shard(), &of_day, cursor).await.expect("applied");
                }
            }
        }
        let mut rows = Vec::new();
        for id in ids {
            rows.push(told(&rows_of(&*stores.reminders, id).await));
        }
        all.push(rows);
    }
    let traveller = [
        &booked(1, Kind::Confirmation, CANCELLED)[..],
        &booked(2, Kind::Change, CANCELLED),
        &[(3, Kind::Cancellation, 0, PENDING)],
    ];
    let other = [booked(1, Kind::Confirmation, CANCELLED), booked(2, Kind::Change, PENDING)];
    for rows in all {
        assert_eq!(rows, [traveller.concat(), other.concat()]);
    }
}

/// A patient that may be written to in many ways.
pub(crate) fn profile(channels: Option<Vec<Channel>>) -> PatientProfile {
    PatientProfile {
        name: PersonalText::plain("Ada"),
        phone: Some(PersonalText::plain("+43123456789")),
        email: Some(PersonalText::plain("ada@example.org")),
        telegram: None,
        language: None,
        time_zone: None,
        channels,
    }
}

/// A server that has every way.
pub(crate) fn all_channels() -> ReminderSettings {
    ReminderSettings { configured: Channel::ALL.to_vec(), ..ReminderSettings::default() }
}

pub(crate) async fn policies_and_patients_are_heeded(backend: &impl Backend) {
    let stores = backend.open_with(&all_channels()).await;
    let clinic = Uuid::from_u128(0xC1);
    for number in [1, 2] {
        stores.registry.create_doctor(&doctor(day(number).doctor, Some(clinic)), None).await.expect("written");
    }
    let at = UtcMillis(1);
    stores.registry.put_policy(PolicyScope::Clinic(clinic), Some(&policy(600)), at).await.expect("written");
    let own = PolicyScope::Doctor(day(2).doctor);
    stores.registry.put_policy(own, Some(&policy(1_200)), at).await.expect("written");
    let (telegram, email, sms) = (Channel::Telegram, Channel::Email, Channel::Sms);
    for (who, channels) in [(1, Some(vec![telegram, sms, email])), (2, Some(Vec::new())), (3, None)] {
        stores.registry.put_patient(patient(who), &profile(channels), at).await.expect("written");
    }
    // The last one is known to nobody.
    let mut story = early(&[1, 2, 3]);
    let mut of = Vec::new();
    for (number, minutes) in [(1, vec![10]), (2, vec![20]), (3, vec![1_440, 120])] {
        for who in 1..=4 {
            let id = story.take(day(number), patient(who), Some(who as usize - 1), None).expect("a place");
            of.push((id, who, minutes.clone()));
        }
    }
    apply_news(&*stores.ledger, &mut story).await;
    for (id, who, minutes) in of {
        let rows = rows_of(&*stores.reminders, id).await;
        let reminders: Vec<&ReminderRow> = rows.iter().filter(|row| row.key.kind == Kind::Reminder).collect();
        let offsets: Vec<u32> = reminders.iter().map(|row| row.key.offset_seconds / 60).collect();
        let (offset_minutes, way, fallback) = match who {
            1 => (minutes, sms, vec![email]),
            2 => (Vec::new(), sms, Vec::new()),
            _ => (minutes, Channel::File, Vec::new()),
        };
        assert_eq!(offsets, offset_minutes, "patient {who}");
        assert!(rows.iter().all(|row| (row.key.channel, &row.fallback) == (way, &fallback)), "patient {who}");
    }
}

pub(crate) async fn a_large_batch_has_every_row(backend: &impl Backend) {
    let stores = backend.open().await;
    let mut story = Story::new();
    story.now = MORNING - 10 * DAY_MILLIS;
    let ids: Vec<AppointmentId> = (0..700_u128)
        .map(|number| {
            if number % 4 == 0 {
                story.publish(day(1_000 + number / 4), 4, 1);
            }
            let who = PatientId(Uuid::from_u128(number));
            story.take(day(1_000 + number / 4), who, Some(number as usize % 4), None).expect("a place")
        })
        .collect();
    apply_news(&*stores.ledger, &mut story).await;
    assert_eq!(stores.reminders.pending_of(&ids).await.expect("read").len(), 3 * ids.len());
}

pub(crate) async fn applying_again_leaves_what_was_sent(backend: &impl Backend) {
    let stores = backend.open().await;
    let mut story = early(&[1]);
    let id = story.book(day(1), 1, 0);
    apply_news(&*stores.ledger, &mut story).await;
    let claimer = Claimer { incarnation: Uuid::from_u128(7) };
    let (key, now) = (rows_of(&*stores.reminders, id).await[0].key, UtcMillis(story.now));
    let claimed = stores.reminders.claim(&[key], claimer, now, now.plus_millis(1)).await.expect("claimed");
    assert_eq!(claimed.len(), 1);
    stores.reminders.record(&[(key, Outcome::Sent)], claimer, now).await.expect("recorded");
    let before = rows_of(&*stores.reminders, id).await;
    stores.ledger.apply(&story.records, story.position()).await.expect("applied");
    stores.ledger.close().await;
    let stores = backend.open().await;
    stores.ledger.apply(&story.records, story.position()).await.expect("applied");
    let after = rows_of(&*stores.reminders, id).await;
    assert_eq!((after[0].status, after[0].sent_at), (ReminderStatus::Sent, Some(now)));
    assert_eq!(after, before);
    // What was sent of an older version stays what it was.
    assert!(story.cancel(day(1), id, None));
    apply_news(&*stores.ledger, &mut story).await;
    let rows = told(&rows_of(&*stores.reminders, id).await);
    assert_eq!(rows[0], (1, Kind::Confirmation, 0, ReminderStatus::Sent));
    assert_eq!(rows[1..3], booked(1, Kind::Confirmation, CANCELLED)[1..]);
}
