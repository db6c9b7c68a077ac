//! The post office of a town: every channel takes messages, or fails as the test has it, and remembers what it has taken.
//! Must not know: which messages there should be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use booking_core::UtcMillis;
use engine::clock::Clock;
use engine::ledger::people::Channel;
use engine::ledger::registry::Registry;
use engine::ledger::reminders::Kind;
use engine::reminders::{Capacity, Courier, Delivered, Letter, OpenCouriers, Ways};
use engine::testing::{Seam, Seams};
use parking_lot::Mutex;
use uuid::Uuid;

/// How long a call takes.
const CALL: Duration = Duration::from_millis(20);
/// Past it nobody waits for an answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// How a provider is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    /// It is not there.
    Away,
    /// It never answers.
    Stuck,
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// When, by the engine's clock.
    pub at: UtcMillis,
    /// What.
    pub letter: Letter,
}

#[derive(Default)]
struct State {
    moods: BTreeMap<Channel, Mood>,
    taken: Vec<Taken>,
    calls: u64,
}

/// See the module. Clones share everything.
#[derive(Clone, Default)]
pub struct Post {
    channels: Vec<Channel>,
    seams: Arc<Mutex<Arc<Seams>>>,
    state: Arc<Mutex<State>>,
}

impl Post {
    /// With these channels, all well.
    pub fn new(channels: &[Channel]) -> Self {
        Self { channels: channels.to_vec(), ..Self::default() }
    }

    /// A test may come between here.
    pub fn connect(&self, seams: &Arc<Seams>) {
        *self.seams.lock() = Arc::clone(seams);
    }

    /// From now on the channel's provider is like that; `None`: well.
    pub fn set(&self, channel: Channel, mood: Option<Mood>) {
        let moods = &mut self.state.lock().moods;
        match mood {
            Some(mood) => drop(moods.insert(channel, mood)),
            None => drop(moods.remove(&channel)),
        }
    }

    /// Everything that was taken, in order.
    pub fn taken(&self) -> Vec<Taken> {
        self.state.lock().taken.clone()
    }

    /// What was taken of this kind.
    pub fn of_kind(&self, kind: Kind) -> Vec<Taken> {
        self.taken().into_iter().filter(|taken| taken.letter.row.key.kind == kind).collect()
    }

    /// How many were taken, and how many different ones.
    pub fn count(&self) -> (usize, usize) {
        let state = self.state.lock();
        let ids: BTreeSet<Uuid> = state.taken.iter().map(|taken| taken.letter.message_id).collect();
        (state.taken.len(), ids.len())
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }
}

struct Counter {
    channel: Channel,
    post: Post,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Courier for Counter {
    fn channel(&self) -> Channel {
        self.channel
    }

    fn capacity(&self) -> Capacity {
        match self.channel {
            Channel::File => Capacity { batch: 500, calls: 1, deadline: DEADLINE },
            _ => Capacity { batch: 1, calls: 4, deadline: DEADLINE },
        }
    }

    async fn send(&self, letters: &[Letter]) -> Vec<Delivered> {
        let seams = Arc::clone(&*self.post.seams.lock());
        seams.reach(Seam::Checked).await;
        let mood = {
            let mut state = self.post.state.lock();
            state.calls += 1;
            let mood = state.moods.get(&self.channel).copied();
            if mood.is_none() {
                let at = self.clock.now();
                state.taken.extend(letters.iter().map(|letter| Taken { at, letter: letter.clone() }));
            }
            mood
        };
        match mood {
            None => {
                seams.reach(Seam::Taken).await;
                self.clock.sleep(CALL).await;
                vec![Delivered::Sent; letters.len()]
            }
            Some(Mood::Stuck) => std::future::pending().await,
            Some(Mood::Away) => {
                self.clock.sleep(CALL).await;
                vec![Delivered::Away { reason: "nobody is there".to_owned() }; letters.len()]
            }
        }
    }
}

impl OpenCouriers for Post {
    fn open(&self, _: &Arc<dyn Registry>, clock: &Arc<dyn Clock>) -> Result<Ways, String> {
        let counter = |channel: &Channel| {
            Arc::new(Counter { channel: *channel, post: self.clone(), clock: Arc::clone(clock) }) as _
        };
        Ok(Ways { couriers: self.channels.iter().map(counter).collect(), alarms: Vec::new() })
    }
}
