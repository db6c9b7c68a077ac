//! Finds out what became of appends that nobody knows the outcome of (`protocols.md` rule 5).
//! Must not know: who waits for it.
//!
//! Each shard concerned gets a higher generation, which no older append can pass; the same call tells whether the record stands. A shard
//! whose history is over, or that has a newer owner, needs none: no append of ours can pass there any more. What is found to be written
//! goes to the memory of this process, as if its append had returned.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::append::{NO_ANSWER, Sent, function, refusal};
use super::link::Lane;
use super::network::{Answer, ShardCall};
use super::topology::{list, text};
use super::{Appends, Shared, wire};
use crate::journal::AppendError;

/// Whoever calls tries again.
const BARRIER_PATIENCE: Duration = Duration::from_millis(500);

/// See [`crate::journal::Journal::barrier`].
pub(super) async fn barrier(shared: &Shared) -> Result<(), AppendError> {
    let mut appends = shared.appends.lock().await;
    let mut by_shard: BTreeMap<u16, Vec<Sent>> = BTreeMap::new();
    for sent in &appends.unsettled {
        by_shard.entry(sent.append.day.shard()).or_default().push(sent.clone());
    }
    let mut failure = None;
    for (shard, settled) in raise(shared, by_shard).await {
        match settled {
            Ok(()) => forget(&mut appends, shard),
            Err(reason) => failure = Some(reason),
        }
    }
    match failure {
        Some(reason) => Err(AppendError::Unknown(reason)),
        None => {
            appends.unsettled.clear();
            Ok(())
        }
    }
}

/// The same for what servers owe that did not answer; what is not settled yet stays so. Beside appends to other shards: to these
/// nothing is sent meanwhile.
pub(super) async fn settle_stuck(shared: &Shared) {
    let all = shared.stuck.all();
    let known: Vec<u16> = all.keys().copied().collect();
    let open: BTreeSet<u16> =
        raise(shared, all).await.into_iter().filter(|(_, settled)| settled.is_err()).map(|(shard, _)| shard).collect();
    known.into_iter().filter(|shard| !open.contains(shard)).for_each(|shard| shared.stuck.remove(shard));
}

/// Raises the generation of each shard and takes up what stands of `by_shard`. Those that need none are not told of: without its
/// standing under that epoch a shard was installed again since, and its header has a newer epoch.
async fn raise(shared: &Shared, mut by_shard: BTreeMap<u16, Vec<Sent>>) -> Vec<(u16, Result<(), String>)> {
    let epoch_of = |shard| shared.standings.of(shard).map(|standing| standing.epoch);
    for (shard, sent) in &mut by_shard {
        let epoch = epoch_of(*shard);
        sent.retain(|sent| Some(sent.append.epoch) == epoch);
    }
    by_shard.retain(|_, sent| !sent.is_empty());
    let mut calls = Vec::with_capacity(by_shard.len());
    for (shard, sent) in &by_shard {
        let generation = shared.standings.next_generation(*shard);
        calls.extend(call(shared, *shard, generation, sent));
    }
    let answers = shared.network.call(shared.manner(Lane::Control, BARRIER_PATIENCE), &calls).await;
    let settled = by_shard.into_iter().zip(answers).filter_map(|((shard, sent), answer)| {
        let epoch = sent.first()?.append.epoch;
        Some((shard, settle(shared, (shard, epoch), &sent, answer)))
    });
    settled.collect()
}

fn forget(appends: &mut Appends, shard: u16) {
    appends.unsettled.retain(|sent| sent.append.day.shard() != shard);
}

fn call(shared: &Shared, shard: u16, generation: u64, sent: &[Sent]) -> Option<ShardCall> {
    let standing = shared.standings.of(shard)?;
    let logs: Vec<Vec<u8>> = sent.iter().map(|sent| wire::log_key(sent.append.day)).collect();
    let header = wire::shard_key(shard);
    let mut keys = vec![header.as_bytes()];
    keys.extend(logs.iter().map(Vec::as_slice));
    let mut command = function("hotslot_barrier_v1", &keys);
    command.arg(&shared.installation[..]).arg(standing.epoch).arg(&*standing.reign).arg(generation);
    for sent in sent {
        command.arg(&sent.append.day.to_bytes()[..]).arg(&wire::pack_head(sent.end())[..]);
    }
    Some(ShardCall { shard, command })
}

/// Takes the answer of one shard; why it is not settled, in words.
fn settle(shared: &Shared, (shard, epoch): (u16, u32), sent: &[Sent], answer: Answer) -> Result<(), String> {
    let value = match answer {
        Answer::Done(value) => value,
        Answer::Refused(reason) | Answer::Unknown(reason) => return Err(reason),
    };
    match refusal(&value) {
        None => {}
        Some((NO_ANSWER, _)) => return Err("the function answered something else".to_owned()),
        Some(("generation", current)) => {
            shared.standings.saw_generation(shard, current.unwrap_or_default().into());
            return Err("a higher generation stands already".to_owned());
        }
        Some((reason, current)) => {
            shared.standings.lose(shard, epoch, (reason, current));
            return Ok(());
        }
    }
    let found = list(&value).map(|items| &items[1..]).unwrap_or_default();
    let mut own = shared.own.lock();
    for (sent, found) in sent.iter().zip(found) {
        if let Some(position) = text(found).and_then(|digits| digits.parse().ok()) {
            own.push(sent.records(position));
        }
    }
    Ok(())
}
