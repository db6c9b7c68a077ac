//! What is told of a change of an appointment: which rows it gives, to whom, over which channel, when. Pure.
//! Must not know: the present time, where rows are kept, how a message leaves, what it says.
//!
//! A change that is told gives notices at once, and, if the appointment is booked from then on, a reminder for each offset that is
//! still ahead. Whatever an appointment's older versions had is void by then: that is the store's part.

use booking_core::{Appointment, DayKey, Status, UtcMillis};

use super::policy::{DoctorNotices, NOTICE_SECONDS_DEFAULT, Offset, ReminderPolicy};
use super::quiet::Quiet;
use crate::config::ReminderSettings;
use crate::ledger::people::{Channel, PatientProfile};
use crate::ledger::reminders::{Kind, Recipient, ReminderKey, ReminderRow, ReminderStatus};

const SECOND_MILLIS: i64 = 1_000;

/// A change of an appointment, as its record says it.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'record> {
    /// Where it stands from then on.
    pub day: DayKey,
    /// The appointment after.
    pub row: &'record Appointment,
    /// The status before; `None` at birth.
    pub from: Option<Status>,
    /// When it was decided.
    pub at: UtcMillis,
    /// Whether the patient did it.
    pub by_patient: bool,
}

impl Occasion<'_> {
    /// The notice that it gives; `None`: nobody is told.
    pub fn notice(&self) -> Option<Kind> {
        match (self.from, self.row.status) {
            // Only a move leaves the status as it was.
            (Some(Status::Booked), Status::Booked) => Some(Kind::Change),
            (_, Status::Booked) => Some(Kind::Confirmation),
            (Some(Status::Booked), Status::Cancelled) => Some(Kind::Cancellation),
            _ => None,
        }
    }
}

/// What is known of a patient that matters here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preferences {
    /// IANA name.
    pub time_zone: Option<String>,
    /// See [`PatientProfile::channels`].
    pub channels: Option<Vec<Channel>>,
    /// Whether there is an address for text messages.
    pub has_phone: bool,
    /// Whether there is one for mail.
    pub has_email: bool,
    /// Whether there is one on Telegram.
    pub has_telegram: bool,
}

impl Preferences {
    /// Of a patient that was put.
    pub fn of(profile: &PatientProfile) -> Self {
        Self {
            time_zone: profile.time_zone.clone(),
            channels: profile.channels.clone(),
            has_phone: profile.phone.is_some(),
            has_email: profile.email.is_some(),
            has_telegram: profile.telegram.is_some(),
        }
    }

    const fn has_address(&self, channel: Channel) -> bool {
        match channel {
            // The operator's own.
            Channel::File | Channel::Webhook => true,
            Channel::Email => self.has_email,
            Channel::Sms => self.has_phone,
            Channel::Telegram => self.has_telegram,
        }
    }
}

/// Who is told what, as somebody wants it.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'known> {
    /// The doctor's policy, else the clinic's; `None`: neither has one.
    pub policy: Option<&'known ReminderPolicy>,
    /// The patient's; `None`: it has said nothing.
    pub patient: Option<&'known Preferences>,
    /// The zone of the day, for whoever has none.
    pub time_zone: &'known str,
}

/// Makes rows of changes. Cheap to share.
#[derive(Debug)]
pub struct Planner {
    default_policy: ReminderPolicy,
    default_channels: Vec<Channel>,
    configured: Vec<Channel>,
    nothing_known: Preferences,
}

impl Planner {
    /// What holds where nobody says otherwise.
    pub fn new(settings: &ReminderSettings) -> Self {
        Self {
            default_policy: ReminderPolicy::of_settings(settings),
            default_channels: settings.default_channels.clone(),
            configured: settings.configured.clone(),
            nothing_known: Preferences::default(),
        }
    }

