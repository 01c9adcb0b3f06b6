//! FileBlob: bytes in a sparse file.
//!
//! Positional calls only, so that one open file serves all threads. Not here: syncing, which
//! belongs to whoever keeps the record of what is durable (`assets`).

use std::fs::File;
use std::io;

use crate::byte_range::ByteRange;

use super::backend::Blob;
use super::platform;

/// Bytes in a file.
#[derive(Debug)]
pub(crate) struct FileBlob(File);

impl FileBlob {
    /// `file` must be open for reading and writing.
    pub(crate) fn new(file: File) -> Self {
        Self(file)
    }
}

impl Blob for FileBlob {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        platform::read_at(&self.0, offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        platform::write_at(&self.0, offset, bytes)
    }

    fn discard(&self, _range: ByteRange) -> io::Result<()> {
        // A file keeps its bytes until they are written over: std cannot punch holes.
        Ok(())
    }

    fn allocated(&self) -> io::Result<u64> {
        platform::allocated(&self.0.metadata()?)
    }
}
