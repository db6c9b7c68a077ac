//! The terminal while a view is shown: taken, drawn on, and given back as it was, however the view ends.
//! Must not know: what is shown.

use std::io;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How soon a key, a signal or new figures are noticed.
const LOOK: Duration = Duration::from_millis(50);

/// Gives the terminal back when it is dropped. (A panic does so too: `try_init` has set a hook.)
struct Taken;

impl Drop for Taken {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Draws what `seen` has, whenever it changes, until somebody wants to leave.
pub(super) fn show<T>(
    runtime: &Runtime,
    mut seen: watch::Receiver<T>,
    draw: impl Fn(&mut Frame<'_>, &T),
) -> io::Result<()> {
    let stop = stop_signals(runtime)?;
    let taken = Taken;
    let mut terminal = ratatui::try_init()?;
    let mut is_stale = true;
    while !*stop.borrow() {
        if seen.has_changed().unwrap_or(false) || is_stale {
            terminal.draw(|frame| draw(frame, &seen.borrow_and_update()))?;
        }
        is_stale = false;
        if event::poll(LOOK)? {
            match event::read()? {
                Event::Key(key) if leaves(key) => break,
                Event::Resize(..) => is_stale = true,
                _ => {}
            }
        }
    }
    drop(taken);
    Ok(())
}

/// True once the process is asked to end from outside; in raw mode Ctrl-C is a key like any other.
fn stop_signals(runtime: &Runtime) -> io::Result<watch::Receiver<bool>> {
    let _entered = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(false);
    runtime.spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
    });
    Ok(stopped)
}

fn leaves(key: KeyEvent) -> bool {
    let is_pressed = key.kind != KeyEventKind::Release;
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    is_pressed && (is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_escape_and_an_interrupt_leave_and_nothing_else_does() {
        let key = |code, modifiers| leaves(KeyEvent::new(code, modifiers));
        assert!(key(KeyCode::Char('q'), KeyModifiers::NONE) && key(KeyCode::Esc, KeyModifiers::NONE));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::NONE) && !key(KeyCode::Enter, KeyModifiers::NONE));
    }
}
