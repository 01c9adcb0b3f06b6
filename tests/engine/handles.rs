//! [`ReaderHandle`](kithara_file::ReaderHandle) in both skins: E11, and what is latched for a reader that is not blocked.

use std::io::{Read, Seek, SeekFrom};
use std::panic::{self, UnwindSafe};
use std::sync::{Mutex, PoisonError};
use std::thread;

use futures::FutureExt;
use kithara_file::{AssetKey, AssetStore, AsyncReader, Reader, Removed, StoreConfig};
use tokio::io::AsyncSeekExt;

use crate::stage::*;
use crate::support::*;

/// E11: the async skin.
#[test]
fn e11_a_handle_moves_a_pending_async_read() {
    let (origin, gate) = gated();
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.async_reader();
    let handle = reader.handle();
    let (moved, bytes) = thread::scope(|scope| {
        let read = scope.spawn(move || {
            block_on(async {
                reader.seek(SeekFrom::Start(HOLE)).await.unwrap();
                let mut buf = [0; 100];
                let n = reader.read(&mut buf).await.unwrap();
                (reader, buf[..n].to_vec())
            })
        });
        gate.wait_arrived(1);
        handle.seek_to(4 * MIB);
        read.join().unwrap()
    });
    assert!(pattern::check(&bytes, 4 * MIB, 0));
    assert_eq!(handle.position(), 4 * MIB + bytes.len() as u64);
    drop(moved);
    gate.open();
}

#[test]
fn e11_a_handle_interrupts_a_pending_async_read_and_the_reader_goes_on() {
    let (origin, gate) = gated();
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.async_reader();
    let handle = reader.handle();
    thread::scope(|scope| {
        let reader = &mut reader;
        let read = scope.spawn(move || {
            block_on(async {
                reader.seek(SeekFrom::Start(HOLE)).await.unwrap();
                reader.read(&mut [0; 100]).await
            })
        });
        gate.wait_arrived(1);
        handle.interrupt();
        let error = read.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Interrupted) && !error.is_fatal(), "{error:?}");
    });
    gate.open();
    let mut buf = [0; 100];
    let n = block_on(reader.read(&mut buf)).unwrap();
    assert!(pattern::check(&buf[..n], HOLE, 0));
}

/// E11: of several orders the newest wins, whether or not a read is on.
#[test]
fn e11_the_newest_order_counts_for_the_next_read() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    let handle = reader.handle();
    let mut buf = [0; 64];
    for to in [3 * MIB, 9 * MIB, 6 * MIB] {
        handle.seek_to(to);
    }
    assert_eq!(reader.read(&mut buf).unwrap(), 64);
    assert!(pattern::check(&buf, 6 * MIB, 0));
    assert_eq!(handle.position(), 6 * MIB + 64);
    assert_eq!(origin.log().len(), 2, "places that were ordered and left cost nothing");

    // The reader's own seek is newer than the order; a relative one counts from there.
    handle.seek_to(2 * MIB);
    assert_eq!(reader.seek(SeekFrom::Start(6 * MIB)).unwrap(), 6 * MIB);
    assert_eq!(reader.read(&mut buf).unwrap(), 64);
    assert!(pattern::check(&buf, 6 * MIB, 0));
    handle.seek_to(6 * MIB + 10);
    assert_eq!(reader.seek(SeekFrom::Current(5)).unwrap(), 6 * MIB + 15);
    handle.seek_to(6 * MIB + 20);
    assert_eq!(reader.stream_position().unwrap(), 6 * MIB + 20);

    // A refused seek keeps the place that was ordered.
    handle.seek_to(7);
    assert!(reader.seek(SeekFrom::Current(-8)).is_err());
    assert_eq!((handle.position(), reader.stream_position().unwrap()), (7, 7));
}

#[test]
fn e11_an_order_moves_a_reader_from_the_end_and_past_it() {
    let origin = origin(MIB);
    let session = open(&engine(quick()), &origin);
    let mut reader = session.reader();
    let handle = reader.handle();
    check_to_end(&mut reader);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    handle.seek_to(MIB - 5);
    assert_eq!(check_to_end(&mut reader), 5);
    handle.seek_to(u64::MAX);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    handle.seek_to(0);
    assert_eq!(check_to_end(&mut reader), MIB);
}

