//! How the engine's messages leave: each is put into words for its recipient and handed to its channel.
//! Must not know: when a message is due, who tries again, how a provider is talked to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use booking_core::{DoctorId, PatientId, PersonalText, UtcMillis};
use engine::clock::Clock;
use engine::ledger::people::{Channel, Patient};
use engine::ledger::registry::{Doctor, Registry};
use engine::ledger::reminders::{Kind, Recipient};
use engine::reminders::policy::ReminderPolicy;
use engine::reminders::{Alarm, Capacity, Courier, Delivered, Letter, OpenCouriers, Ways};
use messages::{
    Address, ChannelKind, Channels, Envelope, Notice, SendError, SettingError, Settings, Template, validate_address,
};
use parking_lot::Mutex;

use crate::alarms::{AlertTarget, ChannelAlarm};
use crate::config::Mistakes;

/// Calls at once to a provider that takes one message each.
const CALLS: usize = 8;
/// Beyond the channel's own deadline for a message, for what is read before.
const READING: Duration = Duration::from_secs(2);
/// What is known of a doctor is looked up again after so long: a changed template takes effect within seconds, and a
/// busy second asks once.
const KNOWN_MILLIS: i64 = 5_000;
/// Doctors that are known at once; past it all are looked up again.
const KNOWN_MAX: usize = 10_000;
/// The language of whoever has said none.
const LANGUAGE: &str = "en";

/// The channels that the settings name.
pub(crate) struct Couriers {
    /// What is told of each.
    pub(crate) settings: Settings,
    /// Which operators are told of messages that no channel takes.
    pub(crate) alerts: Vec<AlertTarget>,
}

impl Couriers {
    /// Every mistake of the settings that can be told before a store is open: all but the file's, which is in the data directory.
    pub(crate) fn check(&self) -> Result<(), Mistakes> {
        let beside_the_file = Settings { file: None, ..self.settings.clone() };
        let told = |errors: Vec<SettingError>| Mistakes(errors.iter().map(ToString::to_string).collect());
        Channels::open(beside_the_file).map(drop).map_err(told)
    }
}

impl OpenCouriers for Couriers {
    fn open(&self, registry: &Arc<dyn Registry>, clock: &Arc<dyn Clock>) -> Result<Ways, String> {
        let channels = Channels::open(self.settings.clone())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let open = |channel: &Channel| {
            let out = Arc::clone(channels.get(kind_of(*channel))?);
            let (registry, clock) = (Arc::clone(registry), Arc::clone(clock));
            let deadline = self.settings.deadline + READING;
            let courier = ChannelCourier { channel: *channel, out, registry, clock, deadline, known: Mutex::default() };
            Some(Arc::new(courier) as Arc<dyn Courier>)
        };
        let alarm = |target: &AlertTarget| {
            let out = Arc::clone(channels.get(kind_of(target.channel))?);
            let (clock, deadline) = (Arc::clone(clock), self.settings.deadline);
            Some(Arc::new(ChannelAlarm { target: target.clone(), out, clock, deadline }) as Arc<dyn Alarm>)
        };
        Ok(Ways {
            couriers: Channel::ALL.iter().filter_map(open).collect(),
            alarms: self.alerts.iter().filter_map(alarm).collect(),
        })
    }
}

/// What of a doctor is put into messages, and how they are worded.
#[derive(Clone)]
struct Known {
    doctor: Option<Arc<Doctor>>,
    policy: Option<Arc<ReminderPolicy>>,
    at: UtcMillis,
}

struct ChannelCourier {
    channel: Channel,
    out: Arc<dyn messages::Channel>,
    registry: Arc<dyn Registry>,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    known: Mutex<HashMap<DoctorId, Known>>,
}

/// What a batch is written from.
struct Facts {
    patients: HashMap<PatientId, Patient>,
    doctors: HashMap<DoctorId, Known>,
    templates: HashMap<String, Option<Template>>,
}

#[async_trait]
impl Courier for ChannelCourier {
    fn channel(&self) -> Channel {
        self.channel
    }

