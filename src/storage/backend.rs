//! Backend: where the bytes of one resource are, behind a seam of four methods.
//!
//! A [`Blob`] may read and write less than asked, as the system calls do; the loops are here. It
//! knows nothing of coverage: only covered bytes are ever read, so a blob that ends before them has
//! lost them, and that is an error, never an end and never zeros.

use std::fmt;
use std::fs::File;
use std::io;

use crate::byte_range::ByteRange;
use crate::error::StorageError;
use crate::sync::Arc;

use super::file::{FileBlob, RestingFile};
use super::memory::MemoryBlob;
use super::run::Grip;

/// Positional I/O. All methods from any thread, at the same time.
pub(crate) trait Blob: Send + Sync + 'static {
    /// Reads at most `buf.len()` bytes; zero only past the last byte that was ever written.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// The same for somebody who reads here again and again: what need not be looked for again is kept in `grip`.
    fn read_with(&self, _grip: &mut Grip, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.read_at(offset, buf)
    }
    /// Writes at most `bytes.len()` bytes, and tells how many.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Gives back the room of `range`, or of a part of it; what is read there afterwards is undefined.
    fn discard(&self, range: ByteRange) -> io::Result<()>;
    /// Bytes of disk or memory taken up.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests ask"))]
    fn allocated(&self) -> io::Result<u64>;
}

/// Where the bytes of one resource are.
pub(crate) struct Backend(Box<dyn Blob>);

impl Backend {
    /// In a file, open for reading and writing, which stays open.
    pub(crate) fn file(file: File) -> Self {
        Self::custom(FileBlob::new(file))
    }

    /// In a file that is closed by others when it rests, and opened when it is used.
    pub(crate) fn resting(file: Arc<RestingFile>) -> Self {
        Self::custom(file)
    }

    /// In memory, as sparse as a file would be.
    pub(crate) fn memory() -> Self {
        Self::custom(MemoryBlob::default())
    }

    /// In no place at all: whatever is written is refused.
    pub(crate) fn nowhere() -> Self {
        Self::custom(Nowhere)
    }

    /// Anywhere else.
    pub(crate) fn custom(blob: impl Blob) -> Self {
        Self(Box::new(blob))
    }

    /// Fills `buf` from `offset` on.
    pub(crate) fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.read_exact_with(&mut Grip::default(), offset, buf)
    }

    /// The same for somebody who reads again and again, with what was kept of it.
    pub(crate) fn read_exact_with(
        &self,
        grip: &mut Grip,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), StorageError> {
        let failed = |source| StorageError::new("reading stored bytes", source);
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_with(grip, offset + done as u64, &mut buf[done..]) {
                Ok(0) => {
                    return Err(failed(io::Error::other("the file ends before its stored bytes")));
                }
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write_all_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let failed = |source| StorageError::new("storing received bytes", source);
        let mut done = 0;
        while done < bytes.len() {
            match self.0.write_at(offset + done as u64, &bytes[done..]) {
                Ok(0) => return Err(failed(io::ErrorKind::WriteZero.into())),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Gives back the room of `range`, as far as that is possible.
    pub(crate) fn discard(&self, range: ByteRange) -> Result<(), StorageError> {
        self.0.discard(range).map_err(|source| StorageError::new("giving bytes back", source))
    }

    /// Bytes of disk or memory taken up.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> Result<u64, StorageError> {
        self.0.allocated().map_err(|source| StorageError::new("asking for the room taken", source))
    }
}

/// A blob without a place.
struct Nowhere;

impl Blob for Nowhere {
    fn read_at(&self, _offset: u64, _buf: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::StorageFull, "there is no place for it"))
    }

    fn discard(&self, _range: ByteRange) -> io::Result<()> {
        Ok(())
    }

    fn allocated(&self) -> io::Result<u64> {
        Ok(0)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backend")
    }
}
