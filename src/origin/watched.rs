//! A value that threads and tasks can wait on: tests block on it, the origin's tasks await it.
//!
//! A blocked wait is bounded: a promise that is never kept fails the test with the value in the
//! message instead of hanging it.

use std::fmt::Debug;
use std::sync::{Condvar, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::sync::Mutex;

/// The most a wait takes before it panics: far above what a loaded machine needs.
const BOUND: Duration = Duration::from_secs(30);

/// A value with its waiters.
#[derive(Debug)]
pub(super) struct Watched<T> {
    /// What is watched.
    value: Mutex<T>,
    /// Where threads wait.
    threads: Condvar,
    /// Where tasks wait.
    tasks: Notify,
}

impl<T: Debug> Watched<T> {
    /// Watches `value`.
    pub(super) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), threads: Condvar::new(), tasks: Notify::new() }
    }

    /// Changes the value and lets every waiter look again.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.value.lock());
        self.threads.notify_all();
        self.tasks.notify_waiters();
        result
    }

    /// Looks at the value.
    pub(super) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock())
    }

    /// Blocks until `look` gives something. `look` may take what it finds.
    ///
    /// # Panics
    ///
    /// After 30 s, with `what` and the value.
    #[track_caller]
    pub(super) fn wait<R>(&self, what: &str, mut look: impl FnMut(&mut T) -> Option<R>) -> R {
        let deadline = Instant::now() + BOUND;
        let mut value = self.value.lock();
        loop {
            if let Some(found) = look(&mut value) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited {BOUND:?} in vain for {what}; last seen: {value:#?}");
            let woken = self.threads.wait_timeout(value, left);
            value = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until `look` gives something, without a bound.
    pub(super) async fn until<R>(&self, mut look: impl FnMut(&mut T) -> Option<R>) -> R {
        loop {
            let mut changed = std::pin::pin!(self.tasks.notified());
            // Enlisted before the look: a change after it finds us here.
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.value.lock()) {
                return found;
            }
            changed.await;
        }
    }

    /// `until` with the bound of `wait`; needs a tokio runtime with a timer.
    pub(super) async fn until_bounded<R>(
        &self,
        what: &str,
        look: impl FnMut(&mut T) -> Option<R>,
    ) -> R {
        match tokio::time::timeout(BOUND, self.until(look)).await {
            Ok(found) => found,
            Err(_) => self
                .read(|value| panic!("waited {BOUND:?} in vain for {what}; last seen: {value:#?}")),
        }
    }
}
