//! A published day on its way in: JSON to a definition, every mistake with its pointer.
//! Must not know: who publishes, whether the day exists.

use booking_core::definition::RELEASES_MAX;
use booking_core::{Date, DayDefinition, DefinitionError, Release, SlotDefinition, UtcMillis};
use serde::Deserialize;

use super::checks::Checks;
use super::input::{Moment, Object};
use super::problem::Problem;
use super::zone::Zone;

/// A day that was published without a release is open at once, and has always been: a fixed instant, so that the
/// identical PUT is identical.
pub(crate) const ALWAYS: UtcMillis = UtcMillis(0);

/// Longest name of an audience, in characters.
const AUDIENCE_MAX: usize = 64;

/// The body of `PUT /v1/doctors/{id}/days/{date}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DayBody {
    slots: Vec<Object<SlotBody>>,
    release_at: Option<Moment>,
    releases: Option<Vec<Object<ReleaseBody>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotBody {
    start: Moment,
    end: Moment,
    capacity: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    at: Moment,
    places: Option<u32>,
    audience: Option<String>,
}

impl DayBody {
    /// The definition of `date` in `zone`, or every mistake. Without a zone (there is no such doctor) only what needs none is
    /// judged.
    pub(crate) fn into_definition(self, date: Date, zone: Option<&Zone>) -> Result<DayDefinition, Problem> {
        let mut checks = Checks::default();
        let long_form = self.releases.is_some();
        if long_form && self.release_at.is_some() {
            checks.add("/releases", "give release_at or releases, not both");
        }
        let slots = slots(&self.slots, zone, &mut checks);
        if let Some(zone) = zone {
            self.check_first_start(date, zone, &mut checks);
        }
        let releases = self.releases(&mut checks);
        // The database's version is not told by jiff; the offset beside each start says what was meant.
        match DayDefinition::validate(zone.map_or("", Zone::name).into(), "".into(), slots, releases) {
            Ok(definition) => checks.finish().map(|()| definition),
            Err(errors) => {
                for error in errors {
                    checks.add(self.pointer(&error, long_form), error.to_string());
                }
                checks.finish()?;
                Err(Problem::internal("a definition was refused without a reason"))
            }
        }
    }

    fn check_first_start(&self, date: Date, zone: &Zone, checks: &mut Checks) {
        let first = self.slots.iter().enumerate().min_by_key(|(_, slot)| slot.0.start.0);
        if let Some((position, Object(slot))) = first
            && zone.date(slot.start.0) != Some(date)
        {
            checks.add(
                format!("/slots/{position}/start"),
                format!("the first slot must start on {date} in {}", zone.name()),
            );
        }
    }

    fn releases(&self, checks: &mut Checks) -> Vec<Release> {
        let everything = |at| Release { at, places: None, audience: None };
        let Some(releases) = &self.releases else {
            return vec![everything(self.release_at.map_or(ALWAYS, |at| at.0))];
        };
        for (position, Object(release)) in releases.iter().enumerate().take(RELEASES_MAX) {
            if let Some(audience) = &release.audience {
                checks.line(&format!("/releases/{position}/audience"), audience, AUDIENCE_MAX);
            }
        }
        let release = |Object(body): &Object<ReleaseBody>| Release {
            at: body.at.0,
            places: body.places,
            audience: body.audience.as_deref().map(Box::from),
        };
        releases.iter().map(release).collect()
    }

    fn pointer(&self, error: &DefinitionError, long_form: bool) -> String {
        let release_pointer = |release: usize, member| {
            if long_form { format!("/releases/{release}/{member}") } else { "/release_at".to_owned() }
        };
        match *error {
            DefinitionError::NoSlots | DefinitionError::TooManySlots | DefinitionError::Span => "/slots".to_owned(),
            DefinitionError::EndNotAfterStart { slot } => format!("/slots/{slot}/end"),
            DefinitionError::NotWholeSecond { slot } => {
                let start_is_whole = self.slots.get(slot).is_some_and(|slot| slot.0.start.0.is_whole_second());
                format!("/slots/{slot}/{}", if start_is_whole { "end" } else { "start" })
            }
            DefinitionError::Capacity { slot } => format!("/slots/{slot}/capacity"),
            DefinitionError::Overlap { slot } => format!("/slots/{slot}/start"),
            DefinitionError::ReleaseAfterLastStart { release } => release_pointer(release, "at"),
            DefinitionError::ReleaseOfNothing { release } | DefinitionError::ReleasesExceedCapacity { release } => {
                release_pointer(release, "places")
            }
            DefinitionError::NoReleases | DefinitionError::TooManyReleases => "/releases".to_owned(),
        }
    }
}

