//! The media files below a folder.
//!
//! Links are not followed and names that begin with a dot are not looked at, so nothing outside of the folder is served, nor
//! what was put away. It is looked through once; what comes later is not served.

use std::io;
use std::path::{Path, PathBuf};

use super::types;

/// Most media files of one folder: more is somebody's whole disk.
const MOST: usize = 1000;

/// How deep folders may lie in each other.
const DEEPEST: usize = 32;

/// The media files below `root`, in the order of their paths, each as it is without links. Blocks on the disk.
pub(super) fn media_below(root: &Path) -> io::Result<Vec<PathBuf>> {
    // Where the user points may be a link.
    let root = root.canonicalize()?;
    let (mut found, mut folders) = (Vec::new(), vec![(root.clone(), 0)]);
    while let Some((folder, depth)) = folders.pop() {
        let entries = match folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if folder == root => return Err(error),
            Err(error) => {
                tracing::debug!(folder = %folder.display(), %error, "a folder is not looked into");
                continue;
            }
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Of the entry itself, not of what a link leads to.
            let Ok(kind) = entry.file_type() else { continue };
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() && depth < DEEPEST {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() && types::is_media(&name) {
                found.push(entry.path());
            }
        }
        if found.len() > MOST {
            let why = format!("more than {MOST} media files are below it");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
    }
    found.sort();
    Ok(found)
}
