//! What is stored, and what of it comes back: A1-A6, A8, N8, defects 16 and 17. Names and secrets are `names.rs`.

use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::stage::until;
use crate::support::*;

const LEN: u64 = 16 * MIB;
const AT: u64 = 8 * MIB;

/// Stores the first `len` bytes of `/file` in `dir`, through an engine of their own.
fn store(dir: &Path, origin: &Origin, len: u64) -> Vec<std::ops::Range<u64>> {
    let session = open(&engine_in(dir, frugal()), origin);
    check_at(&mut session.reader(), 0, len as usize);
    origin.wait_until(|log| log.running() == 0);
    let mut reader = session.reader();
    // What was asked for beyond `len` is on its way to the disk; its last byte says that it is there.
    let end = asked_end(origin);
    check_at(&mut reader, end - 1, 1);
    let coverage = session.coverage();
    block_on(session.close());
    coverage
}

fn asked_end(origin: &Origin) -> u64 {
    let ends = origin.log().ranges().into_iter().map(|(_, last)| last.unwrap() + 1);
    ends.max().unwrap()
}

fn offline(dir: &Path) -> Engine {
    Engine::builder().store_dir(dir).config(frugal()).offline(true).build().unwrap()
}

fn find(dir: &Path, name: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = files(dir);
    found.retain(|path| path.file_name().is_some_and(|file| file == name));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// A4, N8: what is stored is served before any answer, and only the holes are asked for, under If-Range.
#[test]
fn a4_a_reopened_asset_serves_what_it_has_and_asks_only_for_the_holes() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let covered = store(dir.path(), &origin, AT);
    let before = origin.log().len();
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate));

    let session = open(&engine_in(dir.path(), quick()), &origin);
    assert_eq!(session.len(), Some(LEN));
    assert_eq!(session.coverage(), covered);
    assert_eq!(covered.len(), 1);
    assert_eq!(session.content_type().as_deref(), Some("application/octet-stream"));
    let mut reader = session.reader();
    check_at(&mut reader, 0, AT as usize);
    let answered = origin.log().iter().filter(|request| request.head_sent.is_some()).count();
    assert_eq!(answered, before, "before any answer");
    gate.open();
    reader.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(check_to_end(&mut reader), LEN);
    let log = origin.log();
    assert!(log.len() > before);
    for request in &log[before..] {
        assert_eq!(request.if_range.as_deref(), Some("\"v1\""));
    }
    let holes = log[before..].iter().map(|request| request.range.unwrap());
    assert!(
        holes.into_iter().all(|(first, _)| first >= covered[0].end),
        "only holes are asked for"
    );
    let snapshot = session.snapshot();
    assert_eq!(snapshot.bytes_fetched - snapshot.bytes_wasted, LEN - covered[0].end);
}

/// A4: the end is told at once when everything was there at open (E3).
#[test]
fn e3_the_end_is_told_when_all_was_stored_before() {
    let (origin, dir) = (origin(MIB), tempfile::tempdir().unwrap());
    store(dir.path(), &origin, MIB);
    let before = origin.log().len();
    let session = open(&engine_in(dir.path(), quick()), &origin);
    assert_eq!(until_end_of_stream(&mut session.events()), MIB);
    assert!(session.snapshot().complete);
    assert_eq!(check_to_end(&mut session.reader()), MIB);
    assert_eq!(origin.log().len(), before);
}

