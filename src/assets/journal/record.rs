//! The journal's hand on the log: what is appended, when a new log is put in place, and what is forgotten.

use super::Journal;
use crate::assets::extents::Extents;
use crate::assets::log::Record;
use crate::assets::logfile::{Draft, LogFile, new_epoch};
use crate::assets::recovery::Piece;
use crate::assets::runs::compact;
use crate::byte_range::ByteRange;
use crate::error::StorageError;

pub(super) fn covered(piece: Piece, seq: u64) -> Record {
    let Piece { range, crc } = piece;
    Record::Covered { range, crc, seq }
}

/// What is left of a piece without `range`. Its checksum is not known then: so it counts only once it is proven.
fn without(piece: Piece, range: ByteRange) -> impl Iterator<Item = Piece> {
    let of = piece.range;
    let parts = match of.overlaps(range) {
        false => [Some(piece), None],
        true => {
            let before = ByteRange::new(of.start, range.start.max(of.start));
            let after = ByteRange::new(range.end.min(of.end), of.end);
            [before, after].map(|range| (!range.is_empty()).then_some(Piece { range, crc: None }))
        }
    };
    parts.into_iter().flatten()
}

/// So many pieces may wait for a new log before they are merged: some tens of KiB.
pub(super) const CROWDED: usize = 1024;

impl Journal {
    /// Records runs that are due.
    pub(super) fn record_all(&mut self, pieces: impl IntoIterator<Item = Piece>) {
        let mut pieces = pieces.into_iter().peekable();
        if pieces.peek().is_none() {
            return;
        }
        self.take_over();
        let first = self.seq + 1;
        let pieces: Vec<(Piece, u64)> = pieces.zip(first..).collect();
        let records: Vec<Record> =
            pieces.iter().map(|(piece, seq)| covered(*piece, *seq)).collect();
        // What the log refused is kept for the next log.
        self.append(&records);
        self.seq += pieces.len() as u64;
        for (piece, _) in &pieces {
            self.place.store.room.run(piece.range.len());
        }
        self.unproven.extend(pieces);
        if self.stalled && self.unproven.len() >= self.crowded {
            self.thin_out();
        }
    }

    /// Merges what waits for a new log: it may wait for long, and memory is bounded.
    fn thin_out(&mut self) {
        let pieces = std::mem::take(&mut self.unproven).into_iter().map(|(piece, _)| piece);
        let seq = self.seq;
        self.unproven = compact(pieces.collect()).into_iter().map(|piece| (piece, seq)).collect();
        self.crowded = CROWDED.max(2 * self.unproven.len());
    }

    /// Says something of the whole asset that the journal's own state already has.
    pub(super) fn note(&mut self, record: Record) {
        match self.log {
            Some(_) => {
                self.append(&[record]);
            }
            // A new log says all there is to say.
            None => self.take_over(),
        }
    }

    /// Appends to the log of this life; false if nothing can be recorded for now.
    pub(super) fn append(&mut self, records: &[Record]) -> bool {
        let Some(log) = self.log.as_mut().filter(|_| !self.stalled) else { return false };
        let result = log.append(records);
        result.map_err(|error| self.stall(error)).is_ok()
    }

    /// Makes the log of this life, if there is none yet.
    pub(super) fn take_over(&mut self) {
        if self.log.is_none()
            && self.is_recording()
            && let Err(error) = self.write_log()
        {
            self.stall(error);
        }
    }

    /// After the log refused: puts a new one in place that says what there was to record since as well. Does
    /// nothing otherwise. Waits for the disk.
    ///
    /// # Errors
    ///
    /// The disk still refuses.
    pub(crate) fn resume(&mut self) -> Result<(), StorageError> {
        if !self.stalled || self.header.is_none() {
            return Ok(());
        }
        self.write_log()?;
        self.trouble = None;
        Ok(())
    }

    /// Puts a new log in place that says all that is known: first what is proven, behind the barrier what is not.
    fn write_log(&mut self) -> Result<(), StorageError> {
        self.place.check()?;
        let Some(header) = &mut self.header else { return Ok(()) };
        header.epoch = new_epoch(Some(header.epoch));
        header.boot = self.place.store.boot;
        let Some(draft) = self.draft(None) else { return Ok(()) };
        let (disk, path) = (self.disk(), &self.place.paths().map);
        self.log = Some(LogFile::create(disk, path, &draft, self.place.sync())?);
        self.place.store.room.log();
        self.renumber(draft.first);
        (self.unsaved, self.stalled) = (false, false);
        Ok(())
    }