    fn capacity(&self) -> Capacity {
        let batch = self.out.batch_max().max(1);
        // A batch is one write: two at once would only wait for each other.
        Capacity { batch, calls: if batch > 1 { 1 } else { CALLS }, deadline: self.deadline }
    }

    async fn send(&self, letters: &[Letter]) -> Vec<Delivered> {
        let facts = match self.facts(letters).await {
            Ok(facts) => facts,
            Err(reason) => return vec![Delivered::NotTried { reason }; letters.len()],
        };
        let written: Vec<Result<Envelope, String>> = letters.iter().map(|letter| self.write(letter, &facts)).collect();
        let envelopes: Vec<Envelope> = written.iter().filter_map(|it| it.as_ref().ok()).cloned().collect();
        let mut sent = self.out.send(&envelopes, self.clock.now().0).await.into_iter();
        let delivered = |written| match written {
            Err(reason) => Delivered::Refused { reason },
            Ok(_) => match sent.next() {
                Some(Ok(_)) => Delivered::Sent,
                Some(Err(error)) => failed(error),
                None => Delivered::Away { reason: "the channel said nothing of it".to_owned() },
            },
        };
        written.into_iter().map(delivered).collect()
    }
}

fn failed(error: SendError) -> Delivered {
    let reason = error.to_string();
    match (error.is_permanent(), error.retry_after) {
        (true, _) => Delivered::Refused { reason },
        (false, after @ Some(_)) => Delivered::Later { reason, after },
        (false, None) => Delivered::Away { reason },
    }
}

impl ChannelCourier {
    async fn facts(&self, letters: &[Letter]) -> Result<Facts, String> {
        let mut ids: Vec<PatientId> = letters.iter().map(|letter| letter.row.patient).collect();
        ids.sort_unstable();
        ids.dedup();
        let patients = self.registry.patients(&ids).await.map_err(|error| error.to_string())?;
        let patients = patients.into_iter().map(|patient| (patient.id, patient)).collect();
        let mut facts = Facts { patients, doctors: HashMap::new(), templates: HashMap::new() };
        for letter in letters {
            let doctor = letter.row.day.doctor;
            let known = match facts.doctors.entry(doctor) {
                Entry::Occupied(known) => &*known.into_mut(),
                Entry::Vacant(unknown) => &*unknown.insert(self.known(doctor).await?),
            };
            if let Some(name) = template_of(letter, known)
                && !facts.templates.contains_key(name)
            {
                let (name, kept) = (name.to_owned(), self.registry.template(name).await);
                let template = kept.map_err(|error| error.to_string())?.and_then(|text| readable(&name, &text));
                facts.templates.insert(name, template);
            }
        }
        Ok(facts)
    }

    async fn known(&self, id: DoctorId) -> Result<Known, String> {
        let now = self.clock.now();
        let is_fresh = |known: &&Known| (0..KNOWN_MILLIS).contains(&now.millis_since(known.at));
        if let Some(known) = self.known.lock().get(&id).filter(is_fresh) {
            return Ok(known.clone());
        }
        let doctor = self.registry.doctor(id).await.map_err(|error| error.to_string())?;
        let policy = self.registry.policy_for(id).await.map_err(|error| error.to_string())?;
        let known = Known { doctor: doctor.map(Arc::new), policy: policy.map(Arc::new), at: now };
        let mut all = self.known.lock();
        if all.len() >= KNOWN_MAX {
            all.clear();
        }
        all.insert(id, known.clone());
        Ok(known)
    }

    /// The message in words; why it has none.
    fn write(&self, letter: &Letter, facts: &Facts) -> Result<Envelope, String> {
        let known = facts.doctors.get(&letter.row.day.doctor).ok_or("nothing is known of the doctor")?;
        let patient = facts.patients.get(&letter.row.patient);
        let (kind, to) = (kind_of(self.channel), self.address(letter, known, patient).ok_or("there is no address")?);
        validate_address(kind, &to).map_err(|error| format!("the address {error}"))?;
        let notice = notice(letter, known, patient);
        let own = template_of(letter, known).and_then(|name| facts.templates.get(name)?.as_ref());
        // A message must not be lost over an operator's template.
        let rendered = messages::render(&notice, kind, own).or_else(|error| {
            tracing::warn!(%error, "a template makes no message; the usual words are sent");
            messages::render(&notice, kind, None)
        });
        let rendered = rendered.map_err(|error| error.to_string())?;
        Ok(Envelope { message_id: letter.message_id, to: Address::new(to), notice, rendered })
    }

