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

/// Two engines of which the first one has proven the first 2 MiB, and the second one's session.
fn two(dir: &Path, origin: &Origin, second: &Engine) -> (Session, Session) {
    let mut config = frugal();
    config.store.barrier_bytes = 1;
    let first = open(&engine_in(dir, config), origin);
    check_at(&mut first.reader(), 0, 2 * MIB as usize);
    let second = beside(second, origin, 2 * MIB);
    (first, second)
}

/// Waits until whoever opens the asset now finds `bytes` of it proven.
pub(crate) fn until_proven(dir: &Path, origin: &Origin, bytes: u64) {
    let third = Engine::builder().store_dir(dir).offline(true).build().unwrap();
    drop(beside(&third, origin, bytes));
}

#[test]
fn a7_what_the_other_engine_receives_later_costs_no_request() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let (first, second) = two(dir.path(), &origin, &engine_in(dir.path(), frugal()));
    check_at(&mut first.reader(), 2 * MIB, 6 * MIB as usize);
    until_proven(dir.path(), &origin, 8 * MIB);
    let requests = origin.log().len();
    check_at(&mut second.reader(), 0, 8 * MIB as usize);
    assert_eq!(origin.log().len(), requests);
    let snapshot = second.snapshot();
    assert_eq!((snapshot.bytes_fetched, snapshot.requests), (0, 0));
    // What nobody has, it asks for itself.
    check_at(&mut second.reader(), 8 * MIB, MIB as usize);
    assert!(origin.log().len() > requests);
}

#[test]
fn a7_a_read_whose_answer_does_not_come_gets_what_the_other_engine_received() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let (first, second) = two(dir.path(), &origin, &engine_in(dir.path(), frugal()));
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).starting_at(8 * MIB).once());
    std::thread::scope(|scope| {
        let mut reader = second.reader();
        let waiting = scope.spawn(move || check_at(&mut reader, 8 * MIB, 1000));
        gate.wait_arrived(1);
        check_at(&mut first.reader(), 8 * MIB, MIB as usize);
        waiting.join().unwrap();
    });
    assert_eq!(second.snapshot().bytes_fetched, 0);
}

#[test]
fn a7_offline_too_what_the_other_engine_receives_is_read() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let offline = Engine::builder().store_dir(dir.path()).offline(true).build().unwrap();
    let (first, second) = two(dir.path(), &origin, &offline);
    check_at(&mut first.reader(), 2 * MIB, 6 * MIB as usize);
    until_proven(dir.path(), &origin, 8 * MIB);
    check_at(&mut second.reader(), MIB, 7 * MIB as usize);
    let mut beyond = second.reader();
    beyond.seek(SeekFrom::Start(12 * MIB)).unwrap();
    assert!(matches!(failed_read(&mut beyond), Error::OfflineMiss { .. }));
}

#[test]
fn a7_whoever_opens_before_anything_is_proven_follows_from_then_on() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let mut config = frugal();
    config.store.barrier_interval = std::time::Duration::from_secs(3600);
    config.store.barrier_bytes = 4 * MIB;
    let first = open(&engine_in(dir.path(), config), &origin);
    check_at(&mut first.reader(), 0, 1000);
    let second = open(&engine_in(dir.path(), frugal()), &origin);
    assert!(!second.is_stored());
    check_at(&mut first.reader(), 1000, 8 * MIB as usize);
    until_proven(dir.path(), &origin, 4 * MIB);
    let requests = origin.log().len();
    check_at(&mut second.reader(), 2 * MIB, 2 * MIB as usize);
    assert_eq!(origin.log().len(), requests);
}

#[test]
fn e3_the_end_is_told_where_the_other_engine_received_it() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let (first, second) = two(dir.path(), &origin, &engine_in(dir.path(), frugal()));
    let mut events = second.events();
    block_on(first.fetch_all()).unwrap();
    until_proven(dir.path(), &origin, LEN);
    let requests = origin.log().len();
    block_on(second.fetch_all()).unwrap();
    assert_eq!(until_end_of_stream(&mut events), LEN);
    assert!(second.snapshot().complete);
    assert_eq!(origin.log().len(), requests);
}
