//! What each load got while it lasted: how much was offered and how much of it was of use. Pure.
//! Must not know: whether that is enough.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::run::job::Done;
use crate::run::operation::Class;

/// The shortest load that has a rate.
const SHORTEST_MICROS: u64 = 1_000_000;

/// One load, from its first intended time to its last.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Phase {
    /// When it began, from the start of the run.
    pub(crate) began_seconds: f64,
    /// How long it lasted.
    pub(crate) lasted_seconds: f64,
    /// Its arrivals a second.
    pub(crate) offered_per_second: f64,
    /// Its successes and definite refusals a second that came while it lasted: those that came later are not of use to
    /// anybody who measures what the server carries at this load.
    pub(crate) goodput_per_second: f64,
    /// `goodput_per_second` by `offered_per_second`: below 1 a queue grows, or requests are turned away.
    pub(crate) goodput_of_offered: f64,
    /// `goodput_per_second` by the scenario's `rate_per_second`; 0 where that is 0.
    pub(crate) goodput_of_given_rate: f64,
    /// `goodput_per_second` by that of the load that got most: how much an overload costs.
    pub(crate) goodput_of_peak: f64,
}

#[derive(Clone, Copy)]
struct Window {
    first_micros: u64,
    last_micros: u64,
    arrivals: u64,
    good: u64,
}

/// The loads by name, but for those that lasted less than a second: a rate of theirs would say nothing.
pub(crate) fn phases(done: &[Done], loads: &[String], given_per_second: f64) -> BTreeMap<String, Phase> {
    let mut windows: BTreeMap<u16, Window> = BTreeMap::new();
    for one in done {
        let intended = one.intended_micros;
        let new = Window { first_micros: intended, last_micros: intended, arrivals: 0, good: 0 };
        let window = windows.entry(one.load).or_insert(new);
        window.first_micros = window.first_micros.min(intended);
        window.last_micros = window.last_micros.max(intended);
        window.arrivals += 1;
    }
    for one in done.iter().filter(|one| matches!(one.answer.class(), Class::Served | Class::Refused)) {
        if let Some(window) = windows.get_mut(&one.load).filter(|window| one.ended_micros <= window.last_micros) {
            window.good += 1;
        }
    }
    let name = |load: u16| loads.get(usize::from(load)).cloned().unwrap_or_default();
    let long = windows.into_iter().filter(|(_, window)| window.micros() >= SHORTEST_MICROS);
    let mut phases: BTreeMap<String, Phase> =
        long.map(|(load, window)| (name(load), window.phase(given_per_second))).collect();
    let peak = phases.values().map(|phase| phase.goodput_per_second).fold(0.0, f64::max);
    for phase in phases.values_mut().filter(|_| peak > 0.0) {
        phase.goodput_of_peak = phase.goodput_per_second / peak;
    }
    phases
}

impl Window {
    const fn micros(self) -> u64 {
        self.last_micros.saturating_sub(self.first_micros)
    }

    fn phase(self, given_per_second: f64) -> Phase {
        let micros = self.micros() as f64;
        let goodput_per_second = self.good as f64 * 1e6 / micros;
        let is_given = given_per_second > 0.0;
        Phase {
            began_seconds: self.first_micros as f64 / 1e6,
            lasted_seconds: micros / 1e6,
            offered_per_second: self.arrivals as f64 * 1e6 / micros,
            goodput_per_second,
            goodput_of_offered: self.good as f64 / self.arrivals.max(1) as f64,
            goodput_of_peak: 0.0,
            goodput_of_given_rate: if is_given { goodput_per_second / given_per_second } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::operation::Answer;
    use crate::run::summary::tests::done;

    #[test]
    fn goodput_counts_what_was_settled_while_the_load_lasted() {
        let full = || Answer::Refused { status: 409, code: "sold_out".into() };
        let shed = || Answer::Uncertain { status: 503, code: "overloaded".into() };
        // One every 10 ms from 1 s to 2 s: half of them in time, a quarter too late, a quarter shed.
        let all: Vec<_> = (0..=100)
            .map(|n: u64| {
                let at = 1_000 + n * 10;
                match n % 4 {
                    0 | 1 => done(1, at, Some(at), at, full()),
                    2 => done(1, at, Some(at), 2_500, full()),
                    _ => done(1, at, Some(at), at, shed()),
                }
            })
            .collect();
        let phases = phases(&all, &["quiet".to_owned(), "loud".to_owned()], 100.0);
        assert_eq!(phases.len(), 1);
        let loud = &phases["loud"];
        assert_eq!((loud.began_seconds, loud.lasted_seconds), (1.0, 1.0));
        assert!((loud.offered_per_second - 101.0).abs() < 1e-9);
        assert!((loud.goodput_per_second - 51.0).abs() < 1e-9, "{loud:?}");
        assert!((loud.goodput_of_given_rate - 0.51).abs() < 1e-9);
        assert_eq!(loud.goodput_of_peak, 1.0);
        assert!((loud.goodput_of_offered - 51.0 / 101.0).abs() < 1e-9);
    }

    #[test]
    fn one_instant_has_no_rate_and_no_given_rate_divides_nothing() {
        let at = |ms| done(0, ms, Some(ms), ms, Answer::Served(None));
        assert!(phases(&[at(5), at(900)], &[], 10.0).is_empty());
        let phases = phases(&[at(0), at(1_000)], &[], 0.0);
        assert_eq!((phases[""].goodput_per_second, phases[""].goodput_of_given_rate), (2.0, 0.0));
    }
}
