//! A resource that is larger than the store's limit, in a running engine: A6.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use kithara_file::{AssetKey, AssetStore, StoreConfig};

use crate::stage::until;
use crate::support::*;

const LEN: u64 = 32 * MIB;
pub(crate) const ROOM: u64 = 4 * MIB;
/// What blocked reads may bring while the disk takes bytes back, what the log takes, and the write budget: a few requests of 256 KiB.
pub(crate) const REQUESTS: u64 = MIB;

/// A folder whose syncs cost nothing, where there is such a place: while bytes are given back, reads go on and bring more.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn bounded(dir: &Path) -> Engine {
    bounded_by(dir, quick())
}

pub(crate) fn bounded_by(dir: &Path, mut config: Config) -> Engine {
    config.store.max_bytes = ROOM;
    // What comes before the scheduler hears that there is enough.
    config.net.write_budget = 256 << 10;
    engine_in(dir, config)
}

/// What the asset's files take of the disk.
pub(crate) fn allocated(dir: &Path) -> u64 {
    let store = AssetStore::open(dir, &StoreConfig::default()).unwrap();
    store.list().unwrap().iter().map(|asset| asset.allocated).sum()
}

/// Reads from the cursor to `end`, checks each byte, and gives the most that was taken of the disk meanwhile.
fn play(reader: &mut Reader, end: u64, dir: &Path) -> u64 {
    let (mut buf, mut most) = (vec![0; 64 << 10], 0);
    let mut at = reader.stream_position().unwrap();
    while at < end {
        let n = reader.read(&mut buf).unwrap();
        assert!(n > 0, "at {at}");
        assert_eq!(pattern::first_wrong(&buf[..n], at, 0), None, "at {at}");
        at += n as u64;
        most = most.max(allocated(dir));
    }
    most
}

#[test]
fn a6_an_asset_larger_than_the_limit_is_held_down_while_it_is_played() {
    let dir = folder();
    let origin = origin(LEN);
    let engine = bounded(dir.path());
    let session = open(&engine, &origin);
    let mut reader = session.reader();
    let most = play(&mut reader, LEN, dir.path());
    assert!(most <= ROOM + REQUESTS, "{most}");
    let shown = session.snapshot();
    assert!(shown.bytes_evicted >= LEN - ROOM - REQUESTS, "{}", shown.bytes_evicted);
    assert!(shown.bytes_fetched <= LEN + ROOM, "nothing is fetched again: {}", shown.bytes_fetched);
    // Back to where all of it is gone.
    reader.seek(SeekFrom::Start(0)).unwrap();
    let most = play(&mut reader, 8 * MIB, dir.path());
    assert!(most <= ROOM + REQUESTS, "{most}");
    drop(reader);
    block_on(session.close());
    // What is left is good, and a limit is no reason to lose it.
    let store = AssetStore::open(dir.path(), &StoreConfig::default()).unwrap();
    let key = AssetKey::for_url(&origin.url("/file").parse().unwrap());
    assert!(store.verify(&key).unwrap().iter().all(|found| found.damaged.is_empty()));
    let session = open(&engine, &origin);
    let covered = session.snapshot().covered;
    assert!(!covered.is_empty());
    let mut reader = session.reader();
    for part in covered {
        check_at(&mut reader, part.start, (part.end - part.start) as usize);
    }
}

#[test]
fn a6_two_readers_far_apart_get_right_bytes_of_a_resource_that_is_held_down() {
    let dir = folder();
    let origin = origin(LEN);
    let engine = bounded(dir.path());
    let session = open(&engine, &origin);
    let (mut one, mut other) = (session.reader(), session.reader());
    other.seek(SeekFrom::Start(16 * MIB)).unwrap();
    let apart = std::thread::scope(|scope| {
        let path = dir.path();
        let first = scope.spawn(move || play(&mut one, 12 * MIB, path));
        let second = scope.spawn(move || play(&mut other, 28 * MIB, path));
        first.join().unwrap().max(second.join().unwrap())
    });
    // Each has a request on its way.
    assert!(apart <= ROOM + 2 * REQUESTS, "{apart}");
}

/// Reads jump about where parts go all the time; every byte is checked.
#[test]
fn a6_whatever_is_read_where_parts_go_is_right() {
    let dir = folder();
    let origin = origin(LEN);
    let engine = bounded(dir.path());
    let session = open(&engine, &origin);
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let mut reader = session.reader();
            scope.spawn(move || {
                let mut at = thread * 7;
                for _ in 0..60 {
                    // A full-period walk over the places.
                    at = (at * 5 + 3) % 64;
                    check_at(&mut reader, at * MIB / 2, 300 << 10);
                }
            });
        }
    });
    assert!(session.snapshot().bytes_evicted > LEN);
}

#[test]
fn a6_a_pinned_asset_is_kept_whole() {
    let dir = folder();
    let origin = origin(3 * ROOM);
    let engine = bounded(dir.path());
    let session = open(&engine, &origin);
    check_at(&mut session.reader(), 0, 1000);
    block_on(session.close());
    let store = AssetStore::open(dir.path(), &StoreConfig::default()).unwrap();
    let key = AssetKey::for_url(&origin.url("/file").parse().unwrap());
    assert!(store.pin(&key, true).unwrap());
    let session = open(&engine, &origin);
    block_on(session.fetch_all()).unwrap();
    assert_eq!(session.snapshot().bytes_evicted, 0);
    assert_eq!(check_to_end(&mut session.reader()), 3 * ROOM);
}

#[test]
fn a6_fetching_all_of_what_cannot_be_kept_is_refused() {
    let dir = folder();
    let origin = origin(3 * ROOM);
    let session = open(&bounded(dir.path()), &origin);
    let error = block_on(session.fetch_all()).unwrap_err();
    assert!(matches!(&error, Error::Storage(_)) && !error.is_fatal(), "{error:?}");
    check_at(&mut session.reader(), ROOM, 1000);
}

#[test]
fn a6_assets_that_are_not_open_make_room_while_one_grows() {
    let dir = folder();
    let origin = Origin::start();
    origin.put("/old", Content::pattern(3 * MIB));
    origin.put("/file", Content::pattern(LEN));
    let engine = bounded(dir.path());
    let old = engine.open_blocking(origin.url("/old")).unwrap();
    check_to_end(&mut old.reader());
    block_on(old.close());
    let session = open(&engine, &origin);
    let mut reader = session.reader();
    let mut buf = vec![0; 64 << 10];
    until("the old asset to go", || {
        reader.read_exact(&mut buf).unwrap();
        AssetStore::open(dir.path(), &StoreConfig::default()).unwrap().list().unwrap().len() == 1
    });
}