fn slots(bodies: &[Object<SlotBody>], zone: Option<&Zone>, checks: &mut Checks) -> Vec<SlotDefinition> {
    let mut slots = Vec::with_capacity(bodies.len());
    for (position, Object(body)) in bodies.iter().enumerate() {
        let offset = zone.map_or(Some(0), |zone| zone.offset_seconds(body.start.0));
        checks.require(offset.is_some(), &format!("/slots/{position}/start"), "lies outside the calendar");
        slots.push(SlotDefinition {
            start: body.start.0,
            end: body.end.0,
            capacity: body.capacity.unwrap_or(1),
            utc_offset_seconds: offset.unwrap_or(0),
        });
    }
    slots
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn slot(start: &str, end: &str) -> Value {
        json!({"start": format!("2026-06-01T{start}Z"), "end": format!("2026-06-01T{end}Z")})
    }

    fn define(body: &Value) -> Result<DayDefinition, Problem> {
        let zone = Zone::find("Europe/Berlin").expect("known");
        let date = Date::parse("2026-06-01").expect("a date");
        super::super::body::parse::<DayBody>(body.to_string().as_bytes())?.into_definition(date, Some(&zone))
    }

    fn pointers(body: &Value) -> Vec<String> {
        let problem = define(body).expect_err("a mistake");
        problem.field_errors().iter().map(|error| error.pointer.clone()).collect()
    }

    #[test]
    fn a_day_without_a_release_is_the_same_every_time() {
        let body = json!({"slots": [slot("08:00:00", "08:30:00")]});
        let definition = define(&body).expect("good");
        assert_eq!(definition, define(&body).expect("good"));
        assert_eq!(definition.releases, [Release { at: ALWAYS, places: None, audience: None }]);
        assert_eq!((definition.slots[0].capacity, definition.slots[0].utc_offset_seconds), (1, 7200));
    }

    #[test]
    fn mistakes_are_pointed_at_in_the_list_as_given() {
        let good = slot("08:00:00", "08:30:00");
        assert_eq!(pointers(&json!({"slots": []})), ["/slots"]);
        assert_eq!(pointers(&json!({"slots": [good, slot("09:00:00", "09:00:00")]})), ["/slots/1/end"]);
        assert_eq!(pointers(&json!({"slots": [slot("08:00:00", "08:30:00.500")]})), ["/slots/0/end"]);
        assert_eq!(pointers(&json!({"slots": [slot("08:15:00", "08:45:00"), good]})), ["/slots/0/start"]);
        let late = json!({"slots": [good], "release_at": "2026-06-01T08:00:01Z"});
        assert_eq!(pointers(&late), ["/release_at"]);
        let releases =
            json!({"slots": [good], "releases": [{"at": "2026-06-01T07:00:00Z"}, {"at": "2026-06-01T09:00:00Z"}]});
        assert_eq!(pointers(&releases), ["/releases/1/at"]);
        let both = json!({"slots": [good], "release_at": "2026-06-01T07:00:00Z", "releases": [{"at": "2026-06-01T07:00:00Z"}]});
        assert_eq!(pointers(&both), ["/releases"]);
        assert_eq!(pointers(&json!({"slots": [good], "releases": []})), ["/releases"]);
    }

    #[test]
    fn the_first_start_lies_on_the_date_in_the_doctors_zone() {
        let midnight = json!({"slots": [{"start": "2026-05-31T22:00:00Z", "end": "2026-05-31T22:30:00Z"}]});
        assert!(define(&midnight).is_ok(), "00:00 in Berlin");
        let before = json!({"slots": [{"start": "2026-05-31T21:59:00Z", "end": "2026-05-31T22:30:00Z"}]});
        assert_eq!(pointers(&before), ["/slots/0/start"]);
    }
}
