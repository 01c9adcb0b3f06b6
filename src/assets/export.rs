//! A stored resource as a plain file.
//!
//! The file is written beside its place, read again against the log's checksums, synced, and only then gets its name:
//! under that name is the whole resource or what was there before, also after a crash. Copying is the system's, which on
//! some file systems shares the blocks and copies nothing.
//!
//! Not here: filling holes; that takes a session.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::AssetStore;
use super::beside::{beside, folder_of};
use super::extents::Extents;
use super::key::AssetKey;
use super::layout::{Kind, is_there};
use super::lease::{Place, coverage, find};
use super::lock::Hold;
use super::objects::PIECE;
use super::recovery::Recovery;
use super::verify::Scrub;
use crate::byte_range::ByteRange;
use crate::error::{Error, StorageError};
use crate::storage::platform;

/// Copied at once, so that a display moves.
const STEP: u64 = 16 << 20;

/// What [`AssetStore::export`] does with a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IfExists {
    /// Leave it, and fail.
    Refuse,
    /// Put the new one in its place when that is whole.
    Replace,
}

/// What [`AssetStore::export`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Bytes of the file.
    pub len: u64,
    /// How many of them have no checksum; the store serves them all the same.
    pub unchecked: u64,
}

/// Why [`AssetStore::export`] wrote nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Nothing of it is stored.
    #[error("nothing of it is stored")]
    Absent,
    /// Somebody has it open.
    #[error("somebody has it open")]
    Busy,
    /// Not all of it is stored.
    #[error("it is not complete: {}", told(missing))]
    Incomplete {
        /// What is missing: sorted, apart from each other, never empty. If the length is not known, the last one ends at
        /// the largest offset.
        missing: Vec<Range<u64>>,
    },
    /// Stored bytes are not what was received. [`AssetStore::repair`] forgets them, so that they are fetched again.
    #[error("stored bytes are damaged: {}", told(ranges))]
    Damaged {
        /// Which ones: sorted, apart from each other. Of a small object its whole file.
        ranges: Vec<Range<u64>>,
    },
    /// There is something under that name.
    #[error("{} is there already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error("writing {} failed", path.display())]
    Output {
        /// Which one was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] Error),
}

/// The first ranges, and how many there are besides.
fn told(ranges: &[Range<u64>]) -> String {
    /// More than these nobody reads.
    const SHOWN: usize = 3;
    let shown: Vec<String> = ranges.iter().take(SHOWN).map(one_told).collect();
    match ranges.len().saturating_sub(SHOWN) {
        0 => format!("bytes {}", shown.join(", ")),
        more => format!("bytes {} and {more} more ranges", shown.join(", ")),
    }
}

fn one_told(range: &Range<u64>) -> String {
    match range.end {
        u64::MAX => format!("from {} on", range.start),
        end => format!("{}..{end}", range.start),
    }
}

impl AssetStore {
    /// Writes the resource stored under `key` to the file `path`, whole and durable when this returns, or not at all.
    /// The asset goes first; a small object is written if there is no such asset.
    ///
    /// Blocks for as long as copying and reading take. Meanwhile the asset counts as open. Every byte of the new file
    /// that has a checksum is read against it.
    ///
    /// # Errors
    ///
    /// [`ExportError`]: it is not stored, not complete, damaged or open; `path` is there and is not to be
    /// replaced, is no regular file, or cannot be written; the store's disk refused. Nothing is left behind; what a killed
    /// process has left of an export to this place goes with the next one.
    pub fn export(
        &self,
        key: &AssetKey,
        path: &Path,
        if_exists: IfExists,
    ) -> Result<Exported, ExportError> {
        self.export_with_progress(key, path, if_exists, |_, _| {})
    }

    /// The same, for displays: `tell` is given how many bytes are copied, and of how many, about every 16 MiB and at the end.
    /// The bytes are checked after that.
    ///
    /// # Errors
    ///
    /// As [`export`](Self::export).
    pub fn export_with_progress(
        &self,
        key: &AssetKey,
        path: &Path,
        if_exists: IfExists,
        mut tell: impl FnMut(u64, u64),
    ) -> Result<Exported, ExportError> {
        let target = Target::new(path, if_exists)?;
        match self.export_asset(key, &target, &mut tell)? {
            Some(exported) => Ok(exported),
            None => self.export_object(key, &target, &mut tell),
        }
    }

