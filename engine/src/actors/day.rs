//! The actor of one doctor-day: takes what waits, decides on the tip, submits, and lets answers go when they are durable.
//! Must not know: actix, stores, HTTP. A plain struct: whoever calls `turn` is its thread.

use std::sync::Arc;

use booking_core::{DayKey, DayVersion, DoctorDay, Event, UtcMillis, planted};

use super::entry::DayEntry;
use super::gate::{Gate, UndurableRecord};
use super::intake::Control;
use super::parked::Parked;
use super::pending_moves::PendingMoves;
use super::ports::DayPorts;
use super::publication::{self, DurableEvent};
use super::questions;
use super::recovery;
use super::request::Request;
use super::turn::{Turn, complete_answer};
use crate::claims::guard::RecordClaims;
use crate::committer::{CommitListener, Submission};
use crate::error::EngineError;
use crate::journal::{DayAppend, Head, NewRecord, StoredSnapshot};
use crate::limits::{
    CONSERVATION_LOOK_MICROS, SNAPSHOT_AWAKE_APPOINTMENTS_MAX, SNAPSHOT_RECORDS_MIN, TURN_COMMANDS_MAX,
    UNDURABLE_RECORDS_MAX,
};
use crate::telemetry::stages::Stage as Timed;
use crate::telemetry::trace::{Stage, Trace};

/// Where a day's state comes from when its actor starts.
pub enum Origin {
    /// The journal.
    Journal,
    /// Packed bytes of a day that slept here.
    Asleep(super::directory::AsleepDay),
}

/// What is to happen after a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TurnEnd {
    /// Nothing until somebody wakes the day.
    Rest,
    /// Another turn, after the neighbours had theirs.
    Again,
    /// The actor ends: the day sleeps.
    Stop,
}

/// The state of a day that is ready.
pub(super) struct Awake {
    /// Every decided event applied: decisions are made here.
    pub(super) tip: DoctorDay,
    /// Only what the journal has: everything that leaves is made from here.
    pub(super) durable: DoctorDay,
    /// The end of the chain after the last decided record.
    pub(super) tip_head: Head,
    /// The end of the chain after the last durable record.
    pub(super) durable_head: Head,
    /// Sequence of the last snapshot in the journal.
    pub(super) snapshot_sequence: u64,
    /// Moves out of the day that are prepared.
    pub(super) moves: PendingMoves,
}

impl Awake {
    /// Hands the durable state to the snapshot queue. Losing it costs time only.
    pub(super) fn queue_snapshot(&mut self, ports: &DayPorts, day: DayKey) -> Arc<[u8]> {
        let packed = if planted!(SnapshotOfTip) { &self.tip } else { &self.durable };
        let bytes: Arc<[u8]> = packed.pack().into();
        self.snapshot_sequence = self.durable_head.version.sequence;
        ports.snapshots.push(StoredSnapshot { day, head: self.durable_head, bytes: Arc::clone(&bytes) });
        crash_point!(SnapshotQueued);
        bytes
    }
}

pub(super) enum Phase {
    /// Waiting for a load.
    Loading,
    /// The last load failed; the next command asks again.
    Unloaded,
    Awake(Box<Awake>),
    /// Refuses everything until the process restarts.
    Parked(Arc<str>),
}

/// See the module.
pub struct DayActor {
    pub(super) entry: Arc<DayEntry>,
    pub(super) ports: Arc<DayPorts>,
    pub(super) phase: Phase,
    /// The incarnation of the state: another one whenever the tip is dropped. No other day, and no other life of this one, has it.
    pub(super) generation: u64,
    /// Whether records were submitted since the state was read: those may still be on their way when it is dropped.
    pub(super) has_submitted: bool,
    pub(super) gate: Gate,
    pub(super) parked: Parked,
    /// Events that were decided and then dropped with the state: what they claimed is looked at after the next load.
    pub(super) dropped: Vec<Arc<Event>>,
    /// Whether a turn panicked since the last load: then a claim may be left of which no event tells.
    pub(super) has_panicked: bool,
    pub(super) origin: Option<Origin>,
    /// Whether the day is to go as soon as nothing is under way.
    pub(super) is_leaving: bool,
    pub(super) panics: Vec<UtcMillis>,
    pub(super) load_started_micros: u64,
    /// Before this instant a due hold is not tried again: an append has just failed.
    pub(super) not_before: UtcMillis,
    /// Before this instant nobody is asked again what became of moves on their way in.
    pub(super) ask_not_before: UtcMillis,
    /// When the counts were last checked to add up, on the clock's monotonic scale.
    conservation_checked_micros: u64,
}

