//! An asset that is open: ours alone, and not to be evicted, until this is dropped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use super::Inner;
use super::evict::remove_unfinished;
use super::extents::Extents;
use super::journal::Journal;
use super::key::AssetKey;
use super::layout::{AssetPaths, Durable, Kind, is_there, make_folder, open_file, sync_folder};
use super::lock::Hold;
use super::log::{Header, RECORD_LEN};
use super::recovery::{Piece, Recovery, recover};
use crate::byte_range::ByteRange;
use crate::error::StorageError;
use crate::storage::Backend;
use crate::storage::disk::Disk;
use crate::storage::file::RestingFile;
use crate::sync::Arc;
use crate::validator::Validator;

/// Most bytes of a log that are read: two million records. The rest counts as torn off.
pub(super) const MAX_LOG: u64 = 64 << 20;
/// Most suspect bytes that are read and checked while an asset opens. Barriers keep it to some tens of MiB; what
/// is beyond was written while syncs did not come back for long, and is fetched again.
const MAX_CHECK: u64 = 256 << 20;

/// What asking for an asset gives.
// Asked for once per open and taken apart at once: a box would cost more than the room it saves.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(crate) enum Acquired {
    /// It is ours.
    Held(Lease),
    /// Another process or engine has it: stream without storing.
    Elsewhere,
    /// Offline, and nothing of it is stored.
    Absent,
}

/// Which version of a resource the bytes are of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Generation {
    /// Tells it from others.
    pub(crate) validator: Validator,
    /// `Content-Type` as sent.
    pub(crate) content_type: Option<String>,
}

/// What is stored of an asset, ready to be served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recovered {
    /// Which version the bytes are of; `None` if nothing is stored.
    pub(crate) meta: Option<Generation>,
    /// Length of the resource, if known.
    pub(crate) len: Option<u64>,
    /// The bytes that are there: sorted, apart from each other, none empty.
    pub(crate) covered: Vec<ByteRange>,
    /// Whether that is all of them.
    pub(crate) sealed: bool,
    /// When the origin last confirmed the validator, in Unix seconds.
    pub(crate) validated: Option<u64>,
}

/// The files of a held asset. Dropping it gives the asset free.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) key: AssetKey,
    data: OnceLock<Arc<RestingFile>>,
    pub(super) hold: Hold,
    // After the lock: a temporary store goes with its last user.
    pub(super) store: Arc<Inner>,
}

impl Place {
    /// The files of the asset `key`, which `hold` keeps.
    pub(super) fn new(store: &Arc<Inner>, key: &AssetKey, hold: Hold) -> Self {
        Self { key: key.clone(), data: OnceLock::new(), hold, store: store.clone() }
    }

    /// Where they are. Not kept: an idle asset would take a KiB for it.
    pub(super) fn paths(&self) -> AssetPaths {
        self.store.layout.asset(&self.key)
    }

    /// The data file, open; made when first asked for, so that an open that fails leaves no files.
    pub(super) fn data(&self) -> Result<Arc<File>, StorageError> {
        let fail = |error| StorageError::new("opening a file", error).at(&self.paths().data);
        self.shared_data()?.open().map_err(fail)
    }

    /// The same, for who reads and writes it beside the journal: one open file serves both.
    fn shared_data(&self) -> Result<&Arc<RestingFile>, StorageError> {
        if let Some(file) = self.data.get() {
            return Ok(file);
        }
        make_folder(self.disk(), &self.paths().folder)?;
        let file = open_file(self.disk(), &self.paths().data)?;
        let disk = self.store.layout.disk_handle();
        let file = RestingFile::new(disk, &self.paths().data, file);
        Ok(self.data.get_or_init(|| Arc::new(file)))
    }

    /// Closes the data file, unless it was used since this was last asked; whether it is at rest now.
    pub(super) fn rest(&self) -> bool {
        self.data.get().is_none_or(|data| data.rest())
    }

    /// The folders in which the names lead to this asset's files, the innermost first.
    pub(super) fn folders(&self) -> Vec<std::path::PathBuf> {
        let paths = self.paths();
        let root = self.store.layout.root().to_owned();
        vec![paths.folder, paths.shelf, paths.all, root]
    }

    /// Makes the names that lead to this asset's files proof against power loss.
    pub(super) fn sync_names(&self) -> Result<(), StorageError> {
        match self.sync() {
            Durable::Yes => {
                self.folders().iter().try_for_each(|folder| sync_folder(self.disk(), folder))
            }
            Durable::No => Ok(()),
        }
    }

    /// Sees that the asset's names still lead to what is open here. If the store was removed, another process may
    /// have begun anew under the same names, and must not find a log of ours beside its bytes.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        let data = self.data.get();
        let is_ours = self.sync() == Durable::No
            || (self.hold.is_at(&self.paths().lock)
                && data.is_none_or(|data| data.is_at(&self.paths().data)));
        if is_ours {
            return Ok(());
        }
        let why = "the store, or this part of it, was removed or replaced while it was in use";
        let error = io::Error::new(io::ErrorKind::NotFound, why);
        Err(StorageError::new("recording what was received", error).at(&self.paths().folder))
    }

    /// What the asset's files are changed through.
    pub(super) fn disk(&self) -> &dyn Disk {
        self.store.layout.disk()
    }

    /// Whether files of this asset outlive the process.
    pub(super) fn sync(&self) -> Durable {
        self.store.sync()
    }

    /// The data file, if there is one.
    pub(super) fn existing_data(&self) -> Result<Option<Arc<File>>, StorageError> {
        if is_there(&self.paths().data, Kind::File)?.is_some() {
            self.data().map(Some)
        } else {
            Ok(None)
        }
    }
}

