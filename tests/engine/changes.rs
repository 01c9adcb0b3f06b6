//! A resource that becomes another one: N7, N8. Generations have different seeds, so that a mixture shows.

use std::io::{Read, Seek, SeekFrom};
use std::time::{SystemTime, UNIX_EPOCH};

use kithara_file::OnChange;

use crate::support::*;

const LEN: u64 = 16 * MIB;
const AT: u64 = 8 * MIB;

fn new_version() -> Content {
    Content::pattern(LEN).seed(1)
}

fn restarting() -> Config {
    let mut config = frugal();
    config.net.on_change = OnChange::Restart;
    config
}

fn bypasses_caches(request: &Logged) -> bool {
    request.header("cache-control").is_some_and(|value| value.contains("no-cache"))
}

#[test]
fn n8_the_validator_goes_out_with_every_later_request() {
    let origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    for at in [AT, 2 * MIB, LEN - 10] {
        check_at(&mut reader, at, 10);
    }
    let log = origin.log();
    assert_eq!(log[0].if_range, None);
    assert!(log.len() >= 4);
    for request in &log[1..] {
        assert_eq!(request.if_range.as_deref(), Some("\"v1\""));
        assert!(!bypasses_caches(request));
    }
}

/// One retry around caches, then `Changed`, for good; no byte of the new version is given.
#[test]
fn n8_a_changed_resource_is_fatal_after_one_look_around_caches() {
    let origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    let (mut reader, mut other) = (session.reader(), session.reader());
    check_at(&mut reader, 0, 1000);
    origin.replace("/file", new_version());
    reader.seek(SeekFrom::Start(AT)).unwrap();
    assert!(matches!(failed_read(&mut reader), Error::Changed));
    let log = origin.log();
    let asked: Vec<bool> = log.iter().filter(|r| starts_at(r, AT)).map(bypasses_caches).collect();
    assert_eq!(asked, [false, true]);
    for at in [0, AT, LEN] {
        for reader in [&mut reader, &mut other] {
            reader.seek(SeekFrom::Start(at)).unwrap();
            let error = failed_read(reader);
            assert!(matches!(error, Error::Changed) && error.is_fatal(), "{error:?}");
        }
    }
    assert_eq!(origin.log().len(), log.len());
    let mut events = session.events();
    let told = block_on(events.next());
    assert!(matches!(told, Some(SessionEvent::Failed { error: Error::Changed })), "{told:?}");
}

/// A stale edge node answers once with another version; the look around caches finds the right one.
#[test]
fn n8_one_odd_answer_heals() {
    let origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    origin.rule("/file", Rule::header("ETag", "\"stale\"").starting_at(AT).once());
    origin.rule("/file", Rule::ignore_range().starting_at(4 * MIB).once());
    check_at(&mut session.reader(), AT, 1000);
    let log = origin.log();
    let asked: Vec<&Logged> = log.iter().filter(|r| starts_at(r, AT)).collect();
    assert_eq!(asked.len(), 2);
    assert!(!bypasses_caches(asked[0]) && bypasses_caches(asked[1]));
    assert_eq!(asked[1].if_range.as_deref(), Some("\"v1\""));
}

#[test]
fn n8_another_length_is_a_change_whatever_the_validators_say() {
    for content in [
        Content::pattern(LEN).etag("\"same\""),
        Content::pattern(LEN).weak_etag().no_last_modified().etag("W/\"same\""),
        Content::pattern(LEN).no_validator(),
    ] {
        let origin = Origin::start();
        origin.put("/file", content.clone());
        let session = open(&engine(frugal()), &origin);
        let mut reader = session.reader();
        check_at(&mut reader, 0, 1000);
        origin.rule("/file", Rule::total(&(LEN + 1).to_string()));
        reader.seek(SeekFrom::Start(AT)).unwrap();
        assert!(matches!(failed_read(&mut reader), Error::Changed), "{content:?}");
    }
}

