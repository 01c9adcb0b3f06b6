//! Small whole objects: a playlist, a cover, a subtitle. Each is one file that is there whole or not at all.
//!
//! ```text
//! magic 8 | a header as of a coverage log | content | SHA-256 of all before 32
//! ```
//!
//! An object that does not match its checksum is as good as none; it is fetched again.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Inner;
use super::key::AssetKey;
use super::layout::{Kind, is_there, make_folder, sync_folder};
use super::lease::Generation;
use super::log::{Header, MAX_HEADER};
use crate::error::StorageError;
use crate::storage::AtomicResource;
use crate::storage::disk::Disk;
use crate::sync::Arc;

const MAGIC: [u8; 8] = *b"KITHOBJ\x1a";
const DIGEST: usize = 32;
/// Bytes of an object that are read at once where it may be of any size.
pub(super) const PIECE: usize = 64 << 10;

/// The small objects of a store.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<Inner>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// Which version it is.
    pub(crate) meta: Generation,
    /// When it was stored, in Unix seconds.
    pub(crate) stored: u64,
    /// All of it.
    pub(crate) bytes: Vec<u8>,
}

impl Objects {
    pub(super) fn new(store: Arc<Inner>) -> Self {
        Self { store }
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.store.layout.disk_handle()
    }

    /// The object `key`, if it is stored, whole, and not longer than `max` bytes. Blocks.
    ///
    /// # Errors
    ///
    /// The disk refused. That is no reason to take the object for gone.
    pub(crate) fn read(&self, key: &AssetKey, max: u64) -> Result<Option<Object>, StorageError> {
        let frame = (MAGIC.len() + MAX_HEADER + DIGEST) as u64;
        let Some(bytes) = self.file(key, max.saturating_add(frame))? else { return Ok(None) };
        let object = decode(bytes, key).filter(|object| object.bytes.len() as u64 <= max);
        if object.is_some() {
            touch(&self.store.layout.object(key).1);
        }
        Ok(object)
    }

    /// Opens the object `key` to be read in pieces, however large it is; `None` if there is none. Not taken for a use.
    ///
    /// # Errors
    ///
    /// The disk refused.
    pub(super) fn open(&self, key: &AssetKey) -> Result<Option<Reading>, StorageError> {
        let Some((path, _)) = self.place(key)? else { return Ok(None) };
        let fail = |error| StorageError::new("reading a stored object", error).at(&path);
        let reading = File::open(&path).and_then(|file| Reading::begin(file, key));
        reading.map(Some).map_err(fail)
    }

    /// The file of the object `key`, if there is one of at most `max` bytes.
    fn file(&self, key: &AssetKey, max: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let Some((path, len)) = self.place(key)? else { return Ok(None) };
        if len > max {
            return Ok(None);
        }
        match AtomicResource::new(&self.disk(), &path).read(max) {
            Err(error) if error.source.kind() == io::ErrorKind::FileTooLarge => Ok(None),
            read => read,
        }
    }

    /// Where the file of the object `key` is, and how long; `None` if there is none.
    fn place(&self, key: &AssetKey) -> Result<Option<(PathBuf, u64)>, StorageError> {
        let (shelf, path) = self.store.layout.object(key);
        let there = is_there(&self.store.layout.objects(), Kind::Folder)?.is_some()
            && is_there(&shelf, Kind::Folder)?.is_some();
        if !there {
            return Ok(None);
        }
        let meta = is_there(&path, Kind::File)?;
        Ok(meta.map(|meta| (path, meta.len())))
    }

    /// Stores the object `key` in place of what was there, at once and whole. Blocks.
    ///
    /// # Errors
    ///
    /// The disk refused; what was there is still there.
    pub(crate) fn write(
        &self,
        key: &AssetKey,
        meta: &Generation,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        let (shelf, path) = self.store.layout.object(key);
        let objects = self.store.layout.objects();
        if is_there(&shelf, Kind::Folder)?.is_none() {
            let disk = self.store.layout.disk();
            make_folder(disk, &objects)?;
            make_folder(disk, &shelf)?;
            sync_folder(disk, &objects)?;
            sync_folder(disk, self.store.layout.root())?;
        }
        is_there(&path, Kind::File)?;
        let bytes = encode(key, meta, bytes);
        AtomicResource::new(&self.disk(), &path).write(&bytes)?;
        self.store.room.asset();
        self.store.room.run(bytes.len() as u64);
        Ok(())
    }
}

