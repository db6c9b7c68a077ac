//! The engine's one door: everything the gateway may ask.
//! Must not know: HTTP, JSON, tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use booking_core::{Action, Command, Date, DayKey, DoctorId, Home, PersonalText, Rejection, Role, UtcMillis};

use self::submit::LOOKUPS_MAX;
use crate::actors::admission::{Admission, Lane};
use crate::actors::deadlines::Deadlines;
use crate::actors::directory::Directory;
use crate::actors::entry::{DayEntry, Published};
use crate::actors::notices::{DayNotices, DayWatch};
use crate::actors::request::CommandReply;
use crate::actors::snapshots::SnapshotQueue;
use crate::claims::Claims;
use crate::clock::Clock;
use crate::committer::Committer;
use crate::error::EngineError;
use crate::ids::Ids;
use crate::journal::{Journal, ReadError};
use crate::ledger::applier::Applier;
use crate::ledger::reader::Reader;
use crate::ledger::registry::Registry;
use crate::ledger::reminders::ReminderStore;
use crate::ownership::peers::Peers;
use crate::ownership::{PublishLock, Territory};
use crate::reminders::plan::Planner;
use crate::spawn::Spawn;
use crate::telemetry::meters::EngineMeters;
use crate::view::{
    AppointmentAction, AppointmentAddress, AppointmentReply, BookRequest, Caller, DayReply, DayView, DaysReply,
    PlacedAppointment, PublishRequest, Readiness,
};

mod appointments;
mod asking;
pub mod figures;
pub(crate) mod moves;
pub(crate) mod promises;
pub(crate) mod publish;
mod reminders;
mod reschedule;
mod stale;
mod standing;
mod submit;

/// How often an appointment is looked for again because it moved, or changed, just then. Each needs another request for the same
/// appointment to win in between.
const HOPS_MAX: usize = 16;

/// The engine as the gateway sees it. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    pub(crate) parts: Arc<Parts>,
}

/// What the door leads to.
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) reminders: Arc<dyn ReminderStore>,
    pub(crate) planner: Planner,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) reader: Reader,
    pub(crate) applier: Applier,
    /// Asked only if its stores answer.
    pub(crate) committer: Committer,
    pub(crate) directory: Arc<Directory>,
    pub(crate) notices: Arc<DayNotices>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) deadlines: Arc<Deadlines>,
    /// Asked only how many wait.
    pub(crate) snapshots: Arc<SnapshotQueue>,
    pub(crate) spawn: Arc<dyn Spawn>,
    pub(crate) moving: moves::MovingAppointments,
    pub(crate) admission: Arc<Admission>,
    pub(crate) meters: Arc<EngineMeters>,
    pub(crate) publish_lanes: publish::PublishLanes,
    pub(crate) territory: Arc<Territory>,
    /// `None` in a process alone.
    pub(crate) peers: Option<Peers>,
    pub(crate) publish_lock: Option<Arc<dyn PublishLock>>,
    /// Told when shards have opened whose repair may have found lost records.
    pub(crate) lost_found: tokio::sync::Notify,
    pub(crate) ledger_lag_max: u64,
    pub(crate) awake_days_max: usize,
    pub(crate) poisoned: AtomicBool,
    pub(crate) stopping: AtomicBool,
}

impl EngineHandle {
    /// The engine's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// The engine's source of ids.
    pub fn ids(&self) -> &Arc<dyn Ids> {
        &self.parts.ids
    }

