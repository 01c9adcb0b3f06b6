//! Parker: a waker that wakes a blocked thread.
//!
//! A permit is kept if the wake comes before the sleep, so a wake between a look that found
//! nothing and the sleep after it is never lost. A permit left over costs one more look.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::sync::{Condvar, Mutex};

/// One thread's bed.
#[derive(Debug)]
pub(crate) struct Parker {
    /// Whether somebody woke us since we last slept.
    woken: Mutex<bool>,
    /// Where we sleep.
    bed: Condvar,
}

impl Parker {
    /// A bed, and the waker that gets its sleeper up.
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let parker = Arc::new(Self { woken: Mutex::new(false), bed: Condvar::new() });
        let waker = Waker::from(Arc::clone(&parker));
        (parker, waker)
    }

    /// Blocks the thread until woken; returns at once if that has happened already.
    pub(crate) fn park(&self) {
        let mut woken = self.woken.lock();
        while !*woken {
            woken = self.bed.wait(woken);
        }
        *woken = false;
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.woken.lock() = true;
        self.bed.notify_one();
    }
}
