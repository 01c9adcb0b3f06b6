//! Who may use an asset: one holder at a time, over all stores and processes.
//!
//! Two locks work together. In this process a register of names, for file locks of some systems are
//! the process's and would let a second store in. Between processes a lock of the system's, which vanishes with its
//! process, so that no stale one is ever cleared away: the asset's [mark](super::marks), so that it takes no open file of its own,
//! and its lock file. That one is tried by everybody and kept only where marks cannot be set, or where others might not see
//! them: on file systems that several machines may share.
//!
//! Removing an asset removes its lock file. A process that had opened that file and locks it only
//! afterwards would hold a lock nobody else sees; so the two steps of taking a lock are made
//! under the store's lock, shared, and a removal is made under the same lock, alone. Both are
//! held for a few system calls.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use super::layout::{AssetPaths, Kind, Layout, is_there, make_folder, open_file};
use super::marks::{Mark, Marking};
use crate::error::StorageError;
use crate::storage::platform::is_same_file;
use crate::sync::{Arc, Mutex};

/// The assets held in this process, by their folders.
static HELD: LazyLock<Mutex<HashSet<Arc<Path>>>> = LazyLock::new(Mutex::default);

/// A place in the register; leaves it when dropped.
#[derive(Debug)]
struct Registered(Arc<Path>);

impl Registered {
    /// `None` if somebody else in this process has the asset.
    fn enter(folder: &Path) -> Option<Self> {
        let folder: Arc<Path> = folder.into();
        HELD.lock().insert(folder.clone()).then_some(folder).map(Self)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        HELD.lock().remove(&self.0);
    }
}

/// Whether somebody in this process holds the asset.
pub(crate) fn is_held_here(folder: &Path) -> bool {
    HELD.lock().contains(folder)
}

/// The asset is ours until this is dropped: nobody else writes, evicts or removes it.
#[derive(Debug)]
pub(crate) struct Hold {
    // The locks go first; then the name leaves the register.
    own: Option<OwnLock>,
    mark: Option<Mark>,
    _registered: Registered,
}

/// The asset's lock file, locked.
#[derive(Debug)]
struct OwnLock(File);

impl Hold {
    /// Takes the asset, or gives `None` if it is somebody else's. Makes the folder that the lock file is in.
    pub(crate) fn take(layout: &Layout, paths: &AssetPaths) -> Result<Option<Self>, StorageError> {
        // First: who has the store to itself has the asset for a moment only, and is waited for.
        let _shared = StoreLock::shared(layout)?;
        let Some(registered) = Registered::enter(&paths.folder) else { return Ok(None) };
        make_folder(layout.disk(), &paths.all)?;
        make_folder(layout.disk(), &paths.shelf)?;
        Self::lock(layout, paths, registered)
    }

    /// Takes an asset that is there, to remove it; the caller has the store to itself.
    pub(crate) fn take_under(
        layout: &Layout,
        _alone: &StoreLock,
        paths: &AssetPaths,
    ) -> Result<Option<Self>, StorageError> {
        let Some(registered) = Registered::enter(&paths.folder) else { return Ok(None) };
        Self::lock(layout, paths, registered)
    }

    fn lock(
        layout: &Layout,
        paths: &AssetPaths,
        registered: Registered,
    ) -> Result<Option<Self>, StorageError> {
        let mark = match layout.marks().take(layout, paths.mark)? {
            Marking::Taken(mark) => Some(mark),
            Marking::Busy => return Ok(None),
            Marking::Unsupported => None,
        };
        // Who has set the mark is alone here, but for those that cannot see it.
        let file = open_file(layout.disk(), &paths.lock)?;
        match file.try_lock() {
            Ok(()) => {
                let own = Some(OwnLock(file));
                let own = own.filter(|_| mark.is_none() || !layout.marks().are_for_all(layout));
                Ok(Some(Self { own, mark, _registered: registered }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                // Without locks two writers could meet, so nobody stores anything there.
                tracing::warn!(path = %paths.lock.display(), "file system has no locks; not storing");
                Ok(None)
            }
            Err(TryLockError::Error(error)) => {
                Err(StorageError::new("locking an asset", error).at(&paths.lock))
            }
        }
    }

    /// Whether the locks' names still lead to what is locked; `path` is that of the lock file. If not, somebody else may hold
    /// the asset by now.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.mark.as_ref().is_none_or(Mark::is_in_place)
            && self.own.as_ref().is_none_or(|own| is_at(&own.0, path))
    }

    /// Notes that the asset is in use now, on the lock file at `path`. Only the order of eviction hangs on it.
    pub(crate) fn touch(&self, path: &Path) {
        if let Some(OwnLock(file)) = &self.own {
            return super::list::touch(file);
        }
        match is_there(path, Kind::File).map(|_| File::options().write(true).open(path)) {
            Ok(Ok(file)) => super::list::touch(&file),
            Ok(Err(error)) => tracing::debug!(%error, "time of last use not kept"),
            Err(error) => tracing::debug!(%error, "time of last use not kept"),
        }
    }
}

/// Whether the name `path` leads to the open `file`.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(file), Ok(there)) = (file.metadata(), path.symlink_metadata()) else { return false };
    is_same_file(&file, &there)
}

#[cfg(test)]
impl Hold {
    /// What is locked.
    pub(crate) fn file(&self) -> &File {
        let mark = self.mark.as_ref().map(Mark::file);
        mark.or(self.own.as_ref().map(|own| &own.0)).expect("one of them is there")
    }
}

#[cfg(test)]
impl StoreLock {
    /// What is locked.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for OwnLock {
    /// Closing the file alone would not do: a process that is being started has a copy of it for a moment,
    /// and the lock with it.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "lock of an asset not given back; it goes with its file");
        }
    }
}

/// The store's lock, until dropped.
#[derive(Debug)]
pub(crate) struct StoreLock {
    file: File,
}

impl Drop for StoreLock {
    /// See [`OwnLock`].
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl StoreLock {
    /// Together with others that take assets. Waits while somebody removes one.
    fn shared(layout: &Layout) -> Result<Self, StorageError> {
        let path = layout.lock();
        let file = open_file(layout.disk(), &path)?;
        Self::locked(file.lock_shared(), file, &path)
    }

    /// Alone. Waits while others take assets.
    pub(crate) fn alone(layout: &Layout) -> Result<Self, StorageError> {
        let path = layout.lock();
        let file = open_file(layout.disk(), &path)?;
        Self::locked(file.lock(), file, &path)
    }

    fn locked(result: io::Result<()>, file: File, path: &Path) -> Result<Self, StorageError> {
        match result {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                Err(StorageError::new("locking the store", error).at(path))
            }
            // Where there are no locks no asset is ever taken, so there is nothing to keep apart.
            _ => Ok(Self { file }),
        }
    }
}
