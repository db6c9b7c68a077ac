//! One job: claim, check, send, record. Whatever ends it in between, the claim lapses and the message goes out again
//! under the same id.
//! Must not know: which message is next, providers, SQL.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use booking_core::UtcMillis;
use futures_util::StreamExt;
use futures_util::future::{Either, select};

use super::actor::{Found, Job, Next, Provider, Purpose, Settled};
use super::alerts::Tally;
use super::check::{Check, Verdict, is_too_late};
use super::courier::{Capacity, Courier, Delivered, Letter};
use super::meters::Meters;
use super::retry::Backoff;
use crate::clock::{Clock, timeout};
use crate::ledger::ApplyError;
use crate::ledger::people::Channel;
use crate::ledger::reminders::{Claimer, Outcome, ReminderKey, ReminderRow, ReminderStore};
use crate::signal::Signal;

/// How long a claim lasts: a job's calls all end within half of it, and nothing is sent later than that. So late is
/// what a node was sending that died.
pub(super) const CLAIM_MILLIS: i64 = 30_000;
/// After so much of its claim a job sends nothing more.
const SENDING_MICROS_MAX: u64 = 15_000_000;
/// How long the engine's own door may take for the answers of a job.
const CHECK_MAX: Duration = Duration::from_secs(5);
/// When a job is tried again that could not be claimed or checked.
const PAUSE_MILLIS: i64 = 1_000;
/// Between two attempts to record what became of messages.
const RECORD_PAUSE: Duration = Duration::from_millis(500);
/// How long calls under way may go on after a stop; what has not returned by then goes out again.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// Longest reason that is kept of a failure.
const REASON_CHARACTERS_MAX: usize = 300;

/// What jobs are done with.
pub struct Delivery {
    /// The rows.
    pub store: Arc<dyn ReminderStore>,
    /// The engine's own door.
    pub check: Arc<dyn Check>,
    /// By channel.
    pub couriers: HashMap<Channel, Arc<dyn Courier>>,
    /// The engine's time.
    pub clock: Arc<dyn Clock>,
    /// Who claims.
    pub claimer: Claimer,
    /// When to try again.
    pub backoff: Backoff,
    /// Calls in a row to a provider that is away, after which a job makes no more.
    pub failures_max: u32,
    /// Numbers.
    pub meters: Meters,
    /// What operators are to be told.
    pub(super) tally: Arc<Tally>,
    /// Given when the engine stops.
    pub stop: Arc<Signal>,
}

/// What a job has come to, row by row.
#[derive(Default)]
struct Results {
    outcomes: Vec<(ReminderKey, Outcome)>,
    /// Rows that no other channel comes after.
    last: HashSet<ReminderKey>,
    provider: Option<Provider>,
}

/// What the calls of a job have learnt of the provider. Atomic because the calls run side by side, on one task.
#[derive(Default)]
struct Seen {
    /// Calls in a row that found nobody.
    away: AtomicU32,
    was_answered: AtomicBool,
}

impl Seen {
    fn note(&self, delivered: Option<&[Delivered]>) {
        let Some(delivered) = delivered else { return };
        let mut told = delivered.iter().filter(|it| !matches!(it, Delivered::NotTried { .. })).peekable();
        if told.peek().is_none() {
            return;
        }
        if told.all(|it| matches!(it, Delivered::Away { .. })) {
            self.away.fetch_add(1, Relaxed);
        } else {
            self.away.store(0, Relaxed);
            self.was_answered.store(true, Relaxed);
        }
    }

    fn provider(&self) -> Option<Provider> {
        match (self.away.load(Relaxed), self.was_answered.load(Relaxed)) {
            (0, true) => Some(Provider::Answered),
            (0, false) => None,
            (calls, _) => Some(Provider::Away { calls }),
        }
    }
}

