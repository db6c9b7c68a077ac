//! How a day gets its state: from packed bytes, from the journal, and again from the journal after a failed append or a panic.
//! Must not know: the rules; what a load costs.
//!
//! A dropped state is replaced behind a generation: the old one's queued records are removed and those in flight awaited, then
//! the journal is read. An answer that waited in the gate leaves only if exactly its record is found there (by chain link); every other
//! caller is told 503.

use std::sync::Arc;

use booking_core::{Action, DayVersion, DoctorDay, decode_event, invariant, planted};

use super::day::{Awake, DayActor, Origin, Phase};
use super::directory::AsleepDay;
use super::entry::{DayEntry, Published};
use super::gate::Gate;
use super::intake::Control;
use super::pending_moves::PendingMoves;
use super::ports::DayPorts;
use super::publication;
use super::settlement;
use super::turn::ask_about;
use crate::claims::guard::Lost;
use crate::committer::CommitFailure;
use crate::journal::{Head, LoadedDay, LogKind, ReadError, StoredRecord};
use crate::ledger::overlay::OverlayEntry;
use crate::limits::{PANIC_WINDOW_MILLIS, PANICS_MAX, SLEEP_SNAPSHOT_RECORDS_MIN};
use crate::telemetry::events::EngineEvent;

/// First state of an actor.
pub(super) fn start(actor: &mut DayActor, origin: Origin) {
    actor.ports.metrics.activations.increment(1);
    let asleep = match origin {
        Origin::Asleep(asleep) => asleep,
        Origin::Journal => return reload(actor),
    };
    match DoctorDay::unpack(&asleep.bytes) {
        Ok(mut state) => match adopt_epoch(actor, &mut state) {
            Ok(()) => wake_up(actor, state, asleep.head, asleep.snapshot_sequence),
            Err(_) => reload(actor),
        },
        Err(error) => {
            tracing::error!(%error, "a sleeping day cannot be unpacked; reading it from the journal");
            reload(actor);
        }
    }
}

/// Drops the state and reads it again. What waits in the gate stays there until the load tells what became of it.
pub(super) fn reload(actor: &mut DayActor) {
    let dropped = actor.has_submitted.then_some(actor.generation);
    let next = actor.generation + 1;
    actor.generation = if planted!(GenerationReused) { next } else { actor.ports.committer.new_generation() };
    actor.phase = Phase::Loading;
    actor.load_started_micros = actor.ports.clock.monotonic_micros();
    let (entry, ports, generation) = (Arc::clone(&actor.entry), Arc::clone(&actor.ports), actor.generation);
    let work = async move {
        if let Some(dropped) = dropped {
            ports.committer.fence(entry.day(), dropped).await;
        }
        let result = ports.journal.load(entry.day()).await;
        entry.intake().control(Control::Loaded { generation, result });
    };
    actor.ports.spawn.spawn(Box::pin(work));
}

/// Takes what was read.
pub(super) fn loaded(actor: &mut DayActor, result: Result<Option<LoadedDay>, ReadError>) {
    let loaded = match result {
        Ok(loaded) => loaded,
        Err(error) => return unreadable(actor, &error),
    };
    let Some(loaded) = loaded else {
        let mut state = DoctorDay::default();
        if let Err(error) = adopt_epoch(actor, &mut state) {
            return unreadable(actor, &error);
        }
        drop_gate(actor);
        wake_up(actor, state, Head::default(), 0);
        actor.ports.publications.settled(actor.entry.day(), None);
        return actor.retry_parked();
    };
    let (mut state, overlay) = match rebuild(&actor.entry, &actor.ports, &loaded) {
        Ok(rebuilt) => rebuilt,
        Err(what) => return unreadable(actor, &ReadError::Damaged(what)),
    };
    if let Err(error) = adopt_epoch(actor, &mut state) {
        return unreadable(actor, &error);
    }
    // What is durable and not in the ledger yet must be readable before anybody is told of it; the overlay drops the rest.
    let overlay_port = Arc::clone(&actor.ports.overlay);
    let publication = overlay_port.publication(actor.entry.day());
    overlay_port.publish(overlay);
    let snapshot_sequence = loaded.snapshot.as_ref().map_or(0, |snapshot| snapshot.head.version.sequence);
    actor.dropped.extend(actor.gate.events());
    wake_up(actor, state, loaded.head, snapshot_sequence);
    drop(publication);
    // Before anything is submitted again: what becomes durable of that is not published by this load.
    let last = loaded.tail.last().map(|last| position_here(&actor.ports, last));
    actor.ports.publications.settled(actor.entry.day(), last);
    settle_gate(actor, &loaded.tail);
    actor.retry_parked();
}