    /// Doctors and other ordinary rows.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.parts.registry
    }

    /// Books or holds a place. The answer leaves after it is durable.
    pub async fn book(&self, request: BookRequest) -> Result<AppointmentReply, EngineError> {
        let BookRequest { day, booking, caller } = request;
        let command = Command { envelope: caller.envelope, key: caller.key, action: Action::Book(booking) };
        let result = self.submit(day, command, Lane::Sheddable).await;
        let outcome = result.and_then(appointment_reply);
        // Who speaks for the day counts it.
        if !matches!(outcome, Err(EngineError::NotHere { .. })) {
            self.parts.meters.count_booking(outcome.as_ref().map(|reply| reply.replayed));
        }
        outcome
    }

    /// Changes one appointment. Never shed.
    pub async fn change(
        &self,
        address: AppointmentAddress,
        action: AppointmentAction,
        caller: Caller,
    ) -> Result<AppointmentReply, EngineError> {
        let appointment = address.id;
        let action = match action {
            AppointmentAction::Confirm => Action::Confirm { appointment },
            AppointmentAction::Cancel { reason } => Action::Cancel { appointment, reason },
            AppointmentAction::NoShow => Action::NoShow { appointment },
        };
        let command = Command { envelope: caller.envelope, key: caller.key, action };
        let mut day = address.day;
        for _ in 0..HOPS_MAX {
            if let Some(result) = self.replay_wherever(command.key.as_ref(), Some(day)).await {
                return result.and_then(appointment_reply);
            }
            if let Some(result) = self.replay_of_moved(command.key.as_ref(), day, appointment).await {
                return result.and_then(appointment_reply);
            }
            match self.submit(day, command.clone(), Lane::Protected).await {
                // A doctor's right ends with its own days: it has to ask again.
                Err(EngineError::Rejected(Rejection::MovedAway { to }))
                    if command.envelope.role != Role::Doctor || to.doctor == day.doctor =>
                {
                    day = to;
                }
                result => return result.and_then(appointment_reply),
            }
        }
        Err(EngineError::Unavailable("the appointment was moved again and again".to_owned()))
    }

    /// Creates or replaces a day; `OverlapsOtherDay` if its slots overlap those of another day of the doctor.
    pub async fn publish_day(&self, request: PublishRequest) -> Result<DayReply, EngineError> {
        self.parts.publish_lanes.publish(request).await
    }

    async fn publish_alone(&self, request: PublishRequest) -> Result<DayReply, EngineError> {
        let PublishRequest { day, definition, precondition, caller } = request;
        let action = Action::Publish { definition, precondition };
        let command = Command { envelope: caller.envelope, key: caller.key, action };
        day_reply(day, self.submit(day, command, Lane::Protected).await?)
    }

    /// Closes a day.
    pub async fn close_day(
        &self,
        day: DayKey,
        reason: Option<PersonalText>,
        caller: Caller,
    ) -> Result<DayReply, EngineError> {
        let command = Command { envelope: caller.envelope, key: caller.key, action: Action::Close { reason } };
        let closed = self.submit(day, command, Lane::Protected).await?;
        crash_point!(CloseBeforeReply);
        day_reply(day, closed)
    }

    /// A published day; `UnknownDay` if there is none. Holds that are due have been recorded as expired before.
    pub async fn day(&self, day: DayKey) -> Result<DayView, EngineError> {
        for _ in 0..LOOKUPS_MAX {
            let now = self.parts.clock.now();
            if let Some(view) = picture(self.entry(day, now)?.as_ref(), now) {
                // Looked at last: what was published is old as soon as another node speaks for the day (`protocols.md` rule 9).
                return self.parts.territory.require(day).and(view);
            }
            // Still loading, or a hold is due: the day itself must speak first. It may be asleep again before anybody listens.
            self.expire(day).await?;
        }
        Err(EngineError::Unavailable("the day went to sleep again and again".to_owned()))
    }

    /// Has everybody who watches a day of `shard` look again: it is spoken for elsewhere from now on, as [`EngineHandle::day`] says.
    pub fn shard_left(&self, shard: u16) {
        self.parts.notices.shard_left(shard);
    }

    /// Watches the picture of `day`, also while it sleeps. Ready too when the day is no longer here. What changes by time alone is not
    /// told: see
    /// `DaySnapshot::next_change_after` and `next_hold_expiry`.
    pub fn watch(&self, day: DayKey) -> DayWatch {
        self.parts.notices.watch(day)
    }

    /// The published days of a doctor with `from <= date <= to`, by date: those that are here, and which others there may be.
    pub async fn days(&self, doctor: DoctorId, from: Date, to: Date) -> Result<DaysReply, EngineError> {
        let keys = self.parts.journal.days_of(doctor, from, to).await.map_err(unreadable)?;
        let mut reply = DaysReply { views: Vec::with_capacity(keys.len()), elsewhere: Vec::new() };
        for key in keys {
            match self.day(key).await {
                Ok(view) => reply.views.push(view),
                Err(EngineError::Rejected(Rejection::UnknownDay)) => {}
                Err(EngineError::NotHere { .. }) => reply.elsewhere.push(key),
                Err(error) => return Err(error),
            }
        }
        Ok(reply)
    }

    /// Has `day` record the holds that are due, and waits until that is durable and published.
    async fn expire(&self, day: DayKey) -> Result<(), EngineError> {
        self.submit(day, Command::expire(), Lane::Protected).await.map(|_| ())
    }

    /// [`EngineHandle::expire`], also of holds that are on their way in: they are told as being there already.
    async fn expire_for_certain(&self, day: DayKey) -> Result<(), EngineError> {
        self.expire(day).await?;
        if self.settle_arrivals(day).await.is_ok_and(|arrivals| arrivals.open > 0) {
            self.expire(day).await?;
        }
        Ok(())
    }

    /// The entry of `day`, if this process speaks for it.
    pub(crate) fn entry(&self, day: DayKey, now: UtcMillis) -> Result<Arc<DayEntry>, EngineError> {
        self.parts.territory.require(day)?;
        Ok(self.parts.directory.entry(day, now))
    }

    /// What this process speaks for.
    pub fn territory(&self) -> &Arc<Territory> {
        &self.parts.territory
    }

    /// Number of days in memory with an actor.
    pub fn days_awake(&self) -> usize {
        self.parts.directory.awake()
    }

    /// Has every day take a turn whose timer is up at `now`.
    pub fn wake_due(&self, now: UtcMillis) {
        for day in self.parts.deadlines.take_due(now) {
            if self.parts.territory.is_here(day) {
                self.parts.directory.due(day, now);
            }
        }
    }

    /// Asks days to sleep that were idle for `idle_millis` at `now`, and the longest idle ones beyond `awake_max`.
    pub fn sweep(&self, now: UtcMillis, idle_millis: i64, awake_max: usize) {
        self.parts.directory.sweep(now, idle_millis, awake_max);
    }

    /// Whether bookings can be taken.
    pub fn readiness(&self) -> Readiness {
        let parts = &self.parts;
        let not_ready = |part, detail: String| Readiness::NotReady { part, detail };
        if parts.stopping.load(Ordering::Acquire) {
            return not_ready("stopping", "the process is shutting down".to_owned());
        }
        if parts.poisoned.load(Ordering::Acquire) {
            return not_ready("journal", "the journal failed; the process is about to end".to_owned());
        }
        if !parts.clock.is_steady() {
            return not_ready("clock", "the wall clock was stepped by more than a second".to_owned());
        }
        if !parts.territory.tenures().is_leased_by(|| parts.clock.monotonic_micros()) {
            return not_ready("ownership", "the lease of this node has ended".to_owned());
        }
        if !parts.territory.can_answer() {
            return not_ready("ownership", "this node is still taking its days over".to_owned());
        }
        if let Some((part, detail)) = parts.committer.trouble(parts.clock.monotonic_micros()) {
            return not_ready(part, detail.to_owned());
        }
        let lag = parts.applier.lag_records();
        if lag > parts.ledger_lag_max {
            return not_ready("ledger_lag", format!("the ledger is {lag} records behind"));
        }
        Readiness::Ready
    }
}

