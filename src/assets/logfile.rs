//! The file of a coverage log while it is written: appending, room ahead, trimming.
//!
//! A log file belongs to one life of its asset: it is put in place whole and synced, with what earlier lives
//! proved, and then only grows. Whoever goes on with an asset writes a new one, so nothing is ever appended
//! behind a torn tail, and every record was written in the run of the system that the header names.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use super::layout::{Aside, Durable, LOG_STEP, replace_file};
use super::log::{Header, RECORD_LEN, Record};
use crate::error::StorageError;
use crate::storage::disk::{Depth, Disk, write_all_at};
use crate::storage::file::open_again;
use crate::storage::platform::{FileId, file_id};
use crate::sync::Arc;

/// Room is made ahead when less than this is left, in bytes: there are records left to append when that fails.
const LOW_ROOM: u64 = 4096;

/// The first bytes of a log that is not a file yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) header: Header,
    /// Number of the first record of what is not proven.
    pub(crate) first: u64,
    bytes: Vec<u8>,
    proven_end: u64,
}

impl Draft {
    /// Of what is `proven`, and the `rest`, which begins with the number `first`.
    pub(crate) fn new(header: Header, first: u64, proven: &[Record], rest: &[Record]) -> Self {
        let mut bytes = header.encode();
        let proven_end = (bytes.len() + proven.len() * RECORD_LEN) as u64;
        for record in proven.iter().chain(rest) {
            bytes.extend_from_slice(&record.encode(header.epoch));
        }
        Self { header, first, bytes, proven_end }
    }

    /// Its length in bytes, without room.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn room_end(&self) -> u64 {
        (self.len() + LOW_ROOM).next_multiple_of(LOG_STEP)
    }

    fn room(&self) -> u64 {
        self.room_end() - self.len()
    }

    /// Writes it beside the log that it is to replace, and syncs it. Blocks.
    pub(crate) fn write_aside(&self, disk: &dyn Disk, folder: &Path) -> io::Result<Aside> {
        Aside::write(disk, folder, &self.bytes, self.room(), Durable::Yes)
    }

    /// The log whose first bytes these are, in `file`, which is at `path` or soon will be.
    pub(crate) fn log(&self, disk: Arc<dyn Disk>, file: File, path: &Path) -> LogFile {
        let (epoch, path) = (self.header.epoch, path.to_owned());
        let (end, room_end, proven_end) = (self.len(), self.room_end(), self.proven_end);
        let unproven = (end > proven_end).then_some(proven_end);
        let id = file.metadata().ok().and_then(|meta| file_id(&meta));
        let (file, punched) = (Some(file), false);
        LogFile { disk, file, id, path, epoch, end, proven_end, room_end, unproven, punched }
    }
}

/// A log that this process appends to.
#[derive(Debug)]
pub(crate) struct LogFile {
    disk: Arc<dyn Disk>,
    /// `None` while it rests.
    file: Option<File>,
    id: Option<FileId>,
    path: PathBuf,
    epoch: u32,
    /// Where the next record goes.
    end: u64,
    /// Where the last completed barrier ends: what lies before it is on stable storage.
    proven_end: u64,
    /// End of the zeros that are there already.
    room_end: u64,
    /// Where the first record lies that the last completed barrier does not prove, other than a punch.
    unproven: Option<u64>,
    /// Whether a hole was cut since that barrier, or is about to be.
    punched: bool,
}

