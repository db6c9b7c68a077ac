//! One connection's share of the patients: each pressed once, and again with the same key while the outcome is open.
//! Must not know: other connections, how a run is judged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::driver::clock;
use crate::driver::connection::Connection;
use crate::driver::press::PressPlan;
use crate::outcome::{NOT_RELEASED, Outcome, Press, Trouble, classify};

/// How long one request may stay without an answer before its outcome counts as unknown.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before a lost connection is opened again, and before a request without an answer is repeated.
const RECONNECT_DELAY: Duration = Duration::from_millis(100);
/// Pause before a press that came too early is repeated: timing is right to a millisecond or so.
const EARLY_DELAY: Duration = Duration::from_millis(5);
/// The longest `Retry-After` that is honoured, so that a run ends.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(2);

/// One patient on its way.
struct Pending {
    index: usize,
    first_sent: Option<Instant>,
    trouble: Trouble,
    last: Option<Outcome>,
    due: Instant,
}

/// The work of one connection.
pub(crate) struct Share<'a> {
    plan: &'a PressPlan,
    connection: Option<Connection>,
    /// Of the connection, among those of the plan; also the first of its patients.
    number: usize,
    pressed_at: Instant,
    deadline: Instant,
    /// When the last patient begins.
    stop: Option<Instant>,
    request: Vec<u8>,
    /// Patients to be pressed again; at most as many as the share has.
    again: VecDeque<Pending>,
    done: Vec<Press>,
}

impl<'a> Share<'a> {
    /// Begins at `pressed_at`, from which micros are counted, and ends at the plan's deadline after it.
    pub(crate) fn new(plan: &'a PressPlan, connection: Option<Connection>, number: usize, pressed_at: Instant) -> Self {
        let deadline = pressed_at + plan.deadline;
        let connection = connection.filter(Connection::is_usable);
        let stop = plan.stop_after.map(|after| pressed_at + after);
        let (request, again, done) = (Vec::new(), VecDeque::new(), Vec::new());
        Self { plan, connection, number, pressed_at, deadline, stop, request, again, done }
    }

    /// Presses for the patients `number`, `number + stride`, … and tells how each ended. Ends at the deadline;
    /// who would begin after the plan's `stop_after` is left out.
    pub(crate) async fn run(mut self, stride: usize) -> Vec<Press> {
        for index in (self.number..self.plan.patients.len()).step_by(stride) {
            if self.stop.is_some_and(|stop| clock::now() >= stop) {
                break;
            }
            let due = self.pressed_at;
            self.attempt(Pending { index, first_sent: None, trouble: Trouble::default(), last: None, due }).await;
        }
        while let Some(pending) = self.again.pop_front() {
            tokio::time::sleep_until(pending.due.min(self.deadline).into()).await;
            self.attempt(pending).await;
        }
        self.done
    }

    async fn attempt(&mut self, mut pending: Pending) {
        let Some(mut connection) = self.connect().await else {
            let outcome = pending.last.take().unwrap_or(Outcome::NeverSent);
            return self.finish(pending, outcome, self.deadline);
        };
        self.plan.requests.write(&self.plan.patients[pending.index], pending.index, &mut self.request);
        let sent = clock::now();
        pending.first_sent.get_or_insert(sent);
        let until = (sent + REQUEST_TIMEOUT).min(self.deadline);
        let exchange = tokio::time::timeout_at(until.into(), connection.exchange(&self.request)).await;
        let ended = clock::now();
        let (outcome, retry_after_seconds) = match exchange {
            Ok(Ok(answer)) => {
                let outcome = classify(answer.head.status, answer.head.replayed, answer.body);
                (outcome, answer.head.retry_after_seconds)
            }
            Ok(Err(_)) | Err(_) => (Outcome::NoAnswer, None),
        };
        if connection.is_usable() {
            self.connection = Some(connection);
        }
        self.settle(pending, outcome, retry_after_seconds, ended);
    }

    /// Ends the patient's story with `outcome`, or has it pressed again if that leaves something open.
    fn settle(&mut self, mut pending: Pending, outcome: Outcome, retry_after_seconds: Option<u32>, ended: Instant) {
        let was_unknown = pending.last.as_ref().is_some_and(Outcome::is_unknown);
        let outcome = match outcome {
            Outcome::Refused { status, code } if was_unknown && !settles_earlier_attempts(status) => {
                Outcome::Uncertain { status, code }
            }
            other => other,
        };
        let delay = match &outcome {
            Outcome::NoAnswer => {
                pending.trouble.transport_errors += 1;
                RECONNECT_DELAY
            }
            Outcome::Uncertain { .. } => {
                pending.trouble.uncertain_answers += 1;
                Duration::from_secs(retry_after_seconds.unwrap_or(1).into()).min(MAX_RETRY_AFTER)
            }
            Outcome::Refused { code, .. } if self.plan.repress_early && code == NOT_RELEASED => {
                pending.trouble.early_presses += 1;
                EARLY_DELAY
            }
            _ => return self.finish(pending, outcome, ended),
        };
        if pending.trouble.attempts() > self.plan.retries {
            return self.finish(pending, outcome, ended);
        }
        pending.last = Some(outcome);
        pending.due = ended + delay;
        self.again.push_back(pending);
    }

    fn finish(&mut self, pending: Pending, outcome: Outcome, ended: Instant) {
        let micros = |instant: Instant| {
            u64::try_from(instant.saturating_duration_since(self.pressed_at).as_micros()).unwrap_or(u64::MAX)
        };
        self.done.push(Press {
            patient: self.plan.patients[pending.index].id,
            wanted_start_millis: self.plan.requests.wanted_start_millis(pending.index),
            outcome,
            first_sent_micros: micros(pending.first_sent.unwrap_or(ended)),
            ended_micros: micros(ended),
            trouble: pending.trouble,
        });
    }

    /// The kept connection or a new one; `None` once the deadline has come. A server that is away costs the patients
    /// no attempts: nothing was sent.
    async fn connect(&mut self) -> Option<Connection> {
        if clock::now() >= self.deadline {
            return None;
        }
        if let Some(connection) = self.connection.take() {
            return Some(connection);
        }
        let deadline = self.deadline.into();
        loop {
            if let Ok(connection) =
                tokio::time::timeout_at(deadline, Connection::open(self.plan.address_of(self.number))).await.ok()?
            {
                return Some(connection);
            }
            tokio::time::timeout_at(deadline, tokio::time::sleep(RECONNECT_DELAY)).await.ok()?;
        }
    }
}

/// Whether a refusal with this status tells what became of an earlier attempt with the same key. Those that are given
/// before the key is looked up (who calls, limits) do not.
const fn settles_earlier_attempts(status: u16) -> bool {
    matches!(status, 404 | 409 | 422)
}
