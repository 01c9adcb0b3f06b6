//! Spare connections, as the engine makes them: opened without a request, taken by the first one that finds no
//! idle connection, closed when nobody has come.

use std::collections::VecDeque;

use crate::ids::{Lane, OriginId, ResourceId, SpareId};
use crate::sched::Event;
use crate::sched::sim::policy::Policy;
use crate::sched::sim::{Happening, Sim, ms};
use crate::time::Micros;

/// How long the engine keeps one that nobody uses.
const KEPT: Micros = ms(15_000);

/// One that no request has taken yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    name: SpareId,
    /// Over the path: which connection.
    pub(crate) connection: Option<u64>,
    /// On the plain link: from when on it is open.
    pub(crate) open_at: Micros,
    /// Over the path: whether it is open.
    pub(crate) open: bool,
}

/// Those of one lane to one origin, the oldest first.
pub(crate) type Spares = VecDeque<Kept>;

impl<P: Policy> Sim<P> {
    pub(super) fn preconnect(&mut self, resource: ResourceId, name: SpareId) {
        let key = (self.stores[&resource].origin, Lane::Demand);
        self.counts.connections += 1;
        let open_at = self.now + Micros(self.link.round_trip.0 * self.link.cold_round_trips);
        let connection = self.path.as_mut().map(|path| path.connect_apart(key));
        let kept = Kept { name, connection, open_at, open: false };
        self.spares.entry(key).or_default().push_back(kept);
        match connection {
            Some(id) => self.greet(id),
            None => self.later(open_at, Happening::Spare(name)),
        }
    }

    /// The oldest spare connection, for a request.
    pub(super) fn take_spare(&mut self, key: (OriginId, Lane)) -> Option<Kept> {
        self.spares.get_mut(&key)?.pop_front()
    }

    /// A connection of the path is open. Whether it is one that nobody has taken.
    pub(super) fn spare_opened(&mut self, key: (OriginId, Lane), connection: u64) -> bool {
        let mut kept = self.spares.get_mut(&key).into_iter().flatten();
        let Some(kept) = kept.find(|kept| kept.connection == Some(connection)) else {
            return false;
        };
        kept.open = true;
        let name = kept.name;
        self.spare_made(name);
        true
    }

    /// It is open, taken meanwhile or not.
    pub(super) fn spare_made(&mut self, name: SpareId) {
        self.later(self.now + KEPT, Happening::SpareGone(name));
        self.tell(Event::SpareReady { spare: name });
    }

    /// Nobody has taken it, or somebody has.
    pub(super) fn spare_gone(&mut self, name: SpareId) {
        for kept in self.spares.values_mut() {
            kept.retain(|one| one.name != name);
        }
        self.tell(Event::SpareGone { spare: name });
    }
}