/// How long a due hold waits after a failed append before it is tried again.
const FAILURE_PAUSE_MILLIS: i64 = 1_000;

impl DayActor {
    /// An actor that reads its state at its first turn.
    pub fn new(entry: Arc<DayEntry>, ports: Arc<DayPorts>, origin: Origin) -> Self {
        let load_started_micros = ports.clock.monotonic_micros();
        Self {
            entry,
            phase: Phase::Unloaded,
            generation: if planted!(GenerationReused) { 1 } else { ports.committer.new_generation() },
            has_submitted: false,
            gate: Gate::default(),
            parked: Parked::new(ports.metrics.parked_commands.clone()),
            dropped: Vec::new(),
            has_panicked: false,
            origin: Some(origin),
            is_leaving: false,
            panics: Vec::new(),
            load_started_micros,
            not_before: UtcMillis(i64::MIN),
            ask_not_before: UtcMillis(i64::MIN),
            conservation_checked_micros: load_started_micros,
            ports,
        }
    }

    /// Remembers that an append failed or a turn panicked just now.
    pub(super) fn note_failure(&mut self) {
        self.not_before = self.ports.clock.now().plus_millis(FAILURE_PAUSE_MILLIS);
    }

    /// See [`DayActor::note_failure`].
    pub(super) fn not_before(&self) -> UtcMillis {
        self.not_before
    }

    /// One turn: everything the engine has said, then as many commands as fit.
    pub fn turn(&mut self) -> TurnEnd {
        if let Some(origin) = self.origin.take() {
            recovery::start(self, origin);
        }
        let limit = if self.accepts_commands() { TURN_COMMANDS_MAX } else { 0 };
        let (controls, requests) = self.entry.intake().take(limit);
        let mut sleepy = false;
        for control in controls {
            sleepy |= self.control(control);
        }
        if !requests.is_empty() {
            self.commands(requests.into());
        }
        if (self.is_leaving && recovery::try_leave(self)) || (sleepy && self.try_sleep()) {
            return TurnEnd::Stop;
        }
        let is_more = self.entry.intake().finish_turn(self.accepts_commands(), self.expects_word());
        if is_more { TurnEnd::Again } else { TurnEnd::Rest }
    }

    /// Whether the committer has records of this incarnation, so that it will say what became of them.
    fn expects_word(&self) -> bool {
        matches!(self.phase, Phase::Awake(_)) && self.gate.undurable() > 0
    }

    /// Whether waiting commands can be taken now. Not while loading (they wait), and not with too much undecided by the journal.
    fn accepts_commands(&self) -> bool {
        match &self.phase {
            Phase::Loading => false,
            Phase::Unloaded | Phase::Parked(_) => true,
            Phase::Awake(_) => self.gate.undurable() < UNDURABLE_RECORDS_MAX,
        }
    }

    /// Handles word from the engine; true if the day is asked to sleep.
    fn control(&mut self, control: Control) -> bool {
        match control {
            Control::Loaded { generation, result } if generation == self.generation => recovery::loaded(self, result),
            Control::Committed { generation, last, position } if generation == self.generation => {
                self.committed(last, position);
            }
            Control::Failed { generation, failure } if generation == self.generation => {
                recovery::append_failed(self, &failure);
            }
            // Word to an incarnation that was dropped: its load has found, or will find, what became of it. A parked day loads
            // nothing, and shows nothing: the ledger need not wait for it.
            Control::Loaded { .. } | Control::Committed { .. } | Control::Failed { .. } => {
                if matches!(self.phase, Phase::Parked(_)) {
                    self.ports.publications.settled(self.entry.day(), None);
                }
            }
            Control::Due => self.due(),
            Control::Unblocked => self.retry_parked(),
            Control::Ask(question) => questions::answer(self, question),
            Control::GiveUpMove { appointment, move_id } => {
                if let Phase::Awake(awake) = &mut self.phase {
                    awake.moves.end(appointment, move_id);
                }
            }
            Control::Sleep => return true,
            Control::Leave { at_once } => {
                self.is_leaving = true;
                if at_once {
                    recovery::abandon(self);
                }
            }
        }
        false
    }

