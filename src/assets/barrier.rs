//! The slow half of a barrier: a sync, made on another thread than the journal's.
//!
//! A barrier has two: the data, then the log that now speaks of it. Each is a [`Barrier`] to run; the journal
//! takes its outcome and gives the next. A log that has grown too long is written anew in the same way, so that
//! no barrier completes meanwhile.

use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::byte_range::ByteRange;
use crate::error::StorageError;
use crate::storage::disk::{Depth, Disk};
use crate::sync::Arc;

use super::layout::{Aside, sync_folder};
use super::logfile::Draft;

/// Which file a barrier syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// The data; afterwards the log may claim it.
    Data,
    /// The log; afterwards the claim is proof.
    Log {
        /// Where the claim ends in the log.
        end: u64,
    },
    /// The log, and then holes are cut in the data.
    Punch,
    /// Neither: a shorter log is written aside.
    Draft,
}

/// A sync to run on a thread that may block for as long as the disk likes.
#[derive(Debug)]
#[must_use = "until it has run, nothing received since the last one survives a power loss"]
pub(crate) struct Barrier {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// Folders whose names must be proof too, the innermost first.
    pub(super) folders: Vec<PathBuf>,
    pub(super) ticket: Ticket,
    pub(super) told: SyncSender<Result<(), StorageError>>,
    /// What is to be written aside, for [`Half::Draft`].
    pub(super) draft: Option<Box<Draft>>,
    /// What is to be cut afterwards, for [`Half::Punch`].
    pub(super) holes: Option<Holes>,
}

/// Holes to cut.
#[derive(Debug)]
pub(super) struct Holes {
    /// In this file.
    pub(super) data: File,
    pub(super) ranges: Vec<ByteRange>,
    /// Whether the log must be synced before.
    pub(super) durable: bool,
    /// What came of it.
    pub(super) cut: Result<(), StorageError>,
}

/// Which claim a barrier is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Which log it belongs to.
    pub(super) life: u64,
    /// The last record that it proves.
    pub(super) seq: u64,
    pub(super) half: Half,
}

/// A barrier that has run; for [`Journal::barrier_done`](super::journal::Journal::barrier_done).
#[derive(Debug)]
#[must_use = "give it to `barrier_done`"]
pub(crate) struct SyncedBarrier {
    pub(super) ticket: Ticket,
    pub(super) result: Result<(), StorageError>,
    /// What was written aside, if it could be.
    pub(super) aside: Option<Box<Written>>,
    /// What was cut, for [`Half::Punch`].
    pub(super) holes: Option<Holes>,
}

/// A log that was written aside, and goes again unless it takes its place.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) draft: Draft,
    /// Taken by who puts it in its place.
    pub(super) aside: Option<Aside>,
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(aside) = self.aside.take() {
            aside.remove(&*self.disk);
        }
    }
}

/// What came of a barrier.
#[derive(Debug)]
#[must_use = "a barrier has a second half, and lost bytes must not be served"]
pub(crate) enum BarrierOutcome {
    /// The first half is done; run the second.
    Next(Barrier),
    /// What it was about is proof against power loss, or no longer of interest.
    Done,
    /// The bytes are given back, if `cut` is good; if not, they take up room as before. The log has them no longer either
    /// way.
    Punched { cut: Result<(), StorageError> },
    /// A sync failed. These bytes may never have reached the disk, and the system may forget them at
    /// any time: take them out of the coverage and fetch them again.
    Lost {
        /// Everything received since the last good barrier.
        ranges: Vec<ByteRange>,
        /// Why the sync failed.
        error: StorageError,
    },
}

/// A barrier that is being run, as the journal sees it.
///
/// A sync error is told once for all handles of a file: if the job has it, nobody else will. So the journal
/// can ask here also when it is closed before the outcome was handed in.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) told: Receiver<Result<(), StorageError>>,
}

impl Barrier {
    /// A job to run, and the journal's view of it.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        file: File,
        path: PathBuf,
        ticket: Ticket,
    ) -> (Self, InFlight) {
        let (sender, told) = sync_channel(1);
        let folders = Vec::new();
        let (draft, holes) = (None, None);
        let barrier = Self { disk, file, path, folders, ticket, told: sender, draft, holes };
        (barrier, InFlight { told })
    }

    /// The same, which writes `draft` aside and syncs nothing else.
    pub(super) fn drafting(self, draft: Draft) -> Self {
        Self { draft: Some(Box::new(draft)), ..self }
    }

    /// The same, which then cuts `holes`.
    pub(super) fn punching(self, holes: Holes) -> Self {
        Self { holes: Some(holes), ..self }
    }

    /// The same, which also makes the names in `folders` proof.
    pub(super) fn naming(self, folders: Vec<PathBuf>) -> Self {
        Self { folders, ..self }
    }

    /// Syncs. Blocks for milliseconds to seconds.
    pub(crate) fn sync(mut self) -> SyncedBarrier {
        if let Some(draft) = self.draft.take() {
            return self.write(*draft);
        }
        let depth = match self.ticket.half {
            Half::Data => Depth::Data,
            // The log may have grown, and its length must be proof too.
            Half::Log { .. } | Half::Punch | Half::Draft => Depth::All,
        };
        let durable = self.holes.as_ref().is_none_or(|holes| holes.durable);
        let result = if durable { self.disk.sync(&self.file, depth) } else { Ok(()) };
        let failed = |error| StorageError::new("syncing", error).at(&self.path);
        let named =
            |()| self.folders.iter().try_for_each(|folder| sync_folder(&*self.disk, folder));
        let result = result.map_err(failed).and_then(named);
        if let Some(holes) = self.holes.as_mut().filter(|_| result.is_ok()) {
            holes.cut(&*self.disk);
        }
        self.finish(result)
    }

    /// As if the sync had failed.
    #[cfg(test)]
    pub(crate) fn fail(self) -> SyncedBarrier {
        let error = std::io::Error::other("scripted");
        let error = StorageError::new("syncing", error).at(&self.path);
        self.finish(Err(error))
    }

    fn finish(self, result: Result<(), StorageError>) -> SyncedBarrier {
        // Nobody listens if the journal is gone, and then nobody needs to know.
        let _ = self.told.send(result.clone());
        SyncedBarrier { ticket: self.ticket, result, aside: None, holes: self.holes }
    }

    /// A log that cannot be written aside is no loss: the one in place is good.
    fn write(self, draft: Draft) -> SyncedBarrier {
        let folder = self.path.parent().unwrap_or(&self.path);
        let written = draft.write_aside(&*self.disk, folder);
        let (disk, ticket) = (self.disk.clone(), self.ticket);
        let aside = match written {
            Ok(aside) => Some(Box::new(Written { disk, draft, aside: Some(aside) })),
            Err(error) => {
                tracing::debug!(%error, "a shorter coverage log could not be written");
                None
            }
        };
        let _ = self.told.send(Ok(()));
        SyncedBarrier { ticket, result: Ok(()), aside, holes: None }
    }
}

impl Holes {
    fn cut(&mut self, disk: &dyn Disk) {
        let cut = self.ranges.iter().try_for_each(|range| disk.punch(&self.data, *range));
        self.cut = cut.map_err(|error| StorageError::new("giving stored bytes back", error));
    }
}
