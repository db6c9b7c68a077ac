//! Query strings: only the parameters a call knows, each once unless it may repeat.
//! Must not know: which call asks.

use std::borrow::Cow;

use booking_core::{Date, UtcMillis};

use super::problem::Problem;

/// Items on a page if the caller does not say.
pub(crate) const LIMIT_DEFAULT: usize = 50;
/// Most items on a page.
pub(crate) const LIMIT_MAX: usize = 200;

/// A query string whose names have been checked.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(&'static str, String)>,
}

impl Query {
    /// Parses `text`; names outside `once` and `repeatable`, and repetitions of `once`, are `invalid_request`.
    pub(crate) fn parse(text: &str, once: &[&'static str], repeatable: &[&'static str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(name)?;
            let known = once.iter().chain(repeatable).find(|known| **known == name);
            let Some(known) = known else {
                return Err(Problem::invalid("There is an unknown query parameter."));
            };
            if once.contains(known) && pairs.iter().any(|(seen, _)| seen == known) {
                return Err(Problem::invalid(format!("The query parameter {known} is given more than once.")));
            }
            let value = decode(value)?;
            if value.is_empty() {
                return Err(Problem::invalid(format!("The query parameter {known} is empty.")));
            }
            pairs.push((known, value.into_owned()));
        }
        Ok(Self { pairs })
    }

    /// The value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// All values of `name`, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// `limit`: 1 to [`LIMIT_MAX`].
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else {
            return Ok(LIMIT_DEFAULT);
        };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(limit @ 1..=LIMIT_MAX) if digits => Ok(limit),
            _ => Err(Problem::invalid(format!("limit must be 1 to {LIMIT_MAX}."))),
        }
    }

    /// The date `name`, which must be given.
    pub(crate) fn date(&self, name: &str) -> Result<Date, Problem> {
        self.get(name)
            .and_then(Date::parse)
            .ok_or_else(|| Problem::invalid(format!("{name} must be a date such as 2026-01-31.")))
    }

    /// The instant `name`, if given. A space is taken as the `+` that a careless caller did not encode.
    pub(crate) fn instant(&self, name: &str) -> Result<Option<UtcMillis>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        super::instant::parse(&text.replace(' ', "+"))
            .map(Some)
            .ok_or_else(|| Problem::invalid(format!("{name} must be an instant such as 2026-01-31T07:00:00Z.")))
    }
}

/// Percent-decoding, with `+` as a space.
fn decode(text: &str) -> Result<Cow<'_, str>, Problem> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let bad = || Problem::invalid("The query string is not percent-encoded UTF-8.");
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = bytes.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or_else(bad)?;
                let low = bytes.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or_else(bad)?;
                (high * 16 + low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let query = Query::parse("city=S%C3%A3o+Paulo&limit=200", &["city", "limit"], &[]).expect("good");
        assert_eq!(query.get("city"), Some("São Paulo"));
        assert_eq!(query.limit().expect("good"), 200);
    }

    #[test]
    fn repeatable_parameters_keep_their_order() {
        let query = Query::parse("status=held&status=booked", &[], &["status"]).expect("good");
        assert_eq!(query.all("status").collect::<Vec<_>>(), ["held", "booked"]);
    }

    #[test]
    fn unknown_repeated_empty_and_broken_parameters_are_refused() {
        for text in ["x=1", "limit", "limit=", "limit=1&limit=1", "limit=%", "limit=%f", "limit=%ff", "Limit=1"] {
            assert!(Query::parse(text, &["limit"], &[]).is_err(), "{text}");
        }
        for text in ["limit=0", "limit=201", "limit=-1", "limit=%2B5", "limit=1.0", "limit=99999999999999999999999"] {
            assert!(Query::parse(text, &["limit"], &[]).expect("well-formed").limit().is_err(), "{text}");
        }
    }

    #[test]
    fn an_offset_may_have_lost_its_plus() {
        let query = Query::parse("from=2026-01-01T00:00:00+01:00", &["from"], &[]).expect("good");
        assert_eq!(query.instant("from").expect("good"), super::super::instant::parse("2025-12-31T23:00:00Z"));
    }
}
