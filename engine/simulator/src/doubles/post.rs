//! The post office: takes messages by every channel that it is told to have, remembers them, and fails as the scenario
//! has it; and tells an operator.
//! Must not know: which messages are right.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::clock::Clock;
use engine::ledger::people::Channel;
use engine::ledger::registry::Registry;
use engine::reminders::{Alarm, Alert, Capacity, Courier, Delivered, Letter, OpenCouriers, Ways};
use parking_lot::Mutex;

use crate::kernel::{Kernel, OUTSIDE};
use crate::node::Node;

/// How long a call takes when all is well, in microseconds.
const CALL_MICROS: u64 = 20_000;
/// How long an alert may take.
const ALERT_MAX: Duration = Duration::from_secs(10);
/// How long a process is away that dies over a call.
const AWAY_MICROS: u64 = 300_000;

/// How a channel's provider is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    /// It takes everything.
    Well,
    /// It is not there.
    Away,
    /// It never answers.
    Stuck,
    /// It takes nothing, ever.
    Refusing,
    /// It takes the messages of one call and does not say so; after that it is well.
    SilentOnce,
    /// The process dies before the next call does anything; after that it is well.
    CrashBefore,
    /// The process dies when the next call has been taken, and nobody has recorded it; after that it is well.
    CrashAfter,
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// When, in virtual microseconds.
    pub at_micros: u64,
    /// When, on the machine's engine clock.
    pub at: booking_core::UtcMillis,
    /// The message.
    pub letter: Letter,
}

/// An alert that reached an operator.
#[derive(Clone, Debug)]
pub struct Rung {
    /// When, in virtual microseconds.
    pub at_micros: u64,
    /// By which channel.
    pub channel: Channel,
    /// The alert.
    pub alert: Alert,
}

#[derive(Default)]
struct State {
    moods: BTreeMap<Channel, Mood>,
    moods_of_alarms: BTreeMap<Channel, Mood>,
    taken: Vec<Taken>,
    rung: Vec<Rung>,
    calls: u64,
    machine: Option<(Kernel, Node)>,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Post {
    channels: Arc<[Channel]>,
    alarms: Arc<[Channel]>,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Post {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Post").field("channels", &self.channels).finish_non_exhaustive()
    }
}

impl Post {
    /// With these channels, all well.
    pub fn new(channels: &[Channel]) -> Self {
        Self { channels: channels.into(), alarms: Arc::default(), state: Arc::default() }
    }

    /// With these ways to an operator, in this order.
    pub fn with_alarms(self, alarms: &[Channel]) -> Self {
        Self { alarms: alarms.into(), ..self }
    }

    /// On this machine.
    pub fn connect(&self, kernel: &Kernel, node: &Node) {
        self.state.lock().machine = Some((kernel.clone(), node.clone()));
    }

    /// From now on the channel's provider is like that.
    pub fn set(&self, channel: Channel, mood: Mood) {
        self.state.lock().moods.insert(channel, mood);
    }

    /// From now on the operator's channel is like that: well, away, or stuck.
    pub fn set_alarm(&self, channel: Channel, mood: Mood) {
        self.state.lock().moods_of_alarms.insert(channel, mood);
    }

    /// Every alert that reached an operator, in order.
    pub fn rung(&self) -> Vec<Rung> {
        self.state.lock().rung.clone()
    }

