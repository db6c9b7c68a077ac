//! What an audit found: findings by kind, bounded, and the sum of what was looked at.
//! Must not know: how anything was read or compared.

use std::collections::BTreeMap;
use std::fmt::Display;

/// Findings of one kind that are told in full; the others are counted.
pub const SHOWN_OF_EACH_KIND_MAX: usize = 20;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal),* $(,)?) => {
        /// What kind of thing is wrong. Its word is stable: programs may look for it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind, in the order in which findings are told.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word that names it.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

kinds! {
    /// SQLite's own check of a file or an index fails.
    FileDamaged = "file_damaged",
    /// A table or an index of a file is not what the migrations make.
    SchemaDiffers = "schema_differs",
    /// A row that no program writes.
    RowMalformed = "row_malformed",
    /// Positions of the journal are missing or used twice.
    PositionGap = "position_gap",
    /// Records of a day are missing or stand out of order.
    SequenceGap = "sequence_gap",
    /// A block's bytes are not those of its records.
    BlockDamaged = "block_damaged",
    /// A block does not name the day's block before it.
    BlockPointer = "block_pointer",
    /// A record's hash does not cover its predecessor and its body, or its epoch falls back.
    ChainBroken = "chain_broken",
    /// A record's body is no event.
    EventDamaged = "event_damaged",
    /// An appointment changes in a way that does not follow from how it stood.
    StepBroken = "step_broken",
    /// A place has two owners, or one that the slot does not have.
    Oversold = "oversold",
    /// A patient has two live appointments on one day.
    DoubleBooking = "double_booking",
    /// A patient has two appointments to come, on different days, at one time.
    OverlappingAppointments = "overlapping_appointments",
    /// One appointment stands on two days.
    AppointmentOnTwoDays = "appointment_on_two_days",
    /// An appointment left for a day that neither took it in nor keeps a place for it.
    MoveLost = "move_lost",
    /// An appointment was taken in from a day that never let it go.
    MoveUncommitted = "move_uncommitted",
    /// Two days tell different things of one move.
    MoveDiffers = "move_differs",
    /// A place is kept for a move that nobody settles, though an engine ran on.
    ArrivalStale = "arrival_stale",
    /// What somebody was told is in a record that a failover has ended, and cannot hold any more.
    PromiseBroken = "promise_broken",
    /// One key of one subject has won twice on one day.
    KeyDuplicated = "key_duplicated",
    /// One key of one subject has won on two days.
    KeyOnTwoDays = "key_on_two_days",
    /// The state after the last record is not in order.
    InvariantBroken = "invariant_broken",
    /// The table of heads does not agree with the records.
    HeadMismatch = "head_mismatch",
    /// The index of open work does not name when the day must next do something.
    NextWorkMismatch = "next_work_mismatch",
    /// A packed state is not what the records lead to.
    SnapshotMismatch = "snapshot_mismatch",
    /// A record carries an epoch that the journal has not given out.
    EpochAhead = "epoch_ahead",
    /// The ledger claims to have applied what the journal does not have.
    CursorAhead = "cursor_ahead",
    /// The ledger went past a record without applying it.
    RecordSkipped = "record_skipped",
    /// The ledger applied a record of another epoch than the journal has.
    RecordForked = "record_forked",
    /// The ledger does not take a day's records.
    DayParked = "day_parked",
    /// A published day has no row.
    DayLost = "day_lost",
    /// A row of a day that was never published.
    DayUnknown = "day_unknown",
    /// A day's row says something else than the journal.
    DayDiffers = "day_differs",
    /// An appointment has no row.
    AppointmentLost = "appointment_lost",
    /// A row of an appointment that the journal does not have on that day.
    AppointmentUnknown = "appointment_unknown",
    /// An appointment's row says something else than the journal.
    AppointmentDiffers = "appointment_differs",
    /// A step has no row.
    HistoryLost = "history_lost",
    /// A row of a step that the journal does not have.
    HistoryUnknown = "history_unknown",
    /// A step's row says something else than the journal.
    HistoryDiffers = "history_differs",
    /// A taken place has no seat.
    SeatLost = "seat_lost",
    /// A seat of a place that is not taken.
    SeatUnknown = "seat_unknown",
    /// A seat has another owner than its place.
    SeatDiffers = "seat_differs",
    /// A key that won has no row.
    WonKeyLost = "won_key_lost",
    /// A row of a key that did not win on that day.
    WonKeyUnknown = "won_key_unknown",
}

/// The findings of one kind.
#[derive(Clone, Default, Debug)]
struct Found {
    count: u64,
    /// The first [`SHOWN_OF_EACH_KIND_MAX`].
    shown: Vec<String>,
}

/// All findings so far. Memory is bounded, whatever is wrong.
#[derive(Clone, Default, Debug)]
pub struct Findings {
    by_kind: BTreeMap<Kind, Found>,
}

impl Findings {
    /// Adds one. `place` and `what` name ids and numbers only, never what a person wrote.
    pub fn add(&mut self, kind: Kind, place: impl Display, what: impl Display) {
        let found = self.by_kind.entry(kind).or_default();
        found.count += 1;
        if found.shown.len() < SHOWN_OF_EACH_KIND_MAX {
            // SQLite's own words can have line breaks.
            let line = format!("finding {} {place}: {what}", kind.word()).replace(['\n', '\r'], " ");
            found.shown.push(line);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.by_kind.values().map(|found| found.count).sum()
    }

    /// How many there are of one kind.
    pub fn count_of(&self, kind: Kind) -> u64 {
        self.by_kind.get(&kind).map_or(0, |found| found.count)
    }

    /// Those of them that `other` has too. Of a kind with more than can be told, the smaller number counts.
    #[must_use]
    fn also_in(mut self, other: &Self) -> Self {
        self.by_kind.retain(|kind, found| {
            let Some(before) = other.by_kind.get(kind) else { return false };
            if found.count.max(before.count) > SHOWN_OF_EACH_KIND_MAX as u64 {
                found.count = found.count.min(before.count);
                found.shown.truncate(usize::try_from(found.count).unwrap_or(usize::MAX));
            } else {
                found.shown.retain(|line| before.shown.contains(line));
                found.count = found.shown.len() as u64;
            }
            found.count > 0
        });
        self
    }

    /// One line each, by kind; what is not told in full is told as a number.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.by_kind.iter().flat_map(|(kind, found)| {
            let more = found.count - found.shown.len() as u64;
            let rest = (more > 0).then(|| format!("finding {} elsewhere: {more} more of this kind", kind.word()));
            found.shown.iter().cloned().chain(rest)
        })
    }
}

