//! Which requests are recorded: what the caller decided, and a share of the others.
//! Must not know: headers, spans.

use super::context::TraceContext;

/// The share of requests without a decision of their caller that are recorded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Sampling {
    /// A trace is recorded if its number is below this; `None`: every one.
    below: Option<u64>,
}

impl Sampling {
    /// From 0 (none) to 1 (every one).
    pub(crate) fn of_ratio(ratio: f64) -> Self {
        // The cast of what is in between is exact enough, and saturates.
        Self { below: (ratio < 1.0).then(|| (ratio.max(0.0) * 2_f64.powi(64)) as u64) }
    }

    /// Whether the request of `context` is recorded. The same trace is recorded by every node, or by none.
    pub(crate) fn takes(self, context: &TraceContext) -> bool {
        if context.is_given {
            return context.is_sampled;
        }
        self.below.is_none_or(|below| number_of(context.trace) < below)
    }
}

/// Request ids count up, so neighbours are far from each other only after their bits are mixed (the finalizer of splitmix64).
fn number_of(trace: u128) -> u64 {
    let mut bits = trace as u64 ^ (trace >> 64) as u64;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn taken(ratio: f64) -> usize {
        let sampling = Sampling::of_ratio(ratio);
        let first = 0x0190_a3c4_0000_7000_8000_1234_5678_9000_u128;
        (0..10_000).filter(|count| sampling.takes(&TraceContext::new(Uuid::from_u128(first + count)))).count()
    }

    #[test]
    fn about_the_share_that_was_asked_for_is_taken_of_requests_that_follow_each_other() {
        assert_eq!((taken(0.0), taken(1.0), taken(-1.0), taken(2.0)), (0, 10_000, 0, 10_000));
        assert!((900..1_100).contains(&taken(0.1)), "{}", taken(0.1));
        assert!((4_800..5_200).contains(&taken(0.5)), "{}", taken(0.5));
    }

    #[test]
    fn what_the_caller_decided_is_honoured() {
        for (ratio, is_sampled) in [(0.0, true), (1.0, false), (0.0, false), (1.0, true)] {
            let given = TraceContext { is_given: true, is_sampled, ..TraceContext::new(Uuid::from_u128(7)) };
            assert_eq!(Sampling::of_ratio(ratio).takes(&given), is_sampled);
        }
    }
}
