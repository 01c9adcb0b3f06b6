//! What the engine, a session and a handle share with one reader.
//!
//! A reader owns its cursor; here are the atomics in which it shows where it is, the mark at which the
//! scheduler wants to hear of it, and the orders that a handle left for it.

use crate::ids::ReaderId;
use crate::storage::Nudger;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

/// What others may see and set of a reader.
#[derive(Debug)]
pub(crate) struct ReaderState {
    /// Its name.
    pub(crate) id: ReaderId,
    /// Cursor position at or past which the scheduler wants to hear of it; `u64::MAX` for never.
    pub(crate) refill_at: AtomicU64,
    /// Where the cursor is.
    pub(crate) position: AtomicU64,
    /// Reads served without waiting.
    pub(crate) hits: AtomicU64,
    /// Reads that had to wait.
    pub(crate) waits: AtomicU64,
    /// Bytes given to the application.
    pub(crate) bytes_read: AtomicU64,
    /// Whether there is an order to look at.
    ordered: AtomicBool,
    orders: Mutex<Orders>,
    nudger: Nudger,
}

/// What a handle asked of the reader.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// Go on there.
    pub(crate) seek: Option<u64>,
    /// End the read that is on.
    pub(crate) interrupt: bool,
}

impl ReaderState {
    /// A reader at the start.
    pub(crate) fn new(id: ReaderId, nudger: Nudger) -> Self {
        Self {
            id,
            refill_at: AtomicU64::new(u64::MAX),
            position: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            ordered: AtomicBool::new(false),
            orders: Mutex::default(),
            nudger,
        }
    }

    /// Ends the wait that is on, or the next one: the reader looks around then.
    pub(crate) fn nudge(&self) {
        self.nudger.nudge();
    }

    /// Gives the reader an order, and makes it look.
    pub(crate) fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.lock());
        self.ordered.store(true, Ordering::Release);
        self.nudger.nudge();
    }

    /// The orders given since the last call, if any.
    pub(crate) fn take_orders(&self) -> Option<Orders> {
        if !self.ordered.load(Ordering::Acquire) {
            return None;
        }
        // Before the orders are taken: one that comes in between is then seen next time.
        self.ordered.store(false, Ordering::Release);
        Some(std::mem::take(&mut *self.orders.lock()))
    }

    /// The seek ordered since the last call, if any. An interrupt stays, since only a read may take it.
    pub(crate) fn take_seek(&self) -> Option<u64> {
        if !self.ordered.load(Ordering::Acquire) {
            return None;
        }
        self.orders.lock().seek.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Backend, StreamingResource};

    fn state() -> ReaderState {
        let bytes = StreamingResource::new(Backend::memory());
        let id = ReaderId(1);
        ReaderState::new(id, bytes.waiter(id).nudger())
    }

    /// E11: the reader's own seek takes over the place that was ordered, and leaves the interrupt to a read.
    #[test]
    fn e11_a_seek_does_not_swallow_an_interrupt() {
        let state = state();
        assert_eq!(state.take_seek(), None);
        state.order(|orders| orders.interrupt = true);
        state.order(|orders| orders.seek = Some(7));
        state.order(|orders| orders.seek = Some(8));
        assert_eq!(state.take_seek(), Some(8), "the newest wins");
        assert_eq!(state.take_seek(), None);
        let orders = state.take_orders().expect("the interrupt is still there");
        assert!(orders.interrupt && orders.seek.is_none());
        assert!(state.take_orders().is_none());
    }
}
