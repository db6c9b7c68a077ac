//! What happens to the engine that an operator should hear of: each event owns its line in the log and its numbers, so that neither
//! can be forgotten, and a panel and a line are about the same thing.
//! Must not know: why it happened, who reads.
//!
//! Rare things only: a name is looked up for each. What happens with every booking has handles made in advance (`meters`, `stages`).

use booking_core::DayKey;
use metrics::{counter, gauge, histogram};

use super::catalogue as names;
use crate::journal::StoredRecord;
use crate::ledger::lost::LostOutcome;

/// Something that happened. Nothing of it is written before [`EngineEvent::emit`].
#[must_use]
pub(crate) enum EngineEvent<'a> {
    /// A day drops its state and reads it again after a failed append.
    DayReplays,
    /// A day's turn panicked; it drops its state and reads it again.
    DayPanicked,
    /// A day's turn panicked so often that it is given up.
    DayPanicsAgain {
        /// How often within the window.
        panics: usize,
    },
    /// A day is refused until the process restarts.
    DayParked,
    /// The counts of so many slots were checked, and do not add up if there is something to say.
    ConservationChecked {
        /// Slots.
        slots: usize,
        /// What does not add up.
        violation: Option<&'a str>,
    },
    /// A transaction of the ledger failed and is tried again.
    LedgerRetries {
        /// Why.
        reason: &'a str,
        /// Records behind.
        lag: u64,
        /// Whether it is worth a line: the first in a row, and then now and then.
        is_told: bool,
    },
    /// The store of ownership did not answer.
    OwnershipAway(&'a dyn std::fmt::Display),
    /// This node's lease ended before it was renewed.
    LeaseEnded {
        /// Shards that it spoke for.
        shards: usize,
    },
    /// This node has claimed shards.
    ShardsClaimed(usize),
    /// Shards are taken over, and open.
    ShardsOpen {
        /// How many.
        shards: usize,
        /// Since they were claimed.
        took_micros: u64,
    },
    /// Shards are handed on so that others have their share.
    ShardsGivenBack(usize),
    /// Another node has claimed shards of this one.
    ShardsLost(usize),
    /// A sink of the feed, or what is read for it, is away.
    FeedStands {
        /// Which.
        sink: &'static str,
        /// Why.
        reason: &'a str,
        /// Whether it is worth a line.
        is_told: bool,
    },
    /// An event of the feed can never be told.
    DeadLetter {
        /// Whose.
        sink: &'static str,
        /// Its id.
        event: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// Records that Redis had forgotten are put back, and others are on a branch that is over.
    JournalRepaired {
        /// Of the day.
        shard: u16,
        /// Which.
        day: DayKey,
        /// The sequence up to which the day reaches now.
        sequence: u64,
        /// Records put back.
        records: usize,
        /// Records on a branch that is over.
        lost: &'a [StoredRecord],
    },
    /// What lost records had promised was asked for again.
    PromiseSettled {
        /// Of which day.
        day: DayKey,
        /// Those of one appointment, or one of the day itself.
        records: &'a [StoredRecord],
        /// What came of it.
        outcome: &'a LostOutcome,
    },
}

impl EngineEvent<'_> {
    /// Writes the line and counts.
    pub(crate) fn emit(self) {
        match self {
            Self::DayReplays | Self::DayPanicked | Self::DayPanicsAgain { .. } | Self::DayParked => self.emit_of_day(),
            Self::ConservationChecked { slots, violation } => {
                counter!(names::CONSERVATION_SAMPLES).increment(slots as u64);
                if let Some(violation) = violation {
                    counter!(names::CONSERVATION_VIOLATIONS).increment(1);
                    tracing::error!(violation, "a day's counts do not add up");
                }
            }
            Self::LedgerRetries { reason, lag, is_told } => {
                counter!(names::LEDGER_RETRIES).increment(1);
                if is_told {
                    tracing::warn!(reason, lag, "the ledger waits and tries again");
                }
            }
            Self::FeedStands { sink, reason, is_told } => {
                counter!(names::FEED_RETRIES, "sink" => sink).increment(1);
                if is_told {
                    tracing::warn!(reason, sink, "the feed stands still; trying again, and nothing is lost");
                }
            }
            Self::DeadLetter { sink, event, reason } => {
                counter!(names::FEED_DEAD, "sink" => sink).increment(1);
                tracing::error!(event, reason, sink, "an event is a dead letter");
            }
            Self::JournalRepaired { .. } | Self::PromiseSettled { .. } => self.emit_of_repair(),
            _ => self.emit_of_ownership(),
        }
    }

    fn emit_of_day(self) {
        match self {
            Self::DayReplays => counter!(names::REPLAYS).increment(1),
            Self::DayPanicked => {
                counter!(names::PANICS).increment(1);
                counter!(names::REPLAYS).increment(1);
                tracing::error!("a day panicked; it drops its state and reads it again");
            }
            Self::DayPanicsAgain { panics } => {
                counter!(names::PANICS).increment(1);
                tracing::error!(panics, "a day panics again and again; it is parked");
            }
            _ => gauge!(names::DAYS_PARKED).increment(1.0),
        }
    }

    fn emit_of_ownership(self) {
        match self {
            Self::OwnershipAway(error) => {
                counter!(names::OWNERSHIP_FAILURES).increment(1);
                tracing::warn!(%error, "the store of ownership is away; trying again");
            }
            Self::LeaseEnded { shards } => {
                counter!(names::OWNERSHIP_FAILURES).increment(1);
                counter!(names::LEASES_LOST).increment(1);
                counter!(names::SHARDS_LOST).increment(shards as u64);
                tracing::error!(
                    shards,
                    "the lease of this node has ended: everything it spoke for is dropped, and it comes back as another"
                );
            }
            Self::ShardsClaimed(shards) => {
                counter!(names::SHARDS_CLAIMED).increment(shards as u64);
                tracing::info!(shards, "shards are claimed");
            }
            Self::ShardsOpen { shards, took_micros } => {
                histogram!(names::TAKEOVER_DURATION).record(took_micros as f64 / 1e6);
                tracing::info!(shards, took_ms = took_micros / 1_000, "shards are open");
            }
            Self::ShardsGivenBack(shards) => {
                counter!(names::SHARDS_GIVEN_BACK).increment(shards as u64);
                tracing::info!(shards, "shards are given back, so that others have their share");
            }
            Self::ShardsLost(shards) => {
                counter!(names::SHARDS_LOST).increment(shards as u64);
                tracing::warn!(shards, "another node has claimed shards of this one");
            }
            _ => {}
        }
    }

    /// Never silent: an operator hears of everything that was put back, of what is lost, and of what came of that.
    fn emit_of_repair(self) {
        match self {
            Self::JournalRepaired { shard, day, sequence, records, lost } => {
                counter!(names::JOURNAL_REPAIRED).increment(records as u64);
                counter!(names::JOURNAL_LOST).increment(lost.len() as u64);
                if records > 0 {
                    tracing::warn!(shard, %day, records, sequence, "Redis had forgotten records of a day; they are put back");
                }
                for record in lost {
                    let (sequence, epoch, position) = (record.version.sequence, record.version.epoch, record.position);
                    tracing::error!(
                        shard, %day, sequence, epoch, position,
                        "a record of another branch is lost; what it promised is asked for again"
                    );
                }
            }
            Self::PromiseSettled { day, records, outcome } => emit_of_promise(day, records, outcome),
            _ => {}
        }
    }
}

fn emit_of_promise(day: DayKey, records: &[StoredRecord], outcome: &LostOutcome) {
    let version = records.last().map(|record| record.version).unwrap_or_default();
    let (sequence, epoch, count) = (version.sequence, version.epoch, records.len() as u64);
    match outcome {
        LostOutcome::Settled => {
            counter!(names::JOURNAL_KEPT).increment(count);
            tracing::warn!(%day, sequence, epoch, records = count, "what lost records had promised holds again, or is owed no longer");
        }
        LostOutcome::Broken(reason) => {
            counter!(names::JOURNAL_BROKEN).increment(count);
            tracing::error!(
                %day, sequence, epoch, records = count, reason,
                "what lost records had promised cannot hold any more: `hotslot verify` names the appointment"
            );
        }
    }
}
