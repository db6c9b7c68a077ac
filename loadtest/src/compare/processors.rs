//! Processor time of everything that takes part in a turn: the system itself, and the stores behind it.
//! Must not know: what they do, how the time is read.

use serde::Serialize;

use crate::processor;

/// Processes to be counted, by their ids; what each has started counts with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The system: one process, or one for each node.
    pub(crate) system: Vec<u32>,
    /// PostgreSQL and Redis, where the system has them.
    pub(crate) stores: Vec<u32>,
}

/// Seconds, from the start of each process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Used {
    system_seconds: f64,
    /// `None` where there are no stores of their own.
    stores_seconds: Option<f64>,
}

/// What one answer costs, in microseconds of processor time in user and system mode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// Of the system's own processes.
    pub(crate) system_micros: f64,
    /// Of the processes of PostgreSQL and Redis; nothing where there are none.
    pub(crate) stores_micros: Option<f64>,
}

impl Counted {
    /// What they have used until now, exact to a hundredth of a second each; `None` if one is gone.
    pub(crate) fn used(&self) -> Option<Used> {
        let sum = |ids: &[u32]| ids.iter().map(|id| processor::tree_seconds(*id)).sum::<Option<f64>>();
        let stores_seconds = if self.stores.is_empty() { None } else { Some(sum(&self.stores)?) };
        Some(Used { system_seconds: sum(&self.system)?, stores_seconds })
    }
}

impl Used {
    /// What each of `answers` costs if `before` had been used before them. `None` without answers.
    pub(crate) fn since(self, before: Self, answers: usize) -> Option<Cost> {
        let micros = |seconds: f64| seconds * 1e6 / answers as f64;
        (answers > 0).then(|| Cost {
            system_micros: micros(self.system_seconds - before.system_seconds),
            stores_micros: self.stores_seconds.zip(before.stores_seconds).map(|(after, before)| micros(after - before)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_what_was_used_meanwhile_over_the_answers() {
        let used = |system_seconds, stores_seconds| Used { system_seconds, stores_seconds };
        let cost = used(3.0, Some(9.0)).since(used(1.0, Some(8.0)), 20_000);
        assert_eq!(cost, Some(Cost { system_micros: 100.0, stores_micros: Some(50.0) }));
        let embedded = used(3.0, None).since(used(1.0, None), 20_000);
        assert_eq!(embedded, Some(Cost { system_micros: 100.0, stores_micros: None }));
        assert_eq!(used(3.0, None).since(used(1.0, None), 0), None);
    }

    #[test]
    fn a_process_that_is_gone_makes_no_cost() {
        let own = std::process::id();
        assert!(Counted { system: vec![own], stores: vec![] }.used().is_some_and(|used| used.stores_seconds.is_none()));
        assert!(
            Counted { system: vec![own], stores: vec![own] }.used().is_some_and(|used| used.stores_seconds.is_some())
        );
        assert_eq!(Counted { system: vec![own], stores: vec![u32::MAX] }.used(), None);
    }
}