/// What an audit looked at, and what it found.
#[derive(Clone, Default, Debug)]
pub struct Report {
    /// Days that the journal or the ledger knows.
    pub days: u64,
    /// Records of the journal.
    pub records: u64,
    /// Appointments of the journal that were compared with the ledger.
    pub appointments: u64,
    /// Records that the ledger has not come to yet: no finding.
    pub lag_records: u64,
    /// Days whose records cannot be followed as far as the ledger has applied them, so that its rows prove nothing.
    pub days_not_compared: u64,
    /// What is wrong.
    pub findings: Findings,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.count() == 0
    }

    /// This report, of what `first` has found already: what only one of two audits of a moving system saw is nothing.
    #[must_use]
    pub(crate) fn confirming(self, first: &Self) -> Self {
        let findings = self.findings.also_in(&first.findings);
        Self { findings, ..self }
    }

    /// One line a finding, then the sum.
    pub fn lines(&self) -> Vec<String> {
        let sum = format!(
            "summary days={} records={} appointments={} lag_records={} days_not_compared={} findings={}",
            self.days,
            self.records,
            self.appointments,
            self.lag_records,
            self.days_not_compared,
            self.findings.count()
        );
        self.findings.lines().chain([sum]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let words: std::collections::BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), Kind::ALL.len());
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())));
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let mut report = Report::default();
        for number in 0..SHOWN_OF_EACH_KIND_MAX + 3 {
            report.findings.add(Kind::SeatLost, "a-day", number);
        }
        report.findings.add(Kind::PositionGap, "journal", "one");
        let lines = report.lines();
        assert_eq!(lines.len(), 1 + SHOWN_OF_EACH_KIND_MAX + 1 + 1);
        assert_eq!(lines[0], "finding position_gap journal: one");
        assert_eq!(lines[1], "finding seat_lost a-day: 0");
        assert_eq!(lines[SHOWN_OF_EACH_KIND_MAX + 1], "finding seat_lost elsewhere: 3 more of this kind");
        assert!(lines.last().is_some_and(|line| line.starts_with("summary ") && line.ends_with(" findings=24")));
    }
}
