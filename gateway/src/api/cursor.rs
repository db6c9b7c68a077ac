//! Cursors: where a page ended, as text that means nothing to the caller and is refused if it was changed.
//! Must not know: how a list is read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use booking_core::{AppointmentId, DoctorId, UtcMillis};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::problem::Problem;

/// Version of the compact form: the first byte of every cursor.
const VERSION: u8 = 1;
/// Bytes of the check sum. Not a secret: it catches mistakes, a forged cursor only pages elsewhere in one's own list.
const CHECK_BYTES: usize = 6;
/// Longest cursor text that is looked at: a doctor's name and id, encoded.
const TEXT_MAX: usize = 1_400;

const KIND_APPOINTMENT: u8 = b'a';
const KIND_DOCTOR: u8 = b'd';
const KIND_MESSAGE: u8 = b'm';
const KIND_TEMPLATE: u8 = b't';

/// A page of appointments ended after this (start, id).
pub(crate) fn of_appointment(start: UtcMillis, id: AppointmentId) -> String {
    let mut bytes = start.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(id.as_bytes());
    seal(KIND_APPOINTMENT, &bytes)
}

/// The inverse of [`of_appointment`].
pub(crate) fn to_appointment(text: &str) -> Result<(UtcMillis, AppointmentId), Problem> {
    let bytes = open(KIND_APPOINTMENT, text)?;
    let (start, id) = bytes.split_first_chunk::<8>().ok_or_else(refused)?;
    Ok((UtcMillis(i64::from_be_bytes(*start)), AppointmentId::from_bytes(id.try_into().map_err(|_| refused())?)))
}

/// A page of doctors ended after this (name, id).
pub(crate) fn of_doctor(name: &str, id: DoctorId) -> String {
    let mut bytes = id.as_bytes().to_vec();
    bytes.extend_from_slice(name.as_bytes());
    seal(KIND_DOCTOR, &bytes)
}

/// The inverse of [`of_doctor`].
pub(crate) fn to_doctor(text: &str) -> Result<(String, DoctorId), Problem> {
    let bytes = open(KIND_DOCTOR, text)?;
    let (id, name) = bytes.split_first_chunk::<16>().ok_or_else(refused)?;
    Ok((String::from_utf8(name.to_vec()).map_err(|_| refused())?, DoctorId::from_bytes(*id)))
}

/// A page of messages ended after this (due instant, message id).
pub(crate) fn of_message(due_at: UtcMillis, id: Uuid) -> String {
    let mut bytes = due_at.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(id.as_bytes());
    seal(KIND_MESSAGE, &bytes)
}

/// The inverse of [`of_message`].
pub(crate) fn to_message(text: &str) -> Result<(UtcMillis, Uuid), Problem> {
    let bytes = open(KIND_MESSAGE, text)?;
    let (due_at, id) = bytes.split_first_chunk::<8>().ok_or_else(refused)?;
    Ok((UtcMillis(i64::from_be_bytes(*due_at)), Uuid::from_slice(id).map_err(|_| refused())?))
}

/// A page of templates ended after this name.
pub(crate) fn of_template(name: &str) -> String {
    seal(KIND_TEMPLATE, name.as_bytes())
}

/// The inverse of [`of_template`].
pub(crate) fn to_template(text: &str) -> Result<String, Problem> {
    String::from_utf8(open(KIND_TEMPLATE, text)?).map_err(|_| refused())
}

fn seal(kind: u8, payload: &[u8]) -> String {
    let mut bytes = vec![VERSION, kind];
    bytes.extend_from_slice(payload);
    let check = check_of(&bytes);
    bytes.extend_from_slice(&check);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn open(kind: u8, text: &str) -> Result<Vec<u8>, Problem> {
    if text.len() > TEXT_MAX {
        return Err(refused());
    }
    let mut bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let (sealed, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or_else(refused)?;
    if *check != check_of(sealed) || !sealed.starts_with(&[VERSION, kind]) {
        return Err(refused());
    }
    bytes.truncate(bytes.len() - CHECK_BYTES);
    Ok(bytes.split_off(2))
}

fn check_of(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let mut digest = Sha256::new();
    digest.update(b"hotslot cursor");
    digest.update(bytes);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest.finalize()[..CHECK_BYTES]);
    check
}

fn refused() -> Problem {
    Problem::invalid("The cursor is not one that this list has given.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let id = AppointmentId(Uuid::from_u128(7));
        assert_eq!(to_appointment(&of_appointment(UtcMillis(-5), id)).expect("good"), (UtcMillis(-5), id));
        let doctor = DoctorId(Uuid::from_u128(8));
        assert_eq!(to_doctor(&of_doctor("Žofie", doctor)).expect("good"), ("Žofie".to_owned(), doctor));
        assert_eq!(to_message(&of_message(UtcMillis(5), id.0)).expect("good"), (UtcMillis(5), id.0));
        assert_eq!(to_template(&of_template("short-notice")).expect("good"), "short-notice");
    }

    #[test]
    fn a_changed_cursor_is_refused() {
        let good = of_appointment(UtcMillis(1), AppointmentId(Uuid::from_u128(7)));
        for position in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(changed == good || to_appointment(&changed).is_err(), "{changed}");
        }
        for text in ["", "AA", "!", &good[1..], &of_doctor("x", DoctorId(Uuid::nil())), &"A".repeat(2_000)] {
            assert!(to_appointment(text).is_err(), "{text}");
        }
        assert!(to_doctor(&good).is_err());
    }
}
