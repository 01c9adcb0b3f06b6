//! Two engines on one store: the second one reads along with what the first one stores. A7.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::task::Poll;

use kithara_file::OnChange;

use crate::stage::{poll_once, until};
use crate::support::*;

const LEN: u64 = 16 * MIB;

/// One that proves what it has as soon as it may.
fn holder(dir: &Path, max_bytes: u64) -> Engine {
    let mut config = quick();
    config.store.barrier_bytes = 1;
    config.store.max_bytes = max_bytes;
    engine_in(dir, config)
}

/// Opens `/file` where another engine has it, once that has proven `bytes` of it.
pub(crate) fn beside(engine: &Engine, origin: &Origin, bytes: u64) -> Session {
    let mut session = None;
    until("what is read to be proven", || {
        let opened = open(engine, origin);
        let covered: u64 = opened.coverage().iter().map(|run| run.end - run.start).sum();
        session = (covered >= bytes).then_some(opened);
        session.is_some()
    });
    session.unwrap()
}

#[test]
fn a7_what_another_engine_has_stored_costs_no_request() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let first = open(&holder(dir.path(), 1 << 30), &origin);
    block_on(first.fetch_all()).unwrap();
    let engine = engine_in(dir.path(), frugal());
    let second = beside(&engine, &origin, LEN);
    assert!(first.is_stored() && !second.is_stored());
    let requests = origin.log().len();
    assert_eq!(check_to_end(&mut second.reader()), LEN);
    check_at(&mut second.reader(), 5 * MIB, 1000);
    assert_eq!(origin.log().len(), requests);
    // It goes on when the first one is gone.
    block_on(first.close());
    assert_eq!(check_to_end(&mut second.reader()), LEN);
}

#[test]
fn a7_what_the_other_engine_gives_back_is_fetched_again() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let first = open(&holder(dir.path(), 4 * MIB), &origin);
    let mut reader = first.reader();
    check_at(&mut reader, 0, 2 * MIB as usize);
    let engine = engine_in(dir.path(), frugal());
    let second = beside(&engine, &origin, 2 * MIB);
    let mut along = second.reader();
    check_at(&mut along, 0, MIB as usize);
    // Far ahead: what the second one reads goes.
    check_at(&mut reader, 8 * MIB, 6 * MIB as usize);
    until("bytes to go", || first.snapshot().bytes_evicted > MIB);
    assert_eq!(check_to_end(&mut second.reader()), LEN);
    // No disk is to blame.
    let mut events = second.events();
    let told = poll_once(&mut Box::pin(events.next()));
    assert!(!matches!(told, Poll::Ready(Some(SessionEvent::StoreTrouble { .. }))), "{told:?}");
}

#[test]
fn a7_a_generation_that_the_other_engine_leaves_is_left_here_too() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let mut config = quick();
    config.store.barrier_bytes = 1;
    config.net.on_change = OnChange::Restart;
    config.tunables.readahead.enabled = false;
    config.tunables.readahead.whole_file = 0;
    let first = open(&engine_in(dir.path(), config), &origin);
    let mut reader = first.reader();
    check_at(&mut reader, 0, 2 * MIB as usize);
    let engine = engine_in(dir.path(), frugal());
    let second = beside(&engine, &origin, 2 * MIB);
    let mut along = second.reader();
    check_at(&mut along, 0, 1000);
    origin.replace("/file", Content::pattern(LEN).seed(1));
    // The first one finds out, and begins anew.
    reader.seek(SeekFrom::Start(8 * MIB)).unwrap();
    while reader.read(&mut [0; 1000]).is_err() {}
    check_seed_at(&mut reader, 0, 2 * MIB as usize, 1);
    // The second one never gives the new bytes for the old ones.
    along.seek(SeekFrom::Start(0)).unwrap();
    let mut buf = vec![0; 2 * MIB as usize];
    match along.read_exact(&mut buf) {
        Ok(()) => assert_eq!(pattern::first_wrong(&buf, 0, 0), None),
        Err(error) => assert!(matches!(Error::from_io(&error), Some(Error::Changed)), "{error}"),
    }
}
