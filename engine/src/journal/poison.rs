//! Whether an I/O error has made the journal worthless for this process, and who waits to hear of it.
//! Must not know: which store, and what the process does about it.

use std::sync::{Arc, OnceLock};

use crate::signal::Signal;

/// A shared mark that is set once and never taken back. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct Poison {
    mark: Arc<Mark>,
}

#[derive(Default, Debug)]
struct Mark {
    reason: OnceLock<String>,
    is_set: Signal,
}

impl Poison {
    /// Sets the mark; the first reason stays. Returns the reason that counts.
    pub fn set(&self, reason: String) -> String {
        let counts = self.mark.reason.get_or_init(|| {
            tracing::error!(%reason, "the journal is poisoned; the process must end");
            reason
        });
        self.mark.is_set.give();
        counts.clone()
    }

    /// Why, if the mark is set.
    pub fn reason(&self) -> Option<String> {
        self.mark.reason.get().cloned()
    }

    /// Becomes ready with the reason once the mark is set.
    pub async fn wait(&self) -> String {
        self.mark.is_set.wait().await;
        // A mark has its reason before it is set.
        self.reason().unwrap_or_default()
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
