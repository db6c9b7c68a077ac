//! What came back from one press of many, counted.
//! Must not know: what was pressed for.

use crate::driver::press::Pressed;
use crate::outcome::Outcome;

/// Answers by kind, and how long they took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Answers {
    /// Places won.
    pub(super) wins: usize,
    /// Refusals because nothing is left.
    pub(super) refusals: usize,
    /// Anything else. A good run has none.
    pub(super) others: usize,
    /// From the press to the last answer, in seconds.
    pub(super) seconds: f64,
    /// Half of the presses were answered within so many milliseconds.
    pub(super) p50_ms: f64,
    /// All but one in a hundred were.
    pub(super) p99_ms: f64,
}

impl Answers {
    /// Of everyone who pressed.
    pub(super) fn of(pressed: &Pressed) -> Self {
        let mut answers = Self::default();
        let mut latencies_micros = Vec::with_capacity(pressed.presses.len());
        for press in &pressed.presses {
            match &press.outcome {
                Outcome::Won(_) => answers.wins += 1,
                Outcome::Refused { code, .. } if code == "sold_out" => answers.refusals += 1,
                _ => answers.others += 1,
            }
            answers.seconds = answers.seconds.max(press.ended_micros as f64 / 1e6);
            latencies_micros.push(press.ended_micros.saturating_sub(press.first_sent_micros));
        }
        latencies_micros.sort_unstable();
        let quantile_ms = |percent: usize| {
            let index = (latencies_micros.len() * percent / 100).min(latencies_micros.len().saturating_sub(1));
            latencies_micros.get(index).map_or(0.0, |micros| *micros as f64 / 1e3)
        };
        (answers.p50_ms, answers.p99_ms) = (quantile_ms(50), quantile_ms(99));
        answers
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::outcome::{Press, Trouble, classify};

    #[test]
    fn answers_are_counted_by_kind() {
        let press = |status, body: &str, ended_micros| Press {
            patient: Uuid::nil(),
            wanted_start_millis: None,
            outcome: classify(status, false, body.as_bytes()),
            first_sent_micros: ended_micros - 1_000,
            ended_micros,
            trouble: Trouble::default(),
        };
        let nil = Uuid::nil();
        let won = format!(r#"{{"id":"{nil}","patient_id":"{nil}","start":"2030-01-02T08:00:00Z"}}"#);
        let presses = vec![
            press(201, &won, 2_000_000),
            press(409, r#"{"code":"sold_out"}"#, 3_000_000),
            press(409, r#"{"code":"closed"}"#, 2_500_000),
        ];
        let answers = Answers::of(&Pressed { presses, generator_cpu_nanos: None });
        let expected = Answers { wins: 1, refusals: 1, others: 1, seconds: 3.0, p50_ms: 1.0, p99_ms: 1.0 };
        assert_eq!(answers, expected);
        assert_eq!(Answers::of(&Pressed { presses: vec![], generator_cpu_nanos: None }), Answers::default());
    }
}
