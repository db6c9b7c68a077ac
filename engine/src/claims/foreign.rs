//! Claims of other days that stood in the way in the shared store: what is known of them here, and who waits to know more.
//! Must not know: how they are asked about, days of this process (the index beside this knows them).
//!
//! That a visit of another node is live is known as of the moment at which its day was asked. Who came later may not be refused by it: the
//! patient may have cancelled since. Such a caller waits until the day has been asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use booking_core::{Busy, DayKey, RequestKey};
use foldhash::HashMap;
use parking_lot::Mutex;
use uuid::Uuid;

use super::guard::{Blocker, exclude};
use super::{Visit, Waiter, enter};

/// Most claims that are remembered: each answers for a request that was admitted. Beyond it one is forgotten, and met again.
const KNOWN_MAX: usize = 100_000;

/// How long an answer is kept. Only memory depends on it.
const KEPT_MICROS: u64 = 5_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its day is being asked.
    Asked,
    /// It stood when its day was asked at this instant, on the monotonic scale.
    Stood { asked_micros: u64 },
}

struct Known {
    blocker: Blocker,
    state: State,
}

#[derive(Default)]
struct Table {
    known: HashMap<Uuid, Known>,
    waiting: Vec<Arc<dyn Waiter>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Foreign {
    count: AtomicUsize,
    table: Mutex<Table>,
}

/// What stands in the way of a wish.
#[derive(Debug)]
pub enum ForeignAnswer {
    /// Nothing that is known.
    Clear,
    /// The patient is elsewhere at that time.
    Busy(Vec<Busy>),
    /// The key has won on another day.
    KeyElsewhere,
    /// It is being asked about; the waiter is entered. These must be asked about first.
    Asked(Vec<Blocker>),
}

impl Foreign {
    /// Whether anything stands in the way of `visit` and `key` on `day`, for a request that was queued at `queued_micros`.
    pub(super) fn look(
        &self,
        day: DayKey,
        visit: Option<&Visit>,
        key: Option<&RequestKey>,
        queued_micros: u64,
        waiter: &Arc<dyn Waiter>,
    ) -> ForeignAnswer {
        if self.count.load(Ordering::Acquire) == 0 {
            return ForeignAnswer::Clear;
        }
        let mut table = self.table.lock();
        let Table { known, waiting } = &mut *table;
        let (mut busy, mut again, mut is_asked, mut is_elsewhere) = (Vec::new(), Vec::new(), false, false);
        for known in known.values_mut().filter(|known| stands_in_the_way(&known.blocker, day, visit, key)) {
            match (known.state, &known.blocker) {
                (State::Asked, _) => is_asked = true,
                (State::Stood { .. }, Blocker::Key { .. }) => is_elsewhere = true,
                (State::Stood { asked_micros }, Blocker::Visit { visit, .. }) if queued_micros <= asked_micros => {
                    busy.push(Busy { appointment: visit.appointment, start: visit.start, end: visit.end });
                }
                (State::Stood { .. }, Blocker::Visit { .. }) => {
                    known.state = State::Asked;
                    again.push(known.blocker.clone());
                }
            }
        }
        if !again.is_empty() || (is_asked && busy.is_empty()) {
            enter(waiting, waiter);
            return ForeignAnswer::Asked(again);
        }
        match (busy.is_empty(), is_elsewhere) {
            (false, _) => ForeignAnswer::Busy(busy),
            (true, true) => ForeignAnswer::KeyElsewhere,
            (true, false) => ForeignAnswer::Clear,
        }
    }

    /// `blocker` is met and must be asked about; false if that is under way.
    pub(super) fn met(&self, blocker: &Blocker) -> bool {
        let mut table = self.table.lock();
        if table.known.get(&blocker.id()).is_some_and(|known| known.state == State::Asked) {
            return false;
        }
        if table.known.len() >= KNOWN_MAX
            && let Some(one) = table.known.keys().next().copied()
        {
            table.known.remove(&one);
        }
        table.known.insert(blocker.id(), Known { blocker: blocker.clone(), state: State::Asked });
        self.count.store(table.known.len(), Ordering::Release);
        true
    }

    /// `blocker` stood when its day was asked at `asked_micros`.
    pub(super) fn stood(&self, blocker: &Blocker, asked_micros: u64) {
        self.change(|known| {
            known.insert(blocker.id(), Known { blocker: blocker.clone(), state: State::Stood { asked_micros } });
        });
    }

    /// Nothing is known of the claim any more.
    pub(super) fn forget(&self, id: Uuid) {
        self.change(|known| {
            known.remove(&id);
        });
    }

    /// Forgets answers that are old at `now_micros`.
    pub(super) fn sweep(&self, now_micros: u64) {
        let is_fresh = |known: &Known| match known.state {
            State::Asked => true,
            State::Stood { asked_micros } => now_micros < asked_micros + KEPT_MICROS,
        };
        let mut table = self.table.lock();
        table.known.retain(|_, known| is_fresh(known));
        self.count.store(table.known.len(), Ordering::Release);
    }

    /// Changes what is known, and tells everybody who waits.
    fn change(&self, change: impl FnOnce(&mut HashMap<Uuid, Known>)) {
        let waiting = {
            let mut table = self.table.lock();
            change(&mut table.known);
            self.count.store(table.known.len(), Ordering::Release);
            std::mem::take(&mut table.waiting)
        };
        waiting.iter().for_each(|waiter| waiter.settled());
    }
}

fn stands_in_the_way(blocker: &Blocker, day: DayKey, visit: Option<&Visit>, key: Option<&RequestKey>) -> bool {
    match blocker {
        Blocker::Visit { day: other, visit: there, .. } => visit.is_some_and(|here| exclude(day, here, *other, there)),
        Blocker::Key { day: other, key: there, .. } => {
            *other != day && key.is_some_and(|key| (key.subject, &key.key) == (there.subject, &there.key))
        }
    }
}