    /// `None` if there is no such asset.
    fn export_asset(
        &self,
        key: &AssetKey,
        target: &Target,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Result<Option<Exported>, ExportError> {
        let paths = self.inner.layout.asset(key);
        if is_there(&paths.folder, Kind::Folder)?.is_none() {
            return Ok(None);
        }
        let Some(hold) = Hold::take(&self.inner.layout, &paths)? else {
            return Err(ExportError::Busy);
        };
        let place = Place::new(&self.inner, key, hold);
        let Some(found) = find(&place)? else { return Ok(None) };
        let len = whole(&found)?;
        // A handle of its own: the copy moves its place in the file.
        let data = File::open(&place.paths().data)
            .map_err(|error| StorageError::new("opening a file", error).at(&place.paths().data))?;
        let mut file = target.beside()?;
        let mut copied = 0;
        while copied < len {
            let step = STEP.min(len - copied);
            let moved = io::copy(&mut (&data).take(step), file.as_file_mut());
            let moved = moved.map_err(|error| target.failed(error))?;
            copied += moved;
            tell(copied, len);
            if moved < step {
                break;
            }
        }
        if copied < len {
            return Err(ExportError::Damaged { ranges: std::iter::once(copied..len).collect() });
        }
        let scrub = Scrub::new(place.disk(), Some(file.as_file()), found)?;
        if !scrub.damaged.is_empty() {
            return Err(ExportError::Damaged { ranges: to_std(&scrub.damaged) });
        }
        target.finish(file)?;
        place.hold.touch(&place.paths().lock);
        Ok(Some(Exported { len, unchecked: scrub.unchecked().bytes() }))
    }

    fn export_object(
        &self,
        key: &AssetKey,
        target: &Target,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Result<Exported, ExportError> {
        let Some(mut reading) = self.objects().open(key)? else { return Err(ExportError::Absent) };
        let fail = |error| StorageError::new("reading a stored object", error);
        let (mut file, mut buf, mut len) = (target.beside()?, vec![0; PIECE], 0);
        loop {
            let bytes = reading.next(&mut buf).map_err(fail)?;
            if bytes.is_empty() {
                break;
            }
            file.write_all(bytes).map_err(|error| target.failed(error))?;
            len += bytes.len() as u64;
        }
        tell(len, len);
        let file_len = reading.file_len;
        if !reading.finish().map_err(fail)? {
            return Err(ExportError::Damaged { ranges: std::iter::once(0..file_len).collect() });
        }
        target.finish(file)?;
        Ok(Exported { len, unchecked: 0 })
    }
}

impl From<StorageError> for ExportError {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

/// The length of what is all there.
fn whole(found: &Recovery) -> Result<u64, ExportError> {
    let mut missing = Extents::default();
    missing.insert(ByteRange::new(0, found.len.unwrap_or(u64::MAX)));
    coverage(found).to_vec().into_iter().for_each(|range| missing.remove(range));
    match found.len {
        Some(len) if missing.is_empty() => Ok(len),
        _ => Err(ExportError::Incomplete { missing: to_std(&missing) }),
    }
}

fn to_std(extents: &Extents) -> Vec<Range<u64>> {
    extents.to_vec().into_iter().map(ByteRange::to_std).collect()
}

/// The place of the new file.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    if_exists: IfExists,
}

impl Target {
    pub(super) fn new(path: &Path, if_exists: IfExists) -> Result<Self, ExportError> {
        let mut target = Self { path: path.to_owned(), if_exists };
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(target.failed(error)),
            Ok(_) if if_exists == IfExists::Refuse => {
                return Err(ExportError::Exists { path: target.path });
            }
            Ok(_) => {
                // A link keeps pointing to the file, which is replaced; a device or a folder is not.
                let meta = path.metadata().map_err(|error| target.failed(error))?;
                if !meta.is_file() {
                    let why = "this is no regular file";
                    return Err(target.failed(io::Error::new(io::ErrorKind::InvalidInput, why)));
                }
                target.path = path.canonicalize().map_err(|error| target.failed(error))?;
            }
        }
        Ok(target)
    }

    /// A file beside the place, which goes when dropped.
    pub(super) fn beside(&self) -> Result<NamedTempFile, ExportError> {
        beside(&self.path).map_err(|error| self.failed(error))
    }

    /// Gives the file its name.
    pub(super) fn finish(&self, file: NamedTempFile) -> Result<(), ExportError> {
        file.as_file().sync_all().map_err(|error| self.failed(error))?;
        let named = match self.if_exists {
            IfExists::Replace => file.persist(&self.path),
            IfExists::Refuse => file.persist_noclobber(&self.path),
        };
        match named {
            Ok(_) => {
                platform::sync_folder(folder_of(&self.path)).map_err(|error| self.failed(error))
            }
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(ExportError::Exists { path: self.path.clone() })
            }
            Err(refused) => Err(self.failed(refused.error)),
        }
    }

    fn failed(&self, source: io::Error) -> ExportError {
        ExportError::Output { path: self.path.clone(), source }
    }
}
