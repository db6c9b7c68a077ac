//! Reminders in memory: what the applier writes of them, and what becomes of them.
//! Must not know: faults other than that the store is away, how the other ledger does it.

use async_trait::async_trait;
use booking_core::{AppointmentId, Change, DayKey, Event, Role, Status, UtcMillis};
use uuid::Uuid;

use super::MemoryLedger;
use super::registry::RegistryStore;
use super::store::Store;
use crate::journal::ReadError;
use crate::ledger::ApplyError;
use crate::ledger::reminders::{Claimer, Outcome, ReminderKey, ReminderRow, ReminderStatus, ReminderStore, Settled};
use crate::ownership::ShardSet;
use crate::reminders::plan::{Occasion, Planner, Preferences, Wishes};

/// A reminder, and who has claimed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptReminder {
    /// As it is told.
    pub row: ReminderRow,
    /// Whose claim it is, if it is claimed.
    pub claimer: Option<Uuid>,
}

/// What rows are planned from, beside the change itself.
pub(super) struct Telling<'ledger> {
    pub(super) planner: &'ledger Planner,
    pub(super) registry: &'ledger RegistryStore,
}

impl Store {
    /// What is void by a change, and who is told of it. The appointment has been written.
    pub(super) fn write_reminders(&mut self, home: DayKey, event: &Event, change: &Change, telling: &Telling<'_>) {
        let (id, version) = (change.row.id, change.row.version);
        if change.from == Some(Status::Booked) {
            let older = self.reminders_of(id).filter(|kept| kept.row.key.version < version);
            let waits = |kept: &KeptReminder| matches!(kept.row.status, ReminderStatus::Pending | ReminderStatus::Dead);
            let void: Vec<KeptReminder> = older.filter(|kept| waits(kept)).cloned().collect();
            for mut kept in void {
                kept.row.cancel();
                self.reminders.put(kept.row.key, kept);
            }
        }
        let by_patient = event.envelope.role == Role::Patient;
        let occasion = Occasion { day: home, row: &change.row, from: change.from, at: event.at, by_patient };
        let patient = telling.registry.known_patient(change.row.patient).map(|known| Preferences::of(&known.profile));
        let zone = self.days.get(&home).map(|day| day.definition.time_zone.clone());
        let wishes = Wishes {
            policy: telling.registry.policy_for(home.doctor),
            patient: patient.as_ref(),
            time_zone: zone.as_deref().unwrap_or("UTC"),
        };
        let is_void = self.appointments.get(&id).is_some_and(|(_, row)| row.version > version);
        for mut row in telling.planner.rows(&occasion, &wishes) {
            if is_void {
                row.cancel();
            }
            if self.reminders.get(&row.key).is_none() {
                self.reminders.put(row.key, KeptReminder { row, claimer: None });
            }
        }
    }

    fn reminders_of(&self, id: AppointmentId) -> impl Iterator<Item = &KeptReminder> {
        let [first, last] = ReminderKey::bounds(id);
        self.reminders.rows().range(first..=last).map(|(_, kept)| kept)
    }

    /// The row as it is told: with the day and the start of the appointment now.
    fn told(&self, kept: &KeptReminder) -> ReminderRow {
        let mut row = kept.row.clone();
        if let Some((day, appointment)) = self.appointments.get(&row.key.appointment) {
            (row.day, row.start) = (*day, appointment.start);
        }
        row
    }

    fn put_reminder(&mut self, row: ReminderRow, claimer: Option<Uuid>) {
        self.reminders.put(row.key, KeptReminder { row, claimer });
        self.reminders.commit();
    }

    fn dead(&self) -> Vec<ReminderRow> {
        let all = self.reminders.rows().values();
        let mut dead: Vec<ReminderRow> =
            all.filter(|kept| kept.row.status == ReminderStatus::Dead).map(|kept| self.told(kept)).collect();
        dead.sort_by_key(|row| (row.due_at, row.key.message_id()));
        dead
    }
}

#[async_trait]
impl ReminderStore for MemoryLedger {
    async fn due(
        &self,
        shards: &ShardSet,
        after: Option<(UtcMillis, ReminderKey)>,
        until: UtcMillis,
        limit: usize,
    ) -> Result<Vec<ReminderRow>, ReadError> {
        let store = &self.readable()?.ledger;
        let open = store.reminders.rows().values().filter(|kept| kept.row.status.is_open());
        let mut due: Vec<ReminderRow> = open.map(|kept| store.told(kept)).collect();
        let is_behind = |row: &ReminderRow| after.is_none_or(|after| (row.next_at, row.key) > after);
        due.retain(|row| row.next_at < until && is_behind(row) && shards.contains(row.day.shard()));
        due.sort_by_key(|row| (row.next_at, row.key));
        due.truncate(limit);
        Ok(due)
    }

