//! The ceiling: a decision that costs one number in memory.
//! Must not know: storage, days apart from each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::answer::Decision;

/// The places of all days together; nothing of it is durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bare {
    left: Arc<AtomicI64>,
}

impl Bare {
    /// Adds the places of a day.
    pub(crate) fn publish(&self, places: i32) {
        self.left.fetch_add(places.into(), Ordering::Relaxed);
    }

    /// Takes a place if one is left.
    pub(crate) fn book(&self) -> Decision {
        // A sold-out number is only read, so that refusals do not pass a cache line to and fro.
        if self.left.load(Ordering::Relaxed) <= 0 {
            return Decision::SoldOut;
        }
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        if left > 0 { Decision::Won { place: i32::try_from(left).unwrap_or(i32::MAX) } } else { Decision::SoldOut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_sold_than_there_is() {
        let bare = Bare::default();
        assert_eq!(bare.book(), Decision::SoldOut);
        bare.publish(2);
        bare.publish(1);
        let won = (0..10).filter(|_| matches!(bare.book(), Decision::Won { .. })).count();
        assert_eq!(won, 3);
    }
}