impl LogFile {
    /// Puts a new log in place of the one at `path`.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        path: &Path,
        draft: &Draft,
        sync: Durable,
    ) -> Result<Self, StorageError> {
        let file = replace_file(&*disk, path, &draft.bytes, draft.room(), sync)?;
        Ok(draft.log(disk, file, path))
    }

    /// Appends `records` by one write, unsynced. After an error the log is as it was: what was torn is overwritten
    /// or cut.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), StorageError> {
        let len = (records.len() * RECORD_LEN) as u64;
        while self.room_end - self.end < LOW_ROOM + len {
            // A full disk is no error as long as the records themselves have their room.
            if let Err(error) = self.make_room() {
                if self.room_end - self.end < len {
                    return Err(self.fail("making room in the coverage log", error));
                }
                break;
            }
        }
        let bytes: Vec<u8> = records.iter().flat_map(|record| record.encode(self.epoch)).collect();
        self.write_at(self.end, &bytes)
            .map_err(|error| self.fail("appending to the coverage log", error))?;
        for (record, at) in records.iter().zip((self.end..).step_by(RECORD_LEN)) {
            match record {
                Record::Punch { .. } => self.punched = true,
                _ => self.unproven = self.unproven.or(Some(at)),
            }
        }
        self.end += len;
        Ok(())
    }

    /// A second handle, to sync the log with.
    pub(crate) fn handle(&mut self) -> Result<File, StorageError> {
        let cloned = self.file().and_then(File::try_clone);
        cloned.map_err(|error| self.fail("opening the coverage log again", error))
    }

    /// The open file; opens it, if it was closed to rest.
    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            self.file = Some(open_again(&*self.disk, &self.path, self.id)?);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether all of it is on stable storage.
    pub(crate) fn is_proven(&self) -> bool {
        self.proven_end == self.end && !self.punched
    }

    /// Closes the file until it is needed. What is not on stable storage should be so before: if the system fails to write
    /// it, nobody might hear of that.
    pub(crate) fn rest(&mut self) {
        if self.id.is_some() {
            self.file = None;
        }
    }

    /// Where the next record goes.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// What lies before `end` is now on stable storage.
    pub(crate) fn proven_to(&mut self, end: u64) {
        // No hole is cut while a barrier is on its way, so what came after it is no punch.
        (self.proven_end, self.punched) = (end, false);
        self.unproven = (self.end > end).then_some(end);
    }

    /// Cuts off what is not proven. For when a sync failed and no new log can be written: what
    /// the old one says after its last barrier must not be believed, not even in this run of the system. But what it says
    /// of holes must stay: then the first other record is spoilt, and nothing but punches counts beyond it.
    pub(crate) fn cut_unproven(&mut self) -> Result<(), StorageError> {
        let cut = match (self.punched, self.unproven) {
            (true, None) => Ok(()),
            (true, Some(at)) => self.write_at(at, &[0; RECORD_LEN]),
            (false, _) => {
                let end = self.proven_end;
                let disk = self.disk.clone();
                self.file().and_then(|file| disk.set_len(file, end))
            }
        };
        // A log that cannot be cut must go whole.
        cut.or_else(|_| self.disk.remove_file(&self.path))
            .map_err(|error| self.fail("cutting the coverage log", error))
    }

    /// Cuts off the room.
    pub(crate) fn trim(&mut self) -> Result<(), StorageError> {
        let (disk, end) = (self.disk.clone(), self.end);
        let cut = self.file().and_then(|file| disk.set_len(file, end));
        cut.map_err(|error| self.fail("trimming the coverage log", error))?;
        self.room_end = self.end;
        Ok(())
    }

    /// Makes what was appended proof against power loss.
    pub(crate) fn sync(&mut self) -> Result<(), StorageError> {
        let disk = self.disk.clone();
        let synced = self.file().and_then(|file| disk.sync(file, Depth::All));
        synced.map_err(|error| self.fail("syncing the coverage log", error))?;
        self.proven_to(self.end);
        Ok(())
    }

    /// Whether `file`'s log is larger than that, in bytes.
    pub(crate) fn is_beyond(&self, bytes: u64) -> bool {
        self.end > bytes
    }

    fn make_room(&mut self) -> io::Result<()> {
        let zeros = [0; LOG_STEP as usize];
        self.write_at(self.room_end, &zeros)?;
        self.room_end += LOG_STEP;
        Ok(())
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let disk = self.disk.clone();
        write_all_at(&*disk, self.file()?, at, bytes)
    }

    fn fail(&self, doing: &'static str, error: io::Error) -> StorageError {
        StorageError::new(doing, error).at(&self.path)
    }
}

/// A random epoch for a new log; never that of the log before it.
pub(crate) fn new_epoch(before: Option<u32>) -> u32 {
    // The standard library seeds these from the system's source of randomness.
    let random = RandomState::new().build_hasher().finish();
    let epoch = (random ^ (random >> 32)) as u32;
    if Some(epoch) == before { !epoch } else { epoch }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_range::ByteRange;
    use crate::storage::disk::system;
    use crate::validator::Validator;

    #[test]
    fn a3_a_log_is_cut_back_to_what_it_proved_when_it_was_put_in_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let header = Header {
            epoch: 7,
            key: [1; 32],
            boot: None,
            created: 0,
            validator: Validator::default(),
            content_type: None,
            label: None,
        };
        let covered =
            |start, seq| Record::Covered { range: ByteRange::at(start, 10), crc: None, seq };
        let proven = [covered(0, 1), covered(20, 2), Record::Barrier { seq: 2 }];
        let rest = [covered(40, 3)];
        let draft = Draft::new(header.clone(), 1, &proven, &rest);
        let log = LogFile::create(system(), &path, &draft, Durable::No);
        log.expect("created").cut_unproven().expect("cut");
        let mut whole = header.encode();
        proven.iter().for_each(|record| whole.extend_from_slice(&record.encode(7)));
        assert_eq!(std::fs::read(&path).expect("read"), whole);
    }
}
