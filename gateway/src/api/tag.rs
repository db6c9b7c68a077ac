//! Entity tags of days: how a version and its time phase are written, and what `If-Match` and `If-None-Match` ask.
//! Must not know: what a day contains.

use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use booking_core::DayVersion;

use super::problem::Problem;

/// Most tags that one header may list: nobody has seen more versions of a day than this.
const TAGS_MAX: usize = 64;

/// What a reader sees of a day: its version, and how many instants that change it by themselves have passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DayTag {
    /// Of the day.
    pub(crate) version: DayVersion,
    /// `DaySnapshot::phase_at`.
    pub(crate) phase: u32,
}

impl std::fmt::Display for DayTag {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "W/\"{}.{}.{}\"", self.version.epoch, self.version.sequence, self.phase)
    }
}

/// What a conditional header names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    /// `*`: any version.
    Any,
    /// These tags; the ones that no day can have are left out.
    Tags(Vec<DayTag>),
}

/// `If-Match`, if given.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<Condition>, Problem> {
    condition(headers, &IF_MATCH)
}

/// Whether `If-None-Match` names `tag`, so that the reader has it already. A malformed header names nothing.
pub(crate) fn none_match_names(headers: &HeaderMap, tag: &DayTag) -> bool {
    match condition(headers, &IF_NONE_MATCH) {
        Ok(Some(Condition::Any)) => true,
        Ok(Some(Condition::Tags(tags))) => tags.contains(tag),
        Ok(None) | Err(_) => false,
    }
}

fn condition(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Condition>, Problem> {
    let mut tags = None::<Vec<DayTag>>;
    let mut any = false;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| malformed(name))?;
        if text.trim() == "*" {
            any = true;
            continue;
        }
        for tag in parse_list(text).ok_or_else(|| malformed(name))? {
            let list = tags.get_or_insert_default();
            list.extend(tag);
            if list.len() > TAGS_MAX {
                return Err(malformed(name));
            }
        }
    }
    match (any, tags) {
        (true, Some(_)) => Err(malformed(name)),
        (true, None) => Ok(Some(Condition::Any)),
        (false, tags) => Ok(tags.map(Condition::Tags)),
    }
}

/// The tags of a comma-separated list, `None` for those that no day can have; `None` in all if it is no such list.
fn parse_list(text: &str) -> Option<Vec<Option<DayTag>>> {
    let mut rest = text.trim();
    let mut tags = Vec::new();
    loop {
        let opaque = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
        let (opaque, behind) = opaque.split_once('"')?;
        tags.push(parse_opaque(opaque));
        rest = behind.trim_start();
        if rest.is_empty() {
            return Some(tags);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

fn parse_opaque(opaque: &str) -> Option<DayTag> {
    let mut parts = opaque.split('.');
    let tag = DayTag {
        version: DayVersion { epoch: parts.next()?.parse().ok()?, sequence: parts.next()?.parse().ok()? },
        phase: parts.next()?.parse().ok()?,
    };
    // Only the spelling that was answered: a leading zero or plus is another tag.
    (parts.next().is_none() && tag.to_string().strip_prefix("W/\"")?.strip_suffix('"')? == opaque).then_some(tag)
}

fn malformed(name: &HeaderName) -> Problem {
    Problem::invalid(format!("The header {name} must be * or a list of entity tags."))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn tag(epoch: u32, sequence: u64, phase: u32) -> DayTag {
        DayTag { version: DayVersion { epoch, sequence }, phase }
    }

    fn parse(values: &[&str]) -> Result<Option<Condition>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, HeaderValue::from_str(value).expect("visible"));
        }
        if_match(&headers)
    }

    #[test]
    fn weak_and_strong_tags_and_lists_are_read() {
        assert_eq!(parse(&[]).expect("absent"), None);
        assert_eq!(parse(&["*"]).expect("any"), Some(Condition::Any));
        assert_eq!(parse(&["W/\"1.2.3\""]).expect("one"), Some(Condition::Tags(vec![tag(1, 2, 3)])));
        assert_eq!(
            parse(&["\"1.2.3\" , W/\"4.5.6\"", "\"7.8.9\""]).expect("three"),
            Some(Condition::Tags(vec![tag(1, 2, 3), tag(4, 5, 6), tag(7, 8, 9)]))
        );
    }

    #[test]
    fn tags_that_no_day_has_name_nothing() {
        for text in ["\"\"", "\"abc\"", "\"1.2\"", "\"01.2.3\"", "\"+1.2.3\"", "\"1.2.3.4\"", "\"1.2.99999999999\""] {
            assert_eq!(parse(&[text]).expect(text), Some(Condition::Tags(vec![])), "{text}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for values in
            [&[""][..], &["1.2.3"], &["\"1.2.3"], &["\"1.2.3\","], &["\"1.2.3\" \"4.5.6\""], &["*", "\"1.2.3\""]]
        {
            assert!(parse(values).is_err(), "{values:?}");
        }
    }

    #[test]
    fn a_tag_is_read_as_it_is_written() {
        let given = tag(7, 9_007_199_254_740_993, 12);
        assert_eq!(parse(&[&given.to_string()]).expect("own"), Some(Condition::Tags(vec![given])));
    }
}