/// Weak validators, or none: nothing goes out as `If-Range`, and only the length can tell.
#[test]
fn n8_without_a_strong_validator_only_the_length_tells() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for content in [
        Content::pattern(LEN).weak_etag(),
        Content::pattern(LEN).no_validator(),
        // Too young to be strong: it could change again within the same second.
        Content::pattern(LEN).no_etag().last_modified(now),
    ] {
        let origin = Origin::start();
        origin.put("/file", content.clone());
        let session = open(&engine(frugal()), &origin);
        let mut reader = session.reader();
        for at in [AT, 3 * MIB] {
            check_at(&mut reader, at, 1000);
        }
        let log = origin.log();
        assert!(log.iter().all(|request| request.if_range.is_none()), "{content:?}");
        assert!(log.iter().all(|request| request.status == 206));
    }
}

#[test]
fn n8_a_weak_validator_that_differs_is_a_change_all_the_same() {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(LEN).weak_etag());
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 0, 1000);
    origin.replace("/file", new_version().weak_etag());
    reader.seek(SeekFrom::Start(AT)).unwrap();
    assert!(matches!(failed_read(&mut reader), Error::Changed));
}

#[test]
fn n8_an_old_last_modified_is_strong_and_goes_out() {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(LEN).no_etag().last_modified(1_700_000_000));
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, AT, 1000);
    let sent = origin.log()[1].if_range.clone();
    assert_eq!(sent.as_deref(), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    origin.replace("/file", new_version().no_etag().last_modified(1_700_000_060));
    reader.seek(SeekFrom::Start(3 * MIB)).unwrap();
    assert!(matches!(failed_read(&mut reader), Error::Changed));
}

/// An answer that lacks the validators says nothing against them; CDNs strip them.
#[test]
fn n8_an_answer_without_validators_is_no_change() {
    let origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    let bare = Rule::without_header("ETag").and(Rule::without_header("Last-Modified"));
    origin.rule("/file", bare);
    check_at(&mut session.reader(), AT, 1000);
}

/// Restart as configured: each reader is told exactly once, then gets bytes of the new version only.
#[test]
fn n8_a_restart_is_told_once_to_each_reader_and_mixes_nothing() {
    let origin = origin(LEN);
    let session = open(&engine(restarting()), &origin);
    let mut events = session.events();
    let mut readers = [session.reader(), session.reader(), session.reader()];
    for reader in &mut readers {
        check_at(reader, 0, 1000);
    }
    origin.replace("/file", Content::pattern(LEN + 5).seed(1));
    readers[0].seek(SeekFrom::Start(AT)).unwrap();
    for reader in &mut readers {
        let error = failed_read(reader);
        assert!(matches!(error, Error::Restarted) && !error.is_fatal(), "{error:?}");
    }
    for reader in &mut readers {
        for at in [0, AT, LEN - 5] {
            check_seed_at(reader, at, 10, 1);
        }
        assert_eq!(reader.seek(SeekFrom::End(0)).unwrap(), LEN + 5);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }
    assert_eq!(session.len(), Some(LEN + 5));
    let mut told = 0;
    while let Some(event) = events.try_next() {
        told += usize::from(matches!(event, SessionEvent::Restarted));
    }
    assert_eq!(told, 1);
    check_seed_at(&mut session.reader(), 2 * MIB, 1000, 1);
}

/// A reader that waits when the resource changes is told, and not left waiting.
#[test]
fn n8_a_restart_reaches_a_reader_that_waits_elsewhere() {
    let origin = origin(LEN);
    let session = open(&engine(restarting()), &origin);
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).starting_at(4 * MIB).once());
    let (mut waiting, mut other) = (session.reader(), session.reader());
    check_at(&mut waiting, 0, 10);
    waiting.seek(SeekFrom::Start(4 * MIB)).unwrap();
    std::thread::scope(|scope| {
        let read = scope.spawn(|| failed_read(&mut waiting));
        gate.wait_arrived(1);
        origin.replace("/file", new_version());
        other.seek(SeekFrom::Start(AT)).unwrap();
        assert!(matches!(failed_read(&mut other), Error::Restarted));
        assert!(matches!(read.join().unwrap(), Error::Restarted));
    });
    gate.open();
    check_seed_at(&mut waiting, 4 * MIB, 1000, 1);
    check_seed_at(&mut other, AT, 1000, 1);
}

