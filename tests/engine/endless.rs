//! A stream without ranges and without an end, in a store that has little room: E9.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use kithara_file::origin::Framing;

use crate::bounded::{REQUESTS, ROOM, allocated, bounded, folder};
use crate::stage::until;
use crate::support::*;

/// So much is read of it: many times its room.
const LONG: u64 = 24 * ROOM;

/// An origin whose `/file` is sent as a whole, in chunks whose sum nobody tells.
fn stream(len: u64) -> Origin {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(len).no_ranges());
    origin.rule("/file", Rule::framing(Framing::Chunked));
    origin
}

/// Reads up to `end`, checks each byte, and sees now and then that no more than the room is taken of the disk.
fn listen(reader: &mut Reader, end: u64, dir: &std::path::Path) {
    let mut at = reader.stream_position().unwrap();
    while at < end {
        let len = MIB.min(end - at);
        check_at(reader, at, len as usize);
        at += len;
        until("what was read to go", || allocated(dir) <= ROOM + REQUESTS);
    }
}

#[test]
fn e9_an_endless_stream_is_read_for_long_in_little_room() {
    let (origin, dir) = (stream(1 << 40), folder());
    let session = open(&bounded(dir.path()), &origin);
    let mut reader = session.reader();
    listen(&mut reader, LONG, dir.path());
    assert_eq!(session.len(), None);
    assert_eq!(reader.seek(SeekFrom::End(0)).unwrap_err().kind(), ErrorKind::Unsupported);
    let shown = session.snapshot();
    assert!(shown.bytes_evicted >= LONG - ROOM - REQUESTS, "{}", shown.bytes_evicted);

    // What went is told, by its place. What is kept, and what comes, is read on.
    for gone in [0, LONG / 2] {
        reader.seek(SeekFrom::Start(gone)).unwrap();
        let error = reader.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let error = Error::from_io(&error).unwrap();
        assert!(matches!(error, Error::Passed { at } if *at == gone), "{error:?}");
        assert!(!error.is_fatal());
    }
    check_at(&mut reader, LONG - 1000, 1000);
    listen(&mut reader, LONG + ROOM, dir.path());
    assert_eq!(origin.log().len(), 1, "it was never begun anew");
}

/// Two readers, one far behind: what is between them goes, what the hindmost one is about to read does not.
#[test]
fn e9_a_reader_that_stays_behind_keeps_what_lies_in_front_of_it() {
    let (origin, dir) = (stream(1 << 40), folder());
    let session = open(&bounded(dir.path()), &origin);
    let (mut behind, mut reader) = (session.reader(), session.reader());
    check_at(&mut behind, 0, 1000);
    listen(&mut reader, LONG, dir.path());
    check_at(&mut behind, 1000, MIB as usize);
    let mut buf = vec![0; 64 << 10];
    let error = loop {
        let at = behind.stream_position().unwrap();
        match behind.read(&mut buf) {
            Ok(n) => assert_eq!(pattern::first_wrong(&buf[..n], at, 0), None, "at {at}"),
            Err(error) => break error,
        }
    };
    let at = behind.stream_position().unwrap();
    let error = Error::from_io(&error).unwrap();
    assert!(matches!(error, Error::Passed { at: gone } if *gone == at), "{error:?}, at {at}");
    listen(&mut reader, LONG + ROOM, dir.path());
}

#[test]
fn e9_the_length_is_learnt_at_a_proven_end_whatever_has_passed() {
    let (origin, dir) = (stream(LONG), folder());
    let session = open(&bounded(dir.path()), &origin);
    let mut reader = session.reader();
    listen(&mut reader, LONG, dir.path());
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!((session.len(), origin.log().len()), (Some(LONG), 1));
    assert!(!session.snapshot().complete);
    // It has an end, so it can be begun anew.
    check_at(&mut reader, 0, 1000);
}

/// E2: a connection that is lost is no end; and what has passed cannot be had by beginning anew.
#[test]
fn e9_a_stream_that_is_lost_after_parts_went_is_told() {
    let (origin, dir) = (stream(1 << 40), folder());
    origin.clear_rules("/file");
    origin.rule("/file", Rule::framing(Framing::Chunked).and(Rule::close_after(LONG)));
    let session = open(&bounded(dir.path()), &origin);
    let mut reader = session.reader();
    listen(&mut reader, LONG, dir.path());
    for _ in 0..3 {
        let error = failed_read(&mut reader);
        assert!(matches!(error, Error::Network(_) | Error::Passed { .. }), "{error:?}");
        assert!(!error.is_fatal());
    }
    check_at(&mut reader, LONG - 1000, 1000);
    assert_eq!(origin.log().len(), 1);
}
