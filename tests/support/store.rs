//! Stores on disk that are each test's own and go with it.

use std::path::Path;

/// An empty directory for a store, removed at the end.
pub(crate) struct TempStore(tempfile::TempDir);

impl TempStore {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("kithara-test-").tempdir();
        Self(dir.expect("a temporary directory"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// All files below it, as paths from its root, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut rooms = vec![self.path().to_owned()];
        while let Some(room) = rooms.pop() {
            for entry in std::fs::read_dir(&room).expect("a readable directory") {
                let path = entry.expect("a readable entry").path();
                if path.is_dir() {
                    rooms.push(path);
                } else {
                    let name = path.strip_prefix(self.path()).expect("a path below the root");
                    files.push(name.to_string_lossy().into_owned());
                }
            }
        }
        files.sort();
        files
    }
}
