//! What was received and not handed to the writer yet: many small chunks become one write, without being copied.
//!
//! A slow link brings packets one by one. Each write costs three threads a turn (the writer's, the driver's, the
//! reader's), so those that come close upon each other go together; and while they come slowly nobody looks at the socket
//! meanwhile, which gathers them for less. What comes after a pause goes at once: neither the first byte of an answer nor a lone
//! packet ever waits. Nor does a byte that somebody waits for, unless that one was just given those before it (`driver::awaited`).
//!
//! A fast link brings more before the last is written. There writes are large and end on a round offset, which file systems take
//! for half of what they ask for small ones between any two offsets; what lies behind that offset stays, as if it had come just now.
//!
//! Not here: receiving, the write budget (`fetch`).

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

/// Longest time that received bytes wait for others, and shortest between two writes of less than [`ENOUGH`], in an answer
/// that is read through.
const TOGETHER: Duration = Duration::from_millis(5);
/// An answer that has brought so much is read through, in bytes; before that only what is here already goes together. A connection opens its window
/// meanwhile, which takes a round trip more where its socket is not read as bytes come.
const STEADY: u64 = 512 << 10;
/// So many bytes wait for others no longer than that after the last write.
const ENOUGH: usize = 64 << 10;
/// See [`ENOUGH`]. A line that brings so many in that time brings [`MOST`] in a few of them.
const SOON: Duration = Duration::from_millis(1);
/// So many bytes wait for nothing.
const MOST: usize = 256 << 10;
/// Offsets where large writes end are multiples of so many bytes: at least as many stay together in the system's memory.
const ROUND: u64 = 64 << 10;
/// After writes of so many bytes, what comes is taken out of the socket as it comes: it would fill up.
const FAST: usize = 32 << 10;

/// Bytes in order, without a gap.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Where they belong.
    offset: u64,
    /// As they came, none empty.
    pieces: Vec<Bytes>,
    /// How many bytes.
    len: usize,
    /// When some were taken last.
    taken_at: Option<Instant>,
    /// How many were taken last, and ever.
    taken: (usize, u64),
}

/// How many bytes of those that are here are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    /// None yet.
    Wait,
    /// Those before the last round offset.
    Round,
    /// All.
    All,
}

impl Gathered {
    /// How many of them are to go.
    pub(super) fn part(&self, go: Go) -> usize {
        let end = self.offset + self.len as u64;
        match go {
            Go::Wait => 0,
            Go::All => self.len,
            // There is none between a round offset and the next.
            Go::Round => match (end - end % ROUND).saturating_sub(self.offset) {
                0 => self.len,
                // At most `len`.
                part => part as usize,
            },
        }
    }

    /// `bytes`, not empty, follow at `now`, which belong to `offset`.
    pub(super) fn push(&mut self, now: Instant, offset: u64, bytes: Bytes) -> Go {
        let alone = self.pieces.is_empty();
        if alone {
            self.offset = offset;
        }
        debug_assert_eq!(self.offset + self.len as u64, offset, "a gap");
        self.len += bytes.len();
        self.pieces.push(bytes);
        let most = if self.is_steady() { MOST } else { ENOUGH };
        match self.taken_at {
            None => Go::All,
            Some(_) if self.len >= most => Go::Round,
            Some(at) if alone && self.is_steady() && at + TOGETHER <= now => Go::All,
            Some(_) => Go::Wait,
        }
    }

    /// Whether the answer is read through.
    fn is_steady(&self) -> bool {
        self.taken.1 >= STEADY
    }

    /// What is to go at [`due`](Self::due).
    pub(super) fn go_when_due(&self) -> Go {
        if self.len >= ENOUGH { Go::Round } else { Go::All }
    }

    /// Whether the byte at `awaited` is here.
    pub(super) fn has(&self, awaited: Option<u64>) -> bool {
        awaited.is_some_and(|at| at >= self.offset && at - self.offset < self.len as u64)
    }