    fn commands(&mut self, requests: Vec<Request>) {
        match &self.phase {
            Phase::Awake(_) => self.decide_all(requests),
            Phase::Parked(reason) => {
                let refusal = EngineError::Unavailable(reason.to_string());
                for request in requests {
                    request.settle(Err(refusal.clone()));
                }
            }
            // Only `Unloaded` gets here: ask again. These callers wait for that, and hear at once if it fails too.
            Phase::Unloaded | Phase::Loading => {
                recovery::reload(self);
                self.park_all(requests);
            }
        }
    }

    fn decide_all(&mut self, requests: Vec<Request>) {
        let now = self.ports.clock.now();
        let micros = self.ports.clock.monotonic_micros();
        self.ports.metrics.turn_commands.record(requests.len() as f64);
        for request in &requests {
            self.ports.metrics.stages.record(Timed::Queue, micros.saturating_sub(request.queued_micros));
        }
        self.entry.touch(now);
        self.decide(requests.into_iter().map(|request| (now, request)), now);
    }

    /// Has `requests` wait until the day is read.
    fn park_all(&mut self, requests: Vec<Request>) {
        let now = self.ports.clock.now();
        requests.into_iter().for_each(|request| self.parked.push(now, request));
        if let Some(at) = self.parked.next_overdue_at() {
            self.ports.deadlines.arm(self.entry.day(), at);
        }
    }

    /// Decides again what waited for something to be settled.
    pub(super) fn retry_parked(&mut self) {
        if matches!(self.phase, Phase::Awake(_)) && !self.parked.is_empty() {
            let waiting = self.parked.take();
            self.decide(waiting.into_iter(), self.ports.clock.now());
        }
    }

    /// Decides `requests`, each of which waits since the instant beside it.
    pub(super) fn decide(&mut self, requests: impl Iterator<Item = (UtcMillis, Request)>, now: UtcMillis) {
        let Phase::Awake(awake) = &mut self.phase else { return };
        let expected = awake.tip_head;
        let mut turn =
            Turn::new(awake, &mut self.gate, &mut self.parked, &self.entry, &self.ports, self.generation, now);
        requests.for_each(|(since, request)| turn.take(request, since));
        if turn.settled_arrival {
            let waiting = turn.parked.take();
            waiting.into_iter().for_each(|(since, request)| turn.take(request, since));
        }
        let (records, claims, traces) = (turn.records, turn.claims, turn.traces);
        let awaits_arrival = turn.awaits_arrival;
        self.submit(expected, records, claims, traces);
        self.release();
        if awaits_arrival {
            self.ask_about_arrivals(now);
        }
    }

    pub(super) fn submit(
        &mut self,
        expected: Head,
        records: Vec<NewRecord>,
        claims: Vec<RecordClaims>,
        traces: Vec<Trace>,
    ) {
        let Phase::Awake(awake) = &mut self.phase else { return };
        let Some(last) = records.last() else { return };
        let last = last.version;
        let append = DayAppend {
            day: self.entry.day(),
            epoch: last.epoch,
            expected,
            next_work_at: awake.tip.next_work_at().filter(|_| !planted!(OpenWorkNotIndexed)),
            records,
        };
        self.has_submitted = true;
        self.gate.note_submitted(last, self.ports.clock.monotonic_micros());
        let listener = Arc::clone(&self.entry) as Arc<dyn CommitListener>;
        crash_point!(DayBeforeSubmit);
        self.ports.committer.submit(Submission { generation: self.generation, append, claims, traces, listener });
        crash_point!(DaySubmitted);
    }

