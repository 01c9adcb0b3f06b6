//! Disk: the seam between the store and the file system.
//!
//! Whatever changes something that is to be found again after a crash goes through a [`Disk`]: making, writing,
//! cutting and syncing files, names, and folders. So tests can note the order in which it is asked for, rebuild
//! what a power cut may leave of it, and let any of it fail. So does the reading of stored bytes, which may fail as
//! well. Looking and locking change nothing and go to `std` directly.
//!
//! [`System`] is the one that is not for tests. It keeps no state, so all handles of it are one.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::Path;

use crate::byte_range::ByteRange;
use crate::sync::Arc;

use super::platform;

#[cfg(all(test, unix))]
pub(crate) mod faulty;

/// How much of a file a sync makes proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The bytes, and the length as far as reading them needs it.
    Data,
    /// Everything about the file but its name.
    All,
}

/// A way to change files, and to read stored bytes. All methods block, from any thread; the provided ones ask the system.
pub(crate) trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Opens the file at `path` for reading and writing; makes it, for its owner alone, if it is missing.
    fn open(&self, path: &Path) -> io::Result<File> {
        private_file().create(true).truncate(false).open(path)
    }

    /// Opens the file at `path` for reading and writing once more; an error if it is missing.
    fn open_again(&self, path: &Path) -> io::Result<File> {
        private_file().open(path)
    }

    /// Makes a file at `path`, for its owner alone; an error if anything is there.
    fn create_new(&self, path: &Path) -> io::Result<File> {
        private_file().create_new(true).open(path)
    }

    /// Makes a folder, for its owner alone; its parent must be there.
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        #[cfg_attr(not(unix), allow(unused_mut))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    /// Reads at most `buf.len()` bytes at `offset`; zero at or past the end of the file.
    fn read_at(&self, file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        platform::read_at(file, offset, buf)
    }

    /// Writes at most `bytes.len()` bytes at `offset`, and tells how many.
    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        platform::write_at(file, offset, bytes)
    }

    /// Writes at most all bytes of `pieces`, one after the other, from `offset` on, and tells how many. By
    /// [`write_at`](Self::write_at) here, so that whoever has another one of that sees these bytes too.
    fn write_vectored_at(
        &self,
        file: &File,
        offset: u64,
        pieces: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let first = pieces.iter().find(|piece| !piece.is_empty());
        first.map_or(Ok(0), |piece| self.write_at(file, offset, piece))
    }

    /// Cuts the file, or lets it grow by zeros.
    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    /// Gives the room of `range` back, as far as it is in the file: it reads as zeros from then on. The length stays.
    fn punch(&self, file: &File, range: ByteRange) -> io::Result<()> {
        platform::punch(file, range)
    }

    /// Makes what was written to the file proof against power loss, if this succeeds. Its name is another matter.
    fn sync(&self, file: &File, depth: Depth) -> io::Result<()> {
        match depth {
            Depth::Data => file.sync_data(),
            Depth::All => file.sync_all(),
        }
    }

    /// Makes the names in `folder` proof against power loss.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        platform::sync_folder(folder)
    }

    /// Moves a file or a folder; a file takes the place of one that is there, at once.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    /// Removes the name of a file.
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    /// Removes a folder with all that is in it; links are removed and not followed.
    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }
}

/// The file system as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct System;

impl Disk for System {
    fn write_vectored_at(
        &self,
        file: &File,
        offset: u64,
        pieces: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        platform::write_vectored_at(file, offset, pieces)
    }
}

/// A handle of [`System`].
pub(crate) fn system() -> Arc<dyn Disk> {
    Arc::new(System)
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_all_at(
    disk: &dyn Disk,
    file: &File,
    offset: u64,
    bytes: &[u8],
) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match disk.write_at(file, offset + done as u64, &bytes[done..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
