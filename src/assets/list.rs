//! What is in a store: read from the tree itself, whoever has it open.

use std::ffi::OsStr;
use std::fs::{DirEntry, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::AssetStore;
use super::key::AssetKey;
use super::layout::{AssetPaths, Kind, Layout, is_there};
use super::lease::{coverage, read_log};
use super::recovery::recover;
use crate::byte_range::ByteRange;
use crate::error::{Error, StorageError};
use crate::storage::platform;

/// One asset or small object of a store, from [`AssetStore::list`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AssetInfo {
    /// 64 hexadecimal digits; [`AssetKey::from_id`] takes them.
    pub id: String,
    /// The explicit key, if it has one.
    pub label: Option<String>,
    /// Whether it is a small object and no asset.
    pub is_object: bool,
    /// Length of the resource, if known.
    pub len: Option<u64>,
    /// How many bytes are there.
    pub covered: u64,
    /// Whether that is all.
    pub complete: bool,
    /// When it was last opened or closed.
    pub last_used: SystemTime,
    /// Whether the user pinned it.
    pub pinned: bool,
    /// Bytes that it takes on the disk.
    pub allocated: u64,
}

/// What the file system alone tells of an asset or object.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: AssetKey,
    pub(super) is_object: bool,
    pub(super) allocated: u64,
    pub(super) last_used: SystemTime,
    pub(super) pinned: bool,
}

impl AssetStore {
    /// Everything that is stored, by id, whoever has it open. Reads every log, so not for a thread that is
    /// waited for. Something that vanishes meanwhile is left out.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`]: a folder cannot be read.
    pub fn list(&self) -> Result<Vec<AssetInfo>, Error> {
        let layout = &self.inner.layout;
        let mut infos: Vec<_> = entries(layout)?.iter().map(|entry| info(layout, entry)).collect();
        infos.sort_by(|a, b| (&a.id, a.is_object).cmp(&(&b.id, b.is_object)));
        Ok(infos)
    }

    /// Bytes on the disk that everything together takes.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`]: a folder cannot be read.
    pub fn allocated(&self) -> Result<u64, Error> {
        Ok(entries(&self.inner.layout)?.iter().map(|entry| entry.allocated).sum())
    }
}

/// All assets and objects, in no order; from names and sizes alone.
pub(super) fn entries(layout: &Layout) -> Result<Vec<Entry>, StorageError> {
    let mut all = Vec::new();
    for shelf in folders(&layout.assets())? {
        all.extend(folders(&shelf)?.iter().filter_map(|folder| asset(layout, folder)));
    }
    for shelf in folders(&layout.objects())? {
        all.extend(children(&shelf)?.iter().filter_map(|file| object(layout, file)));
    }
    Ok(all)
}

fn asset(layout: &Layout, folder: &Path) -> Option<Entry> {
    let key = key_of(folder)?;
    let paths = layout.asset(&key);
    let meta = |path: &Path| is_there(path, Kind::File).ok().flatten();
    let (data, map) = (meta(&paths.data), meta(&paths.map));
    let used = meta(&paths.lock).or_else(|| map.clone());
    Some(Entry {
        key,
        is_object: false,
        allocated: data.as_ref().map_or(0, allocated) + map.as_ref().map_or(0, allocated),
        last_used: used.map_or(UNIX_EPOCH, |meta| modified(&meta)),
        pinned: meta(&paths.pin).is_some(),
    })
}

fn object(layout: &Layout, file: &Path) -> Option<Entry> {
    let key = key_of(file)?;
    let meta = is_there(&layout.object(&key).1, Kind::File).ok().flatten()?;
    let (allocated, last_used) = (allocated(&meta), modified(&meta));
    Some(Entry { key, is_object: true, allocated, last_used, pinned: false })
}

/// The entry and what its log says.
pub(super) fn info(layout: &Layout, entry: &Entry) -> AssetInfo {
    let mut info = AssetInfo {
        id: entry.key.id(),
        label: None,
        is_object: entry.is_object,
        len: None,
        covered: 0,
        complete: entry.is_object,
        last_used: entry.last_used,
        pinned: entry.pinned,
        allocated: entry.allocated,
    };
    if !entry.is_object {
        read_into(&mut info, &layout.asset(&entry.key));
    }
    info
}

fn read_into(info: &mut AssetInfo, paths: &AssetPaths) {
    let data = is_there(&paths.data, Kind::File).ok().flatten();
    let log = read_log(&paths.map).ok().flatten().unwrap_or_default();
    let data_len = data.map_or(0, |meta| meta.len());
    let Some(recovery) = recover(&log, data_len, None) else { return };
    let covered = coverage(&recovery);
    info.covered = covered.bytes();
    info.len = recovery.len;
    info.complete = recovery.len.is_some_and(|len| covered.covers(ByteRange::new(0, len)));
    info.label = recovery.header.label;
}

/// What is in a folder, which may be missing.
pub(super) fn children(folder: &Path) -> Result<Vec<PathBuf>, StorageError> {
    if is_there(folder, Kind::Folder)?.is_none() {
        return Ok(Vec::new());
    }
    let fail = |error: io::Error| StorageError::new("listing a folder", error).at(folder);
    match folder.read_dir() {
        Ok(found) => found.map(|entry| Ok(DirEntry::path(&entry.map_err(fail)?))).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(fail(error)),
    }
}

/// The folders in a folder. Others, and links, are nobody's business here.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, StorageError> {
    let mut found = children(folder)?;
    found.retain(|path| matches!(is_there(path, Kind::Folder), Ok(Some(_))));
    Ok(found)
}

/// The key that a name stands for.
pub(super) fn key_of(path: &Path) -> Option<AssetKey> {
    path.file_name().and_then(OsStr::to_str).and_then(AssetKey::from_id)
}

fn modified(meta: &Metadata) -> SystemTime {
    meta.modified().unwrap_or(UNIX_EPOCH)
}

/// Bytes on the disk that a file takes; for a sparse one less than its length.
fn allocated(meta: &Metadata) -> u64 {
    platform::allocated(meta).unwrap_or(meta.len())
}

/// Notes that a file is in use now. Only the order of eviction hangs on it.
pub(super) fn touch(file: &File) {
    if let Err(error) = file.set_modified(SystemTime::now()) {
        tracing::debug!(%error, "time of last use not kept");
    }
}

/// Now, in Unix seconds.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
