//! What the readers of streams have seen, and how old it was then. Pure.
//! Must not know: sockets, HTTP.

use std::collections::HashMap;
use std::time::Instant;

use crate::api::{Day, day_of, instant_millis};
use crate::driver::clock::ServerClock;
use crate::run::summary::{Durations, Spread};

/// Events kept for the distributions, 24 bytes each; later ones of a long run are counted only.
const SIGHTS_MAX: usize = 5_000_000;

/// One event as one reader saw it.
#[derive(Clone, Copy, Debug)]
struct Sight {
    /// Index of the state that its reader saw before; the same one for its first.
    before: u32,
    /// Index of what it shows.
    state: u32,
    /// Counted from the origin.
    read_micros: u64,
    /// From the server's time in it to its being read.
    age_micros: u64,
}

/// One state of one day, read once for all who saw it.
#[derive(Debug)]
struct State {
    day: u32,
    shown: Day,
}

/// What all readers have seen.
#[derive(Debug)]
pub(crate) struct Sightings {
    origin: Instant,
    known: HashMap<(u32, u128), u32>,
    states: Vec<State>,
    sights: Vec<Sight>,
    /// By reader: its day, its last id and state.
    readers: Vec<(u32, Option<(u128, u32)>)>,
    events: u64,
    unreadable: u64,
    falling: u64,
}

impl Sightings {
    /// For readers of these days; instants are counted from `origin`.
    pub(crate) fn new(days: impl Iterator<Item = u32>, origin: Instant) -> Self {
        let readers = days.map(|day| (day, None)).collect();
        let (known, states, sights) = (HashMap::new(), Vec::new(), Vec::new());
        Self { origin, known, states, sights, readers, events: 0, unreadable: 0, falling: 0 }
    }

    /// The reader of that number has read `event` at `read`; a comment is none.
    pub(crate) fn take_in(&mut self, reader: usize, event: &str, read: Instant, clock: &ServerClock) {
        let mut lines = event.trim_start_matches('\n').lines();
        if event.trim_start_matches('\n').starts_with(':') {
            return;
        }
        let id = lines.next().and_then(|line| line.strip_prefix("id: ")?.parse().ok());
        let data = lines.find_map(|line| line.strip_prefix("data: "));
        let read_in = id.zip(data).and_then(|(id, data)| {
            let since = clock.local_instant_of(server_time_of(data)?)?;
            Some((id, self.state_of(self.readers[reader].0, id, data)?, since))
        });
        let Some((id, state, since)) = read_in else {
            self.unreadable += 1;
            return;
        };
        self.events += 1;
        let before = self.readers[reader].1.replace((id, state));
        self.falling += u64::from(before.is_some_and(|(before, _)| before >= id));
        if self.sights.len() < SIGHTS_MAX {
            let micros = |later: Instant, earlier: Instant| {
                u64::try_from(later.saturating_duration_since(earlier).as_micros()).unwrap_or(u64::MAX)
            };
            self.sights.push(Sight {
                before: before.map_or(state, |(_, before)| before),
                state,
                read_micros: micros(read, self.origin),
                age_micros: micros(read, since),
            });
        }
    }

    fn state_of(&mut self, day: u32, id: u128, data: &str) -> Option<u32> {
        if let Some(known) = self.known.get(&(day, id)) {
            return Some(*known);
        }
        let state = u32::try_from(self.states.len()).ok()?;
        self.states.push(State { day, shown: day_of(data.as_bytes()).ok()? });
        self.known.insert((day, id), state);
        Some(state)
    }

    /// Events that were read.
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// Events that are not of the contract's shape, and those whose id did not rise.
    pub(crate) const fn faults(&self) -> (u64, u64) {
        (self.unreadable, self.falling)
    }

    /// Whether that reader has seen anything.
    pub(crate) fn has_seen(&self, reader: usize) -> bool {
        self.readers[reader].1.is_some()
    }

    /// How many of these readers did not see the last state of their day as the last; `last` is by day.
    pub(crate) fn behind(&self, readers: &[usize], last: &[Day]) -> usize {
        let is_last =
            |state: &State| last.get(state.day as usize).is_some_and(|last| last.shows_the_same(&state.shown));
        let lasts: Vec<bool> = self.states.iter().map(is_last).collect();
        readers
            .iter()
            .filter(|reader| !self.readers[**reader].1.is_some_and(|(_, state)| lasts[state as usize]))
            .count()
    }

