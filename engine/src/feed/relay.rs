//! Follows the journal for one sink: reads what is published, tells it, keeps a cursor; again and again until the engine stops.
//! Must not know: what a sink is, what is in an event.
//!
//! Where the journal lasts there is one cursor; otherwise one for each shard that is ours, and after a takeover the next owner goes on from
//! the one that was saved. A record is told before its cursor is saved, and so at least once: what was told and not saved is told again
//! under
//! the same id. No order is broken by that: whoever tells begins after something that the sink has, and goes on without a gap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use booking_core::UtcMillis;
use futures_util::StreamExt;

use super::delivery::Delivery;
use super::{FeedCursors, Sink, WHOLE_LOG, event};
use crate::clock::{Clock, timeout};
use crate::journal::{Journal, LogKind, ShardCursor, StoredRecord};
use crate::ownership::Tenures;
use crate::signal::Signal;
use crate::telemetry::catalogue;
use crate::telemetry::events::EngineEvent;

/// Between two looks at what is new: how late an event is at most while all is well.
const LOOK: Duration = Duration::from_millis(50);
/// Records of one shard that are read and told at once: the memory of a relay is so many records and their events, times [`AT_ONCE`].
const BATCH_RECORDS: usize = 256;
/// Shards that are read and told at once.
const AT_ONCE: usize = 8;
/// Between two saves of cursors; what was told in between is told again after a crash. Each is a transaction of the ledger's database.
const SAVE_MICROS: u64 = 1_000_000;
/// Every shard is read after so long even if nobody has said that there is something: nothing is left for ever for want of a mark.
const SWEEP_MICROS: u64 = 30_000_000;
/// The first and the longest wait after a failure.
const BACKOFF_MILLIS: (u64, u64) = (100, 5_000);
/// What a stop grants for telling the rest. What is left is told by the next start.
const STOP_MICROS: u64 = 1_000_000;

/// What is followed.
pub struct Source {
    /// What is durable.
    pub journal: Arc<dyn Journal>,
    /// Up to which position of this process everything is also published.
    pub head: Box<dyn Fn() -> u64 + Send + Sync>,
    /// A number that changes whenever there may be something new in a shard.
    pub changes_of: Box<dyn Fn(u16) -> u64 + Send + Sync>,
    /// Which shards are ours.
    pub tenures: Arc<Tenures>,
    /// The engine's time.
    pub clock: Arc<dyn Clock>,
}

/// See the module.
pub struct Relay {
    sink: Arc<dyn Sink>,
    cursors: Arc<dyn FeedCursors>,
    source: Arc<Source>,
    stop: Arc<Signal>,
    /// When the stop was seen first, on the monotonic scale.
    stop_seen: OnceLock<u64>,
}

/// Where one shard, or the whole log, is.
struct Track {
    epoch: u32,
    cursor: ShardCursor,
    saved: ShardCursor,
    /// What [`Source::changes_of`] said before the last look; `None`: nobody has looked.
    seen: Option<u64>,
    has_more: bool,
    /// When the oldest record that is known and not told was decided.
    waiting_since: Option<UtcMillis>,
}

#[derive(Default)]
struct State {
    tracks: BTreeMap<u16, Track>,
    /// The head when everything up to it had been told.
    told: u64,
    saved_micros: u64,
    swept_micros: u64,
    failures: u32,
}

/// How one shard went on.
struct Step {
    shard: u16,
    seen: u64,
    cursor: ShardCursor,
    /// More is there.
    has_more: bool,
    /// It can be told at once.
    at_once: bool,
    waiting_since: Option<UtcMillis>,
    failure: Option<String>,
}

impl Relay {
    /// Of `source` to `sink`, until `stop` is given.
    pub fn new(sink: Arc<dyn Sink>, cursors: Arc<dyn FeedCursors>, source: Arc<Source>, stop: Arc<Signal>) -> Self {
        Self { sink, cursors, source, stop, stop_seen: OnceLock::new() }
    }

    /// Follows until the engine stops. Never cancelled before: it writes cursors.
    pub async fn run(self) {
        let mut state = State::default();
        self.source.journal.feed_has(self.sink.name(), &[]);
        loop {
            let is_last = self.stop.is_given();
            let at_once = match self.pass(&mut state).await {
                Ok(at_once) => {
                    state.failures = 0;
                    at_once
                }
                Err(reason) => {
                    self.failed(&mut state, &reason);
                    false
                }
            };
            self.save(&mut state, is_last && !at_once).await;
            self.report(&state);
            if is_last && (!at_once || self.is_over()) {
                return self.save(&mut state, true).await;
            }
            if !at_once {
                // Whichever it was: look again.
                let _ = timeout(&*self.source.clock, pause(state.failures), self.stop.wait()).await;
            }
        }
    }

