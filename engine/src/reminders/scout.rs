//! Reads the rows that the actor is to have in hand: of shards that have opened, of the next two hours, of changes,
//! and, again and again, what is
//! overdue.
//! Must not know: what becomes of them.
//!
//! Nothing is trusted to arm itself: whatever was not told, was dropped for want of room, or was lost with a process is
//! overdue one day, and is
//! found by the sweep.

use std::sync::Arc;
use std::time::Duration;

use booking_core::{AppointmentId, UtcMillis};
use futures_util::future::select;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::actor::{Found, Message};
use super::delivery;
use super::meters::Meters;
use super::notices::Notices;
use crate::clock::{Clock, timeout};
use crate::journal::ReadError;
use crate::ledger::reminders::{ReminderKey, ReminderRow, ReminderStatus, ReminderStore};
use crate::ownership::{ShardSet, Territory};
use crate::signal::Signal;

/// How far ahead rows are in memory.
const WINDOW_MILLIS: i64 = 7_200_000;
/// The window is moved on in steps: each is a question that reads a minute's rows.
const WINDOW_STEP_MILLIS: i64 = 60_000;
/// Rows read and told at once: 200 KiB.
const PAGE_ROWS: usize = 1_000;
/// Appointments of one question.
const APPOINTMENTS_PER_QUESTION: usize = 500;
/// Between two looks at which shards are ours, if nobody tells of a change.
const LOOK: Duration = Duration::from_secs(1);
/// Between two sweeps: how late a message is at most that nobody knew of.
const SWEEP_MICROS: u64 = 2_000_000;
/// Pages of one sweep; the next one goes on from there. What waits for a channel that is away for hours is not read
/// every time.
const SWEEP_PAGES: usize = 4;
/// Between two counts of dead letters.
const DEAD_MICROS: u64 = 10_000_000;
/// After a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);
/// See the module.
pub(super) struct Scout {
    pub(super) store: Arc<dyn ReminderStore>,
    pub(super) notices: Arc<Notices>,
    pub(super) territory: Arc<Territory>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) mailbox: mpsc::Sender<Message>,
    pub(super) stop: Arc<Signal>,
    /// Whether whoever claimed rows of a shard that opens is surely dead: this process is alone. Otherwise it may still
    /// be sending, and its claims are
    /// left to lapse.
    pub(super) claimers_are_dead: bool,
    pub(super) meters: Meters,
}

/// Where a reading goes on: behind this instant and key.
type Cursor = (UtcMillis, ReminderKey);

#[derive(Default)]
struct View {
    open: ShardSet,
    /// Everything before is in hand, or was told.
    read_until: Option<UtcMillis>,
    sweep: Option<Cursor>,
    swept_micros: Option<u64>,
    counted_micros: Option<u64>,
}

/// Why a look ended early.
enum Stopped {
    /// The store failed.
    Unread(ReadError),
    /// Nobody listens any more.
    Over,
}

impl From<ReadError> for Stopped {
    fn from(error: ReadError) -> Self {
        Self::Unread(error)
    }
}

