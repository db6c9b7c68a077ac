//! Something that happens once and stays so: a stop, the end of a turn, the failure of a disk.
//! Must not know: what it is.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// See the module. Whoever waits is woken in the order of waiting: a channel that spreads its waiters at random would make two runs of
/// one simulation differ.
#[derive(Default, Debug)]
pub struct Signal {
    is_given: AtomicBool,
    waiting: Notify,
}

impl Signal {
    /// It has happened.
    pub fn give(&self) {
        self.is_given.store(true, Ordering::Release);
        self.waiting.notify_waiters();
    }

    /// Whether it has happened.
    pub fn is_given(&self) -> bool {
        self.is_given.load(Ordering::Acquire)
    }

    /// Becomes ready when it has happened.
    pub async fn wait(&self) {
        let mut given = std::pin::pin!(self.waiting.notified());
        // Entered among those who wait before the look, so that it cannot happen unseen in between.
        given.as_mut().enable();
        if !self.is_given() {
            given.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn it_wakes_whoever_waits_and_whoever_comes_later() {
        let signal = Signal::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = std::pin::pin!(signal.wait());
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
        assert!(!signal.is_given());
        signal.give();
        assert_eq!(waiting.poll(&mut context), Poll::Ready(()));
        assert_eq!(std::pin::pin!(signal.wait()).poll(&mut context), Poll::Ready(()));
    }
}