    /// From the server's time in an event to its being read.
    pub(crate) fn event_age(&self) -> Spread {
        Durations::of(self.sights.iter().map(|sight| sight.age_micros)).spread()
    }

    /// From the oldest change that an event shows and the reader had not seen, to its being read. `changes` are the instants of all
    /// changes of each day, in order, each of which took one place; `None` if that is not what was seen, or nothing was.
    pub(crate) fn change_age(&self, changes: &[Vec<i64>], clock: &ServerClock) -> Option<Spread> {
        let mut ages = Vec::new();
        for sight in &self.sights {
            let (before, state) = (&self.states[sight.before as usize], &self.states[sight.state as usize]);
            let changes = changes.get(state.day as usize)?;
            let (before, now) = (before.shown.taken(), state.shown.taken());
            if now < before || now > changes.len() as u64 {
                return None;
            }
            if now > before {
                let changed = clock.local_instant_of(*changes.get(usize::try_from(before).ok()?)?)?;
                let changed_micros = changed.saturating_duration_since(self.origin).as_micros();
                ages.push(sight.read_micros.saturating_sub(u64::try_from(changed_micros).ok()?));
            }
        }
        (!ages.is_empty()).then(|| Durations::of(ages.into_iter()).spread())
    }
}

/// The `server_time` of a day, UTC milliseconds.
fn server_time_of(data: &str) -> Option<i64> {
    let (_, rest) = data.split_once(r#""server_time":""#)?;
    instant_millis(rest.split('"').next()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::driver::clock;

    fn event(id: u128, seconds: u32, remaining: u32) -> String {
        format!(
            "id: {id}\nevent: day\ndata: {{\"state\":\"open\",\"release_at\":null,\"server_time\":\"1970-01-01T00:00:{seconds:02}Z\",\
             \"slots\":[{{\"start\":\"1970-01-02T00:00:00Z\",\"capacity\":5,\"remaining\":{remaining}}}]}}"
        )
    }

    /// Two readers of one day; the server's second 0 is the origin.
    fn two() -> (Sightings, ServerClock, Instant) {
        let origin = clock::now();
        let mut server_clock = ServerClock::new(origin);
        server_clock.observe(origin, 0);
        (Sightings::new([0, 0].into_iter(), origin), server_clock, origin)
    }

    #[test]
    fn an_event_is_as_old_as_its_time_and_as_the_oldest_change_that_it_shows_first() {
        let (mut seen, server_clock, origin) = two();
        let after = |seconds: u64| origin + Duration::from_secs(seconds);
        seen.take_in(0, &event(1, 1, 5), after(1), &server_clock);
        seen.take_in(0, &event(3, 9, 3), after(10), &server_clock);
        seen.take_in(0, "\n: heartbeat", after(11), &server_clock);
        seen.take_in(1, &event(3, 9, 3), after(12), &server_clock);
        assert_eq!((seen.events(), seen.faults()), (3, (0, 0)));
        // The distribution has three digits.
        assert_eq!((seen.event_age().max_ms / 10.0).round(), 300.0);
        // Two changes, at 6 s and at 8 s: the reader that had seen none saw the older one after 4 s.
        let age = seen.change_age(&[vec![6_000, 8_000]], &server_clock).unwrap();
        assert_eq!((age.count, (age.max_ms / 10.0).round()), (1, 400.0));
        assert_eq!(seen.change_age(&[vec![6_000]], &server_clock), None, "more was taken than anybody changed");
    }

    #[test]
    fn who_has_not_seen_the_last_state_is_behind_and_falling_ids_and_nonsense_are_counted() {
        let (mut seen, server_clock, origin) = two();
        seen.take_in(0, &event(2, 1, 4), origin, &server_clock);
        seen.take_in(1, &event(2, 1, 4), origin, &server_clock);
        seen.take_in(1, &event(3, 2, 3), origin, &server_clock);
        let data = event(9, 5, 3);
        let last = day_of(data.split_once("data: ").unwrap().1.as_bytes()).unwrap();
        assert_eq!(seen.behind(&[0, 1], std::slice::from_ref(&last)), 1, "only what is shown counts");
        seen.take_in(0, &event(2, 2, 4), origin, &server_clock);
        seen.take_in(0, "id: 4\ndata: {}", origin, &server_clock);
        assert_eq!(seen.faults(), (1, 1));
    }
}