    /// Where it goes. In a file and for a webhook it only names the recipient: whoever has said nothing else is named
    /// by the id.
    fn address(&self, letter: &Letter, known: &Known, patient: Option<&Patient>) -> Option<String> {
        let names_only = matches!(self.channel, Channel::File | Channel::Webhook);
        match letter.row.key.recipient {
            Recipient::Doctor => {
                let said = known.policy.as_ref().and_then(|policy| policy.doctor_address(self.channel));
                let said = said.filter(|said| !said.is_empty()).map(str::to_owned);
                said.or_else(|| names_only.then(|| letter.row.day.doctor.to_string()))
            }
            Recipient::Patient if names_only => Some(letter.row.patient.to_string()),
            Recipient::Patient => {
                let profile = &patient?.profile;
                let said = match self.channel {
                    Channel::Email => profile.email.as_ref(),
                    Channel::Sms => profile.phone.as_ref(),
                    Channel::Telegram => profile.telegram.as_ref(),
                    Channel::File | Channel::Webhook => None,
                };
                said.and_then(PersonalText::as_plain).map(str::to_owned)
            }
        }
    }
}

fn notice(letter: &Letter, known: &Known, patient: Option<&Patient>) -> Notice {
    let (row, placed) = (&letter.row, &letter.placed);
    let doctor = known.doctor.as_ref().map(|doctor| &doctor.profile);
    let profile = patient.map(|patient| &patient.profile);
    let is_for_patient = row.key.recipient == Recipient::Patient;
    let spoken = match is_for_patient {
        true => profile.and_then(|profile| profile.language.as_deref()),
        false => doctor.and_then(|doctor| doctor.languages.first().map(String::as_str)),
    };
    let reason = placed.appointment.cancellation_reason.as_ref().and_then(PersonalText::as_plain);
    Notice {
        kind: match row.key.kind {
            Kind::Reminder => messages::Kind::Reminder,
            Kind::Confirmation => messages::Kind::Confirmation,
            Kind::Change => messages::Kind::Change,
            Kind::Cancellation => messages::Kind::Cancellation,
        },
        recipient: if is_for_patient { messages::Recipient::Patient } else { messages::Recipient::Doctor },
        appointment_id: row.key.appointment.0,
        version: row.key.version,
        offset_seconds: row.key.offset_seconds,
        doctor: doctor.map(|doctor| doctor.name.clone()).unwrap_or_default(),
        place: doctor.map(|doctor| doctor.location.name.clone()).unwrap_or_default(),
        city: doctor.map(|doctor| doctor.location.city.clone()).unwrap_or_default(),
        start_ms: placed.appointment.start.0,
        end_ms: placed.appointment.end.0,
        time_zone: placed.time_zone.to_string(),
        patient: profile.and_then(|profile| profile.name.as_plain()).map(str::to_owned),
        language: spoken.unwrap_or(LANGUAGE).to_owned(),
        reason: reason.map(str::to_owned),
    }
}

fn template_of<'known>(letter: &Letter, known: &'known Known) -> Option<&'known str> {
    known.policy.as_ref()?.template(letter.row.key.kind, letter.row.key.offset_seconds)
}

fn readable(name: &str, text: &str) -> Option<Template> {
    let template = serde_json::from_str(text);
    template.inspect_err(|error| tracing::error!(%error, template = name, "a stored template cannot be read")).ok()
}

/// The channel as messages know it.
pub(crate) fn kind_of(channel: Channel) -> ChannelKind {
    match channel {
        Channel::File => ChannelKind::File,
        Channel::Email => ChannelKind::Email,
        Channel::Sms => ChannelKind::Sms,
        Channel::Telegram => ChannelKind::Telegram,
        Channel::Webhook => ChannelKind::Webhook,
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
