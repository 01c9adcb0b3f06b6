//! What a disk keeps: the bytes and names that are certain, and the changes of which a power cut may leave any part.
//!
//! A file's bytes are certain once the file was synced, a name once its folder was. Of what came since, each name
//! and each sector of each write is kept or lost by itself, whatever came first; a write may leave the file longer
//! without its bytes, with zeros or with bytes of somebody else in their place. A rename is one change.
//! After a failed sync what the system still shows may be kept or lost for ever after, however often the file is
//! synced, until it is written again.

use std::collections::{BTreeMap, BTreeSet};

use super::Rng;

/// Bytes that the disk writes at once, in this model.
pub(super) const SECTOR: usize = 64;

/// Number of a file or folder; 0 is the folder that everything is in.
pub(super) type Ino = usize;

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) folder: Ino,
    pub(super) name: String,
}

/// Something that was asked of the disk.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Make {
        at: Name,
        ino: Ino,
        is_folder: bool,
    },
    Move {
        from: Name,
        to: Name,
        ino: Ino,
    },
    Remove {
        at: Name,
    },
    Write {
        ino: Ino,
        offset: usize,
        bytes: Vec<u8>,
    },
    SetLen {
        ino: Ino,
        len: usize,
    },
    /// A hole, within the file.
    Punch {
        ino: Ino,
        offset: usize,
        len: usize,
    },
    Sync {
        ino: Ino,
    },
    SyncFolder {
        ino: Ino,
    },
    /// A sync that failed; `view` is what the system shows of the file afterwards.
    FailedSync {
        ino: Ino,
        view: Content,
    },
}

/// The bytes of a file, without the zeros at its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Content {
    pub(super) head: Vec<u8>,
    pub(super) len: usize,
}

impl Content {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        Self { head: bytes[..end].to_vec(), len: bytes.len() }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        self.len = self.len.max(end);
        if at >= self.head.len() && is_zero(bytes) {
            return;
        }
        self.head.resize(self.head.len().max(end), 0);
        self.head[at..end].copy_from_slice(bytes);
    }

    /// The length stays.
    fn punch(&mut self, start: usize, end: usize) {
        let end = end.min(self.head.len());
        self.head[start.min(end)..end].fill(0);
    }

    fn set_len(&mut self, len: usize) {
        self.head.truncate(len);
        self.len = len;
    }

    /// The sector with this number, as far as the file has it.
    pub(super) fn sector(&self, number: usize) -> Vec<u8> {
        let start = number * SECTOR;
        let mut bytes = vec![0; SECTOR.min(self.len.saturating_sub(start))];
        let head = self.head.get(start..).unwrap_or_default();
        let n = head.len().min(bytes.len());
        bytes[..n].copy_from_slice(&head[..n]);
        bytes
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // The compare of slices is fast without optimization too, and room is made by the 64 KiB.
    bytes.chunks(4096).all(|part| *part == [0; 4096][..part.len()])
}

/// The tree that is found after a power cut: folders without, files with content.
pub(super) type Image = BTreeMap<String, Option<Content>>;

/// What becomes of the changes that are not certain.
#[derive(Debug)]
pub(super) enum Fate {
    /// Nothing was lost: only the process died.
    Kept,
    Lost,
    NamesAlone,
    BytesAlone,
    /// Each change, in order, whole: kept if its bit is set.
    Bits(u64),
    /// Each change, and each sector of a write, as it comes; one of `n` is lost.
    Torn(Rng, u64),
}

impl Fate {
    fn keeps_name(&mut self) -> bool {
        match self {
            Self::Kept | Self::NamesAlone => true,
            Self::Lost | Self::BytesAlone => false,
            Self::Bits(_) => self.bit(),
            Self::Torn(rng, n) => !rng.one_in(*n),
        }
    }

    fn keeps_change(&mut self) -> bool {
        match self {
            Self::Kept | Self::BytesAlone => true,
            Self::Lost | Self::NamesAlone => false,
            Self::Bits(_) => self.bit(),
            Self::Torn(rng, n) => !rng.one_in(*n),
        }
    }

