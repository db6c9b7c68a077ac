//! A town: doctors whose visits begin when a test says so, patients, a machine that sends the messages, and the judge of what the post
//! office has taken.
//! Must not know: what a test is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{AppointmentId, Date, DayKey, DoctorId, PatientId, PersonalText, UtcMillis};
use engine::config::ReminderSettings;
use engine::ledger::people::{Channel, PatientProfile};
use engine::ledger::registry::Registry;
use engine::ledger::reminders::{Kind, ReminderRow, ReminderStatus};
use engine::testing::SendingHouse;
use tempfile::TempDir;
use uuid::Uuid;

use crate::post::{Post, Taken};

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 3_600_000;
/// 2027-03-01T08:00:00Z, when everything begins.
pub const MORNING: UtcMillis = UtcMillis(1_803_888_000_000);
/// A message of a machine that is up is out within a second.
pub const LATE_MILLIS: i64 = 1_000;

/// See the module.
pub struct Town {
    pub house: SendingHouse,
    pub post: Post,
    _directory: TempDir,
}

/// So long after the beginning.
pub fn after(millis: i64) -> UtcMillis {
    MORNING.plus_millis(millis)
}

/// The day of that doctor.
pub fn day(doctor: u128) -> DayKey {
    let date = Date::from_civil(2027, 3, 1).expect("a date");
    DayKey { doctor: DoctorId(Uuid::from_u128(0xD0C << 96 | doctor)), date }
}

pub fn patient(number: u128) -> PatientId {
    PatientId(Uuid::from_u128(0xA71 << 96 | number))
}

impl Town {
    /// With the usual reminders over these channels; a process is at work.
    pub async fn new(channels: &[Channel]) -> Self {
        Self::with(channels, &[86_400, 7_200]).await
    }

    /// The same with reminders so many seconds before.
    pub async fn with(channels: &[Channel], offsets_seconds: &[u32]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let post = Post::new(channels);
        let settings = ReminderSettings {
            offsets_seconds: offsets_seconds.to_vec(),
            configured: channels.to_vec(),
            default_channels: channels.to_vec(),
            ..ReminderSettings::default()
        };
        let mut house = SendingHouse::open(directory.path(), settings, Arc::new(post.clone()), MORNING).await;
        post.connect(&house.seams);
        house.start();
        Self { house, post, _directory: directory }
    }

    /// Publishes the day of that doctor with slots that begin so long after the beginning of everything.
    pub fn publish(&self, doctor: u128, starts_millis: &[i64], capacity: u32) {
        let starts: Vec<UtcMillis> = starts_millis.iter().map(|millis| after(*millis)).collect();
        let now = self.house.now();
        self.house.books.with(|diary| diary.publish(day(doctor), "Europe/Berlin", &starts, capacity, now));
    }

    /// These patients book that slot.
    pub fn book(
        &self,
        doctor: u128,
        start_millis: i64,
        patients: impl IntoIterator<Item = u128>,
    ) -> Vec<AppointmentId> {
        let now = self.house.now();
        let book = |who| self.house.books.with(|it| it.book(day(doctor), patient(who), after(start_millis), now));
        patients.into_iter().map(book).collect()
    }

    /// This patient is to be reached so.
    pub async fn reach(&self, number: u128, channels: &[Channel]) {
        let profile = PatientProfile {
            name: PersonalText::plain("A"),
            phone: Some(PersonalText::plain("+491700000000")),
            email: Some(PersonalText::plain("a@example.org")),
            telegram: None,
            language: None,
            time_zone: None,
            channels: Some(channels.to_vec()),
        };
        let now = self.house.now();
        self.house.registry().put_patient(patient(number), &profile, now).await.expect("it is written");
    }

    /// What the ledger lacks is applied.
    pub async fn apply(&self) {
        self.house.applying().apply().await;
        self.house.time.settle().await;
    }

    /// Status of each row of this kind and version, by channel.
    pub async fn statuses(&self, id: AppointmentId, kind: Kind, version: u32) -> Vec<(Channel, ReminderStatus)> {
        let rows = self.house.rows(id).await.into_iter();
        let mut of: Vec<ReminderRow> = rows.filter(|row| (row.key.kind, row.key.version) == (kind, version)).collect();
        of.sort_by_key(|row| row.key);
        of.iter().map(|row| (row.key.channel, row.status)).collect()
    }

    /// Nothing has gone out before its time, after its visit has begun, or more often than `copies_max`.
    pub fn judge(&self, copies_max: usize) {
        let mut copies: BTreeMap<Uuid, Vec<Taken>> = BTreeMap::new();
        for taken in self.post.taken() {
            let row = &taken.letter.row;
            assert!(taken.at >= row.due_at, "before its time: {taken:?}");
            assert!(row.start > taken.at || row.key.kind == Kind::Cancellation, "the visit had begun: {taken:?}");
            assert_eq!(taken.letter.message_id, row.key.message_id());
            copies.entry(taken.letter.message_id).or_default().push(taken);
        }
        let most = copies.values().map(Vec::len).max().unwrap_or(0);
        assert!(most <= copies_max, "one went out {most} times: {copies:?}");
    }
}

/// The longest time from the instant at which a message was due to the one at which it was taken.
pub fn latest(taken: &[Taken]) -> i64 {
    taken.iter().map(|taken| taken.at.millis_since(taken.letter.row.due_at)).max().unwrap_or(0)
}
