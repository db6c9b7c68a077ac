//! How long the stages of a booking take; what is short and frequent is measured on a few.
//! Must not know: what a stage does, who scrapes.

use metrics::Histogram;

use super::catalogue as names;

/// One command in so many is timed where a stage takes less time than it costs to measure it: a decision takes about a microsecond, two
/// readings of the clock and an entry in a histogram a tenth of that.
const SAMPLED: u64 = 16;

/// The stages, in the order of [`names::STAGES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// From the head of the request to the engine's door: token, limits, body.
    Admit,
    /// Keys in flight, won keys, the published picture.
    Dedup,
    /// The wait for the day's turn.
    Queue,
    /// The decision on the tip.
    Decide,
    /// Claims across days.
    Claim,
    /// From the end of the turn until the day hears that its records are durable.
    Append,
    /// Overlay, claims, won keys, picture.
    Publish,
    /// Everybody who waits for these records is told.
    Reply,
    /// From published until applied.
    Ledger,
    /// Inside the day, until the answer leaves.
    Total,
}

/// Handles of all stages.
pub struct Stages {
    histograms: Vec<Histogram>,
    is_timing: bool,
}

impl Stages {
    /// Resolves the handles against the installed recorder.
    pub fn new() -> Self {
        let handle = |stage: &&'static str| metrics::histogram!(names::STAGE_DURATION, "stage" => *stage);
        Self { histograms: names::STAGES.iter().map(handle).collect(), is_timing: true }
    }

    /// Measures nothing: what a benchmark compares with.
    pub fn off() -> Self {
        Self { histograms: names::STAGES.iter().map(|_| Histogram::noop()).collect(), is_timing: false }
    }

    /// `stage` took so long.
    pub fn record(&self, stage: Stage, micros: u64) {
        self.histograms[stage as usize].record(micros as f64 / 1e6);
    }

    /// Whether the command that was seen at `micros` is one of those that are timed. The last digits of an instant are as good as a
    /// die, and known already.
    pub const fn is_timed(&self, micros: u64) -> bool {
        self.is_timing && micros.is_multiple_of(SAMPLED)
    }
}

impl Default for Stages {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_the_order_of_their_names() {
        assert_eq!(names::STAGES[Stage::Admit as usize], "admit");
        assert_eq!(names::STAGES[Stage::Queue as usize], "queue");
        assert_eq!(names::STAGES[Stage::Append as usize], "append");
        assert_eq!(names::STAGES[Stage::Ledger as usize], "ledger");
        assert_eq!(names::STAGES[Stage::Total as usize], "total");
        assert_eq!(names::STAGES.len(), Stage::Total as usize + 1);
    }

    #[test]
    fn few_are_timed_and_none_where_it_is_off() {
        let timed = |stages: &Stages| (0..1_600).filter(|micros| stages.is_timed(*micros)).count();
        assert_eq!((timed(&Stages::new()), timed(&Stages::off())), (100, 0));
    }
}
