//! One start on a damaged directory, as the program makes it, and everything that it reads then.
//! Must not know: what was damaged.

use std::path::Path;
use std::sync::Arc;

use booking_core::{Date, DoctorDay, UtcMillis, decode_event};
use engine::clock::SystemClock;
use engine::journal::sqlite::SqliteJournal;
use engine::journal::{Journal, LoadedDay, ReadError};
use engine::ledger::Ledger;
use engine::ledger::agreement::AgreedJournal;
use engine::ledger::applier::{ApplyLoop, TurnOutcome};
use engine::ledger::overlay::Overlay;
use engine::ledger::sqlite::SqliteLedger;
use engine::verify::{VerifyError, verify};

use crate::history::doctor;
use crate::world::{Truth, ledger_rows};

/// What became of the start and of the reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The program does not start: its words.
    Refused(String),
    /// It starts, and something that was asked is refused as damaged: the words, and how many.
    Told(String, usize),
    /// Everything is as it was written.
    Whole,
    /// Everything is as it was up to a record, and what comes after that is gone: so many records.
    TailLost(usize),
    /// Something else was answered, and nobody said so.
    Silent(String),
}

/// What an audit says of the directory: its findings, or why it could not be done.
#[derive(Clone, Debug)]
pub(crate) enum Audited {
    Clean,
    Findings(Vec<String>),
    Failed(String),
}

pub(crate) async fn audit(directory: &Path) -> Audited {
    match verify(directory).await {
        Ok(report) if report.is_clean() => Audited::Clean,
        Ok(report) => Audited::Findings(report.lines()),
        Err(VerifyError::Open(error)) => Audited::Failed(error.to_string()),
        Err(VerifyError::Read(error)) => Audited::Failed(error.to_string()),
    }
}

/// Starts in `directory` and reads everything.
pub(crate) async fn start(directory: &Path, truth: &Truth) -> Outcome {
    let journal = match SqliteJournal::open(directory).await {
        Ok(journal) => Arc::new(journal),
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let ledger = match SqliteLedger::open(directory).await {
        Ok(ledger) => Arc::new(ledger),
        Err(error) => {
            journal.close().await;
            return Outcome::Refused(error.to_string());
        }
    };
    let outcome = match catch_up(&journal, &ledger).await {
        Err(words) => Outcome::Refused(words),
        Ok(()) => read_all(&journal, &ledger, truth).await,
    };
    ledger.close().await;
    journal.close().await;
    match outcome {
        Outcome::Whole => compare_ledger(directory, truth).await,
        other => other,
    }
}

async fn catch_up(journal: &Arc<SqliteJournal>, ledger: &Arc<SqliteLedger>) -> Result<(), String> {
    let (journal, ledger) = (Arc::clone(journal) as Arc<dyn Journal>, Arc::clone(ledger) as Arc<dyn Ledger>);
    let (overlay, clock) = (Arc::new(Overlay::default()), Arc::new(SystemClock::start()));
    let opened = ApplyLoop::open(journal, ledger, overlay, clock, Arc::default()).await;
    let mut apply_loop = opened.map_err(|error| error.to_string())?;
    loop {
        match apply_loop.turn().await {
            TurnOutcome::Idle => return Ok(()),
            TurnOutcome::Applied { .. } => {}
            TurnOutcome::Retry { reason, .. } => return Err(reason),
        }
    }
}

/// What was refused, and what is different.
#[derive(Default)]
struct Seen {
    refused: Vec<String>,
    different: Vec<String>,
}

impl Seen {
    fn refuse(&mut self, error: &ReadError) {
        self.refused.push(error.to_string());
    }

    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: &T, expected: &T) {
        if found != expected {
            self.different.push(format!("{what}: {found:?} instead of {expected:?}"));
        }
    }
}