/// The state, and the overlay's entries of the tail.
fn rebuild(entry: &DayEntry, ports: &DayPorts, loaded: &LoadedDay) -> Result<(DoctorDay, Vec<OverlayEntry>), String> {
    let mut state = match &loaded.snapshot {
        Some(snapshot) => DoctorDay::unpack(&snapshot.bytes).map_err(|error| {
            format!("snapshot of day {} after record {}: {error}", entry.day(), snapshot.head.version.sequence)
        })?,
        None => DoctorDay::default(),
    };
    let mut overlay = Vec::new();
    let is_enough = planted!(TailIgnored) && loaded.snapshot.is_some();
    for record in loaded.tail.iter().skip(if is_enough { loaded.tail.len() } else { 0 }) {
        let event = decode_event(&record.body)
            .map_err(|error| format!("record {} of day {}: {error}", record.version.sequence, entry.day()))?;
        state.apply(record.version, &event);
        let zone = state.definition().map_or_else(|| Arc::from(""), |definition| Arc::from(&*definition.time_zone));
        overlay.extend(OverlayEntry::of_event(entry.day(), &zone, &event, position_here(ports, record)));
    }
    Ok((state, overlay))
}

/// What `state` decides from now on is written under the epoch that this process was given, and no other: one that was only read may be
/// that of a later owner, of whom this process has not heard yet (`protocols.md` rule 29).
fn adopt_epoch(actor: &DayActor, state: &mut DoctorDay) -> Result<(), ReadError> {
    let (own, read) = (actor.ports.journal.epoch_of(actor.entry.day().shard()), state.version().epoch);
    if planted!(EpochNotAdopted) || state.adopt_epoch(own) {
        return Ok(());
    }
    Err(ReadError::Unavailable(format!("it was written under epoch {read}, and this process has epoch {own} of it")))
}

/// The position of `record` in the log that this process's ledger follows; 0 if an earlier owner has written it: then the ledger got it
/// when
/// the shard was taken over.
fn position_here(ports: &DayPorts, record: &StoredRecord) -> u64 {
    let is_ours = || ports.journal.epoch_of(record.shard) == record.version.epoch;
    if ports.journal.log() == LogKind::Lasting || is_ours() { record.position } else { 0 }
}

/// Lets the answers go whose records have landed; the others are told 503.
fn settle_gate(actor: &mut DayActor, tail: &[StoredRecord]) {
    let landed = actor.gate.last_landed(|record| {
        let is_it = |stored: &StoredRecord| stored.version == record.version && stored.hash == record.hash;
        planted!(AnswersAfterFailedAppend) || tail.iter().rev().any(is_it)
    });
    if let Some(version) = landed {
        let count = actor.gate.take_records(version).len();
        tracing::warn!(records = count, "records of an unknown append are durable after all");
        actor.release_up_to(version);
    }
    actor.gate = Gate::default();
}

/// Throws away what waits in the gate; what it claimed is looked at after the next load.
fn drop_gate(actor: &mut DayActor) {
    let events = actor.gate.clear();
    actor.dropped.extend(events);
}

/// What dropped events claimed is from now on as the state says that was read.
fn settle_claims(actor: &mut DayActor, state: &DoctorDay) {
    let (claims, day) = (&actor.ports.claims, actor.entry.day());
    let dropped = std::mem::take(&mut actor.dropped);
    settlement::settle_dropped(claims, day, state, dropped.iter().map(|event| &**event));
    if std::mem::take(&mut actor.has_panicked) {
        for (patient, appointment) in claims.pending_of(day) {
            settlement::settle_as_read(claims, day, state, patient, appointment);
        }
    }
}

fn wake_up(actor: &mut DayActor, state: DoctorDay, head: Head, snapshot_sequence: u64) {
    crash_point!(DayRead);
    actor.has_submitted = false;
    settle_claims(actor, &state);
    publication::publish_loaded(&actor.ports, &actor.entry, &state, actor.not_before());
    actor.phase = Phase::Awake(Box::new(Awake {
        tip: state.clone(),
        durable: state,
        tip_head: head,
        durable_head: head,
        snapshot_sequence,
        moves: PendingMoves::default(),
    }));
    actor.ask_about_loaded_arrivals();
    let took = actor.ports.clock.monotonic_micros().saturating_sub(actor.load_started_micros);
    actor.ports.metrics.record_activation_micros(took);
}

fn unreadable(actor: &mut DayActor, error: &ReadError) {
    match error {
        ReadError::Unavailable(what) => {
            tracing::warn!(error = %what, "a day could not be read; its callers are refused until it can");
            actor.phase = Phase::Unloaded;
        }
        ReadError::Damaged(what) => {
            tracing::error!(error = %what, "a day is damaged in the journal; it is parked");
            park(actor, "this day's records are damaged");
        }
    }
    // Whoever waits is told 503: nothing was booked, or the same key tells what happened.
    drop_gate(actor);
    drop(actor.parked.take());
}

