//! Every bounded queue of the process, as depth and bound.
//! Must not know: what waits, who scrapes.

use super::catalogue as names;

/// A bounded queue, in the order of [`names::QUEUES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queue {
    /// Commands admitted to the engine and not yet answered.
    Engine,
    /// Commands that wait for the fullest day.
    Day,
    /// Records that wait for a group commit.
    Journal,
    /// Records that wait for the ledger.
    Ledger,
    /// Days whose snapshots wait to be saved.
    Snapshots,
    /// Days with a timer.
    Deadlines,
    /// Readers of live days.
    Streams,
    /// Requests being forwarded to other nodes.
    Forwards,
    /// Claims that wait to be deleted from the shared store.
    ClaimsGivenBack,
}

impl Queue {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        names::QUEUES[self as usize]
    }
}

/// How full a queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueFigure {
    /// Which.
    pub queue: Queue,
    /// What waits in it.
    pub depth: usize,
    /// How much may.
    pub bound: usize,
}

impl QueueFigure {
    /// Sets the gauges.
    pub fn report(self) {
        metrics::gauge!(names::QUEUE_DEPTH, "queue" => self.queue.name()).set(self.depth as f64);
        metrics::gauge!(names::QUEUE_BOUND, "queue" => self.queue.name()).set(self.bound as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_have_the_order_of_their_names() {
        assert_eq!(Queue::Engine.name(), "engine");
        assert_eq!(Queue::Ledger.name(), "ledger");
        assert_eq!(Queue::Streams.name(), "streams");
        assert_eq!(Queue::ClaimsGivenBack.name(), "claims_given_back");
        assert_eq!(names::QUEUES.len(), Queue::ClaimsGivenBack as usize + 1);
    }
}