    fn bit(&mut self) -> bool {
        let Self::Bits(bits) = self else { return true };
        let bit = *bits & 1 == 1;
        *bits >>= 1;
        bit
    }
}

#[derive(Debug, Clone)]
struct Rename {
    gone: Option<Name>,
    come: Option<(Name, Ino)>,
}

impl Rename {
    fn touches(&self, what: &dyn Fn(&Name) -> bool) -> bool {
        self.gone.as_ref().is_some_and(what) || self.come.as_ref().is_some_and(|(n, _)| what(n))
    }

    fn apply(&self, names: &mut BTreeMap<Name, Ino>) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((name, ino)) = &self.come {
            names.insert(name.clone(), *ino);
        }
    }
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
    Punch { offset: usize, len: usize },
}

#[derive(Debug, Clone, Default)]
struct File {
    certain: Content,
    /// Sectors that a failed sync left: shown, and perhaps never written.
    limbo: BTreeMap<usize, Vec<u8>>,
    pending: Vec<Change>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Drive {
    names: BTreeMap<Name, Ino>,
    renames: Vec<Rename>,
    folders: BTreeSet<Ino>,
    files: BTreeMap<Ino, File>,
}

impl Drive {
    /// Something that is there from the start, and certain.
    pub(super) fn found(&mut self, at: Name, ino: Ino, content: Option<Content>) {
        self.names.insert(at, ino);
        match content {
            None => drop(self.folders.insert(ino)),
            Some(certain) => drop(self.files.insert(ino, File { certain, ..File::default() })),
        }
    }

    pub(super) fn apply(&mut self, op: &Op) {
        match op.clone() {
            Op::Make { at, ino, is_folder } => {
                self.renames.push(Rename { gone: None, come: Some((at, ino)) });
                if is_folder {
                    self.folders.insert(ino);
                } else {
                    self.files.insert(ino, File::default());
                }
            }
            Op::Move { from, to, ino } => {
                self.renames.push(Rename { gone: Some(from), come: Some((to, ino)) });
            }
            Op::Remove { at } => self.renames.push(Rename { gone: Some(at), come: None }),
            Op::Write { ino, offset, bytes } => {
                self.file(ino).pending.push(Change::Write { offset, bytes });
            }
            Op::SetLen { ino, len } => self.file(ino).pending.push(Change::SetLen(len)),
            Op::Punch { ino, offset, len } => {
                self.file(ino).pending.push(Change::Punch { offset, len });
            }
            Op::Sync { ino } => self.file(ino).sync(),
            Op::SyncFolder { ino } => self.sync_folder(ino),
            Op::FailedSync { ino, view } => self.file(ino).fail(&view),
        }
    }

    fn file(&mut self, ino: Ino) -> &mut File {
        self.files.get_mut(&ino).expect("a file that was made")
    }

    /// Makes the names of a folder certain, and with them all earlier changes of the same names.
    fn sync_folder(&mut self, ino: Ino) {
        let mut certain: Vec<Name> = Vec::new();
        let mut left = Vec::new();
        let mut done = Vec::new();
        for rename in std::mem::take(&mut self.renames).into_iter().rev() {
            if rename.touches(&|name| name.folder == ino || certain.contains(name)) {
                certain.extend(rename.gone.clone());
                certain.extend(rename.come.clone().map(|(name, _)| name));
                done.push(rename);
            } else {
                left.push(rename);
            }
        }
        done.iter().rev().for_each(|rename| rename.apply(&mut self.names));
        left.reverse();
        self.renames = left;
    }

    /// How many changes are not certain.
    pub(super) fn changes(&self) -> usize {
        let of = |file: &File| file.pending.len() + file.limbo.len();
        self.renames.len() + self.files.values().map(of).sum::<usize>()
    }

    /// What is certain of a file.
    pub(super) fn certain(&self, ino: Ino) -> &Content {
        &self.files[&ino].certain
    }

