//! Whether a provider is worth a call now: after failures in a row it is left alone, then asked with one call: pure.
//! Must not know: clocks, providers. Instants are microseconds on one monotonic scale: a wall clock that is set must
//! not open or close it.

/// When it opens and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerPolicy {
    /// Failures in a row that open it.
    pub failures_max: u32,
    /// How long it stays open first.
    pub pause_micros: u64,
    /// Twice as long after each call that fails while it is half open, at most so long.
    pub pause_micros_max: u64,
}

impl Default for BreakerPolicy {
    /// Three failures: fewer than the attempts of one message, so that a provider that is away costs no message its
    /// last attempt. Five seconds, as
    /// between two attempts; a minute at most, which is how late a message may be because of it when the provider is
    /// back.
    fn default() -> Self {
        Self { failures_max: 3, pause_micros: 5_000_000, pause_micros_max: 60_000_000 }
    }
}

/// What may be sent now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// As much as there is.
    All,
    /// One message, to see; nothing else until what became of it is told.
    Probe,
    /// Nothing before this instant, or until what became of the probe is told.
    Nothing {
        /// Microseconds; `u64::MAX`: a probe is under way.
        until_micros: u64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until_micros: u64, pause_micros: u64 },
    HalfOpen { pause_micros: u64 },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
}

impl Breaker {
    /// Closed.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: State::Closed { failures: 0 } }
    }

    /// What may be sent at `now_micros`. After [`Admission::Probe`] the caller tells what became of it, whatever it
    /// was.
    pub fn admit(&mut self, now_micros: u64) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::All,
            State::Open { until_micros, .. } if now_micros < until_micros => Admission::Nothing { until_micros },
            State::Open { pause_micros, .. } => {
                self.state = State::HalfOpen { pause_micros };
                Admission::Probe
            }
            State::HalfOpen { .. } => Admission::Nothing { until_micros: u64::MAX },
        }
    }

    /// The provider has answered: it is there, whatever it thinks of the message.
    pub fn answered(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// The provider was not there.
    pub fn failed(&mut self, now_micros: u64) {
        let opened =
            |pause_micros: u64| State::Open { until_micros: now_micros.saturating_add(pause_micros), pause_micros };
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < self.policy.failures_max => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } => opened(self.policy.pause_micros),
            State::HalfOpen { pause_micros } => {
                opened(pause_micros.saturating_mul(2).min(self.policy.pause_micros_max.max(self.policy.pause_micros)))
            }
            // A call that began before it opened says nothing new.
            open @ State::Open { .. } => open,
        };
    }

    /// The probe came to nothing without the provider: there is another one at once.
    pub fn not_probed(&mut self, now_micros: u64) {
        if let State::HalfOpen { pause_micros } = self.state {
            self.state = State::Open { until_micros: now_micros, pause_micros };
        }
    }

    /// As a number for a gauge: 0 closed, 1 half open, 2 open.
    pub fn level(&self) -> u8 {
        match self.state {
            State::Closed { .. } => 0,
            State::HalfOpen { .. } => 1,
            State::Open { .. } => 2,
        }
    }

    /// While it is open: when it admits a probe.
    pub fn opens_again_micros(&self) -> Option<u64> {
        match self.state {
            State::Open { until_micros, .. } => Some(until_micros),
            State::Closed { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Whether the provider is believed to be there.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy { failures_max: 3, pause_micros: 5, pause_micros_max: 15 };

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(POLICY);
        (0..3).for_each(|now| breaker.failed(now));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(POLICY);
        for _ in 0..10 {
            breaker.failed(0);
            breaker.failed(0);
            breaker.answered();
            assert_eq!((breaker.admit(0), breaker.level(), breaker.is_closed()), (Admission::All, 0, true));
        }
        let mut breaker = opened();
        assert_eq!((breaker.admit(2), breaker.level()), (Admission::Nothing { until_micros: 7 }, 2));
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let mut breaker = opened();
        assert_eq!(
            (breaker.admit(7), breaker.admit(8)),
            (Admission::Probe, Admission::Nothing { until_micros: u64::MAX })
        );
        breaker.failed(9);
        assert_eq!(breaker.admit(18), Admission::Nothing { until_micros: 19 }, "twice as long");
        assert_eq!(breaker.admit(19), Admission::Probe);
        breaker.failed(19);
        assert_eq!(breaker.admit(33), Admission::Nothing { until_micros: 34 }, "and no longer than is said");
        assert_eq!(breaker.admit(34), Admission::Probe);
        breaker.not_probed(35);
        assert_eq!((breaker.admit(35), breaker.level()), (Admission::Probe, 1));
        breaker.answered();
        assert_eq!(breaker.admit(35), Admission::All);
    }

    #[test]
    fn failures_of_calls_from_before_do_not_prolong_it() {
        let mut breaker = opened();
        (0..100).for_each(|_| breaker.failed(6));
        assert_eq!(breaker.admit(7), Admission::Probe);
    }

    proptest! {
        /// Whatever happens, it lets one call through within the longest pause after its last failure, and never two
        /// probes at once.
        #[test]
        fn it_never_stays_shut(events in prop::collection::vec((0_u64..30, 0_u8..4), 1..200)) {
            let mut breaker = Breaker::new(POLICY);
            let (mut now, mut is_probing, mut shut_since) = (0, false, None);
            for (passes, event) in events {
                now += passes;
                match breaker.admit(now) {
                    Admission::All => prop_assert!(!is_probing, "closed before the probe was told of"),
                    Admission::Probe => {
                        prop_assert!(!is_probing, "two probes");
                        is_probing = true;
                    }
                    Admission::Nothing { until_micros } if is_probing => prop_assert_eq!(until_micros, u64::MAX),
                    Admission::Nothing { until_micros } => {
                        let since = *shut_since.get_or_insert(now);
                        prop_assert!(until_micros > now && until_micros - since <= POLICY.pause_micros_max);
                        continue;
                    }
                }
                shut_since = None;
                match event {
                    0 => breaker.answered(),
                    1 => breaker.failed(now),
                    2 => breaker.not_probed(now),
                    _ => continue,
                }
                is_probing = false;
            }
        }
    }
}
