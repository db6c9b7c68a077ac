//! Who wants to hear that a day's published picture has changed. Outlives the sleep of a day: it is kept beside the directory.
//! Must not know: what has changed, who listens.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use booking_core::DayKey;
use parking_lot::Mutex;
use tokio::sync::watch;

/// The days that are watched. Bounded by the watchers, whom the caller bounds.
#[derive(Default)]
pub struct DayNotices {
    /// Days in `days`: while it is 0, a publication costs one load.
    watched: AtomicUsize,
    days: Mutex<HashMap<DayKey, watch::Sender<()>>>,
}

impl DayNotices {
    /// Says that `day` has a new picture. After the picture was swapped in.
    pub fn published(&self, day: DayKey) {
        if self.watched.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(sender) = self.days.lock().get(&day) {
            sender.send_replace(());
        }
    }

    /// Watches `day`. Begin before the picture is read, so that no change falls between.
    pub fn watch(self: &Arc<Self>, day: DayKey) -> DayWatch {
        let mut days = self.days.lock();
        let receiver = days.entry(day).or_insert_with(|| watch::Sender::new(())).subscribe();
        self.watched.store(days.len(), Ordering::SeqCst);
        drop(days);
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
        let mut days = self.notices.days.lock();
        // The receiver of this watcher still counts.
        if days.get(&self.day).is_some_and(|sender| sender.receiver_count() <= 1) {
            days.remove(&self.day);
        }
        self.notices.watched.store(days.len(), Ordering::SeqCst);
    }
}