/// Notes the last use, which only the order of eviction hangs on.
fn touch(path: &Path) {
    if let Ok(file) = File::options().write(true).open(path) {
        super::list::touch(&file);
    }
}

fn encode(key: &AssetKey, meta: &Generation, bytes: &[u8]) -> Vec<u8> {
    let header = Header {
        epoch: 0,
        key: key.hash(),
        boot: None,
        created: super::list::unix_now(),
        validator: meta.validator.clone(),
        content_type: meta.content_type.clone(),
        label: key.label().map(str::to_owned),
    };
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(bytes);
    let digest = Sha256::digest(&out);
    out.extend_from_slice(&digest);
    out
}

fn decode(mut bytes: Vec<u8>, key: &AssetKey) -> Option<Object> {
    let (body, digest) = bytes.split_last_chunk::<DIGEST>()?;
    if Sha256::digest(body).as_slice() != digest {
        return None;
    }
    let (header, len) = Header::decode(body.strip_prefix(&MAGIC)?)?;
    if header.key != key.hash() {
        return None;
    }
    let end = body.len();
    bytes.truncate(end);
    bytes.drain(..MAGIC.len() + len);
    let meta = Generation { validator: header.validator, content_type: header.content_type };
    Some(Object { meta, stored: header.created, bytes })
}

/// The file of an object, read from its beginning in pieces. Whether the object is what was stored is known at the end.
#[derive(Debug)]
pub(super) struct Reading {
    file: File,
    hasher: Sha256,
    /// Content that was read together with the header.
    ready: Vec<u8>,
    /// Content that is still in the file.
    rest: u64,
    /// Bytes of the file.
    pub(super) file_len: u64,
    /// Whether its header is that of the object.
    sound: bool,
}

impl Reading {
    fn begin(mut file: File, key: &AssetKey) -> io::Result<Self> {
        let file_len = file.metadata()?.len();
        let body = file_len.saturating_sub(DIGEST as u64);
        let mut ready = Vec::new();
        (&mut file).take(body.min((MAGIC.len() + MAX_HEADER) as u64)).read_to_end(&mut ready)?;
        let hasher = Sha256::new_with_prefix(&ready);
        let mut rest = body.saturating_sub(ready.len() as u64);
        let header = ready.strip_prefix(&MAGIC).and_then(Header::decode);
        let sound = match header.filter(|(header, _)| header.key == key.hash()) {
            Some((_, len)) => {
                ready.drain(..MAGIC.len() + len);
                true
            }
            None => {
                // Nothing that follows can make it sound.
                (ready, rest) = (Vec::new(), 0);
                false
            }
        };
        Ok(Self { file, hasher, ready, rest, file_len, sound })
    }

    /// The next bytes of the content, or none at its end. `buf` must not be empty.
    ///
    /// # Errors
    ///
    /// The disk refused.
    pub(super) fn next<'a>(&mut self, buf: &'a mut [u8]) -> io::Result<&'a [u8]> {
        if !self.ready.is_empty() {
            let n = self.ready.len().min(buf.len());
            buf[..n].copy_from_slice(&self.ready[..n]);
            self.ready.drain(..n);
            return Ok(&buf[..n]);
        }
        let n = loop {
            match (&mut self.file).take(self.rest).read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.hasher.update(&buf[..n]);
        self.rest -= n as u64;
        Ok(&buf[..n])
    }

    /// Whether the content that was read, to its end, is what was stored.
    ///
    /// # Errors
    ///
    /// The disk refused.
    pub(super) fn finish(mut self) -> io::Result<bool> {
        let mut digest = [0; DIGEST];
        if !self.sound || self.rest > 0 || !self.ready.is_empty() {
            return Ok(false);
        }
        match self.file.read_exact(&mut digest) {
            Ok(()) => Ok(self.hasher.finalize().as_slice() == digest),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}
