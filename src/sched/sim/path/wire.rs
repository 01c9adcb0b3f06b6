//! What happens on a path: greetings, packets, acks, timers, goodbyes.

use crate::byte_range::ByteRange;
use crate::ids::FetchId;
use crate::sched::sim::path::connection::{Flying, Payload};
use crate::sched::sim::path::{Path, Wire};
use crate::sched::sim::policy::Policy;
use crate::sched::sim::{Happening, Sim};
use crate::time::Micros;

/// From a packet's arrival until the program has it: what comes within that time is read at once.
const READS_AFTER: Micros = Micros(250);
/// A lost greeting is repeated after a second.
const GREETS_AGAIN: Micros = Micros::from_millis(1000);
/// A message of a greeting.
const GREETING: u64 = 60;

impl<P: Policy> Sim<P> {
    pub(in crate::sched::sim) fn wire(&mut self, wire: Wire) {
        match wire {
            Wire::Greeting(id) => self.greeting(id),
            Wire::Greeted(id) => self.greeted(id),
            Wire::Packet { connection, order, number, payload } => {
                self.packet(connection, order, number, payload);
            }
            Wire::Read(id) => self.read_inbox(id),
            Wire::Ack { connection, order } => self.heard(connection, order),
            Wire::Timer(id) => self.alarm(id),
            Wire::Closed(id) => {
                if let Some(path) = &mut self.path {
                    path.connections.remove(&id);
                }
            }
            Wire::Reset { connection, fetch } => {
                if let Some(one) = self.connection(connection) {
                    one.reset(fetch);
                }
            }
        }
    }

    fn connection(&mut self, id: u64) -> Option<&mut super::Connection> {
        self.path.as_mut()?.connections.get_mut(&id)
    }

    /// The client says a word of its greeting.
    pub(in crate::sched::sim) fn greet(&mut self, id: u64) {
        let now = self.now;
        if let Some(path) = self.path.as_mut().filter(|path| path.connections.contains_key(&id)) {
            let there = path.up_surely(now, GREETING);
            self.later(there, Happening::Wire(Wire::Greeting(id)));
        }
    }

    fn greeting(&mut self, id: u64) {
        let now = self.now;
        let Some(path) = self.path.as_mut().filter(|path| path.connections.contains_key(&id))
        else {
            return;
        };
        match path.down(now, GREETING) {
            Some(back) => self.later(back, Happening::Wire(Wire::Greeted(id))),
            None => self.later(now + GREETS_AGAIN, Happening::Wire(Wire::Greeting(id))),
        }
    }

    fn greeted(&mut self, id: u64) {
        let Some(one) = self.connection(id) else {
            return;
        };
        one.greetings = one.greetings.saturating_sub(1);
        let (left, key) = (one.greetings, (one.origin, one.lane));
        if left > 0 {
            self.greet(id);
        } else if !self.spare_opened(key, id) {
            self.is_free(id);
        }
    }

    /// The server has an answer.
    pub(in crate::sched::sim) fn answer_over(&mut self, fetch: FetchId, id: u64, body: ByteRange) {
        if let Some(one) = self.connection(id) {
            one.answer(fetch, body);
        }
        self.transmit(id);
    }

    /// The server has more of an answer.
    pub(in crate::sched::sim) fn answer_more_over(
        &mut self,
        fetch: FetchId,
        id: u64,
        more: ByteRange,
    ) {
        if let Some(one) = self.connection(id) {
            one.answer_more(fetch, more);
        }
        self.transmit(id);
    }

    /// Sends what the window allows.
    fn transmit(&mut self, id: u64) {
        while let Some((number, payload)) = self.connection(id).and_then(|one| one.next_packet()) {
            self.send_packet(id, number, payload);
        }
    }

    fn send_packet(&mut self, id: u64, number: u64, payload: Payload) {
        let now = self.now;
        let Some(path) = &mut self.path else {
            return;
        };
        let there = path.down(now, payload.len());
        let Some(one) = path.connections.get_mut(&id) else {
            return;
        };
        one.sender.sending(now, one.flying.len());
        let order = one.order;
        one.order += 1;
        one.flying.insert(order, Flying { number, payload, at: now });
        if let Some(there) = there {
            let packet = Wire::Packet { connection: id, order, number, payload };
            self.later(there, Happening::Wire(packet));
        }
        self.wind_up(id);
    }

