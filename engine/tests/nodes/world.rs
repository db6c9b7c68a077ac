//! Nodes over one journal and one ledger in memory. A request goes to whichever node a test names, and on to the owner, as the gateway
//! would bring it.
//! Must not know: what a test is about.

use std::future::Future;
use std::sync::Arc;

use booking_core::{
    AppointmentId, Booking, Date, DayDefinition, DayKey, DoctorId, Envelope, Fingerprint, PatientId, Release,
    RequestId, RequestKey, Role, SlotDefinition, Status, SubjectId, UtcMillis,
};
use engine::assembly::Assembly;
use engine::claims::Claims;
use engine::clock::Clock;
use engine::committer::Committer;
use engine::ids::SystemIds;
use engine::journal::Journal;
use engine::journal::memory::MemoryJournal;
use engine::ledger::Ledger;
use engine::ledger::applier::Applier;
use engine::ledger::memory::{Fault, MemoryLedger};
use engine::ledger::overlay::Overlay;
use engine::ledger::reminders::Claimer;
use engine::ownership::{Cluster, Node, OwnershipMap, Place, PublishLock, ShardOwner, Tenures, Territory};
use engine::reminders::retry::Backoff;
use engine::reminders::{self, Courier};
use engine::spawn::{Spawn, TokioSpawn};
use engine::telemetry::meters::EngineMeters;
use engine::testing::{Faults, ManualClock, TaskActors};
use engine::view::{
    AppointmentAction, AppointmentAddress, AppointmentQuery, AppointmentReply, AppointmentScope, BookRequest, Caller,
    PlacedAppointment, PublishRequest, RescheduleRequest,
};
use engine::{EngineConfig, EngineError, EngineHandle};
use uuid::Uuid;

use crate::store::NodeJournal;
use crate::wire::Wire;

/// 2030-01-01T00:00:00Z.
pub const START: UtcMillis = UtcMillis(1_893_456_000_000);
pub const HOUR: i64 = 3_600_000;
/// Nodes that a request passes at most after the first.
const HOPS_MAX: usize = 2;

/// One engine.
pub struct Member {
    pub engine: EngineHandle,
    pub journal: Arc<NodeJournal>,
    pub tenures: Arc<Tenures>,
    pub territory: Arc<Territory>,
    applier: Applier,
    claims: Arc<Claims>,
    overlay: Arc<Overlay>,
}

/// See the module.
pub struct World {
    pub members: Vec<Member>,
    pub wire: Arc<Wire>,
    pub clock: Arc<ManualClock>,
    pub journal: MemoryJournal,
    ledger: MemoryLedger,
}

pub fn address(member: usize) -> String {
    format!("node-{member}:1")
}

fn incarnation(member: usize) -> Uuid {
    Uuid::from_u128(member as u128 + 1)
}

impl World {
    /// `count` nodes that share out the shards by remainder.
    pub async fn new(count: usize) -> Self {
        Self::with_lock(count, None).await
    }

    pub async fn with_lock(count: usize, lock: Option<Arc<dyn PublishLock>>) -> Self {
        let (wire, clock) = (Arc::new(Wire::default()), Arc::new(ManualClock::at(START)));
        let (journal, ledger) = (MemoryJournal::default(), MemoryLedger::default());
        let mut world = Self { members: Vec::new(), wire, clock, journal, ledger };
        for number in 0..count {
            let member = world.member(lock.clone()).await;
            world.wire.connect(&address(number), member.engine.clone());
            world.members.push(member);
        }
        world.share_out(|shard| usize::from(shard) % count);
        world
    }

