//! Whether an I/O error has made the journal worthless for this process, and who waits to hear of it.
//! Must not know: which store, and what the process does about it.

use std::sync::Arc;

use tokio::sync::watch;

/// A shared mark that is set once and never taken back. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Poison {
    reason: Arc<watch::Sender<Option<String>>>,
}

impl Default for Poison {
    fn default() -> Self {
        Self { reason: Arc::new(watch::Sender::new(None)) }
    }
}

impl Poison {
    /// Sets the mark; the first reason stays. Returns the reason that counts.
    pub fn set(&self, reason: String) -> String {
        self.reason.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                tracing::error!(%reason, "the journal is poisoned; the process must end");
                *current = Some(reason.clone());
            }
            first
        });
        self.reason().unwrap_or(reason)
    }

    /// Why, if the mark is set.
    pub fn reason(&self) -> Option<String> {
        self.reason.borrow().clone()
    }

    /// Becomes ready with the reason once the mark is set.
    pub async fn wait(&self) -> String {
        let mut receiver = self.reason.subscribe();
        // `self` holds the sender, so the wait ends with a reason only.
        let found = receiver.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match found {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays_and_wakes_who_waits() {
        let poison = Poison::default();
        assert_eq!(poison.reason(), None);
        let waiter = tokio::spawn({
            let poison = poison.clone();
            async move { poison.wait().await }
        });
        assert_eq!(poison.set("first".into()), "first");
        assert_eq!(poison.set("second".into()), "first");
        assert_eq!(waiter.await.expect("the waiter ends"), "first");
    }
}
