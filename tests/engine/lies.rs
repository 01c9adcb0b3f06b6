//! Answers that contradict the request or themselves: N6, defect 5. A typed error, nothing of it stored, and the
//! reader reads on once the origin tells the truth.

use std::io::{Read, Seek, SeekFrom};

use kithara_file::NetworkErrorKind;
use kithara_file::origin::{Framing, Piece};

use crate::support::*;

const AT: u64 = 8 * MIB;
const LEN: u64 = 16 * MIB;

/// What a read at [`AT`] is told when `lie` bends the answer; then that nothing of it was stored, and that
/// the same reader reads on.
#[track_caller]
fn told(lie: Rule) -> Error {
    let origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    origin.rule("/file", lie.starting_at(AT).once());
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(AT)).unwrap();
    let error = failed_read(&mut reader);
    // What the opening asked for may still be coming in, far below.
    assert!(session.coverage().iter().all(|run| run.end <= MIB), "nothing of it is stored");
    assert!(!error.is_fatal(), "{error}");
    check_at(&mut reader, 0, 1000);
    check_at(&mut reader, AT, 200_000);
    error
}

#[track_caller]
fn contradiction(lie: Rule) -> String {
    let error = told(lie);
    match &network(&error).kind {
        NetworkErrorKind::Protocol(why) => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn n6_a_part_that_does_not_hold_the_first_byte_asked_for_is_refused() {
    contradiction(Rule::shifted(1000));
    contradiction(Rule::content_range(&format!("bytes 0-999/{LEN}")));
}

#[test]
fn n6_a_content_range_that_is_none_is_refused() {
    let max = u64::MAX;
    for value in [
        "garbage".to_owned(),
        String::new(),
        "bytes".to_owned(),
        format!("bytes */{LEN}"),
        format!("bytes {AT}-{}/{LEN}", AT - 1),
        format!("bytes {AT}-/{LEN}"),
        format!("bytes {AT}-{AT}/{AT}"),
        format!("bytes {AT}-99999999999999999999/{LEN}"),
        format!("bytes {AT}-{max}/{LEN}"),
        format!("bytes {AT}-{max}/*"),
        format!("items {AT}-{}/{LEN}", AT + 99),
    ] {
        let why = contradiction(Rule::content_range(&value));
        assert!(!why.is_empty(), "{value}");
    }
    contradiction(Rule::without_header("Content-Range"));
    contradiction(Rule::add_header("Content-Range", &format!("bytes 0-9/{LEN}")));
}

#[test]
fn n6_a_body_that_is_longer_than_its_content_range_is_refused() {
    contradiction(Rule::longer(5, false));
}

/// Without a length in the head it shows only at its end; no byte past the promise is ever stored.
#[test]
fn n6_a_chunked_body_that_is_longer_than_its_content_range_gives_no_wrong_byte() {
    let origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    let lie = Rule::shorter(1000).and(Rule::longer(5000, false));
    origin.rule("/file", lie.and(Rule::framing(Framing::Chunked)).starting_at(AT).once());
    let mut reader = session.reader();
    check_at(&mut reader, AT, 1000);
    let mut buf = vec![0; 4000];
    match reader.read(&mut buf) {
        Ok(n) => assert_eq!(pattern::first_wrong(&buf[..n], AT + 1000, 0), None),
        Err(io) => {
            let error = Error::from_io(&io).unwrap();
            assert!(matches!(network(error).kind, NetworkErrorKind::Protocol(_)), "{error}");
        }
    }
    check_at(&mut reader, AT, 200_000);
}

#[test]
fn n6_several_parts_and_encoded_bodies_are_refused() {
    contradiction(Rule::multipart());
    contradiction(Rule::gzip());
    contradiction(Rule::header("Content-Encoding", "br"));
}

/// Defect 5: bytes of 0 with a 200 and a wrong length are not the resource.
#[test]
fn n6_odd_statuses_are_no_answers() {
    for status in [204, 205, 226, 304, 399] {
        contradiction(Rule::status(status, ""));
    }
}

/// Bytes are placed by what the answer says, not by what was asked; more than asked is cut off.
#[test]
fn n6_a_part_that_begins_earlier_is_placed_where_it_says() {
    let origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    origin.rule("/file", Rule::shifted(-1000).starting_at(AT).once());
    check_at(&mut session.reader(), AT, 200_000);
    assert_eq!(requests_at(&origin, AT), 1);
}

#[test]
fn n6_a_part_that_ends_later_than_asked_is_cut_off() {
    let origin = origin(LEN);
    let session = open(&engine(frugal()), &origin);
    let longer = Rule::edit(|_, answer| {
        let Some(Piece::Content { start, len, .. }) = answer.body.first_mut() else { return };
        *len += MIB;
        let value = format!("bytes {start}-{}/{LEN}", *start + *len - 1);
        answer.set_header("Content-Range", &value);
    });
    origin.rule("/file", longer.starting_at(AT).once());
    let mut reader = session.reader();
    check_at(&mut reader, AT, 100_000);
    let asked = origin.log().iter().find(|r| starts_at(r, AT)).and_then(|r| r.range).unwrap();
    let end = asked.1.unwrap() + 1;
    assert!(session.coverage().iter().all(|run| !run.contains(&end)), "{:?}", session.coverage());
    check_at(&mut reader, AT, 700_000);
}

#[test]
fn n6_chunked_parts_and_unknown_totals_are_fine() {
    let origin = origin(3 * MIB);
    origin.rule("/file", Rule::framing(Framing::Chunked).and(Rule::total_unknown()).times(2));
    origin.rule("/file", Rule::framing(Framing::Chunked));
    let session = open(&engine(quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), 3 * MIB);
}

/// A part framed by the connection's close that comes short is a loss to be made good, never an end.
#[test]
fn n6_a_close_delimited_part_that_comes_short_is_completed() {
    let origin = origin(3 * MIB);
    let short = Rule::framing(Framing::Close).and(Rule::close_after(10_000));
    origin.rule("/file", short.times(3));
    let session = open(&engine(quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), 3 * MIB);
}
