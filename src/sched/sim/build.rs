//! How a simulated world is set up.

use std::collections::BTreeMap;

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::ids::{OriginId, ResourceId};
use crate::sched::Event;
use crate::sched::sim::link::Link;
use crate::sched::sim::path::{LinkProfile, Path};
use crate::sched::sim::policy::Policy;
use crate::sched::sim::store::Store;
use crate::sched::sim::{Counts, Fault, Happening, Server, Sim, ms};
use crate::time::Micros;

impl Sim {
    /// The shipped scheduler. One resource of `len` bytes behind a link of 100 ms and 20 Mbit/s, its length not known yet.
    pub(crate) fn new(len: u64) -> Self {
        Self::driven(len)
    }
}

impl<P: Policy> Sim<P> {
    /// The same world, in which somebody else decides.
    pub(crate) fn driven(len: u64) -> Self {
        let tunables = Tunables::default();
        let mut sim = Self {
            scheduler: P::begin(&tunables, 1, 0),
            counts: Counts::default(),
            requests: Vec::new(),
            actions: Vec::new(),
            fatal: Vec::new(),
            tunables,
            seed: 0,
            lanes: 1,
            now: Micros(0),
            link: Link::new(ms(100), 2_500_000),
            path: None,
            server: Server::default(),
            servers: BTreeMap::new(),
            stores: BTreeMap::new(),
            readers: BTreeMap::new(),
            flows: BTreeMap::new(),
            spares: BTreeMap::new(),
            agenda: BTreeMap::new(),
            late_moves: Vec::new(),
            arrivals: 0,
            named: 0,
        };
        sim.add(ResourceId(1), OriginId(1), len, None, &[], true);
        sim
    }

    /// Starts again with what was set so far; before the first reader.
    fn again(mut self) -> Self {
        assert!(self.readers.is_empty(), "set up the world before anybody reads");
        let store = self.stores[&ResourceId(1)].clone();
        let mut sim = Self::driven(store.len);
        self.scheduler = P::begin(&self.tunables, self.lanes, self.seed);
        (sim.scheduler, sim.tunables, sim.seed) = (self.scheduler, self.tunables, self.seed);
        (sim.link, sim.server, sim.lanes) = (self.link, self.server, self.lanes);
        sim.path = self.path.map(|path| Path::new(path.profile, self.seed));
        sim.stores.clear();
        sim.servers.clear();
        sim.add(
            ResourceId(1),
            OriginId(1),
            store.len,
            store.known_len,
            &store.runs(),
            store.online,
        );
        sim
    }

    fn add(
        &mut self,
        resource: ResourceId,
        origin: OriginId,
        len: u64,
        known_len: Option<u64>,
        covered: &[ByteRange],
        online: bool,
    ) {
        let mut store = Store::new(origin, len, known_len, online);
        for range in covered {
            store.store(*range);
        }
        self.stores.insert(resource, store);
        self.servers.entry(origin).or_insert_with(|| self.server.clone());
        let covered = covered.to_vec();
        let opened = Event::ResourceOpened { resource, origin, len: known_len, covered, online };
        self.tell(opened);
    }

    /// Another resource, on an origin of its own choice.
    pub(crate) fn open_resource(&mut self, origin: OriginId, len: u64) -> ResourceId {
        let resource = ResourceId(1 + self.name());
        self.add(resource, origin, len, None, &[], true);
        resource
    }

    /// A faithful path in place of the plain link: connections with windows of their own, a queue limited in
    /// bytes, losses.
    pub(crate) fn profile(mut self, profile: LinkProfile) -> Self {
        self.path = Some(Path::new(profile, self.seed));
        self.again()
    }

    /// The round trip.
    pub(crate) fn latency(mut self, round_trip: Micros) -> Self {
        self.link.round_trip = round_trip;
        self
    }

    /// Bytes per second of the link.
    pub(crate) fn rate(mut self, bytes_per_second: u64) -> Self {
        self.link.rate = bytes_per_second;
        self
    }

    /// Most fetches at once.
    pub(crate) fn slots(self, slots: u32) -> Self {
        self.tuned(|tunables| tunables.fetch.max_fetches = slots)
    }

    /// Other knobs.
    pub(crate) fn tuned(mut self, change: impl FnOnce(&mut Tunables)) -> Self {
        change(&mut self.tunables);
        assert!(self.tunables.validate().is_ok(), "the test asks for an impossible configuration");
        self.again()
    }

    /// So many bulk lanes.
    pub(crate) fn bulk_lanes(mut self, lanes: u8) -> Self {
        self.lanes = lanes;
        self.again()
    }

    /// Another seed.
    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self.again()
    }

    /// Another server.
    pub(crate) fn server(mut self, change: impl FnOnce(&mut Server)) -> Self {
        change(&mut self.server);
        self.servers.clear();
        self.again()
    }

    /// The `nth` request, from 1 on, goes wrong.
    pub(crate) fn fault(self, nth: u64, fault: Fault) -> Self {
        self.server(|server| {
            server.faults.insert(nth, fault);
        })
    }

    /// The length is known, and `covered` is stored already.
    pub(crate) fn stored_before(mut self, covered: &[ByteRange]) -> Self {
        if let Some(store) = self.stores.get_mut(&ResourceId(1)) {
            store.known_len = Some(store.len);
            for range in covered {
                store.store(*range);
            }
        }
        self.again()
    }

    /// Without a network.
    pub(crate) fn offline(mut self) -> Self {
        if let Some(store) = self.stores.get_mut(&ResourceId(1)) {
            store.online = false;
        }
        self.again()
    }

    /// From now on the server of the first resource is like that.
    pub(crate) fn set_server(&mut self, change: impl FnOnce(&mut Server)) {
        if let Some(server) = self.servers.get_mut(&OriginId(1)) {
            change(server);
        }
    }

    /// Nothing comes any more of what is on its way now.
    pub(crate) fn stall_all(&mut self) {
        self.agenda.retain(|_, happening| match happening {
            Happening::Arrived(_) | Happening::Answer(_) | Happening::Head(_) => false,
            Happening::More(..) => false,
            Happening::Chunk(..) | Happening::Acked(..) | Happening::Wire(_) => false,
            Happening::Ended(..) | Happening::Step(_) | Happening::Room => true,
            Happening::Spare(_) | Happening::SpareGone(_) | Happening::Shed(..) => true,
        });
    }

    /// Nothing moves for that long; what is on its way comes so much later.
    pub(crate) fn hold_up(&mut self, time: Micros) {
        let agenda = std::mem::take(&mut self.agenda);
        let later = |((at, nth), happening)| match happening {
            Happening::Step(_) => ((at, nth), happening),
            _ => ((at + time, nth), happening),
        };
        self.agenda = agenda.into_iter().map(later).collect();
    }
}
