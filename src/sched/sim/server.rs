//! Servers: what they do with a request, and what goes wrong.

use std::collections::BTreeMap;

use crate::byte_range::ByteRange;
use crate::error::{Error, NetworkError, NetworkErrorKind, Stage};
use crate::ids::FetchId;
use crate::sched::event::{Failure, Remedy};
use crate::sched::sim::policy::Policy;
use crate::sched::sim::{Happening, Sim};
use crate::sched::{BodyShape, FetchOutcome};
use crate::time::Micros;

/// How long the driver waits for a byte before it gives a request up.
const IDLE: Micros = Micros::from_millis(10_000);

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No answer: refused, lost, an error status.
    Fail(Remedy),
    /// The connection is lost after so many bytes.
    Cut(u64),
    /// A proper answer that brings only so many bytes.
    Short(u64),
    /// Nothing comes any more after so many bytes, until the idle timeout.
    Stall(u64),
}

/// How a server holds each of its answers down, as nginx does with `limit_rate`: so many bytes at once, and as many again
/// each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// So many bytes.
    pub(crate) bytes: u64,
    /// Each such time.
    pub(crate) each: Micros,
}

/// A server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// Whether it does ranges.
    pub(crate) ranges: bool,
    /// Whether its answers tell the length.
    pub(crate) tells_len: bool,
    /// What it needs before it answers.
    pub(crate) think: Micros,
    /// How it holds each answer down, if it does. On a faithful path alone.
    pub(crate) limit: Option<Limit>,
    /// What goes wrong, by the number of the request, from 1 on.
    pub(crate) faults: BTreeMap<u64, Fault>,
    /// What goes wrong with the next request.
    pub(crate) next: Option<Fault>,
    /// What goes wrong with each so-many-th request.
    pub(crate) every: Option<(u64, Fault)>,
    /// What goes wrong with every request.
    pub(crate) always: Option<Fault>,
    asked: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            ranges: true,
            tells_len: true,
            think: Micros(0),
            limit: None,
            faults: BTreeMap::new(),
            next: None,
            every: None,
            always: None,
            asked: 0,
        }
    }
}

impl Server {
    /// What is wrong with the next request.
    fn next_fault(&mut self) -> Option<Fault> {
        self.asked += 1;
        let nth = self.every.filter(|(nth, _)| self.asked.is_multiple_of(*nth));
        let own = self.next.take().or(self.faults.remove(&self.asked));
        own.or(nth.map(|(_, fault)| fault)).or(self.always)
    }
}

/// The error of a failed request, in its simplest form.
pub(crate) fn error(kind: NetworkErrorKind) -> Error {
    Error::from(NetworkError {
        url: "http://sim/".into(),
        stage: Stage::Headers,
        kind,
        excerpt: None,
        retry_after: None,
        attempts: 1,
        source: None,
    })
}

fn failed(kind: NetworkErrorKind, remedy: Remedy) -> FetchOutcome {
    FetchOutcome::Failed(Failure { error: error(kind), remedy })
}

impl<P: Policy> Sim<P> {
    /// From now on the server sends nothing more of that answer; what is on its way comes. The driver
    /// gives it up after the idle timeout.
    pub(crate) fn stall(&mut self, fetch: FetchId) {
        if let Some(flow) = self.flows.get_mut(&fetch) {
            flow.paused = true;
            let retry = Remedy::Retry { after: None };
            let timed_out = Happening::Ended(fetch, failed(NetworkErrorKind::TimedOut, retry));
            self.agenda.insert((self.now + IDLE, u64::MAX - fetch.0), timed_out);
        }
    }

    /// From now on that answer gets no more than about `rate` bytes per second.
    pub(crate) fn throttle(&mut self, fetch: FetchId, rate: u64) {
        let round_trip = self.link.round_trip.0;
        if let Some(flow) = self.flows.get_mut(&fetch) {
            flow.throttled = true;
            flow.congestion = (rate * round_trip / 1_000_000).max(1);
        }
    }

    /// It goes on.
    pub(crate) fn go_on(&mut self, fetch: FetchId) {
        self.agenda.retain(|(_, nth), _| *nth != u64::MAX - fetch.0);
        if let Some(flow) = self.flows.get_mut(&fetch) {
            flow.paused = false;
            self.pump(fetch);
        }
    }

