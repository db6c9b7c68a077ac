//! Faults that tests plant in the engine.
//! Must not know: who plants them; production code paths do not depend on anything here.

use std::sync::OnceLock;

use booking_core::{Action, Command};

/// Sees a command before it is decided; may panic.
pub type OnDecide = Box<dyn Fn(&Command) + Send + Sync>;

/// Faults that a test plants. The default plants none.
#[derive(Default)]
pub struct Faults {
    /// A booking for this patient panics in its day's actor.
    pub panic_on_patient: Option<booking_core::PatientId>,
    /// After so many records an awake day saves a snapshot, in place of `limits::SNAPSHOT_RECORDS_MIN`.
    pub snapshot_records_min: Option<u64>,
    /// Called before each decision.
    pub on_decide: Option<OnDecide>,
}

impl Faults {
    /// From `HOTSLOT_TEST_PANIC_ON_PATIENT` (a UUID), for black-box tests of the real program.
    pub fn from_environment() -> Self {
        let patient = std::env::var("HOTSLOT_TEST_PANIC_ON_PATIENT").ok();
        let patient = patient.and_then(|text| text.parse().ok()).map(booking_core::PatientId);
        Self { panic_on_patient: patient, ..Self::default() }
    }

    /// Called before each decision.
    pub fn before_decide(&self, command: &Command) {
        if let Action::Book(booking) = &command.action {
            assert!(self.panic_on_patient != Some(booking.patient), "a planted panic");
        }
        if let Some(on_decide) = &self.on_decide {
            on_decide(command);
        }
    }
}

/// Pages of the journal's WAL after which a checkpoint starts, from `HOTSLOT_TEST_CHECKPOINT_PAGES`; `None` if that says nothing.
/// The real bound is megabytes, which no short test writes.
pub fn checkpoint_pages() -> Option<u64> {
    static PAGES: OnceLock<Option<u64>> = OnceLock::new();
    *PAGES.get_or_init(|| std::env::var("HOTSLOT_TEST_CHECKPOINT_PAGES").ok()?.parse().ok())
}
