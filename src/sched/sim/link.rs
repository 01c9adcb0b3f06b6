//! The plain link: one FIFO bottleneck that all connections share, and the connections over it.
//!
//! It is what the scheduler's own tests run on: quick, and without surprises. `path` is the faithful one.
//!
//! A chunk leaves the bottleneck when all before it have; it is there half a round trip later. Each
//! connection has a congestion window that doubles per round trip, until the queue is full.

use std::collections::{BTreeMap, VecDeque};

use crate::byte_range::ByteRange;
use crate::connection::ConnectionUse;
use crate::ids::{FetchId, Lane, OriginId, ResourceId};
use crate::sched::sim::policy::Policy;
use crate::sched::sim::{Happening, Request, Sim};
use crate::sched::{BodyShape, Event, FetchOutcome};
use crate::time::Micros;

/// Bytes per chunk, and the first congestion window: ten packets.
const CHUNK: u64 = 14 << 10;
/// How long bytes wait in front of the bottleneck at most.
const QUEUE: Micros = Micros::from_millis(40);
/// An idle connection keeps its window for so long.
const WINDOW_KEPT: Micros = Micros::from_millis(1000);

/// The bottleneck.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// There and back.
    pub(crate) round_trip: Micros,
    /// Bytes per second.
    pub(crate) rate: u64,
    /// Round trips that a new connection costs.
    pub(crate) cold_round_trips: u64,
    busy_until: Micros,
    /// Flows that wait for room in the queue.
    waiting: VecDeque<FetchId>,
    awaited: bool,
    idle: BTreeMap<(OriginId, Lane), Vec<(u64, Micros)>>,
}

impl Link {
    /// A link without anything on it.
    pub(crate) fn new(round_trip: Micros, rate: u64) -> Self {
        Self {
            round_trip,
            rate,
            cold_round_trips: 1,
            busy_until: Micros(0),
            waiting: VecDeque::new(),
            awaited: false,
            idle: BTreeMap::new(),
        }
    }

    /// One way.
    pub(crate) fn one_way(&self) -> Micros {
        Micros(self.round_trip.0 / 2)
    }

    /// When `bytes` sent now are there.
    fn carry(&mut self, now: Micros, bytes: u64) -> Micros {
        let time = Micros(bytes * 1_000_000 / self.rate);
        self.busy_until = self.busy_until.max(now) + time;
        self.busy_until + self.one_way()
    }

    fn is_full(&self, now: Micros) -> bool {
        self.busy_until.since(now) >= QUEUE
    }

    /// A connection and its congestion window: the last one used, if one is idle.
    pub(crate) fn connect(
        &mut self,
        origin: OriginId,
        lane: Lane,
        now: Micros,
    ) -> (ConnectionUse, u64) {
        match self.idle.get_mut(&(origin, lane)).and_then(Vec::pop) {
            Some((window, used)) if now.since(used) <= WINDOW_KEPT => {
                (ConnectionUse::Reused, window)
            }
            Some(_) => (ConnectionUse::Reused, CHUNK),
            None => (ConnectionUse::New, CHUNK),
        }
    }

    /// A connection is idle again.
    pub(crate) fn put_back(&mut self, origin: OriginId, lane: Lane, window: u64, now: Micros) {
        self.idle.entry((origin, lane)).or_default().push((window, now));
    }
}

/// One request and its answer on their way.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) resource: ResourceId,
    pub(crate) lane: Lane,
    pub(crate) asked: ByteRange,
    pub(crate) connection: ConnectionUse,
    pub(crate) shape: BodyShape,
    /// The bytes that the server sends.
    pub(crate) body: ByteRange,
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) congestion: u64,
    pub(crate) flying: u64,
    /// Whether its window stays as it is.
    pub(crate) throttled: bool,
    pub(crate) paused: bool,
    pub(crate) cancelled: bool,
    /// What happens after the last byte of the body; nothing, if it just stops coming.
    pub(crate) ending: Option<FetchOutcome>,
    /// Its connection, where the path knows connections.
    pub(crate) over: Option<u64>,
}

impl Flow {
    /// The request as it leaves.
    pub(crate) fn new(request: &Request, connection: ConnectionUse, congestion: u64) -> Self {
        Self {
            resource: request.resource,
            lane: request.lane,
            asked: request.range,
            connection,
            shape: BodyShape::Part(request.range),
            body: request.range,
            sent: 0,
            delivered: 0,
            congestion,
            flying: 0,
            throttled: false,
            paused: false,
            cancelled: false,
            ending: Some(FetchOutcome::Complete),
            over: None,
        }
    }
}