    /// The rows of `occasion`, pending, in the order of their keys, none twice.
    pub fn rows(&self, occasion: &Occasion<'_>, wishes: &Wishes<'_>) -> Vec<ReminderRow> {
        let Some(notice) = occasion.notice() else { return Vec::new() };
        let plan = Plan {
            occasion,
            policy: wishes.policy.unwrap_or(&self.default_policy),
            patient: wishes.patient.unwrap_or(&self.nothing_known),
            time_zone: wishes.time_zone,
            planner: self,
        };
        let mut rows = Vec::with_capacity(4);
        if occasion.row.status == Status::Booked {
            plan.remind(&mut rows);
        }
        plan.give_notice(notice, &mut rows);
        rows.sort_unstable_by_key(|row| row.key);
        rows
    }

    fn is_configured(&self, channel: Channel) -> bool {
        self.configured.contains(&channel)
    }
}

/// One message, to somebody, not addressed yet.
#[derive(Clone, Copy)]
struct Message {
    kind: Kind,
    offset_seconds: u32,
    due_at: UtcMillis,
}

struct Plan<'plan> {
    occasion: &'plan Occasion<'plan>,
    policy: &'plan ReminderPolicy,
    patient: &'plan Preferences,
    time_zone: &'plan str,
    planner: &'plan Planner,
}

