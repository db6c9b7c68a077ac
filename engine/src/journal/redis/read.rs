//! What can be read back: a day as one consistent whole, a shard in order, the indexes.
//! Must not know: who reads, what a record means.

use std::collections::BTreeMap;
use std::time::Duration;

use booking_core::{Date, DayKey, DoctorId, SHARD_COUNT, UtcMillis};
use redis::Value;

use super::append::function;
use super::link::Lane;
use super::network::{Answer, Manner, ShardCall};
use super::topology::{bytes, command, list, number, text};
use super::wire::{self, HEAD_BYTES, OrderEntry};
use super::{CALL_DEADLINE, Shared};
use crate::journal::{Head, LoadedDay, ReadError, ShardCursor, StoredRecord, chain};

/// How long a read is offered to servers that are not ready.
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// Days asked for one by one; for more of them the shards are walked.
const DATES_MAX: i32 = 4_096;

fn manner() -> Manner {
    Manner { lane: Lane::Read, replicas: 0, limit: CALL_DEADLINE, patience: READ_PATIENCE }
}

/// The answers, all of them or none.
pub(super) async fn ask(shared: &Shared, calls: &[ShardCall]) -> Result<Vec<Value>, ReadError> {
    let answers = shared.network.call(manner(), calls).await;
    let value = |answer| match answer {
        Answer::Done(value) => Ok(value),
        Answer::Refused(reason) | Answer::Unknown(reason) => Err(ReadError::Unavailable(reason)),
    };
    answers.into_iter().map(value).collect()
}

pub(super) fn damaged(reason: String) -> ReadError {
    ReadError::Damaged(format!("the journal on Redis: {reason}"))
}

/// See [`crate::journal::Journal::load`].
pub(super) async fn load(shared: &Shared, day: DayKey) -> Result<Option<LoadedDay>, ReadError> {
    let shard = day.shard();
    if shared.stuck.has(shard) {
        let reason = "the outcome of an append to this shard is not known yet";
        return Err(ReadError::Unavailable(reason.to_owned()));
    }
    let keys = [wire::shard_key(shard).into_bytes(), wire::log_key(day), wire::snapshots_key(shard).into_bytes()];
    let mut command = function("hotslot_load_v1", &keys.each_ref().map(Vec::as_slice));
    command.arg(&day.to_bytes()[..]);
    let answer = ask(shared, &[ShardCall { shard, command }]).await?.pop();
    let Some([epoch, reign, reign_now, head, snapshot, entries]) = answer.as_ref().and_then(list) else {
        return Err(ReadError::Unavailable("the function answered something else".to_owned()));
    };
    require_own_history(shared, shard, epoch, [reign, reign_now])?;
    assemble(day, head, snapshot, entries).map_err(|reason| damaged(format!("{day}: {reason}")))
}

/// Whoever owns the shard must not read another history than the one it was installed in: until it is installed again and repaired,
/// what was acknowledged may be missing.
fn require_own_history(shared: &Shared, shard: u16, epoch: &Value, reigns: [&Value; 2]) -> Result<(), ReadError> {
    let is_lost = || ReadError::Unavailable("the shard is lost in Redis and must be claimed again".to_owned());
    let Some(standing) = shared.standings.of(shard) else { return Ok(()) };
    if standing.is_lost {
        return Err(is_lost());
    }
    let is_own = reigns.iter().all(|reign| text(reign) == Some(&*standing.reign))
        && number(epoch) == Some(standing.epoch.into());
    if is_own {
        return Ok(());
    }
    let newer = number(epoch).and_then(|epoch| u32::try_from(epoch).ok()).filter(|epoch| *epoch > standing.epoch);
    shared.standings.lose(shard, standing.epoch, ("a load met another history or a newer owner", newer));
    Err(is_lost())
}

fn assemble(day: DayKey, head: &Value, snapshot: &Value, entries: &Value) -> Result<Option<LoadedDay>, String> {
    let snapshot = match bytes(snapshot) {
        Some([]) | None => None,
        Some(bytes) => Some(wire::unpack_snapshot(day, bytes)?),
    };
    let head = match bytes(head) {
        Some([]) | None if snapshot.is_some() => return Err("it has a snapshot and no head".to_owned()),
        Some([]) | None => return Ok(None),
        Some(bytes) => wire::unpack_head(bytes).ok_or("its head is cut off")?,
    };
    let entries = list(entries).unwrap_or_default().iter().map(|entry| wire::unpack_entry(day, bytes(entry)?));
    let tail: Vec<StoredRecord> = entries.collect::<Option<_>>().ok_or("a record is cut off")?;
    let loaded = LoadedDay { snapshot, tail, head };
    chain::verify(&loaded)?;
    Ok(Some(loaded))
}