/// Half of the resource is stored, then it changes; nobody was given a byte of the old version, so the new
/// one is silently begun with.
#[test]
fn n8_a_change_before_anything_was_read_is_silent() {
    let (origin, dir) = half_stored();
    origin.replace("/file", Content::pattern(LEN + 7).seed(1));
    let session = open(&engine_in(dir.path(), frugal()), &origin);
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(AT + MIB)).unwrap();
    check_seed_at(&mut reader, AT + MIB, 1000, 1);
    check_seed_at(&mut reader, 0, 1000, 1);
    assert_eq!(session.len(), Some(LEN + 7));
}

/// The same once a byte of the old version was read: told, for good, and the old bytes go.
#[test]
fn n8_a_change_after_stored_bytes_were_read_is_told() {
    let (origin, dir) = half_stored();
    origin.replace("/file", new_version());
    {
        let engine = engine_in(dir.path(), frugal());
        let session = open(&engine, &origin);
        let mut reader = session.reader();
        check_at(&mut reader, 0, 1000);
        reader.seek(SeekFrom::Start(AT + MIB)).unwrap();
        assert!(matches!(failed_read(&mut reader), Error::Changed));
        let again = open(&engine, &origin);
        check_seed_at(&mut again.reader(), 0, 1000, 1);
    }
    let session = open(&engine_in(dir.path(), frugal()), &origin);
    check_seed_at(&mut session.reader(), 0, 1000, 1);
}

fn half_stored() -> (Origin, tempfile::TempDir) {
    let (origin, dir) = (origin(LEN), tempfile::tempdir().unwrap());
    let engine = engine_in(dir.path(), frugal());
    let session = open(&engine, &origin);
    check_at(&mut session.reader(), 0, AT as usize);
    block_on(session.close());
    (origin, dir)
}

/// N7: a 416 whose validator agrees corrects the length.
#[test]
fn n7_a_416_with_the_same_validator_corrects_the_length() {
    let origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    let shorter = 10 * MIB;
    origin.rule("/file", Rule::not_satisfiable(Some(shorter)).starting_at(12 * MIB));
    reader.seek(SeekFrom::Start(12 * MIB)).unwrap();
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(session.len(), Some(shorter));
}

/// N7: never below covered bytes, nor below an end that a reader was given; without a validator never.
#[test]
fn n7_a_416_that_contradicts_what_was_given_is_a_change() {
    let lie = || Rule::not_satisfiable(Some(10 * MIB)).starting_at(12 * MIB);
    let told = |session: &Session| {
        let mut reader = session.reader();
        reader.seek(SeekFrom::Start(12 * MIB)).unwrap();
        assert!(matches!(failed_read(&mut reader), Error::Changed));
    };

    let covered = origin(LEN);
    let session = open(&engine(frugal()), &covered);
    check_at(&mut session.reader(), 11 * MIB, 100);
    covered.rule("/file", lie());
    told(&session);

    let ended = origin(LEN);
    let session = open(&engine(frugal()), &ended);
    let mut reader = session.reader();
    check_at(&mut reader, 0, 10);
    reader.seek(SeekFrom::End(0)).unwrap();
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    ended.rule("/file", lie());
    told(&session);

    let unproven = Origin::start();
    unproven.put("/file", Content::pattern(LEN).no_validator());
    let session = open(&engine(frugal()), &unproven);
    check_at(&mut session.reader(), 0, 10);
    unproven.rule("/file", lie());
    told(&session);
}

/// N7: a 416 for a byte that the length says is there, with that same length, is a contradiction.
#[test]
fn n7_a_416_that_contradicts_itself_gives_no_end() {
    let origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    origin.rule("/file", Rule::not_satisfiable(Some(LEN)).starting_at(AT).once());
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(AT)).unwrap();
    let error = failed_read(&mut reader);
    assert!(!error.is_fatal(), "{error:?}");
    check_at(&mut reader, AT, 100);
}

/// A change is found out also when the engine was idle for long: every connection is new then.
#[test]
fn n8_a_change_across_a_restart_of_the_origin_is_found() {
    let mut origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 0, 100);
    origin.stop();
    origin.replace("/file", new_version());
    origin.restart();
    reader.seek(SeekFrom::Start(AT)).unwrap();
    assert!(matches!(failed_read(&mut reader), Error::Changed));
}
