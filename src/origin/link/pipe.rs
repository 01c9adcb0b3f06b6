//! One direction of the link, as a pure state machine: no clock, no socket.
//!
//! Every flow has a send buffer; segments move from there, one flow after the other, into one
//! bounded queue that all share, leave it at the rate of the link in the order of their coming,
//! and arrive half a round trip later. An arrived segment is acknowledged another half round trip
//! later, which lets a flow in slow start send more.
//!
//! Time is what `advance` is told, counted from the start of the link. Everything that fell due in between
//! happens at its own time, so rates are right however seldom somebody looks.
//!
//! Not here: loss (a full queue pushes back instead), retransmission, congestion control after slow
//! start.
//!
//! Invariants: `queued` is the sum over `queue`; a flow's `unsent_bytes`, `arrived_bytes` likewise;
//! `flying` and `acks` are ordered by time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::Link;

/// Payload of a segment, as over Ethernet.
pub(super) const SEGMENT: usize = 1448;

/// Window of a flow that begins or was idle: ten segments (RFC 6928).
const FIRST_WINDOW: u64 = 10 * SEGMENT as u64;

/// Largest window on a link without a rate.
const MAX_WINDOW: u64 = 16 * 1024 * 1024;

/// Arrived bytes that the far socket would not take; beyond it a flow stops, as by TCP's window.
const MAX_ARRIVED: u64 = 256 * 1024;

/// Number of a flow: that of its connection.
pub(super) type FlowId = u64;

/// What goes over the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// Bytes.
    Data(Bytes),
    /// Nothing more comes.
    Fin,
    /// Nothing more comes, and the connection is broken off.
    Reset,
}

impl Item {
    /// Bytes on the link; marks weigh nothing.
    fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Fin | Self::Reset => 0,
        }
    }
}

/// One direction of the link.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Bits per second; `u64::MAX`: no limit.
    rate: u64,
    /// From one end to the other.
    delay: Duration,
    /// What the queue holds, in bytes.
    room: u64,
    /// Whether flows begin slowly.
    slow_start: bool,
    /// Everything due until here has happened.
    now: Duration,
    /// Flows at both ends.
    flows: BTreeMap<FlowId, Flow>,
    /// Flows with something unsent, in the order of their turns.
    turns: VecDeque<FlowId>,
    /// In front of the bottleneck; the first is on its way through.
    queue: VecDeque<(FlowId, Item)>,
    /// Bytes in `queue`.
    queued: u64,
    /// When the first of `queue` is through.
    through: Option<Duration>,
    /// Behind the bottleneck, with the time of arrival.
    flying: VecDeque<(Duration, FlowId, Item)>,
    /// Acknowledged bytes, with the time at which the sender hears of it.
    acks: VecDeque<(Duration, FlowId, u64)>,
    /// Flows that may go on at one end or the other since `take_news`.
    news: BTreeSet<FlowId>,
    /// Bytes that went through the bottleneck so far.
    carried: u64,
}

/// One flow.
#[derive(Debug)]
struct Flow {
    /// Nothing is sent before: the handshake.
    opens: Duration,
    /// The send buffer.
    unsent: VecDeque<Item>,
    /// Bytes in `unsent`.
    unsent_bytes: u64,
    /// Sent and not acknowledged.
    in_flight: u64,
    /// The most that may be in flight.
    window: u64,
    /// The most that was in flight since nothing was.
    peak: u64,
    /// When something was sent last.
    last_sent: Duration,
    /// Arrived and not taken.
    arrived: VecDeque<Item>,
    /// Bytes in `arrived`.
    arrived_bytes: u64,
}

impl Pipe {
    /// A direction of `link` that carries `rate` bits per second.
    pub(super) fn new(link: &Link, rate: u64) -> Self {
        Self {
            rate: rate.max(1),
            delay: link.rtt / 2,
            room: link.queue_bytes,
            slow_start: link.slow_start,
            now: Duration::ZERO,
            flows: BTreeMap::new(),
            turns: VecDeque::new(),
            queue: VecDeque::new(),
            queued: 0,
            through: None,
            flying: VecDeque::new(),
            acks: VecDeque::new(),
            news: BTreeSet::new(),
            carried: 0,
        }
    }

    /// Becomes a direction of another `link`; what is on its way arrives as it would have.
    pub(super) fn reshape(&mut self, link: &Link, rate: u64) {
        self.rate = rate.max(1);
        self.delay = link.rtt / 2;
        self.room = link.queue_bytes;
        self.slow_start = link.slow_start;
    }

    /// Adds a flow that may send from `opens` on.
    pub(super) fn open(&mut self, id: FlowId, opens: Duration) {
        let flow = Flow {
            opens,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            in_flight: 0,
            window: FIRST_WINDOW,
            peak: 0,
            last_sent: opens,
            arrived: VecDeque::new(),
            arrived_bytes: 0,
        };
        self.flows.insert(id, flow);
    }

    /// Forgets a flow. What it has on the link still takes its place there.
    pub(super) fn close(&mut self, id: FlowId) {
        self.flows.remove(&id);
        self.news.insert(id);
    }

