//! What an audit reads of the journal on Redis: shard by shard and day by day, whoever writes meanwhile.
//! Must not know: what is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{DayKey, SHARD_COUNT, UtcMillis};
use redis::Value;

use super::append::function;
use super::network::ShardCall;
use super::topology::{bytes, command, list, number};
use super::wire::{self, HEAD_BYTES};
use super::{RedisJournal, RedisSettings, Shared, read};
use crate::clock::Clock;
use crate::config::StartError;
use crate::journal::{Journal, ReadError, StoredRecord};
use crate::ownership::Tenures;
use crate::verify::finding::Findings;
use crate::verify::source::{Beside, Block, Bounds, Checked, HeadRow, JournalSource, NamedDays, NextWork};

/// Shards that are asked at once.
const SHARDS_AT_ONCE: usize = 64;

/// The journal, as nobody's: nothing is written to it.
pub(crate) struct RedisBooks {
    journal: RedisJournal,
    epochs: BTreeMap<u16, u32>,
    days: Vec<DayKey>,
    malformed: Vec<String>,
    /// Of the day that was opened last.
    block: Option<Block>,
}

impl RedisBooks {
    /// Looks at the servers as a start does; refuses another installation's.
    pub(crate) async fn open(settings: RedisSettings, clock: &Arc<dyn Clock>) -> Result<Self, StartError> {
        let installation = *settings.installation.as_bytes();
        let journal = RedisJournal::open(settings, Arc::new(Tenures::none()), Arc::clone(clock)).await?;
        let (epochs, days, malformed) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut this = Self { journal, epochs, days, malformed, block: None };
        let read = this.survey(&installation).await;
        if let Err(error) = read {
            this.close().await;
            return Err(StartError::Store(error.to_string()));
        }
        Ok(this)
    }

    /// Ends the connections.
    pub(crate) async fn close(self) {
        self.journal.close().await;
    }

