//! Kills the process at a crash point, for black-box tests of the real program.
//! Must not know: which points there are, what stands before and after them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::points::Point;

/// `<name of a point>:<n>`: the process dies at the n-th passing, counted from 1.
const CRASH_AT: &str = "HOTSLOT_TEST_CRASH_AT";
/// A file that is to hold what `HOTSLOT_TEST_CRASH_AT` says, written before the process dies: so nobody takes another death for this.
const MARKER: &str = "HOTSLOT_TEST_CRASH_MARKER";

/// Where this process is to die.
struct Armed {
    point: Point,
    passing: u64,
    passed: AtomicU64,
}

impl Armed {
    /// From the environment. A wrong setting panics: the first point is passed while the program starts.
    fn from_environment() -> Option<Self> {
        let text = std::env::var(CRASH_AT).ok()?;
        let parse = || {
            let (name, passing) = text.split_once(':')?;
            let passing = passing.parse().ok().filter(|passing| *passing > 0)?;
            Some(Self { point: Point::of_name(name)?, passing, passed: AtomicU64::new(0) })
        };
        Some(
            parse()
                .unwrap_or_else(|| panic!("{CRASH_AT}: {text:?} is not a point's name, a colon and a number from 1")),
        )
    }
}

/// Passes `point`: ends the process, as `kill -9` would, if it is armed for this passing. Nothing is unwound or flushed.
pub fn pass(point: Point) {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    let Some(armed) = ARMED.get_or_init(Armed::from_environment) else { return };
    if armed.point == point && armed.passed.fetch_add(1, Ordering::Relaxed) + 1 == armed.passing {
        die(armed);
    }
}

fn die(armed: &Armed) -> ! {
    if let Some(marker) = std::env::var_os(MARKER) {
        // Without the marker the test fails, and its log says why.
        if let Err(error) = std::fs::write(&marker, format!("{}:{}", armed.point.name(), armed.passing)) {
            tracing::error!(%error, "the crash point's marker cannot be written");
        }
    }
    let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    tracing::debug!(?killed, "the process still runs");
    // The signal ends every thread; until then this one does nothing more.
    loop {
        std::thread::park();
    }
}
