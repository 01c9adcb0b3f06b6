//! Bytes in a sparse file: in one that stays open, or in one that is closed while nobody uses it.
//!
//! Positional calls only, so that one open file serves all threads. Not here: syncing, and when a file may
//! be closed; that belongs to whoever keeps the record of what is durable (`assets`).

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::byte_range::ByteRange;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};

use super::backend::Blob;
use super::disk::{Disk, System};
use super::platform::{self, FileId};
use super::run::Grip;

/// Bytes in a file that stays open.
#[derive(Debug)]
pub(crate) struct FileBlob(File);

impl FileBlob {
    /// `file` must be open for reading and writing.
    pub(crate) fn new(file: File) -> Self {
        Self(file)
    }
}

impl Blob for FileBlob {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        System.read_at(&self.0, offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        System.write_at(&self.0, offset, bytes)
    }

    fn write_vectored_at(&self, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        System.write_vectored_at(&self.0, offset, pieces)
    }

    fn discard(&self, range: ByteRange) -> io::Result<()> {
        System.punch(&self.0, range)
    }

    fn allocated(&self) -> io::Result<u64> {
        platform::allocated(&self.0.metadata()?)
    }
}

/// A file that is opened by whoever needs it, and closed when it has rested.
///
/// Where the name leads to another file by then, it is not opened again. Where that cannot be told, it is never closed.
#[derive(Debug)]
pub(crate) struct RestingFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    id: Option<FileId>,
    /// `None` while it rests. Readers have weak handles of it, which end with this one.
    open: Mutex<Option<Arc<File>>>,
    /// Whether bytes were read or written since [`Self::rest`] last asked.
    used: AtomicBool,
}

impl RestingFile {
    /// The file at `path`, which is open for reading and writing as `file`.
    pub(crate) fn new(disk: Arc<dyn Disk>, path: &Path, file: File) -> Self {
        let id = file.metadata().ok().and_then(|meta| platform::file_id(&meta));
        let (open, used) = (Mutex::new(Some(Arc::new(file))), AtomicBool::new(true));
        Self { disk, path: path.to_owned(), id, open, used }
    }

    /// The open file. It stays open as long as it is kept.
    ///
    /// # Errors
    ///
    /// It was closed, and cannot be opened again: it is gone, or another one has its name.
    pub(crate) fn open(&self) -> io::Result<Arc<File>> {
        self.get().map(|(file, _)| file)
    }

    /// Whether this call has opened it, too.
    fn get(&self) -> io::Result<(Arc<File>, bool)> {
        let open = self.open.lock().clone();
        if let Some(file) = open {
            return Ok((file, false));
        }
        let file = Arc::new(open_again(&*self.disk, &self.path, self.id)?);
        let mut open = self.open.lock();
        match &*open {
            // Another thread was faster.
            Some(other) => {
                let other = other.clone();
                drop(open);
                Ok((other, false))
            }
            None => {
                *open = Some(file.clone());
                Ok((file, true))
            }
        }
    }

    /// Closes it, unless it was used since this was last asked. Whether it is closed now, or can never be.
    pub(crate) fn rest(&self) -> bool {
        if self.used.swap(false, Ordering::Relaxed) {
            return false;
        }
        if self.id.is_some() {
            let closed = self.open.lock().take();
            drop(closed);
        }
        true
    }

    /// Whether the name `path` leads to it.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let Ok(there) = path.symlink_metadata() else { return false };
        let open = self.open.lock().clone();
        match open.map(|file| file.metadata()) {
            Some(meta) => meta.is_ok_and(|meta| platform::is_same_file(&meta, &there)),
            None => self.id.is_some() && platform::file_id(&there) == self.id,
        }
    }

    fn note_use(&self) {
        // Mostly it is set, and a store would take the line from other readers.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

/// Opens the file at `path` once more, which was `id` when it was closed.
pub(crate) fn open_again(disk: &dyn Disk, path: &Path, id: Option<FileId>) -> io::Result<File> {
    let file = disk.open_again(path)?;
    if id.is_none() || platform::file_id(&file.metadata()?) != id {
        let why = "another file has its name by now";
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    Ok(file)
}

impl Blob for Arc<RestingFile> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.read_with(&mut Grip::default(), offset, buf)
    }

    fn read_with(&self, grip: &mut Grip, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.note_use();
        if let Some(file) = grip.file() {
            return self.disk.read_at(&file, offset, buf);
        }
        let (file, opened) = self.get()?;
        grip.hold(&file, opened);
        self.disk.read_at(&file, offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.note_use();
        self.disk.write_at(&*self.open()?, offset, bytes)
    }

    fn write_vectored_at(&self, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.note_use();
        self.disk.write_vectored_at(&*self.open()?, offset, pieces)
    }

    fn discard(&self, range: ByteRange) -> io::Result<()> {
        self.disk.punch(&*self.open()?, range)
    }

    fn allocated(&self) -> io::Result<u64> {
        platform::allocated(&self.open()?.metadata()?)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::storage::disk::system;
    use crate::sync::counted;

    /// A file that may be closed, with bytes in it. `None` where the system does not tell files apart well enough.
    fn scene() -> Option<(tempfile::TempDir, PathBuf, Arc<RestingFile>)> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("data");
        let file = system().open(&path).expect("made");
        let file = Arc::new(RestingFile::new(system(), &path, file));
        assert_eq!(file.write_at(0, b"right").expect("written"), 5);
        file.id.is_some().then_some((dir, path, file))
    }

    fn is_closed(file: &RestingFile) -> bool {
        file.open.lock().is_none()
    }

    #[test]
    fn s1_a_file_is_closed_once_it_is_not_used_and_opened_for_the_next_hit() {
        let Some((_dir, path, file)) = scene() else { return };
        assert!(!file.rest(), "it was written");
        let (mut grip, mut buf) = (Grip::default(), [0; 5]);
        file.read_with(&mut grip, 0, &mut buf).expect("read");
        assert!(!file.rest() && !is_closed(&file), "it was read");
        let before = counted();
        file.read_with(&mut grip, 0, &mut buf).expect("read");
        assert_eq!(counted(), before, "a hit looks for nothing");
        assert!(!file.rest() && file.rest() && is_closed(&file));
        assert!(grip.file().is_none(), "a reader keeps nothing open");
        assert!(file.is_at(&path));
        file.read_with(&mut grip, 0, &mut buf).expect("opened again");
        assert_eq!(&buf, b"right");
        assert!(!is_closed(&file) && grip.file().is_some());
    }

    #[test]
    fn s2_another_file_under_its_name_is_not_taken_for_it() {
        let Some((_dir, path, file)) = scene() else { return };
        assert!(!file.rest() && file.rest());
        std::fs::rename(&path, path.with_extension("old")).expect("renamed");
        let missing = file.read_at(0, &mut [0; 5]).expect_err("it is gone");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(!path.exists(), "none is made in its place");
        std::fs::write(&path, b"wrong").expect("written");
        assert!(!file.is_at(&path));
        file.read_at(0, &mut [0; 5]).expect_err("it is another one");
        file.write_at(0, b"x").expect_err("it is another one");
        assert_eq!(std::fs::read(&path).expect("read"), b"wrong");
        std::fs::rename(path.with_extension("old"), &path).expect("renamed");
        file.read_at(0, &mut [0; 5]).expect("it is back");
    }
}