/// A5: nothing is sent, what is stored is served, a hole is a fatal `OfflineMiss` with its range.
#[test]
fn a5_offline_serves_what_is_stored_and_sends_nothing() {
    let (mut origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let covered = store(dir.path(), &origin, 3 * MIB);
    let end = covered[0].end;
    origin.stop();
    origin.restart();
    let (before, connections) = (origin.log().len(), origin.log().connections.len());

    let session = open(&offline(dir.path()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 0, end as usize);
    let io = reader.read(&mut [0; 100]).unwrap_err();
    assert_eq!(io.kind(), ErrorKind::NotFound);
    let error = Error::from_io(&io).unwrap();
    assert!(error.is_fatal());
    assert!(
        matches!(error, Error::OfflineMiss { range } if *range == (end..end + 100)),
        "{error:?}"
    );
    for at in [0, end, LEN] {
        reader.seek(SeekFrom::Start(at)).unwrap();
        assert!(matches!(failed_read(&mut reader), Error::OfflineMiss { .. }), "told again, E7");
    }
    check_at(&mut session.reader(), 0, 1000);
    assert_eq!(session.reader().seek(SeekFrom::End(0)).unwrap(), LEN);
    assert!(block_on(session.fetch_all()).is_err());
    assert_eq!(origin.log().len(), before);
    assert_eq!(origin.log().connections.len(), connections);
}

/// Defect 16: an origin that cannot be reached, or an engine that may not ask, throws nothing away.
#[test]
fn a5_a_failed_look_up_throws_nothing_away() {
    let (mut origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let covered = store(dir.path(), &origin, 3 * MIB);
    origin.stop();
    {
        let session = open(&engine_in(dir.path(), frugal()), &origin);
        let mut reader = session.reader();
        check_at(&mut reader, 0, MIB as usize);
        reader.seek(SeekFrom::Start(AT)).unwrap();
        assert!(!failed_read(&mut reader).is_fatal());
        check_at(&mut reader, 0, 1000);
        // The next one is to find the asset free.
        block_on(session.close());
    }
    origin.restart();
    {
        origin.rule("/file", Rule::status(404, "gone").once());
        let session = open(&engine_in(dir.path(), frugal()), &origin);
        let mut reader = session.reader();
        reader.seek(SeekFrom::Start(AT)).unwrap();
        assert!(failed_read(&mut reader).is_fatal());
        block_on(session.close());
    }
    let session = open(&offline(dir.path()), &origin);
    assert_eq!(session.coverage(), covered);
    check_at(&mut session.reader(), 0, 3 * MIB as usize);
}

#[test]
fn a5_offline_with_nothing_stored_is_a_miss_and_leaves_no_trace() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let engine = offline(dir.path());
    let before = files(dir.path());
    let error = engine.open_blocking(origin.url("/file")).unwrap_err();
    assert!(matches!(error, Error::OfflineMiss { .. }), "{error:?}");
    assert_eq!(files(dir.path()), before);
    assert!(origin.log().connections.is_empty());
}

/// A7: the first engine holds the asset; another one streams for itself and stores nothing. Both are right.
#[test]
fn a7_a_second_engine_streams_without_storing() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let first = open(&engine_in(dir.path(), frugal()), &origin);
    check_at(&mut first.reader(), 0, 1000);
    let stored = files(dir.path());
    let second = open(&engine_in(dir.path(), frugal()), &origin);
    assert!(first.is_stored() && !second.is_stored());
    for at in [0, AT, 3 * MIB] {
        check_at(&mut second.reader(), at, 1000);
        check_at(&mut first.reader(), at, 2000);
    }
    assert_eq!(files(dir.path()), stored, "no second copy in the store");
    block_on(second.close());
    let covered = first.coverage();
    block_on(first.close());
    let session = open(&offline(dir.path()), &origin);
    let mut reader = session.reader();
    for run in covered {
        check_at(&mut reader, run.start, (run.end - run.start) as usize);
    }
}

/// A3: a torn or corrupt log loses its tail and nothing else; never a wrong byte.
#[test]
fn a3_a_damaged_log_loses_its_tail_and_gives_no_wrong_byte() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let covered = store(dir.path(), &origin, AT);
    let map = find(dir.path(), "map");
    let good = fs::read(&map).unwrap();
    let mut seen = Vec::new();
    for cut in (0..good.len()).step_by(good.len() / 23 + 1) {
        for damage in [true, false] {
            let mut log = good.clone();
            if damage {
                log[cut] ^= 0x40;
            } else {
                log.truncate(cut);
            }
            fs::write(&map, log).unwrap();
            let session = match offline(dir.path()).open_blocking(origin.url("/file")) {
                Ok(session) => session,
                Err(error) => {
                    assert!(matches!(error, Error::OfflineMiss { .. }), "{error:?}");
                    seen.push(0);
                    continue;
                }
            };
            let mut reader = session.reader();
            let mut bytes = 0;
            for run in session.coverage() {
                assert!(covered.iter().any(|was| was.start <= run.start && run.end <= was.end));
                check_at(&mut reader, run.start, (run.end - run.start) as usize);
                bytes += run.end - run.start;
            }
            seen.push(bytes);
            block_on(session.close());
        }
    }
    assert!(seen.contains(&0), "a header that is damaged is no log");
    assert!(seen.iter().any(|bytes| *bytes > 0), "{seen:?}");
    fs::write(&map, &good[..good.len().min(100)]).unwrap();
    let session = open(&engine_in(dir.path(), quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), LEN);
}

