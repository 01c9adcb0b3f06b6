//! A waker that counts, for tests that poll by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// How often it was woken.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// Count.
    count: Mutex<u64>,
    /// Told of each wake.
    woken: Condvar,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        *self.count.lock().expect("no panic under the lock") += 1;
        self.woken.notify_all();
    }
}

impl Wakes {
    /// A counter that was never woken.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A waker that counts here.
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Wakes so far.
    pub(crate) fn count(&self) -> u64 {
        *self.count.lock().expect("no panic under the lock")
    }

    /// Blocks until it was woken `count` times in all; fails the test after 30 s.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: u64) {
        let now = self.count.lock().expect("no panic under the lock");
        let bound = Duration::from_secs(30);
        let waited = self.woken.wait_timeout_while(now, bound, |now| *now < count);
        let (now, timeout) = waited.expect("no panic under the lock");
        assert!(!timeout.timed_out(), "woken {} times, not {count}", *now);
    }

    /// Polls once.
    pub(crate) fn poll<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker()))
    }
}
