//! A path as it really is: packets, one bottleneck queue limited in bytes, connections with windows of their
//! own, pools of idle ones.
//!
//! Opt-in by `Sim::profile`. The model follows the emulator on which the figures of the papers are measured: a
//! packet is dropped if it does not fit into what waits in front of the rate; otherwise it leaves when all
//! before it have, and is there half a round trip later. Acks and requests go the other way likewise, but
//! never meet a full queue.
//!
//! | file | knows |
//! |---|---|
//! | `profile` | the links and protocols there are |
//! | `sender` | how much may be on its way: slow start, losses, idle times |
//! | `connection` | one connection, both its ends: what waits, what flies, what was lost, what came |
//! | `pool` | which connection a request gets, and what becomes of it |
//! | `wire` | the events in between |

mod connection;
mod pool;
mod profile;
mod sender;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;

use crate::ids::{Lane, OriginId};
use crate::sched::retry::Rng;
use crate::time::Micros;

use connection::{Connection, Payload};
use pool::Pool;
pub(crate) use profile::{LinkProfile, Protocol};

/// Payload of a full packet: an Ethernet frame less the headers of IP and TCP with timestamps.
pub(crate) const PACKET: u64 = 1448;
/// Those headers.
const HEADERS: u64 = 52;
/// A request with the usual headers.
const REQUEST: u64 = 300;
/// An answer's head.
const HEAD: u64 = 300;

/// What happens on a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire {
    /// One more message of the connection's greeting is at the server.
    Greeting(u64),
    /// Its answer is back.
    Greeted(u64),
    /// A packet is at the client.
    Packet { connection: u64, order: u64, number: u64, payload: Payload },
    /// The client's program reads what came.
    Read(u64),
    /// The server hears that the packet sent as that one has come.
    Ack { connection: u64, order: u64 },
    /// The server has heard nothing for long.
    Timer(u64),
    /// The server hears that the connection is gone.
    Closed(u64),
    /// The server hears that nobody wants that answer any more.
    Reset { connection: u64, fetch: crate::ids::FetchId },
}

/// The path, and all connections over it.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) profile: LinkProfile,
    rng: Rng,
    /// When the last packet so far will have left towards the client, in nanoseconds.
    down_free: u64,
    /// The same towards the server.
    up_free: u64,
    connections: BTreeMap<u64, Connection>,
    pools: BTreeMap<(OriginId, Lane), Pool>,
    named: u64,
    /// Bytes that went through the bottleneck towards the client, headers included.
    pub(super) carried: u64,
    /// Packets that did.
    pub(super) packets: u64,
    /// Packets that did not, because the queue was full.
    pub(super) dropped: u64,
    /// Packets that were lost without any reason.
    pub(super) vanished: u64,
}

impl Path {
    /// A path with nothing on it.
    pub(super) fn new(profile: LinkProfile, seed: u64) -> Self {
        Self {
            profile,
            rng: Rng::new(seed),
            down_free: 0,
            up_free: 0,
            connections: BTreeMap::new(),
            pools: BTreeMap::new(),
            named: 0,
            carried: 0,
            packets: 0,
            dropped: 0,
            vanished: 0,
        }
    }

    /// Whether one connection carries all requests of a lane at once.
    pub(super) fn is_multiplexed(&self) -> bool {
        self.profile.protocol == Protocol::Http2
    }

    /// When a packet with so many bytes of payload that is sent to the client now is there, if ever.
    fn down(&mut self, now: Micros, payload: u64) -> Option<Micros> {
        let (bytes, rate) = (payload + HEADERS, self.profile.bytes_per_second());
        let start = self.down_free.max(now.0 * 1000);
        let waiting = u128::from(start - now.0 * 1000) * u128::from(rate) / 1_000_000_000;
        if waiting as u64 + bytes > self.profile.queue {
            self.dropped += 1;
            return None;
        }
        if self.is_lost() {
            self.vanished += 1;
            return None;
        }
        self.down_free = start + bytes * 1_000_000_000 / rate;
        self.carried += bytes;
        self.packets += 1;
        Some(Micros(self.down_free / 1000) + self.profile.one_way())
    }

    /// When so many bytes that are sent to the server now are there.
    fn up(&mut self, now: Micros, payload: u64) -> Micros {
        let start = self.up_free.max(now.0 * 1000);
        self.up_free = start + (payload + HEADERS) * 8000 / self.profile.up;
        Micros(self.up_free / 1000) + self.profile.one_way()
    }

    /// The same for a request: it may have to be sent twice.
    fn up_surely(&mut self, now: Micros, payload: u64) -> Micros {
        let there = self.up(now, payload);
        // A lost last packet is probed for after two round trips, and 200 ms where it is the only one.
        let again = Micros(2 * self.profile.round_trip.0 + 200_000);
        if self.is_lost() { there + again } else { there }
    }

    fn is_lost(&mut self) -> bool {
        self.profile.loss > 0 && self.rng.next() % 1_000_000 < self.profile.loss
    }

    /// Bytes that wait in front of the bottleneck.
    pub(super) fn queued(&self, now: Micros) -> u64 {
        let waiting = self.down_free.saturating_sub(now.0 * 1000);
        (u128::from(waiting) * u128::from(self.profile.bytes_per_second()) / 1_000_000_000) as u64
    }
}
