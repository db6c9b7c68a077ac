//! How a scenario asks: requests under way, several at once, and what their replies are.
//! Must not know: what the right replies are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use booking_core::{Appointment, DayKey, Rejection};
use engine::EngineError;
use engine::view::{AppointmentReply, DayReply, DayView, PlacedAppointment};
use parking_lot::Mutex;

use super::{Device, Scenario};
use crate::kernel::OUTSIDE;
use crate::oracle::{Asked, Reply, Told};

/// A request under way.
#[derive(Clone)]
pub struct Pending {
    what: String,
    reply: Arc<Mutex<Option<Option<Reply>>>>,
}

impl Pending {
    /// Whether the client has its reply, or has given up.
    pub fn is_over(&self) -> bool {
        self.reply.lock().is_some()
    }
}

impl Scenario {
    /// Sends a request; others can be sent before its reply comes.
    pub fn ask(&self, asked: Asked) -> Pending {
        self.ask_in(0, asked)
    }

    /// Sends a request after so many microseconds.
    pub fn ask_in(&self, micros: u64, asked: Asked) -> Pending {
        let pending = Pending { what: crate::words::asked(&asked), reply: Arc::default() };
        let (kernel, network, reply) =
            (self.world.stage.kernel.clone(), self.world.network.clone(), Arc::clone(&pending.reply));
        let work = async move {
            kernel.sleep(OUTSIDE, micros).await;
            let told = network.ask(&asked).await;
            *reply.lock() = Some(told);
        };
        self.world.stage.kernel.spawn(OUTSIDE, Box::pin(work));
        pending
    }

    /// Has a client do what it likes. It outlives the process.
    pub fn client<F: Future<Output = ()> + Send + 'static>(&self, life: impl FnOnce(Device) -> F) {
        let (network, kernel) = (self.world.network.clone(), self.world.stage.kernel.clone());
        let (clients, life) = (Arc::clone(&self.clients), life(Device { network, kernel }));
        clients.fetch_add(1, Ordering::Relaxed);
        let work = async move {
            life.await;
            clients.fetch_sub(1, Ordering::Relaxed);
        };
        self.world.stage.kernel.spawn(OUTSIDE, Box::pin(work));
    }

    /// Goes on until every client has done what it wanted.
    pub fn until_clients_are_gone(&self) {
        self.until("all clients are gone", |it| it.clients.load(Ordering::Relaxed) == 0);
    }

    /// Goes on until the client has a reply; `None` if it gave up.
    pub fn outcome(&self, pending: &Pending) -> Option<Reply> {
        self.until(&format!("a reply to {}", pending.what), |_| pending.is_over());
        pending.reply.lock().clone().flatten()
    }

    /// Goes on until the reply is there.
    pub fn reply(&self, pending: &Pending) -> Reply {
        self.outcome(pending).unwrap_or_else(|| panic!("no reply to {}", pending.what))
    }

    /// The appointment of a success.
    pub fn won(&self, pending: &Pending) -> AppointmentReply {
        match self.reply(pending) {
            Ok(Told::Appointment(reply)) => reply,
            other => panic!("{}: {other:?}", pending.what),
        }
    }

    /// The refusal, whether told first or repeated.
    pub fn refused(&self, pending: &Pending) -> Rejection {
        let mut error = self.reply(pending).err();
        while let Some(EngineError::Repeated(first)) = error {
            error = Some(*first);
        }
        match error {
            Some(EngineError::Rejected(rejection)) => rejection,
            other => panic!("{}: {other:?}", pending.what),
        }
    }

    /// Whether the reply is 503.
    pub fn is_unknown(&self, pending: &Pending) -> bool {
        matches!(self.reply(pending), Err(EngineError::Unavailable(_)))
    }

    /// Asks and waits for a success.
    pub fn do_now(&self, asked: Asked) -> Appointment {
        self.won(&self.ask(asked)).placed.appointment
    }

    /// Asks and waits for a refusal.
    pub fn try_now(&self, asked: Asked) -> Rejection {
        self.refused(&self.ask(asked))
    }

    /// Asks for a change of a day and waits for the success.
    pub fn decide_day(&self, asked: Asked) -> DayReply {
        match self.reply(&self.ask(asked)) {
            Ok(Told::Day(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// The day as everybody sees it.
    pub fn view(&self, day: DayKey) -> DayView {
        match self.reply(&self.ask(Asked::ReadDay(day))) {
            Ok(Told::View(view)) => view,
            other => panic!("{other:?}"),
        }
    }

    /// The appointment as its readers see it.
    pub fn read(&self, id: booking_core::AppointmentId) -> PlacedAppointment {
        match self.reply(&self.ask(Asked::ReadAppointment(id))) {
            Ok(Told::Placed(placed)) => placed,
            other => panic!("{other:?}"),
        }
    }

    /// A list as its reader sees it.
    pub fn listed(&self, asked: Asked) -> Vec<PlacedAppointment> {
        match self.reply(&self.ask(asked)) {
            Ok(Told::List(rows)) => rows,
            other => panic!("{other:?}"),
        }
    }
}