/// See [`crate::journal::Journal::days_of`].
pub(super) async fn days_of(shared: &Shared, doctor: DoctorId, from: Date, to: Date) -> Result<Vec<DayKey>, ReadError> {
    if from > to {
        return Ok(Vec::new());
    }
    if to.days() - from.days() >= DATES_MAX {
        let mut found = Vec::new();
        for shard in 0..SHARD_COUNT {
            found.extend(heads(shared, shard).await?.into_keys());
        }
        found.retain(|day: &DayKey| day.doctor == doctor && (from..=to).contains(&day.date));
        found.sort_unstable();
        return Ok(found);
    }
    let days: Vec<DayKey> =
        (from.days()..=to.days()).filter_map(Date::from_days).map(|date| DayKey { doctor, date }).collect();
    let call = |day: &DayKey| {
        let mut command = command(&["HEXISTS", &wire::shard_key(day.shard())]);
        command.arg(&day.to_bytes()[..]);
        ShardCall { shard: day.shard(), command }
    };
    let answers = ask(shared, &days.iter().map(call).collect::<Vec<_>>()).await?;
    Ok(days.into_iter().zip(answers).filter(|(_, answer)| number(answer) == Some(1)).map(|(day, _)| day).collect())
}

/// Where the log of each day of `shard` ends.
pub(super) async fn heads(shared: &Shared, shard: u16) -> Result<BTreeMap<DayKey, Head>, ReadError> {
    let call = ShardCall { shard, command: command(&["HGETALL", &wire::shard_key(shard)]) };
    let answer = ask(shared, &[call]).await?.pop();
    let fields = answer.as_ref().and_then(list).unwrap_or_default();
    let mut heads = BTreeMap::new();
    for pair in fields.chunks_exact(2) {
        let Some(day) = bytes(&pair[0]).filter(|field| field.len() == 20).and_then(DayKey::from_bytes) else {
            continue;
        };
        let head = bytes(&pair[1]).filter(|value| value.len() >= HEAD_BYTES).and_then(wire::unpack_head);
        heads.insert(day, head.ok_or_else(|| damaged(format!("{day}: its head is cut off")))?);
    }
    Ok(heads)
}

/// See [`crate::journal::Journal::open_work`]; of our own shards only.
pub(super) async fn open_work(
    shared: &Shared,
    until: UtcMillis,
    limit: usize,
) -> Result<Vec<(DayKey, UtcMillis)>, ReadError> {
    let (until, limit_words) = (until.0.to_string(), limit.to_string());
    let call = |shard| {
        let words = ["ZRANGEBYSCORE", &wire::work_key(shard), "-inf", &until, "WITHSCORES", "LIMIT", "0", &limit_words];
        ShardCall { shard, command: command(&words) }
    };
    let calls: Vec<ShardCall> = (0..SHARD_COUNT).filter(|shard| shared.epoch_of(*shard) != 0).map(call).collect();
    let mut work = Vec::new();
    for answer in ask(shared, &calls).await? {
        for pair in list(&answer).unwrap_or_default().chunks_exact(2) {
            let day = bytes(&pair[0]).and_then(DayKey::from_bytes);
            let entry = day.zip(number(&pair[1])).ok_or_else(|| damaged("an entry of the open work".to_owned()))?;
            work.push((entry.0, UtcMillis(entry.1)));
        }
    }
    work.sort_unstable_by_key(|(day, at)| (*at, *day));
    work.truncate(limit);
    Ok(work)
}

/// The order of `shard` after `after`: at most `limit` entries, each with the cursor of its last record.
pub(super) async fn order(
    shared: &Shared,
    shard: u16,
    (after, until): (ShardCursor, Option<ShardCursor>),
    limit: usize,
) -> Result<Vec<(ShardCursor, OrderEntry)>, ReadError> {
    let until = until.map_or_else(|| "+".to_owned(), |until| format!("{}-{}", until.epoch, until.position));
    let after = format!("({}-{}", after.epoch, after.position);
    let words = ["XRANGE", &wire::order_key(shard), &after, &until, "COUNT", &limit.to_string()];
    let answer = ask(shared, &[ShardCall { shard, command: command(&words) }]).await?.pop();
    let items = answer.as_ref().and_then(list).unwrap_or_default();
    let entries: Option<Vec<_>> = items.iter().map(order_item).collect();
    entries.ok_or_else(|| damaged(format!("the order of shard {shard} has an entry that cannot be")))
}