    fn committed(&mut self, last: DayVersion, position: u64) {
        crash_point!(DayBeforePublish);
        let heard = self.ports.clock.monotonic_micros();
        let stages = &self.ports.metrics.stages;
        for submitted in self.gate.take_submitted(last) {
            stages.record(Timed::Append, heard.saturating_sub(submitted));
        }
        let records = self.gate.take_records(last);
        self.gate.durable_up_to(last, |trace| {
            trace.begin(Stage::Publish);
            self.ports.overlay.awaiting.push(trace, position);
        });
        if planted!(AnswersBeforePicture) {
            self.release_up_to(last);
        }
        self.adopt_durable(&records, position);
        self.ports.publications.published(position);
        let published = self.ports.clock.monotonic_micros();
        crash_point!(DayBeforeReplies);
        self.release();
        crash_point!(DayAfterReplies);
        let told = self.ports.clock.monotonic_micros();
        self.ports.metrics.stages.record(Timed::Publish, published.saturating_sub(heard));
        self.ports.metrics.stages.record(Timed::Reply, told.saturating_sub(published));
        // Streams come last: whoever waits for an answer goes first.
        self.ports.notices.published(self.entry.day());
        self.snapshot_if_due();
        self.check_conservation_if_due(told);
    }

    /// A busy day is looked at now and then; a quiet one when it goes to sleep.
    fn check_conservation_if_due(&mut self, now_micros: u64) {
        let Phase::Awake(awake) = &self.phase else { return };
        if now_micros.saturating_sub(self.conservation_checked_micros) < CONSERVATION_LOOK_MICROS
            || awake.durable.appointments().count() > SNAPSHOT_AWAKE_APPOINTMENTS_MAX
        {
            return;
        }
        self.conservation_checked_micros = now_micros;
        recovery::check_conservation(&self.ports, awake);
    }

    /// Applies records that are durable and publishes them; answers may leave after this.
    fn adopt_durable(&mut self, records: &[UndurableRecord], position: u64) {
        let Phase::Awake(awake) = &mut self.phase else { return };
        let mut events = Vec::with_capacity(records.len());
        for record in records {
            awake.durable.apply(record.version, &record.event);
            awake.durable_head = Head { version: record.version, hash: record.hash };
            events.push(DurableEvent { event: &record.event, sequence: record.version.sequence, position });
        }
        let shown = if planted!(PictureOfTip) { &awake.tip } else { &awake.durable };
        publication::publish(&self.ports, &self.entry, shown, &events);
    }

    /// Lets every answer go that waits for nothing undurable.
    fn release(&mut self) {
        let Phase::Awake(awake) = &self.phase else { return };
        self.release_up_to(awake.durable.version());
    }

    /// Lets every answer go that waits for nothing later than `version`, which is durable and published.
    pub(super) fn release_up_to(&mut self, version: DayVersion) {
        let micros = self.ports.clock.monotonic_micros();
        for (request, result) in self.gate.take_answers(version) {
            self.ports.metrics.stages.record(Timed::Total, micros.saturating_sub(request.queued_micros));
            request.trace.begin(Stage::Reply);
            let result = complete_answer(&self.entry, result);
            request.settle(result);
            crash_point!(ReplyReleased);
        }
    }

    fn snapshot_if_due(&mut self) {
        let Phase::Awake(awake) = &mut self.phase else { return };
        let written = awake.durable_head.version.sequence.saturating_sub(awake.snapshot_sequence);
        let appointments = awake.durable.appointments().count();
        let least = SNAPSHOT_RECORDS_MIN;
        #[cfg(feature = "testing")]
        let least = self.ports.faults.snapshot_records_min.unwrap_or(least);
        if appointments <= SNAPSHOT_AWAKE_APPOINTMENTS_MAX && written >= least.max(appointments as u64) {
            awake.queue_snapshot(&self.ports, self.entry.day());
        }
    }

    /// Goes to sleep if nothing waits, nothing is in flight and nobody is at the door.
    fn try_sleep(&mut self) -> bool {
        if (!self.gate.is_empty() && !planted!(SleepInFlight)) || !self.parked.is_empty() {
            return false;
        }
        let now = self.ports.clock.now();
        match &mut self.phase {
            Phase::Awake(awake) if awake.moves.is_busy(now) => false,
            Phase::Awake(awake) => recovery::sleep(&self.ports, &self.entry, awake),
            // Only this life knows what its dropped events had claimed: it has to read first what became of them.
            Phase::Unloaded if !self.dropped.is_empty() || self.has_panicked => {
                recovery::reload(self);
                false
            }
            Phase::Unloaded => {
                let retired = self.ports.retire.retire(&self.entry, None);
                if retired {
                    // Its picture is gone: whoever asks next has the journal read.
                    self.ports.publications.settled(self.entry.day(), None);
                }
                retired
            }
            Phase::Loading | Phase::Parked(_) => false,
        }
    }
}