    /// Whether the byte at `awaited` comes after them.
    pub(super) fn is_before(&self, awaited: Option<u64>) -> bool {
        awaited.is_some_and(|at| at >= self.offset + self.len as u64)
    }

    /// When they are to go at the latest, if nothing else is here at once; `None` if there are none.
    pub(super) fn due(&self) -> Option<Instant> {
        let wait = match self.len {
            _ if !self.is_steady() => Duration::ZERO,
            ENOUGH.. => SOON,
            _ => TOGETHER,
        };
        self.taken_at.filter(|_| self.len > 0).map(|at| at + wait)
    }

    /// Whether so little comes that it may stay in the socket until then.
    pub(super) fn is_slow(&self) -> bool {
        self.is_steady() && self.taken.0 < FAST
    }

    /// Takes those that are to go, at `now`, and where they belong.
    pub(super) fn take(&mut self, now: Instant, go: Go) -> Option<(u64, Vec<Bytes>)> {
        let (offset, part) = (self.offset, self.part(go));
        if part == 0 {
            return None;
        }
        let rest = self.split_off(part);
        let pieces = std::mem::replace(&mut self.pieces, rest);
        self.offset += part as u64;
        self.len -= part;
        self.taken = (part, self.taken.1 + part as u64);
        self.taken_at = Some(now);
        Some((offset, pieces))
    }

