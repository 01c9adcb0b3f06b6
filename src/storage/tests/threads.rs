//! Many threads over one resource. Content proves its own generation and offset, so a reader needs
//! no second copy to know that it was served a wrong byte. Nobody sleeps; a lost wake-up hangs.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::{DemandId, ReaderId};
use crate::storage::{Backend, Run, StreamingResource, Waited};
use crate::sync::Arc;

use super::content::{Rng, bytes_of, check};
use super::range;

/// Several pages of the memory backend, so that cuts really take some away.
const LEN: u64 = 512 * 1024;
/// Reads of each reader.
const READS: u64 = 300;
/// Readers at a time.
const READERS: u64 = 4;

/// Held by each thread: if one panics, the others end as well instead of waiting for ever.
struct Fuse<'a> {
    resource: &'a StreamingResource,
    stop: &'a AtomicBool,
}

impl Drop for Fuse<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.resource.fail(Error::Cancelled);
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Writes missing bytes in random order until told to stop.
fn fill(resource: &StreamingResource, seed: u64, stop: &AtomicBool) {
    let mut rng = Rng(seed);
    while !stop.load(Ordering::Relaxed) {
        let generation = resource.generation();
        let around = rng.range(LEN, 64 * 1024);
        let holes = resource.missing_in(around);
        if holes.is_empty() {
            thread::yield_now();
            continue;
        }
        // Not the hole alone: neighbours are written again, as by a restarted fetch.
        let hole = holes[rng.below(holes.len() as u64) as usize];
        let piece = ByteRange::new(hole.start.saturating_sub(rng.below(100)), hole.end);
        let piece = piece.until(piece.start + 1 + rng.below(16 * 1024));
        resource
            .write_of(generation, piece.start, &bytes_of(generation, piece))
            .expect("the backend takes it");
    }
}

/// One read as a reader does it: wait, read, and wait again if the bytes went in between.
/// `None` if a restart was told.
fn read_once(
    resource: &Arc<StreamingResource>,
    waiter: &mut crate::storage::Waiter,
    demand: u64,
    wanted: ByteRange,
) -> Option<Vec<u8>> {
    let mut run = Run::none();
    let mut buf = vec![0; wanted.len() as usize];
    loop {
        if let Some(n) = resource.read_run(&mut run, wanted.start, &mut buf).expect("no disk error")
        {
            buf.truncate(n);
            return Some(buf);
        }
        run = match waiter.wait_ready(wanted.until(wanted.start + 1), DemandId(demand)) {
            Waited::Ready(run) => run,
            Waited::Failed(Error::Restarted) => return None,
            other => panic!("{other:?}"),
        };
    }
}

/// Runs writers, readers and one `disturb` together until the readers are through.
fn run_together(
    resource: &Arc<StreamingResource>,
    disturb: impl Fn(&AtomicBool) + Send + Sync,
    read: impl Fn(u64) + Send + Sync,
) {
    let stop = AtomicBool::new(false);
    let left = AtomicUsize::new(READERS as usize);
    thread::scope(|scope| {
        let (stop, left, read, disturb) = (&stop, &left, &read, &disturb);
        for seed in 0..3 {
            scope.spawn(move || {
                let _fuse = Fuse { resource, stop };
                fill(resource, seed, stop);
            });
        }
        scope.spawn(move || {
            let _fuse = Fuse { resource, stop };
            disturb(stop);
        });
        for reader in 0..READERS {
            scope.spawn(move || {
                let _fuse = Fuse { resource, stop };
                read(reader);
                if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    stop.store(true, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(resource.waiting(), 0);
}

/// Writers, readers, and cuts whose bytes really go, by `erase`.
fn torture(backend: Backend, erase: impl Fn(&Arc<StreamingResource>, ByteRange) + Send + Sync) {
    let resource = StreamingResource::new(backend);
    resource.set_len(LEN).expect("no conflict");
    let evict = |stop: &AtomicBool| {
        let mut rng = Rng(99);
        // Bounded, so that the readers come through in the end.
        for _ in 0..400 {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            erase(&resource, rng.range(LEN, 160 * 1024));
            thread::yield_now();
        }
    };
    run_together(&resource, evict, |reader| {
        let mut rng = Rng(1000 + reader);
        let mut waiter = resource.waiter(ReaderId(reader));
        for demand in 0..READS {
            let start = rng.below(LEN);
            let wanted = ByteRange::at(start, 1 + rng.below(8 * 1024)).until(LEN);
            let bytes = read_once(&resource, &mut waiter, demand, wanted).expect("no restart");
            assert!(!bytes.is_empty());
            check(0, start, &bytes);
        }
    });
}

/// S1, S2, defects 1, 3, 4, 6 and 17: in memory, where a cut page is gone.
#[test]
fn s2_defects_1_3_4_6_17_no_thread_ever_reads_a_wrong_byte_in_memory() {
    torture(Backend::memory(), |resource, range| {
        resource.cut(range).discard().expect("memory");
    });
}

/// The same in a file, where a cut leaves zeros.
#[test]
fn s2_defects_1_3_4_6_17_no_thread_ever_reads_a_wrong_byte_in_a_file() {
    let file: File = tempfile::tempfile().expect("a temporary file");
    let raw = Backend::file(file.try_clone().expect("a second handle"));
    torture(Backend::file(file), move |resource, range| {
        let cut = resource.cut(range);
        raw.write_all_at(range.start, &vec![0; range.len() as usize]).expect("the disk takes it");
        drop(cut);
    });
}

/// The same where the file's room is given back to the disk.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn s2_no_thread_ever_reads_a_hole_in_a_file() {
    let file: File = tempfile::tempfile().expect("a temporary file");
    torture(Backend::file(file), |resource, range| {
        resource.cut(range).discard().expect("the disk takes it");
    });
}

/// N8: while generations come and go, a read never mixes two, and none comes back.
#[test]
fn n8_no_thread_ever_reads_a_mixture_of_generations() {
    let resource = StreamingResource::new(Backend::memory());
    let restart = |stop: &AtomicBool| {
        for _ in 0..40 {
            // Some of the new generation is there before the next one begins.
            while resource.covered_bytes() < LEN / 8 && !stop.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            resource.restart(None, Error::Restarted);
        }
    };
    run_together(&resource, restart, |reader| {
        let mut rng = Rng(2000 + reader);
        let mut waiter = resource.waiter(ReaderId(reader));
        let mut generation = 0;
        for demand in 0..READS {
            let wanted = ByteRange::at(rng.below(LEN - 64), 64);
            let Some(bytes) = read_once(&resource, &mut waiter, demand, wanted) else { continue };
            // One byte fits one generation in 255 by chance; a few are not enough to tell.
            if bytes.len() < 16 {
                continue;
            }
            let read = range(wanted.start, wanted.start + bytes.len() as u64);
            generation = (generation..=resource.generation())
                .find(|generation| bytes_of(*generation, read) == bytes)
                .expect("bytes of one generation, not older than the one before");
        }
    });
}
