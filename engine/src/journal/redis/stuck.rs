//! What one server of a cluster does not answer for: its shards stand still, and those of the others go on.
//! Must not know: who waits for an outcome, who is told.
//!
//! An append whose server does not answer is *stuck*: nobody knows its outcome. Nothing more is written to its shard, and nothing of it
//! is read, until a barrier has been raised there (`protocols.md` rule 5); so whoever asks is refused at once, and nobody waits for that
//! server but this one task, which asks it once in a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::{Either, select};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::append::Sent;
use super::{Shared, settle};
use crate::clock::timeout;
use crate::signal::Signal;

/// Between two tries with a server that does not answer.
const PAUSE: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Default)]
pub(super) struct Stuck {
    /// Each shard had one batch on its way when its server went silent.
    shards: Mutex<BTreeMap<u16, Vec<Sent>>>,
    /// There is something to do.
    found: Notify,
    stopped: Arc<Signal>,
}

impl Stuck {
    /// Whether the outcome of an append to `shard` is owed.
    pub(super) fn has(&self, shard: u16) -> bool {
        self.shards.lock().contains_key(&shard)
    }

    /// All such shards; nearly always none.
    pub(super) fn shards(&self) -> Vec<u16> {
        self.shards.lock().keys().copied().collect()
    }

    /// Nobody knows what became of `sent`.
    pub(super) fn add(&self, sent: impl IntoIterator<Item = Sent>) {
        let mut shards = self.shards.lock();
        for sent in sent {
            shards.entry(sent.append.day.shard()).or_default().push(sent);
        }
        if !shards.is_empty() {
            self.found.notify_one();
        }
    }

    /// All of it, by shard.
    pub(super) fn all(&self) -> BTreeMap<u16, Vec<Sent>> {
        self.shards.lock().clone()
    }

    /// `shard` is settled.
    pub(super) fn remove(&self, shard: u16) {
        self.shards.lock().remove(&shard);
    }

    pub(super) fn stop(&self) {
        self.stopped.give();
    }

    fn is_empty(&self) -> bool {
        self.shards.lock().is_empty()
    }
}

/// Asks silent servers and settles what they owe, until the journal is closed or gone.
pub(super) fn start(shared: &Arc<Shared>) {
    let stopped = Arc::clone(&shared.stuck.stopped);
    let weak = Arc::downgrade(shared);
    tokio::spawn(async move {
        let (work, stop) = (std::pin::pin!(run(weak)), std::pin::pin!(stopped.wait()));
        // Nothing here has to be ended: a barrier that was sent and not heard is raised again.
        match select(work, stop).await {
            Either::Left(_) | Either::Right(_) => {}
        }
    });
}

async fn run(shared: Weak<Shared>) {
    loop {
        let Some(shared) = shared.upgrade() else { return };
        if shared.stuck.is_empty() && !shared.network.has_silent() {
            // In bounded portions, so that a journal that is gone is noticed.
            let _ = timeout(&*shared.clock, PAUSE * 4, shared.stuck.found.notified()).await;
            continue;
        }
        shared.network.ask_silent().await;
        settle::settle_stuck(&shared).await;
        shared.clock.sleep(PAUSE).await;
    }
}
