//! Which points are not passed twice by one process under the workload, and why; how those are reached twice all the same.
//! Must not know: how a process is driven there.

use blackbox::Point;

/// How a point is reached a first and a second time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One process passes it twice at least: it is killed at the first passing, and another one at the second.
    Running,
    /// Every command passes it: killed as `Running`, and once more in the midst of everything.
    EveryCommand,
    /// Each start passes it once: two successive starts are killed, on a new directory and on one that a kill has left.
    Start,
    /// Each new directory passes it once: the first start on each of two is killed.
    NewDirectory,
    /// Each stop passes it once: two successive lives are killed there, after SIGTERM amid the workload and after it.
    Stop,
    /// Only a start after a crash at that other point passes it, once: two successive such starts are killed.
    After(Point),
}

/// Every point is `Running` unless it is named here.
pub fn kind_of(point: Point) -> Kind {
    match point {
        Point::DayBeforeSubmit
        | Point::DaySubmitted
        | Point::CommitterBeforeAppend
        | Point::JournalAppendBeforeCommit
        | Point::JournalAppendAfterCommit
        | Point::CommitterBeforeTell
        | Point::CommitterToldDay
        | Point::DayBeforePublish
        | Point::DayOverlayPublished
        | Point::DayClaimsSettled
        | Point::DayKeysWon
        | Point::DayPicturePublished
        | Point::DayBeforeReplies
        | Point::ReplyReleased
        | Point::DayAfterReplies
        | Point::HttpBeforeAnswer => Kind::EveryCommand,
        // Locking, the schemas, the epoch, catching up, reading the claims and saying the address: once a process.
        Point::KeyBeforeLink
        | Point::DirectoryLocked
        | Point::JournalMigrated
        | Point::JournalEpochRaised
        | Point::JournalOpened
        | Point::LedgerBeforeMigrate
        | Point::LedgerMigrated
        | Point::StartCaughtUp
        | Point::StartClaimsRestored
        | Point::StartAssembled
        | Point::StartBeforeFirstLine
        // Old keys are forgotten at the start, and then once an hour.
        | Point::LedgerForgetTold => Kind::Start,
        // A directory gets one key.
        Point::KeyLinked => Kind::NewDirectory,
        // A process stops once.
        Point::StopAsked
        | Point::StopServersEnded
        | Point::StopDrained
        | Point::StopCommitterEnded
        | Point::StopApplierEnded
        | Point::StopLedgerClosed
        | Point::JournalCloseBegun
        | Point::JournalClosed
        | Point::StopDone => Kind::Stop,
        // While its driver lives, a move is not settled by a question; and one open move is left by each crash.
        Point::MoveFoundAborted | Point::MoveDropped => Kind::After(Point::MoveHeld),
        Point::MoveFoundCommitted => Kind::After(Point::MoveTold),
        _ => Kind::Running,
    }
}

/// Whether only a start on a new directory passes it: then one that a kill has left is no use.
pub fn needs_new_directory(point: Point) -> bool {
    matches!(point, Point::KeyBeforeLink | Point::KeyLinked)
}
