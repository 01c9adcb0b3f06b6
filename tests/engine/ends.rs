//! Ends, true and false: E2, E3, E10, N7, defects 2 and 21.

use std::io::{Read, Seek, SeekFrom};
use std::thread;

use kithara_file::origin::Framing;

use crate::stage::*;
use crate::support::*;

/// E2, defect 2: a connection that closes early is a retry, never an end.
#[test]
fn e2_a_body_cut_short_is_asked_for_again() {
    let origin = origin(2 * MIB);
    origin.rule("/file", Rule::close_after(70_000).times(2));
    origin.rule("/file", Rule::reset_after(50_000).times(2));
    let session = open(&engine(quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), 2 * MIB);
}

#[test]
fn e2_a_short_but_proper_body_leaves_the_rest_missing() {
    let origin = origin(2 * MIB);
    origin.rule("/file", Rule::shorter(10_000).times(3));
    let session = open(&engine(quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), 2 * MIB);
}

#[test]
fn e2_an_empty_resource_ends_at_once() {
    let origin = origin(0);
    let session = open(&engine(quick()), &origin);
    assert_eq!(session.len(), Some(0));
    let mut reader = session.reader();
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(reader.seek(SeekFrom::End(0)).unwrap(), 0);
    let mut events = session.events();
    assert_eq!(until_end_of_stream(&mut events), 0);
}

#[test]
fn e2_a_resource_of_one_byte_has_one_byte() {
    let origin = origin(1);
    let session = open(&engine(quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), 1);
}

/// Defect 21: nothing is asked for past the last byte.
#[test]
fn e2_reading_at_the_end_sends_nothing() {
    let origin = origin(MIB);
    let session = open(&engine(quick()), &origin);
    let mut reader = session.reader();
    check_to_end(&mut reader);
    let before = origin.log().len();
    for _ in 0..10 {
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        reader.seek(SeekFrom::Start(5 * MIB)).unwrap();
    }
    assert_eq!(origin.log().len(), before);
}

#[test]
fn e3_the_end_of_the_stream_is_told_once_and_only_when_all_is_there() {
    let origin = origin(8 * MIB);
    let session = open(&engine(frugal()), &origin);
    let mut events = session.events();
    let mut reader = session.reader();
    check_at(&mut reader, 8 * MIB - 100, 100);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0, "the end, whatever holes lie before it");
    assert!(!session.snapshot().complete);
    while let Some(event) = events.try_next() {
        assert!(!matches!(event, SessionEvent::EndOfStream { .. }), "told with holes");
    }
    reader.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(check_to_end(&mut reader), 8 * MIB);
    assert_eq!(until_end_of_stream(&mut events), 8 * MIB);
    check_at(&mut reader, 0, 100);
    while let Some(event) = events.try_next() {
        assert!(!matches!(event, SessionEvent::EndOfStream { .. }), "told twice");
    }
    assert!(session.snapshot().complete);
}

/// E10, defect 5: a server without ranges sends everything from 0 on; it is stored where it belongs.
#[test]
fn e10_a_server_without_ranges_gives_right_bytes_at_any_seek() {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(3 * MIB).no_ranges());
    let session = open(&engine(quick()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 2 * MIB, 1000);
    check_at(&mut reader, 22, 1000);
    assert_eq!(check_to_end(&mut reader), 3 * MIB - 1022);
    assert_eq!(origin.log().len(), 1, "one sequential fetch");
    assert!(!session.snapshot().ranges_supported);
    assert_eq!(session.snapshot().bytes_fetched, 3 * MIB);
}

#[test]
fn e10_a_server_that_ignores_one_range_is_understood() {
    let origin = origin(3 * MIB);
    let session = open(&engine(frugal()), &origin);
    origin.rule("/file", Rule::ignore_range());
    check_at(&mut session.reader(), 2 * MIB, 1000);
}

#[test]
fn e2_a_chunked_body_proves_the_length() {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(300_000).no_ranges());
    origin.rule("/file", Rule::framing(Framing::Chunked));
    let session = open(&engine(quick()), &origin);
    let mut reader = session.reader();
    assert_eq!(check_to_end(&mut reader), 300_000);
    assert_eq!(session.len(), Some(300_000));
    assert_eq!(origin.log().len(), 1);
}

/// A reader that waits at the end, or past it, of a body whose length nobody told, is answered by that body.
#[test]
fn e2_a_wait_at_the_end_of_a_body_without_length_costs_no_second_one() {
    for (framing, requests) in [(Framing::Chunked, 1), (Framing::Close, 2)] {
        for at in [2 * MIB, 3 * MIB] {
            let origin = Origin::start();
            origin.put("/file", Content::pattern(2 * MIB).no_ranges());
            let gate = Gate::new();
            let held = Rule::gate_body(MIB, &gate).once();
            origin.rule("/file", Rule::framing(framing).and(held));
            origin.rule("/file", Rule::framing(framing));
            let session = open(&engine(quick()), &origin);
            let mut reader = reader_at(&session, at);
            let before = session.snapshot().waits;
            thread::scope(|scope| {
                let read = scope.spawn(|| reader.read(&mut [0; 8]).unwrap());
                until("the read to wait", || session.snapshot().waits > before);
                gate.open();
                assert_eq!(read.join().unwrap(), 0);
            });
            assert_eq!(session.len(), Some(2 * MIB));
            assert_eq!(origin.log().len(), requests, "{framing:?}, at {at}");
        }
    }
}

/// A body that ends with its connection is checked once, and then believed.
#[test]
fn e2_a_close_delimited_body_is_checked_at_its_end() {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(300_000).no_ranges());
    origin.rule("/file", Rule::framing(Framing::Close));
    let session = open(&engine(quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), 300_000);
    assert_eq!(origin.log().len(), 2, "the body, and one check of its end");
}

/// A cut connection looks like the end of such a body; the check finds it out.
#[test]
fn e2_a_close_delimited_body_that_was_cut_is_no_end() {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(300_000).no_ranges());
    origin.rule("/file", Rule::framing(Framing::Close).and(Rule::close_after(100_000)).once());
    // The check waits until a read does: a failure that nobody waits for is tried again instead.
    let gate = Gate::new();
    origin.rule("/file", Rule::framing(Framing::Close).and(Rule::gate_head(&gate)));
    let session = open(&engine(quick()), &origin);
    let mut reader = session.reader();
    let mut buf = vec![0; 100_000];
    reader.read_exact(&mut buf).unwrap();
    assert!(pattern::check(&buf, 0, 0));
    let before = session.snapshot().waits;
    let error = thread::scope(|scope| {
        let read = scope.spawn(|| failed_read(&mut reader));
        until("the read to wait", || session.snapshot().waits > before);
        gate.open();
        read.join().unwrap()
    });
    assert!(matches!(error, Error::Truncated { at: 100_000 }), "{error:?}");
    assert!(!error.is_fatal());
}

#[test]
fn e2_an_unknown_total_is_learnt_at_the_end() {
    let origin = origin(700_000);
    origin.rule("/file", Rule::total_unknown());
    let session = open(&engine(quick()), &origin);
    assert_eq!(session.len(), None);
    let mut reader = session.reader();
    let unsupported = reader.seek(SeekFrom::End(0)).unwrap_err();
    assert_eq!(unsupported.kind(), std::io::ErrorKind::Unsupported);
    assert_eq!(check_to_end(&mut reader), 700_000);
    assert_eq!(session.len(), Some(700_000));
}
