//! How a scenario tells what a line has led to.
//! Must not know: how it came about.

use booking_core::{AppointmentId, DayKey, Decision, Event, Fact, PersonalText, Rejection, Success};

use super::Stage;
use super::words::clock;
use crate::driver::{appointment_id, day_key};

impl Stage {
    pub(super) fn outcome(&self, decision: &Decision) -> String {
        match &decision.outcome {
            Ok(Success::Appointment { appointment: row, replayed, home }) => {
                let replayed = if *replayed { "replayed " } else { "" };
                let status = format!("{:?}", row.status_at(self.now)).to_lowercase();
                let until = row.hold_expires_at.map_or(String::new(), |end| format!(" until {}", clock(end)));
                let reason = row.cancellation_reason.as_ref().and_then(PersonalText::as_plain);
                let reason = reason.map_or(String::new(), |reason| format!(" because {reason}"));
                let (start, place, version) = (clock(row.start), row.place, row.version);
                let home = home.as_ref().map_or(String::new(), |home| format!(" on {}", self.name_of_day(home.day)));
                format!("{replayed}{status} {start} place {place} v{version}{until}{reason}{home}")
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

    fn name_of(&self, appointment: AppointmentId) -> &str {
        let number = (0..self.labels.len()).find(|number| appointment_id(*number as u64) == appointment);
        number.map_or("?", |number| self.labels[number].as_str())
    }

    fn name_of_day(&self, day: DayKey) -> &str {
        let number = (0..self.days.len()).find(|number| day_key(*number as i32) == day);
        number.map_or("?", |number| self.days[number].0.as_str())
    }

    pub(super) fn refusal(&self, rejection: &Rejection) -> String {
        match rejection {
            Rejection::NotReleased { release_at } => format!("refused NotReleased until {}", clock(*release_at)),
            Rejection::AlreadyBooked { appointment } => {
                format!("refused AlreadyBooked by {}", self.name_of(*appointment))
            }
            Rejection::SlotHasBookings { start } => format!("refused SlotHasBookings {}", clock(*start)),
            Rejection::MovedAway { to } => format!("refused MovedAway to {}", self.name_of_day(*to)),
            other => format!("refused {other:?}"),
        }
    }

    pub(super) fn event(&self, event: &Event) -> String {
        let fact = match &event.fact {
            Fact::Published(_) => "published".to_owned(),
            Fact::Closed { .. } => "closed".to_owned(),
            Fact::Moved { from } => format!("moved from {} place {}", clock(from.start), from.place),
            Fact::MoveHeld { from, row, .. } => {
                format!("kept for {} of {}", self.name_of(row.id), self.name_of_day(*from))
            }
            Fact::MovedIn { row, .. } => format!("came {}", self.name_of(row.id)),
            Fact::MoveDropped { row, .. } => format!("dropped {}", self.name_of(row.id)),
            Fact::MovedOut { to, from, .. } => {
                format!("left {} place {} for {}", clock(from.start), from.place, self.name_of_day(to.day))
            }
            other => format!("{other:?}").to_lowercase(),
        };
        let changes: Vec<String> = event
            .changes
            .iter()
            .map(|change| {
                format!("{} {}", self.name_of(change.row.id), format!("{:?}", change.row.status).to_lowercase())
            })
            .collect();
        let remembered = if event.remembered.is_some() { " +key" } else { "" };
        let colon = if changes.is_empty() { "" } else { ": " };
        format!("{fact}{colon}{}{remembered}", changes.join(", "))
    }
}