impl Plan<'_> {
    fn remind(&self, rows: &mut Vec<ReminderRow>) {
        // The nearest first: of two that would come at one instant, after quiet hours, the later one counts.
        let mut offsets: Vec<&Offset> = self.policy.offsets.iter().collect();
        offsets.sort_unstable_by_key(|offset| offset.before_seconds);
        let is_ahead = |offset: &&Offset| self.before_start(offset.before_seconds) > self.occasion.at;
        let ahead: Vec<&Offset> = offsets.iter().copied().filter(is_ahead).collect();
        for offset in &ahead {
            let due_at = self.before_start(offset.before_seconds);
            self.remind_once(
                offset,
                Message { kind: Kind::Reminder, offset_seconds: offset.before_seconds, due_at },
                rows,
            );
        }
        let left = self.occasion.row.start.millis_since(self.occasion.at);
        if let (true, Some(nearest), Some(seconds)) =
            (ahead.is_empty(), offsets.first(), self.policy.minimum_notice_seconds)
            && left >= i64::from(seconds) * SECOND_MILLIS
        {
            let message = Message { kind: Kind::Reminder, offset_seconds: seconds, due_at: self.occasion.at };
            self.remind_once(nearest, message, rows);
        }
    }

    fn remind_once(&self, offset: &Offset, message: Message, rows: &mut Vec<ReminderRow>) {
        let quiet = self.quiet_for_patient();
        let due_at = self.out_of_the_night(quiet.as_ref(), message.due_at);
        self.tell_patient(offset.channels.as_deref(), Message { due_at, ..message }, rows);
        if let Some(notices) = self.notices_of(Kind::Reminder) {
            let due_at = self.out_of_the_night(self.quiet_for_doctor().as_ref(), message.due_at);
            self.tell_doctor(notices, Message { due_at, ..message }, rows);
        }
    }

    /// A notice that tells the patient what it has just done itself comes at once, and so does every confirmation.
    fn give_notice(&self, kind: Kind, rows: &mut Vec<ReminderRow>) {
        let at = self.occasion.at;
        let waits = kind != Kind::Confirmation && !self.occasion.by_patient;
        let after_night = |quiet: Option<Quiet>| {
            let night = quiet.filter(|_| waits).and_then(|quiet| quiet.night(at));
            night.map(|night| night.end).filter(|end| *end < self.occasion.row.start).unwrap_or(at)
        };
        let message = Message { kind, offset_seconds: 0, due_at: after_night(self.quiet_for_patient()) };
        self.tell_patient(None, message, rows);
        if let Some(notices) = self.notices_of(kind) {
            let message = Message { due_at: after_night(self.quiet_for_doctor()), ..message };
            self.tell_doctor(notices, message, rows);
        }
    }

    /// A reminder that would come in the night comes at its end, if that leaves enough time before the visit; else just before it,
    /// if that is still ahead; else when it was due.
    fn out_of_the_night(&self, quiet: Option<&Quiet>, due_at: UtcMillis) -> UtcMillis {
        let Some(night) = quiet.and_then(|quiet| quiet.night(due_at)) else { return due_at };
        let notice_seconds = self.policy.minimum_notice_seconds.unwrap_or(NOTICE_SECONDS_DEFAULT);
        if night.end <= self.before_start(notice_seconds) {
            return night.end;
        }
        night.evening.filter(|evening| *evening > self.occasion.at).unwrap_or(due_at)
    }

    fn tell_patient(&self, channels: Option<&[Channel]>, message: Message, rows: &mut Vec<ReminderRow>) {
        let is_reachable =
            |channel: &Channel| self.planner.is_configured(*channel) && self.patient.has_address(*channel);
        // Told nothing by its own wish.
        if self.patient.channels.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let named = channels.unwrap_or_default().iter().copied().filter(is_reachable).collect::<Vec<_>>();
        if !named.is_empty() {
            named.into_iter().for_each(|channel| self.push(Recipient::Patient, channel, Vec::new(), message, rows));
            return;
        }
        // Nobody is left untold because the ways that were wished do not exist here.
        let own = self.patient.channels.as_deref().unwrap_or_default();
        let own: Vec<Channel> = own.iter().copied().filter(is_reachable).collect();
        let usual = || self.planner.default_channels.iter().copied().filter(is_reachable).collect();
        let mut chain = if own.is_empty() { usual() } else { own };
        if !chain.is_empty() {
            let first = chain.remove(0);
            self.push(Recipient::Patient, first, chain, message, rows);
        }
    }

    fn tell_doctor(&self, notices: &DoctorNotices, message: Message, rows: &mut Vec<ReminderRow>) {
        for way in notices.channels.iter().filter(|way| self.planner.is_configured(way.channel)) {
            self.push(Recipient::Doctor, way.channel, Vec::new(), message, rows);
        }
    }

    /// Unless the same one hears something nearer over the same channel at that instant.
    fn push(
        &self,
        recipient: Recipient,
        channel: Channel,
        fallback: Vec<Channel>,
        message: Message,
        rows: &mut Vec<ReminderRow>,
    ) {
        let Message { kind, offset_seconds, due_at } = message;
        let key = ReminderKey {
            appointment: self.occasion.row.id,
            version: self.occasion.row.version,
            kind,
            offset_seconds,
            channel,
            recipient,
        };
        let is_repetition = |row: &ReminderRow| {
            (row.key.kind, row.key.channel, row.key.recipient) == (kind, channel, recipient) && row.due_at == due_at
        };
        if !rows.iter().any(is_repetition) {
            rows.push(self.row(key, due_at, fallback));
        }
    }

    fn row(&self, key: ReminderKey, due_at: UtcMillis, fallback: Vec<Channel>) -> ReminderRow {
        ReminderRow {
            key,
            day: self.occasion.day,
            patient: self.occasion.row.patient,
            start: self.occasion.row.start,
            due_at,
            next_at: due_at,
            status: ReminderStatus::Pending,
            attempts: 0,
            last_error: None,
            sent_at: None,
            fallback,
        }
    }

    fn before_start(&self, seconds: u32) -> UtcMillis {
        self.occasion.row.start.plus_millis(-i64::from(seconds) * SECOND_MILLIS)
    }

    fn notices_of(&self, kind: Kind) -> Option<&DoctorNotices> {
        self.policy.doctor_notices.as_ref().filter(|notices| notices.kinds.contains(&kind))
    }

    fn quiet_for_patient(&self) -> Option<Quiet> {
        let zone = self.patient.time_zone.as_deref().unwrap_or(self.time_zone);
        self.policy.quiet_hours.map(|hours| Quiet::new(hours, zone))
    }

    fn quiet_for_doctor(&self) -> Option<Quiet> {
        self.policy.quiet_hours.map(|hours| Quiet::new(hours, self.time_zone))
    }
}

#[cfg(test)]
mod tests;
