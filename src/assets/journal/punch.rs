//! Giving stored bytes of an open asset back to the disk.
//!
//! The log says that the bytes are gone, then it is synced with the names that lead to it, and only then is the hole cut: a log
//! that came back without that record would claim the zeros of the hole. So this has a barrier's place in the queue, as
//! the writing of a shorter log has, and none of the three runs beside another one.
//!
//! What of a recorded piece stays loses its checksum: it counts after a power loss once a barrier has proven it.

use super::Journal;
use crate::assets::barrier::{Barrier, BarrierOutcome, Half, Holes, Ticket};
use crate::assets::layout::{Kind, is_there};
use crate::assets::log::{MAX_OFFSET, MAX_RECORD_BYTES, Record};
use crate::assets::logfile::LogFile;
use crate::byte_range::ByteRange;

/// What came of the wish to give bytes back.
#[derive(Debug)]
pub(crate) enum Punching {
    /// To be run as a barrier is. From now on nobody may be given these bytes, nor may any be written there, until it has
    /// come back.
    Begun(Box<Barrier>),
    /// Not now: ask again when a barrier has come back, or when recording goes on.
    Later,
    /// Never: the user has pinned the asset, or the disk cannot do it. Nothing has changed.
    Refused,
}

impl Journal {
    /// Whether [`Self::punch`] would not be put off.
    pub(crate) fn may_punch(&self) -> bool {
        self.is_recording() && self.in_flight.is_none()
    }

    /// Begins to give `ranges` back to the disk. They must be apart from each other, and nothing may be on its way there.
    pub(crate) fn punch(&mut self, ranges: &[ByteRange]) -> Punching {
        if !self.may_punch() {
            return Punching::Later;
        }
        let pin = is_there(&self.place.paths().pin, Kind::File);
        let data = self.place.data().and_then(|data| {
            let failed = |error| crate::error::StorageError::new("opening a file", error);
            self.can_punch(&data).and_then(|()| data.try_clone()).map_err(failed)
        });
        let (Ok(None), Ok(data)) = (pin, data) else { return Punching::Refused };
        self.record_now();
        // A log of this life, to append to.
        self.take_over();
        let fits = |range: &&ByteRange| range.end <= MAX_OFFSET && range.len() <= MAX_RECORD_BYTES;
        let ranges: Vec<ByteRange> = ranges.iter().filter(fits).copied().collect();
        for range in &ranges {
            let seq = self.seq + 1;
            if !self.append(&[Record::Punch { range: *range, seq }]) {
                return Punching::Later;
            }
            self.seq = seq;
        }
        let Some(Ok(log)) = self.log.as_mut().map(LogFile::handle) else {
            return Punching::Later;
        };
        ranges.iter().for_each(|range| self.forget(*range));
        let ticket = Ticket { life: self.life, seq: self.seq, half: Half::Punch };
        let path = self.place.paths().map.clone();
        let (barrier, in_flight) = Barrier::new(self.disk(), log, path, ticket);
        self.in_flight = Some(in_flight);
        let folders = if self.unnamed { self.place.folders() } else { Vec::new() };
        let holes = Holes { data, ranges, durable: self.is_durable(), cut: Ok(()) };
        Punching::Begun(Box::new(barrier.naming(folders).punching(holes)))
    }

    /// Asks the disk for a hole behind the end of the file, where there is nothing to lose.
    fn can_punch(&self, data: &std::fs::File) -> std::io::Result<()> {
        /// What a file system punches in; nothing depends on it.
        const BLOCK: u64 = 4096;
        let end = data.metadata()?.len().next_multiple_of(BLOCK);
        self.place.disk().punch(data, ByteRange::at(end, BLOCK))
    }

    pub(super) fn punched(&mut self, ticket: Ticket, holes: Holes) -> BarrierOutcome {
        if ticket.life == self.life && holes.durable {
            self.unnamed = false;
        }
        BarrierOutcome::Punched { cut: holes.cut }
    }
}