    /// A log of all that is known, under `epoch` if that is not the present one.
    pub(super) fn draft(&mut self, epoch: Option<u32>) -> Option<Draft> {
        let mut header = self.header.clone()?;
        header.epoch = epoch.unwrap_or(header.epoch);
        self.proven = compact(std::mem::take(&mut self.proven));
        let mut proven: Vec<Record> =
            self.proven.iter().zip(1..).map(|(piece, seq)| covered(*piece, seq)).collect();
        let seq = proven.len() as u64;
        proven.push(Record::Barrier { seq });
        proven.extend(self.facts());
        let unproven = self.unproven.iter().zip(seq + 1..);
        let rest: Vec<Record> = unproven.map(|((piece, _), seq)| covered(*piece, seq)).collect();
        Some(Draft::new(header, seq + 1, &proven, &rest))
    }

    /// What is known of the asset as a whole.
    pub(super) fn facts(&self) -> impl Iterator<Item = Record> + use<> {
        let len = self.len.map(|len| Record::LenKnown { len });
        let sealed = self.len.filter(|_| self.sealed).map(|len| Record::Sealed { len });
        let validated = self.validated.map(|at| Record::Validated { at });
        [len, sealed, validated].into_iter().flatten()
    }

    /// A new log is in place, in which what is not proven begins with the record `first`. Only then: until it is, a barrier
    /// may still speak of the old one's numbers.
    pub(super) fn renumber(&mut self, first: u64) {
        self.unproven.iter_mut().zip(first..).for_each(|((_, number), seq)| *number = seq);
        self.seq = first - 1 + self.unproven.len() as u64;
        self.life += 1;
    }

    /// The data file no longer gives back what was written to `range`. The log that says so is replaced at the next
    /// [`Self::resume`]; until then it may claim too much, which a read of those bytes then finds out again.
    pub(crate) fn lost(&mut self, range: ByteRange) {
        self.record_now();
        self.forget(range);
        self.stalled = true;
    }

    /// `range` is no longer there.
    pub(super) fn forget(&mut self, range: ByteRange) {
        let unproven = std::mem::take(&mut self.unproven).into_iter();
        self.unproven = unproven
            .flat_map(|(piece, seq)| without(piece, range).map(move |piece| (piece, seq)))
            .collect();
        let proven = std::mem::take(&mut self.proven).into_iter();
        self.proven = proven.flat_map(|piece| without(piece, range)).collect();
        self.sealed = false;
    }

    /// Everything up to `seq` is proof.
    pub(super) fn prove(&mut self, seq: u64) {
        let unproven = std::mem::take(&mut self.unproven);
        let (done, rest): (Vec<_>, Vec<_>) = unproven.into_iter().partition(|(_, n)| *n <= seq);
        self.proven.extend(done.into_iter().map(|(piece, _)| piece));
        self.unproven = rest;
    }

    /// Forgets everything since the last good barrier, here and on disk, and tells what that was.
    ///
    /// The log in place may say things that the system never wrote and keeps only as long as it likes: it is
    /// replaced by one that says what is proven, or cut back to that.
    pub(super) fn lose(&mut self) -> Vec<ByteRange> {
        let unproven = std::mem::take(&mut self.unproven).into_iter().map(|(piece, _)| piece);
        let mut lost: Extents = unproven.chain(self.runs.take()).map(|piece| piece.range).collect();
        self.proven.iter().for_each(|piece| lost.remove(piece.range));
        (self.dirty, self.sealed) = (None, self.sealed && lost.is_empty());
        self.life += 1;
        let old = self.log.take();
        if let Err(error) = self.write_log() {
            if let Some(mut old) = old
                && let Err(error) = old.cut_unproven()
            {
                tracing::error!(%error, "the coverage log claims bytes that may be gone");
            }
            self.stall(error);
        }
        lost.to_vec()
    }

    /// Records nothing until [`Self::resume`] succeeds; `error` is told once.
    pub(super) fn stall(&mut self, error: StorageError) {
        if !self.stalled {
            self.stalled = true;
            self.trouble = Some(error);
        }
    }

    /// What the log on disk says by now, proven or not.
    #[cfg(test)]
    pub(in crate::assets) fn recorded(&self) -> Vec<ByteRange> {
        let unproven = self.unproven.iter().map(|(piece, _)| piece.range);
        self.proven.iter().map(|piece| piece.range).chain(unproven).collect()
    }
}
