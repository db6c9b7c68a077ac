//! The small language of the scenarios: one line is one command with what it must lead to.
//! Must not know: which scenarios there are.
//!
//! ```text
//! at 07:00[:30[.500]]
//! publish 10:00-10:30*2 10:30-11:00 | 07:00/5@gold 08:00   [if-match exists|never|current|VERSION]
//! book NAME any|10:00          [key K] [body B] [by NAME] [as gold,silver] [named LABEL]
//! hold NAME any|10:00 for 300  (the same)
//! confirm LABEL                [key K] [body B] [by NAME]
//! cancel LABEL, no-show LABEL, close, expire      (the same; cancel and close: [because WORD])
//! fill NAME 64                 so many keys of NAME are remembered, by confirming its appointment again and again
//! picture any|10:00 [as gold]  the refusal that the published picture gives
//! slot 10:00, day              counts and state, as published
//! ```
//! A line ends with `-> outcome` and, to also say what is recorded, ` | fact: appointment status, …` or ` | nothing`.

use std::collections::HashMap;
use std::sync::Arc;

use booking_core::{
    Action, Booking, Command, DayDefinition, DayVersion, Decision, Event, Fact, PersonalText, Precondition, Rejection,
    Success, UtcMillis,
};

use crate::driver::{Driver, appointment_id, command, definition, keyed, patient_id, subject_of};

/// The state of a running scenario.
#[derive(Default)]
pub(crate) struct Stage {
    driver: Driver,
    now: Now,
    /// Numbers by name; names by number.
    labels: Vec<String>,
    people: HashMap<String, u64>,
}

#[derive(Clone, Copy)]
struct Now(UtcMillis);

impl Default for Now {
    fn default() -> Self {
        Self(UtcMillis(0))
    }
}

/// A line's words after its verb, with the options taken out.
struct Words<'line> {
    plain: Vec<&'line str>,
    options: HashMap<&'line str, &'line str>,
}

const OPTIONS: [&str; 8] = ["key", "body", "by", "as", "named", "because", "for", "if-match"];

impl<'line> Words<'line> {
    fn of(text: &'line str) -> Self {
        let mut words = Self { plain: Vec::new(), options: HashMap::new() };
        let mut rest = text.split_whitespace();
        while let Some(word) = rest.next() {
            match OPTIONS.contains(&word).then(|| rest.next()).flatten() {
                Some(value) => {
                    words.options.insert(word, value);
                }
                None => words.plain.push(word),
            }
        }
        words
    }

    fn option(&self, name: &str) -> Option<&'line str> {
        self.options.get(name).copied()
    }

    fn audiences(&self) -> Arc<[Box<str>]> {
        self.option("as").into_iter().flat_map(|list| list.split(',')).map(Box::from).collect()
    }

    fn reason(&self) -> Option<PersonalText> {
        self.option("because").map(PersonalText::plain)
    }
}

impl Stage {
    /// Plays one line. `Err` tells what came instead of what was to come.
    pub(crate) fn play(&mut self, line: &str) -> Result<(), String> {
        let (said, expected) = line.split_once("->").map_or((line, None), |(said, to)| (said, Some(to.trim())));
        let words = Words::of(said);
        let came = match words.plain[0] {
            "at" => {
                self.now.0 = instant(words.plain[1]);
                return Ok(());
            }
            "fill" => return self.fill(words.plain[1], words.plain[2]),
            "picture" => self.picture(&words),
            "slot" => self.slot(words.plain[1]),
            "day" => self.state(),
            _ => {
                let command = self.command(&words).ok_or_else(|| format!("not understood: {said}"))?;
                self.told(&command)
            }
        };
        let expected = expected.ok_or_else(|| format!("the line must say what it leads to; it leads to: {came}"))?;
        let (outcome, _) = came.split_once(" | ").unwrap_or((&came, ""));
        let compared = if expected.contains(" | ") { came.as_str() } else { outcome };
        let tidy = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        if tidy(compared) == tidy(expected) { Ok(()) } else { Err(format!("expected {expected}\n     came {came}")) }
    }

    fn person(&mut self, name: &str) -> u64 {
        let next = self.people.len() as u64 + 1;
        *self.people.entry(name.to_owned()).or_insert(next)
    }

    fn told(&mut self, command: &Command) -> String {
        let decision = self.driver.run(command, self.now.0);
        format!("{} | {}", self.outcome(&decision), decision.event.as_ref().map_or("nothing".into(), |e| self.event(e)))
    }

