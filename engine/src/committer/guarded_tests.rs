//! Tests of the step before the append: days whose claims are not all granted write nothing, the others do not notice.
//! Must not know: how a blocked day decides again.

use std::sync::Arc;

use booking_core::{AppointmentId, PatientId, UtcMillis};
use parking_lot::Mutex;
use uuid::Uuid;

use super::*;
use crate::claims::Visit;
use crate::claims::memory::{GuardFault, MemoryGuard};
use crate::clock::SystemClock;
use crate::journal::contract::{append_of, day};
use crate::journal::memory::{Fault, MemoryJournal};

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

struct Listener(i32, Arc<Heard>);

impl CommitListener for Listener {
    fn committed(&self, _generation: u64, last: DayVersion, _position: u64) {
        self.1.0.lock().push(format!("{} committed {}", self.0, last.sequence));
    }

    fn failed(&self, _generation: u64, failure: CommitFailure) {
        let what = match failure {
            CommitFailure::Blocked(lost) => format!("blocked at {}", lost[0].version.sequence),
            CommitFailure::Failed(_) => "failed".to_owned(),
            other => format!("{other:?}"),
        };
        self.1.0.lock().push(format!("{} {what}", self.0));
    }
}

struct Bench {
    journal: MemoryJournal,
    store: MemoryGuard,
    committer: Committer,
    commit_loop: CommitLoop,
    heard: Arc<Heard>,
}

impl Bench {
    fn new() -> Self {
        let (journal, store) = (MemoryJournal::default(), MemoryGuard::default());
        let guard = Arc::new(Guard::new(Arc::new(store.clone())));
        let clock = Arc::new(SystemClock::start());
        let (committer, commit_loop) = Committer::with_guarded_loop(Arc::new(journal.clone()), clock, Some(guard));
        Self { journal, store, committer, commit_loop, heard: Arc::default() }
    }

    /// Submits a first record of day `number`, which claims an hour of `patient`, if one is named.
    fn submit(&self, number: i32, patient: Option<u128>) {
        let (append, head) = append_of(day(number), self.journal.epoch(), Head::default(), &[b"x"]);
        let visit = patient.map(|patient| Visit {
            patient: PatientId(Uuid::from_u128(patient)),
            appointment: AppointmentId(Uuid::from_u128(number.unsigned_abs().into())),
            start: UtcMillis(0),
            end: UtcMillis(10),
            hold_expires_at: None,
        });
        let claims = RecordClaims::of(day(number), head.version, 1, visit, None).into_iter().collect();
        let listener = Arc::new(Listener(number, Arc::clone(&self.heard)));
        self.committer.submit(Submission { generation: 1, append, claims, traces: Vec::new(), listener });
    }

    async fn told(&mut self) -> Vec<String> {
        assert_eq!(self.commit_loop.turn().await, Turn::Settled);
        std::mem::take(&mut *self.heard.0.lock())
    }
}

#[tokio::test]
async fn of_two_days_that_claim_one_hour_the_first_is_written_and_everybody_else_is() {
    let mut bench = Bench::new();
    bench.submit(1, Some(7));
    bench.submit(2, Some(7));
    bench.submit(3, Some(8));
    bench.submit(4, None);
    let mut told = bench.told().await;
    told.sort();
    assert_eq!(told, ["1 committed 1", "2 blocked at 1", "3 committed 1", "4 committed 1"]);
    assert_eq!(bench.journal.last_position().await.expect("a position"), 3, "nothing of the blocked day");
    bench.submit(2, None);
    assert_eq!(bench.commit_loop.turn().await, Turn::Idle, "its generation stays closed");
}

#[tokio::test]
async fn without_the_store_what_claims_fails_and_the_rest_is_written() {
    let mut bench = Bench::new();
    bench.store.fail_next(GuardFault::Away);
    bench.submit(1, Some(7));
    bench.submit(2, None);
    let mut told = bench.told().await;
    told.sort();
    assert_eq!(told, ["1 failed", "2 committed 1"]);
    bench.submit(3, Some(7));
    assert_eq!(bench.told().await, ["3 failed"], "a moment later it is not asked");
    assert_eq!(bench.store.calls().len(), 1);
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_for_again_and_given_up_as_a_failure() {
    for (faults, wanted) in [(1, "1 committed 1"), (2, "1 committed 1"), (3, "1 failed")] {
        let mut bench = Bench::new();
        (0..faults).for_each(|_| bench.store.fail_next(GuardFault::UnknownAfter));
        bench.submit(1, Some(7));
        assert_eq!(bench.told().await, [wanted]);
        let calls = bench.store.calls();
        assert!(calls.iter().all(|names| *names == calls[0]), "under the same names");
    }
}

#[tokio::test]
async fn what_is_granted_fails_as_any_append_does() {
    let mut bench = Bench::new();
    bench.journal.fail_next(Fault::Failed);
    bench.submit(1, Some(7));
    assert_eq!(bench.told().await, ["1 failed"]);
    assert_eq!(bench.store.visits().len(), 1, "an orphan, which whoever meets it asks about");
}
