//! A disk that does what it is asked, and notes it. It can be told to fail a sync, and to have a defect.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::Rng;
use super::drive::{Content, Drive, Ino, Name, Op, SECTOR};
use crate::byte_range::ByteRange;
use crate::storage::disk::{Depth, Disk, System, write_all_at};
use crate::storage::platform;

/// A defect that the proof must find. Planted below the product's code: it is as if that had asked in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    /// Received bytes are written after the record that speaks of them.
    RecordBeforeData,
    /// Names are never made certain.
    NoFolderSync,
    /// The data is synced after the log that claims it.
    ClaimBeforeSync,
    /// A hole is cut before the log that says so is synced.
    HoleBeforeRecord,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Recorder {
    state: Mutex<State>,
    plant: Option<Plant>,
}

#[derive(Debug)]
struct State {
    /// By the system's own numbers, which it may use again.
    inos: HashMap<u64, Ino>,
    /// Files of received bytes.
    data: BTreeSet<Ino>,
    next: Ino,
    start: Drive,
    drive: Drive,
    ops: Vec<Op>,
    failing: Option<Depth>,
    rng: Rng,
    held_writes: Vec<(File, u64, Vec<u8>)>,
    held_sync: Option<File>,
    /// The log's sync, if nothing was asked for since.
    last_sync: Option<Ino>,
}

impl Recorder {
    /// Of the folder `base`; what is in it is certain.
    pub(super) fn new(base: &Path, plant: Option<Plant>) -> Self {
        let mut state = State {
            inos: HashMap::from([(number(base), 0)]),
            data: BTreeSet::new(),
            next: 1,
            start: Drive::default(),
            drive: Drive::default(),
            ops: Vec::new(),
            failing: None,
            rng: Rng(7),
            held_writes: Vec::new(),
            held_sync: None,
            last_sync: None,
        };
        state.find(base);
        state.drive = state.start.clone();
        Self { state: Mutex::new(state), plant }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no test goes on after a panic")
    }

    /// Everything asked for so far.
    pub(super) fn ops(&self) -> Vec<Op> {
        self.state().ops.clone()
    }

    /// How much was asked for so far.
    pub(super) fn now(&self) -> usize {
        let mut state = self.state();
        if let Some(ino) = state.last_sync.take() {
            state.record(Op::Sync { ino });
        }
        state.ops.len()
    }

    /// What was certain at the beginning.
    pub(super) fn start(&self) -> Drive {
        self.state().start.clone()
    }

    /// The next sync of this depth fails.
    pub(super) fn fail_sync(&self, depth: Depth) {
        self.state().failing = Some(depth);
    }

    fn is(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }
}

/// The system's number of what is at `path`.
fn number(path: &Path) -> u64 {
    path.symlink_metadata().expect("it is there").ino()
}

impl State {
    fn find(&mut self, folder: &Path) {
        for path in children(folder) {
            let (at, ino) = (self.name(&path), self.make(number(&path), &path));
            let content = (!path.is_dir()).then(|| std::fs::read(&path).expect("read"));
            self.start.found(at, ino, content.map(|bytes| Content::of(&bytes)));
            if path.is_dir() {
                self.find(&path);
            }
        }
    }

    fn make(&mut self, number: u64, path: &Path) -> Ino {
        let ino = self.next;
        self.next += 1;
        self.inos.insert(number, ino);
        if path.ends_with("data") {
            self.data.insert(ino);
        }
        ino
    }

    fn name(&self, path: &Path) -> Name {
        let folder = self.inos[&number(path.parent().expect("below the base"))];
        let name = path.file_name().expect("a name").to_str().expect("a plain name");
        Name { folder, name: name.to_owned() }
    }

    fn ino(&self, file: &File) -> Ino {
        self.inos[&file.metadata().expect("an open file").ino()]
    }

    fn record(&mut self, op: Op) {
        if let Some(ino) = self.last_sync.take() {
            self.record(Op::Sync { ino });
        }
        self.drive.apply(&op);
        self.ops.push(op);
    }

    fn made(&mut self, path: &Path, is_folder: bool) {
        let (at, ino) = (self.name(path), self.make(number(path), path));
        self.record(Op::Make { at, ino, is_folder });
    }

    fn write(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        write_all_at(&System, file, offset, bytes)?;
        let (ino, offset) = (self.ino(file), offset as usize);
        self.record(Op::Write { ino, offset, bytes: bytes.to_vec() });
        Ok(bytes.len())
    }

