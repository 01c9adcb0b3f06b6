//! `cache export`: writes a complete resource to a plain file.

use std::path::Path;

use indicatif::HumanBytes;
use kithara_file::{AssetStore, ExportError, IfExists};

use super::{find, json, unknown};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::say;

/// What the user said besides.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) force: bool,
    pub(super) quiet: bool,
    pub(super) json: bool,
}

/// Writes what `named` means to `path`.
pub(super) fn run(store: &AssetStore, named: &str, path: &Path, how: How) -> Result<(), Failure> {
    if path == Path::new("-") {
        return Err(Failure::usage("an export is a file and cannot go to standard output")
            .advise("use `kithara-file get --offline -o - URL`"));
    }
    let key = find(store, &store.list()?, named)?;
    let if_exists = if how.force { IfExists::Replace } else { IfExists::Refuse };
    let mut progress = Progress::new(how.quiet || how.json, 0);
    let done = store.export_with_progress(&key, path, if_exists, |done, len| {
        progress.at(done, Some(len));
        if done == len {
            progress.say("checking");
        }
    });
    progress.finish();
    let done = done.map_err(|error| failure(store, error))?;
    if how.json {
        return say(&json(&serde_json::json!({
            "id": key.id(),
            "file": path.to_string_lossy(),
            "len_bytes": done.len,
            "unchecked_bytes": done.unchecked,
        }))?);
    }
    match how.quiet {
        true => Ok(()),
        false => say(&format!("{}: {}\n", path.display(), HumanBytes(done.len))),
    }
}

fn failure(store: &AssetStore, error: ExportError) -> Failure {
    let told = Failure::new(crate::failure::chain(&error));
    match error {
        ExportError::Absent => unknown(store),
        ExportError::Busy => told.advise("end the program that has it open first"),
        ExportError::Incomplete { .. } => {
            told.advise("`kithara-file get` fetches what is missing, and writes the file")
        }
        ExportError::Damaged { .. } => {
            told.advise("`cache verify --repair` forgets them, and `get` fetches them again")
        }
        ExportError::Exists { .. } => told.advise("--force replaces it"),
        ExportError::Output { .. } => told.advise("name another file with -o"),
        ExportError::Store(error) => error.into(),
        _ => told,
    }
}
