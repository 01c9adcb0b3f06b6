//! One direction of the link.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a direction is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// From the bottleneck to the end.
    pub(crate) delay: Duration,
    /// Rate of the bottleneck.
    pub(crate) bits_per_second: f64,
    /// What waits in front of it at most.
    pub(crate) queue_bytes: f64,
    /// Packets lost, of a million.
    pub(crate) loss_ppm: u64,
}

/// A packet on its way.
#[derive(Debug)]
struct Packet {
    due: Instant,
    data: Vec<u8>,
}

/// Where the next packet goes behind.
#[derive(Debug)]
struct Entry {
    /// When the bottleneck has sent all that was let in.
    free_at: Instant,
    /// State of the generator of losses.
    dice: u64,
}

/// A direction at work.
#[derive(Debug)]
pub(crate) struct Pipe {
    shape: Shape,
    entry: Mutex<Entry>,
    packets: Mutex<VecDeque<Packet>>,
    arrived: Condvar,
    carried: AtomicU64,
    dropped: AtomicU64,
}

impl Pipe {
    /// An empty one.
    pub(crate) fn new(shape: Shape) -> Self {
        let entry = Entry { free_at: Instant::now(), dice: 0x9E37_79B9_7F4A_7C15 };
        Self {
            shape,
            entry: Mutex::new(entry),
            packets: Mutex::default(),
            arrived: Condvar::new(),
            carried: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Bytes carried and packets dropped so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.carried.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }

    /// Takes a packet up now, or drops it.
    pub(crate) fn enter(&self, data: &[u8]) {
        let Some(sent) = self.admit(Instant::now(), data.len()) else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.carried.fetch_add(data.len() as u64, Ordering::Relaxed);
        let packet = Packet { due: sent + self.shape.delay, data: data.to_vec() };
        // A thread that panicked left the queue as it was.
        self.packets.lock().unwrap_or_else(PoisonError::into_inner).push_back(packet);
        self.arrived.notify_one();
    }

    /// When the bottleneck will have sent a packet of `len` bytes that comes at `now`; `None` if it is lost.
    fn admit(&self, now: Instant, len: usize) -> Option<Instant> {
        let mut entry = self.entry.lock().unwrap_or_else(PoisonError::into_inner);
        entry.free_at = entry.free_at.max(now);
        let waiting = (entry.free_at - now).as_secs_f64() * self.shape.bits_per_second / 8.0;
        entry.dice ^= entry.dice << 13;
        entry.dice ^= entry.dice >> 7;
        entry.dice ^= entry.dice << 17;
        let lost = entry.dice % 1_000_000 < self.shape.loss_ppm;
        if lost || waiting + len as f64 > self.shape.queue_bytes {
            return None;
        }
        entry.free_at += Duration::from_secs_f64(len as f64 * 8.0 / self.shape.bits_per_second);
        Some(entry.free_at)
    }

    /// Waits for the next packet to arrive at the other end.
    pub(crate) fn leave(&self) -> Vec<u8> {
        let mut packets = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(packet) = packets.pop_front() {
                drop(packets);
                thread::sleep(packet.due.saturating_duration_since(Instant::now()));
                return packet.data;
            }
            packets = self.arrived.wait(packets).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe(queue_bytes: f64, loss_ppm: u64) -> Pipe {
        // One byte takes one microsecond.
        let delay = Duration::from_millis(20);
        Pipe::new(Shape { delay, bits_per_second: 8e6, queue_bytes, loss_ppm })
    }

    #[test]
    fn packets_stand_in_line_and_the_line_is_bounded() {
        let pipe = pipe(2500.0, 0);
        let now = Instant::now() + Duration::from_secs(1);
        let sent = |len| pipe.admit(now, len).map(|at| (at - now).as_micros());
        assert_eq!(sent(1000), Some(1000));
        assert_eq!(sent(1000), Some(2000));
        assert_eq!(sent(1000), None, "no room for a third");
        assert_eq!(sent(500), Some(2500));
        let later = now + Duration::from_secs(1);
        let again = pipe.admit(later, 1000).map(|at| (at - later).as_micros());
        assert_eq!(again, Some(1000), "the line was empty again");
    }

    #[test]
    fn about_as_many_are_lost_as_shall_be() {
        let pipe = pipe(1e9, 100_000);
        let now = Instant::now() + Duration::from_secs(1);
        let lost = (0..10_000).filter(|_| pipe.admit(now, 1).is_none()).count();
        assert!((800..1200).contains(&lost), "{lost} of 10000");
    }
}
