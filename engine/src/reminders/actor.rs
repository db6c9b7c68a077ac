//! What of the reminders is in hand, and what is to be done next: a plain struct that is told of everything and waits
//! for nothing.
//! Must not know: stores, couriers, tasks.
//!
//! An index of durable rows, and nothing but: whatever it forgets or never heard of is found again by the sweep, and
//! whatever it has too much is
//! refused by the claim. A row is here at most once: as a timer, waiting for its channel, or being sent.

use std::time::Duration;

use booking_core::UtcMillis;
use foldhash::HashMap;

use super::breaker::BreakerPolicy;
use super::courier::Capacity;
use super::lane::Lane;
pub use super::lane::{Job, Purpose};
use super::wheel::{Handle, Wheel};
use crate::ledger::people::Channel;
use crate::ledger::reminders::ReminderKey;
use crate::ownership::ShardSet;

/// Most rows in hand, some 200 MiB: those of the next two hours of a node that sends two hundred a second. Later ones
/// are read when there is room.
const IN_HAND_MAX: usize = 1_500_000;

/// Longest rest: a clock that was set forward is seen after so long.
const REST_MAX: Duration = Duration::from_secs(1);

/// Both times of one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// The engine's time: what is due.
    pub utc: UtcMillis,
    /// Monotonic: how long something has lasted.
    pub micros: u64,
}

/// A row to be sent at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Which.
    pub key: ReminderKey,
    /// Of the day that sends it.
    pub shard: u16,
    /// When.
    pub at: UtcMillis,
    /// Whether another channel comes after this one.
    pub has_fallback: bool,
}

/// What becomes of a row after a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing here.
    Done,
    /// Looked at again then.
    At(UtcMillis),
}

/// What a job has learnt of the provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Provider {
    /// It answered.
    Answered,
    /// It was away, so many times in a row.
    Away {
        /// Calls.
        calls: u32,
    },
    /// It was not asked.
    NotAsked,
}

/// A job that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    /// Of which channel.
    pub channel: Channel,
    /// What it was for.
    pub purpose: Purpose,
    /// See there.
    pub provider: Provider,
    /// Every row of the job.
    pub rows: Vec<(ReminderKey, Next)>,
    /// Rows of the next channels.
    pub found: Vec<Found>,
}

impl Job {
    /// As if it had never been: its rows are found again by the sweep.
    pub(super) fn forgotten(self) -> Settled {
        let rows = self.keys.into_iter().map(|key| (key, Next::Done)).collect();
        let (channel, purpose) = (self.channel, self.purpose);
        Settled { channel, purpose, provider: Provider::NotAsked, rows, found: Vec::new() }
    }
}

/// What the actor is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// From now on exactly these shards are ours and open.
    Shards(Box<ShardSet>),
    /// Rows that are durable; in hand already or not.
    Found(Vec<Found>),
    /// A job has ended.
    Settled(Box<Settled>),
}

#[derive(Clone, Copy)]
enum Place {
    Timer(Handle),
    Waiting,
    Sending,
}

#[derive(Clone, Copy)]
struct Held {
    place: Place,
    shard: u16,
    has_fallback: bool,
    /// When it was due first, in seconds of monotonic time; 0: not yet.
    waits_since: u32,
}

/// See the module.
pub struct Actor {
    wheel: Wheel<ReminderKey>,
    held: HashMap<ReminderKey, Held>,
    /// By the number of the channel.
    lanes: Vec<Lane>,
    open: ShardSet,
    is_stopping: bool,
}

impl Actor {
    /// Nothing in hand. `capacity` says how much each channel is given, `None` for one that this server has not.
    pub fn new(now: UtcMillis, capacity: impl Fn(Channel) -> Option<Capacity>, policy: BreakerPolicy) -> Self {
        let lanes = Channel::ALL.into_iter().map(|channel| Lane::new(channel, capacity(channel), policy)).collect();
        Self { wheel: Wheel::new(now), held: HashMap::default(), lanes, open: ShardSet::default(), is_stopping: false }
    }

    /// Takes up `message`, and says what is to be done.
    pub fn handle(&mut self, message: Message, now: Now) -> Vec<Job> {
        match message {
            Message::Shards(open) => self.own(*open),
            Message::Found(found) => found.into_iter().for_each(|row| self.find(row, now)),
            Message::Settled(settled) => self.settle(*settled, now),
        }
        self.tick(now)
    }

