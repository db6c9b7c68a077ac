//! A panic as a line of the log, so that machines read it where they read everything else.
//! Must not know: who catches it, what becomes of the thread.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};

/// From now on a panic is one event of the log, in the log's format, instead of lines of text on standard error. A trace of the stack goes with it
/// where `RUST_BACKTRACE` asks for one.
pub(super) fn log_them() {
    panic::set_hook(Box::new(log));
}

fn log(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let message = info.payload_as_str().unwrap_or("(no text)");
    let thread = std::thread::current();
    let stack = Backtrace::capture();
    let stack = (stack.status() == BacktraceStatus::Captured).then(|| stack.to_string());
    tracing::error!(
        error = message,
        code.location = location,
        thread.name = thread.name().unwrap_or("(no name)"),
        exception.stacktrace = stack,
        "a thread has panicked"
    );
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::logs::json;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'page> MakeWriter<'page> for Page {
        type Writer = Self;

        fn make_writer(&'page self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_panic_is_one_line_that_says_where() {
        let page = Page::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(page.clone());
        let subscriber = tracing_subscriber::registry().with(layer.event_format(json::Lines).fmt_fields(json::Fields));
        // The hook is the process's: other tests of this process panic only when they fail, and are then told as well.
        let before = panic::take_hook();
        log_them();
        tracing::subscriber::with_default(subscriber, || {
            panic::catch_unwind(|| panic!("planted {}", 7)).expect_err("it panics");
        });
        panic::set_hook(before);
        let text = String::from_utf8(page.0.lock().expect("not poisoned").clone()).expect("text");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
        let [line] = lines.as_slice() else { panic!("one line: {text}") };
        assert_eq!(line["error.message"], "planted 7");
        assert_eq!(line["level"], "ERROR");
        let location = line["code.location"].as_str().expect("a place");
        assert!(location.starts_with("gateway/src/logs/panics.rs:"), "{location}");
        assert_eq!(line["thread.name"], std::thread::current().name().expect("tests have names"));
    }
}
