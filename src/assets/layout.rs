//! Where things lie in a store, and the few ways in which they are made, opened and replaced.
//!
//! ```text
//! root/kithara-store            the format's version; makes the folder known as a store
//! root/lock                     held shared to take an asset's lock, alone to remove an asset
//! root/held                     empty; a byte of it is locked for each asset that somebody has open
//! root/assets/<hh>/<hash>/data  the bytes, at their offsets; sparse
//! root/assets/<hh>/<hash>/map   the coverage log
//! root/assets/<hh>/<hash>/pin   empty; there if the user pinned the asset
//! root/assets/<hh>/<hash>.lock  the asset's own lock; its time of change is its last use
//! root/objects/<hh>/<hash>      a small whole object
//! root/trash/<hash>.<n>         being removed
//! ```
//!
//! `<hash>` is the key's, `<hh>` its first two digits: no name comes from foreign text. There is no
//! index to lose: sizes, last use and pins are read from the tree itself.
//!
//! Folders are made with mode 0700, files with 0600. A symbolic link, or anything else that is not
//! the kind of thing that belongs in a place, is refused; only `root` itself may be a link.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::key::AssetKey;
use super::marks::Marks;
use crate::error::StorageError;
use crate::storage::AtomicResource;
use crate::storage::atomic::replace;
pub(crate) use crate::storage::atomic::{Aside, Durable};
use crate::storage::disk::Disk;
use crate::sync::Arc;

/// What the marker says: the version of this layout.
const MARKER: &str = "kithara-file store 1\n";
/// Longest marker that is read, in bytes.
const MAX_MARKER: u64 = 4096;
/// Room is made in the log in steps of this many bytes, so that a full disk cannot block a record.
pub(crate) const LOG_STEP: u64 = 64 * 1024;

/// The paths of one store, and the disk they are on.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    marks: Arc<Marks>,
}

/// The paths of one asset.
#[derive(Debug, Clone)]
pub(crate) struct AssetPaths {
    /// `assets`.
    pub(crate) all: PathBuf,
    /// `assets/<hh>`.
    pub(crate) shelf: PathBuf,
    /// The asset's folder.
    pub(crate) folder: PathBuf,
    /// The bytes.
    pub(crate) data: PathBuf,
    /// The coverage log.
    pub(crate) map: PathBuf,
    /// The pin.
    pub(crate) pin: PathBuf,
    /// The lock.
    pub(crate) lock: PathBuf,
    /// Its place in the file `held`.
    pub(crate) mark: u64,
}

impl Layout {
    /// Makes `root` a store, or sees that it is one. Reads no asset.
    pub(crate) fn open(disk: Arc<dyn Disk>, root: &Path) -> Result<Self, StorageError> {
        let fail = |error| StorageError::new("opening the store", error).at(root);
        make_folder_all(&*disk, root)?;
        let root = root.canonicalize().map_err(fail)?;
        let layout = Self { disk, root, marks: Arc::default() };
        layout.mark()?;
        open_file(layout.disk(), &layout.lock())?;
        Ok(layout)
    }

    /// The paths of a store at `root` that cannot be opened for now; see [`Self::remake`].
    pub(crate) fn unopened(disk: Arc<dyn Disk>, root: &Path) -> Result<Self, StorageError> {
        let fail = |error| StorageError::new("opening the store", error).at(root);
        let root = std::path::absolute(root).map_err(fail)?;
        Ok(Self { disk, root, marks: Arc::default() })
    }

    /// Makes the store again where it is missing.
    pub(crate) fn remake(&self) -> Result<(), StorageError> {
        Self::open(self.disk.clone(), &self.root).map(drop)
    }

    /// Whether it is a store of this version, as far as can be told by reading.
    pub(crate) fn is_marked(&self) -> bool {
        let marker = AtomicResource::new(&self.disk, self.root.join("kithara-store"));
        matches!(marker.read(MAX_MARKER), Ok(Some(found)) if found == MARKER.as_bytes())
    }

    /// Reads the marker, or writes it. An empty one is as good as none: no version ever says nothing.
    fn mark(&self) -> Result<(), StorageError> {
        let path = self.root.join("kithara-store");
        is_there(&path, Kind::File)?;
        let marker = AtomicResource::new(&self.disk, &path);
        match marker.read(MAX_MARKER)?.as_deref() {
            Some(found) if found == MARKER.as_bytes() => Ok(()),
            None | Some([]) => {
                self.sync_above();
                marker.write(MARKER.as_bytes())
            }
            Some(_) => {
                let why = "the store was made by another version of kithara-file";
                let error = io::Error::new(io::ErrorKind::InvalidData, why);
                Err(StorageError::new("opening the store", error).at(&path))
            }
        }
    }

