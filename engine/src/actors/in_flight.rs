//! Which idempotency keys a day is working on, so that a twin waits for the same answer and a retry is never refused from an
//! older picture (`protocols.md` rule 8).
//! Must not know: the rules, what the answers mean.

use std::sync::atomic::{AtomicUsize, Ordering};

use booking_core::{Fingerprint, RequestKey, SubjectId, planted};
use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::request::CommandResult;
use crate::error::EngineError;

/// Most twins that wait for one request: more than any honest client retries at once; the next are told to come back.
const TWINS_MAX: usize = 1_024;

/// The keys in flight of one day. Bounded by admission: an entry exists only while its request is inside.
#[derive(Default)]
pub struct InFlightKeys {
    /// Number of keys, so that the usual case (none) costs no lock. Raised before a key can be found, lowered after it is gone.
    count: AtomicUsize,
    keys: Mutex<HashMap<(SubjectId, Box<str>), Flight>>,
}

struct Flight {
    fingerprint: Fingerprint,
    twins: Vec<oneshot::Sender<Option<CommandResult>>>,
}

/// What became of looking for a key, or entering it.
pub enum Attached {
    /// It was not in flight (and is now, if it was to be entered).
    Free,
    /// The same request is in flight: wait for its answer. `None` comes if it was interrupted: look again.
    Twin(oneshot::Receiver<Option<CommandResult>>),
    /// Another request is in flight under this key: wait until it is settled (whatever comes), then look again.
    Other(oneshot::Receiver<Option<CommandResult>>),
    /// So many twins wait that this one should come back later.
    Crowded,
}

impl InFlightKeys {
    /// Looks whether `key` is in flight, without entering it.
    pub fn look(&self, key: &RequestKey) -> Attached {
        if self.count.load(Ordering::SeqCst) == 0 {
            return Attached::Free;
        }
        match self.keys.lock().get_mut(&(key.subject, key.key.clone())) {
            Some(flight) => flight.attach(key.fingerprint),
            None => Attached::Free,
        }
    }

    /// Enters `key` unless it is in flight. Whoever gets `Free` must see to it that [`InFlightKeys::leave`] is called.
    pub fn enter(&self, key: &RequestKey) -> Attached {
        let mut keys = self.keys.lock();
        match keys.get_mut(&(key.subject, key.key.clone())) {
            Some(flight) => flight.attach(key.fingerprint),
            None => {
                self.count.fetch_add(1, Ordering::SeqCst);
                keys.insert((key.subject, key.key.clone()), Flight { fingerprint: key.fingerprint, twins: Vec::new() });
                Attached::Free
            }
        }
    }

    /// Forgets `key`, after whatever it did is published, and tells the twins: the answer, marked as repeated, or `None` if the request
    /// was interrupted, or must ask elsewhere: then the twins do so themselves.
    pub fn leave(&self, key: &RequestKey, result: Option<&CommandResult>) {
        let must_ask_elsewhere = match result {
            Some(Err(EngineError::Rejected(rejection))) => rejection.is_internal(),
            Some(Err(EngineError::NotHere { .. })) => true,
            _ => false,
        };
        let result = result.filter(|_| !must_ask_elsewhere);
        let flight = self.keys.lock().remove(&(key.subject, key.key.clone()));
        let Some(flight) = flight else { return };
        self.count.fetch_sub(1, Ordering::SeqCst);
        for twin in flight.twins {
            let tell = if planted!(TwinToldAsNew) { Clone::clone } else { repeat };
            let _ = twin.send(result.map(tell));
        }
    }

    /// Number of keys in flight.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Flight {
    fn attach(&mut self, fingerprint: Fingerprint) -> Attached {
        self.twins.retain(|twin| !twin.is_closed());
        if self.twins.len() >= TWINS_MAX {
            return Attached::Crowded;
        }
        let (sender, receiver) = oneshot::channel();
        self.twins.push(sender);
        if fingerprint == self.fingerprint { Attached::Twin(receiver) } else { Attached::Other(receiver) }
    }
}

fn repeat(result: &CommandResult) -> CommandResult {
    match result {
        Ok(reply) => Ok(reply.clone().repeated()),
        Err(error) => Err(EngineError::Repeated(Box::new(error.clone()))),
    }
}
