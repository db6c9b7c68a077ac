//! What a day does once everybody has been told: a snapshot when it is worth one, a look whether its counts add up.
//! Must not know: who was told what.

use super::day::{DayActor, Phase};
use super::recovery;
use crate::limits::{CONSERVATION_LOOK_MICROS, SNAPSHOT_AWAKE_APPOINTMENTS_MAX, SNAPSHOT_RECORDS_MIN};

impl DayActor {
    pub(super) fn snapshot_if_due(&mut self) {
        let Phase::Awake(awake) = &mut self.phase else { return };
        let written = awake.durable_head.version.sequence.saturating_sub(awake.snapshot_sequence);
        let appointments = awake.durable.appointments().count();
        let least = SNAPSHOT_RECORDS_MIN;
        #[cfg(feature = "testing")]
        let least = self.ports.faults.snapshot_records_min.unwrap_or(least);
        if appointments <= SNAPSHOT_AWAKE_APPOINTMENTS_MAX && written >= least.max(appointments as u64) {
            awake.queue_snapshot(&self.ports, self.entry.day());
        }
    }

    /// A busy day is looked at now and then; a quiet one when it goes to sleep.
    pub(super) fn check_conservation_if_due(&mut self, now_micros: u64) {
        let Phase::Awake(awake) = &self.phase else { return };
        if now_micros.saturating_sub(self.conservation_checked_micros) < CONSERVATION_LOOK_MICROS
            || awake.durable.appointments().count() > SNAPSHOT_AWAKE_APPOINTMENTS_MAX
        {
            return;
        }
        self.conservation_checked_micros = now_micros;
        recovery::check_conservation(&self.ports, awake);
    }
}
