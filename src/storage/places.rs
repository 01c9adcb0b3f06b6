//! Places: who waits, for what, and what is kept for them until they look again.
//!
//! One place per [`Waiter`](super::waiter::Waiter). It holds the wait that is registered, if any,
//! and what must not be lost when none is: a nudge, a restart not yet told, the failure of a
//! demand. Ordered by reader and number, so that equal inputs wake in equal order.
//!
//! Not here: whether a wait has ended (`state` judges that, under the lock).

use std::collections::BTreeMap;
use std::task::Waker;

use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::{DemandId, ReaderId};

/// The name of a place: its reader, and a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlaceKey {
    /// Whose place it is.
    pub(crate) reader: ReaderId,
    /// Tells the places of one reader apart.
    number: u64,
}

/// One place.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The newest demand this place waited for.
    pub(crate) demand: Option<DemandId>,
    /// The wait that is on; gone as soon as its waker was taken out.
    pub(crate) wait: Option<Wait>,
    /// Somebody nudged, and it was not told yet.
    pub(crate) nudged: bool,
    /// A restart that was not told yet.
    pub(crate) notice: Option<Error>,
    /// The failure of a demand, not told yet; void once a newer demand waits here.
    pub(crate) failure: Option<(DemandId, Error)>,
}

/// A registered wait.
#[derive(Debug)]
pub(crate) struct Wait {
    /// The bytes that must all be there.
    pub(crate) range: ByteRange,
    /// For which demand.
    pub(crate) demand: DemandId,
    /// Whom to wake.
    waker: Waker,
}

/// Wakers taken out under the lock, to be woken or dropped after it: either may run foreign code
/// that comes back here.
#[must_use = "who was taken out must be woken"]
#[derive(Debug, Default)]
pub(crate) struct Wakes(Vec<Waker>);

impl Wakes {
    /// Wakes all. Never under the lock.
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

impl Place {
    /// Takes note that the place now waits for `demand`: the failure of an older one is void.
    pub(crate) fn turn_to(&mut self, demand: DemandId) {
        self.demand = Some(demand);
        if self.failure.as_ref().is_some_and(|(of, _)| *of != demand) {
            self.failure = None;
        }
    }

    /// Registers a wait in place of the one before, whose waker comes back to be dropped outside the lock.
    pub(crate) fn register(
        &mut self,
        range: ByteRange,
        demand: DemandId,
        waker: Waker,
    ) -> Option<Waker> {
        self.wait.replace(Wait { range, demand, waker }).map(|wait| wait.waker)
    }

    /// Takes the wait out; its waker comes back to be woken or dropped outside the lock.
    pub(crate) fn unregister(&mut self) -> Option<Waker> {
        self.wait.take().map(|wait| wait.waker)
    }

    /// Keeps the failure of `demand`, unless a newer demand has taken its place.
    ///
    /// It is kept even if no wait of that demand is registered yet: a demand may fail before the
    /// reader that sent it comes to wait.
    pub(crate) fn fail(&mut self, demand: DemandId, error: &Error) {
        if self.demand.is_none_or(|newest| newest <= demand) {
            self.failure = Some((demand, error.clone()));
        }
    }
}

/// All places of one resource.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Number of the next place.
    next: u64,
    /// The places. Boxed: a node of the map has room for eleven, and mostly there is one.
    table: BTreeMap<PlaceKey, Box<Place>>,
}

impl Places {
    /// A new place for `reader`.
    pub(crate) fn enter(&mut self, reader: ReaderId) -> PlaceKey {
        let key = PlaceKey { reader, number: self.next };
        self.next += 1;
        self.table.insert(key, Box::default());
        key
    }

    /// The place is given up; it comes back to be dropped outside the lock.
    pub(crate) fn leave(&mut self, key: PlaceKey) -> Option<Box<Place>> {
        self.table.remove(&key)
    }

    /// The place of that name.
    pub(crate) fn at(&mut self, key: PlaceKey) -> Option<&mut Place> {
        self.table.get_mut(&key).map(Box::as_mut)
    }

    /// The same, to look at.
    pub(crate) fn peek(&self, key: PlaceKey) -> Option<&Place> {
        self.table.get(&key).map(Box::as_ref)
    }

    /// All places.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Place> {
        self.table.values_mut().map(Box::as_mut)
    }

    /// The places of one reader.
    pub(crate) fn of(&mut self, reader: ReaderId) -> impl Iterator<Item = &mut Place> {
        let first = PlaceKey { reader, number: 0 };
        let last = PlaceKey { reader, number: u64::MAX };
        self.table.range_mut(first..=last).map(|(_, place)| &mut **place)
    }

    /// Takes out the wakers of those waits that `has_ended`.
    pub(crate) fn take_ended(&mut self, has_ended: impl Fn(&Place, &Wait) -> bool) -> Wakes {
        let mut wakes = Wakes::default();
        for place in self.table.values_mut() {
            if place.wait.as_ref().is_some_and(|wait| has_ended(place, wait)) {
                wakes.0.extend(place.unregister());
            }
        }
        wakes
    }

    /// How many places there are.
    #[cfg(test)]
    #[allow(dead_code, reason = "the models in tests/loom_wake.rs ask")]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many waits are registered.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.table.values().filter(|place| place.wait.is_some()).count()
    }
}
