//! Who won against the order of arrival. Pure.
//! Must not know: whether that is anybody's fault: requests overtake each other on the way, so it is no finding.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::run::job::Done;
use crate::run::operation::{Answer, Operation};

/// Winners and losers of the days' places in the order of their intended times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Fairness {
    /// Bookings that won.
    pub(crate) winners: u64,
    /// Bookings that were told that nothing is free.
    pub(crate) losers: u64,
    /// Pairs of a loser who came earlier and a winner who came later, on one day.
    pub(crate) inversions: u64,
    /// Winners who were not among the first so many of their day, where so many won.
    pub(crate) winners_out_of_order: u64,
    /// The latest place in the queue that won, counted from 1.
    pub(crate) last_winning_rank: u64,
}

/// Judges bookings that named no slot, each day by itself.
pub(crate) fn judge(done: &[Done]) -> Fairness {
    let mut days: BTreeMap<u32, Vec<(u64, bool)>> = BTreeMap::new();
    for one in done.iter().filter(|one| one.operation == Operation::Book && one.wanted_start_millis.is_none()) {
        let won = match &one.answer {
            Answer::Served(Some(_)) => true,
            Answer::Refused { code, .. } if code == "sold_out" => false,
            _ => continue,
        };
        days.entry(one.day).or_default().push((one.intended_micros, won));
    }
    let mut fairness = Fairness::default();
    for mut queue in days.into_values() {
        // Who came at the same instant was not overtaken.
        queue.sort_unstable_by_key(|(intended, won)| (*intended, !won));
        let winners = queue.iter().filter(|(_, won)| *won).count() as u64;
        let mut losers = 0;
        for ((_, won), rank) in queue.iter().zip(1..) {
            if !won {
                losers += 1;
                continue;
            }
            fairness.inversions += losers;
            fairness.winners_out_of_order += u64::from(rank > winners);
            fairness.last_winning_rank = fairness.last_winning_rank.max(rank);
        }
        fairness.winners += winners;
        fairness.losers += losers;
    }
    fairness
}
