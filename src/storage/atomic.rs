//! AtomicResource: a small whole object in a file, replaced at once.
//!
//! Written to a temporary file in the same folder, synced, renamed over the old one, and the folder
//! synced: a reader, and a crash at any point, finds the old content or the new, never a mixture.
//! A crash may leave a temporary file behind; its name begins with [`TEMPORARY_PREFIX`].
//!
//! Not here: which objects there are and how large they may get.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::StorageError;
use crate::sync::Arc;

use super::disk::{Depth, Disk, write_all_at};

/// How the names of temporary files begin, for whoever sweeps up after a crash.
pub(crate) const TEMPORARY_PREFIX: &str = ".new-";

/// Names tried for a temporary file; a second one is needed once in many lives of the universe, or by an attack.
const NAME_ATTEMPTS: u32 = 8;

/// Whether a file is made proof against power loss before it takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// It is, and its name too.
    Yes,
    /// It is not: a cache, or a store that ends with the process.
    No,
}

/// A small whole object in a file.
#[derive(Debug, Clone)]
pub(crate) struct AtomicResource {
    disk: Arc<dyn Disk>,
    /// Where it is. The folder must exist.
    path: PathBuf,
}

impl AtomicResource {
    /// The object at `path`, whether it exists or not.
    pub(crate) fn new(disk: &Arc<dyn Disk>, path: impl Into<PathBuf>) -> Self {
        Self { disk: disk.clone(), path: path.into() }
    }

