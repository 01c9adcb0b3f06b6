//! Waiter: a reader's place among those who wait, given up when dropped.
//!
//! There is one way to wait, [`Waiter::poll_ready`]; the blocking call is the same with a waker that
//! wakes a thread. A wait ends when its bytes are there, at the end, by a failure or by a nudge, and
//! in no other way: there is no timeout here.

use std::task::{Context, Poll, Waker};

use crate::byte_range::ByteRange;
use crate::ids::{DemandId, ReaderId};
use crate::sync::Arc;

use super::gate::Gate;
use super::park::Parker;
use super::places::PlaceKey;
use super::state::{Look, Waited};

/// A reader's place among those who wait for bytes of one resource.
///
/// Dropping it withdraws the wait and forgets what was latched for it.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// The resource's gate.
    gate: Arc<Gate>,
    /// The place.
    key: PlaceKey,
    /// Where this reader's thread sleeps; made at its first blocking wait.
    parker: Option<(std::sync::Arc<Parker>, Waker)>,
}

impl Waiter {
    /// A place for `reader`.
    pub(crate) fn new(gate: &Arc<Gate>, reader: ReaderId) -> Self {
        Self { gate: Arc::clone(gate), key: gate.enter(reader), parker: None }
    }

    /// Looks whether all of `range`, as far as the length goes, is there, and else registers the
    /// waker of `cx`, both under one lock. `demand` names what the reader asked the engine for;
    /// only the failure of this demand ends the wait.
    ///
    /// What goes first if several things hold is written at [`Verdict`](super::state::Verdict).
    pub(crate) fn poll_ready(
        &mut self,
        range: ByteRange,
        demand: DemandId,
        cx: &mut Context<'_>,
    ) -> Poll<Waited> {
        self.gate.poll(self.key, range, demand, cx.waker())
    }

    /// The same, blocking the thread until the wait has ended.
    pub(crate) fn wait_ready(&mut self, range: ByteRange, demand: DemandId) -> Waited {
        let (parker, waker) = self.parker.get_or_insert_with(Parker::new);
        loop {
            match self.gate.poll(self.key, range, demand, waker) {
                Poll::Ready(waited) => return waited,
                Poll::Pending => parker.park(),
            }
        }
    }

    /// Looks at the byte at `offset` without waiting. Unlike a look at the resource, it tells this
    /// reader of a restart.
    pub(crate) fn look(&mut self, offset: u64) -> Look {
        self.gate.look(Some(self.key), offset)
    }

    /// Withdraws the wait, if one is on: the waker is dropped, what is latched stays.
    pub(crate) fn withdraw(&mut self) {
        self.gate.withdraw_wait(self.key);
    }

    /// A handle that can end this place's wait from elsewhere.
    pub(crate) fn nudger(&self) -> Nudger {
        Nudger { gate: Arc::clone(&self.gate), key: self.key }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.gate.leave(self.key);
    }
}

/// Ends the wait of one place from any thread. Outlives the place harmlessly.
#[derive(Debug, Clone)]
pub(crate) struct Nudger {
    /// The resource's gate.
    gate: Arc<Gate>,
    /// The place.
    key: PlaceKey,
}

impl Nudger {
    /// Ends the wait that is on with [`Waited::Nudged`]; if none is on, the next one.
    pub(crate) fn nudge(&self) {
        self.gate.nudge(self.key);
    }
}