/// An open asset before anything is written to it.
#[derive(Debug)]
pub(crate) struct Lease {
    /// What is stored.
    pub(crate) recovered: Recovered,
    place: Place,
    found: Option<Recovery>,
}

impl Lease {
    /// Takes the asset, reads its log and checks what is not proven. Blocks.
    pub(super) fn take(
        store: &Arc<Inner>,
        key: &AssetKey,
        offline: bool,
    ) -> Result<Acquired, StorageError> {
        let paths = store.layout.asset(key);
        // The lookup of a missing asset must leave no trace when nothing can come of it.
        if offline && is_there(&paths.map, Kind::File)?.is_none() {
            return Ok(Acquired::Absent);
        }
        let Some(hold) = Hold::take(&store.layout, &paths)? else {
            return Ok(Acquired::Elsewhere);
        };
        hold.touch(&paths.lock);
        let place = Place::new(store, key, hold);
        let found = find(&place)?;
        if offline && found.is_none() {
            return Ok(Acquired::Absent);
        }
        let recovered = found.as_ref().map(summary).unwrap_or_default();
        Ok(Acquired::Held(Self { recovered, place, found }))
    }

    /// Where the bytes are, for the storage that serves them.
    pub(crate) fn bytes(&self) -> Result<Backend, StorageError> {
        Ok(Backend::resting(self.place.shared_data()?.clone()))
    }

    /// Whether the user has pinned it; false where the disk does not tell.
    pub(crate) fn is_pinned(&self) -> bool {
        matches!(is_there(&self.place.paths().pin, Kind::File), Ok(Some(_)))
    }

    /// The data file.
    #[cfg(test)]
    pub(super) fn data(&self) -> Result<File, StorageError> {
        let data = self.place.data()?;
        data.try_clone().map_err(|error| {
            StorageError::new("opening a file", error).at(&self.place.paths().data)
        })
    }

    /// The writer's side, which keeps the asset until it is closed.
    pub(crate) fn into_journal(self) -> Journal {
        Journal::new(self.place, self.found)
    }
}

/// What the files of an asset prove; `None` if nothing.
pub(super) fn find(place: &Place) -> Result<Option<Recovery>, StorageError> {
    if is_there(&place.paths().folder, Kind::Folder)?.is_none() {
        return Ok(None);
    }
    remove_unfinished(place.disk(), &place.paths().folder, Duration::ZERO);
    let Some(log) = read_log(&place.paths().map)? else { return Ok(None) };
    let Some(data) = place.existing_data()? else { return Ok(None) };
    let fail = |error| StorageError::new("reading stored bytes", error).at(&place.paths().data);
    let data_len = data.metadata().map_err(fail)?.len();
    let Some(mut recovery) = recover(&log, data_len, place.store.boot) else {
        tracing::warn!(path = %place.paths().map.display(), "coverage log is damaged; starting afresh");
        return Ok(None);
    };
    if recovery.header.key != place.key.hash() {
        return Ok(None);
    }
    if !recovery.same_boot {
        recovery.suspect = check_suspects(place.disk(), &data, recovery.suspect);
    }
    Ok(Some(recovery))
}

/// The log at `path`, if there is one.
pub(super) fn read_log(path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    let Some(meta) = is_there(path, Kind::File)? else { return Ok(None) };
    let fail = |error| StorageError::new("reading a coverage log", error).at(path);
    // With room for all of it: a listing reads thousands.
    let mut log = Vec::with_capacity(meta.len().min(MAX_LOG) as usize + RECORD_LEN);
    File::open(path).and_then(|file| file.take(MAX_LOG).read_to_end(&mut log)).map_err(fail)?;
    Ok(Some(log))
}

/// The suspect pieces whose bytes are what was received.
fn check_suspects(disk: &dyn Disk, data: &File, mut suspect: Vec<Piece>) -> Vec<Piece> {
    let mut budget = MAX_CHECK;
    suspect.retain(|piece| {
        let Some(left) = budget.checked_sub(piece.range.len()) else { return false };
        budget = left;
        piece.crc.is_some() && crc_of(disk, data, piece.range) == piece.crc
    });
    suspect
}

/// CRC-32 of the bytes of `range`; `None` if the file ends before it or the disk cannot read them.
pub(super) fn crc_of(disk: &dyn Disk, data: &File, range: ByteRange) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buf = vec![0; 256 * 1024];
    let mut rest = range;
    while !rest.is_empty() {
        let want = usize::try_from(rest.len()).unwrap_or(usize::MAX).min(buf.len());
        match disk.read_at(data, rest.start, &mut buf[..want]) {
            Ok(0) => return None,
            Ok(n) => {
                hasher.update(&buf[..n]);
                rest.start += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A sector that cannot be read proves nothing; the others still may.
            Err(error) => {
                tracing::warn!(%error, "stored bytes cannot be read");
                return None;
            }
        }
    }
    Some(hasher.finalize())
}

/// What of a recovery the engine needs.
pub(super) fn summary(recovery: &Recovery) -> Recovered {
    let Header { validator, content_type, .. } = &recovery.header;
    let covered = coverage(recovery);
    let whole = recovery.len.is_some_and(|len| covered.covers(ByteRange::new(0, len)));
    Recovered {
        meta: Some(Generation { validator: validator.clone(), content_type: content_type.clone() }),
        len: recovery.len,
        sealed: recovery.sealed && whole,
        covered: covered.to_vec(),
        validated: recovery.validated,
    }
}

/// Every byte that a recovery has, proven or suspect.
pub(super) fn coverage(recovery: &Recovery) -> Extents {
    recovery.trusted.iter().chain(&recovery.suspect).map(|piece| piece.range).collect()
}
