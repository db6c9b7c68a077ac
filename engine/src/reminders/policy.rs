//! What a clinic or a doctor wants told, when and how: its form, in which it is also kept, and its limits.
//! Must not know: appointments, the present time, how a message leaves.

use std::fmt;
use std::str::FromStr;

use crate::config::ReminderSettings;
use crate::ledger::people::Channel;
use crate::ledger::reminders::Kind;

/// The most offsets of a policy.
pub const OFFSETS_MAX: usize = 10;
/// The shortest offset of a policy, and the shortest minimum notice.
pub const BEFORE_SECONDS_MIN: u32 = 60;
/// The longest: ninety days.
pub const BEFORE_SECONDS_MAX: u32 = 90 * 86_400;
/// The longest name of a template.
pub const TEMPLATE_NAME_MAX: usize = 64;
/// The longest address of a doctor's notices.
pub const ADDRESS_MAX: usize = 254;
/// The least time that a message which waited for the end of quiet hours leaves before the visit, if nothing else is said.
pub const NOTICE_SECONDS_DEFAULT: u32 = 1_800;

/// What is told of every visit to a doctor, or to the doctors of a clinic. A doctor's stands in the place of the clinic's, whole.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReminderPolicy {
    /// When patients are reminded; empty: never.
    pub offsets: Vec<Offset>,
    /// Who books when every offset has passed is reminded at once, if so many seconds are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_notice_seconds: Option<u32>,
    /// When nobody is disturbed, in the zone of whoever is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// What the doctor is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doctor_notices: Option<DoctorNotices>,
    /// What notices say.
    #[serde(default)]
    pub templates: NoticeTemplates,
}

/// A reminder so long before the start.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    /// Seconds.
    pub before_seconds: u32,
    /// Over each of these; `None`: over the first of the patient's own that works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Channel>>,
    /// What it says; `None`: the usual words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// From one wall time up to another, which may be on the next day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// The first minute.
    pub from: WallTime,
    /// The first minute after.
    pub to: WallTime,
}

impl QuietHours {
    /// Whether clocks that show `time` are within.
    pub const fn contain(self, time: WallTime) -> bool {
        let (from, to, time) = (self.from.0, self.to.0, time.0);
        if from < to { from <= time && time < to } else { from <= time || time < to }
    }
}

/// A time of day in whole minutes, written `HH:MM`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WallTime(u16);

impl WallTime {
    /// `hour` 0 to 23, `minute` 0 to 59.
    pub const fn new(hour: u8, minute: u8) -> Option<Self> {
        if hour < 24 && minute < 60 { Some(Self(hour as u16 * 60 + minute as u16)) } else { None }
    }

    /// 0 to 23.
    pub const fn hour(self) -> u8 {
        (self.0 / 60) as u8
    }

    /// 0 to 59.
    pub const fn minute(self) -> u8 {
        (self.0 % 60) as u8
    }
}

/// The text is no wall time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a time of day is written HH:MM, from 00:00 to 23:59")]
pub struct NoWallTime;

impl FromStr for WallTime {
    type Err = NoWallTime;

    fn from_str(text: &str) -> Result<Self, NoWallTime> {
        let digits = |part: &str| (part.len() == 2).then(|| part.bytes().all(|byte| byte.is_ascii_digit()));
        let (hour, minute) = text.split_once(':').ok_or(NoWallTime)?;
        if digits(hour) != Some(true) || digits(minute) != Some(true) {
            return Err(NoWallTime);
        }
        let number = |part: &str| part.parse().map_err(|_| NoWallTime);
        Self::new(number(hour)?, number(minute)?).ok_or(NoWallTime)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}:{:02}", self.hour(), self.minute())
    }
}

impl TryFrom<String> for WallTime {
    type Error = NoWallTime;

    fn try_from(text: String) -> Result<Self, NoWallTime> {
        text.parse()
    }
}

impl From<WallTime> for String {
    fn from(time: WallTime) -> Self {
        time.to_string()
    }
}

/// What a doctor is told, and where.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoctorNotices {
    /// Over each of these.
    pub channels: Vec<DoctorChannel>,
    /// Of these.
    pub kinds: Vec<Kind>,
}

/// One way to a doctor.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoctorChannel {
    /// Which.
    pub channel: Channel,
    /// The address there; may be empty where the channel is the operator's own (`file`, `webhook`).
    #[serde(default)]
    pub to: String,
}

