//! Which rows a change gives: day by day by example, and at random.
//! Must not know: stores.

mod random;

use booking_core::{AppointmentId, Date, DoctorId, PatientId};
use uuid::Uuid;

use super::*;
use crate::reminders::quiet::{instant, local};

const VIENNA: &str = "Europe/Vienna";

/// What is known when a row is planned.
struct Known {
    policy: Option<ReminderPolicy>,
    patient: Option<Preferences>,
    settings: ReminderSettings,
    zone: &'static str,
}

impl Known {
    fn nothing() -> Self {
        Self { policy: None, patient: None, settings: ReminderSettings::default(), zone: VIENNA }
    }

    fn policy(text: &str) -> Self {
        let policy: ReminderPolicy = serde_json::from_str(text).expect("a policy");
        assert_eq!(policy.mistakes(), []);
        Self { policy: Some(policy), ..Self::nothing() }
    }

    /// Who has every address, on a server that has every way.
    fn patient(mut self, channels: Option<&[Channel]>) -> Self {
        self.settings.configured = Channel::ALL.to_vec();
        let channels = channels.map(<[Channel]>::to_vec);
        let preferences =
            Preferences { channels, has_phone: true, has_email: true, has_telegram: true, time_zone: None };
        self.patient = Some(preferences);
        self
    }

    fn rows(&self, occasion: &Occasion<'_>) -> Vec<ReminderRow> {
        let wishes = Wishes { policy: self.policy.as_ref(), patient: self.patient.as_ref(), time_zone: self.zone };
        Planner::new(&self.settings).rows(occasion, &wishes)
    }

    /// Of a visit that the patient books at one local time for another.
    fn booked(&self, at: &str, start: &str) -> Vec<ReminderRow> {
        let row = appointment(instant(self.zone, start), Status::Booked, 1);
        self.rows(&occasion(&row, None, instant(self.zone, at)))
    }
}

fn day() -> DayKey {
    DayKey { doctor: DoctorId(Uuid::from_u128(0xD0C)), date: Date::from_days(20_000).expect("a date") }
}

fn appointment(start: UtcMillis, status: Status, version: u32) -> Appointment {
    Appointment {
        id: AppointmentId(Uuid::from_u128(0xA9)),
        patient: PatientId(Uuid::from_u128(0xA71)),
        start,
        end: start.plus_millis(600_000),
        place: 0,
        status,
        hold_expires_at: None,
        cancellation_reason: None,
        created_at: UtcMillis(0),
        updated_at: UtcMillis(0),
        version,
    }
}

fn occasion(row: &Appointment, from: Option<Status>, at: UtcMillis) -> Occasion<'_> {
    Occasion { day: day(), row, from, at, by_patient: true }
}

/// Each row in short: kind and offset, whom, the way and what comes after it, the local time.
fn told(zone: &str, rows: &[ReminderRow]) -> Vec<String> {
    let line = |row: &ReminderRow| {
        let ways: Vec<&str> =
            std::iter::once(&row.key.channel).chain(&row.fallback).map(|channel| channel.word()).collect();
        let (kind, whom) = (row.key.kind.word(), row.key.recipient.word());
        format!("{kind}-{} {whom} {} {}", row.key.offset_seconds, ways.join(">"), local(zone, row.due_at))
    };
    rows.iter().map(line).collect()
}

#[track_caller]
fn assert_told(rows: &[ReminderRow], expected: &[&str]) {
    assert_eq!(told(VIENNA, rows), expected);
}

#[test]
fn a_booking_is_confirmed_and_reminded_of_a_day_and_two_hours_before() {
    let rows = Known::nothing().booked("2026-05-04T10:00:00", "2026-05-11T09:30:00");
    assert_told(
        &rows,
        &[
            "reminder-7200 patient file 2026-05-11T07:30:00",
            "reminder-86400 patient file 2026-05-10T09:30:00",
            "confirmation-0 patient file 2026-05-04T10:00:00",
        ],
    );
    let first = &rows[0];
    assert_eq!((first.next_at, first.status, first.attempts), (first.due_at, ReminderStatus::Pending, 0));
    assert_eq!((first.day, first.start), (day(), instant(VIENNA, "2026-05-11T09:30:00")));
}

