//! One device of a patient: wishes, waits, tries again under the same key, or goes away.
//! Must not know: what the right answers are.

use std::sync::Arc;

use booking_core::{PatientId, UtcMillis};
use engine::EngineError;
use futures_util::future::join;

use super::clinic::{Clinic, Hold};
use super::wish::{Wisher, with_key};
use crate::kernel::{EPOCH, Kernel, OUTSIDE};
use crate::network::Network;
use crate::oracle::{Asked, Reply, Told};
use crate::random::Random;

/// How often a client tries again before it gives up.
const TRIES_MAX: u64 = 6;
/// Requests under keys that a client remembers, to send them again much later.
const REMEMBERED_MAX: usize = 12;
/// No client waits longer than this for the end of a hold, in microseconds.
const EDGE_MICROS_MAX: u64 = 35_000_000;

/// See the module.
pub struct Client {
    network: Network,
    kernel: Kernel,
    clinic: Arc<Clinic>,
    random: Random,
    number: u64,
    patient: PatientId,
    audiences: Arc<[Box<str>]>,
    keys: u64,
    remembered: Vec<Asked>,
}

impl Client {
    /// The device with this number; patients have one or several.
    pub fn new(network: &Network, kernel: &Kernel, clinic: &Arc<Clinic>, random: Random, number: u64) -> Self {
        let mut random = random;
        let patient = *random.pick(&clinic.patients).expect("a clinic has patients");
        let is_regular = patient.as_bytes()[15].is_multiple_of(3);
        let audiences = if is_regular { Arc::from([Box::from("regulars")]) } else { Arc::from([]) };
        let (network, kernel, clinic) = (network.clone(), kernel.clone(), Arc::clone(clinic));
        Self { network, kernel, clinic, random, number, patient, audiences, keys: 0, remembered: Vec::new() }
    }

    /// Wishes until `until_micros`.
    pub async fn run(mut self, until_micros: u64) {
        while self.kernel.now_micros() < until_micros {
            let on_the_edge = self.on_the_edge();
            match &on_the_edge {
                Some((_, at_micros)) => self.wait_until((*at_micros).min(until_micros)).await,
                None => self.pause(until_micros).await,
            }
            if self.kernel.now_micros() >= until_micros {
                return;
            }
            if let Some(asked) = on_the_edge.map(|(asked, _)| asked).or_else(|| self.next()) {
                match self.at_the_same_time(&asked) {
                    Some(other) => drop(join(self.ask(&asked), self.ask(&other)).await),
                    None => self.pursue(&asked).await,
                }
            }
        }
    }

    /// Sometimes: what to do with the newest hold in the very moment in which it ends, and when that is.
    fn on_the_edge(&mut self) -> Option<(Asked, u64)> {
        if !self.random.chance(100_000) {
            return None;
        }
        let hold = self.clinic.hold(self.patient)?;
        let ends_micros = u64::try_from(hold.expires_at.millis_since(EPOCH)).ok()? * 1_000;
        let at_micros = ends_micros.saturating_sub(1_000) + self.random.below(3_000);
        let wait = at_micros.checked_sub(self.kernel.now_micros()).filter(|wait| *wait < EDGE_MICROS_MAX);
        let Self { clinic, random, patient, audiences, .. } = self;
        let asked = wait.and_then(|_| Wisher { clinic, random, patient: *patient, audiences }.with_hold(hold))?;
        self.keys += 1;
        Some((with_key(asked, &format!("{}-{}", self.number, self.keys)), at_micros))
    }

    /// Sometimes: another wish, sent together with `asked`; often with a move, which so meets what it may not meet half-way.
    fn at_the_same_time(&mut self, asked: &Asked) -> Option<Asked> {
        let is_move = matches!(asked, Asked::Reschedule(_));
        if !self.random.chance(if is_move { 400_000 } else { 80_000 }) {
            return None;
        }
        self.another(asked)
    }

