//! What earlier owners remember of shards that are taken over from a store that may have forgotten it (`protocols.md` D 7): the
//! question to the other nodes, and the answer.
//! Must not know: which store, how a question is carried, what is put back.

use std::sync::Arc;
use std::time::Duration;

use booking_core::{DayKey, DayVersion};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::ShardSet;
use super::peers::{PeerQuestion, Peers, encode_question};
use crate::clock::{Clock, timeout};
use crate::error::EngineError;
use crate::journal::{ChainHash, Journal, StoredRecord};

/// How long a takeover waits for those who may remember (`protocols.md` D 7). Whoever is silent hands in later what only it knows
/// (`crate::lost`).
const PATIENCE: Duration = Duration::from_secs(2);
/// Records of one answer: about a megabyte on the wire.
const PAGE_RECORDS: usize = 1_024;

/// A record as it is carried. Whether it is what it says, its link shows whoever puts it back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Remembered {
    day: DayKey,
    position: u64,
    version: DayVersion,
    hash: [u8; 16],
    body: Vec<u8>,
}

impl From<StoredRecord> for Remembered {
    fn from(record: StoredRecord) -> Self {
        let StoredRecord { day, position, version, hash, body, .. } = record;
        Self { day, position, version, hash: hash.0, body: body.to_vec() }
    }
}

impl From<Remembered> for StoredRecord {
    fn from(told: Remembered) -> Self {
        let Remembered { day, position, version, hash, body } = told;
        Self { day, shard: day.shard(), position, version, hash: ChainHash(hash), body: body.into() }
    }
}

/// The answer of this process: what it remembers of `shards` after `position`, one page of it.
pub(crate) fn page(journal: &dyn Journal, shards: &ShardSet, position: u64) -> Vec<Remembered> {
    journal.memory_of(shards, position, PAGE_RECORDS).into_iter().map(Remembered::from).collect()
}

/// What the nodes at `addresses` remember of `shards`, as far as they tell in time.
pub(crate) async fn ask(
    peers: &Peers,
    clock: &dyn Clock,
    addresses: &[Arc<str>],
    shards: &ShardSet,
) -> Vec<StoredRecord> {
    let told = join_all(addresses.iter().map(|address| ask_one(peers, clock, address, shards))).await;
    told.into_iter().flatten().collect()
}

async fn ask_one(peers: &Peers, clock: &dyn Clock, address: &str, shards: &ShardSet) -> Vec<StoredRecord> {
    let mut told = Vec::new();
    let reason = match timeout(clock, PATIENCE, read_pages(peers, address, shards, &mut told)).await {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(error.to_string()),
        None => Some("not in time".to_owned()),
    };
    let (records, shards) = (told.len(), shards.len());
    match reason {
        None => tracing::info!(
            node = address,
            records,
            shards,
            "a node has told what it remembers of shards that are taken over"
        ),
        Some(error) => tracing::warn!(
            node = address,
            records,
            shards,
            error,
            "a node does not tell what it remembers of shards that are taken over; what nobody else knows it notes when it is back"
        ),
    }
    told
}

async fn read_pages(
    peers: &Peers,
    address: &str,
    shards: &ShardSet,
    told: &mut Vec<StoredRecord>,
) -> Result<(), EngineError> {
    let mut position = 0;
    loop {
        let question = encode_question(&PeerQuestion::Memory { shards: *shards, position })?;
        let page: Vec<Remembered> = peers.ask(address, question).await?;
        let is_last = page.len() < PAGE_RECORDS;
        told.extend(page.into_iter().map(StoredRecord::from));
        match told.last() {
            // Positions rise, or it would be asked for ever.
            Some(last) if !is_last && last.position > position => position = last.position,
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use booking_core::{Date, DoctorId};
    use parking_lot::Mutex;

    use super::*;
    use crate::clock::SystemClock;
    use crate::ownership::PeerTransport;
    use crate::ownership::peers::encode;

    fn record(position: u64) -> StoredRecord {
        let day = DayKey { doctor: DoctorId::from_bytes([7; 16]), date: Date::from_days(20_000).expect("a date") };
        let version = DayVersion { epoch: 3, sequence: position };
        let (hash, body) = (ChainHash([position as u8; 16]), Arc::from([position as u8, 255, 0]));
        StoredRecord { day, shard: day.shard(), position, version, hash, body }
    }

    /// Another node that remembers the records up to `last`, and after `answers` answers is away.
    struct Other {
        last: u64,
        answers: Mutex<usize>,
        /// Has every answer begin with the first record.
        repeats: bool,
    }

    #[async_trait]
    impl PeerTransport for Other {
        async fn ask(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
            let left = self.answers.lock().checked_sub(1).ok_or("away, as told")?;
            *self.answers.lock() = left;
            let Ok(PeerQuestion::Memory { position, .. }) = serde_json::from_slice(&body) else {
                return Err("?".into());
            };
            let first = if self.repeats { 1 } else { position + 1 };
            let page = (first..=self.last).take(PAGE_RECORDS).map(|position| Remembered::from(record(position)));
            Ok(encode(&Ok(page.collect::<Vec<_>>())))
        }
    }

    async fn told(last: u64, answers: usize, repeats: bool) -> Vec<StoredRecord> {
        let other = Other { last, answers: Mutex::new(answers), repeats };
        let clock = Arc::new(SystemClock::start());
        let peers = Peers::new(Arc::new(other), Arc::clone(&clock) as Arc<dyn Clock>);
        ask(&peers, &*clock, &[Arc::from("other:1")], &ShardSet::ALL).await
    }

    #[tokio::test]
    async fn all_pages_are_read_and_each_record_is_what_it_was() {
        let page = PAGE_RECORDS as u64;
        for last in [0, 1, page - 1, page, page + 1, 3 * page] {
            let told = told(last, 9, false).await;
            assert_eq!(told.iter().map(|record| record.position).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
            let is_as_it_was = |(told, was): (&StoredRecord, StoredRecord)| {
                (told.day, told.shard, told.version, told.hash, &told.body)
                    == (was.day, was.shard, was.version, was.hash, &was.body)
            };
            assert!(told.iter().zip((1..).map(record)).all(is_as_it_was));
        }
    }

    #[tokio::test]
    async fn what_was_told_before_a_node_went_away_counts_and_nobody_is_asked_for_ever() {
        assert_eq!(told(5_000, 2, false).await.len(), 2 * PAGE_RECORDS);
        assert!(told(5_000, 0, false).await.is_empty());
        assert_eq!(told(5_000, usize::MAX, true).await.len(), 2 * PAGE_RECORDS, "positions that do not rise end it");
    }
}
