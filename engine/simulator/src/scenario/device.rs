//! A client of a scenario that acts by itself, and does not give up before it has an answer.
//! Must not know: what the right answers are.

use booking_core::{AppointmentId, DayKey};
use engine::EngineError;

use crate::kernel::{Kernel, OUTSIDE};
use crate::network::Network;
use crate::oracle::{Asked, Reply, Told};

/// Who heard nothing for so long asks again, in microseconds.
const PATIENCE_MICROS: u64 = 1_500_000;
/// How often it asks.
const TRIES_MAX: usize = 12;
/// Between two tries.
const PAUSE_MILLIS: u64 = 200;

/// See the module.
pub struct Device {
    pub(super) network: Network,
    pub(super) kernel: Kernel,
}

impl Device {
    /// Lets virtual time pass.
    pub async fn pause_millis(&self, millis: u64) {
        self.kernel.sleep(OUTSIDE, millis * 1_000).await;
    }

    /// Asks once; `None` if no reply came in time.
    pub async fn ask(&self, asked: &Asked) -> Option<Reply> {
        self.network.ask_within(PATIENCE_MICROS, asked).await
    }

    /// Asks until it is told a success or a refusal; `None` if it is not, however often it asks. What is to happen once needs a key.
    pub async fn insist(&self, asked: Asked) -> Option<Reply> {
        for _ in 0..TRIES_MAX {
            match self.ask(&asked).await {
                None | Some(Err(EngineError::Unavailable(_) | EngineError::Overloaded { .. })) => {}
                answered => return answered,
            }
            self.pause_millis(PAUSE_MILLIS).await;
        }
        None
    }

    /// The same: the appointment of a success, and where it is.
    pub async fn win(&self, asked: Asked) -> Option<(AppointmentId, DayKey)> {
        match self.insist(asked).await {
            Some(Ok(Told::Appointment(told))) => Some((told.placed.appointment.id, told.placed.day)),
            _ => None,
        }
    }
}
