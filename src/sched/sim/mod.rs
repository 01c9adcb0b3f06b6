//! A simulated world for the scheduler: a clock, one shared link, servers with faults, readers.
//!
//! It drives the shipped scheduler, unchanged, as the engine's driver does, and is as deterministic:
//! equal seeds and calls give equal runs. A thousand simulated seconds take well under a second.
//!
//! Not here: payload bytes, disks, threads. Every request is checked as it is made: bounded, not
//! empty, inside the known length, popped from the queue, and not for a byte that is stored.

mod baselines;
mod build;
pub(crate) mod decisions;
pub(crate) mod figures;
mod link;
mod path;
mod player;
mod policy;
mod reader;
mod server;
mod spare;
mod store;
pub(crate) mod table;
pub(crate) mod trace;
mod workload;
pub(crate) mod world;

use std::collections::BTreeMap;

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::connection::ConnectionUse;
use crate::error::Error;
use crate::ids::{FetchId, Lane, OriginId, ReaderId, ResourceId, SpareId};
use crate::sched::{Action, Class, Event, FetchOutcome, Scheduler};
use crate::time::Micros;

#[cfg(test)]
pub(crate) use baselines::Naive;
use link::{Flow, Link};
pub(crate) use path::LinkProfile;
#[cfg(test)]
pub(crate) use path::Protocol;
use path::{Path, Wire};
pub(crate) use player::Player;
use policy::Policy;
use reader::SimReader;
#[cfg(test)]
pub(crate) use server::error;
pub(crate) use server::{Fault, Limit, Server};
use spare::Spares;
use store::Store;
#[cfg(test)]
pub(crate) use workload::{Outcome, Workload, follow, run};

/// So many milliseconds.
pub(crate) const fn ms(n: u64) -> Micros {
    Micros::from_millis(n)
}

/// How long the disk takes to take bytes back.
const SYNC: Micros = ms(10);

/// One request that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    /// When.
    pub(crate) at: Micros,
    /// Its name.
    pub(crate) fetch: FetchId,
    /// For which resource.
    pub(crate) resource: ResourceId,
    /// For which bytes.
    pub(crate) range: ByteRange,
    /// What for.
    pub(crate) class: Class,
    /// Over which lane.
    pub(crate) lane: Lane,
    /// 1 for the first try.
    pub(crate) attempt: u32,
}

/// What is going to happen.
#[derive(Debug, Clone)]
enum Happening {
    /// The request is at the server.
    Arrived(FetchId),
    /// The server has thought long enough.
    Answer(FetchId),
    /// The server gives more of an answer that it holds down, from that byte on.
    More(FetchId, u64, Limit),
    /// The answer's head is here.
    Head(FetchId),
    /// Bytes are here.
    Chunk(FetchId, ByteRange),
    /// The server hears that they are.
    Acked(FetchId, u64),
    /// The bottleneck's queue has room again.
    Room,
    /// The fetch is over.
    Ended(FetchId, FetchOutcome),
    /// A reader goes on.
    Step(ReaderId),
    /// Something on the path.
    Wire(Wire),
    /// A connection that nobody uses yet is open, on the plain link.
    Spare(SpareId),
    /// One that nobody has used is closed.
    SpareGone(SpareId),
    /// The disk has taken stored bytes back.
    Shed(ResourceId, Vec<ByteRange>),
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Bytes received.
    pub(crate) bytes: u64,
    /// Bytes received that were stored already.
    pub(crate) twice: u64,
    /// Reads that had to wait.
    pub(crate) waits: u64,
    /// Connections made.
    pub(crate) connections: u64,
    /// Most fetches at once.
    pub(crate) most_at_once: usize,
    /// Ends of stream that were told.
    pub(crate) ends: u64,
    /// Events handled.
    pub(crate) events: u64,
}

