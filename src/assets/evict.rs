//! What goes when room is short: whole assets, least recently used first, incomplete before complete.
//!
//! Pinned ones never go, nor such as somebody holds, in this process or another. Each candidate is tried once:
//! when nothing can go, nothing goes. Taking parts of an open asset away is not done here.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::AssetStore;
use super::key::AssetKey;
use super::layout::{Kind, Layout, is_there, make_folder};
use super::list::{AssetInfo, Entry, children, entries, info, key_of};
use super::lock::{Hold, StoreLock, is_held_here};
use crate::error::{Error, StorageError};
use crate::storage::atomic::TEMPORARY_PREFIX;
use crate::storage::disk::Disk;
use crate::sync::{AtomicU64, Ordering};

/// What [`AssetStore::evict`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Evicted {
    /// Assets and small objects that went.
    pub assets: u64,
    /// Bytes of the disk that they took.
    pub bytes: u64,
    /// Whether the store is within its limits now; false if all that is left is pinned or open.
    pub within_limits: bool,
}

/// What became of an [`AssetStore::remove`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removed {
    /// It is gone.
    Gone,
    /// Somebody has it open.
    Busy,
    /// There was nothing.
    Absent,
}

/// An object that is not finished after this long never will be.
const UNFINISHED_AGE: Duration = Duration::from_secs(3600);

/// Makes names in the trash unique in this process.
static TRASHED: AtomicU64 = AtomicU64::new(0);

impl AssetStore {
    /// Removes what is least worth keeping, until the store is within the limits it was opened with or
    /// nothing more can go: incomplete assets before complete ones, then the least recently used. Pinned and
    /// open ones stay.
    ///
    /// Engines do this by themselves, when room may be short. It looks at every asset's sizes, and reads logs only when something
    /// must go. A store over its limits still opens and stores.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`]: a folder cannot be read. What cannot be removed is passed over.
    pub fn evict(&self) -> Result<Evicted, Error> {
        let (layout, config) = (&self.inner.layout, &self.inner.config);
        let look = self.inner.room.look();
        self.sweep();
        let all = entries(layout)?;
        let mut bytes: u64 = all.iter().map(|entry| entry.allocated).sum();
        let mut assets = all.len() as u64;
        let mut done = Evicted::default();
        let fits = |bytes, assets| bytes <= config.max_bytes && assets <= config.max_assets;
        if !fits(bytes, assets) {
            for (entry, seen) in candidates(layout, all) {
                if fits(bytes, assets) {
                    break;
                }
                if let Ok(Removed::Gone) = self.discard(&entry, Some(seen)) {
                    done.assets += 1;
                    done.bytes += entry.allocated;
                    assets -= 1;
                    bytes -= entry.allocated;
                }
            }
        }
        done.within_limits = fits(bytes, assets);
        // What it found free must still hold then: nobody looks before that is used up.
        let free =
            done.within_limits.then(|| (config.max_bytes - bytes, config.max_assets - assets));
        self.inner.room.found(look, free);
        Ok(done)
    }

    /// [`evict`](Self::evict), unless there must still be room by what the last time found; then `None`, and not one file
    /// is looked at.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn evict_if_short(&self) -> Result<Option<Evicted>, Error> {
        if self.inner.room.is_enough() { Ok(None) } else { self.evict().map(Some) }
    }

    /// Removes the asset and the small object `key`, pinned or not, unless somebody has it open.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`]: the disk refused.
    pub fn remove(&self, key: &AssetKey) -> Result<Removed, Error> {
        let mut removed = Removed::Absent;
        for entry in entries_of(&self.inner.layout, key)? {
            removed = match self.discard(&entry, None)? {
                Removed::Absent => removed,
                other => other,
            };
        }
        Ok(removed)
    }

    /// Removes the small object `key` alone.
    pub(super) fn remove_object(&self, key: &AssetKey) -> Result<Removed, StorageError> {
        let entry = entries_of(&self.inner.layout, key)?.into_iter().find(|entry| entry.is_object);
        entry.map_or(Ok(Removed::Absent), |entry| self.discard(&entry, None))
    }

    /// Removes an asset or object; if `seen` is given, only if it was not used since.
    fn discard(&self, entry: &Entry, seen: Option<SystemTime>) -> Result<Removed, StorageError> {
        let layout = &self.inner.layout;
        let trashed = if entry.is_object {
            to_trash(layout, &layout.object(&entry.key).1, &entry.key)?
        } else {
            let paths = layout.asset(&entry.key);
            let alone = StoreLock::alone(layout)?;
            let last_used = is_there(&paths.lock, Kind::File)?.and_then(|m| m.modified().ok());
            if seen.is_some() && last_used.is_some_and(|at| Some(at) > seen) {
                return Ok(Removed::Busy);
            }
            let Some(_hold) = Hold::take_under(layout, &alone, &paths)? else {
                return Ok(Removed::Busy);
            };
            let trashed = to_trash(layout, &paths.folder, &entry.key)?;
            // Ours, and nobody can be about to lock it: the store's lock keeps them out.
            let _ = layout.disk().remove_file(&paths.lock);
            trashed
        };
        if !trashed {
            return Ok(Removed::Absent);
        }
        empty_trash(layout);
        Ok(Removed::Gone)
    }

    /// Clears away what crashes left: half-removed assets, locks of assets that were never stored, objects that
    /// were never finished.
    fn sweep(&self) {
        let layout = &self.inner.layout;
        empty_trash(layout);
        for shelf in children(&layout.assets()).unwrap_or_default() {
            for lock in children(&shelf).unwrap_or_default() {
                let is_lock = lock.extension().is_some_and(|extension| extension == "lock");
                let folder = lock.with_extension("");
                let orphan = is_lock && matches!(is_there(&folder, Kind::Folder), Ok(None));
                if let Some(key) = key_of(&folder).filter(|_| orphan) {
                    let _ = self.discard_lock(&key);
                }
            }
        }
        for shelf in children(&layout.objects()).unwrap_or_default() {
            remove_unfinished(layout.disk(), &shelf, UNFINISHED_AGE);
        }
    }

    fn discard_lock(&self, key: &AssetKey) -> Result<(), StorageError> {
        let layout = &self.inner.layout;
        let paths = layout.asset(key);
        if is_held_here(&paths.folder) {
            return Ok(());
        }
        let alone = StoreLock::alone(layout)?;
        let Some(_hold) = Hold::take_under(layout, &alone, &paths)? else { return Ok(()) };
        if is_there(&paths.folder, Kind::Folder)?.is_none() {
            let _ = layout.disk().remove_file(&paths.lock);
        }
        Ok(())
    }
}