    /// What is found after a power cut now.
    pub(super) fn image(&self, fate: &mut Fate) -> Image {
        let mut names = self.names.clone();
        for rename in &self.renames {
            if fate.keeps_name() {
                rename.apply(&mut names);
            }
        }
        let mut image = Image::new();
        // Every file has its say, named or not, so that a bit means the same change in every image.
        let contents: BTreeMap<Ino, Content> =
            self.files.iter().map(|(ino, file)| (*ino, file.image(fate))).collect();
        let mut folders = vec![(0, String::new())];
        while let Some((folder, path)) = folders.pop() {
            for (name, ino) in names.iter().filter(|(name, _)| name.folder == folder) {
                let path = format!("{path}{}", name.name);
                image.insert(path.clone(), contents.get(ino).cloned());
                if self.folders.contains(ino) {
                    folders.push((*ino, path + "/"));
                }
            }
        }
        image
    }
}

impl File {
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            for number in sectors(&change) {
                if let Some(shown) = self.limbo.remove(&number) {
                    self.certain.write(number * SECTOR, &shown);
                }
            }
            apply(&mut self.certain, &change);
        }
    }

    fn fail(&mut self, view: &Content) {
        self.pending.clear();
        self.certain.set_len(view.len);
        for number in 0..view.head.len().max(self.certain.head.len()).div_ceil(SECTOR) {
            let shown = view.sector(number);
            if shown != self.certain.sector(number) {
                self.limbo.insert(number, shown);
            } else {
                self.limbo.remove(&number);
            }
        }
    }

    fn image(&self, fate: &mut Fate) -> Content {
        let mut content = self.certain.clone();
        for (number, shown) in &self.limbo {
            if fate.keeps_change() {
                content.write(number * SECTOR, shown);
            }
        }
        for change in &self.pending {
            match (change, &mut *fate) {
                (Change::Write { offset, bytes }, Fate::Torn(rng, n)) => {
                    tear(&mut content, *offset, bytes, rng, *n);
                }
                (Change::Punch { offset, len }, Fate::Torn(rng, n)) => {
                    // As a file system gives it back: block by block, the last ones perhaps later.
                    for number in sectors(change) {
                        if !rng.one_in(*n) {
                            let start = (*offset).max(number * SECTOR);
                            let end = (*offset + *len).min((number + 1) * SECTOR);
                            content.punch(start, end);
                        }
                    }
                }
                (change, fate) => {
                    if fate.keeps_change() {
                        apply(&mut content, change);
                    }
                }
            }
        }
        content
    }
}

/// The sectors that a change touches and leaves whole otherwise.
fn sectors(change: &Change) -> std::ops::Range<usize> {
    let (offset, len) = match change {
        Change::Write { offset, bytes } => (*offset, bytes.len()),
        Change::Punch { offset, len } => (*offset, *len),
        Change::SetLen(_) => return 0..0,
    };
    offset / SECTOR..(offset + len).div_ceil(SECTOR)
}

fn apply(content: &mut Content, change: &Change) {
    match change {
        Change::Write { offset, bytes } => content.write(*offset, bytes),
        Change::SetLen(len) => content.set_len(*len),
        Change::Punch { offset, len } => content.punch(*offset, offset + len),
    }
}

/// Writes some sectors of `bytes`. The file may get its new length all the same.
fn tear(content: &mut Content, offset: usize, bytes: &[u8], rng: &mut Rng, n: u64) {
    let end = offset + bytes.len();
    if end > content.len && rng.one_in(2) {
        // What was on the disk before: nothing, or something.
        let fill = [0, 0, 0xa5][rng.below(3) as usize];
        let from = content.len.max(offset);
        // Room is not worth the time: what is there is not read behind the first bad record.
        let some = (end - from).min(4 * SECTOR);
        content.write(from, &vec![fill; some]);
        content.len = end;
    }
    if is_zero(bytes) {
        if !rng.one_in(n) {
            content.write(offset, bytes);
        }
        return;
    }
    let mut at = offset;
    while at < end {
        let to = ((at / SECTOR + 1) * SECTOR).min(end);
        if !rng.one_in(n) {
            content.write(at, &bytes[at - offset..to - offset]);
        }
        at = to;
    }
}