    async fn member(&self, publish_lock: Option<Arc<dyn PublishLock>>) -> Member {
        let journal = Arc::new(NodeJournal::over(self.journal.clone()));
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let (overlay, spawn) = (Arc::new(Overlay::default()), Arc::new(TokioSpawn(tokio::runtime::Handle::current())));
        let ledger = Arc::new(self.ledger.clone());
        let applier = Applier::start(
            Arc::clone(&journal) as Arc<dyn Journal>,
            Arc::clone(&ledger) as Arc<dyn Ledger>,
            Arc::clone(&overlay),
            Arc::clone(&clock),
            500_000,
            &*spawn,
        )
        .await
        .expect("an applier");
        let (claims, tenures) = (Arc::new(Claims::default()), Arc::new(Tenures::none()));
        let territory = Arc::new(Territory::new(Arc::clone(&tenures), Arc::clone(&clock)));
        let transport = Some(Arc::clone(&self.wire) as _);
        let (engine, _ports) = Assembly {
            clock: Arc::clone(&clock),
            ids: Arc::new(SystemIds),
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            ledger: Arc::clone(&ledger) as Arc<dyn Ledger>,
            registry: Arc::clone(&ledger) as _,
            reminders: ledger,
            overlay: Arc::clone(&overlay),
            claims: Arc::clone(&claims),
            applier: applier.clone(),
            committer: Committer::start(Arc::clone(&journal) as Arc<dyn Journal>, clock),
            territory: Arc::clone(&territory),
            cluster: Cluster { transport, publish_lock, feed: None },
            starter: Arc::new(TaskActors),
            spawn,
            meters: Arc::new(EngineMeters::new()),
            faults: Faults::default(),
        }
        .assemble(&EngineConfig::embedded("nowhere".into()));
        Member { engine, journal, tenures, territory, applier, claims, overlay }
    }

    /// Number of records in the journal.
    pub async fn records(&self) -> u64 {
        self.journal.last_position().await.expect("a position")
    }

    /// Gives each shard to the member that `owner` names, and tells everybody.
    pub fn share_out(&self, owner: impl Fn(u16) -> usize) {
        self.share_out_but(owner, usize::MAX);
    }

    /// As [`World::share_out`], but one member does not hear of it.
    pub fn share_out_but(&self, owner: impl Fn(u16) -> usize, deaf: usize) {
        for shard in 0..booking_core::SHARD_COUNT {
            for (number, member) in self.members.iter().enumerate() {
                match (number == owner(shard), member.tenures.is_open(shard)) {
                    (true, false) => {
                        member.tenures.grant(shard, 1);
                        member.tenures.open(shard);
                    }
                    (false, true) => member.tenures.revoke(shard),
                    _ => {}
                }
            }
        }
        let shards = (0..booking_core::SHARD_COUNT).map(|shard| ShardOwner {
            shard,
            epoch: 1,
            owner: Some(incarnation(owner(shard))),
        });
        let map = OwnershipMap { nodes: Vec::new(), shards: shards.collect() };
        let live: Vec<bool> = self.members.iter().map(|member| !member.tenures.owned().is_empty()).collect();
        for (number, member) in self.members.iter().enumerate().filter(|(number, _)| *number != deaf) {
            let nodes = live.iter().enumerate().map(|(other, is_live)| Node {
                incarnation: incarnation(other),
                address: address(other),
                is_live: *is_live,
            });
            member.tenures.extend(u64::MAX);
            member.territory.learn(&OwnershipMap { nodes: nodes.collect(), ..map.clone() }, incarnation(number));
        }
    }

    /// `dead` answers nobody any more and writes nothing; `heir` has all that it had, as after a takeover: the ledger has it.
    pub async fn take_over(&self, dead: usize, heir: usize) {
        self.members[dead].journal.allow(0);
        self.wire.cut(&address(dead));
        let last = self.records().await;
        self.members[heir].applier.advanced(last);
        while self.members[heir].applier.lag_records() > 0 {
            tokio::task::yield_now().await;
        }
        let (shards, next) = (self.members[dead].tenures.owned(), &self.members[heir]);
        engine::claims::restore(&next.claims, &self.ledger, &next.overlay, &shards, self.clock.now())
            .await
            .expect("claims");
        let others: Vec<_> = self.members.iter().map(|member| member.tenures.owned()).collect();
        let owner = |shard: u16| others.iter().position(|owned| owned.contains(shard)).expect("an owner");
        self.share_out(|shard| if shards.contains(shard) { heir } else { owner(shard) });
    }

