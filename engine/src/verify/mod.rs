//! Audits a journal against its ledger: is anything oversold, lost, duplicated or missing?
//! Must not know: the command line, HTTP, what the stores are kept in (`stores` opens them).
//!
//! One pass over each store, day by day: the records of one day are followed from the first, and its rows are compared as of
//! the record up to which the ledger has applied it; what comes after is lag. What no day can tell alone is collected on the
//! way and judged at the end. Memory is that of the largest day, the names of all days, and of all days together 20 bytes an
//! appointment, 40 bytes a remembered key, 64 bytes a visit to come, 300 bytes an attempted move and some 1,000 bytes an
//! appointment that moves: 100 MB for a million bookings with keys.

mod across;
mod books;
mod compare;
mod file;
pub(crate) mod finding;
mod fold;
mod moves;
pub(crate) mod rows;
pub(crate) mod source;
mod stores;
mod travellers;
mod walk;
mod whole;
mod won;

use std::collections::{BTreeMap, BTreeSet};

use booking_core::{AppointmentId, DayKey, DayVersion, decode_event};

pub use self::finding::{Findings, Kind, Report, SHOWN_OF_EACH_KIND_MAX};
use self::fold::Fold;
use self::rows::DayRows;
use self::source::{Bounds, JournalSource, LedgerSource, Progress};
pub use self::stores::{verify, verify_stores};
use self::walk::{FollowedDay, Limits};
use self::whole::Whole;
use self::won::WonRows;
use crate::config::StartError;
use crate::ledger::ParkedDay;
use crate::ledger::lost::BrokenRecord;
use crate::lost::owed::appointment_of;
use crate::verify::compare::{compare, compare_traveller, compare_won_keys};
use crate::waiting::Waiting;

/// Why an audit could not be done.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is nothing to audit, somebody uses it, or it cannot be opened.
    #[error(transparent)]
    Open(#[from] StartError),
    /// The stores cannot be read to the end.
    #[error(transparent)]
    Read(#[from] crate::journal::ReadError),
}

struct Audit<'sources> {
    journal: &'sources mut dyn JournalSource,
    ledger: &'sources mut dyn LedgerSource,
    report: Report,
    /// Appointments without a row, or whose rows prove nothing: their steps are not strangers.
    lost: BTreeSet<AppointmentId>,
}

/// Holds `journal` against `ledger`.
async fn audit(journal: &mut dyn JournalSource, ledger: &mut dyn LedgerSource) -> Result<Report, VerifyError> {
    let mut audit = Audit { journal, ledger, report: Report::default(), lost: BTreeSet::new() };
    audit.run().await?;
    Ok(audit.report)
}

