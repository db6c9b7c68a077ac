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
//!
//! on thursday                  the lines that follow are about that day; at first it is monday
//! move LABEL any|10:00         [as gold] [busy 10:00-10:30@LABEL,…] (also of book and hold) [key K] [body B] [by NAME]
//! prepare LABEL                (the key and its companions)
//! keep LABEL m1 any|10:00 from monday             [as gold] [busy …]: a place for attempt m1, as prepared last
//! commit LABEL m1 to thursday  (the key and its companions)
//! accept LABEL m1, drop LABEL m1
//! wakes                        when the day must next do something unasked
//! ```
//! A line ends with `-> outcome` and, to also say what is recorded, ` | fact: appointment status, …` or ` | nothing`.

mod moves;
mod telling;
mod words;

use std::collections::HashMap;
use std::sync::Arc;

use booking_core::{Action, Booking, Command, DayVersion, Precondition, UtcMillis};

use crate::driver::{Driver, appointment_id, command, keyed, patient_id, subject_of};
use moves::Attempts;
use words::{Words, clock, instant, offer, start};

/// The state of a running scenario.
pub(crate) struct Stage {
    /// By name; the number of a day is its date.
    days: Vec<(String, Driver)>,
    /// Number of the day that the lines are about.
    today: usize,
    now: UtcMillis,
    /// Numbers by name; names by number.
    labels: Vec<String>,
    people: HashMap<String, u64>,
    attempts: Attempts,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            days: vec![("monday".to_owned(), Driver::default())],
            today: 0,
            now: UtcMillis(0),
            labels: Vec::new(),
            people: HashMap::new(),
            attempts: Attempts::default(),
        }
    }
}

impl Stage {
    /// Plays one line. `Err` tells what came instead of what was to come.
    pub(crate) fn play(&mut self, line: &str) -> Result<(), String> {
        let (said, expected) = line.split_once("->").map_or((line, None), |(said, to)| (said, Some(to.trim())));
        let words = Words::of(said);
        let came = match words.plain[0] {
            "at" => {
                self.now = instant(words.plain[1]);
                return Ok(());
            }
            "on" => {
                self.today = self.day_named(words.plain[1]);
                return Ok(());
            }
            "fill" => return self.fill(words.plain[1], words.plain[2]),
            "picture" => self.picture(&words),
            "slot" => self.slot(words.plain[1]),
            "day" => self.state(),
            "wakes" => self.driver().day.next_work_at().map_or("never".into(), clock),
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

    fn driver(&self) -> &Driver {
        &self.days[self.today].1
    }

    /// The number of a day, which is new if its name is.
    fn day_named(&mut self, name: &str) -> usize {
        self.days.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.days.push((name.to_owned(), Driver::default()));
            self.days.len() - 1
        })
    }

    fn label(&self, name: &str) -> Option<u64> {
        self.labels.iter().rposition(|label| label == name).map(|label| label as u64)
    }

    fn person(&mut self, name: &str) -> u64 {
        let next = self.people.len() as u64 + 1;
        *self.people.entry(name.to_owned()).or_insert(next)
    }

    fn told(&mut self, command: &Command) -> String {
        let now = self.now;
        let decision = self.days[self.today].1.run(command, now);
        self.attempts.learn(command, &decision);
        format!("{} | {}", self.outcome(&decision), decision.event.as_ref().map_or("nothing".into(), |e| self.event(e)))
    }

    fn fill(&mut self, name: &str, count: &str) -> Result<(), String> {
        let subject = subject_of(self.person(name));
        let appointment = appointment_id(self.label(name).ok_or("an appointment is needed")?);
        for number in 0..count.parse::<u32>().map_err(|error| error.to_string())? {
            let command = keyed(Action::Confirm { appointment }, subject, &format!("filling-{number}"), 0);
            let now = self.now;
            self.days[self.today].1.run(&command, now).outcome.map_err(|rejection| format!("{number}: {rejection}"))?;
        }
        Ok(())
    }

    fn picture(&self, words: &Words<'_>) -> String {
        let Some(snapshot) = self.driver().day.snapshot() else { return "no picture".into() };
        let refusal = snapshot.refusal_at(start(words.plain[1]), &words.audiences(), self.now);
        refusal.map_or("ask the day".into(), |refusal| self.refusal(&refusal))
    }

    fn slot(&self, start: &str) -> String {
        let Some(snapshot) = self.driver().day.snapshot() else { return "no picture".into() };
        let Some(slot) = snapshot.definition().slot_at(instant(start)) else { return "no slot".into() };
        let counts = snapshot.counts_at(slot, self.now);
        assert_eq!(counts.free, snapshot.remaining_at(slot, self.now));
        format!("free {} withheld {} held {} booked {}", counts.free, counts.withheld, counts.held, counts.booked)
    }

    fn state(&self) -> String {
        let Some(snapshot) = self.driver().day.snapshot() else { return "no picture".into() };
        let release = snapshot.next_release_after(self.now).map_or("none".into(), clock);
        let change = snapshot.next_change_after(self.now).map_or("none".into(), clock);
        let state = format!("{:?}", snapshot.state_at(self.now)).to_lowercase();
        let remaining = snapshot.remaining_in_all_at(self.now);
        format!("{state} remaining {remaining} release {release} change {change} phase {}", snapshot.phase_at(self.now))
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
                let appointment = appointment_id(self.label(subject).unwrap_or(9999));
                match verb {
                    "confirm" => Action::Confirm { appointment },
                    "cancel" => Action::Cancel { appointment, reason: words.reason() },
                    "no-show" => Action::NoShow { appointment },
                    _ => self.step_of_move(verb, appointment, words)?,
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
            busy: self.busy(words),
        }))
    }

    fn publish(&self, words: &Words<'_>) -> Option<Action> {
        let precondition = match words.option("if-match") {
            None => None,
            Some("exists") => Some(Precondition::Exists),
            Some("never") => Some(Precondition::Never),
            Some("current") => Some(Precondition::Version(self.driver().day.version())),
            Some(sequence) => Some(Precondition::Version(DayVersion { epoch: 0, sequence: sequence.parse().ok()? })),
        };
        let definition = Arc::new(offer(&words.plain[1..])?);
        Some(Action::Publish { definition, precondition })
    }
}
