//! Looks whether servers still live in the histories in which their shards were installed. A day that is written to finds out by itself;
//! without this a day at rest would stay forgotten until somebody wants it, with its owner's memory as the only copy.
//! Must not know: how a shard is claimed, what is put back.

use std::sync::{Arc, Weak};
use std::time::Duration;

use booking_core::SHARD_COUNT;
use futures_util::future::join_all;

use super::standing::Standing;
use super::topology::{Address, command, field, text};
use super::{CALL_DEADLINE, Shared};
use crate::clock::timeout;
use crate::signal::Signal;

/// From one look to the next: one question to each master.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends the looking.
#[derive(Default)]
pub(super) struct Reigns {
    stopped: Arc<Signal>,
}

impl Reigns {
    pub(super) fn stop(&self) {
        self.stopped.give();
    }
}

/// Looks until the journal is closed or gone.
pub(super) fn start(shared: &Arc<Shared>) {
    let (clock, stopped) = (Arc::clone(&shared.clock), Arc::clone(&shared.reigns.stopped));
    let weak: Weak<Shared> = Arc::downgrade(shared);
    tokio::spawn(async move {
        while timeout(&*clock, PAUSE, stopped.wait()).await.is_none() {
            let Some(shared) = weak.upgrade() else { return };
            look(&shared).await;
        }
    });
}

async fn look(shared: &Shared) {
    // As it is before the servers are asked: what is installed meanwhile is in a history that they may not have told of yet.
    let installed: Vec<(u16, Standing)> =
        (0..SHARD_COUNT).filter_map(|shard| Some((shard, shared.standings.of(shard)?))).collect();
    if installed.is_empty() {
        return;
    }
    let masters = shared.network.masters();
    let reigns = join_all(masters.iter().map(|master| reign_of(shared, master))).await;
    if reigns.iter().any(Option::is_none) {
        // Another one may be in its place by now, and will be asked the next time.
        if let Err(reason) = shared.network.refresh().await {
            tracing::debug!(reason, "servers of the journal do not tell who is primary");
        }
    }
    for (master, reign) in masters.iter().zip(reigns) {
        let Some(reign) = reign else { continue };
        let is_over =
            |(shard, standing): &&(u16, Standing)| *standing.reign != *reign && shared.network.has(master, *shard);
        let over: Vec<(u16, u32)> =
            installed.iter().filter(is_over).map(|(shard, standing)| (*shard, standing.epoch)).collect();
        match shared.standings.lose_together(&over) {
            0 => {}
            shards => {
                tracing::warn!(shards, "a server of the journal has another history: its shards must be claimed again")
            }
        }
    }
}

async fn reign_of(shared: &Shared, master: &Address) -> Option<String> {
    let answer = shared.network.link(master).ask(&command(&["INFO", "replication"]), CALL_DEADLINE).await.ok()?;
    let info = text(&answer)?;
    let reign = field(info, "master_replid")?;
    (field(info, "role")? == "master").then(|| reign.to_owned())
}
