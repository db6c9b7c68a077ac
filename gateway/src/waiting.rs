//! Progress bars for a person at a terminal, on standard error: standard output belongs to programs.
//! Must not know: what is waited for.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use engine::waiting::{Shown, Watcher, watch_with};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

/// How often what has no known end turns.
const TURN: Duration = Duration::from_millis(120);
/// Redrawings a second.
const REDRAWS: u8 = 10;

/// The bar on the terminal now: lines of the log go above it.
static ON_SCREEN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// From now on whatever takes long is shown as a bar, if standard error is a terminal; otherwise it stays lines in the log.
pub(crate) fn show_bars() {
    if io::stderr().is_terminal() {
        watch_with(Box::new(Bars));
    }
}

/// Standard error as the log writes to it.
pub(crate) fn log_writer() -> LogWriter {
    LogWriter
}

/// See [`log_writer`].
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &*ON_SCREEN.lock() {
            Some(bar) => bar.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

struct Bars;

impl Watcher for Bars {
    fn begin(&self, what: &'static str, total: Option<u64>) -> Option<Box<dyn Shown>> {
        let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
        let bar = ProgressBar::with_draw_target(total, target).with_message(what).with_style(style(total.is_some()));
        if total.is_none() {
            bar.enable_steady_tick(TURN);
        }
        let mut on_screen = ON_SCREEN.lock();
        // Two things at once: the second one is not worth a second line.
        if on_screen.is_some() {
            bar.finish_and_clear();
            return Some(Box::new(Unseen));
        }
        *on_screen = Some(bar.clone());
        Some(Box::new(Bar { bar }))
    }
}

fn style(has_end: bool) -> ProgressStyle {
    let template =
        if has_end { "{msg} [{bar:30}] {human_pos}/{human_len}, {eta} to go" } else { "{spinner} {msg}, {elapsed}" };
    // The test draws both; a style without our template would still be one.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

struct Bar {
    bar: ProgressBar,
}

impl Shown for Bar {
    fn at(&mut self, done: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        ON_SCREEN.lock().take();
        self.bar.finish_and_clear();
    }
}

/// Something that is not shown while something else is.
struct Unseen;

impl Shown for Unseen {
    fn at(&mut self, _done: u64, _total: Option<u64>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_templates_are_good() {
        for template in ["{msg} [{bar:30}] {human_pos}/{human_len}, {eta} to go", "{spinner} {msg}, {elapsed}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn one_bar_at_a_time_and_its_line_is_free_again_when_it_ends() {
        let first = Bars.begin("first", Some(3)).expect("shown");
        assert!(ON_SCREEN.lock().is_some());
        let mut second = Bars.begin("second", None).expect("shown");
        second.at(1, None);
        drop(second);
        assert!(ON_SCREEN.lock().is_some(), "the first one is still there");
        drop(first);
        assert!(ON_SCREEN.lock().is_none());
    }
}