#[test]
fn an_offset_that_has_passed_gives_no_row() {
    let known = Known::nothing();
    for (at, reminders) in [
        ("2026-05-10T09:29:59", 2),
        ("2026-05-10T09:30:00", 1),
        ("2026-05-11T07:29:59", 1),
        ("2026-05-11T07:30:00", 0),
        ("2026-05-11T09:29:00", 0),
    ] {
        let rows = known.booked(at, "2026-05-11T09:30:00");
        assert_eq!(rows.len(), reminders + 1, "{at}");
        assert_eq!(rows[reminders].key.kind, Kind::Confirmation);
    }
}

#[test]
fn who_books_late_is_reminded_at_once_if_the_notice_is_long_enough() {
    let known = Known::policy(
        r#"{"offsets":[{"before_seconds":86400},{"before_seconds":7200}],"minimum_notice_seconds":1800}"#,
    );
    let of = |at| told(VIENNA, &known.booked(at, "2026-05-11T09:30:00"));
    let confirmation = |at: &str| format!("confirmation-0 patient file {at}");
    for at in ["2026-05-11T07:30:00", "2026-05-11T09:00:00"] {
        assert_eq!(of(at), [format!("reminder-1800 patient file {at}"), confirmation(at)]);
    }
    assert_eq!(of("2026-05-11T09:00:01"), [confirmation("2026-05-11T09:00:01")]);
    let early = "2026-05-11T07:29:59";
    assert_eq!(of(early), ["reminder-7200 patient file 2026-05-11T07:30:00".to_owned(), confirmation(early)]);
}

#[test]
fn each_step_of_a_life_tells_what_it_is() {
    let (at, start) = (instant(VIENNA, "2026-05-04T10:00:00"), instant(VIENNA, "2026-05-11T09:30:00"));
    let kinds = |from, to| {
        let row = appointment(start, to, 2);
        let rows = Known::nothing().rows(&occasion(&row, from, at));
        assert!(rows.iter().all(|row| row.key.version == 2));
        rows.iter().map(|row| row.key.kind).collect::<Vec<_>>()
    };
    let (reminder, held, booked) = (Kind::Reminder, Some(Status::Held), Some(Status::Booked));
    assert_eq!(kinds(None, Status::Booked), [reminder, reminder, Kind::Confirmation]);
    assert_eq!(kinds(held, Status::Booked), [reminder, reminder, Kind::Confirmation]);
    assert_eq!(kinds(booked, Status::Booked), [reminder, reminder, Kind::Change]);
    assert_eq!(kinds(booked, Status::Cancelled), [Kind::Cancellation]);
    for (from, to) in [
        (None, Status::Held),
        (held, Status::Held),
        (held, Status::Expired),
        (held, Status::Cancelled),
        (booked, Status::NoShow),
    ] {
        assert_eq!(kinds(from, to), [], "{from:?} {to:?}");
    }
}

#[test]
fn offsets_are_elapsed_time_when_the_clocks_are_set() {
    let of = |zone: &'static str, at: &str, start: &str| {
        let rows = Known { zone, ..Known::nothing() }.booked(at, start);
        told(zone, &rows).into_iter().filter(|line| line.starts_with("reminder-86400")).collect::<Vec<_>>()
    };
    for (zone, start, due) in [
        (VIENNA, "2026-03-29T10:00:00", "2026-03-28T09:00:00"),
        (VIENNA, "2026-10-25T10:00:00", "2026-10-24T11:00:00"),
        ("Australia/Sydney", "2026-10-04T10:00:00", "2026-10-03T09:00:00"),
        ("Australia/Sydney", "2026-04-05T10:00:00", "2026-04-04T11:00:00"),
    ] {
        assert_eq!(of(zone, "2026-01-15T12:00:00", start), [format!("reminder-86400 patient file {due}")]);
    }
}

const QUIET: &str =
    r#"{"offsets":[{"before_seconds":86400},{"before_seconds":7200}],"quiet_hours":{"from":"21:00","to":"08:00"}}"#;

