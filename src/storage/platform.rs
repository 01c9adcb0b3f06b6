//! What differs between operating systems, and std has behind `os` modules.
//!
//! Unix: `pread` and `pwrite`, files are sparse by themselves, blocks are counted. Windows:
//! `seek_read` and `seek_write`, which move the file's cursor (nobody here uses it). A file there
//! is sparse only if flagged so, for which std has no call: a write far behind the end makes the
//! volume allocate what lies between, but what is read is the same.

use std::fs::{File, Metadata};
use std::io::{self, IoSlice};
use std::path::Path;
use std::time::SystemTime;

use crate::byte_range::ByteRange;

/// Reads at most `buf.len()` bytes at `offset`; zero at or past the end of the file.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

/// Reads at most `buf.len()` bytes at `offset`; zero at or past the end of the file.
#[cfg(windows)]
pub(crate) fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

/// Writes at most `bytes.len()` bytes at `offset`, and tells how many.
#[cfg(unix)]
pub(crate) fn write_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, offset)
}

/// Writes at most `bytes.len()` bytes at `offset`, and tells how many.
#[cfg(windows)]
pub(crate) fn write_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

/// Writes at most all bytes of `pieces`, one after the other, from `offset` on, and tells how many.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn write_vectored_at(
    file: &File,
    offset: u64,
    pieces: &[IoSlice<'_>],
) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, pieces, offset)?)
}

/// Writes at most all bytes of the first of `pieces` that has any at `offset`, and tells how many.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn write_vectored_at(
    file: &File,
    offset: u64,
    pieces: &[IoSlice<'_>],
) -> io::Result<usize> {
    let first = pieces.iter().find(|piece| !piece.is_empty());
    first.map_or(Ok(0), |piece| write_at(file, offset, piece))
}

/// Whether both are of one file.
#[cfg(unix)]
pub(crate) fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Whether both may be of one file: std does not tell here, and an open file's name cannot be taken away from it.
#[cfg(not(unix))]
pub(crate) fn is_same_file(_a: &Metadata, _b: &Metadata) -> bool {
    true
}

/// What tells a file from every other one, also from a later one that was given its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), allow(dead_code, reason = "no file has one there"))]
pub(crate) struct FileId {
    device: u64,
    number: u64,
    born: SystemTime,
}

/// What tells the file from others; `None` where the file system does not say when it was made.
#[cfg(unix)]
pub(crate) fn file_id(metadata: &Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let born = metadata.created().ok()?;
    Some(FileId { device: metadata.dev(), number: metadata.ino(), born })
}

/// Std does not tell here.
#[cfg(not(unix))]
pub(crate) fn file_id(_metadata: &Metadata) -> Option<FileId> {
    None
}

/// Bytes that the file takes up on disk; its holes take up none.
#[cfg(unix)]
pub(crate) fn allocated(metadata: &Metadata) -> io::Result<u64> {
    /// `st_blocks` counts blocks of this size, whatever the file system's own is (POSIX `stat.h`, Linux `stat(2)`).
    const BLOCK: u64 = 512;
    Ok(std::os::unix::fs::MetadataExt::blocks(metadata).saturating_mul(BLOCK))
}

/// Bytes that the file takes up on disk, at most: std does not tell of holes here.
#[cfg(not(unix))]
pub(crate) fn allocated(metadata: &Metadata) -> io::Result<u64> {
    Ok(metadata.len())
}

/// Gives the room of `range` back to the disk, as far as it is in the file: it reads as zeros from then on. The length stays.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn punch(file: &File, range: ByteRange) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, range.start, range.len())?)
}

/// There is no safe call for it here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn punch(_file: &File, _range: ByteRange) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes the names in `folder` durable: a rename or a new file survives a power cut.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A folder cannot be opened for syncing here; the volume's journal orders renames by itself.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
