//! Run: a reader's right to read some covered bytes without asking again.
//!
//! A run is what a look under the lock found, together with the epoch it was found in. As long as
//! the epoch has not moved, every byte of it is there; `Gate::is_still` tells.

use crate::byte_range::ByteRange;

/// Bytes that were covered in a certain epoch. Owned by one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// The bytes; never beyond the length.
    range: ByteRange,
    /// The epoch in which they were looked up.
    epoch: u64,
}

impl Run {
    /// `range` was covered in `epoch`.
    pub(crate) fn new(range: ByteRange, epoch: u64) -> Self {
        Self { range, epoch }
    }

    /// A run without a byte, to begin with.
    pub(crate) fn none() -> Self {
        Self::new(ByteRange::new(0, 0), 0)
    }

    /// The bytes that may be read.
    pub(crate) fn range(&self) -> ByteRange {
        self.range
    }

    /// The epoch in which the bytes were looked up.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What of `wanted` bytes from `offset` on may be read; `None` if not even the first.
    pub(crate) fn part(&self, offset: u64, wanted: usize) -> Option<ByteRange> {
        if !self.range.contains(offset) {
            return None;
        }
        // A buffer longer than u64 does not exist; the saturated length is cut by the run anyway.
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        Some(ByteRange::at(offset, wanted).until(self.range.end))
    }

    /// Gives up every byte: the epoch has moved.
    pub(crate) fn void(&mut self) {
        self.range = ByteRange::new(self.range.start, self.range.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_never_leaves_the_run() {
        let run = Run::new(ByteRange::new(10, 20), 1);
        assert_eq!(run.part(9, 1), None);
        assert_eq!(run.part(20, 1), None);
        assert_eq!(run.part(10, 100), Some(ByteRange::new(10, 20)));
        assert_eq!(run.part(19, usize::MAX), Some(ByteRange::new(19, 20)));
        assert_eq!(run.part(12, 0), Some(ByteRange::new(12, 12)));
    }

    #[test]
    fn a_voided_run_gives_nothing() {
        let mut run = Run::new(ByteRange::new(10, 20), 1);
        run.void();
        assert_eq!(run.part(10, 1), None);
        assert_eq!(Run::none().part(0, 1), None);
    }
}
