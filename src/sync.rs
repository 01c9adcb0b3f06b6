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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