    fn fill(&mut self, name: &str, count: &str) -> Result<(), String> {
        let subject = subject_of(self.person(name));
        let label = self.labels.iter().rposition(|label| label == name).ok_or("an appointment is needed")?;
        for number in 0..count.parse::<u32>().map_err(|error| error.to_string())? {
            let confirm = Action::Confirm { appointment: appointment_id(label as u64) };
            let command = keyed(confirm, subject, &format!("filling-{number}"), 0);
            self.driver.run(&command, self.now.0).outcome.map_err(|rejection| format!("{number}: {rejection}"))?;
        }
        Ok(())
    }

    fn picture(&self, words: &Words<'_>) -> String {
        let Some(snapshot) = self.driver.day.snapshot() else { return "no picture".into() };
        let refusal = snapshot.refusal_at(start(words.plain[1]), &words.audiences(), self.now.0);
        refusal.map_or("ask the day".into(), |refusal| self.refusal(&refusal))
    }

    fn slot(&self, start: &str) -> String {
        let Some(snapshot) = self.driver.day.snapshot() else { return "no picture".into() };
        let Some(slot) = snapshot.definition().slot_at(instant(start)) else { return "no slot".into() };
        let counts = snapshot.counts_at(slot, self.now.0);
        assert_eq!(counts.free, snapshot.remaining_at(slot, self.now.0));
        format!("free {} withheld {} held {} booked {}", counts.free, counts.withheld, counts.held, counts.booked)
    }

    fn state(&self) -> String {
        let Some(snapshot) = self.driver.day.snapshot() else { return "no picture".into() };
        let release = snapshot.next_release_after(self.now.0).map_or("none".into(), clock);
        let change = snapshot.next_change_after(self.now.0).map_or("none".into(), clock);
        let state = format!("{:?}", snapshot.state_at(self.now.0)).to_lowercase();
        let remaining = snapshot.remaining_in_all_at(self.now.0);
        format!(
            "{state} remaining {remaining} release {release} change {change} phase {}",
            snapshot.phase_at(self.now.0)
        )
    }

    fn command(&mut self, words: &Words<'_>) -> Option<Command> {
        let verb = words.plain[0];
        let subject = words.plain.get(1).copied().unwrap_or("doctor");
        let action = match verb {
            "publish" => self.publish(words)?,
            "close" => Action::Close { reason: words.reason() },
            "expire" => Action::Expire,
            "book" | "hold" => self.booking(words)?,
            _ => {
                let label = self.labels.iter().rposition(|label| label == subject);
                let appointment = appointment_id(label.map_or(9999, |label| label as u64));
                match verb {
                    "confirm" => Action::Confirm { appointment },
                    "cancel" => Action::Cancel { appointment, reason: words.reason() },
                    "no-show" => Action::NoShow { appointment },
                    _ => return None,
                }
            }
        };
        let Some(key) = words.option("key") else { return Some(command(action)) };
        let caller = self.person(words.option("by").unwrap_or(subject));
        let fingerprint = words.option("body").map_or(0, |body| body.bytes().fold(1, u8::wrapping_add));
        Some(keyed(action, subject_of(caller), key, fingerprint))
    }

    fn booking(&mut self, words: &Words<'_>) -> Option<Action> {
        let name = *words.plain.get(1)?;
        self.labels.push(words.option("named").unwrap_or(name).to_owned());
        let seconds = words.option("for").map(|seconds| seconds.parse::<i64>());
        Some(Action::Book(Booking {
            appointment: appointment_id(self.labels.len() as u64 - 1),
            patient: patient_id(self.person(name)),
            start: start(words.plain.get(2)?),
            hold_millis: seconds.transpose().ok()?.map(|seconds| seconds * 1000),
            audiences: words.audiences(),
            busy: Vec::new(),
        }))
    }

    fn publish(&self, words: &Words<'_>) -> Option<Action> {
        let precondition = match words.option("if-match") {
            None => None,
            Some("exists") => Some(Precondition::Exists),
            Some("never") => Some(Precondition::Never),
            Some("current") => Some(Precondition::Version(self.driver.day.version())),
            Some(sequence) => Some(Precondition::Version(DayVersion { epoch: 0, sequence: sequence.parse().ok()? })),
        };
        let definition = Arc::new(offer(&words.plain[1..])?);
        Some(Action::Publish { definition, precondition })
    }

