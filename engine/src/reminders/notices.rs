//! What the applier tells the reminders: these appointments have changed. Bounded, and never waits: what finds no room
//! is looked for.
//! Must not know: what is done about it, how appointments are stored.

use std::sync::atomic::{AtomicBool, Ordering};

use booking_core::AppointmentId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Appointments that wait to be looked up: those of some bulks of the applier, 4 MiB. Past it everything that is due
/// soon is read again.
const WAITING_MAX: usize = 262_144;

/// See the module.
#[derive(Default)]
pub struct Notices {
    waiting: Mutex<Vec<AppointmentId>>,
    is_overflown: AtomicBool,
    told: Notify,
}

/// What was told since the last time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// These, some of them more than once.
    pub appointments: Vec<AppointmentId>,
    /// And others, nobody knows which.
    pub is_overflown: bool,
}

impl Notices {
    /// The rows of these are durable.
    pub fn tell(&self, appointments: impl IntoIterator<Item = AppointmentId>) {
        {
            let mut waiting = self.waiting.lock();
            for appointment in appointments {
                if waiting.len() >= WAITING_MAX {
                    self.is_overflown.store(true, Ordering::Release);
                    break;
                }
                waiting.push(appointment);
            }
        }
        self.told.notify_one();
    }

    /// Everything has to be looked for: rows may have been written that nobody told.
    pub fn tell_all(&self) {
        self.is_overflown.store(true, Ordering::Release);
        self.told.notify_one();
    }

    /// Takes what was told.
    pub fn take(&self) -> Told {
        let is_overflown = self.is_overflown.swap(false, Ordering::AcqRel);
        Told { appointments: std::mem::take(&mut *self.waiting.lock()), is_overflown }
    }

    /// Becomes ready when something was told.
    pub async fn told(&self) {
        self.told.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_finds_no_room_is_known_to_be_missing() {
        let notices = Notices::default();
        assert_eq!(notices.take(), Told::default());
        let id = |number| AppointmentId(Uuid::from_u128(number));
        notices.tell([id(1), id(2)]);
        assert_eq!(notices.take(), Told { appointments: vec![id(1), id(2)], is_overflown: false });
        notices.tell((0..WAITING_MAX as u128).map(id));
        assert!(!notices.take().is_overflown);
        notices.tell((0..WAITING_MAX as u128 + 5).map(id));
        let told = notices.take();
        assert_eq!((told.appointments.len(), told.is_overflown), (WAITING_MAX, true));
        assert_eq!(notices.take(), Told::default());
        notices.tell_all();
        assert!(notices.take().is_overflown);
    }
}