    /// Puts `item` into the flow's send buffer at time `now`.
    pub(super) fn send(&mut self, now: Duration, id: FlowId, item: Item) {
        self.advance(now);
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.unsent_bytes += item.len();
            flow.unsent.push_back(item);
            if flow.unsent.len() == 1 {
                self.turns.push_back(id);
            }
            self.admit();
        }
    }

    /// Bytes in the flow's send buffer; `None` if there is no such flow.
    pub(super) fn unsent(&self, id: FlowId) -> Option<u64> {
        self.flows.get(&id).map(|flow| flow.unsent_bytes)
    }

    /// Takes what has arrived first. The outer `None`: no such flow.
    pub(super) fn take(&mut self, id: FlowId) -> Option<Option<Item>> {
        let flow = self.flows.get_mut(&id)?;
        let item = flow.arrived.pop_front();
        if let Some(item) = &item {
            flow.arrived_bytes -= item.len();
            // Room at the far end may let the flow go on.
            self.admit();
        }
        Some(item)
    }

    /// The flows that may go on since the last call.
    pub(super) fn take_news(&mut self) -> BTreeSet<FlowId> {
        std::mem::take(&mut self.news)
    }

    /// Bytes that went through the bottleneck so far.
    pub(super) fn carried(&self) -> u64 {
        self.carried
    }

    /// Lets everything happen that is due until `now`.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some(due) = self.next_due().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            self.leave_queue();
            self.arrive();
            self.acknowledge();
            self.admit();
        }
        self.now = self.now.max(now);
    }

    /// When something happens next by itself.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let opens = self.turns.iter().filter_map(|id| self.flows.get(id)).map(|flow| flow.opens);
        [
            self.through,
            self.flying.front().map(|(at, ..)| *at),
            self.acks.front().map(|(at, ..)| *at),
            opens.filter(|opens| *opens > self.now).min(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The first of the queue is through the bottleneck.
    fn leave_queue(&mut self) {
        if self.through.is_none_or(|through| through > self.now) {
            return;
        }
        self.through = None;
        if let Some((id, item)) = self.queue.pop_front() {
            self.queued -= item.len();
            self.carried += item.len();
            self.flying.push_back((self.now + self.delay, id, item));
        }
    }

    /// What was long enough on its way arrives.
    fn arrive(&mut self) {
        while self.flying.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((at, id, item)) = self.flying.pop_front() else { break };
            self.acks.push_back((at + self.delay, id, item.len()));
            if let Some(flow) = self.flows.get_mut(&id) {
                flow.arrived_bytes += item.len();
                flow.arrived.push_back(item);
                self.news.insert(id);
            }
        }
    }

    /// Senders hear what has arrived.
    fn acknowledge(&mut self) {
        let largest = self.largest_window();
        while self.acks.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((_, id, bytes)) = self.acks.pop_front() else { break };
            if let Some(flow) = self.flows.get_mut(&id) {
                flow.in_flight = flow.in_flight.saturating_sub(bytes);
                // As in Linux: a window that is not half used doesn't grow.
                if flow.window < 2 * flow.peak {
                    flow.window = (flow.window + bytes).min(largest);
                }
            }
        }
    }

    /// What a flow can usefully have in flight: the link's own content and its queue.
    fn largest_window(&self) -> u64 {
        let on_link = u128::from(self.rate) * (self.delay * 2).as_nanos() / 8_000_000_000;
        let on_link = u64::try_from(on_link).unwrap_or(u64::MAX);
        on_link.saturating_add(self.room).clamp(FIRST_WINDOW, MAX_WINDOW)
    }

    /// Moves segments from send buffers into the queue, one of each flow in turn.
    fn admit(&mut self) {
        let mut in_vain = 0;
        while in_vain < self.turns.len() && (self.queued < self.room || self.queue.is_empty()) {
            let Some(id) = self.turns.pop_front() else { break };
            let Some(flow) = self.flows.get_mut(&id) else { continue };
            match flow.next_segment(self.now, self.delay * 2, self.slow_start) {
                Some(item) => {
                    in_vain = 0;
                    self.queued += item.len();
                    self.queue.push_back((id, item));
                    self.news.insert(id);
                }
                None => in_vain += 1,
            }
            if !flow.unsent.is_empty() {
                self.turns.push_back(id);
            }
        }
        if self.through.is_none()
            && let Some((_, item)) = self.queue.front()
        {
            let nanos = u128::from(item.len()) * 8_000_000_000 / u128::from(self.rate);
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
            self.through = Some(self.now + Duration::from_nanos(nanos));
        }
    }
}

impl Flow {
    /// Takes the next segment out of the send buffer, if the flow may send.
    fn next_segment(&mut self, now: Duration, rtt: Duration, slow_start: bool) -> Option<Item> {
        if self.opens > now || self.arrived_bytes >= MAX_ARRIVED {
            return None;
        }
        // As in Linux: a window is forgotten after an idle retransmission timeout.
        let timeout = rtt + Duration::from_millis(200);
        if self.in_flight == 0 && now.saturating_sub(self.last_sent) > timeout {
            self.window = FIRST_WINDOW;
        }
        let first = self.unsent.front_mut()?;
        let item = match first {
            Item::Data(bytes) => {
                let len = bytes.len().min(SEGMENT);
                if slow_start && self.in_flight + len as u64 > self.window {
                    return None;
                }
                let segment = Item::Data(bytes.split_to(len));
                if bytes.is_empty() {
                    self.unsent.pop_front();
                }
                segment
            }
            Item::Fin | Item::Reset => self.unsent.pop_front()?,
        };
        self.unsent_bytes -= item.len();
        if self.in_flight == 0 {
            self.peak = 0;
        }
        self.in_flight += item.len();
        self.peak = self.peak.max(self.in_flight);
        self.last_sent = now;
        Some(item)
    }
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
