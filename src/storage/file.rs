//! FileBlob: bytes in a sparse file.
//!
//! Positional calls only, so that one open file serves all threads. Not here: syncing, which
//! belongs to whoever keeps the record of what is durable (`assets`).

use std::fs::File;
use std::io;

use crate::byte_range::ByteRange;
use crate::sync::Arc;

use super::backend::Blob;
use super::disk::Disk;
use super::platform;

/// Bytes in a file.
#[derive(Debug)]
pub(crate) struct FileBlob {
    file: Arc<File>,
    disk: Arc<dyn Disk>,
}

impl FileBlob {
    /// `file` must be open for reading and writing.
    pub(crate) fn new(disk: Arc<dyn Disk>, file: Arc<File>) -> Self {
        Self { file, disk }
    }
}

impl Blob for FileBlob {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(&self.file, offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write_at(&self.file, offset, bytes)
    }

    fn discard(&self, range: ByteRange) -> io::Result<()> {
        self.disk.punch(&self.file, range)
    }

    fn allocated(&self) -> io::Result<u64> {
        platform::allocated(&self.file.metadata()?)
    }
}
