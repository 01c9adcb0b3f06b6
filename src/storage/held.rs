//! Held: bytes that are kept in memory because their disk refuses them for now.
//!
//! They lie over the backend: what is held is read from here, everything else from there. Pages of a fixed size, each
//! with the bytes of it that are there. Its lock is its own; it is held while bytes are copied, never across I/O, and the
//! resource's lock is never held around it.
//!
//! Not here: which bytes count (`coverage`); when the disk is tried again, and how much may be held (`engine`).
//!
//! Invariants:
//! 1. a byte that is covered and not in the backend is held, from before it is covered until after it is not;
//! 2. a byte that the backend took is no longer held when it is covered by that, so that nothing old lies over it.

use std::collections::BTreeMap;

use crate::byte_range::ByteRange;
use crate::sync::{AtomicBool, Mutex, Ordering};

use super::coverage::Coverage;

/// Bytes in a page: small, since memory is given back by the page.
pub(crate) const PAGE: u64 = 64 * 1024;

/// One page.
#[derive(Debug)]
struct Page {
    bytes: Box<[u8]>,
    /// When it was last written to, by a counter.
    stamp: u64,
}

#[derive(Debug, Default)]
struct Pages {
    /// By number: page `n` holds bytes from `n * PAGE` on.
    pages: BTreeMap<u64, Page>,
    /// Which bytes are there.
    have: Coverage,
    stamps: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Whether there is anything: reads ask this first, and mostly nothing else. Whoever sees a byte covered that is
    /// held also sees this set, since it was set before, and the resource's lock lies between.
    any: AtomicBool,
    pages: Mutex<Pages>,
}

/// Where the bytes at a place are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// So many of them were held, and copied.
    Here(usize),
    /// So many of them are not held.
    Elsewhere(usize),
}

fn page_of(number: u64) -> ByteRange {
    ByteRange::at(number.saturating_mul(PAGE), PAGE)
}

/// The numbers of the pages that have a byte of `range`.
fn numbers(range: ByteRange) -> std::ops::Range<u64> {
    range.start / PAGE..range.end.div_ceil(PAGE)
}

impl Held {
    /// Whether anything may be held.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Memory taken up, in bytes.
    pub(crate) fn allocated(&self) -> u64 {
        self.pages.lock().pages.len() as u64 * PAGE
    }

    /// Holds `bytes` at `offset`; together they do not reach past the largest offset.
    pub(crate) fn put(&self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let range = ByteRange::at(offset, bytes.len() as u64);
        let mut pages = self.pages.lock();
        self.any.store(true, Ordering::Release);
        pages.have.insert(range);
        pages.stamps += 1;
        let stamp = pages.stamps;
        for number in numbers(range) {
            let part = page_of(number).intersect(range);
            let page = pages
                .pages
                .entry(number)
                .or_insert_with(|| Page { bytes: vec![0; PAGE as usize].into(), stamp });
            page.stamp = stamp;
            let (from, to) = ((part.start - offset) as usize, (part.end - offset) as usize);
            let at = (part.start % PAGE) as usize;
            page.bytes[at..at + (to - from)].copy_from_slice(&bytes[from..to]);
        }
    }

    /// Copies what is held at `offset`, at most to the end of its page and of `buf`, which is not empty.
    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Part {
        let range = ByteRange::at(offset, buf.len() as u64);
        let pages = self.pages.lock();
        let run = pages.have.run_from(offset).intersect(range).intersect(page_of(offset / PAGE));
        if run.is_empty() {
            let next = pages.have.parts_of(range).next().map_or(range.end, |part| part.start);
            return Part::Elsewhere((next - offset) as usize);
        }
        let Some(page) = pages.pages.get(&(offset / PAGE)) else {
            debug_assert!(false, "what is held has its page");
            return Part::Elsewhere(run.len() as usize);
        };
        let (at, n) = ((offset % PAGE) as usize, run.len() as usize);
        buf[..n].copy_from_slice(&page.bytes[at..at + n]);
        Part::Here(n)
    }

    /// `range` is no longer held.
    pub(crate) fn remove(&self, range: ByteRange) {
        if self.is_empty() {
            return;
        }
        let mut gone = Vec::new();
        let mut pages = self.pages.lock();
        if pages.have.remove(range) == 0 {
            return;
        }
        let touched: Vec<u64> = pages.pages.range(numbers(range)).map(|(n, _)| *n).collect();
        for number in touched {
            if pages.have.parts_of(page_of(number)).next().is_none() {
                gone.extend(pages.pages.remove(&number));
            }
        }
        self.any.store(!pages.pages.is_empty(), Ordering::Release);
        drop(pages);
        // Outside the lock: giving back many pages takes its time.
        drop(gone);
    }

    /// Nothing is held any more.
    pub(crate) fn clear(&self) {
        self.remove(ByteRange::new(0, u64::MAX));
    }

    /// What is held of the first page at or after `from`: where it is, and a copy of it.
    pub(crate) fn first_from(&self, from: u64) -> Option<(u64, Vec<u8>)> {
        let pages = self.pages.lock();
        let part = pages.have.parts_of(ByteRange::new(from, u64::MAX)).next()?;
        let part = part.intersect(page_of(part.start / PAGE));
        let page = pages.pages.get(&(part.start / PAGE))?;
        let at = (part.start % PAGE) as usize;
        Some((part.start, page.bytes[at..at + part.len() as usize].to_vec()))
    }

