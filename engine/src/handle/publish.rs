//! Publishing a day without overlapping the doctor's other days: one lane at a time looks at the neighbours and publishes.
//! Must not know: HTTP, what makes a definition valid by itself.
//!
//! Two days of one doctor that are published at once could each miss the other. So all publications of a doctor go through one
//! lane, which takes the next when the last is durable. Publishing is rare; booking never passes here.
//!
//! With other nodes the lane holds a lock of the doctor that all nodes share, and asks the owners of the neighbours. A lock that is lost
//! before the day is told to publish refuses. One that is lost before the record is durable may have let another node publish a
//! neighbour that did not see this day: then the lane takes the lock anew, looks again, and takes back what overlaps. So an overlap can
//! stay only if the node dies in that moment, too.

use std::sync::{Arc, Weak};
use std::time::Duration;

use booking_core::{Date, DayDefinition, DayKey, DayVersion, Precondition, Rejection, UtcMillis};
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

/// How often the lock is asked for once more after it was lost; the lane waits meanwhile. Each try takes as long as the lock's own
/// deadline, or the pause.
const LOOKS_AGAIN_MAX: usize = 5;
const LOOK_AGAIN_PAUSE: Duration = Duration::from_secs(1);

/// A publication and who waits for it.
type Job = (PublishRequest, oneshot::Sender<Result<DayReply, EngineError>>);

/// What a day offered before; `None`: it was not published.
type Before = Option<Arc<DayDefinition>>;

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
        let Some(lock) = &self.parts.publish_lock else {
            self.require_room(&request).await?;
            return self.submit_publication(request).await;
        };
        // The owner of the day publishes; nobody else need hold the lock.
        self.parts.territory.require(request.day)?;
        let mut guard = lock.lock(request.day.doctor).await.map_err(EngineError::Unavailable)?;
        let (published, before) = self.publish_under(&mut *guard, &request).await;
        // What is refused has published nothing. What has no answer may have.
        let has_no_record = before.is_none() || matches!(published, Err(EngineError::Rejected(_)));
        let is_alone = has_no_record || guard.is_held().await;
        guard.release().await;
        match before {
            Some(before) if !is_alone => self.look_again(&request, before, published).await,
            _ => published,
        }
    }

    /// The answer, and what the day was before if anything may have been submitted.
    async fn publish_under(
        &self,
        guard: &mut (dyn PublishGuard + '_),
        request: &PublishRequest,
    ) -> (Result<DayReply, EngineError>, Option<Before>) {
        let before = match self.require_room(request).await {
            Ok(()) => self.defined(request.day).await,
            Err(error) => Err(error),
        };
        match before {
            Err(error) => (Err(error), None),
            Ok(_) if !guard.is_held().await => {
                let lost = "the lock of the doctor's publications was lost".to_owned();
                (Err(EngineError::Unavailable(lost)), None)
            }
            Ok(before) => {
                let before = before.map(|(definition, _)| definition);
                (self.submit_publication(request.clone()).await, Some(before))
            }
        }
    }

    /// The lock was lost on the way: another node may have published beside this day without seeing it.
    async fn look_again(
        &self,
        request: &PublishRequest,
        before: Before,
        published: Result<DayReply, EngineError>,
    ) -> Result<DayReply, EngineError> {
        let Some(lock) = &self.parts.publish_lock else { return published };
        let (day, mut reason) = (request.day, String::new());
        for _ in 0..LOOKS_AGAIN_MAX {
            match lock.lock(day.doctor).await {
                Err(error) => reason = error,
                Ok(mut guard) => {
                    let looked = self.take_back_what_overlaps(request, before.clone()).await;
                    let is_alone = guard.is_held().await;
                    guard.release().await;
                    match looked {
                        Ok(None) if is_alone => return published,
                        Ok(Some(date)) => return Err(Rejection::OverlapsOtherDay { date }.into()),
                        Ok(None) => "the lock was lost again".clone_into(&mut reason),
                        Err(error) => reason = error.to_string(),
                    }
                }
            }
            self.parts.clock.sleep(LOOK_AGAIN_PAUSE).await;
        }
        tracing::error!(%day, reason, "it is not known if a published day overlaps another one of its doctor: publish it again");
        Err(EngineError::Unavailable("it could not be looked whether another day overlaps".to_owned()))
    }

    /// The date that the day as it was asked for overlaps, if it is published so; then it is again as it was before, or closed.
    async fn take_back_what_overlaps(
        &self,
        request: &PublishRequest,
        before: Before,
    ) -> Result<Option<Date>, EngineError> {
        let day = request.day;
        let Some((definition, version)) = self.defined(day).await? else { return Ok(None) };
        let was_so_before = before.as_ref() == Some(&definition);
        if was_so_before || definition != request.definition {
            return Ok(None);
        }
        let Some(date) = self.overlapped_by(request).await? else { return Ok(None) };
        tracing::warn!(%day, other = %date, "a published day overlaps another one of its doctor and is taken back");
        let mut caller = request.caller.clone();
        caller.key = None;
        match before {
            Some(definition) => {
                let precondition = Some(Precondition::Version(version));
                self.publish_alone(PublishRequest { day, definition, precondition, caller }).await?;
            }
            None => drop(self.close_day(day, None, caller).await?),
        }
        Ok(Some(date))
    }

    /// What `day` offers now, and as of which record; `None` if it was never published.
    async fn defined(&self, day: DayKey) -> Result<Option<(Arc<DayDefinition>, DayVersion)>, EngineError> {
        match self.day(day).await {
            Ok(view) => Ok(Some((Arc::clone(view.snapshot.definition()), view.snapshot.version()))),
            Err(EngineError::Rejected(Rejection::UnknownDay)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Nothing, if there is room beside the doctor's other days.
    async fn require_room(&self, request: &PublishRequest) -> Result<(), EngineError> {
        let overlapped = self.overlapped_by(request).await?;
        overlapped.map_or(Ok(()), |date| Err(Rejection::OverlapsOtherDay { date }.into()))
    }

    async fn submit_publication(&self, request: PublishRequest) -> Result<DayReply, EngineError> {
        crash_point!(PublishBeforeSubmit);
        self.publish_alone(request).await
    }

    /// The date of the first neighbour that overlaps what is asked for.
    async fn overlapped_by(&self, request: &PublishRequest) -> Result<Option<Date>, EngineError> {
        let DayKey { doctor, date } = request.day;
        let (from, to) = (date.plus_days(-REACH_DAYS).unwrap_or(date), date.plus_days(REACH_DAYS).unwrap_or(date));
        let near = self.parts.journal.days_of(doctor, from, to).await.map_err(unreadable)?;
        for other in near.into_iter().filter(|other| *other != request.day) {
            match self.outline(other).await {
                Ok(outline) if overlap(&request.definition, &outline.slots) => return Ok(Some(other.date)),
                Ok(_) | Err(EngineError::Rejected(Rejection::UnknownDay)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
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