/// A log beside no data, or beside data that was cut, claims nothing that is not there.
#[test]
fn a3_a_log_without_its_data_claims_nothing() {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    store(dir.path(), &origin, AT);
    let data = find(dir.path(), "data");
    fs::OpenOptions::new().write(true).open(&data).unwrap().set_len(MIB).unwrap();
    {
        let session = open(&engine_in(dir.path(), quick()), &origin);
        assert!(session.coverage().iter().all(|run| run.end <= MIB));
        assert_eq!(check_to_end(&mut session.reader()), LEN);
        block_on(session.close());
    }
    fs::remove_file(&data).unwrap();
    let session = open(&engine_in(dir.path(), quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), LEN);
}

fn small_origin(paths: &[&str]) -> Origin {
    let origin = Origin::start();
    for path in paths {
        origin.put(path, Content::pattern(MIB));
    }
    origin
}

fn fill(engine: &Engine, origin: &Origin, path: &str) {
    let session = engine.open_blocking(origin.url(path)).unwrap();
    assert_eq!(check_to_end(&mut session.reader()), MIB);
    until_end_of_stream(&mut session.events());
    block_on(session.close());
}

fn is_stored(dir: &Path, origin: &Origin, path: &str) -> bool {
    let Ok(session) = offline(dir).open_blocking(origin.url(path)) else { return false };
    let whole = session.coverage().iter().eq([&(0..MIB)]);
    // A close notes the last use; it must not do so after the next open.
    block_on(session.close());
    whole
}

fn assets(dir: &Path) -> usize {
    files(dir).iter().filter(|path| path.ends_with("data")).count()
}

/// A6: over its limits, a store gives up what was used least recently, across restarts of the engine.
#[test]
fn a6_the_least_recently_used_goes_when_there_are_too_many_or_too_much() {
    let paths = ["/a", "/b", "/c", "/d"];
    let (origin, dir) = (small_origin(&paths), tempfile::tempdir().unwrap());
    for path in ["/a", "/b", "/c"] {
        fill(&engine_in(dir.path(), quick()), &origin, path);
    }
    fill(&engine_in(dir.path(), quick()), &origin, "/a");
    let mut few = quick();
    few.store.max_assets = 3;
    fill(&engine_in(dir.path(), few), &origin, "/d");
    until("one asset went", || assets(dir.path()) == 3);
    assert!(!is_stored(dir.path(), &origin, "/b"), "the least recently used");
    for path in ["/c", "/a", "/d"] {
        assert!(is_stored(dir.path(), &origin, path), "{path}");
    }
    let mut small = quick();
    small.store.max_bytes = 2 * MIB + MIB / 2;
    fill(&engine_in(dir.path(), small), &origin, "/d");
    until("room was made", || assets(dir.path()) == 2);
    assert!(!is_stored(dir.path(), &origin, "/c"));
}

/// A6, defect 17: what is open is never evicted, whatever the limits say, and no open fails for them.
#[test]
fn a6_what_is_open_stays_and_no_open_fails() {
    let paths = ["/a", "/b", "/c"];
    let (origin, dir) = (small_origin(&paths), tempfile::tempdir().unwrap());
    let mut tiny = quick();
    tiny.store.max_bytes = 1;
    tiny.store.max_assets = 1;
    let engine = engine_in(dir.path(), tiny);
    let held: Vec<Session> =
        paths.iter().map(|path| engine.open_blocking(origin.url(path)).unwrap()).collect();
    for session in &held {
        assert_eq!(check_to_end(&mut session.reader()), MIB);
        until_end_of_stream(&mut session.events());
    }
    assert_eq!(assets(dir.path()), 3);
    let requests = origin.log().len();
    for session in &held {
        assert_eq!(check_to_end(&mut session.reader()), MIB);
    }
    assert_eq!(origin.log().len(), requests);
    let mut held = held;
    block_on(held.remove(0).close());
    until("the closed one went", || assets(dir.path()) == 2);
    for session in &held {
        assert_eq!(check_to_end(&mut session.reader()), MIB);
    }
    drop(held);
    until("the others went", || assets(dir.path()) == 0);
}