/// The world.
pub(crate) struct Sim<P = Scheduler> {
    /// The one under test: the shipped one, or a baseline.
    pub(crate) scheduler: P,
    /// What was counted.
    pub(crate) counts: Counts,
    /// Every request made, in order.
    pub(crate) requests: Vec<Request>,
    /// Every action, in order.
    pub(crate) actions: Vec<(Micros, Action)>,
    /// What each resource was told when it was finished.
    pub(crate) fatal: Vec<(ResourceId, Error)>,
    tunables: Tunables,
    seed: u64,
    lanes: u8,
    now: Micros,
    link: Link,
    path: Option<Path>,
    server: Server,
    servers: BTreeMap<OriginId, Server>,
    stores: BTreeMap<ResourceId, Store>,
    readers: BTreeMap<ReaderId, SimReader>,
    flows: BTreeMap<FetchId, Flow>,
    spares: BTreeMap<(OriginId, Lane), Spares>,
    agenda: BTreeMap<(Micros, u64), Happening>,
    /// Readers that were past a mark already when it was set.
    late_moves: Vec<(ReaderId, u64)>,
    arrivals: u64,
    named: u64,
}

impl<P: Policy> Sim<P> {
    /// The clock.
    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    /// Bytes over the path so far, headers included; 0 on the plain link.
    pub(crate) fn carried(&self) -> u64 {
        self.path.as_ref().map_or(0, |path| path.carried)
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: Micros) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    /// Lets happen what happens next, if that is before `until`. Returns whether anything did.
    pub(crate) fn step(&mut self, until: Micros) -> bool {
        let agenda = self.agenda.first_key_value().map(|(key, _)| key.0);
        let timer = self.scheduler.due();
        let Some(at) = agenda.into_iter().chain(timer).min().filter(|at| *at <= until) else {
            return false;
        };
        self.now = self.now.max(at);
        if agenda == Some(at) {
            if let Some((_, happening)) = self.agenda.pop_first() {
                self.happen(happening);
            }
        } else {
            self.tell(Event::Tick);
        }
        true
    }

    /// Gives an event to the scheduler and does what it asks for.
    pub(crate) fn tell(&mut self, event: Event) {
        let mut out = Vec::new();
        self.counts.events += 1;
        self.scheduler.handle(self.now, event, &mut out);
        for action in out {
            self.act(action);
        }
        while let Some((reader, position)) = self.late_moves.pop() {
            self.tell(Event::Moved { reader, position });
        }
        if let Some(popped) = self.scheduler.popped() {
            let made = self.requests.len() as u64;
            assert_eq!(popped, made, "a fetch started that was not popped");
        }
    }

    fn later(&mut self, at: Micros, happening: Happening) {
        self.arrivals += 1;
        self.agenda.insert((at.max(self.now), self.arrivals), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrived(fetch) => self.arrived(fetch),
            Happening::Answer(fetch) => self.answer(fetch),
            Happening::More(fetch, from, limit) => self.more(fetch, from, limit),
            Happening::Head(fetch) => self.head(fetch),
            Happening::Chunk(fetch, range) => self.chunk(fetch, range),
            Happening::Acked(fetch, bytes) => self.acked(fetch, bytes),
            Happening::Room => self.room(),
            Happening::Ended(fetch, outcome) => self.ended(fetch, outcome),
            Happening::Step(reader) => self.step_reader(reader),
            Happening::Wire(wire) => self.wire(wire),
            Happening::Spare(spare) => self.spare_made(spare),
            Happening::SpareGone(spare) => self.spare_gone(spare),
            Happening::Shed(resource, ranges) => self.shed(resource, ranges),
        }
    }

    fn act(&mut self, action: Action) {
        self.actions.push((self.now, action.clone()));
        match action {
            Action::StartFetch { fetch, resource, range, lane, class, attempt } => {
                let at = self.now;
                let request = Request { at, fetch, resource, range, class, lane, attempt };
                self.check_request(&request);
                self.requests.push(request);
                self.send(&request);
            }
            Action::Preconnect { resource, spare } => self.preconnect(resource, spare),
            Action::CancelFetch { fetch } => self.cancel(fetch),
            Action::PauseFetch { fetch, paused } => self.pause(fetch, paused),
            Action::FailDemand { reader, demand, error } => {
                self.fail_demand(reader, demand, error);
            }
            Action::FailResource { resource, error } => self.fail_resource(resource, error),
            Action::SetRefill { reader, at } => self.set_refill(reader, at),
            Action::Shed { resource, ranges } => {
                self.later(self.now + SYNC, Happening::Shed(resource, ranges));
            }
            Action::EndOfStream { resource } => {
                self.counts.ends += 1;
                let store = &self.stores[&resource];
                assert!(store.is_complete(), "an end of stream with holes");
            }
        }
    }

