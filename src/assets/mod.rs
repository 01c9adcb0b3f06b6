//! The tree on disk: what is stored of which resource, who has it open, and what goes when room is short.
//!
//! An asset is a sparse file of bytes at their offsets and a log of which of them are there (`log`,
//! `recovery`, `journal`). Opening one takes its lock and reads its log (`lease`, `lock`); small whole objects
//! are kept beside (`objects`). Nothing but the assets themselves is authority: there is no index to lose.
//!
//! Everything here blocks on the disk; it is called from the engine's threads for that, never while
//! a lock is held.
//!
//! Not here: serving bytes and waiting for them (`storage`), deciding whether stored bytes are still
//! those of the resource (`engine`).

mod along;
mod barrier;
mod beside;
mod boot;
mod evict;
mod export;
mod extents;
mod journal;
mod key;
mod layout;
mod lease;
mod list;
mod lock;
mod log;
#[cfg(fuzzing)]
pub(crate) mod log_fuzz;
mod logfile;
mod marks;
mod objects;
mod proofs;
mod recovery;
mod room;
mod runs;
mod verify;

use std::io::ErrorKind;
use std::path::Path;

pub(crate) use along::Along;
pub(crate) use barrier::{Barrier, BarrierOutcome, SyncedBarrier};
pub use evict::{Evicted, Removed};
pub use export::{ExportError, Exported, IfExists};
pub(crate) use journal::{Journal, Punching};
pub use key::AssetKey;
pub(crate) use lease::{Acquired, Generation, Lease, Recovered};
pub use list::AssetInfo;
pub(crate) use objects::Objects;
pub use verify::{Verdict, Verified};

use crate::config::StoreConfig;
use crate::error::{Error, StorageError};
use crate::storage::disk::{Disk, system};
use crate::sync::{Arc, AtomicBool, Ordering};
use layout::{Durable, Kind, Layout, is_there, open_file, sync_folder};
use room::Room;

/// A folder of stored resources (assets), for looking after it: what is in it, and what goes.
///
/// Engines open their store by themselves, see [`EngineBuilder::store_dir`](crate::EngineBuilder::store_dir); this is
/// for tools. It is safe beside engines of this and other processes: what somebody has open stays.
/// Cheap to clone; every call blocks on the disk.
///
/// ```
/// use kithara_file::{AssetStore, StoreConfig};
///
/// # fn main() -> Result<(), kithara_file::Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let dir = folder.path();
/// let store = AssetStore::open(dir, &StoreConfig::default())?;
/// for asset in store.list()? {
///     println!("{} {} of {:?} bytes", asset.id, asset.covered, asset.len);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AssetStore {
    inner: Arc<Inner>,
}

/// What a store and everything open in it share.
#[derive(Debug)]
struct Inner {
    layout: Layout,
    config: StoreConfig,
    boot: log::BootId,
    /// Whether the folder was found to be a store, or made one.
    opened: AtomicBool,
    /// The folder of a store that goes with its last user.
    temporary: Option<tempfile::TempDir>,
    room: Room,
}

impl AssetStore {
    /// The store in the folder `dir`, which is made if it is missing. Reads no asset.
    ///
    /// Of `config`, the limits matter here: [`evict`](Self::evict) goes by them.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] with the path: it is a file, cannot be made or written, or is a store of another
    /// version.
    pub fn open(dir: &Path, config: &StoreConfig) -> Result<Self, Error> {
        Ok(Self::on(Layout::open(system(), dir)?, config, true))
    }