    /// The machine does nothing for so long; then everything that was due happens at once.
    pub(crate) fn freeze(&mut self, time: Micros) {
        self.now = self.now + time;
    }

    /// The running requests, the oldest first.
    pub(crate) fn running(&self) -> Vec<FetchId> {
        self.flows.iter().filter(|(_, flow)| !flow.cancelled).map(|(id, _)| *id).collect()
    }

    /// A request is at the server.
    pub(super) fn arrived(&mut self, fetch: FetchId) {
        let Some(flow) = self.flows.get_mut(&fetch).filter(|flow| !flow.cancelled) else {
            return;
        };
        let store = &self.stores[&flow.resource];
        let Some(server) = self.servers.get_mut(&store.origin) else {
            return;
        };
        let think = server.think;
        let fault = server.next_fault();
        let one_way = self.path.as_ref().map_or(self.link.one_way(), |path| path.profile.one_way());
        let back = self.now + one_way + think;
        let whole = ByteRange::new(0, store.len);
        let lost = || failed(NetworkErrorKind::Connection, Remedy::Retry { after: None });
        flow.body = if server.ranges { flow.asked.until(store.len) } else { whole };
        if server.ranges && flow.body.is_empty() {
            let outcome = failed(NetworkErrorKind::Status(416), Remedy::GiveUp);
            self.learn_len_of(fetch);
            return self.later(back, Happening::Ended(fetch, outcome));
        }
        match fault {
            None => {}
            Some(Fault::Fail(remedy)) => {
                let outcome = failed(NetworkErrorKind::Status(503), remedy);
                return self.later(back, Happening::Ended(fetch, outcome));
            }
            Some(Fault::Cut(after)) => {
                flow.ending = (after < flow.body.len()).then(lost).or(flow.ending.clone());
            }
            Some(Fault::Short(_)) => {}
            Some(Fault::Stall(after)) if after < flow.body.len() => {
                flow.ending = None;
                let timed_out = failed(NetworkErrorKind::TimedOut, Remedy::Retry { after: None });
                self.agenda
                    .insert((back + IDLE, u64::MAX - fetch.0), Happening::Ended(fetch, timed_out));
            }
            Some(Fault::Stall(_)) => {}
        }
        if let Some(Fault::Cut(after) | Fault::Short(after) | Fault::Stall(after)) = fault {
            flow.body = flow.body.until(flow.body.start.saturating_add(after));
        }
        flow.shape = match (server.ranges, fault) {
            (false, _) => BodyShape::Whole,
            (true, Some(Fault::Short(_))) => BodyShape::Part(flow.body),
            (true, _) => BodyShape::Part(flow.asked.until(store.len)),
        };
        if fault == Some(Fault::Stall(0)) {
            return;
        }
        self.now_or_after(think, fetch);
    }

    /// The server begins to answer over that connection: with all of the body, or as much as it gives at once.
    pub(super) fn answer_as_limited(&mut self, fetch: FetchId, over: u64, body: ByteRange) {
        let origin = self.flows.get(&fetch).map(|flow| self.stores[&flow.resource].origin);
        let limit = origin.and_then(|origin| self.servers.get(&origin)?.limit);
        let first = limit.map_or(body, |limit| body.until(body.start + limit.bytes));
        self.answer_over(fetch, over, first);
        if let Some(limit) = limit {
            self.later(self.now + limit.each, Happening::More(fetch, first.end, limit));
        }
    }

    /// The server gives more of an answer that it holds down.
    pub(super) fn more(&mut self, fetch: FetchId, from: u64, limit: Limit) {
        let Some(flow) = self.flows.get(&fetch).filter(|flow| !flow.cancelled) else {
            return;
        };
        let rest = ByteRange::new(from, flow.body.end.max(from));
        if let Some(over) = flow.over.filter(|_| !rest.is_empty()) {
            let more = rest.until(from + limit.bytes);
            self.answer_more_over(fetch, over, more);
            self.later(self.now + limit.each, Happening::More(fetch, more.end, limit));
        }
    }

    fn now_or_after(&mut self, think: Micros, fetch: FetchId) {
        if think == Micros(0) {
            return self.answer(fetch);
        }
        self.later(self.now + think, Happening::Answer(fetch));
    }
}
