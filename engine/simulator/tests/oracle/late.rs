//! The same histories with a slow network: requests are sent before they are decided, replies come after others. Nothing becomes wrong
//! by that, and what is wrong in itself stays so.
//! Must not know: how a history is made.

use std::collections::VecDeque;

use booking_core::UtcMillis;
use simulator::oracle::{Asked, Floor, Oracle, Reply, Told, Violation, Window};

use crate::tour::Tour;
use crate::town::Call;
use crate::wishes::Dice;

/// So many calls a request may be under way before and after it is decided.
const DELAY_MAX: u64 = 12;

/// Tells an oracle all of it, but the replies late.
struct Slow {
    oracle: Oracle,
    now: UtcMillis,
    /// What was certain, and the time, before each of the last calls.
    before: VecDeque<(Floor, UtcMillis)>,
    /// Replies on their way, with the number of the call after which they come.
    on_their_way: Vec<(usize, Asked, Reply, Floor, UtcMillis)>,
}

impl Slow {
    fn play(calls: &[Call], dice: &mut Dice) -> Result<(), Violation> {
        let (oracle, before) = (Oracle::new(), VecDeque::new());
        let mut slow = Self { oracle, now: UtcMillis(0), before, on_their_way: Vec::new() };
        for (number, call) in calls.iter().enumerate() {
            slow.before.push_front((slow.oracle.told(), slow.now));
            slow.before.truncate(DELAY_MAX as usize);
            match call {
                Call::Record(record, now) => {
                    slow.now = *now;
                    slow.oracle.recorded(record, 0, *now)?;
                }
                Call::Judge(case) => slow.send(number, &case.0, &case.1, &case.2, dice),
                Call::End(ledger, now) => {
                    slow.deliver(usize::MAX)?;
                    slow.oracle.compare_ledger(ledger)?;
                    slow.oracle.rest_check(*now)?;
                }
            }
            slow.deliver(number)?;
        }
        Ok(())
    }

    fn send(&mut self, number: usize, asked: &Asked, reply: &Reply, exact: &Window, dice: &mut Dice) {
        self.now = exact.to_now;
        let early = &self.before[dice.below(self.before.len() as u64) as usize];
        // A move may have been under way longer than that already, and what was told since may not be in it.
        let began_before = exact.from_now < early.1 || matches!(asked, Asked::Reschedule(_));
        let (from, from_now) = if began_before { (exact.from.clone(), exact.from_now) } else { early.clone() };
        let comes = number + dice.below(DELAY_MAX) as usize;
        self.on_their_way.push((comes, asked.clone(), reply.clone(), from, from_now));
    }

    fn deliver(&mut self, number: usize) -> Result<(), Violation> {
        let mut waiting = Vec::new();
        for (comes, asked, reply, from, from_now) in std::mem::take(&mut self.on_their_way) {
            if comes > number {
                waiting.push((comes, asked, reply, from, from_now));
                continue;
            }
            let window = Window { from, to_position: self.oracle.last_position(), from_now, to_now: self.now };
            self.oracle.judge(&asked, &reply, &window)?;
        }
        self.on_their_way = waiting;
        Ok(())
    }
}

#[test]
fn late_replies_are_no_violation() {
    for seed in 0..1_200 {
        let calls = Tour::of(seed, 90);
        if let Err(violation) = Slow::play(&calls, &mut Dice(seed ^ 0x1a7e)) {
            panic!("seed {seed}: {violation}");
        }
    }
}

#[test]
fn a_row_that_never_was_is_found_however_late() {
    let mut spoilt = 0;
    for seed in 0..300 {
        let mut calls = Tour::of(seed, 90);
        let mut dice = Dice(seed);
        let told: Vec<&mut Box<(Asked, Reply, Window)>> = calls
            .iter_mut()
            .filter_map(|call| match call {
                Call::Judge(case) if matches!(case.1, Ok(Told::Appointment(_))) => Some(case),
                _ => None,
            })
            .collect();
        let count = told.len() as u64;
        let Some(case) = told.into_iter().nth(dice.below(count.max(1)) as usize) else { continue };
        let Ok(Told::Appointment(reply)) = &mut case.1 else { continue };
        reply.placed.appointment.version += 1;
        assert!(Slow::play(&calls, &mut dice).is_err(), "seed {seed}");
        spoilt += 1;
    }
    assert!(spoilt > 200, "{spoilt} were spoilt");
}