    /// Reads which days there are, and under which epochs the shards are owned.
    async fn survey(&mut self, installation: &[u8; 16]) -> Result<(), ReadError> {
        let shards: Vec<u16> = (0..SHARD_COUNT).collect();
        for some in shards.chunks(SHARDS_AT_ONCE) {
            let call =
                |shard: &u16| ShardCall { shard: *shard, command: command(&["HGETALL", &wire::shard_key(*shard)]) };
            let answers = read::ask(&self.journal.shared, &some.iter().map(call).collect::<Vec<_>>()).await?;
            for (shard, answer) in some.iter().zip(answers) {
                for pair in list(&answer).unwrap_or_default().chunks_exact(2) {
                    self.field(*shard, &pair[0], &pair[1], installation)?;
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, shard: u16, name: &Value, value: &Value, installation: &[u8; 16]) -> Result<(), ReadError> {
        match bytes(name).unwrap_or_default() {
            b"i" if bytes(value) != Some(installation) => {
                return Err(read::damaged(format!("shard {shard} holds another installation's data")));
            }
            b"e" => {
                self.epochs
                    .extend(number(value).and_then(|epoch| u32::try_from(epoch).ok()).map(|epoch| (shard, epoch)));
            }
            day if day.len() == DAY_BYTES => match DayKey::from_bytes(day).filter(|day| day.shard() == shard) {
                Some(day) => self.days.push(day),
                None => self.malformed.push(format!("shard {shard} names a day that cannot be")),
            },
            _ => {}
        }
        Ok(())
    }
}

/// A doctor and a date.
const DAY_BYTES: usize = 20;

#[async_trait]
impl JournalSource for RedisBooks {
    /// What Redis has loaded it believes; every record is checked when its day is followed.
    async fn examine(&mut self, _: &mut Findings) -> Result<(), ReadError> {
        Ok(())
    }

    async fn bounds(&mut self) -> Result<Bounds, ReadError> {
        Ok(Bounds::Shards { epochs: std::mem::take(&mut self.epochs) })
    }

    async fn days(&mut self) -> Result<NamedDays, ReadError> {
        Ok((self.days.drain(..).collect(), std::mem::take(&mut self.malformed)))
    }

    /// Not known before all days are read.
    async fn last_at(&mut self) -> Result<UtcMillis, ReadError> {
        Ok(UtcMillis(i64::MIN))
    }

    async fn open(&mut self, day: DayKey) -> Result<Beside, ReadError> {
        self.block = None;
        let shared = &*self.journal.shared;
        let Some(Stored { head, snapshot, tail }) = stored(shared, day).await? else { return Ok(Beside::default()) };
        let records = match tail {
            // What lies before the tail never changes, and may be cut off meanwhile.
            Ok(mut tail) => {
                let first = tail.first().map_or(u64::MAX, |record| record.version.sequence);
                let mut records = read::slices(shared, &[(day, (1, first.saturating_sub(1)))]).await?;
                records.retain(|record| record.version.sequence < first);
                records.append(&mut tail);
                Ok(records)
            }
            Err(what) => Err(what),
        };
        let record_count = records.as_ref().map_or(1, |records| records.len() as u64);
        if record_count > 0 {
            self.block = Some(Block { record_count, chained: None, records });
        }
        Ok(Beside { snapshot, head: Some(head) })
    }

    async fn next(&mut self, _: &mut Findings) -> Result<Option<Block>, ReadError> {
        Ok(self.block.take())
    }

    async fn finish(&mut self, _: &mut Findings) -> Result<(), ReadError> {
        Ok(())
    }
}

/// What one call tells of a day.
struct Stored {
    head: Checked<HeadRow>,
    snapshot: Option<Checked<crate::journal::StoredSnapshot>>,
    /// Of the records after the snapshot.
    tail: Checked<Vec<StoredRecord>>,
}

async fn stored(shared: &Shared, day: DayKey) -> Result<Option<Stored>, ReadError> {
    let shard = day.shard();
    let keys = [wire::shard_key(shard).into_bytes(), wire::log_key(day), wire::snapshots_key(shard).into_bytes()];
    let mut command = function("hotslot_load_v1", &keys.each_ref().map(Vec::as_slice));
    command.arg(&day.to_bytes()[..]);
    let answer = read::ask(shared, &[ShardCall { shard, command }]).await?.pop();
    let Some([_, _, _, head, snapshot, entries]) = answer.as_ref().and_then(list) else {
        return Err(ReadError::Unavailable("the function answered something else".to_owned()));
    };
    let (head, snapshot) = (bytes(head).unwrap_or_default(), bytes(snapshot).unwrap_or_default());
    let entries = list(entries).unwrap_or_default();
    if head.is_empty() && snapshot.is_empty() && entries.is_empty() {
        return Ok(None);
    }
    let tail: Option<Vec<StoredRecord>> =
        entries.iter().map(|entry| bytes(entry).and_then(|entry| wire::unpack_entry(day, entry))).collect();
    Ok(Some(Stored {
        head: head_row(head).ok_or_else(|| "its head: it is cut off, or there is none".to_owned()),
        snapshot: (!snapshot.is_empty()).then(|| wire::unpack_snapshot(day, snapshot)),
        tail: tail.ok_or_else(|| "a record is cut off".to_owned()),
    }))
}

/// A head, and behind it the instant of the next work in digits, or nothing.
fn head_row(bytes: &[u8]) -> Option<HeadRow> {
    let head = wire::unpack_head(bytes)?;
    let next_work = match std::str::from_utf8(bytes.get(HEAD_BYTES..)?).ok()? {
        "" => NextWork::At(None),
        // As a repair leaves it.
        "0" => NextWork::ToBeFound,
        digits => NextWork::At(Some(UtcMillis(digits.parse().ok()?))),
    };
    Some(HeadRow { head, position: None, next_work })
}