    /// From now on silence is counted.
    fn wind_up(&mut self, id: u64) {
        let now = self.now;
        let Some(one) = self.connection(id) else {
            return;
        };
        let alone = if one.flying.len() == 1 { Micros::from_millis(200) } else { Micros(0) };
        let patience = match one.alarms {
            // First the last packet is sent again, to hear what is missing.
            0 => Micros(2 * one.sender.round_trip().0) + alone,
            n => Micros(one.sender.timeout().0 << n.min(6)),
        };
        one.due = now + patience;
        if !std::mem::replace(&mut one.timer, true) {
            self.later(now + patience, Happening::Wire(Wire::Timer(id)));
        }
    }

    fn alarm(&mut self, id: u64) {
        let now = self.now;
        let Some(one) = self.connection(id) else {
            return;
        };
        one.timer = false;
        if one.flying.is_empty() {
            return;
        }
        if one.due > now {
            one.timer = true;
            let due = one.due;
            return self.later(due, Happening::Wire(Wire::Timer(id)));
        }
        one.alarms += 1;
        if one.alarms == 1 {
            if let Some((_, last)) = one.flying.pop_last() {
                self.send_packet(id, last.number, last.payload);
            }
            return;
        }
        one.sender.timed_out();
        one.give_up();
        self.transmit(id);
    }

    /// A packet is at the client: it is acknowledged at once, and read a moment later.
    fn packet(&mut self, id: u64, order: u64, number: u64, payload: Payload) {
        let now = self.now;
        let Some(path) = &mut self.path else {
            return;
        };
        if path.connections.get(&id).is_none_or(|one| one.closed) {
            return;
        }
        let heard = path.up(now, 0);
        self.later(heard, Happening::Wire(Wire::Ack { connection: id, order }));
        if let Some(one) = self.connection(id)
            && one.came(number, payload)
            && !std::mem::replace(&mut one.reading, true)
        {
            self.later(now + READS_AFTER, Happening::Wire(Wire::Read(id)));
        }
    }

    fn heard(&mut self, id: u64, order: u64) {
        let now = self.now;
        let Some(one) = self.connection(id) else {
            return;
        };
        if let Some(took) = one.acked(now, order) {
            one.alarms = 0;
            let next = one.order;
            one.sender.acked(now, took, order, next);
            self.wind_up(id);
        }
        self.transmit(id);
    }

    /// The program reads: neighbouring bytes of one body come as one piece.
    fn read_inbox(&mut self, id: u64) {
        if let Some(one) = self.connection(id) {
            one.reading = false;
        }
        let mut piece: Option<(FetchId, ByteRange)> = None;
        while let Some(payload) = self.next_payload(id) {
            match (payload, &mut piece) {
                (Payload::Body(fetch, range), Some((of, whole)))
                    if *of == fetch && whole.end == range.start =>
                {
                    whole.end = range.end;
                }
                (Payload::Body(fetch, range), _) => {
                    self.read_piece(piece.replace((fetch, range)));
                }
                (Payload::Head(fetch), _) => {
                    self.read_piece(piece.take());
                    self.head(fetch);
                }
            }
        }
        self.read_piece(piece);
        // The window that an unread body had closed may be open again.
        self.transmit(id);
    }

    fn next_payload(&mut self, id: u64) -> Option<Payload> {
        let flows = &self.flows;
        let leave = |fetch| flows.get(&fetch).is_some_and(|flow| flow.paused);
        let one = self.path.as_mut()?.connections.get_mut(&id).filter(|one| !one.closed)?;
        one.read(leave)
    }

    fn read_piece(&mut self, piece: Option<(FetchId, ByteRange)>) {
        if let Some((fetch, range)) = piece {
            self.deliver(fetch, range);
        }
    }

    /// The program reads on where it had stopped.
    pub(in crate::sched::sim) fn read_on(&mut self, id: u64) {
        if let Some(one) = self.connection(id)
            && !std::mem::replace(&mut one.reading, true)
        {
            self.later(self.now, Happening::Wire(Wire::Read(id)));
        }
    }
}

impl Path {
    /// What every connection may have on its way now, in packets.
    #[cfg(test)]
    pub(super) fn windows(&self) -> Vec<usize> {
        self.connections.values().map(|one| one.sender.window()).collect()
    }
}
