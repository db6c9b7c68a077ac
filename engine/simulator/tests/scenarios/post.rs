//! A clinic whose messages leave, and the judge of what the post office has taken: nothing twice but by a crash,
//! nothing before its time, nothing for
//! a visit that has changed, nothing missing.
//! Must not know: how messages are sent.

use std::collections::BTreeMap;

use booking_core::{Appointment, AppointmentId, DayKey, PersonalText, UtcMillis};
use engine::ledger::people::{Channel, PatientProfile};
use engine::ledger::registry::Registry;
use engine::ledger::reminders::{Kind, ReminderRow, ReminderStatus, ReminderStore};
use futures_util::FutureExt;
use simulator::doubles::{Post, Taken};
use simulator::scenario::{Scenario, Setting, at, day, patient_id, plan};

/// Between what a day decides and what everybody can know of it, and between a look and the call that follows.
const KNOWN_MILLIS: i64 = 60;
/// The promise of a system that is up.
pub const LATE_MILLIS: i64 = 1_000;

/// Seconds after eight at which the first slot begins: half a minute before the reminder, so that little time has to
/// pass.
pub const VISIT: i64 = 7_200 + 30;

/// The day of everything.
pub fn today() -> DayKey {
    day(1, 0)
}

/// The same day of another doctor.
pub fn elsewhere() -> DayKey {
    day(2, 0)
}

/// Slots of a hundred places two and three hours after the beginning, with both doctors, and a post office.
pub fn clinic(seed: u64) -> (Setting, Post) {
    clinic_with(seed, &[Channel::File])
}

/// The same with these channels.
pub fn clinic_with(seed: u64, channels: &[Channel]) -> (Setting, Post) {
    let slots = [(VISIT, 600, 100), (VISIT + 3_600, 600, 100)];
    let mut setting = Setting::of(seed, vec![plan(today(), &slots), plan(elsewhere(), &slots)]);
    let post = Post::new(channels);
    setting.config.reminders.configured = channels.to_vec();
    setting.post = Some(post.clone());
    (setting, post)
}

/// When the visit of `day` begins.
pub fn start(day: DayKey) -> UtcMillis {
    at(day, VISIT)
}

/// The reminder two hours before the first slot.
pub fn two_hours_before() -> UtcMillis {
    at(today(), VISIT - 7_200)
}

/// This patient is to be reached so.
pub fn reach(scenario: &Scenario, number: u64, channels: &[Channel]) {
    let profile = PatientProfile {
        name: PersonalText::plain("A"),
        phone: Some(PersonalText::plain("+491700000000")),
        email: Some(PersonalText::plain("a@example.org")),
        telegram: None,
        language: None,
        time_zone: None,
        channels: Some(channels.to_vec()),
    };
    let (id, now) = (patient_id(number), scenario.engine_now());
    let written = scenario.ledger().put_patient(id, &profile, now).now_or_never().expect("memory answers at once");
    written.expect("it is written");
}

/// Every row of the appointment.
pub fn rows(scenario: &Scenario, id: AppointmentId) -> Vec<ReminderRow> {
    scenario.ledger().of_appointment(id).now_or_never().expect("memory answers at once").expect("it is readable")
}

/// What was taken of this kind.
pub fn of_kind(post: &Post, kind: Kind) -> Vec<Taken> {
    post.taken().into_iter().filter(|taken| taken.letter.row.key.kind == kind).collect()
}

/// The statuses of the rows of this kind, by version.
pub fn statuses(scenario: &Scenario, id: AppointmentId, kind: Kind) -> Vec<(u32, ReminderStatus)> {
    let rows = rows(scenario, id).into_iter().filter(|row| row.key.kind == kind);
    rows.map(|row| (row.key.version, row.status)).collect()
}

/// Every version of every appointment, as its record says it, and when that was decided.
fn versions(scenario: &Scenario) -> BTreeMap<(AppointmentId, u32), (UtcMillis, Appointment)> {
    let mut versions = BTreeMap::new();
    for (_, event) in [today(), elsewhere()].into_iter().flat_map(|day| scenario.events(day)) {
        for change in &event.changes {
            versions.insert((change.row.id, change.row.version), (event.at, change.row.clone()));
        }
    }
    versions
}

/// Judges everything that was taken. `twice_max`: messages that may have gone out twice, because somebody died over
/// them.
pub fn judge(scenario: &Scenario, post: &Post, twice_max: usize) {
    let versions = versions(scenario);
    let mut copies: BTreeMap<_, Vec<Taken>> = BTreeMap::new();
    for taken in post.taken() {
        let row = &taken.letter.row;
        assert!(taken.at >= row.due_at, "before its time: {taken:?}");
        let next = versions.get(&(row.key.appointment, row.key.version + 1));
        let is_void = next.is_some_and(|(changed_at, _)| taken.at.millis_since(*changed_at) > KNOWN_MILLIS);
        assert!(!is_void, "for a visit that had changed at {next:?}: {taken:?}");
        assert!(row.start > taken.at || row.key.kind == Kind::Cancellation, "the visit had begun: {taken:?}");
        copies.entry(taken.letter.message_id).or_default().push(taken);
    }
    let twice = copies.values().filter(|copies| copies.len() > 1).count();
    assert!(twice <= twice_max, "{twice} messages went out more than once");
    assert!(copies.values().all(|copies| copies.len() <= 1 + twice_max), "one went out again and again");
    let ids: std::collections::BTreeSet<AppointmentId> = versions.keys().map(|(id, _)| *id).collect();
    for row in ids.into_iter().flat_map(|id| rows(scenario, id)) {
        let was_taken = copies.contains_key(&row.key.message_id());
        match row.status {
            ReminderStatus::Sent => assert!(was_taken, "recorded and not sent: {row:?}"),
            ReminderStatus::Pending => {
                let overdue = scenario.engine_now().millis_since(row.next_at);
                assert!(overdue <= LATE_MILLIS, "lost, or late by {overdue} ms: {row:?}");
            }
            ReminderStatus::Sending => panic!("somebody is sending still: {row:?}"),
            ReminderStatus::Failed | ReminderStatus::Dead | ReminderStatus::Missed => {}
            ReminderStatus::Cancelled => {
                let next = versions.get(&(row.key.appointment, row.key.version + 1));
                assert!(next.is_some(), "cancelled, and nothing had changed: {row:?}");
            }
        }
    }
}

/// The longest time from the instant at which a message was due to the one at which it was taken, in milliseconds.
pub fn latest(taken: &[Taken]) -> i64 {
    taken.iter().map(|taken| taken.at.millis_since(taken.letter.row.due_at)).max().unwrap_or(0)
}
