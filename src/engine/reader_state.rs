//! What the engine, a session and a handle share with one reader.
//!
//! A reader owns its cursor; here are the atomics in which it shows where it is, the mark at which the
//! scheduler wants to hear of it, and the orders that a handle left for it.

use crate::ids::ReaderId;
use crate::storage::Nudger;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, fence};

/// What others may see and set of a reader.
#[derive(Debug)]
pub(crate) struct ReaderState {
    /// Its name.
    pub(crate) id: ReaderId,
    /// Cursor position at or past which the scheduler wants to hear of it; `u64::MAX` for never.
    pub(crate) refill_at: AtomicU64,
    /// Where the cursor is.
    pub(crate) position: AtomicU64,
    /// Where its last read ended, or where it said since then that it is.
    came_to: AtomicU64,
    /// How often it has told the scheduler where it is.
    told: AtomicU64,
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

/// Some readers, in the order of their names. Mostly one or two, for which a map would keep the room of eleven.
#[derive(Debug, Default)]
pub(crate) struct ReaderList(Vec<Arc<ReaderState>>);

impl ReaderList {
    /// One more.
    pub(crate) fn insert(&mut self, reader: Arc<ReaderState>) {
        let at = self.0.partition_point(|other| other.id < reader.id);
        self.0.insert(at, reader);
    }

    /// No longer that one; whether it was there.
    pub(crate) fn remove(&mut self, reader: ReaderId) -> bool {
        let found = self.0.binary_search_by_key(&reader, |other| other.id);
        found.map(|at| self.0.remove(at)).is_ok()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ReaderState>> {
        self.0.iter()
    }
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
            came_to: AtomicU64::new(0),
            told: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            ordered: AtomicBool::new(false),
            orders: Mutex::default(),
            nudger,
        }
    }

    /// The reader is about to tell the scheduler that it is at `position`.
    pub(crate) fn tells(&self, position: u64) {
        // A seek back leaves the end of the last read past the next mark, where the reader no longer is.
        self.came_to.store(position, Ordering::Release);
        self.told.fetch_add(1, Ordering::Release);
    }

    /// The reader's last read ended at `position`; whether that is at or past the mark.
    pub(crate) fn has_read(&self, position: u64) -> bool {
        self.position.store(position, Ordering::Relaxed);
        self.came_to.store(position, Ordering::Release);
        // Either this sees a mark that is being set, or who sets it sees this.
        fence(Ordering::SeqCst);
        position >= self.refill_at.load(Ordering::Acquire)
    }

    /// Sets the mark. A reader may be past it and rest there, so that nobody would hear of it: then this gives its place, and
    /// takes the mark away. Not if anything is on its way of what it told, of which `heard` was heard: that says where it
    /// is, and is newer.
    pub(crate) fn set_mark(&self, at: u64, heard: u64) -> Option<u64> {
        self.refill_at.store(at, Ordering::Release);
        fence(Ordering::SeqCst);
        let position = self.came_to.load(Ordering::Acquire);
        if position < at || self.told.load(Ordering::Acquire) != heard {
            return None;
        }
        let (order, otherwise) = (Ordering::AcqRel, Ordering::Relaxed);
        let taken = self.refill_at.compare_exchange(at, u64::MAX, order, otherwise);
        taken.is_ok().then_some(position)
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

    /// P4: a player that pauses right past a mark that is just being set.
    #[test]
    fn p4_a_mark_that_a_resting_reader_is_past_gives_its_place_at_once() {
        let state = state();
        assert!(!state.has_read(1000));
        assert_eq!(state.set_mark(1001, 0), None, "it is not there yet");
        assert!(state.has_read(1001));
        assert_eq!(state.set_mark(900, 0), Some(1001));
        assert_eq!(state.refill_at.load(Ordering::Relaxed), u64::MAX, "told once");
        assert_eq!(state.set_mark(u64::MAX, 0), None);
    }

    /// What is under way is newer than what can be seen from there.
    #[test]
    fn p4_a_reader_that_is_just_telling_where_it_is_is_heard_and_not_guessed_at() {
        let state = state();
        assert!(!state.has_read(1000));
        state.tells(1000);
        assert_eq!(state.set_mark(900, 0), None);
        assert_eq!(state.refill_at.load(Ordering::Relaxed), 900);
        assert_eq!(state.set_mark(900, 1), Some(1000));
    }

    /// P5: a seek back, whose first bytes are on their way, is one jump and not three, which would be a drag.
    #[test]
    fn p5_a_reader_that_waits_far_back_is_not_where_it_read_last() {
        let state = state();
        assert!(!state.has_read(1000));
        state.tells(10);
        assert_eq!(state.set_mark(500, 1), None);
        assert_eq!(state.refill_at.load(Ordering::Relaxed), 500, "the mark holds");
        assert!(state.has_read(501));
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
