//! Which bug, if any, is planted on this thread: a simulator that is to find bugs must find those that are put there on purpose.
//! Must not know: what a bug does (its one line stands where a tired engineer would have written it), who looks for it.
//!
//! Compiled in with the feature `testing` alone. Without it [`planted!`](crate::planted!) is the constant `false`, and the product does
//! not contain a single one of these lines.

use std::cell::Cell;
use std::marker::PhantomData;

macro_rules! bugs {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A bug that can be planted. The description of each ends with the promise that it breaks.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Bug {
            $($(#[$doc])* $variant,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, in kebab-case.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

bugs! {
    /// Every slot has one place more than its capacity: no slot is oversold.
    CapacityOffByOne = "capacity-off-by-one",
    /// After the lowest free place was taken the next one counts as free without a look: no place is given to two.
    PlaceGivenTwice = "place-given-twice",
    /// All releases are open as soon as the first one is: no place is given before its release.
    ReleaseIgnored = "release-ignored",
    /// Holds do not count when a patient takes a second place: one live appointment a patient and day.
    HeldPlaceNotCounted = "held-place-not-counted",
    /// A hold whose time is up is still a hold for whoever changes it: what has expired cannot be confirmed.
    ConfirmedAfterExpiry = "confirmed-after-expiry",
    /// The timer of a hold stays when it is confirmed: what is booked does not expire.
    TimerLeftAtConfirm = "timer-left-at-confirm",
    /// A cancelled appointment keeps its place: what is free can be booked.
    PlaceKeptAtCancel = "place-kept-at-cancel",
    /// An appointment that is moved to another day keeps its place too: what is free can be booked.
    PlaceKeptAtMove = "place-kept-at-move",
    /// An amended day forgets which places are held: a place that is held is nobody else's.
    HeldForgottenAtAmend = "held-forgotten-at-amend",
    /// A slot may be made too small for those who hold places in it: amending takes nothing away.
    AmendedUnderHolds = "amended-under-holds",
    /// The day does not look whether a key has won before: one key has one effect.
    KeyNotLookedUp = "key-not-looked-up",
    /// A key is compared without what was asked under it: another request under it is refused.
    FingerprintIgnored = "fingerprint-ignored",
    /// A repeated request is told how the appointment stands now: the first answer is told again.
    ReplayTellsThePresent = "replay-tells-the-present",
    /// A key that has won on another day is not asked for: one key has one effect, on whatever day.
    KeyClaimSkipped = "key-claim-skipped",
    /// Whoever waits for the same request is told its answer as its own: an effect is told as new once.
    TwinToldAsNew = "twin-told-as-new",
    /// A repeated request is refused by the picture before its key is looked up: a winner is never told that it lost.
    RefusedBeforeKey = "refused-before-key",
    /// A claim that is not durable yet stands in nobody's way: no two visits of a patient overlap.
    PendingClaimIgnored = "pending-claim-ignored",
    /// The claim of a cancelled visit stays: who is free can book.
    ClaimNotGivenBack = "claim-not-given-back",
    /// Nobody is woken when what it waits for is settled: what is accepted is answered soon.
    WaitersNotWoken = "waiters-not-woken",
    /// A state that is read again claims nothing of what had landed: no two visits of a patient overlap, one key has one effect.
    LandedClaimForgotten = "landed-claim-forgotten",
    /// A day says of a move that can still be committed that it never will be: an appointment is in one place.
    PendingCalledGivenUp = "pending-called-given-up",
    /// Nobody asks what became of a move whose driver is gone: every move comes to an end.
    OpenMoveNotAsked = "open-move-not-asked",
    /// A place that is kept for a move is not given back when the move is refused, and the day believes that it is: what is free can be
    /// booked.
    KeptPlaceNotGivenBack = "kept-place-not-given-back",
    /// Successes leave when they are decided: what is told is durable.
    ReplyBeforeDurable = "reply-before-durable",
    /// Refusals leave when they are decided: what a refusal depends on is durable.
    RefusalBeforeDurable = "refusal-before-durable",
    /// The picture shows what is decided: what is shown is durable.
    PictureOfTip = "picture-of-tip",
    /// Answers leave before the picture is published: everybody sees what they have done.
    AnswersBeforePicture = "answers-before-picture",
    /// The picture refuses though a hold is due that may free a place: what is free can be booked.
    DueHoldIgnoredByPicture = "due-hold-ignored-by-picture",
    /// After an unknown append nobody waits for the barrier: what is told of a day stays true.
    UnknownWithoutBarrier = "unknown-without-barrier",
    /// After a failed append all answers leave: what is told is durable.
    AnswersAfterFailedAppend = "answers-after-failed-append",
    /// A day goes on under the epoch of its last record: it serves again after a restart.
    EpochNotAdopted = "epoch-not-adopted",
    /// A day is read up to its snapshot, and what came later is not applied: nothing recorded is lost.
    TailIgnored = "tail-ignored",
    /// A snapshot is made of what is decided: what is read is durable.
    SnapshotOfTip = "snapshot-of-tip",
    /// A day goes to sleep though records of it are on their way: who waits is answered.
    SleepInFlight = "sleep-in-flight",
    /// Each life of a day numbers its states from the beginning: what is submitted is written or refused with word.
    GenerationReused = "generation-reused",
    /// Only the last change of a batch is shown until the ledger has it: everybody sees what they have done.
    OverlayLosesChanges = "overlay-loses-changes",
    /// What waits for the ledger is forgotten before the ledger has it: everybody sees what they have done.
    OverlayEvictedEarly = "overlay-evicted-early",
    /// What the ledger did not take counts as taken: the ledger has everything in the end.
    CursorMovedOnFailure = "cursor-moved-on-failure",
    /// The index of open work is not kept: a hold ends by itself, also after a restart.
    OpenWorkNotIndexed = "open-work-not-indexed",
    /// The engine's time follows a wall clock that is set back: time never goes back.
    ClockSteppedBack = "clock-stepped-back",
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Takes the bug away when dropped. Stays on its thread.
#[derive(Debug)]
#[must_use = "the bug is taken away when this is dropped"]
pub struct Planted {
    before: Option<Bug>,
    _of_this_thread: PhantomData<*const ()>,
}

/// Plants `bug` on this thread, in place of one that is planted already, until the guard is dropped.
pub fn plant(bug: Bug) -> Planted {
    Planted { before: PLANTED.replace(Some(bug)), _of_this_thread: PhantomData }
}

/// Whether `bug` is planted on this thread. To be asked by [`planted!`](crate::planted!).
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

impl Drop for Planted {
    fn drop(&mut self) {
        PLANTED.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_bug_is_planted_on_its_thread_until_the_guard_is_dropped() {
        assert!(!planted!(ReleaseIgnored));
        let planted = plant(Bug::ReleaseIgnored);
        assert!(planted!(ReleaseIgnored) && !planted!(KeyNotLookedUp));
        let elsewhere = std::thread::spawn(|| planted!(ReleaseIgnored)).join();
        assert!(!elsewhere.expect("a thread"));
        drop(planted);
        assert!(!planted!(ReleaseIgnored));
    }

    #[test]
    fn every_bug_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        assert_eq!(names.len(), Bug::ALL.len());
    }
}
