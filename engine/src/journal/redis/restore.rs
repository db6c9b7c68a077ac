//! Puts back what a failover has forgotten, from the ledger's raw records and the memory of owners, before a shard opens.
//! Must not know: how a history is chosen, who claims the shard.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use booking_core::DayKey;

use super::append::{function, refusal};
use super::link::Lane;
use super::network::{Answer, ShardCall};
use super::standing::{Standing, Wholeness};
use super::{APPEND_PATIENCE, RedisJournal, Shared, read, wire};
use crate::journal::repair::{Histories, RawRecords, RepairPlan, head_of, plan};
use crate::journal::{AppendError, Head, LoadedDay, ReadError, StoredRecord};
use crate::ledger::Ledger;
use crate::telemetry::events::EngineEvent;

/// Shards of which the ledger is asked at once.
const SHARDS_AT_ONCE: usize = 64;

/// A ledger whose heads of many shards were read together.
pub(super) struct KnownHeads<'ledger> {
    ledger: &'ledger dyn Ledger,
    heads: BTreeMap<u16, Vec<(DayKey, Head)>>,
}

impl<'ledger> KnownHeads<'ledger> {
    /// Reads those of `shards`, and of what lies between them.
    pub(super) async fn read(ledger: &'ledger dyn Ledger, shards: &[u16]) -> Result<Self, ReadError> {
        let mut heads: BTreeMap<u16, Vec<(DayKey, Head)>> = BTreeMap::new();
        let mut sorted = shards.to_vec();
        sorted.sort_unstable();
        for some in sorted.chunks(SHARDS_AT_ONCE) {
            let (Some(first), Some(last)) = (some.first(), some.last()) else { continue };
            for (day, head) in ledger.raw_heads_between(*first, *last).await? {
                heads.entry(day.shard()).or_default().push((day, head));
            }
        }
        Ok(Self { ledger, heads })
    }
}

#[async_trait]
impl RawRecords for KnownHeads<'_> {
    async fn heads(&self, shard: u16) -> Result<Vec<(DayKey, Head)>, ReadError> {
        Ok(self.heads.get(&shard).cloned().unwrap_or_default())
    }

    async fn records(&self, day: DayKey) -> Result<Vec<StoredRecord>, ReadError> {
        self.ledger.raw_records(day, 0).await
    }

    async fn note_lost(&self, records: &[StoredRecord]) -> Result<u64, ReadError> {
        RawRecords::note_lost(self.ledger, records).await
    }
}

/// What a repair of a shard did.
#[derive(Clone, Debug, Default)]
pub struct Repaired {
    /// Days whose log was changed.
    pub days: Vec<DayKey>,
    /// Records put back.
    pub records: usize,
    /// Records of branches that do not count any more. The ledger has noted them.
    pub lost: Vec<StoredRecord>,
}

impl RedisJournal {
    /// Brings every day of `shard` to its longest known history. To be called after [`crate::journal::Journal::install`] and before
    /// anything of the shard is loaded. `memory`: what a previous owner remembers, if it could be asked; what this process
    /// remembers is taken into account anyway.
    pub async fn repair_shard(
        &self,
        shard: u16,
        ledger: &(impl RawRecords + ?Sized),
        memory: &[StoredRecord],
    ) -> Result<Repaired, AppendError> {
        let shared = &*self.shared;
        let mut remembered: BTreeMap<DayKey, Vec<StoredRecord>> = BTreeMap::new();
        let own = self.remembered(shard);
        for record in memory.iter().filter(|record| record.shard == shard).chain(&own) {
            remembered.entry(record.day).or_default().push(record.clone());
        }
        let ledger_heads: BTreeMap<DayKey, Head> = ledger.heads(shard).await.map_err(unreadable)?.into_iter().collect();
        let days: BTreeSet<DayKey> = ledger_heads.keys().chain(remembered.keys()).copied().collect();
        if days.is_empty() {
            return Ok(Repaired::default());
        }
        let stored_heads = read::heads(shared, shard).await.map_err(unreadable)?;
        let suspects = suspects(shared, &days, &stored_heads, &ledger_heads, &remembered).await.map_err(unreadable)?;
        let mut plans = Vec::new();
        for day in suspects {
            let histories = histories(shared, day, ledger, remembered.remove(&day).unwrap_or_default()).await?;
            plans.push(plan(day, &histories));
        }
        // In the order in which they were once written, so that the order of the shard only grows.
        plans.sort_by_key(|plan| plan.put_back.first().map(StoredRecord::cursor));
        let mut repaired = Repaired::default();
        for plan in plans.into_iter().filter(|plan| !plan.is_nothing()) {
            // Before anything of them goes: a crash from here on forgets none.
            let noted = ledger.note_lost(&plan.lost).await.map_err(unreadable)?;
            restore(shared, shard, &plan).await?;
            tell(shard, &plan, noted > 0);
            repaired.days.push(plan.day);
            repaired.records += plan.put_back.len();
            repaired.lost.extend(plan.lost);
        }
        Ok(repaired)
    }
}

fn unreadable(error: ReadError) -> AppendError {
    AppendError::Failed(format!("a shard cannot be repaired yet: {error}"))
}