    fn release(&mut self) -> io::Result<()> {
        for (file, offset, bytes) in std::mem::take(&mut self.held_writes) {
            self.write(&file, offset, &bytes)?;
        }
        Ok(())
    }

    /// The system forgets some of what it could not write, at once, and tells so once.
    fn fail(&mut self, file: &File) -> io::Result<()> {
        let ino = self.ino(file);
        let len = file.metadata()?.len() as usize;
        let mut bytes = vec![0; len];
        platform::read_at(file, 0, &mut bytes)?;
        let certain = self.drive.certain(ino).clone();
        for at in (0..len).step_by(SECTOR) {
            let old = certain.sector(at / SECTOR);
            let now = &mut bytes[at..len.min(at + SECTOR)];
            if now[..old.len().min(now.len())] != old[..old.len().min(now.len())]
                && self.rng.one_in(2)
            {
                now.fill(0);
                let n = old.len().min(now.len());
                now[..n].copy_from_slice(&old[..n]);
            }
        }
        write_all_at(&System, file, 0, &bytes)?;
        self.record(Op::FailedSync { ino, view: Content::of(&bytes) });
        Err(io::Error::other("scripted"))
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().expect("a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

impl Disk for Recorder {
    fn open(&self, path: &Path) -> io::Result<File> {
        let mut state = self.state();
        let is_new = path.symlink_metadata().is_err();
        let file = System.open(path)?;
        if is_new {
            state.made(path, false);
        }
        Ok(file)
    }

    fn create_new(&self, path: &Path) -> io::Result<File> {
        let mut state = self.state();
        let file = System.create_new(path)?;
        state.made(path, false);
        Ok(file)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        System.make_folder(path)?;
        state.made(path, true);
        Ok(())
    }

    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let ino = state.ino(file);
        if self.is(Plant::RecordBeforeData) && state.data.contains(&ino) {
            state.held_writes.push((file.try_clone()?, offset, bytes.to_vec()));
            return Ok(bytes.len());
        }
        let written = state.write(file, offset, bytes)?;
        state.release()?;
        Ok(written)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.release()?;
        System.set_len(file, len)?;
        let ino = state.ino(file);
        state.record(Op::SetLen { ino, len: len as usize });
        Ok(())
    }

    fn punch(&self, file: &File, range: ByteRange) -> io::Result<()> {
        let mut state = self.state();
        state.release()?;
        System.punch(file, range)?;
        let len = file.metadata()?.len().min(range.end).saturating_sub(range.start) as usize;
        // The question whether the disk can do it changes nothing.
        if len > 0 {
            let (ino, offset) = (state.ino(file), range.start as usize);
            let synced = state.last_sync.take();
            state.record(Op::Punch { ino, offset, len });
            state.last_sync = synced;
        }
        Ok(())
    }

    fn sync(&self, file: &File, depth: Depth) -> io::Result<()> {
        let mut state = self.state();
        state.release()?;
        if state.failing == Some(depth) {
            state.failing = None;
            return state.fail(file);
        }
        if self.is(Plant::ClaimBeforeSync) && depth == Depth::Data {
            state.held_sync = Some(file.try_clone()?);
            return Ok(());
        }
        if self.is(Plant::HoleBeforeRecord) && depth == Depth::All {
            let ino = state.ino(file);
            state.last_sync = Some(ino);
            return Ok(());
        }
        let held = state.held_sync.take();
        for file in [Some(file), held.as_ref()].into_iter().flatten() {
            let ino = state.ino(file);
            state.record(Op::Sync { ino });
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        // Folders above the base are there for certain.
        let ino = state.inos.get(&number(folder)).copied();
        if let Some(ino) = ino.filter(|_| !self.is(Plant::NoFolderSync)) {
            state.record(Op::SyncFolder { ino });
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let ino = state.inos[&from.symlink_metadata()?.ino()];
        let (before, after) = (state.name(from), state.name(to));
        System.rename(from, to)?;
        state.record(Op::Move { from: before, to: after, ino });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        System.remove_file(path)?;
        let at = state.name(path);
        state.record(Op::Remove { at });
        Ok(())
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        for child in children(path) {
            if child.is_dir() {
                self.remove_tree(&child)?;
            } else {
                self.remove_file(&child)?;
            }
        }
        let mut state = self.state();
        let at = state.name(path);
        std::fs::remove_dir(path)?;
        state.record(Op::Remove { at });
        Ok(())
    }
}
