//! Reading along: what another engine or process stores of an asset, read without its lock; or what lies in a store that
//! lets nothing be written, where nobody can take one.
//!
//! The holder asks nobody before it gives bytes back to the disk, begins a new generation, or goes. But it says so first: in its
//! log, or by another log in its place. So every read looks at the log *after* it has the bytes, and throws them
//! away if it says that they go. The bytes cannot have gone, or become others, before the log said so.
//!
//! Only what a barrier has proven is read: what comes after it may still be taken back by a failed sync. What the holder
//! proves later is found by looking at the log again ([`Along::follow`]); nobody tells, and nobody looks unless asked.
//!
//! Nothing of the holder's is changed; what this one receives itself goes to a file without a name.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::AssetStore;
use super::extents::Extents;
use super::key::AssetKey;
use super::layout::{Kind, is_there};
use super::lease::{MAX_LOG, Recovered, summary};
use super::lock::is_at;
use super::log::{Header, RECORD_LEN, Record};
use super::proofs::Proofs;
use super::recovery::recover;
use crate::byte_range::ByteRange;
use crate::storage::backend::Blob;
use crate::storage::disk::Disk;
use crate::sync::{Arc, Mutex};

/// Records that are looked at in one go.
const AT_ONCE: usize = 64;

/// An asset that somebody else holds.
#[derive(Debug)]
pub(crate) struct Along {
    disk: Arc<dyn Disk>,
    data: File,
    log: File,
    path: PathBuf,
    epoch: u32,
    /// A log that is shorter than its header says nothing any more.
    head: u64,
    known: Mutex<Known>,
    found: Recovered,
}

/// What is known of the holder's bytes.
#[derive(Debug)]
struct Known {
    /// Those that are read from it.
    theirs: Extents,
    /// What the log says since this began. Bytes that it took away are never read again, though they may have come again:
    /// a read that began before they went could not tell.
    proofs: Proofs,
    /// Whether nothing of it counts any more.
    void: bool,
    /// Where the log goes on.
    end: u64,
}

/// Where bytes are.
enum Part {
    Theirs(usize),
    Ours(usize),
}

impl AssetStore {
    /// What the log of `key` proves, whoever holds the asset; `None` if that is nothing, or cannot be told from what comes
    /// in its place. Writes nothing.
    pub(crate) fn look_along(&self, key: &AssetKey) -> Option<Along> {
        // There open files cannot be told apart.
        if !cfg!(unix) {
            return None;
        }
        let paths = self.inner.layout.asset(key);
        let open = |path: &PathBuf| match is_there(path, Kind::File) {
            Ok(Some(_)) => File::open(path).ok(),
            _ => None,
        };
        // The log first: if both are replaced in between, it is the one that is found to be gone.
        let (log, data) = (open(&paths.map)?, open(&paths.data)?);
        let mut bytes = Vec::new();
        (&log).take(MAX_LOG).read_to_end(&mut bytes).ok()?;
        let (header, head) = Header::decode(&bytes)?;
        let mut recovery = recover(&bytes, data.metadata().ok()?.len(), None)?;
        recovery.suspect.clear();
        let found = summary(&recovery);
        // Where nothing strong tells versions apart, stored bytes are compared with the origin's before others are put
        // beside them; later there may be others already.
        let may_follow = header.validator.if_range().is_some();
        if header.key != key.hash() || (found.covered.is_empty() && !may_follow) {
            return None;
        }
        let (theirs, end) = (found.covered.iter().copied().collect(), recovery.log_len);
        let proofs = Proofs::after(bytes.get(head..end)?, header.epoch);
        let known = Known { theirs, proofs, void: false, end: end as u64 };
        let disk = self.inner.layout.disk_handle();
        let (epoch, head, path) = (header.epoch, head as u64, paths.map);
        Some(Along { disk, data, log, path, epoch, head, known: Mutex::new(known), found })
    }
}

impl Along {
    /// What there is.
    pub(crate) fn found(&self) -> &Recovered {
        &self.found
    }

    /// Looks what the holder has proven since the last time, and gives what of that is `missing` here: from now on it is read
    /// from there. The length as well, if the log tells it. Blocks for the disk, little.
    pub(crate) fn follow(
        &self,
        missing: impl FnMut(ByteRange) -> Vec<ByteRange>,
    ) -> (Vec<ByteRange>, Option<u64>) {
        let mut known = self.known.lock();
        self.look(&mut known);
        let data_len = self.data.metadata().map_or(0, |meta| meta.len());
        if known.void {
            return (Vec::new(), None);
        }
        let len = known.proofs.len;
        let end = len.map_or(data_len, |len| len.min(data_len));
        let fresh = known.proofs.take_fresh().into_iter().map(|range| range.until(end));
        let mut wanted: Extents = fresh.flat_map(missing).collect();
        known.proofs.gone.to_vec().into_iter().for_each(|range| wanted.remove(range));
        let wanted = wanted.to_vec();
        wanted.iter().for_each(|range| known.theirs.insert(*range));
        (wanted, len)
    }