impl Audit<'_> {
    async fn run(&mut self) -> Result<(), VerifyError> {
        let findings = &mut self.report.findings;
        self.journal.examine(findings).await?;
        self.ledger.examine(findings).await?;
        let journal = self.journal.bounds().await?;
        let applied = self.ledger.progress(matches!(journal, Bounds::OneLog { .. })).await?;
        if let (Bounds::OneLog { last_position, .. }, Progress::Position(applied)) = (&journal, &applied)
            && applied > last_position
        {
            let what = format!("it has applied position {applied}, the journal ends at {last_position}");
            findings.add(Kind::CursorAhead, "ledger", what);
        }
        let parked = self.ledger.parked().await?;
        broken_promises(&self.ledger.broken().await?, findings);
        let (mut days, malformed) = self.journal.days().await?;
        let won_keys = self.ledger.won_key_bounds().await?;
        let (known, strange) = self.ledger.days().await?;
        malformed.iter().for_each(|what| findings.add(Kind::RowMalformed, "journal", what));
        strange.iter().for_each(|what| findings.add(Kind::RowMalformed, "ledger", what));
        days.extend(known);
        let mut whole = Whole::new(self.journal.last_at().await?);
        self.days(&days, &parked, &Limits { journal, applied, won_keys }, &mut whole).await?;
        self.travellers(whole).await?;
        self.orphans().await
    }

    async fn days(
        &mut self,
        days: &BTreeSet<DayKey>,
        parked: &BTreeMap<DayKey, ParkedDay>,
        limits: &Limits,
        whole: &mut Whole,
    ) -> Result<(), VerifyError> {
        let mut won_rows = WonRows::new(limits.won_keys.is_some());
        let mut waiting = Waiting::begin("verifying days", Some(days.len() as u64));
        for day in days {
            let findings = &mut self.report.findings;
            let applied = self.ledger.applied(*day).await?;
            let mut followed = FollowedDay::new(*day, applied.sequence, limits, parked.contains_key(day));
            followed.follow(self.journal, self.ledger, whole, findings).await?;
            if let Some(mark) = parked.get(day) {
                let what = format!("from sequence {} on: the ledger does not take its records", mark.version.sequence);
                findings.add(Kind::DayParked, day, what);
            }
            self.report.days += 1;
            self.report.records += followed.records;
            self.report.lag_records += followed.lag_records;
            let won = won_rows.of(*day, self.ledger, findings).await?;
            let mut expected = followed.fold.take_expected().filter(|_| !followed.is_cut);
            if let Some(expected) = &expected {
                cursor(*day, &followed.fold, expected, applied, findings);
                limits.won_keys.inspect(|bounds| compare_won_keys(*day, expected, &won, *bounds, findings));
            }
            whole.finish(*day, &followed.fold, expected.as_mut(), findings);
            match expected {
                Some(expected) => self.compare_day(*day, &expected, &followed.fold.books().travellers).await?,
                None => self.report.days_not_compared += 1,
            }
            waiting.at(self.report.days, Some(days.len() as u64));
        }
        Ok(self.journal.finish(&mut self.report.findings).await?)
    }

    /// The rows of `day`, those that move aside.
    async fn compare_day(
        &mut self,
        day: DayKey,
        expected: &DayRows,
        travellers: &BTreeMap<AppointmentId, BTreeSet<DayKey>>,
    ) -> Result<(), VerifyError> {
        let report = &mut self.report;
        report.appointments += expected.appointments.len() as u64;
        let ids: Vec<AppointmentId> = expected.appointments.keys().copied().collect();
        let (mut rows, malformed) = self.ledger.rows(day, &ids).await?;
        malformed.iter().for_each(|what| report.findings.add(Kind::RowMalformed, day, what));
        compare(day, expected, &mut rows, travellers, &mut report.findings);
        self.lost.extend(ids.iter().filter(|id| !rows.appointments.contains_key(id)));
        Ok(())
    }

    /// What the days say together, and the rows of those that move.
    async fn travellers(&mut self, whole: Whole) -> Result<(), VerifyError> {
        let (travellers, broken) = whole.judge(&mut self.report.findings);
        for (id, expected) in travellers.into_rows(&broken) {
            let Some((home, expected)) = expected else {
                self.lost.insert(id);
                continue;
            };
            self.report.appointments += expected.appointments.len() as u64;
            let (stands, rows, malformed) = self.ledger.appointment(id).await?;
            let findings = &mut self.report.findings;
            malformed.iter().for_each(|what| findings.add(Kind::RowMalformed, "ledger", what));
            compare_traveller((home, &expected), (stands, &rows), findings);
            if stands.is_none() && home.is_some() {
                self.lost.insert(id);
            }
        }
        Ok(())
    }

    /// Steps that no day has asked for.
    async fn orphans(&mut self) -> Result<(), VerifyError> {
        while let Some(row) = self.ledger.next_orphan().await? {
            match row {
                Ok((id, _)) if self.lost.contains(&id) => {}
                Ok((id, version)) => {
                    let what = format!("step {version} of appointment {id}, which has no row");
                    self.report.findings.add(Kind::HistoryUnknown, "ledger", what);
                }
                Err(error) => self.report.findings.add(Kind::RowMalformed, "ledger", error),
            }
        }
        Ok(())
    }
}

/// What lost records had promised and cannot hold any more: one finding for each appointment, or for each record of a day itself.
fn broken_promises(broken: &[BrokenRecord], findings: &mut Findings) {
    let mut told = BTreeSet::new();
    for BrokenRecord { record, reason } in broken {
        let (day, DayVersion { epoch, sequence }) = (record.day, record.version);
        let appointment = decode_event(&record.body).ok().and_then(|event| appointment_of(&event));
        let place = format!("record {sequence} of epoch {epoch}, which a failover has ended: {reason}");
        match appointment {
            Some(id) if told.insert((day, id)) => {
                findings.add(Kind::PromiseBroken, day, format!("appointment {id} is not as it was told, {place}"));
            }
            Some(_) => {}
            None => findings.add(Kind::PromiseBroken, day, place),
        }
    }
}

/// Whether the ledger stands after a record that the journal has.
fn cursor(day: DayKey, fold: &Fold, expected: &DayRows, applied: DayVersion, findings: &mut Findings) {
    let end = fold.head().version.sequence;
    if applied.sequence > end {
        let what = format!("sequence {} is applied, the journal's records end at {end}", applied.sequence);
        findings.add(Kind::CursorAhead, day, what);
    } else if applied.epoch != expected.version.epoch {
        let what = format!(
            "sequence {} is applied as of epoch {}, the journal has it of epoch {}",
            applied.sequence, applied.epoch, expected.version.epoch
        );
        findings.add(Kind::RecordForked, day, what);
    }
}
