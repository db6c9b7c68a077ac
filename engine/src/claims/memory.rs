//! A store of claims in memory that several engines of one test share, and that fails as it is told.
//! Must not know: days, SQL.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{DayKey, UtcMillis};
use parking_lot::Mutex;
use uuid::Uuid;

use super::Visit;
use super::guard::{Blocker, ClaimGuard, GivenBack, GuardError, KeyClaim, Lost, RecordClaims, exclude};
use crate::ledger::won_keys::KeyDigest;

/// What the store does the next time it is asked for claims.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GuardFault {
    /// It claims nothing and says so.
    Away,
    /// It claims nothing and does not answer.
    UnknownBefore,
    /// It claims everything and does not answer.
    UnknownAfter,
}

#[derive(Default)]
struct Tables {
    /// By name: the day, the record and the visit.
    visits: BTreeMap<Uuid, (DayKey, u64, Visit)>,
    keys: HashMap<KeyDigest, (DayKey, KeyClaim)>,
    faults: VecDeque<GuardFault>,
    is_away: bool,
    /// Names of the claims of each call.
    calls: Vec<Vec<Uuid>>,
}

/// See the module. Clones share one store.
#[derive(Clone, Default)]
pub struct MemoryGuard {
    tables: Arc<Mutex<Tables>>,
}

impl MemoryGuard {
    /// Plans a fault of the next call that has none planned.
    pub fn fail_next(&self, fault: GuardFault) {
        self.tables.lock().faults.push_back(fault);
    }

    /// From now on it is away, or is back.
    pub fn set_away(&self, is_away: bool) {
        self.tables.lock().is_away = is_away;
    }

    /// The claimed visits: day and appointment's visit.
    pub fn visits(&self) -> Vec<(DayKey, Visit)> {
        self.tables.lock().visits.values().map(|(day, _, visit)| (*day, *visit)).collect()
    }

    /// Number of claimed keys.
    pub fn keys(&self) -> usize {
        self.tables.lock().keys.len()
    }

    /// Names of the claims that each call asked for.
    pub fn calls(&self) -> Vec<Vec<Uuid>> {
        self.tables.lock().calls.clone()
    }

    /// Adds what a process that died has claimed.
    pub fn plant(&self, claims: &RecordClaims) {
        claim_one(&mut self.tables.lock(), claims);
    }
}

#[async_trait]
impl ClaimGuard for MemoryGuard {
    async fn claim(&self, wanted: &[&RecordClaims]) -> Result<Vec<Lost>, GuardError> {
        let mut tables = self.tables.lock();
        tables.calls.push(wanted.iter().flat_map(|claims| claims.ids()).collect());
        let fault = tables.faults.pop_front();
        match fault {
            _ if tables.is_away => return Err(GuardError::Away("told to".to_owned())),
            Some(GuardFault::Away) => return Err(GuardError::Away("told to".to_owned())),
            Some(GuardFault::UnknownBefore) => return Err(GuardError::Unknown("told to".to_owned())),
            Some(GuardFault::UnknownAfter) | None => {}
        }
        let lost = wanted.iter().filter_map(|claims| claim_one(&mut tables, claims)).collect();
        match fault {
            Some(_) => Err(GuardError::Unknown("told to".to_owned())),
            None => Ok(lost),
        }
    }

    async fn give_back(&self, given: &[GivenBack]) -> Result<(), GuardError> {
        let mut tables = self.tables.lock();
        if tables.is_away {
            return Err(GuardError::Away("told to".to_owned()));
        }
        for given in given {
            match given {
                GivenBack::Id(id) => {
                    tables.visits.remove(id);
                    tables.keys.retain(|_, (_, claim)| claim.id != *id);
                }
                GivenBack::Before { appointment, day, sequence } => {
                    tables.visits.retain(|_, (at, number, visit)| {
                        at != day || visit.appointment != *appointment || *number >= *sequence
                    });
                }
            }
        }
        Ok(())
    }

    async fn sweep(&self, now: UtcMillis) -> Result<u64, GuardError> {
        let mut tables = self.tables.lock();
        let before = tables.visits.len();
        tables.visits.retain(|_, (_, _, visit)| visit.end > now);
        Ok((before - tables.visits.len()) as u64)
    }
}

fn claim_one(tables: &mut Tables, claims: &RecordClaims) -> Option<Lost> {
    let mut blockers = Vec::new();
    if let Some(wanted) = &claims.visit {
        let others =
            tables.visits.iter().filter(|(_, (day, _, visit))| exclude(claims.day, &wanted.visit, *day, visit));
        blockers.extend(others.map(|(id, (day, _, visit))| Blocker::Visit { id: *id, day: *day, visit: *visit }));
        if blockers.is_empty() {
            tables.visits.insert(wanted.id, (claims.day, claims.version.sequence, wanted.visit));
        }
    }
    if let Some(wanted) = &claims.key {
        let (day, known) = tables.keys.entry(wanted.digest()).or_insert_with(|| (claims.day, wanted.clone()));
        if *day == claims.day {
            known.id = wanted.id;
        } else {
            blockers.push(Blocker::Key { id: known.id, day: *day, key: wanted.key.clone() });
        }
    }
    (!blockers.is_empty()).then_some(Lost { day: claims.day, version: claims.version, blockers })
}
