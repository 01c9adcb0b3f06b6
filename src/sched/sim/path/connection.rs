//! One connection, both its ends: answers waiting to be sent, packets on their way, what came.
//!
//! Every packet is acknowledged by itself, as with selective acks. One is taken for lost when three sent later
//! have come, or one sent a quarter of a round trip later. The client hands on what came in order only: what
//! follows a lost packet waits for it.

use std::collections::{BTreeMap, VecDeque};

use crate::byte_range::ByteRange;
use crate::ids::{FetchId, Lane, OriginId};
use crate::sched::sim::path::sender::Sender;
use crate::sched::sim::path::{HEAD, PACKET};
use crate::time::Micros;

/// Packets sent later that have to come before one is taken for lost.
const REORDERED: u64 = 3;
/// What the receiving machine buffers for a program that does not read: a few megabytes, as systems have it.
const RECEIVE_BUFFER: u64 = 3 << 20;

/// What one packet brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sched::sim) enum Payload {
    /// The head of an answer.
    Head(FetchId),
    /// Bytes of a body.
    Body(FetchId, ByteRange),
}

impl Payload {
    /// Its answer.
    pub(super) fn fetch(&self) -> FetchId {
        match self {
            Self::Head(fetch) | Self::Body(fetch, _) => *fetch,
        }
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Head(_) => HEAD,
            Self::Body(_, range) => range.len(),
        }
    }
}

/// A packet on its way, known by the order in which it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flying {
    /// Its number: the same when it is sent again.
    pub(super) number: u64,
    pub(super) payload: Payload,
    pub(super) at: Micros,
}

/// One connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) origin: OriginId,
    pub(super) lane: Lane,
    /// Round trips until it is open.
    pub(super) greetings: u32,
    /// Requests it ever carried.
    pub(super) carried: u64,
    pub(super) last_used: Micros,
    /// Whether it was made before any request needed it.
    pub(super) spare: bool,
    /// The client is gone.
    pub(super) closed: bool,

    pub(super) sender: Sender,
    /// Answers, in the order of their turns: an HTTP/2 server sends a packet of each.
    answers: VecDeque<(Option<Payload>, FetchId, ByteRange)>,
    /// Numbers that are to be sent again.
    lost: VecDeque<(u64, Payload)>,
    pub(super) flying: BTreeMap<u64, Flying>,
    /// Order of the next packet.
    pub(super) order: u64,
    numbered: u64,
    /// When silence has lasted too long.
    pub(super) due: Micros,
    pub(super) timer: bool,
    /// How often it has been too long since the last ack.
    pub(super) alarms: u32,

    expected: u64,
    held: BTreeMap<u64, Payload>,
    /// What came and was not read yet.
    pub(super) inbox: VecDeque<Payload>,
    pub(super) reading: bool,
    unread: u64,
}

impl Connection {
    /// A connection that is not open yet.
    pub(super) fn new(
        (origin, lane): (OriginId, Lane),
        greetings: u32,
        round_trip: Micros,
    ) -> Self {
        Self {
            origin,
            lane,
            greetings,
            carried: 0,
            last_used: Micros(0),
            spare: false,
            closed: false,
            sender: Sender::new(round_trip),
            answers: VecDeque::new(),
            lost: VecDeque::new(),
            flying: BTreeMap::new(),
            order: 0,
            numbered: 0,
            due: Micros(0),
            timer: false,
            alarms: 0,
            expected: 0,
            held: BTreeMap::new(),
            inbox: VecDeque::new(),
            reading: false,
            unread: 0,
        }
    }

    /// The server has an answer to send.
    pub(super) fn answer(&mut self, fetch: FetchId, body: ByteRange) {
        self.answers.push_back((Some(Payload::Head(fetch)), fetch, body));
    }

    /// It has more of one that it had begun with.
    pub(super) fn answer_more(&mut self, fetch: FetchId, more: ByteRange) {
        self.answers.push_back((None, fetch, more));
    }

    /// Nothing more of that answer is sent. What was, comes.
    pub(super) fn reset(&mut self, fetch: FetchId) {
        self.answers.retain(|(_, id, _)| *id != fetch);
    }

    /// What goes out next, if anything may: its number and what it brings.
    pub(super) fn next_packet(&mut self) -> Option<(u64, Payload)> {
        if self.flying.len() >= self.sender.window() {
            return None;
        }
        if let Some(again) = self.lost.pop_front() {
            return Some(again);
        }
        if self.unread + self.flying.len() as u64 * PACKET >= RECEIVE_BUFFER {
            return None;
        }
        let (head, fetch, mut body) = self.answers.pop_front()?;
        let payload = head.unwrap_or_else(|| {
            let piece = body.until(body.start + PACKET);
            body = ByteRange::new(piece.end, body.end);
            Payload::Body(fetch, piece)
        });
        if !body.is_empty() {
            self.answers.push_back((None, fetch, body));
        }
        self.numbered += 1;
        Some((self.numbered - 1, payload))
    }

    /// The packet sent as `order` has come. Returns how long that took, if it is news.
    pub(super) fn acked(&mut self, now: Micros, order: u64) -> Option<Micros> {
        let packet = self.flying.remove(&order)?;
        let slack = Micros(self.sender.round_trip().0 / 4);
        let is_lost = |(sent, other): (&u64, &Flying)| {
            (sent + REORDERED <= order || other.at + slack < packet.at).then_some(*sent)
        };
        let gone: Vec<u64> = self.flying.range(..order).filter_map(is_lost).collect();
        if !gone.is_empty() {
            self.sender.lost(self.order);
        }
        for sent in gone {
            self.send_again(sent);
        }
        Some(now.since(packet.at))
    }

    fn send_again(&mut self, order: u64) {
        if let Some(packet) = self.flying.remove(&order) {
            self.lost.push_back((packet.number, packet.payload));
        }
    }

    /// Everything on its way is taken for lost.
    pub(super) fn give_up(&mut self) {
        let all: Vec<u64> = self.flying.keys().copied().collect();
        for order in all {
            self.send_again(order);
        }
    }

    /// A packet came. Whether the client now has something more to read.
    pub(super) fn came(&mut self, number: u64, payload: Payload) -> bool {
        if number >= self.expected {
            self.held.insert(number, payload);
        }
        let before = self.inbox.len();
        while let Some(payload) = self.held.remove(&self.expected) {
            self.expected += 1;
            self.unread += payload.len();
            self.inbox.push_back(payload);
        }
        self.inbox.len() > before
    }

    /// Takes the oldest of what came, unless `leave` says that it stays unread.
    pub(super) fn read(&mut self, leave: impl Fn(FetchId) -> bool) -> Option<Payload> {
        let at = self.inbox.iter().position(|payload| !leave(payload.fetch()))?;
        let payload = self.inbox.remove(at)?;
        self.unread -= payload.len();
        Some(payload)
    }
}
