//! What a day does unasked when its time has come: holds that end, moves on their way in that nobody settles, commands that have
//! waited for too long.
//! Must not know: who keeps the timers.

use booking_core::{Command, UtcMillis, planted};

use super::day::{DayActor, Phase};
use super::recovery;
use super::turn::Turn;
use crate::error::EngineError;
use crate::limits::ASKING_PAUSE_MILLIS;

impl DayActor {
    /// After a load: whoever drove the moves that are on their way in may be gone.
    pub(super) fn ask_about_loaded_arrivals(&mut self) {
        if let Phase::Awake(awake) = &self.phase
            && awake.durable.arrivals().next().is_some()
        {
            let now = self.ports.clock.now();
            self.ask_not_before = now;
            self.ask_about_arrivals(now);
        }
    }

    /// Has somebody find out what became of the moves on their way in, but not again and again.
    pub(super) fn ask_about_arrivals(&mut self, now: UtcMillis) {
        if now >= self.ask_not_before {
            self.ask_not_before = now.plus_millis(ASKING_PAUSE_MILLIS);
            if planted!(OpenMoveNotAsked) {
                return;
            }
            (self.ports.on_open_moves)(self.entry.day());
        }
    }

    /// A timer, or nobody in particular, says that something may be due: a hold, a move on its way in, a command that has waited
    /// for too long.
    pub(super) fn due(&mut self) {
        let now = self.ports.clock.now();
        for request in self.parked.take_overdue(now) {
            request.settle(Err(EngineError::Unavailable("what this depends on is not settled yet".to_owned())));
        }
        if matches!(self.phase, Phase::Unloaded) {
            // The store may be back. Until it is, the sweep of the open-work index asks once a second.
            return recovery::reload(self);
        }
        self.expire_due(now);
        let Phase::Awake(awake) = &self.phase else { return };
        let mut next = awake.tip.next_work_at();
        if next.is_some_and(|due| due <= now) {
            // Holds that were due are decided: what is left is a move on its way in, which waits for no instant. One that is not
            // durable yet is looked at when it is.
            let is_durable = awake.durable.arrivals().next().is_some();
            next = is_durable.then(|| {
                self.ask_about_arrivals(now);
                self.ask_not_before
            });
        }
        if let Some(at) = next.into_iter().chain(self.parked.next_overdue_at()).min() {
            self.ports.deadlines.arm(self.entry.day(), at.max(self.not_before));
        }
    }

    fn expire_due(&mut self, now: UtcMillis) {
        let Phase::Awake(awake) = &mut self.phase else { return };
        if awake.tip.next_hold_expiry().is_none_or(|due| now < due) {
            return;
        }
        let expected = awake.tip_head;
        let decision = awake.tip.decide(&Command::expire(), now);
        let mut turn =
            Turn::new(awake, &mut self.gate, &mut self.parked, &self.entry, &self.ports, self.generation, now);
        decision.event.into_iter().for_each(|event| turn.adopt(event));
        let records = turn.records;
        crash_point!(ExpiryDecided);
        self.submit(expected, records, Vec::new(), Vec::new());
    }
}
