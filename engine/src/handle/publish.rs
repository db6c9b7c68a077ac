//! Publishing a day without overlapping the doctor's other days: one lane at a time looks at the neighbours and publishes.
//! Must not know: HTTP, what makes a definition valid by itself.
//!
//! Two days of one doctor that are published at once could each miss the other. So all publications of a doctor go through one
//! lane, which takes the next when the last is durable. Publishing is rare; booking never passes here.
//!
//! With other nodes the lane holds a lock of the doctor that all nodes share, and asks the owners of the neighbours. A lock that is lost
//! before the day is told to publish refuses; the moment between that look and the record is the promise's one gap.

use std::sync::Weak;

use booking_core::{DayDefinition, DayKey, Rejection, UtcMillis};
use tokio::sync::{mpsc, oneshot};

use super::{EngineHandle, Parts, unreadable};
use crate::error::EngineError;
use crate::limits::RETRY_AFTER_MILLIS;
use crate::ownership::PublishGuard;
use crate::spawn::Spawn;
use crate::view::{DayReply, PublishRequest};

/// Number of lanes: enough that a clinic's import is not held up by another's.
const LANES: usize = 16;

/// Publications that wait in one lane: about a second of its work; beyond, the caller is told to come back.
const LANE_MAX: usize = 256;

/// How far the slots of one date can reach into another: a day spans at most 36 hours from a start on its own date.
const REACH_DAYS: i32 = 2;

/// A publication and who waits for it.
type Job = (PublishRequest, oneshot::Sender<Result<DayReply, EngineError>>);

/// The way into the lanes.
pub(crate) struct PublishLanes {
    lanes: Vec<mpsc::Sender<Job>>,
}

/// The other ends, until somebody works on them.
pub(crate) struct IdleLanes {
    lanes: Vec<mpsc::Receiver<Job>>,
}

impl PublishLanes {
    /// Lanes that nobody works on yet.
    pub(crate) fn new() -> (Self, IdleLanes) {
        let (lanes, idle) = (0..LANES).map(|_| mpsc::channel(LANE_MAX)).unzip();
        (Self { lanes }, IdleLanes { lanes: idle })
    }

    /// Publishes in the lane of the doctor.
    pub(super) async fn publish(&self, request: PublishRequest) -> Result<DayReply, EngineError> {
        let (reply, answer) = oneshot::channel();
        let lane = usize::from(request.day.doctor.as_bytes()[15]) % LANES;
        if self.lanes[lane].try_send((request, reply)).is_err() {
            return Err(EngineError::Overloaded { retry_after_millis: RETRY_AFTER_MILLIS });
        }
        answer.await.unwrap_or_else(|_| Err(EngineError::Unavailable("the engine is stopping".to_owned())))
    }
}

impl IdleLanes {
    /// Works on them for as long as the engine is there.
    pub(crate) fn start(self, parts: &Weak<Parts>, spawn: &dyn Spawn) {
        for lane in self.lanes {
            spawn.spawn(Box::pin(work(lane, Weak::clone(parts))));
        }
    }
}

async fn work(mut lane: mpsc::Receiver<Job>, parts: Weak<Parts>) {
    while let Some((request, reply)) = lane.recv().await {
        let Some(parts) = parts.upgrade() else { return };
        // A caller that went away is published all the same: it may have been told so already by a retry.
        let published = EngineHandle { parts }.publish_locked(request).await;
        crash_point!(PublishBeforeReply);
        let _ = reply.send(published);
    }
}

impl EngineHandle {
    async fn publish_locked(&self, request: PublishRequest) -> Result<DayReply, EngineError> {
        let Some(lock) = &self.parts.publish_lock else { return self.publish_beside_others(request, None).await };
        // The owner of the day publishes; nobody else need hold the lock.
        self.parts.territory.require(request.day)?;
        let mut guard = lock.lock(request.day.doctor).await.map_err(EngineError::Unavailable)?;
        let published = self.publish_beside_others(request, Some(&mut *guard)).await;
        guard.release().await;
        published
    }

    async fn publish_beside_others(
        &self,
        request: PublishRequest,
        guard: Option<&mut (dyn PublishGuard + '_)>,
    ) -> Result<DayReply, EngineError> {
        let DayKey { doctor, date } = request.day;
        let (from, to) = (date.plus_days(-REACH_DAYS).unwrap_or(date), date.plus_days(REACH_DAYS).unwrap_or(date));
        let near = self.parts.journal.days_of(doctor, from, to).await.map_err(unreadable)?;
        for other in near.into_iter().filter(|other| *other != request.day) {
            match self.outline(other).await {
                Ok(outline) if overlap(&request.definition, &outline.slots) => {
                    return Err(Rejection::OverlapsOtherDay { date: other.date }.into());
                }
                Ok(_) | Err(EngineError::Rejected(Rejection::UnknownDay)) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(guard) = guard
            && !guard.is_held().await
        {
            return Err(EngineError::Unavailable("the lock of the doctor's publications was lost".to_owned()));
        }
        crash_point!(PublishBeforeSubmit);
        self.publish_alone(request).await
    }
}

/// Whether any slot of one overlaps any of the other. Both are sorted and disjoint in themselves.
fn overlap(one: &DayDefinition, others: &[(UtcMillis, UtcMillis)]) -> bool {
    let mut others = others.iter().peekable();
    one.slots.iter().any(|slot| {
        while others.next_if(|(_, end)| *end <= slot.start).is_some() {}
        others.peek().is_some_and(|(start, _)| *start < slot.end)
    })
}

#[cfg(test)]
mod tests {
    use booking_core::{Release, SlotDefinition};

    use super::*;

    fn day(slots: &[(i64, i64)]) -> DayDefinition {
        let slot = |(start, end): &(i64, i64)| SlotDefinition {
            start: UtcMillis(start * 1000),
            end: UtcMillis(end * 1000),
            capacity: 1,
            utc_offset_seconds: 0,
        };
        let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
        DayDefinition::validate("UTC".into(), "".into(), slots.iter().map(slot).collect(), releases).expect("valid")
    }

    fn spans(slots: &[(i64, i64)]) -> Vec<(UtcMillis, UtcMillis)> {
        day(slots).slots.iter().map(|slot| (slot.start, slot.end)).collect()
    }

    #[test]
    fn slots_that_touch_do_not_overlap() {
        assert!(!overlap(&day(&[(10, 20)]), &spans(&[(20, 30), (0, 10)])));
        assert!(!overlap(&day(&[(10, 20), (40, 50)]), &spans(&[(20, 40)])));
        assert!(overlap(&day(&[(10, 20), (40, 50)]), &spans(&[(20, 41)])));
        assert!(overlap(&day(&[(10, 20)]), &spans(&[(0, 100)])));
        assert!(overlap(&day(&[(0, 100)]), &spans(&[(5, 6), (50, 51)])));
        assert!(overlap(&day(&[(0, 5), (10, 20), (30, 40)]), &spans(&[(6, 9), (39, 45)])));
    }
}