    /// The pieces behind the first `part` bytes, which stay.
    fn split_off(&mut self, part: usize) -> Vec<Bytes> {
        let mut at = 0;
        for n in 0..self.pieces.len() {
            let piece = &mut self.pieces[n];
            at += piece.len();
            if at > part {
                let over = piece.split_off(piece.len() - (at - part));
                let mut rest = self.pieces.split_off(n + 1);
                rest.insert(0, over);
                return rest;
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(len: usize) -> Bytes {
        Bytes::from(vec![7; len])
    }

    /// What was taken: where it belongs, and all of it.
    fn text(taken: Option<(u64, Vec<Bytes>)>) -> (u64, Vec<u8>) {
        let (offset, pieces) = taken.expect("something was to go");
        (offset, pieces.concat())
    }

    /// An answer that has brought so much that it is read through.
    fn steady(now: Instant) -> Gathered {
        let mut gathered = Gathered::default();
        gathered.push(now, 0, chunk(STEADY as usize));
        gathered.take(now, Go::All);
        gathered
    }

    #[test]
    fn until_much_has_come_only_what_is_here_already_goes_together() {
        let (mut gathered, now) = (Gathered::default(), Instant::now());
        assert_eq!(gathered.push(now, 100, Bytes::from_static(b"first")), Go::All);
        assert_eq!(text(gathered.take(now, Go::All)), (100, b"first".to_vec()));
        assert_eq!(gathered.due(), None);
        for offset in [105, 110] {
            assert_eq!(gathered.push(now, offset, Bytes::from_static(b"chunk")), Go::Wait);
            assert_eq!((gathered.due(), gathered.go_when_due()), (Some(now), Go::All));
        }
        assert!(!gathered.is_slow(), "the socket is looked at");
        assert_eq!(text(gathered.take(now, Go::All)), (105, b"chunkchunk".to_vec()));
        assert_eq!(gathered.push(now, 115, chunk(ENOUGH)), Go::Round, "and no more than that");
    }

    #[test]
    fn then_those_that_come_close_upon_each_other_go_together() {
        let begun = Instant::now();
        let at = |micros| begun + Duration::from_micros(micros);
        let mut gathered = steady(at(0));
        assert!(!gathered.is_slow());
        assert_eq!(gathered.push(at(1), STEADY, Bytes::from_static(b"se")), Go::Wait);
        assert_eq!(gathered.push(at(4999), STEADY + 2, Bytes::from_static(b"cond")), Go::Wait);
        assert_eq!((gathered.due(), gathered.go_when_due()), (Some(at(5000)), Go::All));
        assert_eq!(text(gathered.take(at(5100), Go::All)), (STEADY, b"second".to_vec()));
        assert!(gathered.is_slow());
        assert_eq!((gathered.due(), gathered.take(at(9000), Go::All)), (None, None));
        let late = Bytes::from_static(b"after a pause");
        assert_eq!(gathered.push(at(10_100), STEADY + 6, late), Go::All);
    }

    #[test]
    fn much_waits_for_little_time_and_most_for_nothing() {
        let now = Instant::now();
        let mut gathered = steady(now);
        assert_eq!(gathered.push(now, STEADY, chunk(ENOUGH - 1)), Go::Wait);
        assert_eq!((gathered.due(), gathered.go_when_due()), (Some(now + TOGETHER), Go::All));
        assert_eq!(gathered.push(now, STEADY + ENOUGH as u64 - 1, chunk(1)), Go::Wait);
        assert_eq!((gathered.due(), gathered.go_when_due()), (Some(now + SOON), Go::Round));
        assert_eq!(gathered.push(now, STEADY + ENOUGH as u64, chunk(MOST - ENOUGH)), Go::Round);
    }

    #[test]
    fn no_byte_is_copied_and_what_lies_behind_a_round_offset_stays() {
        let now = Instant::now();
        let mut gathered = steady(now);
        let pieces = [chunk(MOST - 10), chunk(100), chunk(5)];
        let mut at = STEADY;
        for piece in &pieces {
            gathered.push(now, at, piece.clone());
            at += piece.len() as u64;
        }
        let (offset, taken) = gathered.take(now, Go::Round).expect("much");
        let seen: Vec<_> = taken.iter().map(|piece| (piece.as_ptr(), piece.len())).collect();
        assert_eq!(offset, STEADY);
        assert_eq!(seen, [(pieces[0].as_ptr(), MOST - 10), (pieces[1].as_ptr(), 10)]);
        assert_eq!(gathered.len, 95);
        assert!(gathered.has(Some(STEADY + MOST as u64)), "the rest is here");
        assert!(!gathered.has(Some(STEADY + MOST as u64 - 1)), "what has gone is not");
        assert_eq!(
            gathered.due(),
            Some(now + TOGETHER),
            "and waits for others no longer than they"
        );
        let (offset, taken) = gathered.take(now, Go::Round).expect("all, without a round offset");
        let seen: Vec<_> = taken.iter().map(|piece| (piece.as_ptr(), piece.len())).collect();
        assert_eq!(offset, STEADY + MOST as u64);
        assert_eq!(seen, [(pieces[1][10..].as_ptr(), 90), (pieces[2].as_ptr(), 5)]);
        assert_eq!(gathered.take(now, Go::All), None);
    }

    /// Pieces of any size, taken at any time, are the bytes that came, once and in order.
    #[test]
    fn whatever_the_sizes_the_bytes_come_out_as_they_came() {
        let now = Instant::now();
        let (mut gathered, mut at) = (steady(now), STEADY);
        let mut out = Vec::new();
        let mut noise: u64 = 1;
        for n in 0..4000_u64 {
            noise = noise.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let len = 1 + (noise >> 40) % 20_000;
            let bytes: Vec<u8> = (at..at + len).map(|at| (at ^ (at >> 7)) as u8).collect();
            let go = gathered.push(now, at, bytes.into());
            at += len;
            let go = if n % 100 == 99 { Go::All } else { go };
            if let Some(taken) = gathered.take(now, go) {
                let (offset, bytes) = text(Some(taken));
                assert_eq!(offset, STEADY + out.len() as u64);
                out.extend(bytes);
                assert!(go == Go::All || (STEADY + out.len() as u64).is_multiple_of(ROUND));
            }
        }
        assert_eq!(STEADY + (out.len() + gathered.len) as u64, at);
        assert!((STEADY..).zip(&out).all(|(at, byte)| *byte == (at ^ (at >> 7)) as u8));
    }
}
