//! MemoryBlob: bytes in memory, as sparse as a file would be.
//!
//! For resources that are not stored. Pages of a fixed size in an ordered map, so that bytes near
//! the largest offset cost no more than bytes near zero. Its lock is its own: it is held while
//! bytes are copied, and the resource's lock is never held around it.
//!
//! A page that was never written, or was discarded, is not read as zeros: reading it gives nothing.

use std::collections::BTreeMap;
use std::io;

use crate::byte_range::ByteRange;
use crate::sync::Mutex;

use super::backend::Blob;

/// Bytes in a page: large enough to make the map small (16 pages for 1 MiB), small enough that a
/// single byte far out costs little.
const PAGE: u64 = 64 * 1024;

/// One page.
type Page = Box<[u8]>;

/// Bytes in memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryBlob {
    /// Pages by number: page `n` holds the bytes from `n * PAGE` on.
    pages: Mutex<BTreeMap<u64, Page>>,
}

/// The page of `offset`, the place in it, and how many of `wanted` bytes it holds from there on.
fn locate(offset: u64, wanted: usize) -> (u64, usize, usize) {
    let at = (offset % PAGE) as usize;
    (offset / PAGE, at, wanted.min(PAGE as usize - at))
}

impl Blob for MemoryBlob {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let (number, at, n) = locate(offset, buf.len());
        match self.pages.lock().get(&number) {
            Some(page) => buf[..n].copy_from_slice(&page[at..at + n]),
            None => return Ok(0),
        }
        Ok(n)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let (number, at, n) = locate(offset, bytes.len());
        let mut pages = self.pages.lock();
        let page = pages.entry(number).or_insert_with(|| vec![0; PAGE as usize].into());
        page[at..at + n].copy_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn discard(&self, range: ByteRange) -> io::Result<()> {
        // Only pages that lie in the range as a whole; what shares a page with others stays.
        let whole = ByteRange::new(range.start.div_ceil(PAGE), range.end / PAGE);
        let mut pages = self.pages.lock();
        let doomed: Vec<u64> = pages.range(whole.to_std()).map(|(number, _)| *number).collect();
        let gone: Vec<Page> = doomed.iter().filter_map(|number| pages.remove(number)).collect();
        drop(pages);
        // Outside the lock: giving back many pages takes its time.
        drop(gone);
        Ok(())
    }

    fn allocated(&self) -> io::Result<u64> {
        Ok(self.pages.lock().len() as u64 * PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_far_apart_cost_a_page_each() {
        let blob = MemoryBlob::default();
        for offset in [0, 5 << 30, u64::MAX - 1] {
            assert_eq!(blob.write_at(offset, &[7]).expect("memory"), 1);
            let mut byte = [0];
            assert_eq!(blob.read_at(offset, &mut byte).expect("memory"), 1);
            assert_eq!(byte, [7]);
        }
        assert_eq!(blob.allocated().expect("memory"), 3 * PAGE);
    }

    #[test]
    fn s2_a_page_that_is_not_there_is_not_read_as_zeros() {
        let blob = MemoryBlob::default();
        assert_eq!(blob.read_at(10, &mut [0; 4]).expect("memory"), 0);
        blob.write_at(0, &[1; PAGE as usize]).expect("memory");
        blob.write_at(PAGE, &[2; PAGE as usize]).expect("memory");
        blob.discard(ByteRange::new(1, 2 * PAGE)).expect("memory");
        assert_eq!(blob.read_at(PAGE, &mut [0; 4]).expect("memory"), 0);
        assert_eq!(blob.allocated().expect("memory"), PAGE);
    }
}
