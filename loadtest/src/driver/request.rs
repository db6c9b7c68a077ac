//! The bytes of a booking request for any patient and choice of slot, prepared as far as they are shared.
//! Must not know: connections, answers.

use uuid::Uuid;

use crate::driver::target::Target;
use crate::tokens::Patient;

/// Which slots patients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pick {
    /// None named: the earliest free one.
    Any,
    /// Each patient names one, the slots in turn.
    Given,
    /// Every second patient names one.
    Mixed,
}

/// One thing to ask for: a slot or any.
struct Choice {
    start_millis: Option<i64>,
    /// `Content-Length`, the empty line and the body.
    tail: Vec<u8>,
}

/// Prepared requests for the places of one day.
pub(crate) struct BookingRequests {
    pick: Pick,
    /// Up to and including `Bearer `.
    prefix: Vec<u8>,
    any: Choice,
    given: Vec<Choice>,
    /// How many patients in a row take the same choice.
    in_a_row: usize,
}

impl BookingRequests {
    /// For the day `date` of `doctor`, whose bookable slots are `slots`: the start as the server writes it and in UTC
    /// milliseconds. Without slots every patient asks for any.
    pub(crate) fn new(
        target: &Target,
        doctor: Uuid,
        date: jiff::civil::Date,
        pick: Pick,
        slots: &[(String, i64)],
    ) -> Self {
        let prefix = format!(
            "POST /v1/appointments HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAuthorization: Bearer ",
            target.host
        );
        let choice = |start: Option<&str>, start_millis| {
            let start = start.map_or_else(String::new, |start| format!(r#","start":"{start}""#));
            let body = format!(r#"{{"doctor_id":"{doctor}","date":"{date}"{start}}}"#);
            Choice { start_millis, tail: format!("\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes() }
        };
        Self {
            pick,
            prefix: prefix.into_bytes(),
            any: choice(None, None),
            given: slots.iter().map(|(start, start_millis)| choice(Some(start), Some(*start_millis))).collect(),
            in_a_row: 1,
        }
    }

    /// For any slot of each of these doctor-days, which the patients take in turn.
    pub(crate) fn over_days(target: &Target, days: &[(Uuid, jiff::civil::Date)]) -> Self {
        let first = days.first().copied().unwrap_or_default();
        let of_day = |(doctor, date)| Self::new(target, doctor, date, Pick::Any, &[]).any;
        let given = days.iter().copied().map(of_day).collect();
        Self { pick: Pick::Given, given, ..Self::new(target, first.0, first.1, Pick::Any, &[]) }
    }

    /// As [`Self::over_days`], but so many patients one after another ask for the same day before the next is asked for.
    pub(crate) fn day_after_day(target: &Target, days: &[(Uuid, jiff::civil::Date)], in_a_row: usize) -> Self {
        Self { in_a_row: in_a_row.max(1), ..Self::over_days(target, days) }
    }

    /// The slot that the patient of that index asks for, UTC milliseconds of its start; `None` for any.
    pub(crate) fn wanted_start_millis(&self, index: usize) -> Option<i64> {
        self.choice(index).start_millis
    }

    /// Replaces what is in `buffer` by the whole request of `patient`, who has that index. The same bytes at each
    /// call, so the same idempotency key too.
    pub(crate) fn write(&self, patient: &Patient, index: usize, buffer: &mut Vec<u8>) {
        let mut id = Uuid::encode_buffer();
        buffer.clear();
        buffer.extend_from_slice(&self.prefix);
        buffer.extend_from_slice(patient.token.as_bytes());
        buffer.extend_from_slice(b"\r\nIdempotency-Key: storm-");
        buffer.extend_from_slice(patient.id.as_hyphenated().encode_lower(&mut id).as_bytes());
        buffer.extend_from_slice(&self.choice(index).tail);
    }

    fn choice(&self, index: usize) -> &Choice {
        let turn = match self.pick {
            Pick::Given => Some(index / self.in_a_row),
            Pick::Mixed if index % 2 == 1 => Some(index / 2),
            Pick::Mixed | Pick::Any => None,
        };
        turn.and_then(|turn| self.given.get(turn % self.given.len().max(1))).unwrap_or(&self.any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(pick: Pick, slots: &[(String, i64)]) -> BookingRequests {
        let target = Target { address: "127.0.0.1:1".parse().unwrap(), host: "h:1".to_owned() };
        BookingRequests::new(&target, Uuid::nil(), jiff::civil::date(2030, 1, 2), pick, slots)
    }

    #[test]
    fn slots_are_wanted_in_turn() {
        let slots = [("a".to_owned(), 10), ("b".to_owned(), 20)];
        let wanted = |pick| (0..5).map(|index| requests(pick, &slots).wanted_start_millis(index)).collect::<Vec<_>>();
        assert_eq!(wanted(Pick::Any), [None; 5]);
        assert_eq!(wanted(Pick::Given), [Some(10), Some(20), Some(10), Some(20), Some(10)]);
        assert_eq!(wanted(Pick::Mixed), [None, Some(10), None, Some(20), None]);
        assert_eq!(requests(Pick::Given, &[]).wanted_start_millis(3), None);
    }

    #[test]
    fn days_are_pressed_in_turn() {
        let target = Target { address: "127.0.0.1:1".parse().unwrap(), host: "h:1".to_owned() };
        let days = [1, 2].map(|number| (Uuid::from_u128(number), jiff::civil::date(2030, 1, number as i8)));
        let requests = BookingRequests::over_days(&target, &days);
        let patient = Patient { id: Uuid::from_u128(5), token: "t".into() };
        let mut buffer = Vec::new();
        for index in 0..4 {
            requests.write(&patient, index, &mut buffer);
            let (doctor, date) = days[index % 2];
            let body = format!(r#"{{"doctor_id":"{doctor}","date":"{date}"}}"#);
            assert!(String::from_utf8_lossy(&buffer).ends_with(&body));
            assert_eq!(requests.wanted_start_millis(index), None);
        }
    }

    #[test]
    fn days_are_pressed_one_after_the_other() {
        let target = Target { address: "127.0.0.1:1".parse().unwrap(), host: "h:1".to_owned() };
        let days = [1, 2].map(|number| (Uuid::from_u128(number), jiff::civil::date(2030, 1, number as i8)));
        let requests = BookingRequests::day_after_day(&target, &days, 3);
        let patient = Patient { id: Uuid::from_u128(5), token: "t".into() };
        let mut buffer = Vec::new();
        for (index, day) in [0, 0, 0, 1, 1, 1, 0].into_iter().enumerate() {
            requests.write(&patient, index, &mut buffer);
            let (doctor, date) = days[day];
            let body = format!(r#"{{"doctor_id":"{doctor}","date":"{date}"}}"#);
            assert!(String::from_utf8_lossy(&buffer).ends_with(&body), "{index}");
        }
    }

    #[test]
    fn the_bytes_are_a_whole_request() {
        let slots = [("2030-01-02T08:00:00Z".to_owned(), 10)];
        let patient = Patient { id: Uuid::from_u128(5), token: "t.o.k".into() };
        let mut buffer = b"left over".to_vec();
        requests(Pick::Given, &slots).write(&patient, 0, &mut buffer);
        let body = format!(r#"{{"doctor_id":"{}","date":"2030-01-02","start":"2030-01-02T08:00:00Z"}}"#, Uuid::nil());
        let expected = format!(
            "POST /v1/appointments HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\n\
             Authorization: Bearer t.o.k\r\nIdempotency-Key: storm-{}\r\nContent-Length: {}\r\n\r\n{body}",
            patient.id,
            body.len()
        );
        assert_eq!(String::from_utf8(buffer).unwrap(), expected);
    }
}
