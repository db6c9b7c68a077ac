//! What a run comes to: one JSON document and the same in words.
//! Must not know: how it was found out.

use std::fmt::Write as _;

use serde::Serialize;

use crate::audit::Verdict;
use crate::tally::Counted;

/// Findings that are told in words; the JSON has all.
const TOLD_FINDINGS: usize = 20;

/// The whole of it. `schema_version` rises when a name or a meaning changes.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Always `hotslot-journeys`.
    pub(crate) schema: &'static str,
    /// Always 1 so far.
    pub(crate) schema_version: u32,
    /// Virtual users at the most.
    pub(crate) users: u64,
    /// Seconds that goose ran.
    pub(crate) seconds: u64,
    /// What was done.
    #[serde(flatten)]
    pub(crate) counted: Counted,
    /// Thresholds of goose that were not kept, in its words.
    pub(crate) thresholds_broken: Vec<String>,
    /// What the audit says; `None`: it could not be made.
    pub(crate) audit: Option<Verdict>,
}

impl Summary {
    /// Whether everything is as it must be.
    pub(crate) fn is_clean(&self) -> bool {
        self.counted.unexpected == 0
            && self.thresholds_broken.is_empty()
            && self.audit.as_ref().is_some_and(|audit| audit.findings.is_empty())
    }

    /// In words, one thing a line.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("\njourneys: {} users, {} s\n", self.users, self.seconds);
        for (operation, counts) in &self.counted.operations {
            let mut line = format!("  {:<12} {:>8} served", operation.name(), counts.served);
            for (code, count) in counts.refused.iter().chain(&counts.not_now) {
                let _ = write!(line, ", {count} {code}");
            }
            if counts.unexpected > 0 {
                let _ = write!(line, ", {} UNEXPECTED", counts.unexpected);
            }
            text.push_str(&line);
            text.push('\n');
        }
        let _ = writeln!(text, "  stream events {:>7}", self.counted.stream_events);
        for (what, count) in &self.counted.unexpected_words {
            let _ = writeln!(text, "unexpected: {what} ({count} times)");
        }
        for threshold in &self.thresholds_broken {
            let _ = writeln!(text, "threshold broken: {threshold}");
        }
        if let Some(audit) = &self.audit {
            let _ = writeln!(
                text,
                "audit: {} days, {} patients, {} appointments told, {} keep a place, {} in doubt, {} findings",
                audit.days,
                audit.patients,
                audit.acknowledged,
                audit.keeping_place,
                audit.in_doubt,
                audit.findings.len()
            );
            for finding in audit.findings.iter().take(TOLD_FINDINGS) {
                let _ = writeln!(text, "finding: {}: {}", finding.kind, finding.detail);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Finding;
    use crate::contract::Operation;
    use crate::tally::Tally;

    fn summary(counted: Counted, audit: Option<Verdict>) -> Summary {
        let schema = "hotslot-journeys";
        Summary { schema, schema_version: 1, users: 3, seconds: 4, counted, thresholds_broken: Vec::new(), audit }
    }

    #[test]
    fn only_what_is_as_it_must_be_is_clean() {
        let clean = || summary(Counted::default(), Some(Verdict::default()));
        assert!(clean().is_clean());
        assert!(!summary(Counted::default(), None).is_clean());
        assert!(!Summary { thresholds_broken: vec!["p99<1ms".to_owned()], ..clean() }.is_clean());
        let tally = Tally::default();
        tally.refused(Operation::Book, "sold_out");
        assert!(summary(tally.counted(), Some(Verdict::default())).is_clean());
        tally.unexpected(Operation::Book, "status 500");
        let unclean = summary(tally.counted(), Some(Verdict::default()));
        assert!(!unclean.is_clean() && unclean.text().contains("unexpected: book: status 500"), "{}", unclean.text());
        let finding = Finding { kind: "oversold", detail: "2 of 1".to_owned() };
        let found = summary(Counted::default(), Some(Verdict { findings: vec![finding], ..Verdict::default() }));
        assert!(!found.is_clean() && found.text().contains("finding: oversold: 2 of 1"), "{}", found.text());
    }

    #[test]
    fn the_document_names_operations_as_reports_do() {
        let tally = Tally::default();
        tally.served(Operation::ListOwn);
        let json = serde_json::to_value(summary(tally.counted(), None)).unwrap();
        assert_eq!(json["operations"]["list_own"]["served"], 1);
        assert_eq!(json["unexpected"], 0);
    }
}
