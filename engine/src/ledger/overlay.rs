//! What is durable but not yet in the ledger, so that everyone reads their own writes however far the ledger is behind.
//! Must not know: the journal, SQL, who asks.
//!
//! A reader asks the overlay first and the ledger second, and merges by the highest appointment version; an entry is
//! evicted only after the ledger's commit is visible (`protocols.md` rule 11).

use booking_core::AppointmentId;

use super::{AppointmentScope, HistoryItem, PlacedAppointment};

/// A durable change on its way to the ledger.
#[derive(Clone, Debug)]
pub struct OverlayEntry {
    /// The appointment after the change.
    pub placed: PlacedAppointment,
    /// The step that led there.
    pub step: HistoryItem,
    /// The journal position of the record.
    pub position: u64,
}

/// The overlay. Bounded by the ledger's lag bound: past it new bookings are shed.
#[derive(Default)]
pub struct Overlay {}

impl Overlay {
    /// Adds durable changes. Called before any answer that depends on them leaves.
    pub fn publish(&self, entries: Vec<OverlayEntry>) {
        let _ = entries;
        todo!("ledger helper")
    }

    /// Forgets entries at positions up to `position`, except those of parked days. Called after the ledger's commit.
    pub fn evict(&self, position: u64) {
        let _ = position;
        todo!("ledger helper")
    }

    /// The newest version of an appointment here.
    pub fn appointment(&self, id: AppointmentId) -> Option<PlacedAppointment> {
        let _ = id;
        todo!("ledger helper")
    }

    /// The newest versions of all appointments here in `scope`, in no particular order.
    pub fn appointments(&self, scope: AppointmentScope) -> Vec<PlacedAppointment> {
        let _ = scope;
        todo!("ledger helper")
    }

    /// The steps here of one appointment, oldest first.
    pub fn history(&self, id: AppointmentId) -> Vec<HistoryItem> {
        let _ = id;
        todo!("ledger helper")
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        todo!("ledger helper")
    }

    /// Whether nothing is waiting for the ledger.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
