//! A disk that refuses what a test tells it to refuse.
//!
//! A script names an operation, the file by the end of its path, and the system's error number. It strikes at the n-th
//! such operation from now on, once or until the disk is healed. A write that is refused has written half of its bytes, as
//! on a disk that has just become full.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Depth, Disk, System};
use crate::byte_range::ByteRange;
use crate::sync::{Arc, Mutex, MutexGuard};

/// `ENOSPC`, `EIO`, `EROFS` as Linux and the BSDs number them.
pub(crate) const FULL: i32 = 28;
pub(crate) const BROKEN: i32 = 5;
pub(crate) const READ_ONLY: i32 = 30;
/// `EDQUOT`.
pub(crate) const QUOTA: i32 = if cfg!(target_os = "linux") { 122 } else { 69 };

/// What a disk is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Open,
    Create,
    MakeFolder,
    Read,
    Write,
    SetLen,
    Punch,
    SyncData,
    SyncAll,
    SyncFolder,
    Rename,
    Remove,
}

#[derive(Debug)]
struct Fault {
    kind: Kind,
    file: &'static str,
    /// So many pass before it strikes.
    passing: usize,
    errno: i32,
    once: bool,
    /// Writes of fewer bytes pass.
    least: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Faulty(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    /// Where each open file was when it was opened, by the system's number.
    paths: HashMap<u64, PathBuf>,
}

impl Faulty {
    /// One that does as it is asked.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Refuses every such operation until [`heal`](Self::heal); an empty `file` is any.
    pub(crate) fn refuse(&self, kind: Kind, file: &'static str, errno: i32) {
        let fault = Fault { kind, file, passing: 0, errno, once: false, least: 0 };
        self.state().faults.push(fault);
    }

    /// Refuses one such operation after `passing` more.
    pub(crate) fn refuse_one(&self, kind: Kind, file: &'static str, passing: usize, errno: i32) {
        self.state().faults.push(Fault { kind, file, passing, errno, once: true, least: 0 });
    }

    /// Refuses every write of so many bytes or more until [`heal`](Self::heal).
    pub(crate) fn refuse_large(&self, least: usize, file: &'static str, errno: i32) {
        let fault = Fault { kind: Kind::Write, file, passing: 0, errno, once: false, least };
        self.state().faults.push(fault);
    }

    /// Whatever makes a file longer or new is refused, as on a full disk, or one that lets nothing be written.
    pub(crate) fn refuse_writing(&self, errno: i32) {
        for kind in [Kind::Write, Kind::Create, Kind::MakeFolder] {
            self.refuse(kind, "", errno);
        }
    }

    /// Does as it is asked from now on.
    pub(crate) fn heal(&self) {
        self.state().faults.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    fn ask(&self, kind: Kind, path: &Path) -> io::Result<()> {
        self.ask_for(kind, path, 0)
    }

    fn ask_for(&self, kind: Kind, path: &Path, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        let fits = |fault: &Fault| {
            fault.kind == kind && is_named(path, fault.file) && bytes >= fault.least
        };
        let Some(at) = state.faults.iter().position(fits) else { return Ok(()) };
        let fault = &mut state.faults[at];
        if fault.passing > 0 {
            fault.passing -= 1;
            return Ok(());
        }
        let errno = fault.errno;
        if fault.once {
            state.faults.remove(at);
        }
        Err(io::Error::from_raw_os_error(errno))
    }

    fn ask_file(&self, kind: Kind, file: &File, bytes: usize) -> io::Result<()> {
        let number = file.metadata()?.ino();
        let path = self.state().paths.get(&number).cloned().unwrap_or_default();
        self.ask_for(kind, &path, bytes)
    }

    fn note(&self, path: &Path, file: &File) -> io::Result<()> {
        let number = file.metadata()?.ino();
        self.state().paths.insert(number, path.to_owned());
        Ok(())
    }
}

fn is_named(path: &Path, file: &str) -> bool {
    file.is_empty() || path.ends_with(file)
}

impl Disk for Faulty {
    fn open(&self, path: &Path) -> io::Result<File> {
        self.ask(Kind::Open, path)?;
        let file = System.open(path)?;
        self.note(path, &file)?;
        Ok(file)
    }

    fn open_again(&self, path: &Path) -> io::Result<File> {
        self.ask(Kind::Open, path)?;
        System.open_again(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<File> {
        self.ask(Kind::Create, path)?;
        let file = System.create_new(path)?;
        self.note(path, &file)?;
        Ok(file)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.ask(Kind::MakeFolder, path)?;
        System.make_folder(path)
    }

    fn read_at(&self, file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.ask_file(Kind::Read, file, buf.len())?;
        System.read_at(file, offset, buf)
    }

    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.ask_file(Kind::Write, file, bytes.len()) {
            let _ = System.write_at(file, offset, &bytes[..bytes.len() / 2]);
            return Err(error);
        }
        System.write_at(file, offset, bytes)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.ask_file(Kind::SetLen, file, 0)?;
        System.set_len(file, len)
    }

    fn punch(&self, file: &File, range: ByteRange) -> io::Result<()> {
        self.ask_file(Kind::Punch, file, 0)?;
        System.punch(file, range)
    }

    fn sync(&self, file: &File, depth: Depth) -> io::Result<()> {
        let kind = match depth {
            Depth::Data => Kind::SyncData,
            Depth::All => Kind::SyncAll,
        };
        self.ask_file(kind, file, 0)?;
        System.sync(file, depth)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.ask(Kind::SyncFolder, folder)?;
        System.sync_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Kind::Rename, to)?;
        System.rename(from, to)?;
        let mut state = self.state();
        state
            .paths
            .values_mut()
            .filter(|path| *path == from)
            .for_each(|path| *path = to.to_owned());
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.ask(Kind::Remove, path)?;
        System.remove_file(path)
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.ask(Kind::Remove, path)?;
        System.remove_tree(path)
    }
}