    /// Everything that was taken, in order.
    pub fn taken(&self) -> Vec<Taken> {
        self.state.lock().taken.clone()
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    fn machine(&self) -> (Kernel, Node) {
        self.state.lock().machine.clone().expect("the post office is connected before the process starts")
    }

    /// The mood that the next call meets.
    fn mood(&self, channel: Channel) -> Mood {
        let mut state = self.state.lock();
        state.calls += 1;
        let mood = state.moods.get(&channel).copied().unwrap_or(Mood::Well);
        if matches!(mood, Mood::SilentOnce | Mood::CrashBefore | Mood::CrashAfter) {
            state.moods.insert(channel, Mood::Well);
        }
        mood
    }

    fn take(&self, kernel: &Kernel, node: &Node, letters: &[Letter]) {
        let (at_micros, at) = (kernel.now_micros(), node.now());
        let taken = letters.iter().map(|letter| Taken { at_micros, at, letter: letter.clone() });
        self.state.lock().taken.extend(taken);
    }
}

/// The process dies as soon as whatever it does now is done.
fn kill(kernel: &Kernel, node: &Node) {
    let node = node.clone();
    let (dies, starts) = (kernel.now_micros(), kernel.now_micros() + AWAY_MICROS);
    let again = node.clone();
    kernel.call_at(OUTSIDE, dies, move || node.kill(false));
    kernel.call_at(OUTSIDE, starts, move || again.start());
}

struct Counter {
    channel: Channel,
    post: Post,
}

#[async_trait]
impl Courier for Counter {
    fn channel(&self) -> Channel {
        self.channel
    }

    fn capacity(&self) -> Capacity {
        let deadline = Duration::from_secs(5);
        match self.channel {
            Channel::File => Capacity { batch: 500, calls: 1, deadline },
            _ => Capacity { batch: 1, calls: 4, deadline },
        }
    }

    async fn send(&self, letters: &[Letter]) -> Vec<Delivered> {
        let (kernel, node) = self.post.machine();
        let all = |delivered: Delivered| vec![delivered; letters.len()];
        let mood = self.post.mood(self.channel);
        match mood {
            Mood::Stuck => std::future::pending().await,
            Mood::CrashBefore => {
                kill(&kernel, &node);
                std::future::pending().await
            }
            Mood::CrashAfter => {
                self.post.take(&kernel, &node, letters);
                kill(&kernel, &node);
                std::future::pending().await
            }
            Mood::SilentOnce => {
                self.post.take(&kernel, &node, letters);
                std::future::pending().await
            }
            Mood::Well | Mood::Away | Mood::Refusing => {}
        }
        // Taken when the call arrives, so that nothing which happens while it is answered can be held against it.
        if mood == Mood::Well {
            self.post.take(&kernel, &node, letters);
        }
        kernel.sleep(OUTSIDE, CALL_MICROS).await;
        match mood {
            Mood::Away => all(Delivered::Away { reason: "nobody is there".to_owned() }),
            Mood::Refusing => all(Delivered::Refused { reason: "no such address".to_owned() }),
            _ => all(Delivered::Sent),
        }
    }
}

struct Bell {
    channel: Channel,
    post: Post,
}

#[async_trait]
impl Alarm for Bell {
    fn channel(&self) -> Channel {
        self.channel
    }

    fn deadline(&self) -> Duration {
        ALERT_MAX
    }

    async fn ring(&self, alert: &Alert) -> Result<(), String> {
        let (kernel, _) = self.post.machine();
        let mood = self.post.state.lock().moods_of_alarms.get(&self.channel).copied().unwrap_or(Mood::Well);
        kernel.sleep(OUTSIDE, CALL_MICROS).await;
        match mood {
            Mood::Well => {
                let rung = Rung { at_micros: kernel.now_micros(), channel: self.channel, alert: alert.clone() };
                self.post.state.lock().rung.push(rung);
                Ok(())
            }
            Mood::Stuck => std::future::pending().await,
            _ => Err("nobody is there".to_owned()),
        }
    }
}

impl OpenCouriers for Post {
    fn open(&self, _: &Arc<dyn Registry>, _: &Arc<dyn Clock>) -> Result<Ways, String> {
        let counter = |channel: &Channel| Arc::new(Counter { channel: *channel, post: self.clone() }) as _;
        let bell = |channel: &Channel| Arc::new(Bell { channel: *channel, post: self.clone() }) as _;
        Ok(Ways {
            couriers: self.channels.iter().map(counter).collect(),
            alarms: self.alarms.iter().map(bell).collect(),
        })
    }
}