/// E11: an interrupt that finds no read ends the next one, once, also after a seek and where the bytes are there.
#[test]
fn e11_an_interrupt_is_kept_for_the_next_read() {
    let (origin, _gate) = gated();
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    let handle = reader.handle();
    check_at(&mut reader, 0, 1000);

    handle.interrupt();
    handle.interrupt();
    assert!(matches!(failed_read(&mut reader), Error::Interrupted));
    check_at(&mut reader, 0, 1000);

    // Between the interrupt and the read the decoder seeks; the read would block for ever.
    handle.interrupt();
    reader.seek(SeekFrom::Start(HOLE)).unwrap();
    reader.stream_position().unwrap();
    assert!(matches!(failed_read(&mut reader), Error::Interrupted));

    handle.interrupt();
    assert!(matches!(reader.try_read(&mut [0; 8]), Err(Error::Interrupted)));
    assert_eq!(reader.try_read(&mut [0; 8]).unwrap(), None);

    // An empty read is nothing, and takes nothing.
    handle.interrupt();
    assert_eq!(reader.read(&mut []).unwrap(), 0);
    assert!(matches!(failed_read(&mut reader), Error::Interrupted));
    let asked = origin.log().iter().filter(|request| request.range.unwrap().0 == HOLE).count();
    assert!(asked <= 1, "only the `try_read` that was not interrupted asks: {asked}");
}

/// E11: both orders at once; the reader is moved although the read fails.
#[test]
fn e11_an_interrupt_and_a_seek_both_count() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.async_reader();
    let handle = reader.handle();
    handle.seek_to(5 * MIB);
    handle.interrupt();
    let mut buf = [0; 50];
    assert!(matches!(block_on(reader.read(&mut buf)), Err(Error::Interrupted)));
    assert_eq!(handle.position(), 5 * MIB);
    let n = block_on(reader.read(&mut buf)).unwrap();
    assert!(pattern::check(&buf[..n], 5 * MIB, 0));
}

#[test]
fn e11_a_handle_outlives_its_reader_and_its_engine() {
    let origin = origin(MIB);
    let engine = engine(quick());
    let session = open(&engine, &origin);
    let mut reader = session.reader();
    let handle = reader.handle();
    check_at(&mut reader, 100, 50);
    drop(reader);
    handle.seek_to(5);
    handle.interrupt();
    assert_eq!(handle.position(), 150);
    let mut other = session.reader();
    check_at(&mut other, 7, 50);
    drop((other, session, engine));
    handle.clone().seek_to(6);
    handle.interrupt();
    assert_eq!(handle.position(), 150);
}

/// E11, E1: a waiting `try_read` is woken by nobody, but what it asked for comes, after an order too.
#[test]
fn e11_an_order_moves_what_try_read_asks_for() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    let handle = reader.handle();
    handle.seek_to(HOLE);
    let mut buf = [0; 100];
    let mut got = None;
    until("the bytes", || {
        got = reader.try_read(&mut buf).unwrap();
        got.is_some()
    });
    assert!(pattern::check(&buf[..got.unwrap()], HOLE, 0));
    assert!(reader.ready_at(HOLE).now_or_never().is_some(), "stored bytes are ready at once");
}

/// D1: a session that its token is ending at this moment is closed only when its asset is free.
#[test]
fn d1_close_waits_for_an_end_that_the_cancel_token_has_begun() {
    let origin = origin(64 << 10);
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder().config(quick()).store_dir(dir.path()).build().unwrap();
    let store = AssetStore::open(dir.path(), &StoreConfig::default()).unwrap();
    let key = AssetKey::for_url(&origin.url("/file").parse().unwrap());
    for round in 0..200 {
        let session = open(&engine, &origin);
        check_to_end(&mut session.reader());
        session.cancel_token().cancel();
        block_on(session.close());
        assert_eq!(store.remove(&key).unwrap(), Removed::Gone, "round {round}");
    }
}

/// What players need: to move a reader to a thread, and to survive the panic of a decoder that holds it.
const fn movable_and_unwinding<T: Send + Sync + UnwindSafe>() {}
const _: () = movable_and_unwinding::<Reader>();
const _: () = movable_and_unwinding::<AsyncReader>();

#[test]
fn a_reader_reads_on_after_a_panic_of_what_holds_it() {
    let origin = origin(MIB);
    let session = open(&engine(frugal()), &origin);
    let shared = Mutex::new(session.reader());
    let mut other = session.reader();
    let panicked = panic::catch_unwind(|| {
        let mut reader = shared.lock().unwrap();
        check_at(&mut reader, 1000, 100);
        panic::resume_unwind(Box::new("as a decoder panics"));
    });
    assert!(panicked.is_err());
    let mut reader = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    check_at(&mut reader, 1100, 100);
    check_at(&mut other, 500_000, 100);
    // One that is moved into the panic goes with it, and is gone for the session too.
    let moved = panic::catch_unwind(move || {
        let _reader = reader;
        panic::resume_unwind(Box::new("as a decoder panics"));
    });
    assert!(moved.is_err());
    assert_eq!(session.snapshot().cursors.len(), 1);
    check_to_end(&mut other);
}
