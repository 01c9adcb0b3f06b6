//! Scenes that several files of tests set: a read that is blocked at a closed gate, and waiting for a condition.

use std::io::{Seek, SeekFrom};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::support::*;

/// Where the gate of [`gated`] is.
pub(crate) const HOLE: u64 = 8 * MIB;

/// An origin of 16 MiB whose answer to a request from [`HOLE`] on waits at the gate.
pub(crate) fn gated() -> (Origin, Gate) {
    let origin = origin(16 * MIB);
    let gate = gate_at(&origin, HOLE);
    (origin, gate)
}

/// Closes a gate before the answers to requests that begin at `start`.
pub(crate) fn gate_at(origin: &Origin, start: u64) -> Gate {
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).starting_at(start));
    gate
}

/// A reader that stands at `at`.
pub(crate) fn reader_at(session: &Session, at: u64) -> Reader {
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(at)).unwrap();
    reader
}

/// A thread that is blocked in a read until that read fails.
pub(crate) fn fails_in_thread<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    mut reader: Reader,
) -> ScopedJoinHandle<'scope, Error> {
    scope.spawn(move || failed_read(&mut reader))
}

/// Polls `future` once; nobody is woken for it.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Looks until `seen` holds, for at most 30 s.
#[track_caller]
pub(crate) fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !seen() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::yield_now();
    }
}

/// A list of one range.
pub(crate) fn only(range: std::ops::Range<u64>) -> Vec<std::ops::Range<u64>> {
    std::iter::once(range).collect()
}
