//! A file that is written beside its place and gets its name when it is whole, so that a name never stands for half a file.
//!
//! A process that is killed leaves its unfinished file behind; the next one that writes to the same place removes it. One
//! that is alive holds a lock on its own.
//!
//! The command line includes this file by path: the rule by which one of the two sweeps is the other one's too.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// End of the name of an unfinished file.
const PART: &str = ".part";
/// How many random letters and digits the name of an unfinished file has.
const RANDOM: usize = 6;

/// A file beside `path`, which goes when dropped. What killed processes have left of earlier ones goes first.
pub(crate) fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let unnamed = || io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().ok_or_else(unnamed)?);
    prefix.push(".");
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(PART).rand_bytes(RANDOM);
    // As any new file: the user's mask decides, not the secrecy of temporary files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    sweep(folder, &prefix);
    loop {
        let file = builder.tempfile_in(folder)?;
        // By this whoever clears up knows that somebody is at work on it. Where nothing can be locked, nothing is swept.
        let _ = file.as_file().lock();
        // It may have been swept before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// The folder that `path` lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Removes unfinished files in `folder` whose names begin with `prefix` and on which nobody is at work.
fn sweep(folder: &Path, prefix: &OsStr) {
    let Ok(entries) = folder.read_dir() else { return };
    for entry in entries.flatten().filter(|entry| is_part(&entry.file_name(), prefix)) {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let opened = is_file.then(|| File::options().write(true).open(entry.path()));
        // Removed under the lock: whoever has just made it and waits for the lock finds it gone.
        if let Some(Ok(file)) = opened
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_part(name: &OsStr, prefix: &OsStr) -> bool {
    let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
    let random = rest.and_then(|rest| rest.strip_suffix(PART.as_bytes()));
    random.is_some_and(|it| it.len() == RANDOM && it.iter().all(u8::is_ascii_alphanumeric))
}