    /// Tells a batch of each shard that has something; whether there is more at once.
    async fn pass(&self, state: &mut State) -> Result<bool, String> {
        let head = (self.source.head)();
        self.follow_owned(state).await?;
        let now = self.source.clock.monotonic_micros();
        let is_sweep = now.saturating_sub(state.swept_micros) >= SWEEP_MICROS;
        if is_sweep {
            state.swept_micros = now;
        }
        let due = self.due(state, is_sweep).await?;
        let steps = due.into_iter().filter_map(|(shard, seen)| {
            let track = state.tracks.get(&shard)?;
            Some(self.step(shard, track.epoch, track.cursor, seen))
        });
        let steps: Vec<Step> =
            futures_util::stream::iter(steps.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        let (mut at_once, mut failure) = (false, None);
        for step in steps {
            let Some(track) = state.tracks.get_mut(&step.shard) else { continue };
            (track.cursor, track.seen, track.has_more) = (step.cursor, Some(step.seen), step.has_more);
            track.waiting_since = step.waiting_since;
            at_once |= step.at_once;
            failure = failure.or(step.failure);
        }
        match state.tracks.get(&WHOLE_LOG) {
            Some(track) => state.told = track.cursor.position,
            None if state.tracks.values().all(|track| !track.has_more) => state.told = head,
            None => {}
        }
        failure.map_or(Ok(at_once), Err)
    }

    /// What has something to tell, with what was said before the look. New shards, and at a sweep all, are looked at in one question.
    async fn due(&self, state: &mut State, is_sweep: bool) -> Result<Vec<(u16, u64)>, String> {
        let (mut due, mut asked) = (Vec::new(), Vec::new());
        for (shard, track) in &state.tracks {
            let seen = self.changes_of(*shard);
            let is_look = is_sweep || track.seen.is_none();
            let is_new = track.has_more || track.seen.is_some_and(|before| before != seen);
            if is_new || (is_look && *shard == WHOLE_LOG) {
                due.push((*shard, seen));
            } else if is_look {
                asked.push((*shard, track.cursor, seen));
            }
        }
        if asked.is_empty() {
            return Ok(due);
        }
        let cursors: Vec<_> = asked.iter().map(|(shard, cursor, _)| (*shard, *cursor)).collect();
        let ahead = self.source.journal.ahead_of(&cursors).await.map_err(|error| error.to_string())?;
        let ahead: BTreeSet<u16> = ahead.into_iter().collect();
        for (shard, _, seen) in asked {
            if ahead.contains(&shard) {
                due.push((shard, seen));
            } else if let Some(track) = state.tracks.get_mut(&shard) {
                track.seen = Some(seen);
            }
        }
        Ok(due)
    }

    /// Begins to follow what is ours now, from where it was told last; forgets what is ours no more.
    async fn follow_owned(&self, state: &mut State) -> Result<(), String> {
        let owned = self.owned();
        state.tracks.retain(|shard, track| owned.get(shard) == Some(&track.epoch));
        if owned.len() == state.tracks.len() {
            return Ok(());
        }
        let known: BTreeMap<u16, ShardCursor> =
            self.cursors.load(self.sink.name()).await.map_err(|error| error.to_string())?.into_iter().collect();
        let mut begun = Vec::new();
        for (shard, epoch) in owned {
            state.tracks.entry(shard).or_insert_with(|| {
                let cursor = known.get(&shard).copied().unwrap_or_default();
                begun.push((shard, cursor));
                Track { epoch, cursor, saved: cursor, seen: None, has_more: false, waiting_since: None }
            });
        }
        self.source.journal.feed_has(self.sink.name(), &begun);
        Ok(())
    }

    /// What is to be followed, with our epochs.
    fn owned(&self) -> BTreeMap<u16, u32> {
        if self.source.journal.log() == LogKind::Lasting {
            return BTreeMap::from([(WHOLE_LOG, self.source.journal.epoch())]);
        }
        let tenures = &self.source.tenures;
        let open = tenures.owned();
        open.iter().filter(|shard| tenures.is_open(*shard)).map(|shard| (shard, tenures.epoch(shard))).collect()
    }

    fn is_ours(&self, shard: u16, epoch: u32) -> bool {
        shard == WHOLE_LOG || self.source.tenures.epoch(shard) == epoch
    }

    fn changes_of(&self, shard: u16) -> u64 {
        if shard == WHOLE_LOG { (self.source.head)() } else { (self.source.changes_of)(shard) }
    }

    /// Tells one batch of `shard` after `cursor`.
    async fn step(&self, shard: u16, epoch: u32, cursor: ShardCursor, seen: u64) -> Step {
        let mut step = Step { shard, seen, cursor, has_more: true, at_once: false, waiting_since: None, failure: None };
        let head = (self.source.head)();
        let journal = &self.source.journal;
        let read = if shard == WHOLE_LOG {
            journal.read_after(cursor.position, BATCH_RECORDS).await
        } else {
            journal.read_shard(shard, cursor, BATCH_RECORDS).await
        };
        let stored = match read {
            Ok(stored) => stored,
            Err(error) => return Step { failure: Some(error.to_string()), ..step },
        };
        let is_told_to_readers =
            |record: &&StoredRecord| record.position <= head || (shard != WHOLE_LOG && record.version.epoch < epoch);
        let published: Vec<&StoredRecord> = stored.iter().take_while(is_told_to_readers).collect();
        let events: Vec<_> = published.iter().flat_map(|record| event::outgoing(record)).collect();
        let (first, last) = (events.first().map(|event| event.at), events.last().map(|event| event.at));
        if !self.is_ours(shard, epoch) {
            return step;
        }
        let delivery = Delivery { sink: &*self.sink };
        if let Err(reason) = delivery.deliver(events).await {
            return Step { waiting_since: first, failure: Some(reason), ..step };
        }
        let is_whole = published.len() == stored.len();
        step.cursor = published.last().map_or(cursor, |record| record.cursor());
        step.at_once = is_whole && stored.len() == BATCH_RECORDS;
        // What is durable and not published comes when it is.
        step.has_more = step.at_once || !is_whole;
        step.waiting_since = last.filter(|_| step.at_once);
        step
    }

    /// Saves the cursors that have moved, if it is time.
    async fn save(&self, state: &mut State, at_once: bool) {
        let now = self.source.clock.monotonic_micros();
        if !at_once && now.saturating_sub(state.saved_micros) < SAVE_MICROS {
            return;
        }
        let moved = state
            .tracks
            .iter()
            .filter(|(shard, track)| track.cursor > track.saved && self.is_ours(**shard, track.epoch));
        let moved: Vec<(u16, ShardCursor)> = moved.map(|(shard, track)| (*shard, track.cursor)).collect();
        if moved.is_empty() {
            return;
        }
        state.saved_micros = now;
        if let Err(error) = self.cursors.save(self.sink.name(), &moved).await {
            tracing::warn!(%error, sink = self.sink.name(), "the feed's cursors are not saved; trying again");
            return;
        }
        for (shard, cursor) in &moved {
            if let Some(track) = state.tracks.get_mut(shard) {
                track.saved = *cursor;
            }
        }
        self.source.journal.feed_has(self.sink.name(), &moved);
    }

    fn failed(&self, state: &mut State, reason: &str) {
        EngineEvent::FeedStands { sink: self.sink.name(), reason, is_told: state.failures == 0 }.emit();
        state.failures = state.failures.saturating_add(1);
    }

    fn report(&self, state: &State) {
        let head = (self.source.head)();
        let now = self.source.clock.now();
        let oldest = state.tracks.values().filter_map(|track| track.waiting_since).min();
        let seconds = oldest.map_or(0.0, |at| now.millis_since(at).max(0) as f64 / 1e3);
        metrics::gauge!(catalogue::FEED_LAG_RECORDS, "sink" => self.sink.name())
            .set(head.saturating_sub(state.told) as f64);
        metrics::gauge!(catalogue::FEED_LAG_SECONDS, "sink" => self.sink.name()).set(seconds);
    }

    /// Whether a stop has waited for long enough.
    fn is_over(&self) -> bool {
        let now = self.source.clock.monotonic_micros();
        now.saturating_sub(*self.stop_seen.get_or_init(|| now)) >= STOP_MICROS
    }
}

fn pause(failures: u32) -> Duration {
    if failures == 0 {
        return LOOK;
    }
    let (first, longest) = BACKOFF_MILLIS;
    Duration::from_millis(first.saturating_mul(1 << failures.min(10).saturating_sub(1)).min(longest))
}
