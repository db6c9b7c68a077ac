//! One task a watched day: it notices each change, also those by time alone, and renders it once for all readers.
//! Must not know: readers, HTTP.

use std::sync::Arc;
use std::time::Duration;

use booking_core::{DayKey, UtcMillis};
use engine::EngineError;
use engine::actors::notices::DayWatch;
use engine::view::DayView;
use tokio::sync::watch;

use super::pace::Spacing;
use super::{Latest, Streams, elsewhere, offer};

/// Least time between two renderings of a day: fifty a second in a storm. Each reader keeps the interval of events from its own last
/// one, so this, and not another such interval, is what it can lag behind beyond it.
const RENDER_INTERVAL_MILLIS: u64 = 20;
/// The clock is looked at this often although nothing is due, because it may have been slewed; and a day that could not
/// be read is read again.
const LOOK_MILLIS_MAX: i64 = 1_000;

/// Between two looks for a day that is elsewhere or comes back: about what a takeover adds to the time without news.
const LOOK_ELSEWHERE: Duration = Duration::from_millis(100);

/// Renders `day` at every change until nobody reads it.
pub(crate) async fn follow(streams: Arc<Streams>, day: DayKey, latest: Arc<Latest>) {
    let task = Following { streams, day, latest };
    let notices = task.streams.engine.watch(day);
    task.run(notices).await;
}

struct Following {
    streams: Arc<Streams>,
    day: DayKey,
    latest: Arc<Latest>,
}

/// Readers of a day without a task would wait for ever: however the task ends, their streams end, and the next reader begins anew.
impl Drop for Following {
    fn drop(&mut self) {
        self.streams.forget(self.day, &self.latest);
    }
}

impl Following {
    async fn run(&self, mut notices: DayWatch) {
        let mut stop = self.streams.stop.subscribe();
        let mut renderings = Spacing::new(RENDER_INTERVAL_MILLIS);
        loop {
            let wait_millis = renderings.wait_millis(self.streams.monotonic_millis());
            if wait_millis > 0 {
                tokio::time::sleep(Duration::from_millis(wait_millis)).await;
            }
            renderings.done(self.streams.monotonic_millis());
            let next = match self.streams.engine.day(self.day).await {
                Ok(view) => {
                    offer(&self.latest, &view, self.streams.monotonic_millis());
                    next_change(&view)
                }
                Err(EngineError::NotHere { .. }) => {
                    if !self.read_elsewhere(&mut stop).await {
                        return;
                    }
                    continue;
                }
                // Not readable now: the readers keep what they have.
                Err(_) => Some(UtcMillis(self.streams.engine.clock().now().0.saturating_add(LOOK_MILLIS_MAX))),
            };
            let goes_on = tokio::select! {
                () = notices.changed() => true,
                () = self.reached(next) => true,
                () = self.left() => false,
                _ = stop.wait_for(|stop| *stop) => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Shows what the node that speaks for the day tells, until it does not any more; false if the readers are to end, or have left.
    async fn read_elsewhere(&self, stop: &mut watch::Receiver<bool>) -> bool {
        let read = async {
            if let Some(nodes) = &self.streams.nodes {
                elsewhere::read(&self.streams, nodes, self.day, &self.latest).await;
            }
            // However it ended: the day is looked for anew, but not all the time.
            tokio::time::sleep(LOOK_ELSEWHERE).await;
        };
        tokio::select! {
            () = read => true,
            () = self.came_here() => true,
            () = self.left() => false,
            _ = stop.wait_for(|stop| *stop) => false,
        }
    }

    /// Until this process speaks for the day.
    async fn came_here(&self) {
        while !self.streams.engine.territory().is_here(self.day) {
            tokio::time::sleep(LOOK_ELSEWHERE).await;
        }
    }

    /// Until the engine's time is `next`. The day is not asked meanwhile, so it may sleep.
    async fn reached(&self, next: Option<UtcMillis>) {
        let Some(next) = next else { return std::future::pending().await };
        loop {
            let millis = next.millis_since(self.streams.engine.clock().now());
            if millis <= 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(millis.min(LOOK_MILLIS_MAX).unsigned_abs())).await;
        }
    }

    /// Until nobody reads any more, and nobody can begin to.
    async fn left(&self) {
        loop {
            self.latest.closed().await;
            if self.streams.leave(self.day, &self.latest) {
                return;
            }
        }
    }
}

/// When the picture will differ without any command.
fn next_change(view: &DayView) -> Option<UtcMillis> {
    view.snapshot.next_change_after(view.now).into_iter().chain(view.snapshot.next_hold_expiry()).min()
}