/// Names of templates; `None`: the usual words.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeTemplates {
    /// Of a visit that was booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<String>,
    /// Of one that was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Of one that was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<String>,
}

impl NoticeTemplates {
    /// By the kind of notice; of reminders each offset has its own.
    fn of(&self, kind: Kind) -> Option<&str> {
        match kind {
            Kind::Reminder => None,
            Kind::Confirmation => self.confirmation.as_deref(),
            Kind::Change => self.change.as_deref(),
            Kind::Cancellation => self.cancellation.as_deref(),
        }
    }
}

/// Why a policy is not taken. The numbers are places in lists, from 0.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PolicyError {
    /// [`OFFSETS_MAX`].
    #[error("at most {OFFSETS_MAX} offsets")]
    TooManyOffsets,
    /// Out of bounds.
    #[error("an offset is {BEFORE_SECONDS_MIN} to {BEFORE_SECONDS_MAX} seconds before the start")]
    OffsetOutOfRange(usize),
    /// The same as an earlier one.
    #[error("there is another offset of as many seconds")]
    OffsetTwice(usize),
    /// An empty list, or one with a channel in it twice.
    #[error("channels are named once each, and at least one if any")]
    OffsetChannels(usize),
    /// Of an offset.
    #[error("a template's name has 1 to {TEMPLATE_NAME_MAX} letters a-z, digits, `-` or `_`")]
    OffsetTemplate(usize),
    /// Out of bounds.
    #[error("the minimum notice is {BEFORE_SECONDS_MIN} to {BEFORE_SECONDS_MAX} seconds")]
    MinimumNotice,
    /// They would never end.
    #[error("quiet hours end at another time than they begin")]
    QuietHours,
    /// A channel of the doctor's a second time.
    #[error("each channel is named once")]
    DoctorChannelTwice(usize),
    /// Not one of its channel.
    #[error("this is no address of that channel")]
    DoctorAddress(usize),
    /// A kind of notice a second time.
    #[error("each kind is named once")]
    DoctorKindTwice(usize),
    /// Of a notice.
    #[error("a template's name has 1 to {TEMPLATE_NAME_MAX} letters a-z, digits, `-` or `_`")]
    NoticeTemplate(Kind),
}

impl PolicyError {
    /// Where the mistake is, as a JSON Pointer into the policy as it is kept.
    pub fn pointer(&self) -> String {
        match self {
            Self::TooManyOffsets => "/offsets".to_owned(),
            Self::OffsetOutOfRange(at) | Self::OffsetTwice(at) => format!("/offsets/{at}/before_seconds"),
            Self::OffsetChannels(at) => format!("/offsets/{at}/channels"),
            Self::OffsetTemplate(at) => format!("/offsets/{at}/template"),
            Self::MinimumNotice => "/minimum_notice_seconds".to_owned(),
            Self::QuietHours => "/quiet_hours/to".to_owned(),
            Self::DoctorChannelTwice(at) => format!("/doctor_notices/channels/{at}/channel"),
            Self::DoctorAddress(at) => format!("/doctor_notices/channels/{at}/to"),
            Self::DoctorKindTwice(at) => format!("/doctor_notices/kinds/{at}"),
            Self::NoticeTemplate(kind) => format!("/templates/{}", kind.word()),
        }
    }
}

impl ReminderPolicy {
    /// What holds where neither doctor nor clinic says otherwise.
    pub fn of_settings(settings: &ReminderSettings) -> Self {
        let offset = |seconds: &u32| Offset { before_seconds: *seconds, channels: None, template: None };
        Self { offsets: settings.offsets_seconds.iter().map(offset).collect(), ..Self::default() }
    }

