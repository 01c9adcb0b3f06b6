//! Coverage: which bytes of one resource are there.
//!
//! A wall around [`RangeSet`], which panics on empty ranges and gives `overlapping` unclipped.
//! Every range that goes in or out here may be empty, and comes out clipped.
//!
//! Not here: who waits for the bytes (`places`), what they are (`backend`).

use rangemap::RangeSet;

use crate::byte_range::ByteRange;

/// A set of byte offsets, kept as ranges that neither touch nor overlap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage {
    /// The ranges, none empty.
    set: RangeSet<u64>,
    /// How many bytes they hold together; kept so that asking costs nothing.
    bytes: u64,
}

impl Coverage {
    /// Adds `range` and tells how many of its bytes were not there before.
    pub(crate) fn insert(&mut self, range: ByteRange) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let new = range.len() - self.bytes_in(range);
        if new > 0 {
            self.set.insert(range.to_std());
            self.bytes += new;
        }
        new
    }

    /// Takes `range` out and tells how many of its bytes were there.
    pub(crate) fn remove(&mut self, range: ByteRange) -> u64 {
        let gone = self.bytes_in(range);
        if gone > 0 {
            self.set.remove(range.to_std());
            self.bytes -= gone;
        }
        gone
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.set.clear();
        self.bytes = 0;
    }

    /// Whether every byte of `range` is there; true for an empty one.
    pub(crate) fn covers(&self, range: ByteRange) -> bool {
        range.is_empty() || self.run_from(range.start).end >= range.end
    }

    /// What is there from `offset` on without a gap; empty if the byte at `offset` is missing.
    pub(crate) fn run_from(&self, offset: u64) -> ByteRange {
        let end = self.set.get(&offset).map_or(offset, |found| found.end);
        ByteRange::new(offset, end)
    }

    /// Where the bytes begin that are there without a gap up to `offset` and with it; `offset` if it is missing.
    pub(crate) fn run_to(&self, offset: u64) -> u64 {
        self.set.get(&offset).map_or(offset, |found| found.start)
    }

    /// The parts of `range` that are there, in order.
    pub(crate) fn parts_of(&self, range: ByteRange) -> impl Iterator<Item = ByteRange> + '_ {
        // `overlapping` panics on an empty range; no part overlaps one, so any non-empty stand-in
        // will do as long as nothing of it comes out.
        let asked = if range.is_empty() { 0..1 } else { range.to_std() };
        self.set
            .overlapping(asked)
            .map(move |found| ByteRange::from(found.clone()).intersect(range))
            .filter(|part| !part.is_empty())
    }

    /// The parts of `range` that are missing, in order.
    pub(crate) fn missing_in(&self, range: ByteRange) -> Vec<ByteRange> {
        if range.is_empty() {
            return Vec::new();
        }
        self.set.gaps(&range.to_std()).map(ByteRange::from).collect()
    }

    /// Everything that is there, in order.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = ByteRange> + '_ {
        self.set.iter().cloned().map(ByteRange::from)
    }

    /// How many bytes are there.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One past the last byte that is there; zero if there is none.
    pub(crate) fn end(&self) -> u64 {
        self.set.last().map_or(0, |last| last.end)
    }

    /// How many bytes of `range` are there.
    fn bytes_in(&self, range: ByteRange) -> u64 {
        self.parts_of(range).map(ByteRange::len).sum()
    }
}

impl FromIterator<ByteRange> for Coverage {
    fn from_iter<I: IntoIterator<Item = ByteRange>>(ranges: I) -> Self {
        let mut coverage = Self::default();
        for range in ranges {
            coverage.insert(range);
        }
        coverage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange::new(start, end)
    }

    #[test]
    fn empty_ranges_neither_panic_nor_change_anything() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.insert(range(5, 5)), 0);
        assert_eq!(coverage.remove(range(5, 5)), 0);
        coverage.insert(range(0, 10));
        assert_eq!(coverage.parts_of(range(4, 4)).count(), 0);
        assert!(coverage.missing_in(range(20, 20)).is_empty());
        assert!(coverage.covers(range(20, 20)));
        assert_eq!(coverage.bytes(), 10);
    }

    #[test]
    fn overlapping_inserts_count_only_what_is_new() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.insert(range(10, 20)), 10);
        assert_eq!(coverage.insert(range(15, 25)), 5);
        assert_eq!(coverage.insert(range(0, 30)), 15);
        assert_eq!(coverage.insert(range(3, 4)), 0);
        assert_eq!(coverage.bytes(), 30);
        assert_eq!(coverage.ranges().collect::<Vec<_>>(), [range(0, 30)]);
    }

    #[test]
    fn a_cut_leaves_both_sides_and_comes_out_clipped() {
        let mut coverage: Coverage = [range(0, 30)].into_iter().collect();
        assert_eq!(coverage.remove(range(10, 20)), 10);
        assert_eq!(coverage.remove(range(10, 20)), 0);
        assert_eq!(coverage.run_from(5), range(5, 10));
        assert!(coverage.run_from(10).is_empty());
        assert_eq!(
            coverage.parts_of(range(8, 22)).collect::<Vec<_>>(),
            [range(8, 10), range(20, 22)]
        );
        assert_eq!(coverage.missing_in(range(5, 40)), [range(10, 20), range(30, 40)]);
        assert_eq!(coverage.end(), 30);
    }

    #[test]
    fn the_largest_offsets_are_ordinary() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.insert(range(u64::MAX - 3, u64::MAX)), 3);
        assert!(coverage.covers(range(u64::MAX - 2, u64::MAX)));
        assert_eq!(coverage.end(), u64::MAX);
    }
}
