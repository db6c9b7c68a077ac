//! How the nodes of a test reach each other: directly, with whatever goes wrong on the way as it was planned or diced.
//! Must not know: what is asked.

use std::collections::{HashMap, HashSet, VecDeque};

use async_trait::async_trait;
use engine::EngineHandle;
use engine::ownership::PeerTransport;
use parking_lot::Mutex;

/// What happens to one question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mishap {
    /// It does not arrive.
    Lost,
    /// It arrives, and the answer does not.
    Unanswered,
    /// It arrives twice; the second answer counts.
    Twice,
    /// It arrives after so many other tasks had their turn.
    Late(u32),
    /// The asker hears that it is lost, and it arrives after so many other tasks had their turn.
    Ghost(u32),
}

/// See the module.
#[derive(Default)]
pub struct Wire {
    nodes: Mutex<HashMap<String, EngineHandle>>,
    cut: Mutex<HashSet<String>>,
    planned: Mutex<VecDeque<Option<Mishap>>>,
    dice: Mutex<Option<Dice>>,
    asked: Mutex<usize>,
}

/// A small generator of the tests (xorshift64*, Vigna 2016).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn mishap(&mut self) -> Option<Mishap> {
        let turns = self.below(30) as u32;
        match self.below(10) {
            0 => Some(Mishap::Lost),
            1 => Some(Mishap::Unanswered),
            2 => Some(Mishap::Twice),
            3 => Some(Mishap::Ghost(turns)),
            4..=6 => Some(Mishap::Late(turns)),
            _ => None,
        }
    }
}

impl Wire {
    pub fn connect(&self, address: &str, node: EngineHandle) {
        self.nodes.lock().insert(address.to_owned(), node);
    }

    /// From now on nobody reaches the node at `address`.
    pub fn cut(&self, address: &str) {
        self.cut.lock().insert(address.to_owned());
    }

    /// And again everybody does.
    pub fn mend(&self, address: &str) {
        self.cut.lock().remove(address);
    }

    /// The next question without a plan has this one.
    pub fn plan(&self, mishap: Option<Mishap>) {
        self.planned.lock().push_back(mishap);
    }

    /// What is not planned is diced from now on, or goes well.
    pub fn dice(&self, dice: Option<Dice>) {
        *self.dice.lock() = dice;
    }

    /// How many questions were asked.
    pub fn asked(&self) -> usize {
        *self.asked.lock()
    }
}

async fn turns(count: u32) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl PeerTransport for Wire {
    async fn ask(&self, address: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
        *self.asked.lock() += 1;
        let planned = self.planned.lock().pop_front();
        let mishap = planned.unwrap_or_else(|| self.dice.lock().as_mut().and_then(Dice::mishap));
        let node = self.nodes.lock().get(address).cloned().filter(|_| !self.cut.lock().contains(address));
        let Some(node) = node else { return Err("no route".to_owned()) };
        match mishap {
            None => Ok(node.answer_peer(&body).await),
            Some(Mishap::Lost) => Err("lost".to_owned()),
            Some(Mishap::Unanswered) => {
                drop(node.answer_peer(&body).await);
                Err("the answer is lost".to_owned())
            }
            Some(Mishap::Twice) => {
                let (_, second) = tokio::join!(node.answer_peer(&body), node.answer_peer(&body));
                Ok(second)
            }
            Some(Mishap::Late(count)) => {
                turns(count).await;
                Ok(node.answer_peer(&body).await)
            }
            Some(Mishap::Ghost(count)) => {
                drop(tokio::spawn(async move {
                    turns(count).await;
                    drop(node.answer_peer(&body).await);
                }));
                Err("lost, as it seems".to_owned())
            }
        }
    }
}