    /// Every mistake of a policy that somebody wants kept; whether its templates exist, another must say.
    pub fn mistakes(&self) -> Vec<PolicyError> {
        let mut mistakes = Vec::new();
        if self.offsets.len() > OFFSETS_MAX {
            mistakes.push(PolicyError::TooManyOffsets);
        }
        let is_span = |seconds: u32| (BEFORE_SECONDS_MIN..=BEFORE_SECONDS_MAX).contains(&seconds);
        for (at, offset) in self.offsets.iter().enumerate() {
            if !is_span(offset.before_seconds) {
                mistakes.push(PolicyError::OffsetOutOfRange(at));
            }
            if self.offsets[..at].iter().any(|earlier| earlier.before_seconds == offset.before_seconds) {
                mistakes.push(PolicyError::OffsetTwice(at));
            }
            if offset.channels.as_ref().is_some_and(|channels| channels.is_empty() || has_twice(channels)) {
                mistakes.push(PolicyError::OffsetChannels(at));
            }
            if offset.template.as_ref().is_some_and(|name| !is_template_name(name)) {
                mistakes.push(PolicyError::OffsetTemplate(at));
            }
        }
        if self.minimum_notice_seconds.is_some_and(|seconds| !is_span(seconds)) {
            mistakes.push(PolicyError::MinimumNotice);
        }
        if self.quiet_hours.is_some_and(|quiet| quiet.from == quiet.to) {
            mistakes.push(PolicyError::QuietHours);
        }
        if let Some(notices) = &self.doctor_notices {
            notices.mistakes(&mut mistakes);
        }
        let named = |kind: &Kind| self.templates.of(*kind).is_some_and(|name| !is_template_name(name));
        mistakes.extend(Kind::ALL.into_iter().filter(named).map(PolicyError::NoticeTemplate));
        mistakes
    }

    /// The template of a message; `None`: the usual words. A reminder of the minimum notice is told as the nearest offset is.
    pub fn template(&self, kind: Kind, offset_seconds: u32) -> Option<&str> {
        if kind != Kind::Reminder {
            return self.templates.of(kind);
        }
        let exact = self.offsets.iter().find(|offset| offset.before_seconds == offset_seconds);
        exact.or_else(|| self.nearest()).and_then(|offset| offset.template.as_deref())
    }

    /// The templates that it names, each with a JSON Pointer to where.
    pub fn named_templates(&self) -> impl Iterator<Item = (String, &str)> {
        let of_offset = |(at, offset)| {
            let offset: &Offset = offset;
            offset.template.as_deref().map(|name| (format!("/offsets/{at}/template"), name))
        };
        let of_kind = |kind: Kind| self.templates.of(kind).map(|name| (format!("/templates/{}", kind.word()), name));
        self.offsets.iter().enumerate().filter_map(of_offset).chain(Kind::ALL.into_iter().filter_map(of_kind))
    }

    /// The offset nearest to the start.
    pub fn nearest(&self) -> Option<&Offset> {
        self.offsets.iter().min_by_key(|offset| offset.before_seconds)
    }

    /// The doctor's address on `channel`, if it is told over it.
    pub fn doctor_address(&self, channel: Channel) -> Option<&str> {
        let channels = &self.doctor_notices.as_ref()?.channels;
        channels.iter().find(|known| known.channel == channel).map(|known| &*known.to)
    }
}

impl DoctorNotices {
    fn mistakes(&self, mistakes: &mut Vec<PolicyError>) {
        for (at, way) in self.channels.iter().enumerate() {
            if self.channels[..at].iter().any(|earlier| earlier.channel == way.channel) {
                mistakes.push(PolicyError::DoctorChannelTwice(at));
            }
            if !is_address(way.channel, &way.to) {
                mistakes.push(PolicyError::DoctorAddress(at));
            }
        }
        let twice = |at: &usize| self.kinds[..*at].contains(&self.kinds[*at]);
        mistakes.extend((0..self.kinds.len()).filter(twice).map(PolicyError::DoctorKindTwice));
    }
}

fn has_twice(channels: &[Channel]) -> bool {
    channels.iter().enumerate().any(|(at, channel)| channels[..at].contains(channel))
}

/// Whether `name` can be a template's: see [`PolicyError::OffsetTemplate`].
pub fn is_template_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.len() <= TEMPLATE_NAME_MAX && name.bytes().all(is_letter)
}

/// By its form alone: whether anybody is there is known when it is used.
fn is_address(channel: Channel, to: &str) -> bool {
    let is_plain = to.len() <= ADDRESS_MAX && !to.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain
        && match channel {
            Channel::File | Channel::Webhook => true,
            Channel::Email => to.rsplit_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
            Channel::Sms => {
                to.strip_prefix('+').is_some_and(|number| digits(number) && (7..=15).contains(&number.len()))
            }
            Channel::Telegram => match to.strip_prefix('@') {
                Some(name) => !name.is_empty(),
                None => digits(to.strip_prefix('-').unwrap_or(to)),
            },
        }
}

#[cfg(test)]
mod tests;