/// Removes temporary files in `folder` that are at least this old: nobody is at work on them any more.
pub(super) fn remove_unfinished(disk: &dyn Disk, folder: &Path, age: Duration) {
    for path in children(folder).unwrap_or_default() {
        let name = path.file_name().and_then(OsStr::to_str);
        let found = is_there(&path, Kind::File).ok().flatten();
        let modified = found.and_then(|meta| meta.modified().ok());
        let is_old = modified.is_some_and(|at| at.elapsed().unwrap_or_default() >= age);
        if is_old && name.is_some_and(|name| name.starts_with(TEMPORARY_PREFIX)) {
            let _ = disk.remove_file(&path);
        }
    }
}

/// What may go, the least worth keeping first, each with its last use.
fn candidates(layout: &Layout, all: Vec<Entry>) -> Vec<(Entry, SystemTime)> {
    let free = all.into_iter().filter(|entry| {
        !entry.pinned && (entry.is_object || !is_held_here(&layout.asset(&entry.key).folder))
    });
    let mut free: Vec<(AssetInfo, Entry)> =
        free.map(|entry| (info(layout, &entry), entry)).collect();
    free.sort_by(|(a, _), (b, _)| {
        let rank = |info: &AssetInfo| (info.complete, info.last_used);
        rank(a).cmp(&rank(b)).then_with(|| (&a.id, a.is_object).cmp(&(&b.id, b.is_object)))
    });
    free.into_iter().map(|(info, entry)| (entry, info.last_used)).collect()
}

/// The asset and the object of this key, as far as they are there.
fn entries_of(layout: &Layout, key: &AssetKey) -> Result<Vec<Entry>, StorageError> {
    let entry = |is_object| Entry {
        key: key.clone(),
        is_object,
        allocated: 0,
        last_used: SystemTime::UNIX_EPOCH,
        pinned: false,
    };
    let asset = is_there(&layout.asset(key).folder, Kind::Folder)?.map(|_| entry(false));
    let object = is_there(&layout.object(key).1, Kind::File)?.map(|_| entry(true));
    Ok(asset.into_iter().chain(object).collect())
}

/// Moves `path` out of its place, at once and whole; false if it is not there.
///
/// Removing the files one by one could, after a crash, leave a log beside no data or the other way round; and
/// the store would be locked for as long as a large file takes.
fn to_trash(layout: &Layout, path: &Path, key: &AssetKey) -> Result<bool, StorageError> {
    make_folder(layout.disk(), &layout.trash())?;
    let number = TRASHED.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}.{}.{number}", key.id(), std::process::id());
    match layout.disk().rename(path, &layout.trash().join(name)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StorageError::new("removing from the store", error).at(path)),
    }
}

/// Removes what is in the trash. What does not go today goes another day.
fn empty_trash(layout: &Layout) {
    for path in children(&layout.trash()).unwrap_or_default() {
        let removed = match is_there(&path, Kind::Folder) {
            Ok(Some(_)) => layout.disk().remove_tree(&path),
            _ => layout.disk().remove_file(&path),
        };
        if let Err(error) = removed {
            tracing::debug!(%error, "trash stays for now");
        }
    }
}
