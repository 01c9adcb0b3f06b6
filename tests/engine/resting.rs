//! Sessions that nobody reads from have no file open, and go on where they were: S1, A3, A6, P9.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bounded::{ROOM, bounded_by, folder};
use crate::stage::until;
use crate::support::*;

/// Rests as soon as may be.
fn restless() -> Config {
    let mut config = frugal();
    config.store.rest_after = Duration::from_millis(100);
    config.store.barrier_interval = Duration::from_secs(1);
    config
}

/// Files of assets in `dir` that this process has open.
fn open_files(dir: &Path) -> Vec<PathBuf> {
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let all = links.filter_map(|link| fs::read_link(link.path()).ok());
    let assets = dir.canonicalize().unwrap().join("assets");
    all.filter(|path| path.starts_with(&assets)).collect()
}

#[track_caller]
fn until_at_rest(dir: &Path) {
    until("all files to be closed", || open_files(dir).is_empty());
}

#[test]
fn p9_idle_sessions_have_no_file_open() {
    let (dir, origin) = (folder(), Origin::start());
    let engine = engine_in(dir.path(), restless());
    let sessions: Vec<Session> = (0..40)
        .map(|n| {
            origin.put(&format!("/{n}"), Content::pattern(64 << 10));
            engine.open_blocking(origin.url(&format!("/{n}"))).unwrap()
        })
        .collect();
    // Some with a reader that has read, and pauses.
    let mut readers: Vec<Reader> = sessions.iter().step_by(2).map(Session::reader).collect();
    readers.iter_mut().for_each(|reader| check_at(reader, 0, 1000));
    until_at_rest(dir.path());
    for reader in &mut readers {
        check_at(reader, 100, 20_000);
    }
    for session in sessions.iter().skip(1).step_by(2) {
        assert_eq!(check_to_end(&mut session.reader()), 64 << 10);
    }
    until_at_rest(dir.path());
}

/// What a process leaves that is killed while its files are closed, and after it went on: everything that was received.
#[test]
fn a3_a_log_goes_on_after_a_rest() {
    let (dir, origin) = (folder(), origin(4 * MIB));
    let engine = engine_in(dir.path(), restless());
    let session = open(&engine, &origin);
    let mut reader = session.reader();
    for part in 0..3 {
        check_at(&mut reader, part * MIB, 300 << 10);
        until_at_rest(dir.path());
        let covered = session.coverage();
        assert_eq!(covered, covered_in_copy_of(dir.path(), &origin, &covered));
    }
    let before = origin.log().len();
    (0..3).for_each(|part| check_at(&mut reader, part * MIB, 300 << 10));
    assert_eq!(origin.log().len(), before, "all of it is there");
}

/// What another engine finds, offline, in a copy of the store: the image that a kill leaves. Checks all of its bytes.
fn covered_in_copy_of(
    dir: &Path,
    origin: &Origin,
    parts: &[std::ops::Range<u64>],
) -> Vec<std::ops::Range<u64>> {
    let copy = folder();
    for file in files(dir) {
        let to = copy.path().join(file.strip_prefix(dir).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
    let offline = Engine::builder().store_dir(copy.path()).config(quick()).offline(true);
    let session = open(&offline.build().unwrap(), origin);
    let mut reader = session.reader();
    parts
        .iter()
        .for_each(|part| check_at(&mut reader, part.start, (part.end - part.start) as usize));
    session.coverage()
}

#[test]
fn a6_parts_go_of_a_resource_that_has_rested() {
    let (dir, origin) = (folder(), origin(8 * ROOM));
    let engine = bounded_by(dir.path(), restless());
    let session = open(&engine, &origin);
    let mut reader = session.reader();
    let mut at = 0;
    while session.snapshot().bytes_evicted < ROOM {
        check_at(&mut reader, at, MIB as usize);
        at += MIB;
        if at.is_multiple_of(2 * MIB) && at <= 2 * ROOM {
            until_at_rest(dir.path());
        }
    }
    until_at_rest(dir.path());
    for part in session.coverage() {
        check_at(&mut reader, part.start, (part.end - part.start) as usize);
    }
    check_at(&mut reader, 0, 100_000);
}

/// The bytes are fetched again: what lies under the name now is another file.
#[test]
fn a3_a_store_removed_while_it_rests_stops_no_reader() {
    let (dir, origin) = (folder(), origin(MIB));
    let engine = engine_in(dir.path(), restless());
    let session = open(&engine, &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 0, 100_000);
    until_at_rest(dir.path());
    let data = files(dir.path()).into_iter().find(|path| path.ends_with("data")).unwrap();
    fs::rename(&data, dir.path().join("aside")).unwrap();
    fs::write(&data, vec![7; 200_000]).unwrap();
    check_at(&mut reader, 0, 100_000);
    fs::remove_dir_all(dir.path().join("assets")).unwrap();
    check_at(&mut reader, 50_000, 200_000);
}

#[test]
fn a_reader_that_jumps_about_after_a_rest_finds_its_bytes() {
    let (dir, origin) = (folder(), origin(MIB));
    let engine = engine_in(dir.path(), restless());
    let session = open(&engine, &origin);
    block_on(session.fetch_all()).unwrap();
    let mut readers: Vec<Reader> = (0..4).map(|_| session.reader()).collect();
    for round in 0..3_u64 {
        until_at_rest(dir.path());
        std::thread::scope(|scope| {
            for (n, reader) in readers.iter_mut().enumerate() {
                scope.spawn(move || {
                    for step in 0..50 {
                        let at = (round * 7919 + step * 104_729 + n as u64) % (MIB - 4096);
                        reader.seek(SeekFrom::Start(at)).unwrap();
                        let mut buf = [0; 4096];
                        reader.read_exact(&mut buf).unwrap();
                        assert_eq!(pattern::first_wrong(&buf, at, 0), None, "at {at}");
                    }
                });
            }
        });
    }
}
