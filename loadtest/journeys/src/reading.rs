//! What the server holds after a run, read back over the API with an admin's eyes.
//! Must not know: how it is judged.

use thiserror::Error;

use crate::audit::{DayAfter, PatientAfter};
use crate::http::{Answer, Request};
use crate::model::{Appointment, Day, DayId, day, page};
use crate::patient::escaped;
use crate::person::Run;
use crate::tally::lock;
use crate::tokens::{Role, TokenError, fresh_id};

/// More pages than the largest day can have (500 slots of 100,000 places in pages of 200), so that a cursor that
/// never ends is noticed.
const PAGES_MAX: u32 = 250_001;
/// How often one reading is tried.
const TRIES: u32 = 3;

/// Why the audit cannot be made.
#[derive(Debug, Error)]
pub(crate) enum ReadingError {
    /// No answer, or another than expected.
    #[error("cannot read back for the audit: GET {path}: {reason}")]
    Unreadable {
        /// What was asked.
        path: String,
        /// What came.
        reason: String,
    },
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Reads every day and every patient's list.
pub(crate) async fn read_back(run: &Run) -> Result<(Vec<DayAfter>, Vec<PatientAfter>), ReadingError> {
    let reader = Reader { run, token: run.mint.token(fresh_id(), Role::Admin)? };
    let mut days = Vec::new();
    for (id, surely_there) in run.world.days() {
        if let Some(before) = reader.day(id, surely_there).await? {
            let rows = reader.appointments(&format!("/v1/doctors/{}/days/{}/appointments", id.doctor, id.date)).await?;
            let after = reader.day(id, true).await?;
            let before_millis = before.server_time_millis;
            days.push(DayAfter { before_millis, day: after.unwrap_or(before), rows });
        }
    }
    let everyone: Vec<_> = lock(&run.patients).clone();
    let mut patients = Vec::with_capacity(everyone.len());
    for patient in everyone {
        let rows = reader.appointments(&format!("/v1/patients/{}/appointments", patient.id)).await?;
        let evidence = lock(&patient.memory).evidence.clone();
        patients.push(PatientAfter { id: patient.id, evidence, rows });
    }
    Ok((days, patients))
}

struct Reader<'a> {
    run: &'a Run,
    token: Box<str>,
}

impl Reader<'_> {
    /// A day; `None` only where its publication was never acknowledged and it is not there.
    async fn day(&self, id: DayId, surely_there: bool) -> Result<Option<Day>, ReadingError> {
        let path = format!("/v1/doctors/{}/days/{}", id.doctor, id.date);
        let answer = self.get(&path).await?;
        match answer.status {
            200 => day(&answer.body).map(Some).map_err(|reason| ReadingError::Unreadable { path, reason }),
            404 if !surely_there => Ok(None),
            status => Err(ReadingError::Unreadable { path, reason: format!("status {status} {}", answer.code) }),
        }
    }

    /// All appointments of a list, of every status, page by page.
    async fn appointments(&self, list: &str) -> Result<Vec<Appointment>, ReadingError> {
        let base = format!("{list}?limit=200");
        let (mut path, mut rows) = (base.clone(), Vec::new());
        for _ in 0..PAGES_MAX {
            let answer = self.get(&path).await?;
            let unreadable = |reason| ReadingError::Unreadable { path: path.clone(), reason };
            if answer.status != 200 {
                return Err(unreadable(format!("status {} {}", answer.status, answer.code)));
            }
            let (items, next) = page(&answer.body).map_err(unreadable)?;
            rows.extend(items);
            match next {
                Some(cursor) => path = format!("{base}&cursor={}", escaped(&cursor)),
                None => return Ok(rows),
            }
        }
        Err(ReadingError::Unreadable { path, reason: "the pages never end".to_owned() })
    }

    async fn get(&self, path: &str) -> Result<Answer, ReadingError> {
        let request = Request::get(path.to_owned());
        let mut reason = String::new();
        for _ in 0..TRIES {
            match self.run.api.ask(&request, Some(&self.token)).await.answer {
                Ok(answer) => return Ok(answer),
                Err(why) => reason = why,
            }
        }
        Err(ReadingError::Unreadable { path: path.to_owned(), reason })
    }
}
