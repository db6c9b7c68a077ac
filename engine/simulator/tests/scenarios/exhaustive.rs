//! Small runs in which the process dies, in each before another step: nothing acknowledged is lost, nothing is sold twice, and everything
//! comes to rest, wherever it died.
//! Must not know: which steps matter.

use engine::journal::memory::Fault as AppendFault;
use simulator::oracle::Asked;
use simulator::scenario::{
    Crash, Scenario, Setting, book, cancel, confirm, hold, keyed, list_of_day, list_of_patient, plan, publish,
    reschedule,
};
use simulator::weather::Fault;
use simulator::workload::Plan;

use crate::town::{FIRST, LENGTH, SECOND, double, first, later, one, second, single, two};

/// A sample, for the time that it takes: every third step, on each of the three disks beginning with another one. Nearly 9,000 runs, which
/// die before every step on every disk, take three times as long (to see them, set this to 1).
const STRIDE: usize = 3;

/// Who does what in one run.
type Play = fn(&Scenario);

/// Two devices of one patient, one who books and cancels again and again, one who wants what becomes free.
fn bookings(scenario: &Scenario) {
    for _ in 0..2 {
        scenario.client(|device| async move {
            for round in 0..4 {
                let won = device.win(keyed(book(1, one(), None), &format!("a{round}"))).await;
                device.pause_millis(900).await;
                if let Some((id, day)) = won {
                    device.insist(keyed(cancel(1, day, id), &format!("b{round}"))).await;
                }
            }
        });
    }
    scenario.client(|device| async move {
        for round in 0..5 {
            if let Some((id, day)) = device.win(keyed(book(2, one(), None), &format!("c{round}"))).await {
                device.pause_millis(300).await;
                device.insist(keyed(cancel(2, day, id), &format!("d{round}"))).await;
            }
            device.pause_millis(700).await;
        }
    });
    scenario.client(|device| async move {
        for round in 0..8 {
            device.win(keyed(book(3, one(), first(one())), &format!("e{round}"))).await;
            device.ask(&list_of_day(one())).await;
            device.pause_millis(600).await;
        }
    });
}

/// Holds that are confirmed, holds that fall due, two who want the places.
fn holds(scenario: &Scenario) {
    scenario.client(|device| async move {
        for round in 0..3 {
            let held = device.win(keyed(hold(1, one(), None, 1_000), &format!("a{round}"))).await;
            device.pause_millis(if round == 1 { 990 } else { 100 }).await;
            if let Some((id, day)) = held {
                device.insist(keyed(confirm(1, day, id), &format!("b{round}"))).await;
                device.insist(keyed(cancel(1, day, id), &format!("c{round}"))).await;
            }
        }
    });
    for patient in 2..5 {
        scenario.client(move |device| async move {
            for round in 0..5 {
                device.win(keyed(hold(patient, one(), None, 1_000), &format!("d{round}"))).await;
                device.ask(&Asked::ReadDay(one())).await;
                device.pause_millis(700 + 150 * patient).await;
            }
        });
    }
}

/// One who moves to and fro, one who cancels on the way, one who wants what becomes free.
fn moves(scenario: &Scenario) {
    scenario.client(|device| async move {
        let Some((id, _)) = device.win(keyed(book(1, one(), first(one())), "a")).await else { return };
        for round in 0..6 {
            let day = if round % 2 == 0 { later() } else { one() };
            device.win(keyed(reschedule(1, id, day, None), &format!("b{round}"))).await;
            device.pause_millis(800).await;
        }
    });
    scenario.client(|device| async move {
        for round in 0..3 {
            if let Some((id, day)) = device.win(keyed(book(2, one(), second(one())), &format!("c{round}"))).await {
                let there = keyed(reschedule(2, id, later(), None), &format!("d{round}"));
                let gone = keyed(cancel(2, day, id), &format!("e{round}"));
                futures_util::future::join(device.insist(there), device.insist(gone)).await;
            }
            device.pause_millis(900).await;
        }
    });
    scenario.client(|device| async move {
        for round in 0..4 {
            device.win(keyed(book(3, later(), first(later())), &format!("f{round}"))).await;
            if let Some((id, day)) = device.win(keyed(book(3, one(), None), &format!("g{round}"))).await {
                device.insist(keyed(cancel(3, day, id), &format!("h{round}"))).await;
            }
            device.ask(&list_of_patient(1)).await;
            device.pause_millis(700).await;
        }
    });
}

/// A day that is amended under bookings, one patient who wants two doctors at one time, one who moves from doctor to doctor.
fn amendments(scenario: &Scenario) {
    scenario.client(|device| async move {
        for round in 0..4_u32 {
            device.insist(publish(&plan(one(), &[(FIRST, LENGTH, 1 + round % 2), (SECOND, LENGTH, 1)]), None)).await;
            device.pause_millis(600).await;
            device.insist(publish(&plan(one(), &[(FIRST, LENGTH, 2)]), None)).await;
            device.pause_millis(600).await;
        }
    });
    for day in [one(), two()] {
        scenario.client(move |device| async move {
            for round in 0..4 {
                let key = format!("{round}-{}", day.doctor);
                if let Some((id, day)) = device.win(keyed(book(1, day, first(day)), &key)).await {
                    device.pause_millis(700).await;
                    device.insist(cancel(1, day, id)).await;
                }
                device.pause_millis(300).await;
            }
        });
    }
    scenario.client(|device| async move {
        let Some((id, _)) = device.win(keyed(book(2, two(), None), "a")).await else { return };
        for round in 0..6 {
            let day = if round % 2 == 0 { one() } else { two() };
            device.win(keyed(reschedule(2, id, day, second(day)), &format!("b{round}"))).await;
            device.pause_millis(700).await;
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
    assert_eq!(report.outcome.faults.contains_key(&Fault::Crash), at_step.is_some());
    steps
}

/// Dies once before every third step of the run, from `first_step` on.
fn die_everywhere(plans: &[Plan], play: Play, disk: Disk, first_step: u64) {
    let steps = perform(plans, play, disk, None);
    assert!(steps > 400, "a run that does something: {steps} steps");
    for at_step in (first_step..=steps).step_by(STRIDE) {
        perform(plans, play, disk, Some(at_step));
    }
}

macro_rules! every_step_of_a_small_run_may_be_the_last {
    ($($name:ident: $play:ident, $plans:expr;)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn on_a_sound_disk() {
                die_everywhere(&$plans, $play, Disk::Sound, 1);
            }

            #[test]
            fn before_a_write_lands_late() {
                die_everywhere(&$plans, $play, Disk::Late, 2);
            }

            #[test]
            fn before_a_write_is_lost() {
                die_everywhere(&$plans, $play, Disk::Lost, 3);
            }
        })*
    };
}

every_step_of_a_small_run_may_be_the_last! {
    while_people_book: bookings, [double(one(), 1)];
    while_holds_end: holds, [double(one(), 1)];
    while_appointments_move: moves, [double(one(), 1), single(later(), 1)];
    while_a_day_is_amended: amendments, [double(one(), 1), double(two(), 1)];
}