#[test]
fn a_reminder_in_the_night_waits_for_the_morning_or_comes_in_the_evening() {
    let known = Known::policy(QUIET);
    let reminders = |at, start| {
        let mut lines = told(VIENNA, &known.booked(at, start));
        lines.retain(|line| line.starts_with("reminder"));
        lines
    };
    let at = "2026-05-04T10:00:00";
    // An hour is left at eight.
    assert_eq!(reminders(at, "2026-05-11T09:00:00")[0], "reminder-7200 patient file 2026-05-11T08:00:00");
    // Half an hour, just enough; a minute less, and it comes in the evening.
    assert_eq!(reminders(at, "2026-05-11T08:30:00")[0], "reminder-7200 patient file 2026-05-11T08:00:00");
    assert_eq!(reminders(at, "2026-05-11T08:29:00")[0], "reminder-7200 patient file 2026-05-10T20:59:59");
    // The day before waits for the morning of that day.
    assert_eq!(reminders(at, "2026-05-11T07:30:00")[1], "reminder-86400 patient file 2026-05-10T08:00:00");
    // Who books in that very night is told when it is due.
    assert_eq!(
        reminders("2026-05-10T23:00:00", "2026-05-11T06:00:00"),
        ["reminder-7200 patient file 2026-05-11T04:00:00"]
    );
}

#[test]
fn quiet_hours_are_those_of_the_patient() {
    let mut known = Known::policy(QUIET);
    known.patient = Some(Preferences { time_zone: Some("America/New_York".to_owned()), ..Preferences::default() });
    // Two hours before is half past five in the morning in New York: it comes at eight there, half an hour before.
    let rows = known.booked("2026-05-04T10:00:00", "2026-05-11T14:30:00");
    assert_told(
        &rows[..2],
        &["reminder-7200 patient file 2026-05-11T14:00:00", "reminder-86400 patient file 2026-05-10T14:30:00"],
    );
}