/// The days whose log in Redis may not be the longest history: the record in which the ledger or a memory ends does not stand there.
async fn suspects(
    shared: &Shared,
    days: &BTreeSet<DayKey>,
    stored: &BTreeMap<DayKey, Head>,
    ledger: &BTreeMap<DayKey, Head>,
    remembered: &BTreeMap<DayKey, Vec<StoredRecord>>,
) -> Result<Vec<DayKey>, ReadError> {
    let mut suspects = BTreeSet::new();
    let mut questions = Vec::new();
    for day in days {
        let actual = stored.get(day).copied().unwrap_or_default();
        let last_remembered =
            remembered.get(day).and_then(|records| records.iter().max_by_key(|record| record.version));
        for end in ledger.get(day).copied().into_iter().chain(last_remembered.map(head_of)) {
            if end.version.sequence > actual.version.sequence {
                suspects.insert(*day);
            } else if end != actual {
                questions.push((*day, end));
            }
        }
    }
    let wanted: Vec<_> =
        questions.iter().map(|(day, end)| (*day, (end.version.sequence, end.version.sequence))).collect();
    let found: BTreeSet<_> =
        read::slices(shared, &wanted).await?.iter().map(|record| (record.day, record.version, record.hash.0)).collect();
    let is_missing = |(day, end): &&(DayKey, Head)| !found.contains(&(*day, end.version, end.hash.0));
    suspects.extend(questions.iter().filter(is_missing).map(|(day, _)| *day));
    Ok(suspects.into_iter().collect())
}

async fn histories(
    shared: &Shared,
    day: DayKey,
    ledger: &(impl RawRecords + ?Sized),
    memory: Vec<StoredRecord>,
) -> Result<Histories, AppendError> {
    let loaded = read::load(shared, day).await.map_err(unreadable)?;
    let LoadedDay { snapshot, tail, .. } =
        loaded.unwrap_or(LoadedDay { snapshot: None, tail: Vec::new(), head: Head::default() });
    let base = snapshot.map(|snapshot| snapshot.head).unwrap_or_default();
    let ledger = ledger.records(day).await.map_err(unreadable)?;
    Ok(Histories { base, stored: tail, ledger, memory })
}

async fn restore(shared: &Shared, shard: u16, plan: &RepairPlan) -> Result<(), AppendError> {
    let Some(standing) = shared.standings.of(shard).filter(|standing| !standing.is_lost) else {
        return Err(AppendError::Failed(format!("shard {shard} is not installed")));
    };
    let log = wire::log_key(plan.day);
    let names = [wire::shard_key(shard), wire::order_key(shard), wire::work_key(shard), wire::snapshots_key(shard)];
    let mut keys: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    keys.push(&log);
    let mut command = function("hotslot_restore_v1", &keys);
    command.arg(&shared.installation[..]).arg(standing.epoch).arg(&*standing.reign);
    command.arg(&plan.day.to_bytes()[..]).arg(&wire::pack_head(plan.keep)[..]);
    // When the day next has work to do is not in the records: it is woken at once and finds out.
    command.arg("0");
    for record in &plan.put_back {
        command.arg(wire::pack_entry(head_of(record), record.position, &record.body));
    }
    let answers =
        shared.network.call(shared.manner(Lane::Control, APPEND_PATIENCE), &[ShardCall { shard, command }]).await;
    match answers.into_iter().next() {
        Some(Answer::Done(value)) => match refusal(&value) {
            None => Ok(()),
            Some((reason, current)) => {
                if reason != "conflict" {
                    shared.standings.lose(shard, standing.epoch, (reason, current));
                }
                Err(AppendError::Failed(format!("{}: it cannot be put back: {reason}", plan.day)))
            }
        },
        Some(Answer::Refused(reason)) => Err(AppendError::Failed(reason)),
        Some(Answer::Unknown(reason)) => Err(AppendError::Unknown(reason)),
        None => Err(AppendError::Unknown("no answer".to_owned())),
    }
}

/// Notes in the servers that nothing is missing of `shards` any more, for whoever has them next in this history.
pub(super) async fn mark_whole(shared: &Shared, shards: &[u16]) -> Result<(), AppendError> {
    let open = shards.iter().filter_map(|shard| shared.standings.of(*shard).map(|standing| (*shard, standing)));
    let unmarked: Vec<(u16, Standing)> = open.filter(|(_, it)| it.wholeness != Wholeness::Whole).collect();
    let call = |(shard, standing): &(u16, Standing)| {
        let key = wire::shard_key(*shard);
        let mut command = function("hotslot_whole_v1", &[key.as_bytes()]);
        command.arg(&shared.installation[..]).arg(standing.epoch).arg(&*standing.reign);
        ShardCall { shard: *shard, command }
    };
    let calls: Vec<ShardCall> = unmarked.iter().map(call).collect();
    let answers = shared.network.call(shared.manner(Lane::Control, APPEND_PATIENCE), &calls).await;
    let mut failure = None;
    for ((shard, standing), answer) in unmarked.iter().zip(answers) {
        match answer {
            Answer::Done(value) => match refusal(&value) {
                None => shared.standings.is_whole(*shard, standing.epoch),
                Some((reason, current)) => {
                    shared.standings.lose(*shard, standing.epoch, (reason, current));
                    failure = Some(AppendError::Failed(format!("shard {shard} cannot be opened: {reason}")));
                }
            },
            Answer::Refused(reason) => failure = Some(AppendError::Failed(reason)),
            Answer::Unknown(reason) => failure = Some(AppendError::Unknown(reason)),
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Once of each record: an owner finds in its memory what it has found there before, until the ledger has gone past it.
fn tell(shard: u16, plan: &RepairPlan, is_news: bool) {
    let (day, records, sequence) = (plan.day, plan.put_back.len(), plan.head.version.sequence);
    let lost: &[StoredRecord] = if is_news { &plan.lost } else { &[] };
    EngineEvent::JournalRepaired { shard, day, sequence, records, lost }.emit();
}
