//! The one door to locks and atomics.
//!
//! Everything that waits or wakes takes them from here, so that the same source also compiles
//! against loom's models (`tests/loom_wake.rs` includes it with a `sync` module of its own).

pub(crate) use std::sync::Arc;
pub(crate) use std::sync::MutexGuard;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use std::sync::PoisonError;

/// A mutex without poison: what it guards is kept consistent by small critical sections that do
/// not panic, and a panic elsewhere must not take the readers down with it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex around `value`.
    pub(crate) fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits for the lock. Never held across `.await` or file I/O.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        #[cfg(test)]
        count();
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
std::thread_local! {
    static TAKEN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Notes that this thread takes a lock, or does what may take one elsewhere.
#[cfg(test)]
pub(crate) fn count() {
    TAKEN.set(TAKEN.get() + 1);
}

/// How many locks this thread has taken.
#[cfg(test)]
#[cfg_attr(not(feature = "origin"), expect(dead_code, reason = "asked where there is an origin"))]
pub(crate) fn counted() -> u64 {
    TAKEN.get()
}

/// Runs `check`, whose locks do not count.
#[cfg(test)]
pub(crate) fn uncounted<T>(check: impl FnOnce() -> T) -> T {
    let before = TAKEN.get();
    let result = check();
    TAKEN.set(before);
    result
}

/// A condition variable for a [`Mutex`] of this module, without poison for the same reason.
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    /// A condition variable that nobody waits on.
    pub(crate) fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    /// Gives the lock back, sleeps until notified (or for no reason at all), and takes it again.
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes one of those who wait.
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all who wait.
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Wakes the thread that waits in [`block_on`]. A condition variable and not `park`: a park token
/// belongs to the thread's owner, who may be waiting for one of their own.
#[derive(Default)]
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn wait(&self) {
        let mut woken = self.woken.lock();
        while !*woken {
            woken = self.changed.wait(woken);
        }
        *woken = false;
    }
}

impl std::task::Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.woken.lock() = true;
        self.changed.notify_one();
    }
}

/// Runs `future` on this thread, which sleeps while it is pending.
///
/// Unlike the executors' own, it may be nested: a blocking read inside somebody else's `block_on`
/// is a matter of that thread alone.
pub(crate) fn block_on<F: std::future::Future>(future: F) -> F::Output {
    let signal = Arc::new(Signal::default());
    let waker = std::task::Waker::from(signal.clone());
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        signal.wait();
    }
}