    fn check_request(&self, request: &Request) {
        let store = &self.stores[&request.resource];
        let range = request.range;
        assert!(!range.is_empty() && range.len() < 1 << 40, "{request:?} is not bounded");
        assert!(store.online, "{request:?} was made offline");
        if let Some(len) = store.known_len {
            assert!(range.end <= len, "{request:?} goes past the length {len}");
        }
        if self.scheduler.asks_once(request.resource) {
            assert!(!store.has_any(range), "{request:?} is for bytes that are stored");
        }
    }

    /// A fresh name.
    fn name(&mut self) -> u64 {
        self.named += 1;
        self.named
    }
}

impl<P: Policy> Sim<P> {
    fn chunk(&mut self, fetch: FetchId, range: ByteRange) {
        if self.flows.contains_key(&fetch) {
            let heard = self.now + self.link.one_way();
            self.later(heard, Happening::Acked(fetch, range.len()));
            self.deliver(fetch, range);
        }
    }

    /// Bytes are with the program: stored, told, and read by whoever waits for them.
    fn deliver(&mut self, fetch: FetchId, range: ByteRange) {
        let Some(flow) = self.flows.get_mut(&fetch) else {
            return;
        };
        flow.delivered += range.len();
        let (resource, rest) = (flow.resource, flow.delivered < flow.body.len());
        let ending = (!rest).then(|| flow.ending.clone()).flatten();
        let Some(store) = self.stores.get_mut(&resource) else {
            return;
        };
        let new = store.store(range);
        self.counts.bytes += range.len();
        self.counts.twice += range.len() - new;
        self.tell(Event::Written { fetch, range });
        self.wake(resource);
        if let Some(outcome) = ending {
            self.later(self.now, Happening::Ended(fetch, outcome));
        }
    }

    fn ended(&mut self, fetch: FetchId, outcome: FetchOutcome) {
        let complete = matches!(outcome, FetchOutcome::Complete);
        if !complete && self.flows.get(&fetch).is_some_and(|flow| !flow.cancelled) {
            self.abandon(fetch);
        }
        let Some(flow) = self.flows.remove(&fetch) else {
            return;
        };
        if let Some(over) = flow.over.filter(|_| complete) {
            self.is_free(over);
        } else if complete {
            let origin = self.stores[&flow.resource].origin;
            self.link.put_back(origin, flow.lane, flow.congestion, self.now);
        }
        self.tell(Event::FetchEnded { fetch, outcome });
    }

    fn cancel(&mut self, fetch: FetchId) {
        if let Some(flow) = self.flows.get_mut(&fetch)
            && !flow.cancelled
        {
            flow.cancelled = true;
            let resource = flow.resource;
            self.abandon(fetch);
            if !self.scheduler.keeps()
                && let Some(store) = self.stores.get_mut(&resource)
            {
                store.lose(ByteRange::new(0, store.len));
            }
            self.later(self.now, Happening::Ended(fetch, FetchOutcome::Cancelled));
        }
    }

    fn send(&mut self, request: &Request) {
        let origin = self.stores[&request.resource].origin;
        if self.path.is_some() {
            let unknown = ConnectionUse::Reused;
            self.flows.insert(request.fetch, Flow::new(request, unknown, 0));
            self.counts.most_at_once = self.counts.most_at_once.max(self.flows.len());
            return self.find_connection(request.fetch, (origin, request.lane));
        }
        let (mut connection, congestion) = self.link.connect(origin, request.lane, self.now);
        let mut setup = Micros(0);
        if connection == ConnectionUse::New {
            let spare = self.take_spare((origin, request.lane));
            (connection, setup) = match spare {
                Some(spare) => (ConnectionUse::Spare, spare.open_at.since(self.now)),
                None => (connection, Micros(self.link.round_trip.0 * self.link.cold_round_trips)),
            };
            self.counts.connections += u64::from(spare.is_none());
        }
        let flow = Flow::new(request, connection, congestion);
        self.flows.insert(request.fetch, flow);
        self.counts.most_at_once = self.counts.most_at_once.max(self.flows.len());
        let there = self.now + setup + self.link.one_way();
        self.later(there, Happening::Arrived(request.fetch));
    }
}
