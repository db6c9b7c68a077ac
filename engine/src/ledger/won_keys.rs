//! What the engine asks at its start, before it opens: who is where when, and which idempotency keys have won.
//! Must not know: answers and fingerprints (the days keep those), SQL.

use booking_core::{AppointmentId, Date, DayKey, Event, PatientId, SubjectId, UtcMillis};
use sha2::{Digest, Sha256};

/// Milliseconds of a day.
const DAY_MILLIS: i64 = 86_400_000;

/// How many days a doctor-day can last beyond its date's midnight in UTC: 36 hours from a start that is a zone's offset away.
const REACH_DAYS: i32 = 3;

/// The earliest date whose doctor-days may not be over at `now`, in any zone.
pub fn oldest_date(now: UtcMillis) -> Option<Date> {
    let today = i32::try_from(now.0.div_euclid(DAY_MILLIS)).ok().and_then(Date::from_days)?;
    today.plus_days(-REACH_DAYS)
}

/// A subject and its key, told apart from all others without naming either: half of their SHA-256. Two that are alike by
/// chance are not to be expected before 2^64 keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyDigest(pub [u8; 16]);

impl KeyDigest {
    /// Over the subject's sixteen bytes, then the key's.
    pub fn of(subject: SubjectId, key: &str) -> Self {
        let whole = Sha256::new().chain_update(subject.as_bytes()).chain_update(key.as_bytes()).finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&whole[..16]);
        Self(half)
    }
}

/// As much of a held or booked appointment as tells where its patient is when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveAppointment {
    /// Which.
    pub id: AppointmentId,
    /// Whose.
    pub patient: PatientId,
    /// Where it stands.
    pub day: DayKey,
    /// From.
    pub start: UtcMillis,
    /// Until, exclusive.
    pub end: UtcMillis,
    /// Of a hold: when it ends. That may have come already.
    pub hold_expires_at: Option<UtcMillis>,
    /// The appointment's version.
    pub version: u32,
}

/// The key that `event`, a record of `day`, remembers, and the last date that its answer concerns: that of the day, or the
/// later one of the day to which the appointment left.
pub(crate) fn won_key(day: DayKey, event: &Event) -> Option<(KeyDigest, Date)> {
    let (key, _) = event.remembered.as_ref()?;
    let until = event.moved_to().map_or(day.date, |home| home.day.date.max(day.date));
    Some((KeyDigest::of(key.subject, &key.key), until))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_digest_is_half_of_a_sha_256() {
        // head -c 16 /dev/zero | cat - <(printf key) | sha256sum
        let digest = KeyDigest::of(SubjectId(Uuid::nil()), "key");
        let hex: String = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "feb3fd2b37b72e8e58208bd9f5683467");
    }

    #[test]
    fn subjects_and_keys_are_told_apart() {
        let (one, other) = (SubjectId(Uuid::from_u128(1)), SubjectId(Uuid::from_u128(2)));
        let digests = [KeyDigest::of(one, "a"), KeyDigest::of(one, "b"), KeyDigest::of(other, "a")];
        assert_eq!(std::collections::HashSet::from(digests).len(), 3);
    }
}
