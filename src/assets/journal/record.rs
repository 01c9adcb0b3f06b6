//! The journal's hand on the log: what is appended, when a new log is put in place, and what is forgotten.

use super::Journal;
use crate::assets::extents::Extents;
use crate::assets::log::Record;
use crate::assets::logfile::{LogFile, new_epoch};
use crate::assets::recovery::Piece;
use crate::assets::runs::compact;
use crate::byte_range::ByteRange;
use crate::error::StorageError;

impl Journal {
    /// Records runs that are due.
    pub(super) fn record_all(&mut self, pieces: impl IntoIterator<Item = Piece>) {
        for piece in pieces {
            self.take_over();
            let (Piece { range, crc }, seq) = (piece, self.seq + 1);
            if self.append(Record::Covered { range, crc, seq }) {
                self.seq = seq;
                self.unproven.push((piece, seq));
            }
        }
    }

    /// Says something of the whole asset that the journal's own state already has.
    pub(super) fn note(&mut self, record: Record) {
        match self.log {
            Some(_) => {
                self.append(record);
            }
            // A new log says all there is to say.
            None => self.take_over(),
        }
    }

    /// Appends to the log of this life; false if the journal records nothing any more.
    pub(super) fn append(&mut self, record: Record) -> bool {
        let Some(log) = self.log.as_mut().filter(|_| !self.degraded) else { return false };
        let result = log.append(record);
        result.map_err(|error| self.degrade(error)).is_ok()
    }

    /// Makes the log of this life, if there is none yet.
    pub(super) fn take_over(&mut self) {
        if self.log.is_none()
            && self.is_recording()
            && let Err(error) = self.write_log()
        {
            self.degrade(error);
        }
    }

    /// Puts a new log in place that says all that is known: first what is proven, behind the barrier what is not.
    fn write_log(&mut self) -> Result<(), StorageError> {
        let disk = self.disk();
        let Some(header) = &mut self.header else { return Ok(()) };
        header.epoch = new_epoch(Some(header.epoch));
        header.boot = self.place.store.boot;
        self.proven = compact(std::mem::take(&mut self.proven));
        let covered = |piece: &Piece, seq| {
            let Piece { range, crc } = *piece;
            Record::Covered { range, crc, seq }
        };
        let mut records: Vec<Record> =
            self.proven.iter().zip(1..).map(|(p, n)| covered(p, n)).collect();
        let mut seq = records.len() as u64;
        records.push(Record::Barrier { seq });
        records.extend(self.len.map(|len| Record::LenKnown { len }));
        records.extend(self.len.filter(|_| self.sealed).map(|len| Record::Sealed { len }));
        records.extend(self.validated.map(|at| Record::Validated { at }));
        let proven = records.len();
        for (piece, number) in &mut self.unproven {
            seq += 1;
            *number = seq;
            records.push(covered(piece, seq));
        }
        let (proven, rest) = records.split_at(proven);
        let path = &self.place.paths.map;
        self.log = Some(LogFile::create(disk, path, header, proven, rest, self.place.sync())?);
        self.life += 1;
        (self.seq, self.unsaved) = (seq, false);
        Ok(())
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
            self.degrade(error);
        }
        lost.to_vec()
    }

    /// Records nothing more; `error` is told once.
    pub(super) fn degrade(&mut self, error: StorageError) {
        self.runs.take();
        self.dirty = None;
        if !self.degraded {
            self.degraded = true;
            self.trouble = Some(error);
        }
    }

    /// What the log on disk says by now, proven or not.
    #[cfg(test)]
    pub(in crate::assets) fn recorded(&self) -> Vec<ByteRange> {
        let unproven = self.unproven.iter().map(|(piece, _)| piece.range);
        self.proven.iter().map(|piece| piece.range).chain(unproven).collect()
    }

    /// Lets every further record fail as on a full disk.
    #[cfg(all(test, target_os = "linux"))]
    pub(in crate::assets) fn fill_disk(&mut self) {
        self.log.as_mut().expect("a log of this life").fill_disk();
    }
}
