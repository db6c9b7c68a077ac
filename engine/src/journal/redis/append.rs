//! Appends a batch: one call of the function for each shard, all calls of one server in one pipeline with one WAIT.
//! Must not know: who waits for the outcome, how servers are found.

use std::collections::BTreeMap;
use std::sync::Arc;

use booking_core::UtcMillis;
use foldhash::{HashSet, HashSetExt};
use redis::{Cmd, Value};

use super::network::{Answer, ShardCall};
use super::standing::Standing;
use super::topology::{bytes, list, text};
use super::wire;
use crate::journal::{DayAppend, DayOutcome, Head, StoredRecord};

/// Stands for a reason where a function gave none.
pub(super) const NO_ANSWER: &str = "no answer";

/// An append that was sent: what has to be found out about it if nobody knows.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) append: DayAppend,
    /// Of its first record.
    pub(super) first_position: u64,
}

impl Sent {
    /// Where the log ends if it was written.
    pub(super) fn end(&self) -> Head {
        last_of(&self.append)
    }

    pub(super) fn last_position(&self) -> u64 {
        self.first_position + (self.append.records.len() as u64).saturating_sub(1)
    }

    /// Its records, the last of them at `last_position`.
    pub(super) fn records(&self, last_position: u64) -> impl Iterator<Item = StoredRecord> + '_ {
        let day = self.append.day;
        let first = (last_position + 1).saturating_sub(self.append.records.len() as u64);
        self.append.records.iter().zip(first..).map(move |(record, position)| StoredRecord {
            day,
            shard: day.shard(),
            position,
            version: record.version,
            hash: record.hash,
            body: Arc::clone(&record.body),
        })
    }
}

/// Whether each entry is one that a journal can take.
pub(super) fn require_well_formed(batch: &[DayAppend]) -> Result<(), String> {
    let mut days = HashSet::with_capacity(batch.len());
    for append in batch {
        let mut numbered = append.records.iter().zip(append.expected.version.sequence.saturating_add(1)..);
        let is_gapless = numbered.all(|(record, sequence)| record.version.sequence == sequence);
        let is_of_one_epoch = append.records.iter().all(|record| record.version.epoch == append.epoch);
        if append.records.is_empty() || !is_gapless || !is_of_one_epoch || !days.insert(append.day) {
            return Err(format!("{} cannot be appended so", append.day));
        }
    }
    Ok(())
}

/// Where the log ends after `append`.
fn last_of(append: &DayAppend) -> Head {
    append.records.last().map_or(append.expected, |record| Head { version: record.version, hash: record.hash })
}

/// A command that calls `function`.
pub(super) fn function(name: &str, keys: &[&[u8]]) -> Cmd {
    let mut command = Cmd::new();
    command.arg("FCALL").arg(name).arg(keys.len());
    keys.iter().for_each(|key| {
        command.arg(*key);
    });
    command
}

/// The instant of a day's next work, as the store has it.
pub(super) fn work_text(at: Option<UtcMillis>) -> String {
    at.map_or_else(String::new, |at| at.0.to_string())
}

/// One call for each shard; with each, the indexes of its entries in `sent`.
pub(super) fn calls(
    installation: &[u8],
    sent: &[(usize, Sent)],
    standing: impl Fn(u16) -> Option<Standing>,
) -> (Vec<ShardCall>, Vec<Vec<usize>>) {
    let mut by_shard: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (index, (_, sent)) in sent.iter().enumerate() {
        by_shard.entry(sent.append.day.shard()).or_default().push(index);
    }
    let (mut calls, mut groups) = (Vec::with_capacity(by_shard.len()), Vec::with_capacity(by_shard.len()));
    for (shard, group) in by_shard {
        let Some(standing) = standing(shard) else { continue };
        let entries: Vec<&Sent> = group.iter().map(|index| &sent[*index].1).collect();
        calls.push(ShardCall { shard, command: call(installation, shard, &standing, &entries) });
        groups.push(group);
    }
    (calls, groups)
}

fn call(installation: &[u8], shard: u16, standing: &Standing, entries: &[&Sent]) -> Cmd {
    let (header, order, work) = (wire::shard_key(shard), wire::order_key(shard), wire::work_key(shard));
    let logs: Vec<Vec<u8>> = entries.iter().map(|sent| wire::log_key(sent.append.day)).collect();
    let mut keys: Vec<&[u8]> = vec![header.as_bytes(), order.as_bytes(), work.as_bytes()];
    keys.extend(logs.iter().map(Vec::as_slice));
    let mut command = function("hotslot_append_v1", &keys);
    command.arg(installation).arg(standing.epoch).arg(&*standing.reign).arg(standing.generation).arg(entries.len());
    for sent in entries {
        let append = &sent.append;
        command.arg(&append.day.to_bytes()[..]).arg(&wire::pack_head(append.expected)[..]);
        command.arg(work_text(append.next_work_at)).arg(sent.last_position()).arg(append.records.len());
        for (record, position) in append.records.iter().zip(sent.first_position..) {
            let head = Head { version: record.version, hash: record.hash };
            command.arg(wire::pack_entry(head, position, &record.body));
        }
    }
    command
}

/// What one shard's call came to.
pub(super) enum ShardOutcome {
    /// One for each entry, in order.
    Days(Vec<DayOutcome>),
    /// The shard is not ours in that history: why, and the epoch that the store has if that is why.
    Lost { reason: String, current: Option<u32> },
    /// Certainly nothing was written.
    Failed(String),
    /// Nobody knows.
    Unknown(String),
}

/// What `answer` says about the entries of one shard.
pub(super) fn outcome(answer: Answer, entries: &[&Sent]) -> ShardOutcome {
    let value = match answer {
        Answer::Done(value) => value,
        Answer::Refused(reason) => return ShardOutcome::Failed(reason),
        Answer::Unknown(reason) => return ShardOutcome::Unknown(reason),
    };
    match refusal(&value) {
        Some((NO_ANSWER, _)) => return ShardOutcome::Unknown("the function answered something else".to_owned()),
        Some(("generation", _)) => return ShardOutcome::Failed("a barrier was raised meanwhile".to_owned()),
        Some((reason, current)) => return ShardOutcome::Lost { reason: reason.to_owned(), current },
        None => {}
    }
    let days = list(&value).map(|items| items[1..].iter().zip(entries).map(day_outcome).collect::<Option<Vec<_>>>());
    match days.flatten() {
        Some(days) if days.len() == entries.len() => ShardOutcome::Days(days),
        _ => ShardOutcome::Unknown("the function answered something else".to_owned()),
    }
}

/// Why a function refused the shard, and the number that it named; nothing if it did not.
pub(super) fn refusal(value: &Value) -> Option<(&str, Option<u32>)> {
    let items = list(value).filter(|items| !items.is_empty());
    let Some(items) = items else { return Some((NO_ANSWER, None)) };
    match text(&items[0]) {
        Some("ok") => None,
        Some(reason) => Some((reason, items.get(1).and_then(text).and_then(|number| number.parse().ok()))),
        None => Some((NO_ANSWER, None)),
    }
}

fn day_outcome((reply, sent): (&Value, &&Sent)) -> Option<DayOutcome> {
    let (kind, rest) = bytes(reply)?.split_first()?;
    match kind {
        b'A' => Some(DayOutcome::Appended { position: sent.last_position() }),
        b'P' => Some(DayOutcome::Appended { position: std::str::from_utf8(rest).ok()?.parse().ok()? }),
        b'C' => Some(DayOutcome::Conflict { actual: wire::unpack_head(rest)? }),
        _ => None,
    }
}