impl<P: Policy> Sim<P> {
    /// Sends as much of the body as the congestion window allows. Once the queue is full, flows take
    /// turns, a chunk each.
    pub(super) fn pump(&mut self, fetch: FetchId) {
        while self.wants_to_send(fetch) {
            if self.link.is_full(self.now) || !self.link.waiting.is_empty() {
                self.link.waiting.push_back(fetch);
                return self.turn_later();
            }
            self.send_chunk(fetch);
        }
    }

    /// The queue has room again: the first in line sends a chunk and goes to the end of the line.
    pub(super) fn room(&mut self) {
        self.link.awaited = false;
        if let Some(fetch) = self.link.waiting.pop_front() {
            if self.wants_to_send(fetch) {
                self.send_chunk(fetch);
            }
            if self.wants_to_send(fetch) {
                self.link.waiting.push_back(fetch);
            }
        }
        self.turn_later();
    }

    fn turn_later(&mut self) {
        if !self.link.waiting.is_empty() && !std::mem::replace(&mut self.link.awaited, true) {
            self.later(self.link.busy_until.since(QUEUE) + Micros(1), Happening::Room);
        }
    }

    fn wants_to_send(&self, fetch: FetchId) -> bool {
        !self.link.waiting.contains(&fetch)
            && self.flows.get(&fetch).is_some_and(|flow| {
                let open = !flow.paused && !flow.cancelled;
                open && flow.flying < flow.congestion && flow.sent < flow.body.len()
            })
    }

    fn send_chunk(&mut self, fetch: FetchId) {
        let Some(flow) = self.flows.get_mut(&fetch) else {
            return;
        };
        let chunk = CHUNK.min(flow.body.len() - flow.sent);
        let range = ByteRange::at(flow.body.start + flow.sent, chunk);
        flow.sent += chunk;
        flow.flying += chunk;
        let at = self.link.carry(self.now, chunk);
        self.later(at, Happening::Chunk(fetch, range));
    }

    pub(super) fn acked(&mut self, fetch: FetchId, bytes: u64) {
        let full = self.link.is_full(self.now);
        if let Some(flow) = self.flows.get_mut(&fetch) {
            flow.flying -= bytes;
            if !full && !flow.throttled {
                flow.congestion += bytes;
            }
        }
        self.pump(fetch);
    }

    pub(super) fn pause(&mut self, fetch: FetchId, paused: bool) {
        let once = self.flows.get(&fetch).map(|flow| self.scheduler.asks_once(flow.resource));
        if let Some(flow) = self.flows.get_mut(&fetch) {
            let bounded = !matches!(flow.shape, BodyShape::Whole);
            assert!(!bounded || once == Some(false), "a bounded body is never paused");
            flow.paused = paused;
            if let Some(over) = flow.over {
                return self.read_on(over);
            }
        }
        if self.path.is_none() {
            self.pump(fetch);
        }
    }

    pub(super) fn head(&mut self, fetch: FetchId) {
        let Some(flow) = self.flows.get(&fetch).filter(|flow| !flow.cancelled) else {
            return;
        };
        let (resource, shape, connection) = (flow.resource, flow.shape, flow.connection);
        let ending = flow.ending.clone().filter(|_| flow.over.is_some() && flow.body.is_empty());
        self.learn_len(resource);
        let multiplexed = self.path.as_ref().is_some_and(super::path::Path::is_multiplexed);
        self.tell(Event::FetchStarted { fetch, shape, connection, multiplexed });
        if let Some(outcome) = ending {
            self.later(self.now, Happening::Ended(fetch, outcome));
        }
    }

    /// The answer begins: its head first, then as much as the window allows.
    pub(super) fn answer(&mut self, fetch: FetchId) {
        if let Some((over, body)) =
            self.flows.get(&fetch).and_then(|flow| Some((flow.over?, flow.body)))
        {
            return self.answer_as_limited(fetch, over, body);
        }
        let at = self.link.carry(self.now, 300);
        self.later(at, Happening::Head(fetch));
        let Some(flow) = self.flows.get(&fetch) else {
            return;
        };
        if flow.body.is_empty()
            && let Some(outcome) = flow.ending.clone()
        {
            self.later(at, Happening::Ended(fetch, outcome));
        }
        self.pump(fetch);
    }
}