    fn outcome(&self, decision: &Decision) -> String {
        match &decision.outcome {
            Ok(Success::Appointment { appointment: row, replayed, .. }) => {
                let replayed = if *replayed { "replayed " } else { "" };
                let status = format!("{:?}", row.status_at(self.now.0)).to_lowercase();
                let until = row.hold_expires_at.map_or(String::new(), |end| format!(" until {}", clock(end)));
                let reason = row.cancellation_reason.as_ref().and_then(PersonalText::as_plain);
                let reason = reason.map_or(String::new(), |reason| format!(" because {reason}"));
                let (start, place, version) = (clock(row.start), row.place, row.version);
                format!("{replayed}{status} {start} place {place} v{version}{until}{reason}")
            }
            Ok(Success::Day { version, created, replayed_at }) => {
                let created = if *created { " created" } else { "" };
                let replayed = replayed_at.map_or(String::new(), |at| format!(" first answered {}", clock(at)));
                format!("day v{}{created}{replayed}", version.sequence)
            }
            Ok(Success::Expired { holds }) => format!("expired {holds}"),
            Ok(Success::Dropped) => "dropped".to_owned(),
            Err(rejection) => self.refusal(rejection),
        }
    }

    fn refusal(&self, rejection: &Rejection) -> String {
        let name = |id: &booking_core::AppointmentId| {
            self.labels.iter().enumerate().find(|(number, _)| appointment_id(*number as u64) == *id).map(|(_, l)| l)
        };
        match rejection {
            Rejection::NotReleased { release_at } => format!("refused NotReleased until {}", clock(*release_at)),
            Rejection::AlreadyBooked { appointment } => {
                format!("refused AlreadyBooked by {}", name(appointment).map_or("?", String::as_str))
            }
            Rejection::SlotHasBookings { start } => format!("refused SlotHasBookings {}", clock(*start)),
            other => format!("refused {other:?}"),
        }
    }

    fn event(&self, event: &Event) -> String {
        let fact = match &event.fact {
            Fact::Published(_) => "published".to_owned(),
            Fact::Closed { .. } => "closed".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        let changes: Vec<String> = event
            .changes
            .iter()
            .map(|change| {
                let number = (0..self.labels.len()).find(|number| appointment_id(*number as u64) == change.row.id);
                let label = number.map_or("?", |number| self.labels[number].as_str());
                format!("{label} {}", format!("{:?}", change.row.status).to_lowercase())
            })
            .collect();
        let remembered = if event.remembered.is_some() { " +key" } else { "" };
        let colon = if changes.is_empty() { "" } else { ": " };
        format!("{fact}{colon}{}{remembered}", changes.join(", "))
    }
}

/// `10:00-10:30*2 10:30-11:00 | 07:00/5@gold 08:00`
fn offer(words: &[&str]) -> Option<DayDefinition> {
    let mut parts = words.split(|word| *word == "|");
    let seconds = |text: &str| instant(text).0 / 1000;
    let slot = |word: &&str| {
        let (interval, capacity) = word.split_once('*').unwrap_or((word, "1"));
        let (start, end) = interval.split_once('-')?;
        Some((seconds(start), seconds(end), capacity.parse().ok()?))
    };
    let release = |word: &&'_ str| {
        let (rest, audience) = word.split_once('@').map_or((*word, None), |(rest, name)| (rest, Some(name.to_owned())));
        let (at, places) = rest.split_once('/').map_or((rest, None), |(at, places)| (at, Some(places)));
        Some((seconds(at), places.map(str::parse::<u32>).transpose().ok()?, audience))
    };
    let slots: Vec<_> = parts.next()?.iter().map(slot).collect::<Option<_>>()?;
    let releases: Vec<_> = parts.next()?.iter().map(release).collect::<Option<_>>()?;
    let releases: Vec<_> = releases.iter().map(|(at, places, audience)| (*at, *places, audience.as_deref())).collect();
    definition(&slots, &releases).ok()
}

fn start(word: &str) -> Option<UtcMillis> {
    (word != "any").then(|| instant(word))
}

/// `HH:MM[:SS[.mmm]]`; hours over 23 are the next day.
fn instant(text: &str) -> UtcMillis {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let units = whole.split(':').map(|unit| unit.parse::<i64>().unwrap_or_else(|_| panic!("no instant: {text}")));
    let seconds = units.zip([3600, 60, 1]).map(|(unit, weight)| unit * weight).sum::<i64>();
    UtcMillis(seconds * 1000 + fraction.parse::<i64>().unwrap_or_else(|_| panic!("no instant: {text}")))
}

fn clock(at: UtcMillis) -> String {
    let (seconds, millis) = (at.0 / 1000, at.0 % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (seconds % 60, millis) {
        (0, 0) => format!("{hours:02}:{minutes:02}"),
        (seconds, 0) => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        (seconds, millis) => format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}"),
    }
}
