//! The one list of field names of our log lines in JSON, after the conventions of OpenTelemetry where these have a word.
//! Must not know: who writes which.
//!
//! Code names a field briefly, or by its full name; the line has the full one. The table in `deploy/OPERATIONS.md` is this list, and a
//! test holds the two, and every field in the source, against each other.

use std::borrow::Cow;

/// Begins whatever is ours alone.
const OURS: &str = "hotslot.";

/// A field: as code names it, and as a line has it.
pub(crate) struct Name {
    /// In code, unless it is the full name there too.
    pub(crate) brief: &'static str,
    /// In a line.
    pub(crate) full: &'static str,
}

const fn named(brief: &'static str, full: &'static str) -> Name {
    Name { brief, full }
}

/// Names that do not follow from the brief one by putting `hotslot.` before it.
pub(crate) const NAMES: &[Name] = &[
    named("error", "error.message"),
    named("reason", "error.message"),
    named("failure", "error.message"),
    named("rejection", "error.message"),
    named("violation", "error.message"),
    named("version", "service.version"),
    named("event", "hotslot.event.id"),
    named("of", "hotslot.days.total"),
    named("applied", "hotslot.position.applied"),
    named("head", "hotslot.position.head"),
    named("lag", "hotslot.ledger.lag"),
    named("missing", "hotslot.ledger.lag"),
    named("status", "http.response.status_code"),
    named("took_ms", "hotslot.duration_ms"),
    named("current", "hotslot.epoch.current"),
    named("other", "hotslot.day.other"),
    named("failed", "error.message"),
    named("killed", "error.message"),
];

/// The name in a line of what our code calls `name`.
pub(crate) fn told(name: &str) -> Cow<'_, str> {
    match NAMES.iter().find(|known| known.brief == name) {
        Some(known) => Cow::Borrowed(known.full),
        None if name.contains('.') => Cow::Borrowed(name),
        None => Cow::Owned(format!("{OURS}{name}")),
    }
}

/// The name in a line of what a library calls `name`.
pub(crate) fn told_of_library(name: &str) -> String {
    format!("library.{}", name.trim_start_matches("log."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_line_is_dotted() {
        for (name, full) in [
            ("error", "error.message"),
            ("shard", "hotslot.shard"),
            ("http.request.method", "http.request.method"),
            ("request.id", "request.id"),
        ] {
            assert_eq!(told(name), full);
        }
        assert!(NAMES.iter().all(|name| name.full.contains('.') && !name.brief.contains('.')));
        assert_eq!(told_of_library("log.target"), "library.target");
    }
}