/// See [`crate::journal::Journal::ahead_of`]: one round for all shards, as a node that starts has a thousand.
pub(super) async fn ahead_of(shared: &Shared, cursors: &[(u16, ShardCursor)]) -> Result<Vec<u16>, ReadError> {
    let call = |(shard, after): &(u16, ShardCursor)| {
        let after = format!("({}-{}", after.epoch, after.position);
        ShardCall { shard: *shard, command: command(&["XRANGE", &wire::order_key(*shard), &after, "+", "COUNT", "1"]) }
    };
    // Redis takes no bound after the highest id there is.
    let asked: Vec<_> = cursors.iter().filter(|(_, cursor)| cursor.position < u64::MAX).copied().collect();
    let answers = ask(shared, &asked.iter().map(call).collect::<Vec<_>>()).await?;
    let is_ahead = |answer: &Value| list(answer).is_some_and(|items| !items.is_empty());
    Ok(asked.iter().zip(&answers).filter(|(_, answer)| is_ahead(answer)).map(|((shard, _), _)| *shard).collect())
}

fn order_item(item: &Value) -> Option<(ShardCursor, OrderEntry)> {
    let [id, fields] = list(item)? else { return None };
    let (epoch, position) = text(id)?.split_once('-')?;
    let cursor = ShardCursor { epoch: epoch.parse().ok()?, position: position.parse().ok()? };
    Some((cursor, wire::unpack_order(bytes(list(fields)?.get(1)?)?)?))
}

/// See [`crate::journal::Journal::read_shard`]. Records that were trimmed meanwhile are left out: the ledger has had them for long.
pub(super) async fn read_shard(
    shared: &Shared,
    shard: u16,
    after: ShardCursor,
    limit: usize,
) -> Result<Vec<StoredRecord>, ReadError> {
    if limit == 0 || after.position == u64::MAX {
        return Ok(Vec::new());
    }
    let order = order(shared, shard, (after, None), limit).await?;
    let Some((last, _)) = order.last() else { return Ok(Vec::new()) };
    let mut wanted: BTreeMap<DayKey, (u64, u64)> = BTreeMap::new();
    for (_, entry) in &order {
        let range = wanted.entry(entry.day).or_insert((entry.first_sequence, entry.last_sequence));
        *range = (range.0.min(entry.first_sequence), range.1.max(entry.last_sequence));
    }
    let mut records = slices(shared, &wanted.into_iter().collect::<Vec<_>>()).await?;
    records.retain(|record| record.cursor() > after && record.cursor() <= *last);
    records.sort_unstable_by_key(StoredRecord::cursor);
    records.truncate(limit);
    Ok(records)
}

/// A script of Redis counts in doubles, which tell whole numbers apart up to here. No day has so many records.
const SEQUENCE_MAX: u64 = 1 << 53;

/// The records of each day with sequences in its range, first and last included, as far as its log has them.
pub(super) async fn slices(shared: &Shared, wanted: &[(DayKey, (u64, u64))]) -> Result<Vec<StoredRecord>, ReadError> {
    let call = |(day, (first, last)): &(DayKey, (u64, u64))| {
        let shard = day.shard();
        let mut command = function("hotslot_slice_v1", &[wire::shard_key(shard).as_bytes(), &wire::log_key(*day)]);
        command.arg(*first).arg((*last).min(SEQUENCE_MAX)).arg(&day.to_bytes()[..]);
        ShardCall { shard, command }
    };
    let answers = ask(shared, &wanted.iter().map(call).collect::<Vec<_>>()).await?;
    let mut records = Vec::new();
    for ((day, _), answer) in wanted.iter().zip(answers) {
        for entry in list(&answer).unwrap_or_default() {
            let record = bytes(entry).and_then(|entry| wire::unpack_entry(*day, entry));
            records.push(record.ok_or_else(|| damaged(format!("{day}: a record is cut off")))?);
        }
    }
    Ok(records)
}
