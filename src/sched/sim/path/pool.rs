//! Which connection a request gets, and what becomes of the connection.
//!
//! As the HTTP clients of the engine have it: one pool for each lane and origin; the connection that was idle
//! last goes first; a request that finds none makes one, and takes whichever is there first, the new one or
//! one that has become idle meanwhile.

use std::collections::VecDeque;

use crate::connection::ConnectionUse;
use crate::ids::{FetchId, Lane, OriginId};

use crate::sched::sim::path::connection::Connection;
use crate::sched::sim::path::{Path, Protocol, Wire};
use crate::sched::sim::policy::Policy;
use crate::sched::sim::{Happening, Sim};
use crate::time::Micros;

/// How long an idle connection is kept.
const KEPT: Micros = Micros::from_millis(55_000);

/// The connections of one lane to one origin.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    /// Idle ones (HTTP/2: the one that is open), the last used at the end.
    idle: Vec<u64>,
    /// Those that are not open yet.
    greeting: Vec<u64>,
    /// Requests without a connection.
    waiting: VecDeque<FetchId>,
}

impl Path {
    fn checkout(&mut self, key: (OriginId, Lane), now: Micros) -> Option<u64> {
        let connections = &self.connections;
        let fresh = |id: &u64| {
            connections.get(id).is_some_and(|one| !one.closed && now.since(one.last_used) <= KEPT)
        };
        let pool = self.pools.entry(key).or_default();
        match self.profile.protocol {
            Protocol::Http1 => {
                pool.idle.retain(fresh);
                pool.idle.pop()
            }
            Protocol::Http2 => pool.idle.last().copied(),
        }
    }

    /// A new connection. It says its first word at once.
    fn connect(&mut self, key: (OriginId, Lane)) -> u64 {
        let id = self.connect_apart(key);
        self.pools.entry(key).or_default().greeting.push(id);
        id
    }

    /// A new connection that the pool does not know of.
    pub(in crate::sched::sim) fn connect_apart(&mut self, key: (OriginId, Lane)) -> u64 {
        self.named += 1;
        let id = self.named;
        let profile = self.profile;
        let new = Connection::new(key, profile.handshake, profile.round_trip);
        self.connections.insert(id, new);
        id
    }

    fn forget(&mut self, id: u64) {
        for pool in self.pools.values_mut() {
            pool.idle.retain(|one| *one != id);
            pool.greeting.retain(|one| *one != id);
        }
    }
}

impl<P: Policy> Sim<P> {
    /// Gives `fetch` a connection, now or later.
    pub(in crate::sched::sim) fn find_connection(&mut self, fetch: FetchId, key: (OriginId, Lane)) {
        let now = self.now;
        let Some(path) = &mut self.path else {
            return;
        };
        if let Some(id) = path.checkout(key, now) {
            return self.carry(fetch, id);
        }
        let spare = self.take_spare(key);
        let Some(path) = &mut self.path else {
            return;
        };
        let pool = path.pools.entry(key).or_default();
        if let Some((id, open)) = spare.and_then(|spare| Some((spare.connection?, spare.open))) {
            if let Some(one) = path.connections.get_mut(&id) {
                one.spare = true;
            }
            if open {
                return self.carry(fetch, id);
            }
            pool.greeting.push(id);
            pool.waiting.push_back(fetch);
            return;
        }
        pool.waiting.push_back(fetch);
        if path.profile.protocol == Protocol::Http2 && !pool.greeting.is_empty() {
            return;
        }
        let id = path.connect(key);
        self.counts.connections += 1;
        self.greet(id);
    }

    /// The request goes out over that connection.
    fn carry(&mut self, fetch: FetchId, id: u64) {
        let now = self.now;
        let Some(path) = &mut self.path else {
            return;
        };
        let there = path.up_surely(now, super::REQUEST);
        if let (Some(flow), Some(one)) = (self.flows.get_mut(&fetch), path.connections.get_mut(&id))
        {
            flow.connection = match (one.carried, one.spare) {
                (0, false) => ConnectionUse::New,
                (0, true) => ConnectionUse::Spare,
                _ => ConnectionUse::Reused,
            };
            flow.over = Some(id);
            one.carried += 1;
        }
        self.later(there, Happening::Arrived(fetch));
    }

    /// A connection is open, or free again: whoever waits longest gets it.
    pub(in crate::sched::sim) fn is_free(&mut self, id: u64) {
        let now = self.now;
        let Some(path) = &mut self.path else {
            return;
        };
        let shared = path.profile.protocol == Protocol::Http2;
        let Some(one) = path.connections.get_mut(&id).filter(|one| !one.closed) else {
            return;
        };
        one.last_used = now;
        let pool = path.pools.entry((one.origin, one.lane)).or_default();
        pool.greeting.retain(|other| *other != id);
        let turns = if shared { pool.waiting.len() } else { 1 };
        let first: Vec<FetchId> = pool.waiting.drain(..turns.min(pool.waiting.len())).collect();
        if (shared || first.is_empty()) && !pool.idle.contains(&id) {
            pool.idle.push(id);
        }
        for fetch in first {
            self.carry(fetch, id);
        }
    }

    /// The client wants nothing more of `fetch`: an HTTP/1.1 connection goes with it.
    pub(in crate::sched::sim) fn abandon(&mut self, fetch: FetchId) {
        let now = self.now;
        let over = self.flows.get(&fetch).and_then(|flow| flow.over);
        let Some(path) = &mut self.path else {
            return;
        };
        let Some(id) = over else {
            return Self::stop_waiting(path, fetch);
        };
        let there = path.up(now, 0);
        let wire = match path.profile.protocol {
            Protocol::Http1 => {
                path.forget(id);
                if let Some(one) = path.connections.get_mut(&id) {
                    one.closed = true;
                }
                Wire::Closed(id)
            }
            Protocol::Http2 => Wire::Reset { connection: id, fetch },
        };
        self.later(there, Happening::Wire(wire));
    }

    /// It had no connection yet. One that was being made for it is given up.
    fn stop_waiting(path: &mut Path, fetch: FetchId) {
        let Some(pool) = path.pools.values_mut().find(|pool| pool.waiting.contains(&fetch)) else {
            return;
        };
        pool.waiting.retain(|other| *other != fetch);
        if pool.greeting.len() > pool.waiting.len()
            && path.profile.protocol == Protocol::Http1
            && let Some(id) = pool.greeting.pop()
        {
            path.connections.remove(&id);
        }
    }
}