    /// The same on `disk`, for an engine: one that refuses for now is opened later, when an asset is asked for. Not so
    /// `offline`, unless it can be read: nothing else is to be had there.
    ///
    /// # Errors
    ///
    /// The folder can never be a store, or not now and that matters.
    pub(crate) fn open_or_later(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: &StoreConfig,
        offline: bool,
    ) -> Result<Self, Error> {
        match Layout::open(disk.clone(), dir) {
            Ok(layout) => Ok(Self::on(layout, config, true)),
            Err(error) if error.may_pass() => {
                let layout = Layout::unopened(disk, dir)?;
                if offline && !layout.is_marked() {
                    return Err(error.into());
                }
                tracing::warn!(%error, "the store cannot be opened; nothing is stored until it can");
                Ok(Self::on(layout, config, false))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn on(layout: Layout, config: &StoreConfig, opened: bool) -> Self {
        let (config, boot) = (config.clone(), boot::boot_id(layout.root()));
        let opened = AtomicBool::new(opened);
        Self {
            inner: Arc::new(Inner {
                layout,
                config,
                boot,
                opened,
                temporary: None,
                room: Room::default(),
            }),
        }
    }

    /// The store in `dir` as a process sees it that runs under another boot of the system.
    #[cfg(test)]
    fn open_after(boot: log::BootId, dir: &Path, config: &StoreConfig) -> Self {
        Self::open_on(system(), boot, dir, config)
    }

    /// The same, on a disk of the test's own.
    #[cfg(test)]
    fn open_on(disk: Arc<dyn Disk>, boot: log::BootId, dir: &Path, config: &StoreConfig) -> Self {
        let layout = Layout::open(disk, dir).expect("a store");
        let opened = AtomicBool::new(true);
        let inner = Inner {
            layout,
            config: config.clone(),
            boot,
            opened,
            temporary: None,
            room: Room::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A private store that is removed when the last handle, lease and journal of it is gone. It never syncs.
    ///
    /// # Errors
    ///
    /// `Storage`: the system's folder for temporary files refuses.
    pub(crate) fn temporary(config: &StoreConfig) -> Result<Self, Error> {
        let fail = |error| StorageError::new("making a temporary store", error);
        let folder = tempfile::Builder::new().prefix("kithara-file-").tempdir().map_err(fail)?;
        let layout = Layout::open(system(), folder.path())?;
        let (config, boot) = (config.clone(), boot::random());
        let opened = AtomicBool::new(true);
        let inner =
            Inner { layout, config, boot, opened, temporary: Some(folder), room: Room::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Removes a temporary store now, though leases and journals of it may be left: they keep what they have
    /// open, and find nothing more. A persistent one stays.
    pub(crate) fn remove_if_temporary(&self) {
        if let Some(folder) = &self.inner.temporary
            && let Err(error) = std::fs::remove_dir_all(folder.path())
        {
            // Where open files cannot be removed, the last user does it.
            tracing::debug!(%error, "temporary store stays for now");
        }
    }

    /// Takes the asset `key`, to read what is stored of it and to store more. Never waits for another holder.
    ///
    /// `offline` makes nothing that is not there.
    ///
    /// # Errors
    ///
    /// `Storage`: the disk refused, or something else lies where the asset's files belong. Nothing is
    /// removed for that.
    pub(crate) fn acquire(&self, key: &AssetKey, offline: bool) -> Result<Acquired, Error> {
        let again = || {
            self.inner.layout.remake()?;
            self.inner.opened.store(true, Ordering::Release);
            Lease::take(&self.inner, key, offline)
        };
        if !self.inner.opened.load(Ordering::Acquire) {
            return Ok(again()?);
        }
        match Lease::take(&self.inner, key, offline) {
            // Somebody has removed the store from under us.
            Err(error) if error.source.kind() == ErrorKind::NotFound && !offline => Ok(again()?),
            taken => Ok(taken?),
        }
    }

    /// Whether nothing of the asset `key` can be stored here; false where the disk does not tell.
    pub(crate) fn is_unknown(&self, key: &AssetKey) -> bool {
        matches!(is_there(&self.inner.layout.asset(key).folder, Kind::Folder), Ok(None))
    }

    /// Pins the asset, or takes the pin away: a pinned one is never evicted, but can be removed. False if it is
    /// not stored.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`]: the disk refused.
    pub fn pin(&self, key: &AssetKey, pinned: bool) -> Result<bool, Error> {
        let paths = self.inner.layout.asset(key);
        if is_there(&paths.folder, Kind::Folder)?.is_none() {
            return Ok(false);
        }
        if pinned {
            open_file(self.inner.layout.disk(), &paths.pin)?;
        } else if is_there(&paths.pin, Kind::File)?.is_some() {
            let fail = |error| StorageError::new("removing a pin", error).at(&paths.pin);
            self.inner.layout.disk().remove_file(&paths.pin).map_err(fail)?;
        }
        if self.inner.sync() == Durable::Yes {
            sync_folder(self.inner.layout.disk(), &paths.folder)?;
        }
        Ok(true)
    }

    /// The store's folder, with links resolved.
    pub fn root(&self) -> &Path {
        self.inner.layout.root()
    }

    /// Small whole objects.
    pub(crate) fn objects(&self) -> Objects {
        Objects::new(self.inner.clone())
    }
}

impl Inner {
    /// Whether what is stored outlives the process.
    fn sync(&self) -> Durable {
        if self.temporary.is_some() { Durable::No } else { Durable::Yes }
    }
}

#[cfg(test)]
mod tests;
