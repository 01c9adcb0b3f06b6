//! Backend: where the bytes of one resource are, behind a seam of four methods.
//!
//! A [`Blob`] may read and write less than asked, as the system calls do; the loops are here. It
//! knows nothing of coverage: only covered bytes are ever read, so a blob that ends before them has
//! lost them, and that is an error, never an end and never zeros.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};

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
    /// The same for `pieces`, one after the other. By [`write_at`](Self::write_at) here, one piece at a time.
    fn write_vectored_at(&self, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let first = pieces.iter().find(|piece| !piece.is_empty());
        first.map_or(Ok(0), |piece| self.write_at(offset, piece))
    }

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
        self.write_pieces_at(offset, &[bytes])
    }

    /// Writes all bytes of `pieces`, one after the other, from `offset` on.
    pub(crate) fn write_pieces_at(
        &self,
        mut offset: u64,
        pieces: &[impl AsRef<[u8]>],
    ) -> Result<(), StorageError> {
        let failed = |source| StorageError::new("storing received bytes", source);
        let mut left: Vec<IoSlice<'_>> =
            pieces.iter().map(|piece| IoSlice::new(piece.as_ref())).collect();
        let mut left = left.as_mut_slice();
        // Without empty ones in front, which would look like a write of nothing.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match self.0.write_vectored_at(offset, left) {
                Ok(0) => return Err(failed(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    offset += n as u64;
                    IoSlice::advance_slices(&mut left, n);
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::{Disk as _, System};
    use crate::storage::memory::MemoryBlob;
    use crate::storage::{StreamingResource, WriteError};
    use crate::sync::{AtomicU64, Ordering};

    /// Takes a few bytes a call, of more than one piece where it may, and is full after so many calls.
    struct Slow {
        bytes: MemoryBlob,
        calls: AtomicU64,
        full_after: u64,
    }

    impl Blob for Slow {
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            self.bytes.read_at(offset, buf)
        }

        fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
            self.bytes.write_at(offset, bytes)
        }

        fn write_vectored_at(&self, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            let call = self.calls.fetch_add(1, Ordering::Relaxed);
            match call {
                _ if call >= self.full_after => return Err(io::ErrorKind::StorageFull.into()),
                _ if call.is_multiple_of(3) => return Err(io::ErrorKind::Interrupted.into()),
                _ => {}
            }
            let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
            let n = all.len().min(1 + (call * 7 % 23) as usize);
            self.write_at(offset, &all[..n])
        }

        fn discard(&self, range: ByteRange) -> io::Result<()> {
            self.bytes.discard(range)
        }

        fn allocated(&self) -> io::Result<u64> {
            self.bytes.allocated()
        }
    }

    fn slow(full_after: u64) -> Backend {
        let (bytes, calls) = (MemoryBlob::default(), AtomicU64::new(0));
        Backend::custom(Slow { bytes, calls, full_after })
    }

    /// Pieces of odd sizes, some of them empty, and all they have.
    fn pieces() -> (Vec<Vec<u8>>, Vec<u8>) {
        let sizes = [0, 1, 0, 0, 17, 100, 3, 0, 64, 0];
        let pieces: Vec<Vec<u8>> =
            sizes.iter().enumerate().map(|(n, size)| vec![n as u8 + 1; *size]).collect();
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        (pieces, all)
    }

    #[test]
    fn s2_pieces_land_one_after_the_other_however_little_is_taken_at_once() {
        let (pieces, all) = pieces();
        let dir = tempfile::tempdir().expect("a folder");
        let file = System.open(&dir.path().join("file"));
        for backend in [slow(u64::MAX), Backend::memory(), Backend::file(file.expect("made"))] {
            backend.write_pieces_at(1000, &pieces).expect("written");
            let mut read = vec![0; all.len()];
            backend.read_exact_at(1000, &mut read).expect("read");
            assert_eq!(read, all);
            backend.write_pieces_at(5, &[[]; 3]).expect("nothing is nothing");
        }
    }

    /// More pieces than one call of the system takes.
    #[test]
    fn s2_any_number_of_pieces_lands() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = System.open(&dir.path().join("file"));
        let backend = Backend::file(file.expect("made"));
        let pieces: Vec<[u8; 3]> = (0..5000_u32).map(|n| [n as u8, (n >> 8) as u8, 7]).collect();
        backend.write_pieces_at(11, &pieces).expect("written");
        let mut read = vec![0; 15_000];
        backend.read_exact_at(11, &mut read).expect("read");
        assert_eq!(read, pieces.concat());
    }

    /// Whatever of them it has taken, none counts; and all of them are kept elsewhere.
    #[test]
    fn d3_where_a_disk_is_full_in_the_midst_of_pieces_all_of_them_are_held() {
        let resource = StreamingResource::new(slow(5));
        let (pieces, all) = pieces();
        let refused = resource.write_telling(0, 7, &pieces, |_| ());
        assert!(matches!(refused, Err(WriteError::Disk(_))), "{refused:?}");
        assert_eq!(resource.covered(), []);
        let landed = resource.hold_telling(0, 7, &all, |_| ()).expect("memory takes it");
        assert_eq!(landed.new, all.len() as u64);
        let mut kept = Vec::new();
        let settled = resource.settle_held(|offset, bytes| kept.push((offset, bytes.to_vec())));
        assert!(settled.is_err() && kept.is_empty(), "it is full still");
        assert_eq!(resource.covered(), [ByteRange::at(7, all.len() as u64)]);
        assert!(resource.held() > 0);
    }
}
