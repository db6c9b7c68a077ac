//! Audits the journal against the ledger of a stopped data directory: is anything oversold, lost, duplicated or missing?
//! Must not know: the command line, HTTP.
//!
//! One pass over each file, day by day: the records of one day are followed from the first, and its rows are compared as of
//! the record up to which the ledger has applied it; what comes after is lag. What no day can tell alone is collected on the
//! way and judged at the end. Memory is that of the largest day, the names of all days, and of all days together 20 bytes an
//! appointment, 40 bytes a remembered key, 64 bytes a visit to come, 300 bytes an attempted move and some 1,000 bytes an
//! appointment that moves: 100 MB for a million bookings with keys.

mod across;
mod books;
mod compare;
mod file;
mod finding;
mod fold;
mod moves;
pub(crate) mod rows;
mod travellers;
mod walk;
mod whole;
mod won;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use booking_core::{AppointmentId, DayKey, UtcMillis, decode_event};
use futures_util::TryStreamExt;
use sqlx::{Connection, SqliteConnection};

pub use self::finding::{Findings, Kind, Report, SHOWN_OF_EACH_KIND_MAX};
use self::fold::Fold;
use self::rows::DayRows;
use self::walk::{Blocks, Bounds, FollowedDay};
use self::whole::Whole;
use self::won::WonRows;
use crate::clock::Clock;
use crate::config::StartError;
use crate::journal::lock::DirectoryLock;
use crate::journal::sqlite::audit as journal;
use crate::ledger::ParkedDay;
use crate::ledger::sqlite::audit as ledger;
use crate::verify::compare::{compare, compare_traveller, compare_won_keys};

/// How long between two lines in the log, in microseconds.
const PROGRESS_MICROS: u64 = 1_000_000;

/// Lines of SQLite's own check of a file; it is told to stop after so many.
const INTEGRITY: &str = "PRAGMA integrity_check(20)";