impl Delivery {
    /// Does `job` to its end. Never cancelled: it writes.
    pub async fn run(&self, job: Job) -> Settled {
        let (began, now) = (self.clock.monotonic_micros(), self.clock.now());
        let lapses_at = now.plus_millis(CLAIM_MILLIS);
        let claimed = match self.store.claim(&job.keys, self.claimer, now, lapses_at).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, messages = job.keys.len(), "messages could not be claimed; trying again");
                let again = Next::At(self.clock.now().plus_millis(PAUSE_MILLIS));
                let rows = job.keys.iter().map(|key| (*key, again)).collect();
                return settled(&job, Provider::NotAsked, rows, Vec::new());
            }
        };
        crash_point!(ReminderClaimed);
        let last = claimed.iter().filter(|row| row.fallback.is_empty()).map(|row| row.key).collect();
        let mut results = Results { last, ..Results::default() };
        let letters = self.checked(claimed, &mut results).await;
        match (job.purpose, self.couriers.get(&job.channel)) {
            (Purpose::PassOn, _) => self.pass_on(&letters, &mut results),
            (_, Some(courier)) => self.send(&**courier, &job, letters, began, &mut results).await,
            (_, None) => {
                let error = || "this server does not have the channel".to_owned();
                let given_up = |letter: &Letter| (letter.row.key, Outcome::GivenUp { error: error() });
                results.outcomes.extend(letters.iter().map(given_up));
            }
        }
        crash_point!(ReminderBeforeRecord);
        let found = self.record(&results).await;
        crash_point!(ReminderRecorded);
        let next: HashMap<ReminderKey, Next> = results.outcomes.iter().map(|(key, it)| (*key, next_of(it))).collect();
        let rows = job.keys.iter().map(|key| (*key, next.get(key).copied().unwrap_or(Next::Done))).collect();
        settled(&job, results.provider.unwrap_or(Provider::NotAsked), rows, found)
    }

    /// What of `claimed` is still to be sent.
    async fn checked(&self, claimed: Vec<ReminderRow>, results: &mut Results) -> Vec<Letter> {
        let now = self.clock.now();
        let (late, rows): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|row| is_too_late(row, now));
        results.outcomes.extend(late.into_iter().map(|row| (row.key, Outcome::Missed)));
        if rows.is_empty() {
            return Vec::new();
        }
        let Some(verdicts) = timeout(&*self.clock, CHECK_MAX, self.check.check(&rows)).await else {
            let released = |row: ReminderRow| (row.key, self.released("the engine did not answer in time"));
            results.outcomes.extend(rows.into_iter().map(released));
            return Vec::new();
        };
        let mut letters = Vec::with_capacity(rows.len());
        for (row, verdict) in rows.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Stands(placed) => {
                    letters.push(Letter { message_id: row.key.message_id(), row, placed: *placed });
                }
                Verdict::Changed => results.outcomes.push((row.key, Outcome::Cancelled)),
                Verdict::Unknown(reason) => results.outcomes.push((row.key, self.released(&reason))),
            }
        }
        letters
    }

    /// Not tried, and soon looked at again.
    fn released(&self, reason: &str) -> Outcome {
        Outcome::Released { at: self.clock.now().plus_millis(PAUSE_MILLIS), error: Some(shortened(reason)) }
    }

    fn pass_on(&self, letters: &[Letter], results: &mut Results) {
        for Letter { row, .. } in letters {
            let outcome = match row.fallback.is_empty() {
                true => Outcome::Released { at: self.clock.now(), error: None },
                false => Outcome::GivenUp { error: "the provider is away".to_owned() },
            };
            results.outcomes.push((row.key, outcome));
        }
    }

    async fn send(&self, courier: &dyn Courier, job: &Job, letters: Vec<Letter>, began: u64, results: &mut Results) {
        let capacity = courier.capacity();
        let seen = Seen::default();
        let mut calls = Vec::new();
        for letters in letters.chunks(capacity.batch.max(1)) {
            calls.push(self.call_if_worth(courier, &capacity, letters, began, &seen));
        }
        let mut done = futures_util::stream::iter(calls).buffer_unordered(capacity.calls.max(1));
        while let Some((letters, delivered)) = done.next().await {
            // Who was not sent was not claimed for nothing: no attempt is counted.
            let Some(delivered) = delivered else {
                let released = Outcome::Released { at: self.clock.now(), error: None };
                results.outcomes.extend(letters.iter().map(|letter| (letter.row.key, released.clone())));
                continue;
            };
            for (letter, delivered) in letters.iter().zip(delivered) {
                results.outcomes.push((letter.row.key, self.outcome(job.purpose, &letter.row, delivered)));
            }
        }
        results.provider = seen.provider();
    }

    /// One call, unless the job has learnt that it is of no use, or has lasted too long.
    async fn call_if_worth<'letters>(
        &self,
        courier: &dyn Courier,
        capacity: &Capacity,
        letters: &'letters [Letter],
        began: u64,
        seen: &Seen,
    ) -> (&'letters [Letter], Option<Vec<Delivered>>) {
        let left = SENDING_MICROS_MAX.saturating_sub(self.clock.monotonic_micros().saturating_sub(began));
        if seen.away.load(Relaxed) >= self.failures_max || self.stop.is_given() || left == 0 {
            return (letters, None);
        }
        let delivered = self.call(courier, capacity, letters, Duration::from_micros(left)).await;
        seen.note(delivered.as_deref());
        (letters, delivered)
    }

    /// One call; `None`: the engine stops, and nobody knows what became of it.
    async fn call(
        &self,
        courier: &dyn Courier,
        capacity: &Capacity,
        letters: &[Letter],
        left: Duration,
    ) -> Option<Vec<Delivered>> {
        let stopped = async {
            self.stop.wait().await;
            self.clock.sleep(STOP_GRACE).await;
        };
        let call = timeout(&*self.clock, capacity.deadline.min(left), courier.send(letters));
        let (call, stopped) = (std::pin::pin!(call), std::pin::pin!(stopped));
        let away = |reason: &str| vec![Delivered::Away { reason: reason.to_owned() }; letters.len()];
        match select(call, stopped).await {
            Either::Left((Some(delivered), _)) if delivered.len() == letters.len() => Some(delivered),
            Either::Left((Some(_), _)) => Some(away("the channel did not say what became of each")),
            Either::Left((None, _)) => Some(away("no answer in time")),
            Either::Right(_) => None,
        }
    }

    fn outcome(&self, purpose: Purpose, row: &ReminderRow, delivered: Delivered) -> Outcome {
        let now = self.clock.now();
        match delivered {
            Delivered::Sent => {
                self.meters.lateness(row, now);
                Outcome::Sent
            }
            Delivered::NotTried { reason } => self.released(&reason),
            Delivered::Refused { reason } => Outcome::GivenUp { error: shortened(&reason) },
            // A message that was chosen to see whether the provider is back is not worse off for it.
            Delivered::Away { reason } if purpose == Purpose::Probe => {
                Outcome::Released { at: now, error: Some(shortened(&reason)) }
            }
            Delivered::Away { reason } => self.again(row, now, &reason, Duration::ZERO),
            Delivered::Later { reason, after } => self.again(row, now, &reason, after.unwrap_or_default()),
        }
    }

    fn again(&self, row: &ReminderRow, now: UtcMillis, reason: &str, at_least: Duration) -> Outcome {
        let error = shortened(reason);
        let seed = row.key.message_id().as_u64_pair().0;
        match self.backoff.after(row.attempts, seed) {
            Some(wait) => {
                self.meters.retried(row.key.channel);
                let wait = i64::try_from(wait.max(at_least).as_millis()).unwrap_or(i64::MAX);
                Outcome::Again { at: now.plus_millis(wait), error }
            }
            None => Outcome::GivenUp { error },
        }
    }

    /// Until it is recorded, or the claim has lapsed, or the engine stops: then the messages go out again.
    async fn record(&self, Results { outcomes, last, .. }: &Results) -> Vec<Found> {
        if outcomes.is_empty() {
            return Vec::new();
        }
        let began = self.clock.monotonic_micros();
        loop {
            match self.store.record(outcomes, self.claimer, self.clock.now()).await {
                Ok(written) => {
                    let dead = self.meters.recorded(outcomes, last);
                    self.tally.add(&dead, self.clock.now());
                    return written.iter().map(found).collect();
                }
                Err(ApplyError::Unavailable(reason) | ApplyError::Refused(reason)) => {
                    let waited = self.clock.monotonic_micros().saturating_sub(began);
                    let messages = outcomes.len();
                    if self.stop.is_given() || waited > CLAIM_MILLIS as u64 * 1_000 {
                        tracing::warn!(reason, messages, "what became of messages is not recorded: they go out again");
                        return Vec::new();
                    }
                    tracing::warn!(reason, messages, "what became of messages is not recorded yet; trying again");
                }
            }
            self.clock.sleep(RECORD_PAUSE).await;
        }
    }
}

/// A row as the actor has it.
pub(super) fn found(row: &ReminderRow) -> Found {
    let has_fallback = !row.fallback.is_empty();
    Found { key: row.key, shard: row.day.shard(), at: row.next_at, has_fallback }
}

fn next_of(outcome: &Outcome) -> Next {
    match outcome {
        Outcome::Again { at, .. } | Outcome::Released { at, .. } => Next::At(*at),
        Outcome::Sent | Outcome::GivenUp { .. } | Outcome::Cancelled | Outcome::Missed => Next::Done,
    }
}

fn settled(job: &Job, provider: Provider, rows: Vec<(ReminderKey, Next)>, found: Vec<Found>) -> Settled {
    Settled { channel: job.channel, purpose: job.purpose, provider, rows, found }
}

fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_CHARACTERS_MAX).collect()
}
