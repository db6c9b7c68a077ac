//! Takes shards over in Redis: the second step of a claim, and the only one where no database keeps the epochs.
//! Must not know: who may claim what, records.

use std::time::Duration;

use async_trait::async_trait;
use booking_core::SHARD_COUNT;
use redis::Value;

use super::append::{function, refusal};
use super::link::Lane;
use super::network::{Answer, Manner, ShardCall};
use super::topology::{command, list, number, text};
use super::{CALL_DEADLINE, RedisJournal, Shared, wire};
use crate::config::StartError;
use crate::journal::AppendError;
use crate::running::Reclaim;

/// A failover of a cluster takes its node timeout and a second or two: who takes over waits for it.
const INSTALL_PATIENCE: Duration = Duration::from_secs(5);

/// See [`crate::journal::Journal::install`]. What was installed under that epoch before is only looked after: by a barrier.
pub(super) async fn install(shared: &Shared, shards: &[(u16, u32)]) -> Result<Vec<(u16, u32)>, AppendError> {
    let call = |(shard, epoch): &(u16, u32)| {
        let key = wire::shard_key(*shard);
        let standing = shared.standings.of(*shard).filter(|standing| !standing.is_lost && standing.epoch == *epoch);
        let mut command =
            function(if standing.is_some() { "hotslot_barrier_v1" } else { "hotslot_install_v1" }, &[key.as_bytes()]);
        command.arg(&shared.installation[..]).arg(*epoch);
        if let Some(standing) = standing {
            command.arg(&*standing.reign).arg(shared.standings.next_generation(*shard));
        }
        ShardCall { shard: *shard, command }
    };
    let calls: Vec<ShardCall> = shards.iter().map(call).collect();
    let answers = shared.network.call(shared.manner(Lane::Control, INSTALL_PATIENCE), &calls).await;
    let (mut ours, mut failure) = (Vec::with_capacity(shards.len()), None);
    for ((shard, epoch), answer) in shards.iter().copied().zip(answers) {
        match answer {
            Answer::Done(value) => match (refusal(&value), list(&value).and_then(|items| text(items.get(1)?))) {
                (None, Some(reign)) => {
                    let whole_in = list(&value).and_then(|items| text(items.get(2)?)).unwrap_or_default();
                    shared.standings.install(shard, epoch, reign, whole_in);
                    ours.push((shard, epoch));
                }
                (None, None) => ours.push((shard, epoch)),
                (Some(("reign" | "missing", _)), _) => {
                    shared.standings.lose(shard, epoch, ("its history is over", None))
                }
                (Some(("epoch", current)), _) => {
                    tracing::warn!(shard, epoch, current, "a newer owner has the shard");
                    shared.standings.lose(shard, epoch, ("epoch", current));
                }
                (Some(("installation", _)), _) => {
                    let reason = format!(
                        "shard {shard} in Redis belongs to another installation: use another Redis, or empty it"
                    );
                    failure = failure.or(Some(AppendError::Failed(reason)));
                }
                (refused, _) => failure = Some(AppendError::Unknown(format!("install: {refused:?}"))),
            },
            Answer::Refused(reason) => failure = failure.or(Some(AppendError::Failed(reason))),
            Answer::Unknown(reason) => failure = Some(AppendError::Unknown(reason)),
        }
    }
    failure.map_or(Ok(ours), Err)
}

impl RedisJournal {
    /// Takes every shard, where this is the only process and no database keeps epochs: each process that does this makes the
    /// one before it stale. The epoch is one above the highest in Redis. Grants everything in the tenures, for ever.
    pub async fn claim_alone(&self) -> Result<u32, StartError> {
        let shared = &*self.shared;
        let refused = |reason: String| StartError::Store(format!("the journal on Redis: {reason}"));
        let highest = highest_epoch(shared).await.map_err(refused)?;
        let epoch = highest.checked_add(1).ok_or_else(|| refused("its epochs have run out".to_owned()))?;
        let all: Vec<(u16, u32)> = (0..SHARD_COUNT).map(|shard| (shard, epoch)).collect();
        let ours = install(shared, &all).await.map_err(|error| refused(error.to_string()))?;
        if ours.len() != all.len() {
            return Err(refused("another process is taking it over: only one may run without a database".to_owned()));
        }
        ours.iter().for_each(|(shard, epoch)| shared.tenures.grant(*shard, *epoch));
        shared.tenures.extend(u64::MAX);
        Ok(epoch)
    }

    /// Takes back what was lost because the servers changed, and not to a newer process. Returns what is ours again, to be
    /// repaired before it is opened.
    pub async fn reclaim_alone(&self, lost: &[u16]) -> Result<Vec<(u16, u32)>, AppendError> {
        let shared = &*self.shared;
        let own = shared.standings.highest_epoch();
        let highest = highest_epoch(shared).await.map_err(AppendError::Failed)?;
        if highest > own {
            return Ok(Vec::new());
        }
        let wanted: Vec<(u16, u32)> = lost.iter().map(|shard| (*shard, own.saturating_add(1))).collect();
        let ours = install(shared, &wanted).await?;
        ours.iter().for_each(|(shard, epoch)| shared.tenures.grant(*shard, *epoch));
        Ok(ours)
    }
}

#[async_trait]
impl Reclaim for RedisJournal {
    async fn reclaim(&self, lost: &[u16]) -> Result<Vec<(u16, u32)>, AppendError> {
        self.reclaim_alone(lost).await
    }
}

/// The highest epoch in any header; 0 if there is none.
async fn highest_epoch(shared: &Shared) -> Result<u32, String> {
    let call = |shard| ShardCall { shard, command: command(&["HGET", &wire::shard_key(shard), "e"]) };
    let calls: Vec<ShardCall> = (0..SHARD_COUNT).map(call).collect();
    let manner = Manner { lane: Lane::Control, replicas: 0, limit: CALL_DEADLINE, patience: INSTALL_PATIENCE };
    let mut highest = 0;
    for answer in shared.network.call(manner, &calls).await {
        match answer {
            Answer::Done(Value::Nil) => {}
            Answer::Done(value) => {
                let epoch = number(&value).and_then(|number| u32::try_from(number).ok());
                highest = highest.max(epoch.ok_or("an epoch in Redis is not a number")?);
            }
            Answer::Refused(reason) | Answer::Unknown(reason) => return Err(reason),
        }
    }
    Ok(highest)
}
