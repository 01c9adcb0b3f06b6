//! One open file for the locks of all assets that a store holds, where the system can lock a part of a file.
//!
//! An asset's lock is one byte of the store's file `held`, at a place that its hash gives. Such a lock belongs to the open file
//! and not to the process (Linux `fcntl(2)`, open file description locks), so the kernel frees it when its holder dies, and
//! two stores of one process keep each other out. Nothing is ever written to the file.
//!
//! Two assets whose places are the same, one pair in 2^62, cannot be open at once: the second one is not stored then.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::boot::boot_id;
use super::layout::{Layout, open_file};
use super::lock::is_at;
use crate::error::StorageError;
use crate::sync::{Arc, Mutex};

/// The file that this process has open for a store.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    open: Mutex<Option<Arc<Marked>>>,
    for_all: OnceLock<bool>,
}

/// It, open. It stays so while an asset is held by it.
#[derive(Debug)]
struct Marked {
    file: File,
    path: PathBuf,
}

/// What came of the wish to lock a place.
pub(crate) enum Marking {
    /// It is ours.
    Taken(Mark),
    /// It is somebody else's.
    Busy,
    /// Here no part of a file can be locked.
    Unsupported,
}

impl Marks {
    /// Locks the place `at`, without waiting.
    pub(crate) fn take(&self, layout: &Layout, at: u64) -> Result<Marking, StorageError> {
        if !system::SUPPORTED {
            return Ok(Marking::Unsupported);
        }
        let marked = self.open(layout)?;
        match system::lock(&marked.file, at) {
            Ok(true) => Ok(Marking::Taken(Mark { marked, at })),
            Ok(false) => Ok(Marking::Busy),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::debug!(%error, "no part of a file can be locked here");
                Ok(Marking::Unsupported)
            }
            Err(error) => Err(StorageError::new("locking an asset", error).at(&marked.path)),
        }
    }

    /// Whether everybody who may use the store sees a mark: not where other machines, of other systems maybe, may do so.
    pub(crate) fn are_for_all(&self, layout: &Layout) -> bool {
        *self.for_all.get_or_init(|| boot_id(layout.root()).is_some())
    }

    /// The open file; another one if its name does not lead to it any more, as when the store was removed and made anew.
    fn open(&self, layout: &Layout) -> Result<Arc<Marked>, StorageError> {
        let known = self.open.lock().clone();
        if let Some(marked) = known.filter(|marked| is_at(&marked.file, &marked.path)) {
            return Ok(marked);
        }
        let path = layout.held();
        let marked = Arc::new(Marked { file: open_file(layout.disk(), &path)?, path });
        // Another thread may do the same. Locks of either are seen by the other.
        let before = self.open.lock().replace(marked.clone());
        drop(before);
        Ok(marked)
    }
}

/// A place that is locked until this is dropped.
#[derive(Debug)]
pub(crate) struct Mark {
    marked: Arc<Marked>,
    at: u64,
}

impl Mark {
    /// Whether the file's name still leads to what is locked.
    pub(crate) fn is_in_place(&self) -> bool {
        is_at(&self.marked.file, &self.marked.path)
    }

    /// What is locked.
    #[cfg(test)]
    pub(crate) fn file(&self) -> &File {
        &self.marked.file
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Err(error) = system::unlock(&self.marked.file, self.at) {
            tracing::debug!(%error, "lock of an asset not given back; it goes with its file");
        }
    }
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
mod system {
    use std::fs::File;
    use std::io;

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    pub(super) const SUPPORTED: bool = true;

    fn one_byte(kind: libc::c_int, at: u64) -> libc::flock {
        libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: at as libc::off_t,
            l_len: 1,
            l_pid: 0,
        }
    }

    /// Whether it is ours now.
    pub(super) fn lock(file: &File, at: u64) -> io::Result<bool> {
        match fcntl(file, FcntlArg::F_OFD_SETLK(&one_byte(libc::F_WRLCK, at))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            // Of the system, or of this file system, for ever: so it is for whoever else asks.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn unlock(file: &File, at: u64) -> io::Result<()> {
        fcntl(file, FcntlArg::F_OFD_SETLK(&one_byte(libc::F_UNLCK, at)))?;
        Ok(())
    }
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
mod system {
    use std::fs::File;
    use std::io;

    pub(super) const SUPPORTED: bool = false;

    pub(super) fn lock(_file: &File, _at: u64) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn unlock(_file: &File, _at: u64) -> io::Result<()> {
        Ok(())
    }
}
