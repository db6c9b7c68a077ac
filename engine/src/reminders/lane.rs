//! One channel: what is due and waits, how much of it is being sent, whether its provider is worth a call.
//! Must not know: stores, couriers, the other channels.

use std::collections::VecDeque;

use super::breaker::{Admission, Breaker, BreakerPolicy};
use super::courier::Capacity;
use crate::ledger::people::Channel;
use crate::ledger::reminders::ReminderKey;

/// Jobs of a channel at once: while one sends, the next is claimed and checked.
const JOBS_MAX: usize = 2;

/// Rounds of calls that one job makes where a call takes one letter: four share one claim and one record. All of them
/// end within half a claim.
const ROUNDS: usize = 4;

/// Most messages of one channel that wait in memory, some 5 MiB. More are left in the store, where the sweep finds them
/// when there is room, so that
/// a provider that is away for hours fills no memory.
pub(super) const WAITING_MAX: usize = 100_000;

/// So long does a message wait for a provider that is away before the next channel of its order has it.
const PATIENCE_SECONDS: u64 = 60;

/// What a job is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To send.
    Send,
    /// To see with one message whether the provider is back.
    Probe,
    /// To give messages to the next channel of their order, because this one's provider is away.
    PassOn,
}

/// Messages that are claimed, checked, sent and recorded together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// How they leave.
    pub channel: Channel,
    /// See there.
    pub purpose: Purpose,
    /// Which.
    pub keys: Vec<ReminderKey>,
}

struct Waiting {
    key: ReminderKey,
    /// In seconds of monotonic time.
    since_seconds: u32,
    has_fallback: bool,
}

/// See the module.
pub(super) struct Lane {
    channel: Channel,
    waiting: VecDeque<Waiting>,
    jobs: usize,
    breaker: Breaker,
    job_max: usize,
}

impl Lane {
    /// `capacity` is that of the channel's courier; `None`: there is none, and nothing to be spared.
    pub(super) fn new(channel: Channel, capacity: Option<Capacity>, policy: BreakerPolicy) -> Self {
        let job_max = capacity.map_or(1_024, |capacity| {
            let rounds = if capacity.batch > 1 { 1 } else { ROUNDS };
            (capacity.batch * capacity.calls * rounds).max(1)
        });
        Self { channel, waiting: VecDeque::new(), jobs: 0, breaker: Breaker::new(policy), job_max }
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn jobs(&self) -> usize {
        self.jobs
    }

    pub(super) fn breaker(&mut self) -> &mut Breaker {
        &mut self.breaker
    }

    pub(super) fn push(&mut self, key: ReminderKey, has_fallback: bool, since_seconds: u32) {
        self.waiting.push_back(Waiting { key, since_seconds, has_fallback });
    }

    /// A job that has become nothing more.
    pub(super) fn job_ended(&mut self) {
        self.jobs = self.jobs.saturating_sub(1);
    }

    /// The next job, if one may begin. `waits` says whether a message still waits, and takes it if so told: what does
    /// not wait is dropped.
    pub(super) fn next_job(
        &mut self,
        now_micros: u64,
        mut waits: impl FnMut(&ReminderKey, bool) -> bool,
    ) -> Option<Job> {
        while self.waiting.front().is_some_and(|first| !waits(&first.key, false)) {
            self.waiting.pop_front();
        }
        if self.jobs >= JOBS_MAX || self.waiting.is_empty() {
            return None;
        }
        let (purpose, most) = match self.breaker.admit(now_micros) {
            Admission::All => (Purpose::Send, self.job_max),
            Admission::Probe => (Purpose::Probe, 1),
            Admission::Nothing { .. } => return None,
        };
        let mut keys = Vec::with_capacity(most.min(self.waiting.len()));
        while keys.len() < most
            && let Some(first) = self.waiting.pop_front()
        {
            if waits(&first.key, true) {
                keys.push(first.key);
            }
        }
        self.jobs += 1;
        Some(Job { channel: self.channel, purpose, keys })
    }

    /// Those that have waited long enough for a provider that is away, and have another channel to go to.
    pub(super) fn pass_on(
        &mut self,
        now_micros: u64,
        mut waits: impl FnMut(&ReminderKey, bool) -> bool,
    ) -> Option<Job> {
        if self.breaker.is_closed() || self.jobs >= JOBS_MAX {
            return None;
        }
        let mut keys = Vec::new();
        let most = self.job_max;
        self.waiting.retain(|it| {
            let waited_seconds = (now_micros / 1_000_000).saturating_sub(it.since_seconds.into());
            let is_late = it.has_fallback && waited_seconds >= PATIENCE_SECONDS;
            if !is_late || keys.len() >= most {
                return true;
            }
            if waits(&it.key, true) {
                keys.push(it.key);
            }
            false
        });
        if keys.is_empty() {
            return None;
        }
        self.jobs += 1;
        Some(Job { channel: self.channel, purpose: Purpose::PassOn, keys })
    }

    /// When [`Lane::next_job`] is worth another look by time alone.
    pub(super) fn wake_micros(&mut self, now_micros: u64) -> Option<u64> {
        if self.waiting.is_empty() || self.jobs >= JOBS_MAX {
            return None;
        }
        self.breaker.opens_again_micros().map(|until| until.max(now_micros))
    }
}
