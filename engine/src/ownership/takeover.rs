//! What happens to shards when their owner changes: taken over (install, repair, apply, claim, open), handed on, or dropped at once.
//! Must not know: who decides that, leases.
//!
//! Order of taking over (`protocols.md` rule 32): the claim has raised the epoch; the journal learns it, so that no older owner can
//! append; what the
//! store has forgotten is brought back; the ledger gets what it lacks; visits and keys are claimed here; then the shard is open, and what
//! lost records had promised is asked for again (`crate::lost`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use booking_core::{DayKey, decode_event};

use super::{ShardSet, Tenures, memory};
use crate::claims;
use crate::clock::Clock;
use crate::handle::EngineHandle;
use crate::journal::{Journal, ReadError, ShardCursor, StoredRecord};
use crate::ledger::overlay::{Overlay, OverlayEntry};
use crate::ledger::{AppliedRecord, ApplyError, Ledger};
use crate::telemetry::events::EngineEvent;

/// Records that the ledger gets at once while a shard is taken over.
const BULK_RECORDS: usize = 1_024;

/// How long before something that failed is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// How often it is looked whether everything under way has ended.
const LOOK: Duration = Duration::from_millis(2);

/// Longest wait for what is under way on shards that are handed on. A day that has not settled by then is dropped: its callers are told
/// 503, and the next owner reads what became of them.
const HAND_ON_MILLIS_MAX: u64 = 2_000;

