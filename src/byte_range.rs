//! A half-open range of byte offsets that can be copied.
//!
//! The public interface speaks `Range<u64>`; inside the crate ranges are passed about a lot, and
//! `Range` is not `Copy`. An empty range is allowed and contains nothing.

use std::fmt;
use std::ops::Range;

/// Bytes `start..end` of a resource; `end` is exclusive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ByteRange {
    /// First byte.
    pub(crate) start: u64,
    /// One past the last byte; never below `start`.
    pub(crate) end: u64,
}

impl ByteRange {
    /// `start..end`; an `end` below `start` gives the empty range at `start`.
    pub(crate) fn new(start: u64, end: u64) -> Self {
        Self { start, end: end.max(start) }
    }

    /// `len` bytes from `start` on, cut off at the largest offset.
    pub(crate) fn at(start: u64, len: u64) -> Self {
        Self { start, end: start.saturating_add(len) }
    }

    /// Number of bytes.
    pub(crate) fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether there is no byte in it.
    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether the byte at `offset` is in it.
    pub(crate) fn contains(self, offset: u64) -> bool {
        self.start <= offset && offset < self.end
    }

    /// Whether every byte of `other` is in it; true for an empty `other`.
    pub(crate) fn covers(self, other: Self) -> bool {
        other.is_empty() || (self.start <= other.start && other.end <= self.end)
    }

    /// Whether the two share a byte.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        !self.intersect(other).is_empty()
    }

    /// The bytes in both; empty if there are none.
    pub(crate) fn intersect(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The same range without what lies at or past `end`.
    pub(crate) fn until(self, end: u64) -> Self {
        Self { start: self.start.min(end), end: self.end.min(end) }
    }

    /// As `std` has it, for the public interface and `rangemap`.
    pub(crate) fn to_std(self) -> Range<u64> {
        self.start..self.end
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self::new(range.start, range.end)
    }
}

impl fmt::Debug for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::ByteRange;

    #[test]
    fn an_end_below_the_start_is_empty_not_negative() {
        let range = ByteRange::new(5, 4);
        assert!(range.is_empty());
        assert_eq!(range.len(), 0);
        assert!(!range.contains(5));
    }

    #[test]
    fn ranges_near_the_largest_offset_do_not_wrap() {
        let range = ByteRange::at(u64::MAX - 1, 100);
        assert_eq!(range.end, u64::MAX);
        assert_eq!(range.len(), 1);
    }

    #[test]
    fn neighbours_share_no_byte() {
        assert!(!ByteRange::new(0, 4).overlaps(ByteRange::new(4, 8)));
        assert!(ByteRange::new(0, 5).overlaps(ByteRange::new(4, 8)));
        assert_eq!(ByteRange::new(0, 5).intersect(ByteRange::new(4, 8)), ByteRange::new(4, 5));
        assert!(ByteRange::new(10, 20).until(5).is_empty());
    }
}
