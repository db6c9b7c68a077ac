//! The one place where what is durable meets what the ledger has: own writes are always seen.
//! Must not know: SQL, who may see what.
//!
//! Always the overlay first, the ledger second, then the highest version (`protocols.md` rule 11): what leaves the overlay
//! in between is in the ledger by then.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use booking_core::AppointmentId;

use super::overlay::Overlay;
use super::{AppointmentQuery, AppointmentScope, HistoryItem, Ledger, PlacedAppointment};
use crate::journal::ReadError;

/// Reads appointments, own writes included. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    ledger: Arc<dyn Ledger>,
    overlay: Arc<Overlay>,
}

impl Reader {
    /// Over a ledger and what is on its way there.
    pub fn new(ledger: Arc<dyn Ledger>, overlay: Arc<Overlay>) -> Self {
        Self { ledger, overlay }
    }

    /// What is on its way to the ledger.
    pub(crate) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// The newest durable version of one appointment.
    pub async fn appointment(&self, id: AppointmentId) -> Result<Option<PlacedAppointment>, ReadError> {
        let waiting = self.overlay.appointment(id);
        let applied = self.ledger.appointment(id).await?;
        Ok(match (waiting, applied) {
            (Some(waiting), Some(applied)) => Some(newer(waiting, applied)),
            (waiting, applied) => waiting.or(applied),
        })
    }

    /// The newest durable versions of `ids`, as far as there are any.
    pub async fn appointments_of(
        &self,
        ids: &[AppointmentId],
    ) -> Result<HashMap<AppointmentId, PlacedAppointment>, ReadError> {
        let waiting: Vec<PlacedAppointment> = ids.iter().filter_map(|id| self.overlay.appointment(*id)).collect();
        let applied = self.ledger.appointments_of(ids).await?;
        let mut newest = HashMap::with_capacity(ids.len());
        for placed in waiting.into_iter().chain(applied) {
            let id = placed.appointment.id;
            let kept = match newest.remove(&id) {
                Some(known) => newer(known, placed),
                None => placed,
            };
            newest.insert(id, kept);
        }
        Ok(newest)
    }

    /// The steps of one appointment, oldest first; empty if there is no such appointment.
    pub async fn history(&self, id: AppointmentId) -> Result<Vec<HistoryItem>, ReadError> {
        let waiting = self.overlay.history(id);
        let applied = self.ledger.history(id).await?;
        let steps: BTreeMap<u32, HistoryItem> =
            waiting.into_iter().chain(applied).map(|step| (step.version, step)).collect();
        Ok(steps.into_values().collect())
    }

    /// The versions of one appointment whose steps the ledger has.
    pub(crate) async fn applied_versions(&self, id: AppointmentId) -> Result<BTreeSet<u32>, ReadError> {
        Ok(self.ledger.history(id).await?.into_iter().map(|step| step.version).collect())
    }

    /// A page by (start, id). The filter is applied to the merged rows: a change that waits for the ledger can move an
    /// appointment into it or out of it.
    pub async fn appointments(&self, query: &AppointmentQuery) -> Result<Vec<PlacedAppointment>, ReadError> {
        self.appointments_beside(query, Vec::new()).await
    }

    /// What waits for the ledger in this process, of `scope` now or before: see [`Overlay::appointments`].
    pub fn waiting(&self, scope: AppointmentScope) -> Vec<PlacedAppointment> {
        self.overlay.appointments(scope)
    }

    /// The steps of one appointment that wait for the ledger in this process.
    pub fn waiting_steps(&self, id: AppointmentId) -> Vec<HistoryItem> {
        self.overlay.history(id)
    }

    /// As [`Reader::appointments`], beside what waits for the ledger at other nodes, which was read before.
    pub async fn appointments_beside(
        &self,
        query: &AppointmentQuery,
        elsewhere: Vec<PlacedAppointment>,
    ) -> Result<Vec<PlacedAppointment>, ReadError> {
        let mut waiting = self.overlay.appointments(query.scope);
        waiting.extend(elsewhere);
        // Every waiting row can push at most one row of the ledger's page out of the merged one.
        let limit = query.limit.saturating_add(waiting.len());
        let applied = self.ledger.appointments(&AppointmentQuery { limit, ..query.clone() }).await?;
        let mut merged: HashMap<AppointmentId, PlacedAppointment> = HashMap::with_capacity(waiting.len());
        for placed in waiting.into_iter().chain(applied) {
            let id = placed.appointment.id;
            let newest = match merged.remove(&id) {
                Some(known) => newer(known, placed),
                None => placed,
            };
            merged.insert(id, newest);
        }
        if matches!(query.scope, AppointmentScope::Day(_)) && self.overlay.has_pinned_days() {
            self.follow_departed(&mut merged).await?;
        }
        let mut page: Vec<PlacedAppointment> = merged.into_values().filter(|placed| query.admits(placed)).collect();
        page.sort_unstable_by_key(|placed| (placed.appointment.start, placed.appointment.id));
        page.truncate(query.limit);
        Ok(page)
    }

    /// What waits because its day is parked waits long: an appointment can have left for a day that is not, and further,
    /// and the ledger's page of one day does not show that. Parked days are few, and each a defect.
    async fn follow_departed(&self, merged: &mut HashMap<AppointmentId, PlacedAppointment>) -> Result<(), ReadError> {
        for (id, placed) in merged {
            if let Some(applied) = self.ledger.appointment(*id).await?
                && applied.appointment.version > placed.appointment.version
            {
                *placed = applied;
            }
        }
        Ok(())
    }
}

/// The one with the higher version; of equals the waiting one.
fn newer(waiting: PlacedAppointment, applied: PlacedAppointment) -> PlacedAppointment {
    if applied.appointment.version > waiting.appointment.version { applied } else { waiting }
}
