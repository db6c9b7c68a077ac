//! The readers of one day on one HTTP worker: they are told in rounds, a few at a time, so that requests come between.
//! Must not know: how changes are noticed, how bytes travel, HTTP heads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use booking_core::DayKey;
use engine::telemetry::catalogue::STREAM_EVENTS;
use metrics::Counter;
use tokio::sync::Notify;

use super::frame::heartbeat;
use super::pace::{Rounds, Spacing, slice_readers};
use super::reader::{Member, Took};
use super::{EVENT_INTERVAL_MILLIS, Frames, Streams};

/// Telling readers takes at most one part in so many of a worker's time, as far as the next constant lets it.
const COST_DIVISOR: u64 = 16;
/// A storm is told this often however much it costs: with a round that takes a while itself, nobody is a second behind.
const ROUND_INTERVAL_MILLIS_MAX: u64 = 500;
/// A crowd that nothing is due for looks around this often all the same.
const LOOK_MILLIS_MAX: u64 = 60_000;

/// The crowds of one HTTP worker.
#[derive(Default)]
pub(crate) struct Crowds {
    /// Bounded by the readers.
    days: RefCell<HashMap<DayKey, Rc<Crowd>>>,
    /// When all rounds so far are paid for, on the monotonic scale.
    paid_millis: Cell<u64>,
}

impl Crowds {
    /// The crowd of `day`, whose events `frames` are.
    pub(super) fn of(self: &Rc<Self>, streams: &Arc<Streams>, day: DayKey, frames: Frames) -> Rc<Crowd> {
        let known = self.days.borrow().get(&day).map(Rc::clone);
        known.unwrap_or_else(|| {
            let crowd = Rc::new(Crowd::new(Arc::clone(streams), frames));
            self.days.borrow_mut().insert(day, Rc::clone(&crowd));
            actix_web::rt::spawn(lead(Rc::clone(self), day, Rc::clone(&crowd)));
            crowd
        })
    }

    /// A part of a round took so long.
    fn pay(&self, began_micros: u64, ended_micros: u64) {
        let cost_millis = ended_micros.saturating_sub(began_micros).saturating_mul(COST_DIVISOR) / 1_000;
        self.paid_millis.set(self.paid_millis.get().max(began_micros / 1_000).saturating_add(cost_millis));
    }
}

/// The readers of one day on one HTTP worker.
pub(super) struct Crowd {
    streams: Arc<Streams>,
    frames: Frames,
    heartbeat: Bytes,
    events: Counter,
    /// By place; a place that was left is taken again. Bounded by the readers.
    members: RefCell<Vec<Option<Rc<Member>>>>,
    vacant: RefCell<Vec<usize>>,
    /// When the next round is due although there is nothing new, on the monotonic scale.
    due_millis: Cell<u64>,
    /// The round is due earlier than it was, or the last reader has left.
    poke: Notify,
    ended: Cell<bool>,
}

impl Crowd {
    fn new(streams: Arc<Streams>, frames: Frames) -> Self {
        Self {
            streams,
            frames,
            heartbeat: heartbeat(),
            events: metrics::counter!(STREAM_EVENTS),
            members: RefCell::default(),
            vacant: RefCell::default(),
            due_millis: Cell::new(u64::MAX),
            poke: Notify::new(),
            ended: Cell::new(false),
        }
    }

    /// Takes `member` in; answers its place.
    pub(super) fn join(&self, member: Rc<Member>) -> usize {
        let mut members = self.members.borrow_mut();
        if let Some(place) = self.vacant.borrow_mut().pop() {
            members[place] = Some(member);
            return place;
        }
        members.push(Some(member));
        members.len() - 1
    }

    /// Lets the member at `place` go.
    pub(super) fn leave(&self, place: usize) {
        self.members.borrow_mut()[place] = None;
        self.vacant.borrow_mut().push(place);
        if self.is_empty() {
            self.poke.notify_one();
        }
    }

