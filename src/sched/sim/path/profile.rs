//! What a path between client and server is like.

use crate::time::Micros;

/// What is spoken over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// One answer at a time on each connection; to stop one costs its connection.
    Http1,
    /// One connection for each lane, its window shared by all streams; to stop one costs what is on its way.
    Http2,
}

/// A path: per-packet delay, a rate each way, one queue limited in bytes in front of the client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LinkProfile {
    /// What it is called.
    pub(crate) name: &'static str,
    /// There and back, without queues.
    pub(crate) round_trip: Micros,
    /// Bits per second towards the client, in millions.
    pub(crate) down: u64,
    /// Bits per second towards the server, in millions.
    pub(crate) up: u64,
    /// Bytes that fit into the queue in front of the rate towards the client; what comes then is dropped.
    pub(crate) queue: u64,
    /// Packets lost without any reason, per million, each way.
    pub(crate) loss: u64,
    /// Round trips before the first request of a connection: 1 for TCP, 1 or 2 more for TLS 1.3 or 1.2.
    pub(crate) handshake: u32,
    /// What is spoken.
    pub(crate) protocol: Protocol,
}

impl LinkProfile {
    /// 40 ms, 50 Mbit/s, 256 KiB: a good home link.
    pub(crate) const A: Self = Self::plain("A", 40, (50, 20), 256);
    /// 10 ms, 200 Mbit/s, 256 KiB: fibre, and a server nearby.
    pub(crate) const B: Self = Self::plain("B", 10, (200, 50), 256);
    /// 120 ms, 20 Mbit/s, 256 KiB: another continent.
    pub(crate) const C: Self = Self::plain("C", 120, (20, 5), 256);
    /// 200 ms, 100 Mbit/s, 1 MiB, one packet of a thousand lost: far, and through the air.
    pub(crate) const D: Self = Self { loss: 1000, ..Self::plain("D", 200, (100, 20), 1024) };
    /// 200 ms, 200 Mbit/s, 1 MiB: far, and more on its way than one connection may have. For full speed alone.
    pub(crate) const F: Self = Self::plain("F", 200, (200, 50), 1024);
    /// All of them that players are measured on.
    pub(crate) const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    const fn plain(name: &'static str, round_trip: u64, rate: (u64, u64), queue: u64) -> Self {
        let (round_trip, (down, up)) = (Micros::from_millis(round_trip), rate);
        let (queue, loss, handshake) = (queue << 10, 0, 1);
        Self { name, round_trip, down, up, queue, loss, handshake, protocol: Protocol::Http1 }
    }

    /// The same path with another protocol on it.
    pub(crate) const fn over(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// The same path, where so many round trips go by before the first request.
    pub(crate) const fn handshake(self, round_trips: u32) -> Self {
        Self { handshake: round_trips, ..self }
    }

    /// One way.
    pub(crate) fn one_way(&self) -> Micros {
        Micros(self.round_trip.0 / 2)
    }

    /// Bytes per second towards the client.
    pub(crate) fn bytes_per_second(&self) -> u64 {
        self.down * 125_000
    }

    /// What four plain downloads get together, in bytes per second: where packets are lost, that of four of curl's over the
    /// real link.
    pub(crate) fn four_downloads(&self) -> u64 {
        if self.loss > 0 { 2_840_000 } else { self.bytes_per_second() }
    }
}
