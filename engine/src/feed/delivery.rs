//! Brings a batch to a sink: what it refuses for good goes to the dead letters, and the others go on.
//! Must not know: where events come from, how far anybody is.

use std::collections::BTreeSet;

use super::{Outgoing, Published, Sink, unfit};
use crate::telemetry::catalogue;
use crate::telemetry::events::EngineEvent;

/// See the module.
pub(super) struct Delivery<'sink> {
    pub(super) sink: &'sink dyn Sink,
}

impl Delivery<'_> {
    /// When this returns `Ok`, the sink has every event, or its dead letters have. Otherwise it has perhaps some: why it stopped.
    pub(super) async fn deliver(&self, mut events: Vec<Outgoing>) -> Result<(), String> {
        while !events.is_empty() {
            events = self.round(events).await?;
        }
        Ok(())
    }

    /// What is left after one call: what came after an event that has become a dead letter, in the same shard.
    async fn round(&self, events: Vec<Outgoing>) -> Result<Vec<Outgoing>, String> {
        let (mut sent, mut left, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        let mut waiting = BTreeSet::new();
        for event in events {
            if waiting.contains(&event.shard) {
                left.push(event);
            } else if let Some(reason) = unfit(&event) {
                waiting.insert(event.shard);
                dead.push((event, reason));
            } else {
                sent.push(event);
            }
        }
        let outcomes = if sent.is_empty() { Vec::new() } else { self.sink.publish(&sent).await };
        let mut behind = Vec::new();
        let mut away = None;
        let mut done = 0_u64;
        for (event, outcome) in sent.into_iter().zip(outcomes) {
            match outcome {
                Published::Done => done += 1,
                Published::Refused(reason) => {
                    waiting.insert(event.shard);
                    dead.push((event, reason));
                }
                Published::Away(reason) if !waiting.contains(&event.shard) => away = Some(reason),
                // Not tried, as it comes after a refused one.
                Published::Away(_) => behind.push(event),
            }
        }
        metrics::counter!(catalogue::FEED_PUBLISHED, "sink" => self.sink.name()).increment(done);
        if let Some(reason) = away {
            return Err(reason);
        }
        for (event, reason) in dead {
            self.sink.bury(&event, &reason).await?;
            EngineEvent::DeadLetter { sink: self.sink.name(), event: &event.id, reason: &reason }.emit();
        }
        // Within a shard what was sent comes before what was held back.
        behind.extend(left);
        Ok(behind)
    }
}
