//! Offers a batch to the servers, and makes outcomes of what they answer.
//! Must not know: who waits for the outcomes, how servers are found, what settles an unknown one.

use super::append::{self, Sent, ShardOutcome};
use super::link::Lane;
use super::network::Answer;
use super::{APPEND_PATIENCE, Shared};
use crate::journal::{AppendError, DayAppend, DayOutcome};

/// What the servers made of a batch, all together.
#[derive(Default)]
struct Fate {
    /// Why certainly nothing of a part was written.
    failed: Option<String>,
    /// Why nobody knows of a part.
    unknown: Option<String>,
    /// Whether something was answered as written, or as standing otherwise.
    is_written: bool,
}

impl Fate {
    /// Whether certainly nothing of the batch was written.
    fn is_refusal(&self) -> bool {
        self.failed.is_some() && self.unknown.is_none() && !self.is_written
    }
}

impl Shared {
    /// Offers a batch; the outcomes in its order.
    pub(super) async fn append(&self, batch: &[DayAppend]) -> Result<Vec<DayOutcome>, AppendError> {
        append::require_well_formed(batch).map_err(AppendError::Failed)?;
        let mut outcomes: Vec<DayOutcome> = batch.iter().map(|append| self.stale(append)).collect();
        let mut appends = self.appends.lock().await;
        let mut sent: Vec<(usize, Sent)> = Vec::with_capacity(batch.len());
        let stuck = self.stuck.shards();
        for (index, append) in batch.iter().enumerate() {
            let shard = append.day.shard();
            let epoch = self.epoch_of(shard);
            if epoch == 0 || epoch != append.epoch {
                continue;
            }
            // Before it has said what became of that, its server gets nothing new: everybody would wait for it once more.
            if !stuck.is_empty() && self.network.is_beside(shard, &stuck) {
                outcomes[index] = DayOutcome::Failed;
                continue;
            }
            sent.push((index, Sent { append: append.clone(), first_position: appends.next_position }));
            appends.next_position += append.records.len() as u64;
        }
        if sent.is_empty() {
            return Ok(outcomes);
        }
        let (calls, groups) = append::calls(&self.installation, &sent, |shard| self.standings.of(shard));
        let answers = self.network.call(self.manner(Lane::Append, APPEND_PATIENCE), &calls).await;
        let fate = self.take_answers(&sent, &groups, answers, &mut outcomes);
        let is_leased = self.tenures.is_leased(self.clock.monotonic_micros());
        if self.network.is_cluster() && is_leased && !fate.is_refusal() {
            // Each server for itself: the others' days need not wait until one that is silent is heard again.
            let is_owed = |(index, _): &&(usize, Sent)| outcomes[*index] == DayOutcome::Unsettled;
            self.stuck.add(sent.iter().filter(is_owed).map(|(_, sent)| sent.clone()));
            self.remember(&sent, &outcomes);
            return Ok(outcomes);
        }
        let Fate { mut failed, mut unknown, is_written } = fate;
        if unknown.is_none() && is_written {
            // Part of it was written: then it is not true that nothing was.
            unknown = failed.take();
        }
        if unknown.is_none() && failed.is_none() && !is_leased {
            unknown = Some("the lease ended meanwhile".to_owned());
        }
        if let Some(reason) = unknown {
            appends.unsettled.extend(sent.into_iter().map(|(_, sent)| sent));
            return Err(AppendError::Unknown(reason));
        }
        if let Some(reason) = failed {
            return Err(AppendError::Failed(reason));
        }
        self.remember(&sent, &outcomes);
        Ok(outcomes)
    }

    /// Takes the answers for the shards of `groups`; the outcomes of their entries go where they stand in the batch.
    fn take_answers(
        &self,
        sent: &[(usize, Sent)],
        groups: &[Vec<usize>],
        answers: Vec<Answer>,
        outcomes: &mut [DayOutcome],
    ) -> Fate {
        let mut fate = Fate::default();
        for (group, answer) in groups.iter().zip(answers) {
            let entries: Vec<&Sent> = group.iter().map(|index| &sent[*index].1).collect();
            let mut all = |outcome| group.iter().for_each(|index| outcomes[sent[*index].0] = outcome);
            match append::outcome(answer, &entries) {
                ShardOutcome::Days(days) => {
                    fate.is_written = true;
                    group.iter().zip(days).for_each(|(index, day)| outcomes[sent[*index].0] = day);
                }
                ShardOutcome::Lost { reason, current } => {
                    let append = &entries[0].append;
                    self.standings.lose(append.day.shard(), append.epoch, (&reason, current));
                    all(DayOutcome::StaleEpoch { current: current.unwrap_or(append.epoch) });
                }
                ShardOutcome::Failed(reason) => {
                    all(DayOutcome::Failed);
                    fate.failed = Some(reason);
                }
                ShardOutcome::Unknown(reason) => {
                    all(DayOutcome::Unsettled);
                    fate.unknown = Some(reason);
                }
            }
        }
        fate
    }

    fn stale(&self, append: &DayAppend) -> DayOutcome {
        let shard = append.day.shard();
        DayOutcome::StaleEpoch { current: self.tenures.epoch(shard).max(self.standings.newer_epoch(shard)) }
    }

    /// Keeps what was written until the ledger has it.
    fn remember(&self, sent: &[(usize, Sent)], outcomes: &[DayOutcome]) {
        let mut own = self.own.lock();
        for (index, sent) in sent {
            if let DayOutcome::Appended { position } = outcomes[*index] {
                own.push(sent.records(position));
            }
        }
    }
}
