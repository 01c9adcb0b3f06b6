//! Run: a reader's right to read some covered bytes without asking again.
//!
//! A run is what a look under the lock found, together with the epoch it was found in. As long as
//! the epoch has not moved, every byte of it is there; `Gate::is_still` tells.
//!
//! With it goes a [`Grip`] on the file that the bytes are in, so that a hit need not look for that either.

use std::fs::File;
use std::sync::{Arc, Weak};

use crate::byte_range::ByteRange;

/// A reader's hold on a file that may be closed at any time: as long as the file is open, a hit finds it here without a
/// lock. It keeps nothing open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grip {
    file: Weak<File>,
    opened: bool,
}

impl Grip {
    /// The file, if it is still open; it stays so as long as this is kept.
    pub(crate) fn file(&self) -> Option<Arc<File>> {
        self.file.upgrade()
    }

    /// From now on `file` is what is read from; `opened` if it was opened for this.
    pub(crate) fn hold(&mut self, file: &Arc<File>, opened: bool) {
        self.file = Arc::downgrade(file);
        self.opened |= opened;
    }
}

/// No part of what a run is: where there is none, the file is looked for.
impl PartialEq for Grip {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Grip {}

/// Bytes that were covered in a certain epoch. Owned by one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// The bytes from the place of the look on; never beyond the length.
    range: ByteRange,
    /// Where the bytes begin that were covered without a gap before them.
    back_to: u64,
    /// The epoch in which they were looked up.
    epoch: u64,
    /// Whether they are all that the resource has: there is nothing to fetch.
    whole: bool,
    /// Where they are read from.
    pub(crate) grip: Grip,
}

impl Run {
    /// `range` was covered in `epoch`.
    pub(crate) fn new(range: ByteRange, epoch: u64) -> Self {
        Self { range, back_to: range.start, epoch, whole: false, grip: Grip::default() }
    }

    /// The same with what is covered before it, from `start` on.
    pub(crate) fn reaching_back(self, start: u64) -> Self {
        Self { back_to: start.min(self.range.start), ..self }
    }

    /// The same, known to be all of a resource or not.
    pub(crate) fn of_whole(self, whole: bool) -> Self {
        Self { whole, ..self }
    }

    /// A run without a byte, to begin with.
    pub(crate) fn none() -> Self {
        Self::new(ByteRange::new(0, 0), 0)
    }

    /// The bytes that may be read, from the place of the look on.
    pub(crate) fn range(&self) -> ByteRange {
        self.range
    }

    /// The epoch in which the bytes were looked up.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether nothing of the resource is missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// What of `wanted` bytes from `offset` on may be read; `None` if not even the first.
    pub(crate) fn part(&self, offset: u64, wanted: usize) -> Option<ByteRange> {
        if offset < self.back_to || offset >= self.range.end {
            return None;
        }
        // A buffer longer than u64 does not exist; the saturated length is cut by the run anyway.
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        Some(ByteRange::at(offset, wanted).until(self.range.end))
    }

    /// Whether a file was opened to read it since this was last asked: somebody must see to it that it is closed again.
    pub(crate) fn take_opened(&mut self) -> bool {
        std::mem::take(&mut self.grip.opened)
    }

    /// Gives up every byte: the epoch has moved.
    pub(crate) fn void(&mut self) {
        self.range = ByteRange::new(self.back_to, self.back_to);
        self.whole = false;
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
        let run = run.reaching_back(5);
        assert_eq!(run.range(), ByteRange::new(10, 20));
        assert_eq!(run.part(4, 1), None);
        assert_eq!(run.part(5, 100), Some(ByteRange::new(5, 20)));
    }

    #[test]
    fn a_voided_run_gives_nothing() {
        let mut run = Run::new(ByteRange::new(10, 20), 1).reaching_back(0).of_whole(true);
        run.void();
        assert_eq!((run.part(0, 1), run.part(10, 1), run.is_whole()), (None, None, false));
        assert_eq!(Run::none().part(0, 1), None);
    }
}