#[test]
fn two_reminders_that_meet_after_the_night_are_one() {
    let known = Known::policy(
        r#"{"offsets":[{"before_seconds":7200},{"before_seconds":3600},{"before_seconds":900}],"quiet_hours":{"from":"21:00","to":"08:00"}}"#,
    );
    let rows = known.booked("2026-05-04T10:00:00", "2026-05-11T06:00:00");
    assert_told(&rows[..1], &["reminder-900 patient file 2026-05-10T20:59:59"]);
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_notice_of_what_others_did_waits_for_the_morning() {
    let known = Known::policy(QUIET);
    let at = instant(VIENNA, "2026-05-10T23:00:00");
    let due = |start: &str, from, to, by_patient| {
        let row = appointment(instant(VIENNA, start), to, 2);
        let rows = known.rows(&Occasion { by_patient, ..occasion(&row, from, at) });
        local(VIENNA, rows.last().expect("a notice").due_at)
    };
    let (booked, later) = (Some(Status::Booked), "2026-05-20T09:00:00");
    assert_eq!(due(later, booked, Status::Cancelled, false), "2026-05-11T08:00:00");
    assert_eq!(due(later, booked, Status::Booked, false), "2026-05-11T08:00:00");
    assert_eq!(due(later, booked, Status::Cancelled, true), "2026-05-10T23:00:00");
    assert_eq!(due(later, None, Status::Booked, false), "2026-05-10T23:00:00", "a confirmation");
    for soon in ["2026-05-11T07:00:00", "2026-05-11T08:00:00"] {
        assert_eq!(due(soon, booked, Status::Cancelled, false), "2026-05-10T23:00:00", "it would begin before");
    }
}

#[test]
fn the_first_way_that_works_is_taken_and_the_others_follow() {
    let ways = |known: &Known| {
        let rows = known.booked("2026-05-04T10:00:00", "2026-05-11T09:30:00");
        told(VIENNA, &rows).first().and_then(|line| line.split(' ').nth(2)).map(str::to_owned)
    };
    let (sms, email, telegram) = (Channel::Sms, Channel::Email, Channel::Telegram);
    let wished = Some(&[sms, email, telegram][..]);
    assert_eq!(ways(&Known::nothing().patient(wished)).as_deref(), Some("sms>email>telegram"));
    let mut known = Known::nothing().patient(wished);
    known.settings.configured = vec![Channel::File, email, sms];
    known.patient.as_mut().expect("a patient").has_phone = false;
    assert_eq!(ways(&known).as_deref(), Some("email"));
    known.settings.configured = vec![Channel::File, sms];
    assert_eq!(ways(&known).as_deref(), Some("file"), "none of its own works");
    assert_eq!(ways(&Known::nothing().patient(None)).as_deref(), Some("file"), "it has said nothing");
    let mut known = Known::nothing().patient(None);
    known.settings.default_channels = vec![email, sms];
    assert_eq!(ways(&known).as_deref(), Some("email>sms"));
    known.patient = None;
    assert_eq!(ways(&known), None, "nobody knows an address");
}

#[test]
fn an_empty_list_of_ways_means_nowhere() {
    let known = Known::nothing().patient(Some(&[]));
    assert_eq!(known.booked("2026-05-04T10:00:00", "2026-05-11T09:30:00"), []);
    let named = Known::policy(r#"{"offsets":[{"before_seconds":3600,"channels":["email"]}]}"#).patient(Some(&[]));
    assert_eq!(named.booked("2026-05-04T10:00:00", "2026-05-11T09:30:00"), []);
}

#[test]
fn ways_that_an_offset_names_get_a_row_each() {
    let policy = r#"{"offsets":[{"before_seconds":3600,"channels":["email","sms"]},{"before_seconds":900}]}"#;
    let reminders = |known: &Known| {
        let rows = known.booked("2026-05-04T10:00:00", "2026-05-11T09:30:00");
        told(VIENNA, &rows).into_iter().filter(|line| line.starts_with("reminder")).collect::<Vec<_>>()
    };
    let mut known = Known::policy(policy).patient(Some(&[Channel::Telegram]));
    let nearest = "reminder-900 patient telegram 2026-05-11T09:15:00";
    let (email, sms) =
        ("reminder-3600 patient email 2026-05-11T08:30:00", "reminder-3600 patient sms 2026-05-11T08:30:00");
    assert_eq!(reminders(&known), [nearest, email, sms]);
    known.settings.configured.retain(|channel| *channel != Channel::Email);
    assert_eq!(reminders(&known), [nearest, sms]);
    known.settings.configured.retain(|channel| *channel != Channel::Sms);
    assert_eq!(
        reminders(&known),
        [nearest, "reminder-3600 patient telegram 2026-05-11T08:30:00"],
        "nobody is left out"
    );
}

#[test]
fn a_doctor_is_told_what_it_has_chosen() {
    let known = Known::policy(
        r#"{"offsets":[{"before_seconds":3600}],"doctor_notices":{"channels":[{"channel":"email","to":"a@b.example"},
        {"channel":"file"}],"kinds":["reminder","cancellation"]}}"#,
    );
    let at = instant(VIENNA, "2026-05-04T10:00:00");
    let start = instant(VIENNA, "2026-05-11T09:30:00");
    let rows = |known: &Known, from, to| {
        let row = appointment(start, to, 2);
        told(VIENNA, &known.rows(&occasion(&row, from, at)))
    };
    // This server has no mail.
    assert_eq!(
        rows(&known, None, Status::Booked),
        [
            "reminder-3600 patient file 2026-05-11T08:30:00",
            "reminder-3600 doctor file 2026-05-11T08:30:00",
            "confirmation-0 patient file 2026-05-04T10:00:00",
        ]
    );
    // Also of patients who want to hear nothing.
    let known = known.patient(Some(&[]));
    assert_eq!(
        rows(&known, Some(Status::Booked), Status::Cancelled),
        ["cancellation-0 doctor file 2026-05-04T10:00:00", "cancellation-0 doctor email 2026-05-04T10:00:00"]
    );
}

#[test]
fn a_message_has_one_id_for_ever() {
    let rows = Known::nothing().booked("2026-05-04T10:00:00", "2026-05-11T09:30:00");
    let id = rows[0].key.message_id();
    assert_eq!(id.get_version_num(), 5);
    assert_eq!(id, Uuid::from_u128(0x6b1f_da23_442f_51ef_b1da_ba41_3bb7_7ad6), "as it has always been");
    let mut ids: Vec<Uuid> = rows.iter().map(|row| row.key.message_id()).collect();
    let other = ReminderKey { recipient: Recipient::Doctor, ..rows[0].key };
    let next = ReminderKey { version: 2, ..rows[0].key };
    ids.extend([other.message_id(), next.message_id()]);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows.len() + 2);
}
