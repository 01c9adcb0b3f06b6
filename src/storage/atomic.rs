//! AtomicResource: a small whole object in a file, replaced at once.
//!
//! Written to a temporary file in the same folder, synced, renamed over the old one, and the folder
//! synced: a reader, and a crash at any point, finds the old content or the new, never a mixture.
//! A crash may leave a temporary file behind; its name begins with [`TEMPORARY_PREFIX`].
//!
//! Not here: which objects there are and how large they may get.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::StorageError;

use super::platform;

/// How the names of temporary files begin, for whoever sweeps up after a crash.
pub(crate) const TEMPORARY_PREFIX: &str = ".new-";

/// A small whole object in a file.
#[derive(Debug, Clone)]
pub(crate) struct AtomicResource {
    /// Where it is. The folder must exist.
    path: PathBuf,
}

impl AtomicResource {
    /// The object at `path`, whether it exists or not.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
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
        self.replace(content)
            .map_err(|source| StorageError::new("storing an object", source).at(&self.path))
    }

    fn replace(&self, content: &[u8]) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        // Created 0600 on Unix, whatever the umask allows.
        let mut temporary =
            tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder)?;
        temporary.write_all(content)?;
        temporary.as_file().sync_all()?;
        temporary.persist(&self.path).map_err(|refused| refused.error)?;
        platform::sync_folder(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let object = AtomicResource::new(folder.path().join("o"));
        assert!(object.read(10).expect("no error").is_none());
        let below = AtomicResource::new(folder.path().join("no/such/o"));
        assert!(below.read(10).expect("no error").is_none());
        assert!(below.write(b"x").is_err());
    }

    #[test]
    fn s3_a_write_replaces_the_whole_and_leaves_nothing_beside_it() {
        let folder = folder();
        let object = AtomicResource::new(folder.path().join("o"));
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
        let error = AtomicResource::new(&path).write(b"new").expect_err("refused");
        assert_eq!(error.path.as_deref(), Some(path.as_path()));
        assert_eq!(names(folder.path()), ["o"]);
        assert_eq!(names(&path), ["x"]);
    }

    #[test]
    fn s3_an_object_that_is_too_long_is_refused_not_cut() {
        let folder = folder();
        let object = AtomicResource::new(folder.path().join("o"));
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
        let object = AtomicResource::new(folder.path().join("o"));
        object.write(b"x").expect("written");
        let mode = std::fs::metadata(&object.path).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    /// S3: while two threads replace it, a reader finds one content or the other, whole.
    #[test]
    fn s3_readers_see_the_old_or_the_new_content() {
        let folder = folder();
        let object = AtomicResource::new(folder.path().join("o"));
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
