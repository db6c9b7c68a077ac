//! Tells a person who waits for something long how far it has come: a line in the log each second, or what the program shows instead.
//! Must not know: terminals, what is waited for.

use std::sync::OnceLock;

use crate::clock::Stopwatch;

/// How often a line is written, in seconds.
const LINE_SECONDS: f64 = 1.0;

/// Shows what is waited for, in place of lines in the log.
pub trait Watcher: Send + Sync + 'static {
    /// Something has begun that takes `total` steps, if that is known. `None`: lines are wanted after all.
    fn begin(&self, what: &'static str, total: Option<u64>) -> Option<Box<dyn Shown>>;
}

/// Something long that is shown until it is dropped.
pub trait Shown: Send {
    /// So many steps are done, of `total`.
    fn at(&mut self, done: u64, total: Option<u64>);
}

static WATCHER: OnceLock<Box<dyn Watcher>> = OnceLock::new();

/// Has everything long of this process shown by `watcher`. The first one stays.
pub fn watch_with(watcher: Box<dyn Watcher>) {
    // A second program in one process is a test: it can do with the first one's.
    let _ = WATCHER.set(watcher);
}

/// Something long under way; it has ended when this is dropped.
#[must_use]
pub struct Waiting {
    what: &'static str,
    told: Stopwatch,
    shown: Option<Box<dyn Shown>>,
}

impl Waiting {
    /// `what` begins, in words such as `bringing the ledger up to date`.
    pub fn begin(what: &'static str, total: Option<u64>) -> Self {
        let shown = WATCHER.get().and_then(|watcher| watcher.begin(what, total));
        Self { what, told: Stopwatch::start(), shown }
    }

    /// So many steps are done, of `total`, which may have grown.
    pub fn at(&mut self, done: u64, total: Option<u64>) {
        if let Some(shown) = &mut self.shown {
            shown.at(done, total);
        } else if self.told.seconds() >= LINE_SECONDS {
            self.told = Stopwatch::start();
            let what = self.what;
            tracing::info!(done, of = total, "{what}");
        }
    }
}