/// Claims of other days stood in the way: nothing was written, and nobody was told anything. Everything submitted before is durable and
/// has been taken up, and what was submitted after is dropped, so the durable state is the whole truth: every request that waited
/// is decided again on it, in its order, and those whose way is blocked wait until it is known by what.
fn blocked(actor: &mut DayActor, lost: &[Lost]) {
    let Phase::Awake(awake) = &mut actor.phase else { return };
    tracing::debug!(records = lost.len(), "claims of other days stand in the way; the day decides again");
    for blocker in lost.iter().flat_map(|lost| &lost.blockers) {
        if actor.ports.claims.foreign_met(blocker) {
            ask_about(&actor.ports, blocker.clone());
        }
    }
    actor.generation = actor.ports.committer.new_generation();
    awake.tip = awake.durable.clone();
    awake.tip_head = awake.durable_head;
    let now = actor.ports.clock.now();
    let (events, waiting) = actor.gate.take_all();
    for decided in &waiting {
        // Its first decision ended the attempt that it commits.
        if let (Action::CommitMove(leaving), Ok(_)) = (&decided.request.command.action, &decided.result) {
            awake.moves.prepare(leaving.appointment, leaving.move_id, now);
        }
    }
    let (claims, day) = (&actor.ports.claims, actor.entry.day());
    settlement::settle_dropped(claims, day, &awake.durable, events.iter().map(|event| &**event));
    actor.decide(waiting.into_iter().map(|decided| (decided.since, decided.request)), now);
    // Holds that had been recorded as over among what was dropped.
    actor.due();
}

/// An append was not acknowledged.
pub(super) fn append_failed(actor: &mut DayActor, failure: &CommitFailure) {
    if let CommitFailure::Blocked(lost) = failure {
        return blocked(actor, lost);
    }
    tracing::error!(?failure, "an append failed; the day drops its state and reads it again");
    EngineEvent::DayReplays.emit();
    actor.note_failure();
    if matches!(failure, CommitFailure::Poisoned(_)) {
        park(actor, "the journal failed; the process is about to end");
        return;
    }
    reload(actor);
}

impl DayActor {
    /// A turn panicked: whatever it had in hand is gone, and the state cannot be trusted.
    pub fn panicked(&mut self) {
        let now = self.ports.clock.now();
        self.panics.retain(|at| now.millis_since(*at) < PANIC_WINDOW_MILLIS);
        self.panics.push(now);
        self.note_failure();
        self.has_panicked = true;
        if self.panics.len() >= PANICS_MAX {
            EngineEvent::DayPanicsAgain { panics: self.panics.len() }.emit();
            park(self, "this day is out of service after repeated defects");
        } else {
            EngineEvent::DayPanicked.emit();
            reload(self);
        }
    }
}

fn park(actor: &mut DayActor, reason: &str) {
    if !matches!(actor.phase, Phase::Parked(_)) {
        EngineEvent::DayParked.emit();
    }
    actor.generation = actor.ports.committer.new_generation();
    actor.phase = Phase::Parked(Arc::from(reason));
    // Its picture does not follow the journal any more: readers are refused too.
    actor.entry.publish(Published::Loading);
    // Claims stay as they are: what became of them cannot be known before a restart.
    actor.ports.publications.settled(actor.entry.day(), None);
    drop_gate(actor);
    drop(actor.parked.take());
}

/// Another process speaks for the day: nothing that waits here may be answered from this state any more. What the journal has of it,
/// the other has read. The picture stays for readers who are told its age.
pub(super) fn abandon(actor: &mut DayActor) {
    if matches!(actor.phase, Phase::Parked(_)) {
        return;
    }
    actor.generation = actor.ports.committer.new_generation();
    actor.phase = Phase::Parked(Arc::from("another node speaks for this day now"));
    actor.ports.publications.settled(actor.entry.day(), None);
    drop_gate(actor);
    actor.dropped.clear();
    drop(actor.parked.take());
}

/// Hands the day back without keeping anything of it, as soon as nothing is under way; false if something is.
pub(super) fn try_leave(actor: &mut DayActor) -> bool {
    // They hold nothing, and are told to come again: the next owner decides.
    drop(actor.parked.take());
    if !actor.gate.is_empty() || matches!(actor.phase, Phase::Loading) {
        return false;
    }
    actor.ports.retire.retire(&actor.entry, None)
}

/// Packs the day and hands it back to the directory; false if somebody is at the door.
pub(super) fn sleep(ports: &DayPorts, entry: &Arc<DayEntry>, awake: &mut Awake) -> bool {
    if awake.durable_head.version == DayVersion::default() {
        return ports.retire.retire(entry, None);
    }
    check_conservation(ports, awake);
    let written = awake.durable_head.version.sequence.saturating_sub(awake.snapshot_sequence);
    let bytes = if written >= SLEEP_SNAPSHOT_RECORDS_MIN {
        awake.queue_snapshot(ports, entry.day())
    } else {
        awake.durable.pack().into()
    };
    crash_point!(DayBeforeSleep);
    let asleep = AsleepDay { head: awake.durable_head, snapshot_sequence: awake.snapshot_sequence, bytes };
    ports.retire.retire(entry, Some(asleep))
}

pub(super) fn check_conservation(ports: &DayPorts, awake: &Awake) {
    let slots = awake.durable.definition().map_or(0, |definition| definition.slots.len());
    let violation = invariant::check(&awake.durable, ports.clock.now()).err();
    EngineEvent::ConservationChecked { slots, violation: violation.as_deref() }.emit();
}
