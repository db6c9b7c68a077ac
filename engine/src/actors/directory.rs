//! Where the days are: awake behind an entry, asleep as packed bytes, or in the journal only.
//! Must not know: the rules, what a day is asked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use booking_core::{DayKey, UtcMillis};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use parking_lot::Mutex;

use super::day::{DayActor, Origin};
use super::entry::DayEntry;
use super::intake::{Control, Wake};
use super::ports::DayPorts;
use super::survey::{Survey, Upcoming};
use crate::journal::Head;
use crate::limits::MAINTENANCE_INTERVAL_MILLIS;
use crate::ownership::ShardSet;
use crate::telemetry::meters::EngineMeters;

/// A sleeping day: its durable state, packed.
#[derive(Clone, Debug)]
pub struct AsleepDay {
    /// Where its log ends.
    pub head: Head,
    /// Sequence of its last snapshot in the journal.
    pub snapshot_sequence: u64,
    /// `DoctorDay::pack`.
    pub bytes: Arc<[u8]>,
}

/// Takes days back.
pub trait Retire: Send + Sync + 'static {
    /// Closes the day's way in and forgets its entry, keeping `asleep` if given: all or nothing. False if somebody is at the door; then
    /// nothing has changed.
    fn retire(&self, entry: &Arc<DayEntry>, asleep: Option<AsleepDay>) -> bool;
}

/// Starts actors: actix in the product, an event heap in a simulator.
pub trait StartActor: Send + Sync + 'static {
    /// Starts `actor` and returns how to have it take a turn. The actor takes no turn before it is woken.
    fn start(&self, actor: DayActor) -> Box<dyn Wake>;
}

/// Which days are in memory. Lock order where two are held: awake, then intake or asleep.
pub struct Directory {
    awake: DashMap<DayKey, Arc<DayEntry>>,
    /// With the stamp under which each fell asleep.
    asleep: DashMap<DayKey, (u64, AsleepDay)>,
    /// Days and stamps in the order in which they fell asleep, for eviction; an entry whose stamp is gone is stale.
    asleep_order: Mutex<VecDeque<(DayKey, u64)>>,
    next_stamp: AtomicU64,
    asleep_bytes: AtomicUsize,
    asleep_bytes_max: usize,
    starter: Arc<dyn StartActor>,
    ports: OnceLock<Arc<DayPorts>>,
    meters: Arc<EngineMeters>,
    survey: ArcSwap<Survey>,
    upcoming: Mutex<Upcoming>,
}

impl Directory {
    /// An empty directory. [`Directory::connect`] must follow before the first look-up.
    pub fn new(starter: Arc<dyn StartActor>, asleep_bytes_max: usize, meters: Arc<EngineMeters>) -> Self {
        Self {
            awake: DashMap::new(),
            asleep: DashMap::new(),
            asleep_order: Mutex::default(),
            next_stamp: AtomicU64::new(0),
            asleep_bytes: AtomicUsize::new(0),
            asleep_bytes_max,
            starter,
            ports: OnceLock::new(),
            meters,
            survey: ArcSwap::default(),
            upcoming: Mutex::default(),
        }
    }

    /// Says what days may use. The ports name this directory, so they come after it.
    pub fn connect(&self, ports: Arc<DayPorts>) {
        let connected = self.ports.set(ports);
        debug_assert!(connected.is_ok(), "a directory is connected once");
    }

    /// The entry of `day`, waking it if need be. Its state may still be on its way.
    pub fn entry(&self, day: DayKey, now: UtcMillis) -> Arc<DayEntry> {
        if let Some(entry) = self.awake.get(&day).map(|found| Arc::clone(found.value())) {
            return entry;
        }
        match self.awake.entry(day) {
            Entry::Occupied(found) => Arc::clone(found.get()),
            Entry::Vacant(vacant) => {
                let entry = self.start(day, now);
                vacant.insert(Arc::clone(&entry));
                entry
            }
        }
    }

    /// The entry of `day` if it is awake; nothing is started.
    pub fn known(&self, day: DayKey) -> Option<Arc<DayEntry>> {
        self.awake.get(&day).map(|found| Arc::clone(found.value()))
    }

    fn start(&self, day: DayKey, now: UtcMillis) -> Arc<DayEntry> {
        let ports = self.ports.get().expect("the directory is connected before the first look-up");
        self.upcoming.lock().forget(day);
        let origin = match self.asleep.remove(&day) {
            Some((_, (_, asleep))) => {
                self.asleep_bytes.fetch_sub(asleep.bytes.len(), Ordering::Relaxed);
                crash_point!(DayWoken);
                Origin::Asleep(asleep)
            }
            None => Origin::Journal,
        };
        let entry = Arc::new(DayEntry::new(day, &ports.publications, now));
        let actor = DayActor::new(Arc::clone(&entry), Arc::clone(ports), origin);
        entry.intake().connect(self.starter.start(actor));
        // The first turn reads the state.
        entry.intake().control(Control::Due);
        entry
    }

    /// Tells `day` that something may be due.
    pub fn due(&self, day: DayKey, now: UtcMillis) {
        self.entry(day, now).intake().control(Control::Due);
    }

    /// Number of days awake.
    pub fn awake(&self) -> usize {
        self.awake.len()
    }

    /// Number of days kept as packed bytes.
    pub fn asleep(&self) -> usize {
        self.asleep.len()
    }

    /// Most of those bytes.
    pub fn asleep_bytes_max(&self) -> usize {
        self.asleep_bytes_max
    }