    /// Whether the streams of its members end.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// The turn of a member whose connection has become free.
    pub(super) fn turn_of(&self, member: &Member) {
        let now_millis = self.streams.monotonic_millis();
        let newest = self.frames.borrow().clone();
        match member.turn(newest.as_ref(), &self.heartbeat, now_millis) {
            Took::Event => {
                self.events.increment(1);
                self.due_in(now_millis, self.streams.heartbeat_millis());
            }
            Took::Nothing { millis } => self.due_in(now_millis, millis),
            Took::Busy => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.vacant.borrow().len() == self.members.borrow().len()
    }

    fn due_in(&self, now_millis: u64, millis: u64) {
        let due_millis = now_millis.saturating_add(millis);
        if due_millis < self.due_millis.get() {
            self.due_millis.set(due_millis);
            self.poke.notify_one();
        }
    }

    /// The turns of the members at these places; answers whether there are more, and after how long one of these is due.
    fn tell_slice(&self, places: Range<usize>, now_millis: u64) -> (bool, u64) {
        let newest = self.frames.borrow().clone();
        let members = self.members.borrow();
        let (mut told, mut due_millis) = (0, self.streams.heartbeat_millis());
        for member in members.iter().skip(places.start).take(places.len()).flatten() {
            match member.turn(newest.as_ref(), &self.heartbeat, now_millis) {
                Took::Event => told += 1,
                Took::Nothing { millis } => due_millis = due_millis.min(millis),
                Took::Busy => {}
            }
        }
        if told > 0 {
            self.events.increment(told);
        }
        (places.end < members.len(), due_millis)
    }

    /// Everybody's turn, with requests in between.
    async fn round(&self, crowds: &Crowds) {
        self.due_millis.set(u64::MAX);
        let round_millis = self.streams.monotonic_millis();
        let mut from = 0;
        loop {
            let began_micros = self.streams.monotonic_micros();
            let now_millis = began_micros / 1_000;
            let to = from + slice_readers(now_millis.saturating_sub(round_millis));
            let (more, millis) = self.tell_slice(from..to, now_millis);
            self.due_in(now_millis, millis);
            crowds.pay(began_micros, self.streams.monotonic_micros());
            if !more {
                return;
            }
            from = to;
            tokio::task::yield_now().await;
        }
    }

    fn end(&self) {
        self.ended.set(true);
        for member in self.members.borrow().iter().flatten() {
            member.wake();
        }
    }
}

/// Leads the crowd of `day` until it is empty, or its streams end.
async fn lead(crowds: Rc<Crowds>, day: DayKey, crowd: Rc<Crowd>) {
    let mut frames = crowd.frames.clone();
    let mut stop = crowd.streams.stop.subscribe();
    let mut rounds = Rounds::new(EVENT_INTERVAL_MILLIS, ROUND_INTERVAL_MILLIS_MAX);
    // Comments, and events for those whose pace did not allow them with the others. No change waits for these.
    let mut chores = Spacing::new(EVENT_INTERVAL_MILLIS);
    while !crowd.is_empty() {
        let now_millis = crowd.streams.monotonic_millis();
        // Nobody renders the day any more: a reader that comes back begins anew.
        let Ok(news) = frames.has_changed() else { break };
        let due_in_millis = crowd.due_millis.get().saturating_sub(now_millis);
        let wait_millis = match (news, due_in_millis) {
            (true, _) => rounds.wait_millis(now_millis, crowds.paid_millis.get()),
            (false, 0) => chores.wait_millis(now_millis),
            (false, millis) => millis.min(LOOK_MILLIS_MAX),
        };
        if wait_millis == 0 {
            if news {
                rounds.begin(now_millis);
                frames.mark_unchanged();
            }
            chores.done(now_millis);
            crowd.round(&crowds).await;
            continue;
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            changed = frames.changed(), if !news => match changed {
                // To be seen by the next round.
                Ok(()) => frames.mark_changed(),
                Err(_) => break,
            },
            () = crowd.poke.notified(), if !news => {}
            () = tokio::time::sleep(Duration::from_millis(wait_millis)) => {}
        }
    }
    // Without an await in between: nobody joins a crowd that has ended.
    crowds.days.borrow_mut().remove(&day);
    crowd.end();
}