async fn read_all(journal: &Arc<SqliteJournal>, ledger: &Arc<SqliteLedger>, truth: &Truth) -> Outcome {
    let ledger: Arc<dyn Ledger> = Arc::clone(ledger) as Arc<dyn Ledger>;
    let journal = AgreedJournal::new(Arc::clone(journal) as Arc<dyn Journal>, Arc::clone(&ledger));
    let mut seen = Seen::default();
    match ledger.parked().await {
        Ok(parked) => {
            seen.refused.extend(parked.iter().map(|mark| format!("ledger.db: {}: {}; restore", mark.day, mark.reason)))
        }
        Err(error) => seen.refuse(&error),
    }
    // As many records as there are say how much of the history is left.
    let mut count = truth.records.len();
    match journal.read_after(0, 10_000).await {
        Err(error) => seen.refuse(&error),
        Ok(records) => {
            count = records.len().min(count);
            let differs = |(found, expected): (&engine::journal::StoredRecord, &engine::journal::StoredRecord)| {
                (found.day, found.position, found.version, found.hash, &found.body)
                    != (expected.day, expected.position, expected.version, expected.hash, &expected.body)
            };
            if let Some(at) = records.iter().zip(&truth.records).position(differs) {
                seen.different.push(format!("record number {at}"));
            }
            if records.len() > truth.records.len() {
                seen.different.push("more records than were written".to_owned());
            }
        }
    }
    for day in &truth.days {
        match journal.load(*day).await {
            Err(error) => seen.refuse(&error),
            Ok(loaded) => {
                let expected = truth.last_of(*day, count);
                if let Err(what) = same_day(loaded, truth, *day, expected) {
                    seen.different.push(format!("{day}: {what}"));
                }
            }
        }
    }
    if count == truth.records.len() {
        read_indexes(&journal, truth, &mut seen).await;
    }
    if let Some(what) = seen.different.first().filter(|_| seen.refused.is_empty()) {
        return Outcome::Silent(what.clone());
    }
    match seen.refused.first() {
        Some(words) => Outcome::Told(words.clone(), seen.refused.len()),
        None if count < truth.records.len() => Outcome::TailLost(truth.records.len() - count),
        None => Outcome::Whole,
    }
}

/// Which days there are, and which have something to do.
async fn read_indexes(journal: &AgreedJournal, truth: &Truth, seen: &mut Seen) {
    let (first, last) = (Date::from_days(0).expect("a date"), Date::from_days(100_000).expect("a date"));
    let mut days = Vec::new();
    for number in 0..3 {
        match journal.days_of(doctor(number), first, last).await {
            Ok(found) => days.extend(found),
            Err(error) => seen.refuse(&error),
        }
    }
    days.sort_unstable();
    seen.compare("the days", &days, &truth.days);
    match journal.open_work(UtcMillis(i64::MAX), 10_000).await {
        Ok(work) => {
            let mut work: Vec<_> = work.into_iter().map(|(day, at)| (at, day)).collect();
            work.sort_unstable();
            seen.compare("the open work", &work, &truth.open_work);
        }
        Err(error) => seen.refuse(&error),
    }
}

/// Whether `loaded` leads to the state that the day had after record `sequence`.
fn same_day(loaded: Option<LoadedDay>, truth: &Truth, day: booking_core::DayKey, sequence: u64) -> Result<(), String> {
    let Some(loaded) = loaded else {
        return if sequence == 0 { Ok(()) } else { Err("never written".to_owned()) };
    };
    let Some((head, bytes)) = truth.state(day, sequence) else { return Err("more than was written".to_owned()) };
    let mut state = match &loaded.snapshot {
        Some(snapshot) => DoctorDay::unpack(&snapshot.bytes).map_err(|error| error.to_string())?,
        None => DoctorDay::default(),
    };
    for record in &loaded.tail {
        state.apply(record.version, &decode_event(&record.body).map_err(|error| error.to_string())?);
    }
    if loaded.head != *head {
        return Err(format!("it ends at {:?} instead of {head:?}", loaded.head));
    }
    if state.pack() == *bytes { Ok(()) } else { Err("another state".to_owned()) }
}

async fn compare_ledger(directory: &Path, truth: &Truth) -> Outcome {
    match ledger_rows(directory).await {
        Err(error) => Outcome::Told(format!("ledger.db: {error}; restore"), 1),
        Ok(rows) if rows == truth.ledger_rows => Outcome::Whole,
        Ok(rows) => {
            let strange = rows.iter().find(|row| !truth.ledger_rows.contains(row));
            Outcome::Silent(format!("the ledger has {} rows, one is {strange:?}", rows.len()))
        }
    }
}