impl Scout {
    /// Looks until the engine stops.
    pub(super) async fn run(self) {
        let mut view = View::default();
        let mut is_failing = false;
        while !self.stop.is_given() {
            let pause = match self.look(&mut view).await {
                Ok(()) => {
                    is_failing = false;
                    LOOK
                }
                Err(Stopped::Over) => return,
                Err(Stopped::Unread(error)) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(%error, "reminders cannot be read; trying again");
                    }
                    PAUSE
                }
            };
            let (stop, told) = (std::pin::pin!(self.stop.wait()), std::pin::pin!(self.notices.told()));
            // Whichever it was: look again. After a failure nobody's word makes it sooner.
            match is_failing {
                true => drop(timeout(&*self.clock, pause, stop).await),
                false => {
                    // Whichever it was: look again.
                    let _ = timeout(&*self.clock, pause, select(stop, told)).await;
                }
            }
        }
    }

    async fn look(&self, view: &mut View) -> Result<(), Stopped> {
        let now = self.clock.now();
        self.follow_shards(view, now).await?;
        self.take_notices(view).await?;
        let until = now.plus_millis(WINDOW_MILLIS);
        let read_until = *view.read_until.get_or_insert(until);
        if until.millis_since(read_until) >= WINDOW_STEP_MILLIS {
            self.read(&view.open, Some(just_before(read_until)), until, usize::MAX, false).await?;
            view.read_until = Some(until);
        }
        self.sweep(view, now).await
    }

    /// Tells which shards are ours, and reads those that are new.
    async fn follow_shards(&self, view: &mut View, now: UtcMillis) -> Result<(), Stopped> {
        let open = self.territory.spoken_for();
        if open == view.open {
            return Ok(());
        }
        let new: ShardSet = open.iter().filter(|shard| !view.open.contains(*shard)).collect();
        self.tell(Message::Shards(Box::new(open))).await?;
        // Those that were read before and are ours still stay so, whatever becomes of the reading of the new ones.
        view.open = open.iter().filter(|shard| view.open.contains(*shard)).collect();
        if !new.is_empty() {
            let until = *view.read_until.get_or_insert(now.plus_millis(WINDOW_MILLIS));
            self.read(&new, None, until, usize::MAX, self.claimers_are_dead).await?;
        }
        view.open = open;
        Ok(())
    }

    /// Reads what the applier has told of.
    async fn take_notices(&self, view: &View) -> Result<(), Stopped> {
        let told = self.notices.take();
        let outcome = self.read_told(view, told.is_overflown, &told.appointments).await;
        if let Err(Stopped::Unread(_)) = outcome {
            // They are not read: everything is, next time.
            self.notices.tell_all();
        }
        outcome
    }

    async fn read_told(&self, view: &View, is_overflown: bool, appointments: &[AppointmentId]) -> Result<(), Stopped> {
        let Some(until) = view.read_until else { return Ok(()) };
        if is_overflown {
            return self.read(&view.open, None, until, usize::MAX, false).await.map(drop);
        }
        for some in appointments.chunks(APPOINTMENTS_PER_QUESTION) {
            let rows = self.store.pending_of(some).await?;
            let soon = rows.iter().filter(|row| row.next_at < until);
            self.tell(Message::Found(soon.map(delivery::found).collect())).await?;
        }
        Ok(())
    }

    async fn sweep(&self, view: &mut View, now: UtcMillis) -> Result<(), Stopped> {
        let micros = self.clock.monotonic_micros();
        let is_time = |last: Option<u64>, every| last.is_none_or(|last| micros.saturating_sub(last) >= every);
        if is_time(view.swept_micros, SWEEP_MICROS) {
            view.sweep = self.read(&view.open, view.sweep.take(), now.plus_millis(1), SWEEP_PAGES, false).await?;
            view.swept_micros = Some(micros);
        }
        if is_time(view.counted_micros, DEAD_MICROS) {
            self.meters.dead(self.store.dead_count(&view.open).await?);
            view.counted_micros = Some(micros);
        }
        Ok(())
    }

    /// Tells the rows of `shards` behind `after` and before `until`; where to go on if there are more than `pages`.
    /// `takes_claimed`: rows that somebody
    /// has claimed are looked at now, not when the claim lapses.
    async fn read(
        &self,
        shards: &ShardSet,
        after: Option<Cursor>,
        until: UtcMillis,
        pages: usize,
        takes_claimed: bool,
    ) -> Result<Option<Cursor>, Stopped> {
        let mut cursor = after;
        for _ in 0..pages {
            if shards.is_empty() || self.stop.is_given() {
                return Ok(None);
            }
            let rows = self.store.due(shards, cursor, until, PAGE_ROWS).await?;
            let Some(last) = rows.last() else { return Ok(None) };
            cursor = Some((last.next_at, last.key));
            let is_last = rows.len() < PAGE_ROWS;
            let now = self.clock.now();
            let found = |row: &ReminderRow| match takes_claimed && row.status == ReminderStatus::Sending {
                true => Found { at: now, ..delivery::found(row) },
                false => delivery::found(row),
            };
            self.tell(Message::Found(rows.iter().map(found).collect())).await?;
            if is_last {
                return Ok(None);
            }
        }
        Ok(cursor)
    }

    async fn tell(&self, message: Message) -> Result<(), Stopped> {
        self.mailbox.send(message).await.map_err(|_| Stopped::Over)
    }
}

/// Behind every row before `instant`, and before every row at it.
fn just_before(instant: UtcMillis) -> Cursor {
    let [first, _] = ReminderKey::bounds(AppointmentId(Uuid::nil()));
    (instant, first)
}
