//! Small runs in which the process dies before every single step, one step a run: nothing acknowledged is lost, nothing is sold twice, and
//! everything comes to rest, wherever it died.
//! Must not know: which steps matter.

use booking_core::{AppointmentId, DayKey};
use engine::EngineError;
use engine::journal::memory::Fault as AppendFault;
use simulator::network::Network;
use simulator::oracle::{Asked, Reply, Told};
use simulator::scenario::{
    Crash, Scenario, Setting, book, cancel, confirm, hold, keyed, list_of_day, plan, publish, reschedule,
};
use simulator::workload::Plan;

use crate::town::{FIRST, LENGTH, SECOND, double, first, later, one, second, single, two};

/// A client that heard nothing for so long tries again, in microseconds.
const PATIENCE_MICROS: u64 = 1_500_000;
/// How often it tries.
const TRIES: usize = 12;
/// Runs of each kind at most: about a minute of a processor for all of them. Where a run has more steps, every n-th is the last.
const RUNS_MAX: u64 = 700;

/// Asks under a key until there is an answer.
async fn insist(network: &Network, asked: Asked) -> Option<Reply> {
    for _ in 0..TRIES {
        match network.ask_within(PATIENCE_MICROS, &asked).await {
            None | Some(Err(EngineError::Unavailable(_) | EngineError::Overloaded { .. })) => {}
            answered => return answered,
        }
    }
    None
}

/// The same, and where the appointment is.
async fn win(network: &Network, asked: Asked) -> Option<(AppointmentId, DayKey)> {
    match insist(network, asked).await {
        Some(Ok(Told::Appointment(told))) => Some((told.placed.appointment.id, told.placed.day)),
        _ => None,
    }
}

/// Who does what in one run.
type Play = fn(&Scenario);

/// Two devices of one patient, one who cancels, one who waits for the place.
fn bookings(scenario: &Scenario) {
    for device in 0..2 {
        let _ = device;
        scenario.client(|network| async move {
            win(&network, keyed(book(1, one(), None), "a")).await;
        });
    }
    scenario.client(|network| async move {
        if let Some((id, day)) = win(&network, keyed(book(2, one(), None), "b")).await {
            insist(&network, keyed(cancel(2, day, id), "c")).await;
        }
    });
    scenario.client(|network| async move {
        win(&network, keyed(book(3, one(), first(one())), "d")).await;
        win(&network, keyed(book(3, one(), None), "e")).await;
        network.ask_within(PATIENCE_MICROS, &list_of_day(one())).await;
    });
}

/// One hold that is confirmed, one that falls due, two who want the places.
fn holds(scenario: &Scenario) {
    scenario.client(|network| async move {
        if let Some((id, day)) = win(&network, keyed(hold(1, one(), first(one()), 1_000), "a")).await {
            insist(&network, keyed(confirm(1, day, id), "b")).await;
        }
    });
    scenario.client(|network| async move {
        win(&network, keyed(hold(2, one(), second(one()), 1_000), "c")).await;
    });
    for patient in 3..5 {
        scenario.client(|network| async move {
            for number in 0..4 {
                if win(&network, keyed(book(patient, one(), None), &format!("{patient}-{number}"))).await.is_some() {
                    return;
                }
                network.ask_within(PATIENCE_MICROS, &Asked::ReadDay(one())).await;
            }
        });
    }
}

/// One who moves and comes back, one who cancels on the way, one who wants what becomes free.
fn moves(scenario: &Scenario) {
    scenario.client(|network| async move {
        if let Some((id, _)) = win(&network, keyed(book(1, one(), first(one())), "a")).await {
            win(&network, keyed(reschedule(1, id, later(), None), "b")).await;
            win(&network, keyed(reschedule(1, id, one(), None), "c")).await;
        }
    });
    scenario.client(|network| async move {
        if let Some((id, day)) = win(&network, keyed(book(2, one(), second(one())), "d")).await {
            let (there, gone) = (keyed(reschedule(2, id, later(), None), "e"), keyed(cancel(2, day, id), "f"));
            futures_util::future::join(insist(&network, there), insist(&network, gone)).await;
        }
    });
    scenario.client(|network| async move {
        win(&network, keyed(book(3, later(), first(later())), "g")).await;
        win(&network, keyed(book(3, one(), None), "h")).await;
    });
}

/// A day that is amended under bookings, and one patient who wants two doctors at one time.
fn amendments(scenario: &Scenario) {
    scenario.client(|network| async move {
        insist(&network, publish(&plan(one(), &[(FIRST, LENGTH, 2), (SECOND, LENGTH, 1)]), None)).await;
        insist(&network, publish(&plan(one(), &[(FIRST, LENGTH, 2)]), None)).await;
    });
    for day in [one(), two()] {
        scenario.client(|network| async move {
            win(&network, keyed(book(1, day, first(day)), &format!("{}", day.doctor))).await;
        });
    }
    scenario.client(|network| async move {
        if let Some((id, _)) = win(&network, keyed(book(2, two(), None), "a")).await {
            win(&network, keyed(reschedule(2, id, one(), second(one())), "b")).await;
        }
    });
}

/// What happens to appends before the process dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Disk {
    Sound,
    /// Every third append is given up as unknown and lands late; so it does if the process dies before.
    Late,
    /// The same, but what has not landed when the process dies is lost.
    Lost,
}

fn perform(plans: &[Plan], play: Play, disk: Disk, at_step: Option<u64>) -> u64 {
    let setting = Setting { settle_seconds: 3, holds_seconds: 2, ..Setting::of(1, plans.to_vec()) };
    let crash = at_step.map(|at_step| Crash { at_step, late_write_lands: disk == Disk::Late });
    let scenario = Scenario::open_to_die(setting, crash);
    for _ in 0..if disk == Disk::Sound { 0 } else { 8 } {
        scenario.journal().spare_next();
        scenario.journal().spare_next();
        scenario.fail_append(AppendFault::UnknownLate);
    }
    play(&scenario);
    scenario.until_clients_are_gone();
    let steps = scenario.steps();
    let report = scenario.finish();
    assert_eq!(report.outcome.faults.contains_key(&simulator::weather::Fault::Crash), at_step.is_some());
    steps
}

/// Dies before every step of the run, or every n-th, so that there are at most [`RUNS_MAX`] runs.
fn die_everywhere(plans: &[Plan], play: Play) {
    for disk in [Disk::Sound, Disk::Late, Disk::Lost] {
        let steps = perform(plans, play, disk, None);
        assert!(steps > 200, "a run that does something: {steps} steps");
        let stride = steps.div_ceil(RUNS_MAX);
        println!("{disk:?}: {steps} steps, a death before every {stride}.");
        for at_step in (1..=steps).step_by(usize::try_from(stride).unwrap_or(1)) {
            perform(plans, play, disk, Some(at_step));
        }
    }
}

#[test]
fn every_step_of_a_small_run_may_be_the_last_while_people_book() {
    die_everywhere(&[double(one(), 1)], bookings);
}

#[test]
fn every_step_of_a_small_run_may_be_the_last_while_holds_end() {
    die_everywhere(&[double(one(), 1)], holds);
}

#[test]
fn every_step_of_a_small_run_may_be_the_last_while_appointments_move() {
    die_everywhere(&[double(one(), 1), single(later(), 1)], moves);
}

#[test]
fn every_step_of_a_small_run_may_be_the_last_while_a_day_is_amended() {
    die_everywhere(&[double(one(), 1), double(two(), 1)], amendments);
}