    /// What is to be done by now.
    pub fn tick(&mut self, now: Now) -> Vec<Job> {
        for (_, key) in self.wheel.advance(now.utc) {
            let lane = &mut self.lanes[key.channel as usize];
            match self.held.get_mut(&key) {
                Some(held) if lane.has_room() => {
                    held.place = Place::Waiting;
                    let seconds = u32::try_from(now.micros / 1_000_000).unwrap_or(u32::MAX).max(1);
                    if held.waits_since == 0 {
                        held.waits_since = seconds;
                    }
                    lane.push(key, held.has_fallback, held.waits_since);
                }
                _ => drop(self.held.remove(&key)),
            }
        }
        if self.is_stopping {
            return Vec::new();
        }
        let held = &mut self.held;
        let mut waits = |key: &ReminderKey, takes: bool| match held.get_mut(key) {
            Some(held) if matches!(held.place, Place::Waiting) => {
                if takes {
                    held.place = Place::Sending;
                }
                true
            }
            _ => false,
        };
        let mut jobs = Vec::new();
        for lane in &mut self.lanes {
            jobs.extend(std::iter::from_fn(|| lane.next_job(now.micros, &mut waits)));
            jobs.extend(lane.pass_on(now.micros, &mut waits));
        }
        jobs
    }

    /// How long nothing happens by itself.
    pub fn rest(&mut self, now: Now) -> Duration {
        let due = self.wheel.next().map(|next| Duration::from_millis(next.millis_since(now.utc).max(0) as u64));
        let probe = self.lanes.iter_mut().filter_map(|lane| lane.wake_micros(now.micros)).min();
        let probe = probe.map(|at| Duration::from_micros(at - now.micros));
        due.into_iter().chain(probe).chain([REST_MAX]).min().unwrap_or(REST_MAX)
    }

    /// Begins nothing any more.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Whether nothing is being sent.
    pub fn is_quiet(&self) -> bool {
        self.lanes.iter().all(|lane| lane.jobs() == 0)
    }

    /// Timers in the wheel.
    pub fn timers(&self) -> usize {
        self.wheel.len()
    }

    /// Rows in hand: timers, waiting, being sent.
    pub fn in_hand(&self) -> usize {
        self.held.len()
    }

    /// Of every channel: how many messages wait, and the level of its breaker.
    pub fn channels(&mut self) -> impl Iterator<Item = (Channel, usize, u8)> + '_ {
        Channel::ALL
            .into_iter()
            .zip(&mut self.lanes)
            .map(|(channel, lane)| (channel, lane.waiting(), lane.breaker().level()))
    }

    fn own(&mut self, open: ShardSet) {
        self.open = open;
        let wheel = &mut self.wheel;
        self.held.retain(|_, held| {
            let stays = open.contains(held.shard) || matches!(held.place, Place::Sending);
            if let (false, Place::Timer(handle)) = (stays, held.place) {
                wheel.cancel(handle);
            }
            stays
        });
    }

    fn find(&mut self, row: Found, now: Now) {
        let Found { key, shard, at, has_fallback } = row;
        if !self.open.contains(shard) {
            return;
        }
        match self.held.get(&key).map(|held| held.place) {
            Some(Place::Waiting | Place::Sending) => return,
            Some(Place::Timer(handle)) if self.wheel.instant(handle) == Some(at) => return,
            Some(Place::Timer(handle)) => drop(self.wheel.cancel(handle)),
            None if self.held.len() >= IN_HAND_MAX => return,
            None if at <= now.utc && !self.lanes[key.channel as usize].has_room() => return,
            None => {}
        }
        let place = Place::Timer(self.wheel.insert(at, key));
        self.held.insert(key, Held { place, shard, has_fallback, waits_since: 0 });
    }

    fn settle(&mut self, settled: Settled, now: Now) {
        let lane = &mut self.lanes[settled.channel as usize];
        lane.job_ended();
        match (settled.provider, settled.purpose) {
            (Provider::Answered, _) => lane.breaker().answered(),
            (Provider::Away { calls }, _) => (0..calls).for_each(|_| lane.breaker().failed(now.micros)),
            (Provider::NotAsked, Purpose::Probe) => lane.breaker().not_probed(now.micros),
            (Provider::NotAsked, _) => {}
        }
        for (key, next) in settled.rows {
            match (next, self.held.get_mut(&key)) {
                (Next::At(at), Some(held)) if self.open.contains(held.shard) => {
                    held.place = Place::Timer(self.wheel.insert(at, key));
                }
                _ => drop(self.held.remove(&key)),
            }
        }
        settled.found.into_iter().for_each(|row| self.find(row, now));
    }
}

#[cfg(test)]
mod tests;