    /// The whole content, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// The disk refused, or the content is longer than `max` bytes (kind `FileTooLarge`).
    pub(crate) fn read(&self, max: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let failed = |source| StorageError::new("reading a stored object", source).at(&self.path);
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut content = Vec::new();
        // One byte more than allowed tells too long from just long enough.
        file.take(max.saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
        if content.len() as u64 > max {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        Ok(Some(content))
    }

    /// Replaces the content; durable when this returns. Of several at the same time the last to
    /// rename wins.
    ///
    /// # Errors
    ///
    /// The disk refused; the old content is still there, unless only the last sync failed.
    pub(crate) fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        replace(&*self.disk, &self.path, content, 0, Durable::Yes)
            .map(drop)
            .map_err(|source| StorageError::new("storing an object", source).at(&self.path))
    }
}

/// Puts a file with `content` and then `room` zeros in place of what is at `path`: afterwards the old or the new one
/// is there, whole, also after a crash. Returns the new one, open for reading and writing. Blocks.
///
/// # Errors
///
/// The disk refused; the old one is still there, unless only the last sync failed.
pub(crate) fn replace(
    disk: &dyn Disk,
    path: &Path,
    content: &[u8],
    room: u64,
    durable: Durable,
) -> io::Result<File> {
    let folder = folder_of(path);
    let aside = Aside::write(disk, folder, content, room, durable)?;
    let file = aside.take_place(disk, path)?;
    if durable == Durable::Yes {
        disk.sync_folder(folder)?;
    }
    Ok(file)
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// A file that was written and has not taken its place yet.
#[derive(Debug)]
pub(crate) struct Aside {
    path: PathBuf,
    /// Open for reading and writing.
    pub(crate) file: File,
}

impl Aside {
    /// Writes `content` and then `room` zeros to a new file in `folder`. Blocks.
    pub(crate) fn write(
        disk: &dyn Disk,
        folder: &Path,
        content: &[u8],
        room: u64,
        durable: Durable,
    ) -> io::Result<Self> {
        let (path, file) = create_temporary(disk, folder)?;
        let aside = Self { path, file };
        match aside.fill(disk, content, room, durable) {
            Ok(()) => Ok(aside),
            Err(error) => {
                aside.remove(disk);
                Err(error)
            }
        }
    }

    fn fill(&self, disk: &dyn Disk, content: &[u8], room: u64, durable: Durable) -> io::Result<()> {
        write_all_at(disk, &self.file, 0, content)?;
        let zeros = vec![0; room.min(64 * 1024) as usize];
        let (mut at, end) = (content.len() as u64, content.len() as u64 + room);
        while at < end {
            let part = &zeros[..zeros.len().min((end - at) as usize)];
            write_all_at(disk, &self.file, at, part)?;
            at += part.len() as u64;
        }
        match durable {
            Durable::Yes => disk.sync(&self.file, Depth::All),
            Durable::No => Ok(()),
        }
    }

    /// Takes the place of what is at `path`, at once. The folder is not synced.
    pub(crate) fn take_place(self, disk: &dyn Disk, path: &Path) -> io::Result<File> {
        match disk.rename(&self.path, path) {
            Ok(()) => Ok(self.file),
            Err(error) => {
                self.remove(disk);
                Err(error)
            }
        }
    }

    /// Takes it away; else it is swept up later, by its name.
    pub(crate) fn remove(self, disk: &dyn Disk) {
        let _ = disk.remove_file(&self.path);
    }
}

/// Makes a file with a name of its own in `folder`, for its owner alone.
fn create_temporary(disk: &dyn Disk, folder: &Path) -> io::Result<(PathBuf, File)> {
    let mut attempts = 0;
    loop {
        // The standard library seeds these from the system's source of randomness.
        let number = RandomState::new().build_hasher().finish();
        let path = folder.join(format!("{TEMPORARY_PREFIX}{number:016x}"));
        attempts += 1;
        match disk.create_new(&path) {
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && attempts < NAME_ATTEMPTS => {}
            made => return made.map(|file| (path, file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::system;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn s3_a_missing_object_is_none() {
        let folder = folder();
        let object = AtomicResource::new(&system(), folder.path().join("o"));
        assert!(object.read(10).expect("no error").is_none());
        let below = AtomicResource::new(&system(), folder.path().join("no/such/o"));
        assert!(below.read(10).expect("no error").is_none());
        assert!(below.write(b"x").is_err());
    }

    #[test]
    fn s3_a_write_replaces_the_whole_and_leaves_nothing_beside_it() {
        let folder = folder();
        let object = AtomicResource::new(&system(), folder.path().join("o"));
        for content in [&b"a long first content"[..], b"short", b""] {
            object.write(content).expect("written");
            assert_eq!(object.read(100).expect("read").as_deref(), Some(content));
        }
        assert_eq!(names(folder.path()), ["o"]);
    }

    #[test]
    fn s3_a_failed_write_leaves_the_old_content() {
        let folder = folder();
        let path = folder.path().join("o");
        // The rename cannot succeed: the name is a folder that is not empty.
        std::fs::create_dir_all(path.join("x")).expect("a folder");
        let error = AtomicResource::new(&system(), &path).write(b"new").expect_err("refused");
        assert_eq!(error.path.as_deref(), Some(path.as_path()));
        assert_eq!(names(folder.path()), ["o"]);
        assert_eq!(names(&path), ["x"]);
    }

    #[test]
    fn s3_an_object_that_is_too_long_is_refused_not_cut() {
        let folder = folder();
        let object = AtomicResource::new(&system(), folder.path().join("o"));
        object.write(b"12345").expect("written");
        assert_eq!(object.read(5).expect("read").map(|c| c.len()), Some(5));
        let error = object.read(4).expect_err("too long");
        assert_eq!(error.source.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(object.read(u64::MAX).expect("read").map(|c| c.len()), Some(5));
    }

    #[cfg(unix)]
    #[test]
    fn a1_an_object_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        let object = AtomicResource::new(&system(), folder.path().join("o"));
        object.write(b"x").expect("written");
        let mode = std::fs::metadata(&object.path).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    /// S3: while two threads replace it, a reader finds one content or the other, whole.
    #[test]
    fn s3_readers_see_the_old_or_the_new_content() {
        let folder = folder();
        let object = AtomicResource::new(&system(), folder.path().join("o"));
        object.write(&[0; 5000]).expect("written");
        std::thread::scope(|scope| {
            for value in [1, 2] {
                let object = &object;
                scope.spawn(move || {
                    for _ in 0..20 {
                        object.write(&vec![value; 5000 + value as usize]).expect("written");
                    }
                });
            }
            for _ in 0..200 {
                let content = object.read(10_000).expect("read").expect("there");
                assert_eq!(content.len(), 5000 + content[0] as usize);
                assert!(content.iter().all(|byte| *byte == content[0]));
            }
        });
    }
}