/// Why an audit could not be done.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is nothing to audit, somebody uses it, or it cannot be opened.
    #[error(transparent)]
    Open(#[from] StartError),
    /// The files cannot be read to the end.
    #[error(transparent)]
    Read(#[from] crate::journal::ReadError),
}

/// Audits the stores in `directory`, which nobody may use meanwhile. Writes nothing but its process id into the lock file:
/// no epoch is taken, no log is brought in, no schema is changed. The same files give the same report.
///
/// # Errors
/// The directory or a store does not exist, is in use, or cannot be read.
pub async fn verify(directory: &Path, clock: &dyn Clock) -> Result<Report, VerifyError> {
    // Looked for before the lock, which would make a directory.
    for file in [journal::FILE, ledger::FILE] {
        let path = directory.join(file);
        if !path.is_file() {
            let what = format!("there is no {} to verify", path.display());
            return Err(StartError::Store(what).into());
        }
    }
    let _lock = DirectoryLock::acquire(directory)?;
    let (journal_path, ledger_path) = (directory.join(journal::FILE), directory.join(ledger::FILE));
    let mut audit = Audit {
        blocks: file::open(&journal_path).await?,
        journal: file::open(&journal_path).await?,
        ledger: file::open(&ledger_path).await?,
        won_keys: file::open(&ledger_path).await?,
        report: Report::default(),
        lost: BTreeSet::new(),
    };
    let outcome = audit.run(clock).await;
    for connection in [audit.blocks, audit.journal, audit.ledger, audit.won_keys] {
        if let Err(error) = connection.close().await {
            tracing::warn!(%error, "a connection did not close");
        }
    }
    outcome.map(|()| audit.report)
}

struct Audit {
    /// Streams all blocks while `journal` is asked about one day.
    blocks: SqliteConnection,
    journal: SqliteConnection,
    ledger: SqliteConnection,
    /// Streams all won keys while `ledger` is asked about one day.
    won_keys: SqliteConnection,
    report: Report,
    /// Appointments without a row, or whose rows prove nothing: their steps are not strangers.
    lost: BTreeSet<AppointmentId>,
}

impl Audit {
    async fn run(&mut self, clock: &dyn Clock) -> Result<(), VerifyError> {
        let findings = &mut self.report.findings;
        integrity(&mut self.journal, journal::FILE, findings).await.map_err(journal::failed)?;
        integrity(&mut self.ledger, ledger::FILE, findings).await.map_err(ledger::failed)?;
        walk::positions(&mut self.journal, findings).await?;
        let (epoch, last_position) = journal::bounds(&mut self.journal).await?;
        let applied_position = ledger::position(&mut self.ledger).await?;
        if applied_position > last_position {
            let what = format!("it has applied position {applied_position}, the journal ends at {last_position}");
            findings.add(Kind::CursorAhead, "ledger", what);
        }
        let parked = ledger::parked(&mut self.ledger).await?;
        let (mut days, malformed) = journal::days(&mut self.journal).await?;
        let won_keys = ledger::won_key_bounds(&mut self.ledger).await?;
        let (known, strange) = ledger::days(&mut self.ledger, won_keys.is_some()).await?;
        malformed.iter().for_each(|what| findings.add(Kind::RowMalformed, "journal", what));
        strange.iter().for_each(|what| findings.add(Kind::RowMalformed, "ledger", what));
        days.extend(known);
        let mut whole = Whole::new(self.last_at(last_position).await?);
        self.days(&days, &parked, Bounds { epoch, applied_position, won_keys }, &mut whole, clock).await?;
        self.travellers(whole).await?;
        self.orphans().await
    }

    /// What the record at the journal's last position says of the time; long ago, if it cannot be read.
    async fn last_at(&mut self, position: u64) -> Result<UtcMillis, VerifyError> {
        let never = UtcMillis(i64::MIN);
        if position == 0 {
            return Ok(never);
        }
        let Ok(records) = journal::records(&mut self.journal, position).await? else { return Ok(never) };
        Ok(records.last().and_then(|record| decode_event(&record.body).ok()).map_or(never, |event| event.at))
    }

    async fn days(
        &mut self,
        days: &BTreeSet<DayKey>,
        parked: &BTreeMap<DayKey, ParkedDay>,
        bounds: Bounds,
        whole: &mut Whole,
        clock: &dyn Clock,
    ) -> Result<(), VerifyError> {
        let mut blocks = Blocks::open(&mut self.blocks);
        let mut won_rows = WonRows::open(bounds.won_keys.is_some().then_some(&mut self.won_keys));
        let mut told_at = clock.monotonic_micros();
        for day in days {
            let findings = &mut self.report.findings;
            let applied = ledger::applied(&mut self.ledger, *day).await?;
            let mut followed = FollowedDay::new(*day, applied.sequence, bounds, parked.contains_key(day));
            followed.follow(&mut blocks, &mut self.journal, whole, findings).await?;
            if let Some(mark) = parked.get(day) {
                let what = format!("from sequence {} on: the ledger does not take its records", mark.version.sequence);
                findings.add(Kind::DayParked, day, what);
            }
            self.report.days += 1;
            self.report.records += followed.records;
            self.report.lag_records += followed.lag_records;
            let won = won_rows.of(*day, findings).await?;
            let mut expected = followed.fold.take_expected();
            if let Some(expected) = &expected {
                cursor(*day, &followed.fold, expected, applied, findings);
                bounds.won_keys.inspect(|bounds| compare_won_keys(*day, expected, &won, *bounds, findings));
            }
            whole.finish(*day, &followed.fold, expected.as_mut(), findings);
            match expected {
                Some(expected) => {
                    let travellers = &followed.fold.books().travellers;
                    let lost = &mut self.lost;
                    compare_day(&mut self.ledger, *day, &expected, travellers, &mut self.report, lost).await?;
                }
                None => self.report.days_not_compared += 1,
            }
            if clock.monotonic_micros().saturating_sub(told_at) >= PROGRESS_MICROS {
                told_at = clock.monotonic_micros();
                let (done, records) = (self.report.days, self.report.records);
                tracing::info!(days = done, of = days.len(), records, "verifying");
            }
        }
        blocks.finish(&mut self.report.findings).await
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
            let (stands, rows, malformed) = ledger::appointment(&mut self.ledger, id).await?;
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
        let mut rows = ledger::orphans(&mut self.ledger);
        while let Some(row) = rows.try_next().await.map_err(ledger::failed)? {
            match ledger::orphan(&row) {
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

/// The rows of `day`, those that move aside.
async fn compare_day(
    connection: &mut SqliteConnection,
    day: DayKey,
    expected: &DayRows,
    travellers: &BTreeMap<AppointmentId, BTreeSet<DayKey>>,
    report: &mut Report,
    lost: &mut BTreeSet<AppointmentId>,
) -> Result<(), VerifyError> {
    report.appointments += expected.appointments.len() as u64;
    let ids = expected.appointments.keys().copied();
    let (mut rows, malformed) = ledger::rows(connection, day, ids).await?;
    malformed.iter().for_each(|what| report.findings.add(Kind::RowMalformed, day, what));
    compare(day, expected, &mut rows, travellers, &mut report.findings);
    lost.extend(expected.appointments.keys().filter(|id| !rows.appointments.contains_key(id)));
    Ok(())
}

/// Whether the ledger stands after a record that the journal has.
fn cursor(day: DayKey, fold: &Fold, expected: &DayRows, applied: booking_core::DayVersion, findings: &mut Findings) {
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

async fn integrity(connection: &mut SqliteConnection, file: &str, findings: &mut Findings) -> Result<(), sqlx::Error> {
    let lines: Vec<String> = sqlx::query_scalar(INTEGRITY).fetch_all(connection).await?;
    for line in lines.iter().filter(|line| *line != "ok") {
        findings.add(Kind::FileDamaged, file, line);
    }
    Ok(())
}