    /// What to give up so that no more than `most` bytes of memory are taken: the pages written longest ago. As long as there
    /// are others, none that lies in front of one of `wanted` by less than three quarters of that, since it may come once
    /// only; and last of all those that hold one of `wanted` or are the next after it.
    pub(crate) fn oldest_above(&self, most: u64, wanted: &[u64]) -> Vec<ByteRange> {
        let pages = self.pages.lock();
        let excess = pages.pages.len().saturating_sub((most / PAGE) as usize);
        let front = most / PAGE / 4 * 3;
        let rank = |number: u64| {
            let ahead = |at: &u64| match number.checked_sub(at / PAGE) {
                Some(0 | 1) => 2,
                Some(pages) if pages < front => 1,
                _ => 0,
            };
            wanted.iter().map(ahead).max().unwrap_or(0)
        };
        let mut all: Vec<(u8, u64, u64)> =
            pages.pages.iter().map(|(number, page)| (rank(*number), page.stamp, *number)).collect();
        all.sort_unstable();
        let gone = all.into_iter().take(excess);
        gone.flat_map(|(_, _, number)| pages.have.parts_of(page_of(number))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(held: &Held, start: u64, end: u64) {
        let bytes: Vec<u8> = (start..end).map(|at| (at ^ (at >> 8)) as u8).collect();
        held.put(start, &bytes);
    }

    /// What is held of `start..end`, where `None` is a byte that is not.
    fn look(held: &Held, start: u64, end: u64) -> Vec<Option<u8>> {
        let mut out = Vec::new();
        let mut at = start;
        while at < end {
            let mut buf = vec![0; (end - at) as usize];
            let n = match held.read_at(at, &mut buf) {
                Part::Here(n) => {
                    out.extend(buf[..n].iter().map(|byte| Some(*byte)));
                    n
                }
                Part::Elsewhere(n) => {
                    out.extend(std::iter::repeat_n(None, n));
                    n
                }
            };
            assert!(n > 0, "a look goes on");
            at += n as u64;
        }
        out
    }

    #[test]
    fn s2_what_is_held_is_read_and_nothing_else() {
        let held = Held::default();
        assert!(held.is_empty());
        put(&held, PAGE - 10, PAGE + 10);
        put(&held, 3 * PAGE + 5, 3 * PAGE + 6);
        let seen = look(&held, PAGE - 20, 3 * PAGE + 20);
        for (at, byte) in (PAGE - 20..).zip(seen) {
            let there = (PAGE - 10..PAGE + 10).contains(&at) || at == 3 * PAGE + 5;
            assert_eq!(byte, there.then_some((at ^ (at >> 8)) as u8), "at {at}");
        }
        assert_eq!(held.allocated(), 3 * PAGE);
        held.remove(ByteRange::new(PAGE, PAGE + 5));
        assert_eq!(held.allocated(), 3 * PAGE);
        assert_eq!(look(&held, PAGE, PAGE + 5), [None; 5]);
        held.remove(ByteRange::new(PAGE + 5, 2 * PAGE));
        assert_eq!(held.allocated(), 2 * PAGE);
        held.clear();
        assert!(held.is_empty());
        assert_eq!(held.allocated(), 0);
    }

    #[test]
    fn s2_bytes_at_the_largest_offset_are_held() {
        let held = Held::default();
        put(&held, u64::MAX - 3, u64::MAX);
        assert!(look(&held, u64::MAX - 3, u64::MAX).iter().all(Option::is_some));
        assert_eq!(
            held.first_from(0).map(|(at, bytes)| (at, bytes.len())),
            Some((u64::MAX - 3, 3))
        );
        held.clear();
        assert!(held.is_empty());
    }

    #[test]
    fn the_pages_written_longest_ago_go_first_and_those_of_readers_last() {
        let held = Held::default();
        for number in [5, 1, 2, 3] {
            put(&held, number * PAGE, number * PAGE + 1);
        }
        assert!(held.oldest_above(4 * PAGE, &[]).is_empty());
        let starts = |parts: Vec<ByteRange>| {
            let mut pages: Vec<u64> = parts.iter().map(|part| part.start / PAGE).collect();
            pages.dedup();
            pages
        };
        assert_eq!(starts(held.oldest_above(2 * PAGE, &[])), [5, 1]);
        put(&held, 5 * PAGE + 7, 5 * PAGE + 8);
        assert_eq!(starts(held.oldest_above(2 * PAGE, &[])), [1, 2]);
        assert_eq!(
            starts(held.oldest_above(2 * PAGE, &[PAGE + 9])),
            [3, 5],
            "its page and the next"
        );
        assert_eq!(
            starts(held.oldest_above(0, &[PAGE + 9])),
            [3, 5, 1, 2],
            "none is safe for ever"
        );
    }

    #[test]
    fn what_a_reader_comes_to_soon_goes_after_what_it_has_read() {
        let held = Held::default();
        for number in [9, 3, 4, 5, 6, 0, 1, 2] {
            put(&held, number * PAGE, number * PAGE + 1);
        }
        let gone = held.oldest_above(4 * PAGE, &[3 * PAGE]);
        let gone: Vec<u64> = gone.iter().map(|part| part.start / PAGE).collect();
        assert_eq!(gone, [9, 6, 0, 1], "far in front, and behind; not what was written first");
    }

    #[test]
    fn pages_are_handed_out_in_order() {
        let held = Held::default();
        put(&held, PAGE - 2, PAGE + 3);
        put(&held, PAGE + 9, PAGE + 10);
        let mut seen = Vec::new();
        let mut from = 0;
        while let Some((at, bytes)) = held.first_from(from) {
            seen.push((at, bytes.len() as u64));
            from = at + bytes.len() as u64;
        }
        assert_eq!(seen, [(PAGE - 2, 2), (PAGE, 3), (PAGE + 9, 1)]);
    }
}
