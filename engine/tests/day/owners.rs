//! A day that a later owner has written, while this process has not heard of it yet.
//! Must not know: HTTP, leases, who gives days to whom.

use std::sync::Arc;

use engine::EngineError;
use engine::testing::Faults;

use crate::support::{World, day};

/// What a journal refuses is read again, and there stands the later owner's epoch. It is not ours to write under, though a journal that
/// only compares epochs would take it.
#[tokio::test]
async fn a_day_that_a_later_owner_has_written_is_not_written_under_its_epoch() {
    let old = World::new().await;
    old.publish(day(1), 4, 5).await.expect("published");
    old.book(day(1), 1, None, None).await.expect("booked");
    let new = World::over(Arc::new(old.journal.reopen()), Faults::default()).await;
    new.book(day(1), 2, None, None).await.expect("the later owner books");

    let refused = old.book(day(1), 3, None, None).await;
    assert!(matches!(refused, Err(EngineError::Unavailable(_))), "its own epoch is over: {refused:?}");
    let offered = old.journal.batches().len();
    for patient in 4..7 {
        let refused = old.book(day(1), patient, None, None).await;
        assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
    }
    assert_eq!(old.journal.batches().len(), offered, "and nothing more is offered to the journal");
    assert_eq!(new.remaining(day(1)).await, 18);
    new.book(day(1), 3, None, None).await.expect("the later owner goes on");
}