    /// Makes the way to a new store proof against power loss. Once it has its marker that is done.
    fn sync_above(&self) {
        for folder in self.root.ancestors().skip(1) {
            // Where we may not look into a folder, somebody else made what is in it, and long ago.
            if let Err(error) = self.disk.sync_folder(folder) {
                tracing::debug!(folder = %folder.display(), %error, "a folder above the store is not synced");
            }
        }
    }

    /// The store's folder, with links resolved.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What the store's files are changed through.
    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The same, to keep.
    pub(crate) fn disk_handle(&self) -> Arc<dyn Disk> {
        self.disk.clone()
    }

    /// The store's lock file.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The file of which a byte is locked for each asset that is held.
    pub(crate) fn held(&self) -> PathBuf {
        self.root.join("held")
    }

    /// That file, as it is open here.
    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The folder of all assets.
    pub(crate) fn assets(&self) -> PathBuf {
        self.root.join("assets")
    }

    /// The folder of all small objects.
    pub(crate) fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// Where things go to be removed.
    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// The paths of one asset.
    pub(crate) fn asset(&self, key: &AssetKey) -> AssetPaths {
        let id = key.id();
        let all = self.assets();
        let shelf = all.join(&id[..2]);
        let folder = shelf.join(&id);
        AssetPaths {
            data: folder.join("data"),
            map: folder.join("map"),
            pin: folder.join("pin"),
            lock: shelf.join(format!("{id}.lock")),
            // Offsets have 63 bits, and a byte follows.
            mark: u64::from_str_radix(&id[..16], 16).unwrap_or_default() >> 2,
            all,
            shelf,
            folder,
        }
    }

    /// The folder and the path of one small object.
    pub(crate) fn object(&self, key: &AssetKey) -> (PathBuf, PathBuf) {
        let id = key.id();
        let shelf = self.objects().join(&id[..2]);
        let path = shelf.join(id);
        (shelf, path)
    }
}

/// What belongs in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

#[cfg(test)]
thread_local! {
    /// How many places this thread has looked at.
    pub(crate) static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// What is at `path`: `None` if nothing, an error if something else than `kind`, as a link.
pub(crate) fn is_there(path: &Path, kind: Kind) -> Result<Option<Metadata>, StorageError> {
    #[cfg(test)]
    LOOKS.set(LOOKS.get() + 1);
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::new("looking into the store", error).at(path)),
    };
    let fits = match kind {
        Kind::File => meta.is_file(),
        Kind::Folder => meta.is_dir(),
    };
    if fits {
        return Ok(Some(meta));
    }
    let why = match kind {
        Kind::File => "a regular file belongs here; links are not followed",
        Kind::Folder => "a folder belongs here; links are not followed",
    };
    let error = io::Error::new(io::ErrorKind::InvalidInput, why);
    Err(StorageError::new("looking into the store", error).at(path))
}

/// Makes the folder `path` unless it is there; its parent must be.
pub(crate) fn make_folder(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    if is_there(path, Kind::Folder)?.is_some() {
        return Ok(());
    }
    match disk.make_folder(path) {
        // Somebody else was faster; then it must be a folder all the same.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            is_there(path, Kind::Folder).map(drop)
        }
        done => done.map_err(|error| StorageError::new("making a folder", error).at(path)),
    }
}

/// Makes the store's own folder with its parents; links on the way are the user's.
fn make_folder_all(disk: &dyn Disk, root: &Path) -> Result<(), StorageError> {
    let fail = |error| StorageError::new("making the store's folder", error).at(root);
    let missing: Vec<&Path> = root
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && folder.metadata().is_err())
        .collect();
    for folder in missing.into_iter().rev() {
        match disk.make_folder(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(error)),
            _ => {}
        }
    }
    match root.metadata() {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(fail(io::Error::new(io::ErrorKind::NotADirectory, "this is no folder"))),
        Err(error) => Err(fail(error)),
    }
}

/// Opens the file at `path` for reading and writing; makes it if it is missing.
pub(crate) fn open_file(disk: &dyn Disk, path: &Path) -> Result<File, StorageError> {
    is_there(path, Kind::File)?;
    disk.open(path).map_err(|error| StorageError::new("opening a file", error).at(path))
}

/// Puts a file with `bytes` and then `room` zeros in place of what is at `path`; see [`replace`].
pub(crate) fn replace_file(
    disk: &dyn Disk,
    path: &Path,
    bytes: &[u8],
    room: u64,
    durable: Durable,
) -> Result<File, StorageError> {
    is_there(path, Kind::File)?;
    replace(disk, path, bytes, room, durable)
        .map_err(|error| StorageError::new("writing a file", error).at(path))
}

/// Makes the names in `folder` proof against power loss.
pub(crate) fn sync_folder(disk: &dyn Disk, folder: &Path) -> Result<(), StorageError> {
    let fail = |error| StorageError::new("syncing a folder", error).at(folder);
    disk.sync_folder(folder).map_err(fail)
}
