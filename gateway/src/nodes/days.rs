//! A list of days whose owners are several: each node is asked for its part, and nothing is left out silently.
//! Must not know: how a day is rendered, how nodes are reached.
//!
//! A day that nobody speaks for just now makes the answer 503, as its own `GET` would be: a list without it would say
//! that there is no such day. So does a node that cannot be reached, unless another one speaks for its days within the
//! wait.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::client::Question;
use super::forward::Forwarder;
use super::question::on_wire::PART;
use super::route::WAIT_MILLIS_MAX;
use crate::api::problem::Problem;

/// Between two looks at the map.
const PAUSE_MILLIS: u64 = 50;

/// What one node has of a list.
#[derive(Serialize, Deserialize, Debug, Default)]
pub(crate) struct Part {
    /// Its days, by number of the date, as they are answered.
    pub(crate) items: Vec<(i32, Box<RawValue>)>,
    /// Dates of days that it does not speak for, published or not.
    pub(crate) elsewhere: BTreeSet<i32>,
}

impl Part {
    /// Puts `other` in: days that either speaks for are known now.
    fn merge(&mut self, other: Self) {
        // Looked up at the same store, and later: what the other does not name, it speaks for or knows not to exist.
        self.elsewhere.retain(|date| other.elsewhere.contains(date));
        for (date, item) in other.items {
            // One that has moved meanwhile may come twice.
            if self.items.iter().all(|(known, _)| *known != date) {
                self.items.push((date, item));
            }
        }
        self.items.sort_by_key(|(date, _)| *date);
    }
}

/// Asks the other nodes for what `own` lacks, by `question`, until nothing is missing; a problem if that takes too
/// long. `look_here` is asked again each time, for days that have come here meanwhile.
pub(crate) async fn complete<F, A>(
    forwarder: &Forwarder,
    mut question: Question,
    mut own: Part,
    look_here: F,
) -> Result<Part, Problem>
where
    F: Fn() -> A,
    A: Future<Output = Result<Part, Problem>>,
{
    question.headers.insert(PART, hyper::header::HeaderValue::from_static("1"));
    let mut waited_millis = 0;
    loop {
        let peers = forwarder.nodes().territory.peers();
        let replies = futures_util::future::join_all(peers.iter().map(|peer| forwarder.ask(peer, &question))).await;
        for reply in replies.into_iter().flatten().filter(|reply| reply.status == hyper::StatusCode::OK) {
            let part: Part = serde_json::from_slice(&reply.body)
                .map_err(|error| Problem::internal(format!("a part of a list cannot be read: {error}")))?;
            own.merge(part);
        }
        if own.elsewhere.is_empty() {
            return Ok(own);
        }
        if waited_millis >= WAIT_MILLIS_MAX {
            return Err(Problem::unavailable(format!("nobody speaks for {} of the days", own.elsewhere.len())));
        }
        tokio::time::sleep(Duration::from_millis(PAUSE_MILLIS)).await;
        waited_millis += PAUSE_MILLIS;
        own.merge(look_here().await?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(items: &[i32], elsewhere: &[i32]) -> Part {
        let raw = |date: &i32| (*date, RawValue::from_string(format!("{{\"n\":{date}}}")).expect("JSON"));
        Part { items: items.iter().map(raw).collect(), elsewhere: elsewhere.iter().copied().collect() }
    }

    #[test]
    fn parts_become_one_list_by_date_without_twins_and_say_what_is_missing() {
        let mut own = part(&[3], &[1, 2, 4, 5]);
        own.merge(part(&[1, 3], &[2, 5]));
        let dates: Vec<i32> = own.items.iter().map(|(date, _)| *date).collect();
        assert_eq!((dates, &own.elsewhere), (vec![1, 3], &BTreeSet::from([2, 5])), "4 is not published");
        own.merge(part(&[5], &[1, 2, 3, 4]));
        assert_eq!((own.items.len(), &own.elsewhere), (3, &BTreeSet::from([2])));
        own.merge(part(&[], &[1, 2, 3, 4, 5]));
        assert_eq!(own.elsewhere, BTreeSet::from([2]), "nobody speaks for it");
    }

    #[test]
    fn a_part_travels_unchanged() {
        let text = serde_json::to_string(&part(&[1], &[2])).expect("written");
        let read: Part = serde_json::from_str(&text).expect("read");
        assert_eq!((read.items[0].1.get(), read.elsewhere.len()), ("{\"n\":1}", 1));
    }
}