    /// Asks days to sleep that were idle for `idle_millis`, and the longest idle ones beyond `awake_max`. Called by maintenance.
    pub fn sweep(&self, now: UtcMillis, idle_millis: i64, awake_max: usize) {
        let mut candidates: Vec<(UtcMillis, Arc<DayEntry>)> =
            self.awake.iter().map(|found| (found.value().last_used(), Arc::clone(found.value()))).collect();
        self.look_around(candidates.iter().map(|(_, entry)| entry), now);
        let surplus = candidates.len().saturating_sub(awake_max);
        if surplus > 0 {
            candidates.sort_unstable_by_key(|(used, entry)| (*used, entry.day()));
        }
        let mut number = 0;
        candidates.retain(|(used, _)| {
            number += 1;
            number <= surplus || now.millis_since(*used) >= idle_millis
        });
        // In an order of their own: that of the map differs from run to run.
        candidates.sort_unstable_by_key(|(_, entry)| entry.day());
        for (_, entry) in &candidates {
            entry.intake().control(Control::Sleep);
        }
        self.report();
    }

    /// What the days awake were up to when they were looked at last.
    pub fn survey(&self) -> Arc<Survey> {
        self.survey.load_full()
    }

    fn look_around<'e>(&self, entries: impl Iterator<Item = &'e Arc<DayEntry>>, now: UtcMillis) {
        let since = self.survey.load().at.map_or(MAINTENANCE_INTERVAL_MILLIS as i64, |at| now.millis_since(at));
        let seconds = since.max(0) as f32 / 1e3;
        let survey = Survey::look(entries, &mut self.upcoming.lock(), now, seconds);
        self.meters.report_survey(&survey);
        self.survey.store(Arc::new(survey));
    }

    /// Has every day of `shards` end what is under way and go, or go at once; forgets those that sleep. Returns how many are still
    /// there: to be called again until none is.
    pub fn leave(&self, shards: &ShardSet, at_once: bool) -> usize {
        let is_left = |day: &DayKey| shards.contains(day.shard());
        let asleep: Vec<DayKey> = self.asleep.iter().map(|found| *found.key()).filter(is_left).collect();
        asleep.into_iter().for_each(|day| self.forget_asleep(day, None));
        let mut leaving: Vec<Arc<DayEntry>> =
            self.awake.iter().filter(|found| is_left(found.key())).map(|found| Arc::clone(found.value())).collect();
        leaving.sort_unstable_by_key(|entry| entry.day());
        let told = leaving.iter().filter(|entry| entry.intake().control(Control::Leave { at_once }));
        let count = told.count();
        self.report();
        count
    }

    fn report(&self) {
        self.meters.days_awake.set(self.awake.len() as f64);
        self.meters.days_asleep.set(self.asleep.len() as f64);
        self.meters.days_asleep_bytes.set(self.asleep_bytes.load(Ordering::Relaxed) as f64);
    }

    fn remember_asleep(&self, day: DayKey, asleep: AsleepDay) {
        let stamp = self.next_stamp.fetch_add(1, Ordering::Relaxed);
        self.asleep_bytes.fetch_add(asleep.bytes.len(), Ordering::Relaxed);
        if let Some((_, older)) = self.asleep.insert(day, (stamp, asleep)) {
            self.asleep_bytes.fetch_sub(older.bytes.len(), Ordering::Relaxed);
        }
        self.asleep_order.lock().push_back((day, stamp));
    }

    fn forget_asleep(&self, day: DayKey, stamp: Option<u64>) {
        let removed = self.asleep.remove_if(&day, |_, (found, _)| stamp.is_none_or(|stamp| stamp == *found));
        if let Some((_, (_, asleep))) = removed {
            self.asleep_bytes.fetch_sub(asleep.bytes.len(), Ordering::Relaxed);
        }
    }

    /// Drops the days that sleep longest until their bytes fit; they are read from the journal when asked for. Then drops stale
    /// entries from the front of the order list while it is much longer than the map.
    fn evict(&self) {
        while self.asleep_bytes.load(Ordering::Relaxed) > self.asleep_bytes_max {
            let Some((day, stamp)) = self.asleep_order.lock().pop_front() else { return };
            self.forget_asleep(day, Some(stamp));
        }
        let mut order = self.asleep_order.lock();
        if order.len() > 2 * self.asleep.len() + 1_024 {
            order.retain(|(day, stamp)| self.asleep.get(day).is_some_and(|found| found.value().0 == *stamp));
        }
    }
}

impl Retire for Directory {
    /// The packed bytes are put down before the entry is taken away, so that a look-up in between finds one of them; while both exist,
    /// the entry is found first.
    fn retire(&self, entry: &Arc<DayEntry>, asleep: Option<AsleepDay>) -> bool {
        let day = entry.day();
        let keeps = asleep.is_some();
        if let Some(asleep) = asleep {
            self.remember_asleep(day, asleep);
        }
        crash_point!(DayPutDown);
        let removed = self.awake.remove_if(&day, |_, found| {
            Arc::ptr_eq(found, entry) && entry.in_flight().is_empty() && entry.intake().close_if_empty()
        });
        if removed.is_none() && keeps {
            self.forget_asleep(day, None);
        }
        if removed.is_some()
            && let Some(ports) = self.ports.get()
        {
            self.upcoming.lock().slept(entry, ports.clock.now());
        }
        self.evict();
        crash_point!(DayAsleep);
        removed.is_some()
    }
}