    /// What the reminders of that member use, with these channels.
    pub fn reminders(&self, number: usize, couriers: Vec<Arc<dyn Courier>>, spawn: Arc<dyn Spawn>) -> reminders::Parts {
        let (member, notices) = (&self.members[number], Arc::new(reminders::Notices::default()));
        member.applier.tell(Arc::clone(&notices));
        reminders::Parts {
            store: Arc::new(self.ledger.clone()),
            couriers,
            alarms: Vec::new(),
            alert_interval: std::time::Duration::from_secs(300),
            check: Arc::new(member.engine.clone()),
            notices,
            territory: Arc::clone(&member.territory),
            claimer: Claimer { incarnation: incarnation(number) },
            is_alone: false,
            backoff: Backoff::default(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            spawn,
        }
    }

    /// Waits until the ledger has everything that every node has recorded.
    pub async fn applied(&self) {
        while self.members.iter().any(|member| member.applier.lag_records() > 0) {
            tokio::task::yield_now().await;
        }
    }

    /// What `member` has recorded is in the ledger alone, whose next answer about appointments was on its way before that: meanwhile the
    /// member loses `shard` and takes it over again.
    pub async fn lose_during_next_read(&self, member: usize, shard: u16) {
        let last = self.records().await;
        self.members[member].applier.advanced(last);
        while self.members[member].applier.lag_records() > 0 {
            tokio::task::yield_now().await;
        }
        let tenures = Arc::clone(&self.members[member].tenures);
        self.ledger.miss_next(move || {
            let epoch = tenures.epoch(shard);
            tenures.revoke(shard);
            tenures.grant(shard, epoch + 1);
            tenures.open(shard);
        });
    }

    /// Whatever is recorded from now on does not get to the ledger.
    pub fn hold_ledger(&self) {
        (0..100_000).for_each(|_| self.ledger.fail_next(Fault::Unavailable));
    }

    /// What `ask` comes to, asked at `first` and from there on wherever it is said to be.
    pub async fn at<T, F>(&self, first: usize, ask: impl Fn(EngineHandle) -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, EngineError>>,
    {
        let mut node = first;
        for _ in 0..=HOPS_MAX {
            let member = &self.members[node];
            match ask(member.engine.clone()).await {
                Err(EngineError::NotHere { shard }) => match member.territory.place_of(shard) {
                    Place::Here => {}
                    Place::There { address: there } => {
                        let is_it = |number: &usize| *address(*number) == *there;
                        node = (0..self.members.len()).find(is_it).expect("a node of this world");
                    }
                    Place::Nowhere => return Err(EngineError::Unavailable("nowhere".to_owned())),
                },
                result => return result,
            }
        }
        Err(EngineError::Unavailable("too many hops".to_owned()))
    }

    pub async fn publish(&self, at: usize, day: DayKey, slots: usize, capacity: u32) -> Result<(), EngineError> {
        let definition = Arc::new(definition(day, slots, capacity));
        let caller = caller(Role::Admin, Uuid::from_u128(1), None);
        let request = PublishRequest { day, definition, precondition: None, caller };
        self.at(at, |engine| {
            let request = request.clone();
            async move { engine.publish_day(request).await.map(|_| ()) }
        })
        .await
    }

    pub async fn book(
        &self,
        at: usize,
        day: DayKey,
        patient: u128,
        hold_millis: Option<i64>,
    ) -> Result<AppointmentReply, EngineError> {
        let request = booking(day, patient, hold_millis);
        self.at(at, |engine| {
            let request = request.clone();
            async move { engine.book(request).await }
        })
        .await
    }

    pub async fn reschedule(
        &self,
        at: usize,
        id: AppointmentId,
        to: DayKey,
        key: Option<&str>,
    ) -> Result<AppointmentReply, EngineError> {
        let caller = caller(Role::Patient, Uuid::from_u128(1_001), key);
        let (doctor, audiences) = (Some(to.doctor), Arc::from([]));
        let request = RescheduleRequest { id, doctor, date: to.date, start: None, audiences, caller };
        self.at(at, |engine| {
            let request = request.clone();
            async move { engine.reschedule(request).await }
        })
        .await
    }

    pub async fn change(
        &self,
        at: usize,
        id: AppointmentId,
        action: AppointmentAction,
        key: Option<&str>,
    ) -> Result<AppointmentReply, EngineError> {
        let caller = caller(Role::Admin, Uuid::from_u128(1), key);
        self.at(at, |engine| {
            let (action, caller) = (action.clone(), caller.clone());
            async move {
                let day = engine.appointment(id).await?.day;
                engine.change(AppointmentAddress { day, id }, action, caller).await
            }
        })
        .await
    }

    pub async fn appointment(&self, at: usize, id: AppointmentId) -> Result<PlacedAppointment, EngineError> {
        self.at(at, |engine| async move { engine.appointment(id).await }).await
    }

    pub async fn listed(
        &self,
        at: usize,
        scope: AppointmentScope,
    ) -> Result<Vec<(AppointmentId, DayKey, Status)>, EngineError> {
        let query = AppointmentQuery {
            scope,
            statuses: Vec::new(),
            from: None,
            to: None,
            after: None,
            limit: 200,
            now: self.clock.now(),
        };
        let ask = |engine: EngineHandle| {
            let query = query.clone();
            async move { engine.appointments(query).await }
        };
        let rows = self.at(at, ask).await?;
        Ok(rows.into_iter().map(|placed| (placed.appointment.id, placed.day, placed.appointment.status)).collect())
    }

    pub async fn remaining(&self, at: usize, day: DayKey) -> Result<u64, EngineError> {
        let view = self.at(at, |engine| async move { engine.day(day).await }).await?;
        Ok(view.snapshot.remaining_in_all_at(view.now))
    }

    /// Lets time pass, and wakes the days whose timers are up.
    pub fn pass_time(&self, millis: i64) {
        self.clock.advance(millis);
        self.members.iter().for_each(|member| member.engine.wake_due(self.clock.now()));
    }
}

/// A day of some doctor whose shard member `owner` of `count` has; another one for each `number`.
pub fn day_of(owner: usize, count: usize, number: u128) -> DayKey {
    let candidates = (0..).map(|salt| DayKey {
        doctor: DoctorId(Uuid::from_u128(1_000 * number + salt)),
        date: Date::from_days(21_915).expect("a date"),
    });
    candidates.into_iter().find(|day| usize::from(day.shard()) % count == owner).expect("one of many")
}

/// `slots` slots of `capacity` places from nine in the morning on, open at once.
pub fn definition(day: DayKey, slots: usize, capacity: u32) -> DayDefinition {
    let midnight = UtcMillis(i64::from(day.date.days()) * 24 * HOUR);
    let slot = |number: usize| {
        let start = midnight.plus_millis(9 * HOUR + number as i64 * 600_000);
        SlotDefinition { start, end: start.plus_millis(600_000), capacity, utc_offset_seconds: 0 }
    };
    let releases = vec![Release { at: UtcMillis(0), places: None, audience: None }];
    DayDefinition::validate("UTC".into(), "".into(), (0..slots).map(slot).collect(), releases).expect("a valid day")
}

pub fn caller(role: Role, subject: Uuid, key: Option<&str>) -> Caller {
    let subject = SubjectId(subject);
    let envelope = Envelope { subject, role, request: RequestId(Uuid::from_u128(9)) };
    let key = key.map(|key| RequestKey { subject, key: key.into(), fingerprint: Fingerprint([7; 16]) });
    Caller { envelope, key }
}

pub fn patient(number: u128) -> PatientId {
    PatientId(Uuid::from_u128(1_000 + number))
}

pub fn booking(day: DayKey, number: u128, hold_millis: Option<i64>) -> BookRequest {
    let appointment = AppointmentId(Uuid::nil());
    let (start, audiences, busy) = (None, Arc::from([]), Vec::new());
    let booking = Booking { appointment, patient: patient(number), start, hold_millis, audiences, busy };
    BookRequest { day, booking, caller: caller(Role::Patient, patient(number).0, None) }
}
