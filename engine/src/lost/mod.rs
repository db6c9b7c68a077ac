//! What lost records have promised is asked for again, at the door of the days that have lost them (`protocols.md` D 7).
//! Must not know: how a branch is chosen, what a promise is worth, SQL.
//!
//! **When a journal forks.** A store that forgets its end has a shorter log than was acknowledged, and what is missing is put back as
//! long as somebody knows it: then nothing is lost. A fork takes one thing more: that somebody wrote after the shorter log before the
//! missing records came to light. So it can be in three ways, all behind Redis only:
//!
//! - The owner that remembers was cut off or paused, Redis failed over without its last records, another node took the shard over from
//!   what Redis and the ledger had, as the first one did not answer when it was asked what it remembers, and wrote. When the first one is
//!   back it finds that what it remembers stands nowhere, and notes it ([`left`]).
//! - Redis fails over twice: to a server without the end, whose owner writes, and back to the one that has the old end.
//! - Redis or the ledger is put back from an older copy, or two installations wrote where there should have been one.
//!
//! What an owner remembers, and what Redis has, may have been acknowledged. The branch that counts was acknowledged, too, so it is
//! never touched: what the other one promised is asked for again by the normal commands, under the same ids and keys, and the day
//! decides. What it refuses is a finding of `hotslot verify`, a line and an alarm.
//!
//! **Nothing is forgotten.** Lost records are in the ledger, as waiting, before the repair lets them go from the journal
//! ([`crate::ledger::Ledger::note_lost`]); they are settled there after the day has recorded what they are owed. A crash in between
//! has them asked for once more, and each step looks first at how the appointment stands. The ledger, and not Redis, because Redis is
//! what has just forgotten.

mod left;
pub(crate) mod owed;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use booking_core::{DayKey, DayVersion, Fact, decode_event};
use futures_util::future::{Either, select};

use self::left::LeftBehind;
use self::owed::{Owed, Told, owed};
use crate::clock::timeout;
use crate::handle::EngineHandle;
use crate::handle::promises::Keeping;
use crate::journal::{ChainHash, ReadError, StoredRecord};
use crate::ledger::lost::LostOutcome;
use crate::ledger::{ApplyError, Ledger};
use crate::telemetry::events::EngineEvent;
use crate::upkeep::Stopped;

/// How often it is looked for what others have noted; what a repair here has noted is told at once.
const LOOK: Duration = Duration::from_secs(4);
/// How soon what could not be settled is tried again: its day is being read, or stands still.
const AGAIN: Duration = Duration::from_millis(500);

/// Settles lost records of days of ours, as long as the engine runs.
pub(crate) async fn run(handle: EngineHandle, ledger: Arc<dyn Ledger>, stopped: Stopped) {
    let (work, mut left) = (Work { handle, ledger, stopped }, LeftBehind::default());
    while !work.stopped.signal.is_given() {
        if let Err(error) = left.look(&work.handle, &*work.ledger).await {
            tracing::warn!(%error, "what is remembered of the days of others cannot be looked after now; trying again");
        }
        let pause = match work.settle_all().await {
            Ok(true) => LOOK,
            Ok(false) => AGAIN,
            Err(error) => {
                tracing::warn!(%error, "lost records cannot be looked after now; trying again");
                LOOK
            }
        };
        let parts = &work.handle.parts;
        let (stop, found) = (std::pin::pin!(work.stopped.signal.wait()), std::pin::pin!(parts.lost_found.notified()));
        // Whichever it was: look again.
        timeout(&*parts.clock, pause, select(stop, found)).await;
    }
}

struct Work {
    handle: EngineHandle,
    ledger: Arc<dyn Ledger>,
    stopped: Stopped,
}

/// The records of the branch that counts.
pub(crate) struct Standing(HashMap<(DayVersion, ChainHash), StoredRecord>);

impl Standing {
    fn of(records: impl IntoIterator<Item = StoredRecord>) -> Self {
        Self(records.into_iter().map(|record| ((record.version, record.hash), record)).collect())
    }

    fn has(&self, record: &StoredRecord) -> bool {
        self.0.contains_key(&(record.version, record.hash))
    }

    /// Whether somebody has published or closed the day in the place of `record`, or after it.
    pub(crate) fn is_published_after(&self, record: &StoredRecord) -> bool {
        let later = self.0.values().filter(|standing| standing.version.sequence >= record.version.sequence);
        let mut facts = later.filter_map(|standing| decode_event(&standing.body).ok().map(|event| event.fact));
        facts.any(|fact| matches!(fact, Fact::Published(_) | Fact::Closed { .. }))
    }

    /// The version to which this branch has led the appointment by what was `told`: its base, unless a process has asked for a part of it
    /// and died before it came to the rest. `None`: it was born by a lost record.
    pub(crate) fn version_led_to(&self, told: &Told) -> Option<u32> {
        let base = told.base?;
        let events = self.0.values().filter_map(|standing| decode_event(&standing.body).ok());
        let changes = events.filter(|event| told.was_asked_by(event)).flat_map(|event| event.changes);
        let versions = changes.filter(|change| change.row.id == told.row.id).map(|change| change.row.version);
        Some(versions.fold(base, u32::max))
    }
}

impl Work {
    /// Whether nothing of a day of ours is left.
    async fn settle_all(&self) -> Result<bool, ReadError> {
        let mut is_done = true;
        for day in self.ledger.lost_days().await? {
            if self.handle.parts.territory.is_here(day) {
                is_done &= self.settle_day(day).await?;
            }
        }
        Ok(is_done)
    }

    /// The records of one day, in the order of their sequences; whether nothing of it is left.
    async fn settle_day(&self, day: DayKey) -> Result<bool, ReadError> {
        let lost = self.ledger.lost_records(day).await?;
        let standing = self.standing(day).await?;
        // Noted by somebody who could not see that they stand.
        let (standing_ones, missing): (Vec<_>, Vec<_>) = lost.into_iter().partition(|record| standing.has(record));
        if !standing_ones.is_empty() {
            self.ledger.settle_lost(&standing_ones, &LostOutcome::Settled).await.map_err(unsettled)?;
        }
        for Owed { records, promise } in owed(missing) {
            let Some(first) = records.first() else { continue };
            let stop = std::pin::pin!(self.stopped.signal.wait());
            let keeping = std::pin::pin!(self.handle.keep_promise(day, &promise, first, &standing));
            // Left where it stands by a stop, as by a caller that goes away: the next start looks how far it came.
            let outcome = match select(keeping, stop).await {
                Either::Left((Keeping::Holds, _)) => LostOutcome::Settled,
                Either::Left((Keeping::Broken(reason), _)) => LostOutcome::Broken(reason),
                Either::Left((Keeping::Later, _)) | Either::Right(_) => return Ok(false),
            };
            self.ledger.settle_lost(&records, &outcome).await.map_err(unsettled)?;
            EngineEvent::PromiseSettled { day, records: &records, outcome: &outcome }.emit();
        }
        Ok(true)
    }

    async fn standing(&self, day: DayKey) -> Result<Standing, ReadError> {
        let raw = self.ledger.raw_records(day, 0).await?;
        let loaded = self.handle.parts.journal.load(day).await?;
        let tail = loaded.into_iter().flat_map(|loaded| loaded.tail);
        Ok(Standing::of(raw.into_iter().chain(tail)))
    }
}

fn unsettled(error: ApplyError) -> ReadError {
    ReadError::Unavailable(error.to_string())
}
