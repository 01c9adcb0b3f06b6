//! What was received and not handed to the writer yet: many small chunks become one write.
//!
//! A slow link brings packets one by one. Each write costs three threads a turn (the writer's, the driver's, the
//! reader's), so those that come close upon each other go together; and while they come slowly nobody looks at the socket
//! meanwhile, which gathers them for less. What comes after a pause goes at once: neither the first byte of an answer nor a lone
//! packet ever waits. Nor does a byte that somebody waits for, unless that one was just given those before it (`driver::awaited`).
//!
//! Not here: receiving, the write budget (`fetch`).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

/// Longest time that received bytes wait for others, and shortest between two writes of less than [`ENOUGH`], in an answer
/// that is read through.
const TOGETHER: Duration = Duration::from_millis(5);
/// An answer that has brought so much is read through, in bytes; before that each chunk goes at once. A connection opens its window
/// meanwhile, which takes a round trip more where its socket is not read as bytes come.
const STEADY: u64 = 512 << 10;
/// So many bytes wait for no others.
const ENOUGH: usize = 64 << 10;
/// After writes of so many bytes, what comes is taken out of the socket as it comes: it would fill up.
const FAST: usize = 32 << 10;

/// Bytes in order, without a gap.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Where they belong.
    offset: u64,
    /// The only chunk, as it came.
    one: Bytes,
    /// All of them, once there are several.
    several: BytesMut,
    /// Until when others may follow the last that were taken.
    rest_until: Option<Instant>,
    /// How many were taken last, and ever.
    taken: (usize, u64),
}

impl Gathered {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.one.len() + self.several.len()
    }

    /// Whether `more` bytes are to come after those that are here have gone: copying them would cost more than a turn.
    pub(super) fn is_apart_from(&self, more: usize) -> bool {
        !self.is_empty() && self.len() + more > ENOUGH
    }

    /// `bytes` follow at `now`, which belong to `offset`. Whether all that is here is to go at once.
    pub(super) fn push(&mut self, now: Instant, offset: u64, bytes: Bytes) -> bool {
        if self.is_empty() {
            (self.offset, self.one) = (offset, bytes);
            return self.len() >= ENOUGH || self.rest_until.is_none_or(|until| until <= now);
        }
        debug_assert_eq!(self.offset + self.len() as u64, offset, "a gap");
        if self.several.is_empty() {
            self.several.reserve(ENOUGH);
            self.several.extend_from_slice(&std::mem::take(&mut self.one));
        }
        self.several.extend_from_slice(&bytes);
        self.len() >= ENOUGH
    }

    /// Whether the byte at `awaited` is here.
    pub(super) fn has(&self, awaited: Option<u64>) -> bool {
        awaited.is_some_and(|at| at >= self.offset && at - self.offset < self.len() as u64)
    }

    /// Whether the byte at `awaited` comes after them.
    pub(super) fn is_before(&self, awaited: Option<u64>) -> bool {
        awaited.is_some_and(|at| at >= self.offset + self.len() as u64)
    }

    /// When they are to go at the latest; `None` if there are none.
    pub(super) fn due(&self) -> Option<Instant> {
        self.rest_until.filter(|_| !self.is_empty())
    }

    /// Whether so little comes that it may stay in the socket until then.
    pub(super) fn is_slow(&self) -> bool {
        self.taken.0 < FAST
    }

    /// Takes them, at `now`, and where they belong.
    pub(super) fn take(&mut self, now: Instant) -> Option<(u64, Bytes)> {
        if self.is_empty() {
            return None;
        }
        self.taken = (self.len(), self.taken.1 + self.len() as u64);
        self.rest_until = (self.taken.1 >= STEADY).then(|| now + TOGETHER);
        let bytes = match self.several.is_empty() {
            true => std::mem::take(&mut self.one),
            false => self.several.split().freeze(),
        };
        Some((self.offset, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(len: usize) -> Bytes {
        Bytes::from(vec![7; len])
    }

    /// An answer that has brought so much that it is read through.
    fn steady(now: Instant) -> Gathered {
        let mut gathered = Gathered::default();
        gathered.push(now, 0, chunk(STEADY as usize));
        gathered.take(now);
        gathered
    }

    #[test]
    fn until_much_has_come_each_chunk_goes_at_once() {
        let (mut gathered, now) = (Gathered::default(), Instant::now());
        for offset in [100, 105, STEADY] {
            assert!(gathered.push(now, offset, Bytes::from_static(b"chunk")));
            assert_eq!(gathered.take(now), Some((offset, Bytes::from_static(b"chunk"))));
            assert_eq!(gathered.due(), None);
        }
    }

    #[test]
    fn then_those_that_come_close_upon_each_other_go_together() {
        let begun = Instant::now();
        let at = |micros| begun + Duration::from_micros(micros);
        let mut gathered = steady(at(0));
        assert!(!gathered.is_slow());
        assert!(!gathered.push(at(1), STEADY, Bytes::from_static(b"se")));
        assert!(!gathered.push(at(4999), STEADY + 2, Bytes::from_static(b"cond")));
        assert_eq!(gathered.due(), Some(at(5000)));
        assert_eq!(gathered.take(at(5100)), Some((STEADY, Bytes::from_static(b"second"))));
        assert!(gathered.is_slow());
        assert_eq!((gathered.due(), gathered.take(at(9000))), (None, None));
        assert!(gathered.push(at(10_100), STEADY + 6, Bytes::from_static(b"after a pause")));
    }

    #[test]
    fn much_at_once_waits_for_nothing_and_is_not_copied() {
        let now = Instant::now();
        let mut gathered = steady(now);
        assert!(!gathered.is_apart_from(ENOUGH));
        let much = chunk(ENOUGH);
        assert!(gathered.push(now, STEADY, much.clone()));
        assert_eq!(gathered.take(now).map(|(_, bytes)| bytes.as_ptr()), Some(much.as_ptr()));
        assert!(!gathered.push(now, 0, chunk(10)));
        assert!(!gathered.is_apart_from(ENOUGH - 10));
        assert!(gathered.is_apart_from(ENOUGH - 9));
    }
}
