//! What this process last knew of a day, once its lease has ended: for reading only, and said to be old.
//! Must not know: HTTP, who speaks for the day now.

use booking_core::DayKey;

use super::EngineHandle;
use crate::actors::entry::Published;
use crate::view::DayView;

impl EngineHandle {
    /// The last picture of `day` that is still in memory, and for how many seconds it may be wrong at most: since the lease ended, rounded
    /// up. `None` while the lease runs, for then whoever speaks for the day can be asked; and if nothing is known of it. A hold that is due
    /// may be shown: its end was not recorded here. Nobody may be refused or given anything because of it.
    pub fn stale_day(&self, day: DayKey) -> Option<(DayView, u64)> {
        let now_micros = self.parts.clock.monotonic_micros();
        let deadline_micros = self.parts.territory.tenures().deadline_micros();
        let age_micros = now_micros.checked_sub(deadline_micros)?;
        let entry = self.parts.directory.known(day)?;
        let Published::Present { snapshot, .. } = &**entry.published_guard() else { return None };
        let snapshot = std::sync::Arc::clone(snapshot);
        let age_seconds = age_micros.div_ceil(1_000_000).max(1);
        Some((DayView { day, snapshot, now: self.parts.clock.now() }, age_seconds))
    }
}
