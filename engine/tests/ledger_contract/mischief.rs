//! Batches that no journal would show: what a ledger is told to refuse, and what it might take by mistake.
//! Must not know: what a ledger says of them.

use std::sync::Arc;

use booking_core::{AppointmentId, DayKey, DayVersion, Fact, Status};
use engine::ledger::AppliedRecord;
use uuid::Uuid;

use crate::story::sold_again;
use crate::wild::{DAYS, wild_day};

/// What is wrong with a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mischief {
    /// A record is missing in the middle of its day.
    Gap,
    /// The last applied record of a day comes again, of a later epoch.
    Fork,
    /// A record is of a later epoch than its successor.
    EpochFalls,
    /// A place is sold twice.
    SoldTwice,
    /// A place is sold twice and given back at once by the second: in the end all sit where they should.
    SoldTwiceInPassing,
    /// The change is another appointment's.
    Stranger,
    /// A step of a history comes twice.
    StepTwice,
    /// The change is of the place beside.
    OtherPlace,
    /// A day is closed that was never published.
    ClosedUnpublished,
    /// A day is published without any slot.
    PublishedEmpty,
}

impl Mischief {
    const ALL: [Self; 10] = [
        Self::Gap,
        Self::Fork,
        Self::EpochFalls,
        Self::SoldTwice,
        Self::SoldTwiceInPassing,
        Self::Stranger,
        Self::StepTwice,
        Self::OtherPlace,
        Self::ClosedUnpublished,
        Self::PublishedEmpty,
    ];

    /// One of them, or none.
    pub(crate) fn chosen(choice: u64) -> Option<(Self, usize)> {
        let which = usize::try_from(choice % 16).ok().and_then(|number| Self::ALL.get(number));
        which.map(|mischief| (*mischief, (choice / 16) as usize))
    }
}

/// A bad batch over the records from `from` on, of which those before `applied` come again; `None` where it cannot be
/// made.
pub(crate) fn of(
    chosen: Option<(Mischief, usize)>,
    records: &[AppliedRecord],
    applied: usize,
    from: usize,
    case: u128,
) -> Option<Vec<AppliedRecord>> {
    let (mischief, choice) = chosen?;
    let mut batch = records[from..].to_vec();
    let fresh = applied - from;
    let at = fresh + choice % (batch.len() - fresh);
    let day = batch[at].day;
    let has_successor = batch[at + 1..].iter().any(|record| record.day == day);
    match mischief {
        Mischief::Gap if has_successor => drop(batch.remove(at)),
        Mischief::Fork => {
            let mut last = records[..applied].iter().rfind(|record| record.day == day)?.clone();
            last.version.epoch += 1;
            batch.push(last);
        }
        Mischief::EpochFalls if has_successor => batch[at].version.epoch += 1,
        Mischief::SoldTwice => {
            let sold = |record: &&AppliedRecord| record.day == day && record.event.fact == Fact::Taken;
            batch[at].event = sold_again(records[..from + at].iter().rfind(sold)?, 1_000 * case + choice as u128);
        }
        Mischief::SoldTwiceInPassing => {
            batch.truncate(at + 1);
            let sold = |record: &&AppliedRecord| record.day == day && record.event.fact == Fact::Taken;
            batch[at].event = sold_again(records[..from + at].iter().rfind(sold)?, 1_000 * case + choice as u128);
            let mut back = batch[at].clone();
            (back.version.sequence, back.event.fact) = (back.version.sequence + 1, Fact::Cancelled);
            back.event.changes.drain(..back.event.changes.len() - 1);
            for change in &mut back.event.changes {
                change.from = Some(change.row.status);
                (change.row.status, change.row.version) = (Status::Cancelled, change.row.version + 1);
            }
            batch.push(back);
        }
        Mischief::Stranger => {
            let change = batch[at].event.changes.last_mut().filter(|change| change.from.is_some())?;
            change.row.id = AppointmentId(Uuid::from_u128(0xBAD << 96 | case << 32 | choice as u128));
        }
        Mischief::StepTwice => {
            batch[at].event.changes.last_mut().filter(|change| change.row.version > 1)?.row.version -= 1;
        }
        Mischief::OtherPlace => {
            batch[at].event.changes.last_mut().filter(|change| change.from.is_some())?.row.place += 1;
        }
        Mischief::ClosedUnpublished => {
            let close = Fact::Closed { reason: None };
            batch.push(first_of(wild_day(1_000_000 + case, choice as u128 % DAYS), &batch[at], close));
        }
        Mischief::PublishedEmpty => {
            let published = records.iter().find_map(|record| match &record.event.fact {
                Fact::Published(definition) => Some(definition),
                _ => None,
            });
            let mut definition = booking_core::DayDefinition::clone(published?);
            definition.slots.clear();
            let publish = Fact::Published(Arc::new(definition));
            batch.push(first_of(wild_day(1_000_000 + case, choice as u128 % DAYS), &batch[at], publish));
        }
        Mischief::Gap | Mischief::EpochFalls => return None,
    }
    Some(batch)
}

/// The first record of a day of which nothing else is known.
fn first_of(day: DayKey, like: &AppliedRecord, fact: Fact) -> AppliedRecord {
    let mut record = like.clone();
    (record.day, record.version) = (day, DayVersion { epoch: 1, sequence: 1 });
    record.event.fact = fact;
    record.event.changes.clear();
    record.event.remembered = None;
    record
}