/// The published picture, if it may be told at `now`.
fn picture(entry: &DayEntry, now: UtcMillis) -> Option<Result<DayView, EngineError>> {
    entry.touch(now);
    entry.activity().shown();
    match &**entry.published_guard() {
        Published::Present { snapshot, .. } if !snapshot.has_due_hold(now) => {
            Some(Ok(DayView { day: entry.day(), snapshot: Arc::clone(snapshot), now }))
        }
        Published::Absent => Some(Err(Rejection::UnknownDay.into())),
        Published::Present { .. } | Published::Loading => None,
    }
}

fn appointment_reply(reply: CommandReply) -> Result<AppointmentReply, EngineError> {
    match reply {
        CommandReply::Appointment { appointment, home: Some(Home { day, time_zone }), replayed, at } => {
            Ok(AppointmentReply { placed: PlacedAppointment { day, time_zone, appointment }, replayed, now: at })
        }
        other => Err(EngineError::Internal(format!("an appointment's command was answered with {other:?}"))),
    }
}

fn day_reply(day: DayKey, reply: CommandReply) -> Result<DayReply, EngineError> {
    match reply {
        CommandReply::Day { snapshot, version, created, replayed, at } => {
            Ok(DayReply { view: DayView { day, snapshot, now: at }, version, created, replayed })
        }
        other => Err(EngineError::Internal(format!("a day's command was answered with {other:?}"))),
    }
}

fn unreadable(error: ReadError) -> EngineError {
    match error {
        ReadError::Unavailable(what) => EngineError::Unavailable(what),
        ReadError::Damaged(what) => {
            tracing::error!(error = %what, "a store is damaged");
            EngineError::Internal(what)
        }
    }
}
