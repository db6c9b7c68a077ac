//! What the answers of a whole log tell of its keys and appointments, whenever they came.
//! Must not know: days' histories, whether anything is legal.

use std::collections::{BTreeMap, HashMap};

use super::log::{Answer, Log, Record, Row, Status};
use super::operation::{Deed, Won};

/// How far apart the clocks of program and recording may be, in microseconds. For hints only.
const CLOCK_TOLERANCE_MICROS: u64 = 3_000;
/// What the answers of the whole log tell of a key.
#[derive(Default)]
pub(super) struct KeyKnown {
    /// The digests of its successes, each once.
    pub(super) digests: Vec<u64>,
    pub(super) row: Option<Row>,
    /// One of them said that it was the first.
    pub(super) is_first_known: bool,
    /// When a call under it was sent that was refused: the last one.
    pub(super) refused_invoked: Option<u64>,
    /// How many calls under it had no outcome.
    pub(super) unknown: usize,
}

impl KeyKnown {
    /// Whether a call without an outcome that could have an effect until `settled` certainly had none.
    pub(super) fn rules_out(&self, settled: u64) -> bool {
        self.is_first_known || self.refused_invoked.is_some_and(|invoked| settled < invoked)
    }
}

/// What the answers of the whole log tell of keys and appointments.
pub(super) struct Known {
    pub(super) keys: HashMap<u32, KeyKnown>,
    pub(super) patients: HashMap<u32, u32>,
    /// Every version of each appointment that was ever told.
    versions: HashMap<u32, BTreeMap<u16, Row>>,
    /// The number given to what a key may have made without anybody learning its name.
    pub(super) nameless: u32,
}

impl Known {
    pub(super) fn of(log: &Log) -> Self {
        let mut known = Self { keys: HashMap::new(), patients: HashMap::new(), versions: HashMap::new(), nameless: 0 };
        for record in &log.records {
            let key = record.call.key().map(|key| known.keys.entry(key).or_default());
            match (&record.answer, key) {
                (Answer::Row { row, digest, replayed }, key) => {
                    known.patients.insert(row.appointment, row.patient);
                    known.versions.entry(row.appointment).or_default().insert(row.version, *row);
                    known.nameless = known.nameless.max(row.appointment + 1);
                    if let Some(key) = key {
                        if !key.digests.contains(digest) {
                            key.digests.push(*digest);
                        }
                        key.row.get_or_insert(*row);
                        key.is_first_known |= !replayed;
                    }
                }
                (Answer::Refused(_), Some(key)) => {
                    key.refused_invoked = key.refused_invoked.max(Some(record.invoked_micros));
                }
                (Answer::Unknown, Some(key)) => key.unknown += 1,
                _ => {}
            }
        }
        known
    }

    /// When a change of which nobody was told probably happened: a version that somebody was told of later came to be then.
    pub(super) fn likely_at(&self, record: &Record, appointment: u32, deed: Deed) -> Option<u64> {
        let fits = |row: &&Row| {
            let during = row.updated_at_micros + CLOCK_TOLERANCE_MICROS >= record.invoked_micros
                && row.updated_at_micros <= record.settled_micros.saturating_add(CLOCK_TOLERANCE_MICROS);
            let is_of = match deed {
                Deed::Confirm => row.status == Status::Booked,
                Deed::Cancel => row.status == Status::Cancelled,
                Deed::Relocate { wish } => wish.is_none_or(|slot| slot == row.slot),
                _ => false,
            };
            during && is_of && row.version > 1
        };
        self.versions.get(&appointment)?.values().find(fits).map(|row| row.updated_at_micros)
    }

    pub(super) fn answer_number(&self, key: u32, digest: u64) -> u16 {
        let position = self.keys.get(&key).and_then(|known| known.digests.iter().position(|other| *other == digest));
        position.map_or(Won::UNSEEN, |position| position as u16 + 1)
    }
}
