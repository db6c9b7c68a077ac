//! What no day can tell alone: that an appointment stands once, that a key has won once, that nobody is at two places.
//! Must not know: SQL, the ledger, the steps of a move.
//!
//! Collected while the days are followed, sorted and looked through at the end: 20 bytes an appointment, 40 bytes a
//! remembered key, 64 bytes a visit to come.

use std::collections::BTreeMap;

use booking_core::{AppointmentId, DayKey, Event, PatientId, UtcMillis};

use super::books::Books;
use super::finding::{Findings, Kind};
use super::moves::Transit;
use crate::ledger::won_keys::KeyDigest;

/// Which day: its place in the list of followed days.
type DayNumber = u32;

/// A key that won.
struct Won {
    digest: KeyDigest,
    day: DayNumber,
    /// As much of the fingerprint as tells two requests apart in words.
    request: u32,
    at: UtcMillis,
    /// Until then it must not win again elsewhere.
    until: UtcMillis,
}

/// A held or booked appointment.
struct Visit {
    patient: PatientId,
    id: AppointmentId,
    start: UtcMillis,
    end: UtcMillis,
    /// The end, or that of the hold.
    live_until: UtcMillis,
    day: DayNumber,
}

/// What is collected of all days.
pub(crate) struct Across {
    /// In the order in which they were followed.
    days: Vec<DayKey>,
    /// When the last slot of each day ends.
    ends: BTreeMap<DayKey, UtcMillis>,
    standing: Vec<(AppointmentId, DayNumber)>,
    won: Vec<Won>,
    /// Keys whose appointment left for another day: position in `won`, and the day.
    won_for: Vec<(usize, DayKey)>,
    visits: Vec<Visit>,
    /// Visits that had ended then are not collected.
    last_at: UtcMillis,
}

impl Across {
    /// Before the first day. The last record of the journal says `last_at`.
    pub(crate) fn new(last_at: UtcMillis) -> Self {
        let (days, ends, standing) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { days, ends, standing, won: Vec::new(), won_for: Vec::new(), visits: Vec::new(), last_at }
    }

    /// What follows is of `day`.
    pub(crate) fn begin(&mut self, day: DayKey) {
        self.days.push(day);
    }

    /// A record of the day that was begun last.
    pub(crate) fn record(&mut self, event: &Event) {
        let Some((key, _)) = &event.remembered else { return };
        self.won_for.extend(event.moved_to().map(|home| (self.won.len(), home.day)));
        let request = key.fingerprint.0.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let digest = KeyDigest::of(key.subject, &key.key);
        self.won.push(Won { digest, day: self.present(), request, at: event.at, until: UtcMillis(i64::MIN) });
    }

    /// The day that was begun last is followed to its end, and its last slot ends at `end`.
    pub(crate) fn finish(&mut self, books: &Books, end: Option<UtcMillis>) {
        let (number, last_at) = (self.present(), self.last_at);
        if let (Some(end), Some(day)) = (end, self.days.last()) {
            self.ends.insert(*day, end);
        }
        self.standing.extend(books.standing.keys().map(|id| (*id, number)));
        let live = books.standing.iter().filter(|(_, standing)| standing.status.is_live() && standing.end > last_at);
        self.visits.extend(live.map(|(id, standing)| {
            let (patient, (start, _), end) = (standing.patient, standing.place, standing.end);
            let live_until = standing.hold_expires_at.map_or(end, |expiry| expiry.min(end));
            Visit { patient, id: *id, start, end, live_until, day: number }
        }));
    }

    fn present(&self) -> DayNumber {
        DayNumber::try_from(self.days.len().saturating_sub(1)).unwrap_or(DayNumber::MAX)
    }

    fn day(&self, number: DayNumber) -> String {
        self.days.get(number as usize).map_or_else(|| "an unknown day".to_owned(), DayKey::to_string)
    }

    /// Adds those that have left a day and not come in at the next yet: they stand there.
    fn on_their_way<'moves>(&mut self, on_their_way: impl Iterator<Item = (DayKey, &'moves Transit)>) {
        let numbers: BTreeMap<DayKey, DayNumber> = self.days.iter().copied().zip(0..).collect();
        for (day, transit) in on_their_way {
            let Some(number) = numbers.get(&day) else { continue };
            self.standing.push((transit.appointment, *number));
            if transit.end > self.last_at {
                let live_until = transit.hold_expires_at.map_or(transit.end, |expiry| expiry.min(transit.end));
                let (patient, id, start, end) = (transit.patient, transit.appointment, transit.place.0, transit.end);
                self.visits.push(Visit { patient, id, start, end, live_until, day: *number });
            }
        }
    }

    /// Adds what cannot be. The last record of all says `last_at`; `on_their_way` are those between two days.
    pub(crate) fn judge<'moves>(
        mut self,
        on_their_way: impl Iterator<Item = (DayKey, &'moves Transit)>,
        last_at: UtcMillis,
        findings: &mut Findings,
    ) {
        self.on_their_way(on_their_way);
        self.standing.sort_unstable();
        for pair in self.standing.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            let what = format!("appointment {} stands here and on {}", pair[0].0, self.day(pair[1].1));
            findings.add(Kind::AppointmentOnTwoDays, self.day(pair[0].1), what);
        }
        self.keys(findings);
        self.overlaps(last_at, findings);
    }

    /// A key is kept until the last day that its answer concerns has ended; then it may be used for something else.
    fn keys(&mut self, findings: &mut Findings) {
        let end_of = |day: Option<&DayKey>| day.and_then(|day| self.ends.get(day)).copied();
        for won in &mut self.won {
            won.until = end_of(self.days.get(won.day as usize)).unwrap_or(won.until);
        }
        for (position, day) in &self.won_for {
            if let (Some(won), Some(end)) = (self.won.get_mut(*position), end_of(Some(day))) {
                won.until = end.max(won.until);
            }
        }
        let mut won = std::mem::take(&mut self.won);
        won.sort_unstable_by_key(|won| (won.digest, won.at, won.day));
        for same in won.chunk_by(|one, other| one.digest == other.digest) {
            for (at, later) in same.iter().enumerate() {
                let kept = |earlier: &&Won| earlier.day != later.day && later.at < earlier.until;
                if let Some(earlier) = same[..at].iter().find(kept) {
                    let as_what = if earlier.request == later.request { "the same request" } else { "another request" };
                    let what = format!("a key that had won on {} wins here for {as_what}", self.day(earlier.day));
                    findings.add(Kind::KeyOnTwoDays, self.day(later.day), what);
                }
            }
        }
    }

    /// Visits to come of one patient on different days; those of one day are judged when the day is followed.
    fn overlaps(&mut self, last_at: UtcMillis, findings: &mut Findings) {
        let mut visits = std::mem::take(&mut self.visits);
        visits.retain(|visit| visit.live_until > last_at);
        visits.sort_unstable_by_key(|visit| (visit.patient, visit.start, visit.id));
        for of_patient in visits.chunk_by(|one, other| one.patient == other.patient) {
            let mut running: Vec<&Visit> = Vec::new();
            for visit in of_patient {
                running.retain(|other| other.end > visit.start);
                for other in running.iter().filter(|other| other.day != visit.day && other.id != visit.id) {
                    let what = format!("{} of patient {} overlaps {}", visit.id, visit.patient, other.id);
                    let what = format!("{what} on {}", self.day(other.day));
                    findings.add(Kind::OverlappingAppointments, self.day(visit.day), what);
                }
                running.push(visit);
            }
        }
    }
}