/// Everything that knows shards.
pub(crate) struct Shards {
    pub(crate) handle: EngineHandle,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) tenures: Arc<Tenures>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Shards {
    /// Opens what was claimed, trying again until it works or the shards are somebody else's. `former`: where their last owners were
    /// reached.
    pub(crate) async fn take_over(&self, claimed: &[(u16, u32)], former: &[Arc<str>]) {
        for (shard, epoch) in claimed {
            self.tenures.grant(*shard, *epoch);
        }
        let mut waiting = claimed.to_vec();
        let began = self.clock.monotonic_micros();
        loop {
            waiting.retain(|(shard, epoch)| self.tenures.epoch(*shard) == *epoch);
            if waiting.is_empty() {
                return;
            }
            match self.open(&waiting, former).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(%error, shards = waiting.len(), "shards are not taken over yet; trying again")
                }
            }
            self.clock.sleep(PAUSE).await;
        }
        let took_micros = self.clock.monotonic_micros().saturating_sub(began);
        EngineEvent::ShardsOpen { shards: waiting.len(), took_micros }.emit();
    }

    /// Opens shards that the journal has installed already.
    pub(crate) async fn read_installed(&self, installed: &[(u16, u32)]) {
        loop {
            match self.read(installed.to_vec(), &[]).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "shards are not read yet; trying again"),
            }
            self.clock.sleep(PAUSE).await;
        }
    }

    async fn open(&self, claimed: &[(u16, u32)], former: &[Arc<str>]) -> Result<(), ReadError> {
        let set: ShardSet = claimed.iter().map(|(shard, _)| *shard).collect();
        // What an earlier tenure has left in memory is old.
        while self.directory_leaves(&set, true) > 0 {
            self.clock.sleep(LOOK).await;
        }
        let parts = &self.handle.parts;
        parts.claims.forget_shards(&set);
        let installed =
            self.journal.install(claimed).await.map_err(|error| ReadError::Unavailable(error.to_string()))?;
        for (shard, epoch) in claimed.iter().filter(|it| !installed.contains(it)) {
            tracing::warn!(shard, epoch, "the journal knows a newer owner of a shard");
            self.tenures.revoke(*shard);
        }
        self.read(installed, former).await
    }

    /// What is installed is repaired, applied, claimed, and opened.
    async fn read(&self, installed: Vec<(u16, u32)>, former: &[Arc<str>]) -> Result<(), ReadError> {
        let shards: Vec<u16> = installed.iter().map(|(shard, _)| *shard).collect();
        let memory = self.memory_elsewhere(&self.journal.in_doubt(&shards), former).await;
        self.journal.repair(&shards, &*self.ledger, &memory).await?;
        let set: ShardSet = shards.iter().copied().collect();
        self.apply_missing(&set).await?;
        self.publish_parked(&set).await?;
        claims::restore(&self.handle.parts.claims, &*self.ledger, &Overlay::default(), &set, self.clock.now()).await?;
        for (shard, epoch) in installed {
            if self.tenures.epoch(shard) == epoch {
                self.tenures.open(shard);
            }
        }
        self.handle.parts.lost_found.notify_one();
        Ok(())
    }

    /// What other nodes remember of `shards`: the last owners, and every live node, as one of them may have had a shard before an owner
    /// that never opened it.
    async fn memory_elsewhere(&self, shards: &ShardSet, former: &[Arc<str>]) -> Vec<StoredRecord> {
        let parts = &self.handle.parts;
        let Some(peers) = parts.peers.as_ref().filter(|_| !shards.is_empty()) else { return Vec::new() };
        let addresses: BTreeSet<Arc<str>> = former.iter().cloned().chain(parts.territory.peers()).collect();
        let addresses: Vec<Arc<str>> = addresses.into_iter().collect();
        memory::ask(peers, &*self.clock, &addresses, shards).await
    }

    /// Applies what earlier owners have written and not applied.
    async fn apply_missing(&self, set: &ShardSet) -> Result<(), ReadError> {
        let known: BTreeMap<u16, ShardCursor> = self.ledger.shard_cursors(set).await?.into_iter().collect();
        let cursors: Vec<(u16, ShardCursor)> =
            set.iter().map(|shard| (shard, known.get(&shard).copied().unwrap_or_default())).collect();
        for shard in self.journal.ahead_of(&cursors).await? {
            let mut cursor = known.get(&shard).copied().unwrap_or_default();
            loop {
                let stored = self.journal.read_shard(shard, cursor, BULK_RECORDS).await?;
                let Some(last) = stored.last() else { break };
                cursor = last.cursor();
                self.apply(shard, &stored, cursor).await?;
            }
        }
        Ok(())
    }

    /// Applies `stored` and moves the cursor; days that the ledger refuses are parked, and the others go on (`protocols.md` rule 25).
    async fn apply(&self, shard: u16, stored: &[StoredRecord], cursor: ShardCursor) -> Result<(), ReadError> {
        let (records, mut broken) = decode(stored);
        match self.ledger.apply_shard(shard, &records, cursor).await {
            Ok(()) if broken.is_empty() => return Ok(()),
            Ok(()) | Err(ApplyError::Refused(_)) => {}
            Err(ApplyError::Unavailable(reason)) => return Err(ReadError::Unavailable(reason)),
        }
        let mut by_day: BTreeMap<DayKey, Vec<AppliedRecord>> = BTreeMap::new();
        for record in records {
            by_day.entry(record.day).or_default().push(record);
        }
        for (day, records) in by_day {
            for record in records {
                let one = std::slice::from_ref(&record);
                match self.ledger.apply_shard(shard, one, ShardCursor::default()).await {
                    Ok(()) => {}
                    Err(ApplyError::Refused(reason)) => {
                        broken.entry(day).or_insert((record.version, reason));
                        break;
                    }
                    Err(ApplyError::Unavailable(reason)) => return Err(ReadError::Unavailable(reason)),
                }
            }
        }
        for (day, (version, reason)) in broken {
            tracing::error!(%day, sequence = version.sequence, reason, "a day is parked: the ledger does not take its records");
            self.ledger.park(day, version, &reason).await.map_err(unapplied)?;
        }
        self.ledger.apply_shard(shard, &[], cursor).await.map_err(unapplied)
    }

    /// Readers of parked days are answered from the overlay, from the journal's tail of each.
    async fn publish_parked(&self, set: &ShardSet) -> Result<(), ReadError> {
        for mark in self.ledger.parked().await?.into_iter().filter(|mark| set.contains(mark.day.shard())) {
            let overlay = self.handle.parts.reader.overlay();
            overlay.pin_day(mark.day);
            let zone = self.ledger.time_zone(mark.day).await?.unwrap_or_else(|| Arc::from("UTC"));
            let Some(loaded) = self.journal.load(mark.day).await? else { continue };
            for record in loaded.tail.iter().filter(|record| record.version.sequence >= mark.version.sequence) {
                if let Ok(event) = decode_event(&record.body) {
                    overlay.publish(OverlayEntry::of_event(mark.day, &zone, &event, record.position).collect());
                }
            }
        }
        Ok(())
    }

    /// Ends what is under way on `set` and forgets it, so that somebody else can take it over without a gap. New requests are sent
    /// away from the first moment on.
    pub(crate) async fn hand_on(&self, set: &ShardSet) {
        for shard in set.iter() {
            self.tenures.close(shard);
            self.handle.shard_left(shard);
        }
        let deadline = self.clock.monotonic_micros() + HAND_ON_MILLIS_MAX * 1_000;
        while self.directory_leaves(set, false) > 0 {
            if self.clock.monotonic_micros() > deadline {
                tracing::warn!("days did not settle in time; they are dropped, and their next owner reads them");
                break;
            }
            self.clock.sleep(LOOK).await;
        }
        // What the ledger lacks the next owner applies; it is quicker if there is nothing.
        let applier = &self.handle.parts.applier;
        let head = applier.head();
        applier.hurry();
        while applier.applied() < head && self.clock.monotonic_micros() < deadline {
            self.clock.sleep(LOOK).await;
        }
        self.drop_at_once(set);
    }

    /// Somebody else speaks for `set`, or soon will.
    pub(crate) fn drop_at_once(&self, set: &ShardSet) {
        for shard in set.iter() {
            self.tenures.revoke(shard);
            self.handle.shard_left(shard);
        }
        self.directory_leaves(set, true);
        self.handle.parts.claims.forget_shards(set);
    }

    fn directory_leaves(&self, set: &ShardSet, at_once: bool) -> usize {
        self.handle.parts.directory.leave(set, at_once)
    }
}

/// What can be decoded, and the first record of each day that cannot.
fn decode(stored: &[StoredRecord]) -> (Vec<AppliedRecord>, BTreeMap<DayKey, (booking_core::DayVersion, String)>) {
    let (mut records, mut broken) = (Vec::with_capacity(stored.len()), BTreeMap::new());
    for record in stored.iter() {
        let (day, version, position) = (record.day, record.version, record.position);
        if broken.contains_key(&day) {
            continue;
        }
        match decode_event(&record.body) {
            Ok(event) => {
                let (hash, body) = (record.hash, Arc::clone(&record.body));
                records.push(AppliedRecord { day, version, position, hash, body, event });
            }
            Err(error) => {
                broken.insert(day, (version, format!("the record cannot be decoded: {error}")));
            }
        }
    }
    (records, broken)
}

fn unapplied(error: ApplyError) -> ReadError {
    ReadError::Unavailable(error.to_string())
}
