//! A set of byte ranges, for sums and differences of coverage.
//!
//! Wraps `RangeSet`, which panics on empty ranges; here they change nothing.

use rangemap::RangeSet;

use crate::byte_range::ByteRange;

/// A set of bytes, kept as sorted ranges that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Extents(RangeSet<u64>);

impl Extents {
    /// Adds the bytes of `range`.
    pub(crate) fn insert(&mut self, range: ByteRange) {
        if !range.is_empty() {
            self.0.insert(range.to_std());
        }
    }

    /// Takes the bytes of `range` out.
    pub(crate) fn remove(&mut self, range: ByteRange) {
        if !range.is_empty() {
            self.0.remove(range.to_std());
        }
    }

    /// Whether there is no byte in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether every byte of `range` is in it; true for an empty one.
    pub(crate) fn covers(&self, range: ByteRange) -> bool {
        range.is_empty() || self.0.gaps(&range.to_std()).next().is_none()
    }

    /// Whether any byte of `range` is in it.
    pub(crate) fn overlaps(&self, range: ByteRange) -> bool {
        !range.is_empty() && self.0.overlaps(&range.to_std())
    }

    /// Whether the byte at `offset` is in it, and where that ends to be so.
    pub(crate) fn run_from(&self, offset: u64) -> (bool, u64) {
        match self.0.get(&offset) {
            Some(run) => (true, run.end),
            None if offset == u64::MAX => (false, u64::MAX),
            None => {
                let next = self.0.overlapping(offset..u64::MAX).next();
                (false, next.map_or(u64::MAX, |run| run.start))
            }
        }
    }

    /// The ranges, in order.
    pub(crate) fn to_vec(&self) -> Vec<ByteRange> {
        self.0.iter().cloned().map(ByteRange::from).collect()
    }
}

impl FromIterator<ByteRange> for Extents {
    fn from_iter<I: IntoIterator<Item = ByteRange>>(ranges: I) -> Self {
        let mut all = Self::default();
        ranges.into_iter().for_each(|range| all.insert(range));
        all
    }
}