    async fn pending_of(&self, appointments: &[AppointmentId]) -> Result<Vec<ReminderRow>, ReadError> {
        let store = &self.readable()?.ledger;
        let all = appointments.iter().flat_map(|id| store.reminders_of(*id));
        Ok(all.filter(|kept| kept.row.status == ReminderStatus::Pending).map(|kept| store.told(kept)).collect())
    }

    async fn of_appointment(&self, id: AppointmentId) -> Result<Vec<ReminderRow>, ReadError> {
        let store = &self.readable()?.ledger;
        let mut rows: Vec<ReminderRow> = store.reminders_of(id).map(|kept| store.told(kept)).collect();
        rows.sort_by_key(|row| (row.key.version, row.due_at, row.key));
        Ok(rows)
    }

    async fn claim(
        &self,
        keys: &[ReminderKey],
        claimer: Claimer,
        now: UtcMillis,
        lapses_at: UtcMillis,
    ) -> Result<Vec<ReminderRow>, ApplyError> {
        let store = &mut self.writable().map_err(ApplyError::Unavailable)?.ledger;
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.dedup();
        let mut claimed = Vec::new();
        for key in keys {
            let Some(kept) = store.reminders.get(&key) else { continue };
            if let Some(row) = store.told(kept).claimed(kept.claimer, claimer, now, lapses_at) {
                store.put_reminder(row.clone(), Some(claimer.incarnation));
                claimed.push(row);
            }
        }
        Ok(claimed)
    }

    async fn record(
        &self,
        outcomes: &[(ReminderKey, Outcome)],
        claimer: Claimer,
        now: UtcMillis,
    ) -> Result<Vec<ReminderRow>, ApplyError> {
        let store = &mut self.writable().map_err(ApplyError::Unavailable)?.ledger;
        let mut written = Vec::new();
        for (key, outcome) in outcomes {
            let Some(kept) = store.reminders.get(key) else { continue };
            if kept.row.status != ReminderStatus::Sending || kept.claimer != Some(claimer.incarnation) {
                continue;
            }
            let newest = store.appointments.get(&key.appointment).map_or(0, |(_, row)| row.version);
            let Settled { row, next } = store.told(kept).settled(outcome, newest > key.version, now);
            store.put_reminder(row, None);
            if let Some(next) = next.filter(|next| store.reminders.get(&next.key).is_none()) {
                store.put_reminder(next.clone(), None);
                written.push(next);
            }
        }
        Ok(written)
    }

    async fn dead(&self, after: Option<(UtcMillis, Uuid)>, limit: usize) -> Result<Vec<ReminderRow>, ReadError> {
        let dead = self.readable()?.ledger.dead();
        let is_behind = |row: &ReminderRow| after.is_none_or(|after| (row.due_at, row.key.message_id()) > after);
        Ok(dead.into_iter().filter(is_behind).take(limit).collect())
    }

    async fn dead_count(&self, shards: &ShardSet) -> Result<u64, ReadError> {
        let dead = self.readable()?.ledger.dead();
        Ok(dead.iter().filter(|row| shards.contains(row.day.shard())).count() as u64)
    }

    async fn redrive(&self, message: Option<Uuid>, now: UtcMillis) -> Result<u64, ApplyError> {
        let store = &mut self.writable().map_err(ApplyError::Unavailable)?.ledger;
        let mut redriven = 0;
        for mut row in store.dead() {
            if message.is_none_or(|message| message == row.key.message_id()) {
                (row.status, row.attempts, row.next_at) = (ReminderStatus::Pending, 0, now);
                store.put_reminder(row, None);
                redriven += 1;
            }
        }
        Ok(redriven)
    }

    async fn discard(&self, message: Uuid) -> Result<bool, ApplyError> {
        let store = &mut self.writable().map_err(ApplyError::Unavailable)?.ledger;
        let found = store.dead().into_iter().find(|row| row.key.message_id() == message);
        let is_found = found.is_some();
        if let Some(mut row) = found {
            row.status = ReminderStatus::Failed;
            store.put_reminder(row, None);
        }
        Ok(is_found)
    }
}