    /// Another wish; now and then by mistake under the same key.
    fn another(&mut self, asked: &Asked) -> Option<Asked> {
        let Self { clinic, random, patient, audiences, .. } = self;
        let other = Wisher { clinic, random, patient: *patient, audiences }.elsewhere(asked)?;
        self.keys += 1;
        let own = format!("{}-{}", self.number, self.keys);
        let shared = asked.key().filter(|_| self.random.chance(300_000)).map(|key| key.key.to_string());
        Some(with_key(other, &shared.unwrap_or(own)))
    }

    /// Asks once.
    async fn ask(&self, asked: &Asked) {
        let reply = self.network.ask(asked).await;
        self.note(reply.as_ref());
    }

    async fn wait_until(&self, at_micros: u64) {
        self.kernel.sleep(OUTSIDE, at_micros.saturating_sub(self.kernel.now_micros())).await;
    }

    /// Mostly within a second, often at once, and often until something is about to happen.
    async fn pause(&mut self, until_micros: u64) {
        let now = self.kernel.now_micros();
        let micros = match self.random.below(10) {
            0..=2 => self.random.below(5_000),
            3..=4 => self.until_something_happens(now),
            _ => self.random.below(1_500_000),
        };
        self.kernel.sleep(OUTSIDE, micros.min(until_micros.saturating_sub(now))).await;
    }

    /// So long until the next release or start, or a little before or after it.
    fn until_something_happens(&mut self, now_micros: u64) -> u64 {
        let now = EPOCH.plus_millis(i64::try_from(now_micros / 1_000).unwrap_or(0));
        let next = self.clinic.instants.iter().filter(|at| **at > now.plus_millis(5)).min();
        let wait = next.map_or(500, |next: &UtcMillis| next.millis_since(now));
        let early = self.random.below(3_000);
        (u64::try_from(wait).unwrap_or(0) * 1_000 + self.random.below(8_000)).saturating_sub(early)
    }

    fn next(&mut self) -> Option<Asked> {
        // The same request once more, long after.
        if self.random.chance(80_000)
            && let Some(asked) = self.random.pick(&self.remembered)
        {
            return Some(asked.clone());
        }
        let Self { clinic, random, patient, audiences, .. } = self;
        let asked = Wisher { clinic, random, patient: *patient, audiences }.wish()?;
        if !self.random.chance(750_000) {
            return Some(asked);
        }
        // Sometimes under a key that was used for something else.
        if !self.random.chance(40_000) {
            self.keys += 1;
        }
        let asked = with_key(asked, &format!("{}-{}", self.number, self.keys));
        if asked.key().is_some() {
            if self.remembered.len() == REMEMBERED_MAX {
                self.remembered.remove(0);
            }
            self.remembered.push(asked.clone());
        }
        Some(asked)
    }

    /// Asks until there is an answer, or patience is at an end.
    async fn pursue(&mut self, asked: &Asked) {
        for _ in 0..self.random.below(TRIES_MAX) + 1 {
            let reply = self.network.ask(asked).await;
            self.note(reply.as_ref());
            let is_open =
                matches!(&reply, None | Some(Err(EngineError::Unavailable(_) | EngineError::Overloaded { .. })));
            // Without a key nobody knows what a second request would do; some try all the same.
            if !is_open || (asked.key().is_none() && self.random.chance(500_000)) {
                return;
            }
            // Who does not hear from one doctor asks another.
            if self.random.chance(300_000)
                && let Some(other) = self.another(asked)
            {
                self.ask(&other).await;
            }
            self.kernel.sleep(OUTSIDE, self.random.between(1_000, 3_000_000)).await;
        }
    }

    fn note(&self, reply: Option<&Reply>) {
        if let Some(Ok(Told::Appointment(told))) = reply {
            let (row, day) = (&told.placed.appointment, told.placed.day);
            self.clinic.note(self.patient, row.id, day, row.status.is_live());
            if let Some(expires_at) = row.hold_expires_at {
                self.clinic.note_hold(self.patient, Hold { id: row.id, day, expires_at });
            }
        }
    }
}
