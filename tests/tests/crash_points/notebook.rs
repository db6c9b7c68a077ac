//! What one person was told under which key, and what is still open because no answer came: the memory that outlives a crash.
//! Must not know: what is asked in which order, where the process dies.

use std::collections::BTreeMap;

use blackbox::{Call, Client, Reply, instant_of, now};
use serde_json::Value;

/// What was last answered of one thing, and whether something has been asked of it since that nobody answered.
#[derive(Clone, Debug)]
pub struct Known {
    /// The last answer with success.
    pub answered: Value,
    /// Whether it may have changed since.
    pub is_open: bool,
}

/// See the module. A script asks in one order, and after a crash asks everything again under the same keys: what was
/// answered must be answered so again, what was not is settled now, and the rest follows.
#[derive(Clone, Debug, Default)]
pub struct Notebook {
    /// First answers with success, by step.
    answers: BTreeMap<String, Reply>,
    /// Appointments, by id.
    pub appointments: BTreeMap<String, Known>,
    /// Everything else, by the path where it is read.
    pub things: BTreeMap<String, Known>,
}

impl Notebook {
    /// Asks under the key of `step`; `of` is the appointment that it changes, if there is one. `None` if no answer came, or
    /// none that tells what happened: then the script stops, and a later life asks again.
    pub async fn ask(&mut self, step: &str, of: Option<&str>, call: Call) -> Option<Reply> {
        let Some(reply) = answered(call.key(&key_of(step))).await else {
            if let Some(known) = of.and_then(|id| self.appointments.get_mut(id)) {
                known.is_open = true;
            }
            return None;
        };
        Some(self.take_in(step, reply))
    }

    /// As [`Notebook::ask`], for a place that others may have taken: `Some(None)` if it is refused with one of `codes`. A
    /// refusal is not remembered: the same key may win later.
    pub async fn try_for(&mut self, step: &str, call: Call, codes: &[&str]) -> Option<Option<Reply>> {
        let reply = answered(call.key(&key_of(step))).await?;
        let is_refused = !self.answers.contains_key(step) && codes.contains(&reply.code().as_str());
        Some(if is_refused { None } else { Some(self.take_in(step, reply)) })
    }

    /// Takes in an answer with success: the first one, or the same again.
    fn take_in(&mut self, step: &str, reply: Reply) -> Reply {
        assert!([200, 201].contains(&reply.status), "{step}: {} {}", reply.status, reply.text());
        if let Some(first) = self.answers.get(step) {
            assert_eq!((reply.status, reply.text()), (first.status, first.text()), "{step}: the first answer again");
            assert!(reply.replayed(), "{step}: it says that it repeats");
            return reply;
        }
        let body = reply.json();
        if let (Some(id), true) = (body["id"].as_str(), body["patient_id"].is_string()) {
            self.appointments.insert(id.to_owned(), Known { answered: body.clone(), is_open: false });
        }
        self.answers.insert(step.to_owned(), reply.clone());
        reply
    }

    /// A refusal that is expected whenever it is asked.
    pub async fn refused(&mut self, call: Call, status: u16, code: &str) -> Option<()> {
        let reply = answered(call).await?;
        reply.problem(status, code);
        Some(())
    }

    /// Writes a thing without a key, once: `path` is where it is read. What was acknowledged is not written again, since later
    /// writes would be undone.
    pub async fn write(&mut self, step: &str, path: &str, call: Call) -> Option<Reply> {
        if let Some(first) = self.answers.get(step) {
            return Some(first.clone());
        }
        let Some(reply) = answered(call).await else {
            if let Some(known) = self.things.get_mut(path) {
                known.is_open = true;
            }
            return None;
        };
        assert!([200, 201].contains(&reply.status), "{step}: {} {}", reply.status, reply.text());
        self.learn(path, reply.json());
        self.answers.insert(step.to_owned(), reply.clone());
        Some(reply)
    }

    /// Notes what was answered of the thing at `path`.
    pub fn learn(&mut self, path: &str, answered: Value) {
        self.things.insert(path.to_owned(), Known { answered, is_open: false });
    }

    /// Whether the appointment reads as it was last answered: own writes are visible at once.
    pub async fn look(&self, client: &Client, id: &str) -> Option<()> {
        let seen = answered(client.appointment(id)).await?.expect(200).json();
        assert_is_known(&self.appointments[id], &seen);
        Some(())
    }

    /// Takes in what another notebook has beyond this one.
    pub fn join(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.appointments.extend(other.appointments);
        self.things.extend(other.things);
    }

    /// How many steps were answered with success.
    pub fn answered(&self) -> usize {
        self.answers.len()
    }
}

/// Keys have no spaces.
fn key_of(step: &str) -> String {
    step.replace(' ', "-")
}

/// A whole answer that tells what happened. 503 tells nothing: perhaps nothing has, or the same key tells.
pub async fn answered(call: Call) -> Option<Reply> {
    call.attempt().await.ok().filter(|reply| reply.status != 503)
}

/// Fails unless an appointment is as it was last answered, but for the end of its hold; one with an open question may have
/// changed once.
#[track_caller]
pub fn assert_is_known(known: &Known, seen: &Value) {
    if *seen == known.answered {
        return;
    }
    let was_due = known.answered["status"] == "held" && instant_of(&known.answered["hold_expires_at"]) <= now();
    let version = |value: &Value| value["version"].as_u64().expect("a version");
    let steps = version(seen).checked_sub(version(&known.answered));
    let is_expected =
        (was_due && seen["status"] == "expired" && steps == Some(1)) || (known.is_open && steps == Some(1));
    assert!(is_expected, "answered (open: {}) {:#}, read {seen:#}", known.is_open, known.answered);
    assert_eq!((&seen["id"], &seen["patient_id"]), (&known.answered["id"], &known.answered["patient_id"]));
}
