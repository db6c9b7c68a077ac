//! Who wants to hear that a day's published picture has changed. Outlives the sleep of a day: it is kept beside the directory.
//! Must not know: what has changed, who listens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use booking_core::DayKey;
use dashmap::DashMap;
use tokio::sync::watch;

/// The days that are watched. Bounded by the watchers, whom the caller bounds.
#[derive(Default)]
pub struct DayNotices {
    /// Watchers of all days: while it is 0, a publication costs one load.
    watchers: AtomicUsize,
    /// A publication of a watched day reads its shard; only watchers that come and go write.
    days: DashMap<DayKey, Watched>,
}

struct Watched {
    sender: watch::Sender<()>,
    watchers: usize,
}

impl DayNotices {
    /// Says that `day` has a new picture. After the picture was swapped in.
    pub fn published(&self, day: DayKey) {
        if self.watchers.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(watched) = self.days.get(&day) {
            watched.sender.send_replace(());
        }
    }

    /// Has every watcher of a day of `shard` look again.
    pub fn shard_left(&self, shard: u16) {
        for watched in self.days.iter().filter(|watched| watched.key().shard() == shard) {
            watched.sender.send_replace(());
        }
    }

    /// Watches `day`. Begin before the picture is read, so that no change falls between.
    pub fn watch(self: &Arc<Self>, day: DayKey) -> DayWatch {
        let mut watched =
            self.days.entry(day).or_insert_with(|| Watched { sender: watch::Sender::new(()), watchers: 0 });
        watched.watchers += 1;
        let receiver = watched.sender.subscribe();
        drop(watched);
        self.watchers.fetch_add(1, Ordering::SeqCst);
        // Whoever publishes either sees the count, or has swapped in its picture before the caller reads it.
        fence(Ordering::SeqCst);
        DayWatch { notices: Arc::clone(self), day, receiver }
    }
}

/// One watcher of a day; it watches no more when it is dropped.
pub struct DayWatch {
    notices: Arc<DayNotices>,
    day: DayKey,
    receiver: watch::Receiver<()>,
}

impl DayWatch {
    /// Becomes ready when a picture was published since this was last ready. Changes by time alone are not told.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for DayWatch {
    fn drop(&mut self) {
        self.notices.days.remove_if_mut(&self.day, |_, watched| {
            watched.watchers -= 1;
            watched.watchers == 0
        });
        self.notices.watchers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    use booking_core::{Date, DoctorId};
    use uuid::Uuid;

    use super::*;

    fn day(number: u128) -> DayKey {
        DayKey { doctor: DoctorId(Uuid::from_u128(number)), date: Date::parse("2030-01-31").expect("a date") }
    }

    /// Whether a change is told, without waiting for one.
    fn is_told(watch: &mut DayWatch) -> bool {
        let changed = std::pin::pin!(watch.changed());
        matches!(changed.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
    }

    #[test]
    fn each_watcher_of_a_day_hears_of_its_changes_once_and_of_no_other_days() {
        let notices = Arc::new(DayNotices::default());
        let (mut first, mut second, mut other) = (notices.watch(day(1)), notices.watch(day(1)), notices.watch(day(2)));
        assert!(!is_told(&mut first));
        notices.published(day(1));
        notices.published(day(1));
        assert!(is_told(&mut first) && is_told(&mut second) && !is_told(&mut other));
        assert!(!is_told(&mut first));
    }

    #[test]
    fn a_day_is_kept_exactly_as_long_as_somebody_watches_it() {
        let notices = Arc::new(DayNotices::default());
        let (first, mut second) = (notices.watch(day(1)), notices.watch(day(1)));
        drop(first);
        notices.published(day(1));
        assert!(is_told(&mut second));
        drop(second);
        assert!(notices.days.is_empty());
        assert_eq!(notices.watchers.load(Ordering::SeqCst), 0);
        notices.published(day(1));
    }
}
