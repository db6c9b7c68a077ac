//! Does the simulator find bugs that are there? Each planted bug is caught by a check that is named here, within so many seeds. A
//! simulator that catches none of them proves nothing.
//! Must not know: what a bug does, how a check is made. That the same seeds pass without a bug is the test of the seeds.

use booking_core::planted::Bug;
use simulator::oracle::Kind;
use simulator::planted::{search, settings};
use simulator::world::run;

/// Searches for `bug`, and fails unless one of `kinds` finds it.
fn is_caught(bug: Bug, seeds_max: u64, kinds: &[Kind]) {
    simulator::quiet_planted_panics();
    let found = search(bug, seeds_max);
    let Some(found) = found else { panic!("{} is not found in {seeds_max} seeds", bug.name()) };
    let violation = &found.violation;
    assert!(kinds.contains(&violation.kind), "{}: seed {}, another check: {violation}", bug.name(), found.seed);
}

macro_rules! caught {
    ($($name:ident: $bug:ident within $seeds:literal by $($kind:ident)|+;)*) => {
        $(#[test]
        fn $name() {
            is_caught(Bug::$bug, $seeds, &[$(Kind::$kind),+]);
        })*

        /// The bugs that are searched for, and within how many seeds.
        const SEARCHED: &[(Bug, u64)] = &[$((Bug::$bug, $seeds)),*];
    };
}

caught! {
    capacity_off_by_one: CapacityOffByOne within 10 by Oversold | ReplyDiffers | RefusalWrong;
    place_given_twice: PlaceGivenTwice within 25 by PlaceTwice | WrongPlace | ReplyDiffers;
    release_ignored: ReleaseIgnored within 10 by WithheldPlace | ReplyDiffers;
    held_place_not_counted: HeldPlaceNotCounted within 15 by TwoLiveOnADay;
    confirmed_after_expiry: ConfirmedAfterExpiry within 40 by IllegalStep | LateChange;
    timer_left_at_confirm: TimerLeftAtConfirm within 10 by IllegalExpiry;
    place_kept_at_cancel: PlaceKeptAtCancel within 10 by MustSucceed | WrongPlace | ReplyDiffers;
    place_kept_at_move: PlaceKeptAtMove within 10 by MustSucceed | WrongPlace | ReplyDiffers;
    held_forgotten_at_amend: HeldForgottenAtAmend within 15 by PlaceTwice | ReplyDiffers;
    amended_under_holds: AmendedUnderHolds within 100 by AmendedUnderBookings;
    key_not_looked_up: KeyNotLookedUp within 10 by KeyTwice | LostAcknowledgement;
    fingerprint_ignored: FingerprintIgnored within 10 by ReplayDiffers;
    replay_tells_the_present: ReplayTellsThePresent within 25 by ReplayDiffers;
    key_claim_skipped: KeyClaimSkipped within 30 by KeyTwice;
    twin_told_as_new: TwinToldAsNew within 30 by AcknowledgedTwice | ReplyDiffers;
    refused_before_key: RefusedBeforeKey within 10 by LostAcknowledgement;
    pending_claim_ignored: PendingClaimIgnored within 30 by OverlappingVisits;
    claim_not_given_back: ClaimNotGivenBack within 10 by MustSucceed | RefusalWrong;
    waiters_not_woken: WaitersNotWoken within 150 by UnavailableWithoutCause;
    landed_claim_forgotten: LandedClaimForgotten within 200 by OverlappingVisits | KeyTwice;
    pending_called_given_up: PendingCalledGivenUp within 500 by MoveBroken;
    open_move_not_asked: OpenMoveNotAsked within 150 by MoveWithoutEnd | UnavailableWithoutCause;
    kept_place_not_given_back: KeptPlaceNotGivenBack within 10 by MustSucceed | WrongPlace | ReplyDiffers;
    reply_before_durable: ReplyBeforeDurable within 10 by ReplyBeforeDurable | MustSucceed;
    refusal_before_durable: RefusalBeforeDurable within 10 by RefusalWrong | MustSucceed;
    picture_of_tip: PictureOfTip within 100 by ReplyBeforeDurable;
    answers_before_picture: AnswersBeforePicture within 10 by StaleRead | MustSucceed;
    due_hold_ignored_by_picture: DueHoldIgnoredByPicture within 60 by MustSucceed | RefusalWrong;
    unknown_without_barrier: UnknownWithoutBarrier within 150 by MoveBroken | UnavailableWithoutCause | RefusalWrong;
    answers_after_failed_append: AnswersAfterFailedAppend within 10 by LostAcknowledgement | ReplyBeforeDurable;
    epoch_not_adopted: EpochNotAdopted within 10 by UnavailableWithoutCause;
    tail_ignored: TailIgnored within 10 by StaleRead | MustSucceed | RefusalWrong | UnavailableWithoutCause;
    snapshot_of_tip: SnapshotOfTip within 150 by UnavailableWithoutCause;
    sleep_in_flight: SleepInFlight within 60 by
        UnavailableWithoutCause | MoveBroken | MustSucceed | RefusalWrong | DueHoldLeft;
    generation_reused: GenerationReused within 40 by Unanswered | UnavailableWithoutCause;
    overlay_loses_changes: OverlayLosesChanges within 100 by StaleRead | MustSucceed;
    overlay_evicted_early: OverlayEvictedEarly within 15 by StaleRead | MustSucceed | RefusalWrong;
    cursor_moved_on_failure: CursorMovedOnFailure within 10 by LedgerDiffers | StaleRead | MustSucceed | RefusalWrong;
    open_work_not_indexed: OpenWorkNotIndexed within 50 by DueHoldLeft;
    clock_stepped_back: ClockSteppedBack within 25 by TimeWentBack | FromTheFuture;
}

/// Seeds of a world made for a bug that are run without it.
const SEEDS_WITHOUT: u64 = 60;

/// Runs the world that is made for `bug` without it: nothing else may be wrong there.
fn is_green_without(bug: Bug) {
    simulator::quiet_planted_panics();
    for seed in 1..=SEEDS_WITHOUT {
        let settings = settings(bug, seed);
        assert!(settings.weather.is_some(), "{} has no world of its own", bug.name());
        let violation = run(&settings).outcome.violation;
        assert!(violation.is_none(), "the world of {}, seed {seed}: {violation:?}", bug.name());
    }
}

#[test]
fn a_machine_that_is_late_is_green() {
    is_green_without(Bug::PendingCalledGivenUp);
}

#[test]
fn a_machine_that_dies_between_slow_appends_is_green() {
    is_green_without(Bug::OpenMoveNotAsked);
}

#[test]
fn appends_that_fail_behind_a_snapshot_are_green() {
    is_green_without(Bug::SnapshotOfTip);
}

#[test]
fn appends_that_take_long_are_green() {
    is_green_without(Bug::SleepInFlight);
}

#[test]
fn every_bug_is_searched_for_once() {
    let mut searched: Vec<Bug> = SEARCHED.iter().map(|(bug, _)| *bug).collect();
    searched.sort_unstable();
    assert_eq!(searched, Bug::ALL);
    assert!(SEARCHED.iter().all(|(_, seeds)| *seeds <= 500), "a bug that takes so long to find is not found");
}
