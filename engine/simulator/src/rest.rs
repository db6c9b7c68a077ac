//! The end of a run: the faults have stopped, and what was promised must come true within a bounded time. Everything accepted is
//! answered, every day serves again, the process stops when asked, and the ledger is the fold of the journal.
//! Must not know: how the run went.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::{AppointmentId, DayKey};
use engine::EngineError;
use engine::ledger::Ledger;
use engine::ledger::memory::MemoryLedger;
use futures_util::FutureExt;
use parking_lot::Mutex;

use crate::kernel::OUTSIDE;
use crate::oracle::{Asked, Kind, LedgerRows, Reply, Violation};
use crate::scenario::{book, list_of_day};
use crate::world::{TICK_MICROS, World};

/// How long the end of a run waits for what was begun in it.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Within so many seconds the machine is up and every request of the bad time is answered.
    pub settle_seconds: u64,
    /// Past this nobody holds a place any more.
    pub holds_seconds: u64,
}

impl Patience {
    /// For runs whose seed decides. To settle: the longest that a store may be stuck, the patience of the clients, and their last
    /// tries. For holds: the longest, and what a clock may have been set by.
    pub const RANDOM: Self = Self { settle_seconds: 240, holds_seconds: 200 };
}

/// A request that is open for so long in good times is not going to be answered.
const ANSWER_SECONDS: u64 = 15;
/// Within so many seconds a process ends that is asked to.
const STOP_SECONDS: u64 = 60;

/// One part of the end.
type Phase = fn(&World) -> Result<(), Violation>;

/// See the module.
pub fn come_to_rest(world: &World) {
    let phases: [Phase; 7] = [settle, wait_unasked, probe_days, rest_check, stop, start_again, compare_ledger];
    for phase in phases {
        if world.stage.has_failed() || refuses_to_start(world) {
            return;
        }
        if let Err(violation) = phase(world) {
            return world.stage.fail(violation);
        }
    }
}

fn unmet(kind: Kind, text: impl Into<String>) -> Result<(), Violation> {
    Err(Violation::new(kind, text))
}

/// Over a damaged record that the ledger has not got, no process starts: it says so and leaves it to a person.
fn refuses_to_start(world: &World) -> bool {
    let cursor = world.node.disk().ledger.contents().cursor;
    let last = world.stage.lock().damaged_positions.last().copied();
    world.node.door().is_none() && last.is_some_and(|last| last > cursor)
}

/// Everything accepted is answered.
fn settle(world: &World) -> Result<(), Violation> {
    world.stage.tell("the faults have stopped");
    world.pass_seconds(world.patience.settle_seconds);
    if refuses_to_start(world) {
        world.stage.tell("the process refuses to start, as it should");
        return Ok(());
    }
    if world.node.door().is_none() {
        return unmet(Kind::DoesNotStart, "the process is not ready though nothing is wrong any more");
    }
    let now = world.stage.kernel.now_micros();
    let open = world.network.open_since(now.saturating_sub(ANSWER_SECONDS * TICK_MICROS));
    if open.is_empty() { Ok(()) } else { unmet(Kind::Unanswered, open.join("; ")) }
}

/// What is due is done, though nobody asks for it.
fn wait_unasked(world: &World) -> Result<(), Violation> {
    world.pass_seconds(world.patience.holds_seconds);
    rest_check(world)
}

/// Every day serves: a read, a list and a booking of somebody new are answered, and not with 503.
fn probe_days(world: &World) -> Result<(), Violation> {
    let damaged = world.stage.lock().damaged.clone();
    let days: Vec<DayKey> =
        world.clinic.plans.iter().map(|plan| plan.day).filter(|day| !damaged.contains(day)).collect();
    for (number, day) in days.into_iter().enumerate() {
        must_answer(world, &Asked::ReadDay(day))?;
        must_answer(world, &list_of_day(day))?;
        must_answer(world, &book(1_000 + number as u64, day, None))?;
    }
    Ok(())
}

/// Asks, and waits in virtual time for an answer that is not 503.
fn must_answer(world: &World, asked: &Asked) -> Result<(), Violation> {
    let answer: Arc<Mutex<Option<Reply>>> = Arc::default();
    let (network, wish, told) = (world.network.clone(), asked.clone(), Arc::clone(&answer));
    let work = async move {
        let reply = network.ask(&wish).await;
        *told.lock() = reply;
    };
    world.stage.kernel.spawn(OUTSIDE, Box::pin(work));
    world.pass_seconds_unless(ANSWER_SECONDS, || answer.lock().is_some());
    let what = crate::words::asked(asked);
    match answer.lock().take() {
        None => unmet(Kind::Unanswered, format!("{what} in good times")),
        Some(Err(error @ (EngineError::Unavailable(_) | EngineError::Overloaded { .. }))) => {
            unmet(Kind::UnavailableWithoutCause, format!("{what} in good times: {error}"))
        }
        Some(_) => Ok(()),
    }
}

/// Nothing is left undone. Days with damaged records are out of service, and so are moves from and to them.
fn rest_check(world: &World) -> Result<(), Violation> {
    let shared = world.stage.lock();
    if !shared.damaged.is_empty() {
        return Ok(());
    }
    let now = world.node.now();
    shared.oracle.rest_check(now)
}

/// The process ends when it is asked to.
fn stop(world: &World) -> Result<(), Violation> {
    world.node.stop(|| {});
    world.pass_seconds_unless(STOP_SECONDS, || !world.node.is_on());
    if world.node.is_on() {
        return unmet(Kind::DoesNotStop, "the process was asked to stop and did not, though nothing is wrong");
    }
    Ok(())
}

/// Starts once more, which tries days again that the ledger had refused, and stops.
fn start_again(world: &World) -> Result<(), Violation> {
    world.node.start();
    world.pass_seconds(30);
    if refuses_to_start(world) {
        return Ok(());
    }
    if world.node.door().is_none() {
        return unmet(Kind::DoesNotStart, "the process does not start after a stop");
    }
    stop(world)
}

/// The ledger has everything, and nothing else.
fn compare_ledger(world: &World) -> Result<(), Violation> {
    let ledger = world.node.disk().ledger;
    let rows = rows_of(&ledger);
    let shared = world.stage.lock();
    if !shared.damaged.is_empty() {
        return Ok(());
    }
    let last = shared.oracle.last_position();
    if rows.cursor != last {
        return unmet(Kind::LedgerDiffers, format!("at rest it stands at {}, the journal at {last}", rows.cursor));
    }
    let parked = ledger.contents().parked;
    if !parked.is_empty() {
        return unmet(Kind::LedgerDiffers, format!("at rest it still refuses {parked:?}"));
    }
    shared.oracle.compare_ledger(&rows)
}

fn rows_of(ledger: &MemoryLedger) -> LedgerRows {
    let contents = ledger.contents();
    let placed = contents.appointments.keys().filter_map(|id| ledger.appointment(*id).now_or_never()?.ok()?);
    let appointments = placed.collect();
    let mut histories: BTreeMap<AppointmentId, Vec<_>> = BTreeMap::new();
    for ((id, _), row) in &contents.history {
        histories.entry(*id).or_default().push(row.step.clone());
    }
    LedgerRows { cursor: contents.cursor, appointments, histories }
}
