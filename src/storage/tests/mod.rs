//! Tests of the whole room: each promise by itself, a stupid model, and many threads.

mod content;
mod model;
mod promises;
mod races;
mod threads;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::byte_range::ByteRange;
use crate::ids::{DemandId, ReaderId};
use crate::sync::Mutex;

use super::backend::Blob;
use super::memory::MemoryBlob;
use super::{Run, StreamingResource, Waited, Waiter};

/// `start..end`.
fn range(start: u64, end: u64) -> ByteRange {
    ByteRange::new(start, end)
}

/// A waker that counts.
#[derive(Default)]
struct Flag(AtomicUsize);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A waiter together with its waker.
struct Watcher {
    waiter: Waiter,
    flag: Arc<Flag>,
    demand: u64,
}

impl Watcher {
    fn new(resource: &Arc<StreamingResource>, reader: u64) -> Self {
        let waiter = resource.waiter(ReaderId(reader));
        Self { waiter, flag: Arc::default(), demand: 1 }
    }

    /// Polls for `wanted` under the demand that `self.demand` names.
    fn poll(&mut self, wanted: ByteRange) -> Poll<Waited> {
        let waker = Waker::from(self.flag.clone());
        self.waiter.poll_ready(wanted, DemandId(self.demand), &mut Context::from_waker(&waker))
    }

    /// How often it was woken since last asked.
    fn wakes(&self) -> usize {
        self.flag.0.swap(0, Ordering::Relaxed)
    }
}

/// The run that a wait gave.
#[track_caller]
fn ready(waited: Poll<Waited>) -> Run {
    match waited {
        Poll::Ready(Waited::Ready(run)) => run,
        other => panic!("not ready: {other:?}"),
    }
}

/// What is called before each write of a [`Scripted`] blob.
type Script = Box<dyn FnMut(u64, &[u8]) -> io::Result<()> + Send>;

/// A blob in memory that does something before each write, or refuses it, and something in the
/// middle of each read.
struct Scripted {
    inner: MemoryBlob,
    before_write: Mutex<Script>,
    during_read: Mutex<Box<dyn FnMut() + Send>>,
}

impl Scripted {
    fn new(before_write: impl FnMut(u64, &[u8]) -> io::Result<()> + Send + 'static) -> Self {
        Self {
            inner: MemoryBlob::default(),
            before_write: Mutex::new(Box::new(before_write)),
            during_read: Mutex::new(Box::new(|| ())),
        }
    }

    fn during_read(self, script: impl FnMut() + Send + 'static) -> Self {
        *self.during_read.lock() = Box::new(script);
        self
    }
}

impl Blob for Scripted {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        // Out of its lock while it runs, for the same reason as below.
        let mut script = std::mem::replace(&mut *self.during_read.lock(), Box::new(|| ()));
        script();
        *self.during_read.lock() = script;
        self.inner.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        // Out of its lock while it runs: a script may wait for another write.
        let mut script = std::mem::replace(&mut *self.before_write.lock(), Box::new(|_, _| Ok(())));
        let verdict = script(offset, bytes);
        *self.before_write.lock() = script;
        verdict?;
        self.inner.write_at(offset, bytes)
    }

    fn discard(&self, range: ByteRange) -> io::Result<()> {
        self.inner.discard(range)
    }

    fn allocated(&self) -> io::Result<u64> {
        self.inner.allocated()
    }
}