    /// The holder's bytes where it has them, and those of `file`, which is open for reading and writing, where not.
    /// Without a file all that is written is refused.
    pub(crate) fn over(self: &Arc<Self>, file: Option<File>) -> impl Blob {
        Over { along: self.clone(), file }
    }

    /// What was to be read from the holder, and can be no longer.
    pub(crate) fn gone(&self) -> Vec<ByteRange> {
        let known = self.known.lock();
        let all = known.theirs.to_vec().into_iter();
        if known.void {
            return all.collect();
        }
        let gone = known.proofs.gone.to_vec();
        let both = |range: ByteRange| gone.iter().map(move |hole| range.intersect(*hole));
        all.flat_map(both).filter(|range| !range.is_empty()).collect()
    }

    /// Reads the holder's bytes as they are just now. They count only if [`Self::still_has`] says so afterwards.
    pub(super) fn peek(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(&self.data, offset, buf)
    }

    /// Whether the holder has not said by now that bytes of `range` go.
    pub(super) fn still_has(&self, range: ByteRange) -> bool {
        let mut known = self.known.lock();
        self.look(&mut known);
        !known.void && !known.proofs.gone.overlaps(range)
    }

    /// Looks whether the log still counts, and what it says.
    fn look(&self, known: &mut Known) {
        let is_short = || self.log.metadata().is_ok_and(|meta| meta.len() < self.head);
        known.void = known.void || !is_at(&self.log, &self.path) || is_short();
        if !known.void
            && let Err(error) = self.read_on(known)
        {
            tracing::debug!(%error, "a log that is read along cannot be read");
            known.void = true;
        }
    }

    /// Looks at what the log says since the last time. What is being written just now is not read yet: before it is
    /// written whole nothing is done that it says.
    fn read_on(&self, known: &mut Known) -> io::Result<()> {
        let mut buf = [0; AT_ONCE * RECORD_LEN];
        loop {
            let n = self.disk.read_at(&self.log, known.end, &mut buf)?;
            for bytes in buf[..n].as_chunks::<RECORD_LEN>().0 {
                let Some(record) = Record::decode(bytes, self.epoch) else { return Ok(()) };
                if !known.proofs.take(record) {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "records out of order"));
                }
                known.end += RECORD_LEN as u64;
            }
            if n < buf.len() {
                return Ok(());
            }
        }
    }

    fn part(&self, offset: u64, len: usize) -> Part {
        let known = self.known.lock();
        let (here, end) = known.theirs.run_from(offset);
        let most = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        if here { Part::Theirs(len.min(most)) } else { Part::Ours(len.min(most)) }
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.peek(offset, buf)?;
        if n > 0 && self.still_has(ByteRange::at(offset, n as u64)) {
            return Ok(n);
        }
        if n == 0 {
            // It was emptied for a new generation.
            self.known.lock().void = true;
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "whoever stores these bytes has given them up"))
    }
}

/// See [`Along::over`].
struct Over {
    along: Arc<Along>,
    file: Option<File>,
}

impl Over {
    fn file(&self) -> io::Result<&File> {
        let none = || io::Error::new(io::ErrorKind::StorageFull, "there is no place for it");
        self.file.as_ref().ok_or_else(none)
    }
}

impl Blob for Over {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        match self.along.part(offset, buf.len()) {
            Part::Theirs(n) => self.along.read(offset, &mut buf[..n]),
            Part::Ours(n) => self.along.disk.read_at(self.file()?, offset, &mut buf[..n]),
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let n = self.along.disk.write_at(self.file()?, offset, bytes)?;
        // Only now: until then they are read where they were.
        self.along.known.lock().theirs.remove(ByteRange::at(offset, n as u64));
        Ok(n)
    }

    fn discard(&self, range: ByteRange) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| self.along.disk.punch(file, range))
    }

    fn allocated(&self) -> io::Result<u64> {
        let allocated = |file: &File| crate::storage::platform::allocated(&file.metadata()?);
        self.file.as_ref().map_or(Ok(0), allocated)
    }
}
