//! How the remembered keys of a packed day are written: an answer that is an appointment of the day refers to it.
//! Must not know: how many keys a subject may have.

use super::DecodeError;
use super::bytes::{Reader, Writer};
use super::days::{read_day_version, write_day_version};
use super::rows::{Context, read_body, read_home, read_row, write_body, write_home, write_row};
use crate::appointment::Appointment;
use crate::command::{Answer, Fingerprint};
use crate::day::RememberedKey;
use crate::id::{AppointmentId, SubjectId};

/// Answers: the closed day, an appointment that this day does not have, one as it stands now, one as it once stood.
const ANSWER_CLOSED: u8 = 0;
const ANSWER_FOREIGN: u8 = 1;
const ANSWER_CURRENT: u8 = 2;
const ANSWER_FORMER: u8 = 3;
const ANSWER_BITS: u8 = 0b0011;
/// Whose key: said in full, the patient of the answer, or the subject of the key before.
const SUBJECT_PATIENT: u8 = 0b0100;
const SUBJECT_PREVIOUS: u8 = 0b1000;
/// The answer is a foreign appointment that had just left for another day, which is named after it.
const MOVED: u8 = 0b1_0000;
/// Kind, key, fingerprint: least number of bytes of a remembered key.
pub(super) const KEY_BYTES_MIN: usize = 18;

/// `rows` of the day by id, and where an id stands among them.
pub(super) fn write_key(
    writer: &mut Writer,
    subject: SubjectId,
    previous: Option<SubjectId>,
    remembered: &RememberedKey,
    (rows, rank_of): (&[&Appointment], &impl Fn(AppointmentId) -> Option<usize>),
    context: Context<'_>,
) {
    let answered = match &remembered.answer {
        Answer::Appointment(row) | Answer::Moved { row, .. } => Some(row),
        Answer::Closed { .. } => None,
    };
    let home = match &remembered.answer {
        Answer::Moved { to, .. } => Some(to),
        Answer::Appointment(_) | Answer::Closed { .. } => None,
    };
    // One that left may have come back: its answer is written whole all the same.
    let known = answered.filter(|_| home.is_none());
    let known = known.and_then(|row| rank_of(row.id));
    let known = known.filter(|position| answered.is_some_and(|row| rows[*position].patient == row.patient));
    let kind = match (answered, known) {
        (None, _) => ANSWER_CLOSED,
        (Some(_), None) => ANSWER_FOREIGN,
        (Some(row), Some(position)) => {
            if rows[position] == row {
                ANSWER_CURRENT
            } else {
                ANSWER_FORMER
            }
        }
    };
    let is_patient = answered.is_some_and(|row| row.patient.as_bytes() == subject.as_bytes());
    let whose = match (previous == Some(subject), is_patient) {
        (true, _) => SUBJECT_PREVIOUS,
        (false, true) => SUBJECT_PATIENT,
        (false, false) => 0,
    };
    writer.byte(kind | whose | if home.is_some() { MOVED } else { 0 });
    if let Some(position) = known {
        writer.number(position as u64);
    }
    match &remembered.answer {
        Answer::Closed { version, at } => {
            write_day_version(writer, *version);
            writer.instant(*at, context.base);
        }
        Answer::Moved { row, to } => {
            write_row(writer, row, context);
            write_home(writer, to);
        }
        Answer::Appointment(row) if kind == ANSWER_FOREIGN => write_row(writer, row, context),
        Answer::Appointment(row) if kind == ANSWER_FORMER => write_body(writer, row, context),
        Answer::Appointment(_) => {}
    }
    if whose == 0 {
        writer.fixed(subject.as_bytes());
    }
    writer.key(&remembered.key);
    writer.fixed(&remembered.fingerprint.0);
}

pub(super) fn read_key<'day>(
    reader: &mut Reader<'_>,
    previous: Option<SubjectId>,
    row_at: impl Fn(usize) -> Option<&'day Appointment>,
    context: Context<'_>,
) -> Result<(SubjectId, RememberedKey), DecodeError> {
    let flags = reader.byte("answer")?;
    let answer = read_answer(reader, flags & (ANSWER_BITS | MOVED), row_at, context)?;
    let subject = match (flags & !(ANSWER_BITS | MOVED), &answer) {
        (0, _) => SubjectId::from_bytes(reader.fixed("subject")?),
        (SUBJECT_PATIENT, Answer::Appointment(row) | Answer::Moved { row, .. }) => {
            SubjectId::from_bytes(*row.patient.as_bytes())
        }
        (SUBJECT_PREVIOUS, _) => previous.ok_or_else(|| reader.invalid("subject"))?,
        _ => return Err(reader.invalid("subject")),
    };
    let key = reader.key("key")?;
    let fingerprint = Fingerprint(reader.fixed("fingerprint")?);
    Ok((subject, RememberedKey { key, fingerprint, answer }))
}

fn read_answer<'day>(
    reader: &mut Reader<'_>,
    kind: u8,
    row_at: impl Fn(usize) -> Option<&'day Appointment>,
    context: Context<'_>,
) -> Result<Answer, DecodeError> {
    match kind {
        ANSWER_CLOSED => {
            let version = read_day_version(reader)?;
            return Ok(Answer::Closed { version, at: reader.instant(context.base, "instant of the answer")? });
        }
        ANSWER_FOREIGN => return Ok(Answer::Appointment(read_row(reader, context)?)),
        kind if kind == ANSWER_FOREIGN | MOVED => {
            let row = read_row(reader, context)?;
            return Ok(Answer::Moved { row, to: read_home(reader)? });
        }
        ANSWER_CURRENT | ANSWER_FORMER => {}
        _ => return Err(reader.invalid("answer")),
    }
    let position = reader.position("appointment of the answer")?;
    let row = row_at(position).ok_or_else(|| reader.invalid("appointment of the answer"))?;
    Ok(Answer::Appointment(if kind == ANSWER_CURRENT {
        row.clone()
    } else {
        read_body(reader, row.id, row.patient, context)?
    }))
}
