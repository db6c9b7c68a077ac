//! How nodes tell each other that a shard has changed hands, so that they look at the map at once and not at their next look.
//! Must not know: who owns what. A hint says nothing that anybody believes: whoever hears it asks the store of ownership.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::select;

use crate::clock::{Clock, timeout};
use crate::ownership::keeper::Control;
use crate::signal::Signal;

/// The one hint.
pub const HINT: &str = r#"{"type":"shard_moved"}"#;

/// At most one hint in this time from one node, so that many changes at once make few looks.
const REST: Duration = Duration::from_millis(50);
/// Before a connection that ended is made again; meanwhile nodes look as often as they do without hints.
const PAUSE: Duration = Duration::from_secs(1);
/// A connection on which one listens is made anew after so long: it may be dead without telling.
const LISTEN_MAX: Duration = Duration::from_secs(120);

/// A way from every node to every node that may lose what it carries.
#[async_trait]
pub trait HintChannel: Send + Sync + 'static {
    /// Tells everybody; why that failed, in words. Returns within a few seconds.
    async fn tell(&self) -> Result<(), String>;

    /// Calls `heard` at each hint, one's own too, until it hears no more: why.
    async fn listen(&self, heard: &(dyn Fn() + Send + Sync)) -> String;
}

/// Tells whenever the keeper has changed something.
pub(crate) async fn tell(
    channel: Arc<dyn HintChannel>,
    keeper: Arc<Control>,
    clock: Arc<dyn Clock>,
    stop: Arc<Signal>,
) {
    loop {
        select(std::pin::pin!(keeper.changed()), std::pin::pin!(stop.wait())).await;
        // Also at a stop: others are to take over at once.
        if let Err(reason) = channel.tell().await {
            tracing::debug!(reason, "a hint was not told");
        }
        if timeout(&*clock, REST, stop.wait()).await.is_some() {
            return;
        }
    }
}

/// Has the keeper look at each hint.
pub(crate) async fn listen(
    channel: Arc<dyn HintChannel>,
    keeper: Arc<Control>,
    clock: Arc<dyn Clock>,
    stop: Arc<Signal>,
) {
    let heard = || keeper.look();
    while !stop.is_given() {
        let listening = select(channel.listen(&heard), Box::pin(stop.wait()));
        if timeout(&*clock, LISTEN_MAX, listening).await.is_some() {
            let _ = timeout(&*clock, PAUSE, stop.wait()).await;
        }
    }
}
