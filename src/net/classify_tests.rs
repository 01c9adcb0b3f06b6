//! Heads of answers and the verdict on them.

use super::*;

fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, value.parse().unwrap());
    }
    map
}

fn judged(
    request: &RangeRequest,
    status: u16,
    pairs: &[(&'static str, &str)],
) -> Result<Accepted, Refused> {
    let headers = map(pairs);
    let status = StatusCode::from_u16(status).unwrap();
    let head = Head { status, version: Version::HTTP_11, headers: &headers };
    judge(request, &Url::parse("http://h/film.mp4").unwrap(), true, head)
}

fn ask(start: u64, end: u64) -> RangeRequest {
    RangeRequest::of(ByteRange::new(start, end))
}

fn tag(tag: &str) -> Validator {
    Validator { etag: Some(tag.into()), ..Validator::default() }
}

/// A conditional request for bytes 10..20 of 100 with tag `"a"`, of a video.
fn resumed() -> RangeRequest {
    RangeRequest {
        if_range: Some("\"a\"".into()),
        expect: Expectation {
            total: Some(100),
            validator: Some(tag("\"a\"")),
            content_type: Some("video/mp4".into()),
        },
        ..ask(10, 20)
    }
}

fn is_protocol(judged: &Result<Accepted, Refused>) -> bool {
    matches!(judged, Err(Refused::Protocol(_)))
}

#[test]
fn n6_bytes_are_placed_by_content_range() {
    let part = |value: &str| judged(&ask(10, 20), 206, &[("content-range", value)]);
    let shape = |value: &str| part(value).unwrap().shape;
    let range = |start, end, total| AnswerShape::Part { range: ByteRange::new(start, end), total };
    assert_eq!(shape("bytes 10-19/100"), range(10, 20, Some(100)));
    assert_eq!(shape("bytes 10-19/*"), range(10, 20, None));
    assert_eq!(shape("bytes 10-12/13"), range(10, 13, Some(13)));
    assert_eq!(shape("bytes 10-99/100"), range(10, 20, Some(100)));
    assert_eq!(shape("bytes 4-14/100"), range(4, 15, Some(100)));
    let cut = part("bytes 4-99/100").unwrap().bounds;
    let framing = Framing::Close;
    let expected = Bounds { start: 4, asked: 10, promised: Some(100), limit: 20, framing };
    assert_eq!(cut, expected);
    for outside in ["bytes 11-19/100", "bytes 20-29/100", "bytes 0-9/100"] {
        assert!(is_protocol(&part(outside)), "{outside}");
    }
    for odd in ["bytes 10-19", "bytes */100", "bytes 10-99/50", "items 10-19/100", ""] {
        assert!(is_protocol(&part(odd)), "{odd}");
    }
    assert!(is_protocol(&judged(&ask(10, 20), 206, &[])));
}

#[test]
fn n6_several_content_ranges_or_parts_or_an_encoded_body_are_refused() {
    let range = ("content-range", "bytes 10-19/100");
    let with = |more: (&'static str, &str)| judged(&ask(10, 20), 206, &[range, more]);
    assert!(is_protocol(&with(("content-range", "bytes 10-18/100"))));
    assert!(with(("content-range", "bytes 10-19/100")).is_ok(), "twice the same says the same");
    assert!(is_protocol(&with(("content-type", "Multipart/Byteranges; boundary=x"))));
    assert!(with(("content-encoding", "Identity ")).is_ok());
    for coding in ["gzip", "br", "identity, gzip", "x"] {
        assert!(is_protocol(&with(("content-encoding", coding))), "{coding}");
        assert!(is_protocol(&judged(&ask(0, 9), 200, &[("content-encoding", coding)])), "{coding}");
    }
}

/// N6: a Content-Length above the range is a body longer than its Content-Range; one below leaves the rest
/// missing, unless nothing that was asked for is in it.
#[test]
fn n6_content_length_is_held_against_content_range() {
    let with = |range: &str, len: &str| {
        judged(&ask(10, 20), 206, &[("content-range", range), ("content-length", len)])
    };
    assert!(with("bytes 10-19/100", "10").is_ok());
    assert!(is_protocol(&with("bytes 10-19/100", "11")));
    let short = with("bytes 10-19/100", "4").unwrap();
    assert_eq!(short.bounds.promised, Some(20));
    assert_eq!(short.bounds.framing, Framing::Marked);
    assert!(is_protocol(&with("bytes 10-19/100", "0")));
    assert!(is_protocol(&with("bytes 4-19/100", "6")));
    assert!(with("bytes 4-19/100", "7").is_ok());
    assert!(is_protocol(&with("bytes 10-19/100", "ten")));
    let max = u64::MAX;
    let near = RangeRequest::of(ByteRange::new(max - 2, max));
    let range = format!("bytes {}-{}/*", max - 2, max - 1);
    let judge =
        |len: &str| judged(&near, 206, &[("content-range", &range), ("content-length", len)]);
    assert!(judge("2").is_ok());
    assert!(is_protocol(&judge("18446744073709551615")));
}

#[test]
fn n6_a_part_that_was_not_asked_for_and_odd_statuses_are_refused() {
    let plain = RangeRequest::default();
    assert!(is_protocol(&judged(&plain, 206, &[("content-range", "bytes 0-9/10")])));
    for status in [201, 202, 203, 204, 205, 207, 226, 300, 304, 305] {
        assert!(is_protocol(&judged(&ask(0, 9), status, &[])), "{status}");
    }
    for status in [400, 401, 403, 404, 408, 412, 429, 500, 503] {
        assert_eq!(judged(&ask(0, 9), status, &[]), Err(Refused::Status), "{status}");
    }
}

/// E10, defect 5: a 200 to a range begins at byte 0, wherever the range began.
#[test]
fn e10_a_whole_answer_begins_at_byte_zero() {
    let whole = judged(&ask(10, 20), 200, &[("content-length", "100")]).unwrap();
    assert_eq!(whole.shape, AnswerShape::Whole { len: Some(100) });
    let framing = Framing::Marked;
    let bounds = Bounds { start: 0, asked: 0, promised: Some(100), limit: 100, framing };
    assert_eq!(whole.bounds, bounds);
    let chunked = [("transfer-encoding", "chunked"), ("content-length", "5")];
    let whole = judged(&ask(10, 20), 200, &chunked).unwrap();
    assert_eq!(whole.shape, AnswerShape::Whole { len: None });
    assert_eq!((whole.bounds.promised, whole.bounds.framing), (None, Framing::Marked));
}

#[test]
fn e2_framing_tells_whether_an_end_is_a_proof() {
    let framing = |version, pairs: &[(&'static str, &str)]| {
        framing(Head { status: StatusCode::OK, version, headers: &map(pairs) })
    };
    let (one, two) = (Version::HTTP_11, Version::HTTP_2);
    assert_eq!(framing(one, &[]), Framing::Close);
    assert_eq!(framing(one, &[("content-length", "5")]), Framing::Marked);
    assert_eq!(framing(one, &[("transfer-encoding", "Chunked ")]), Framing::Marked);
    assert_eq!(framing(one, &[("transfer-encoding", "gzip, chunked")]), Framing::Marked);
    assert_eq!(framing(one, &[("transfer-encoding", "chunked, gzip")]), Framing::Close);
    let both = [("transfer-encoding", "gzip"), ("content-length", "5")];
    assert_eq!(framing(one, &both), Framing::Close);
    assert_eq!(framing(Version::HTTP_10, &[]), Framing::Close);
    assert_eq!(framing(two, &[]), Framing::Marked);
}

fn is_changed(judged: &Result<Accepted, Refused>) -> bool {
    matches!(judged, Err(Refused::Changed(_)))
}

#[test]
fn n8_another_validator_or_length_is_a_change() {
    let part = |range: &str, etag: &str| {
        judged(&resumed(), 206, &[("content-range", range), ("etag", etag)])
    };
    assert!(part("bytes 10-19/100", "\"a\"").is_ok());
    assert!(part("bytes 10-19/*", "\"a\"").is_ok());
    assert!(judged(&resumed(), 206, &[("content-range", "bytes 10-19/100")]).is_ok());
    let changed = part("bytes 10-19/100", "\"b\"");
    let Err(Refused::Changed(seen)) = changed else { panic!("{changed:?}") };
    assert_eq!((seen.total, seen.validator), (Some(100), tag("\"b\"")));
    assert!(is_changed(&part("bytes 10-19/101", "\"a\"")));
    assert!(is_changed(&part("bytes 10-19/99", "\"a\"")));
    assert!(is_changed(&part("bytes 10-100/*", "\"a\"")), "past the known length");
    assert!(part("bytes 10-99/*", "\"a\"").is_ok(), "up to the known length");
    let dates = |expected: &str, came: &str| {
        let validator = Validator {
            last_modified: Some(expected.into()),
            strong_date: true,
            ..Validator::default()
        };
        let expect = Expectation { validator: Some(validator), ..Expectation::default() };
        let request = RangeRequest { expect, ..ask(10, 20) };
        judged(&request, 206, &[("content-range", "bytes 10-19/100"), ("last-modified", came)])
    };
    assert!(dates("then", "then").is_ok());
    assert!(is_changed(&dates("then", "now")));
}

/// N8: a whole answer to `If-Range` with the same validator means that there are no ranges; with
/// another, or none to tell, that the resource is another one.
#[test]
fn n8_a_whole_answer_to_if_range_needs_the_same_validator() {
    let whole = |len: &str, more: &[(&'static str, &str)]| {
        let mut pairs = vec![("content-length", len)];
        pairs.extend(more);
        judged(&resumed(), 200, &pairs)
    };
    assert!(whole("100", &[("etag", "\"a\"")]).is_ok());
    assert!(is_changed(&whole("100", &[("etag", "\"b\"")])));
    assert!(is_changed(&whole("100", &[("etag", "W/\"a\"")])));
    assert!(is_changed(&whole("100", &[])));
    assert!(is_changed(&whole("99", &[("etag", "\"a\"")])));
    let unconditional = RangeRequest { if_range: None, ..resumed() };
    assert!(judged(&unconditional, 200, &[("content-length", "100")]).is_ok());
    assert!(is_changed(&judged(&unconditional, 200, &[("content-length", "99")])));
    assert!(is_changed(&judged(&unconditional, 200, &[("etag", "\"b\"")])));
    let unknown = RangeRequest { expect: Expectation::default(), ..resumed() };
    let dated = RangeRequest { if_range: Some("then".into()), ..unknown.clone() };
    assert!(judged(&dated, 200, &[("last-modified", "then")]).is_ok());
    assert!(is_changed(&judged(&dated, 200, &[("last-modified", "now")])));
    assert!(judged(&unknown, 200, &[("etag", "\"a\"")]).is_ok());
    assert!(is_changed(&judged(&unknown, 200, &[("etag", "\"b\"")])));
}

#[test]
fn n7_a_416_tells_the_length_only_if_it_makes_sense() {
    let refused = |pairs: &[(&'static str, &str)]| judged(&resumed(), 416, pairs).unwrap_err();
    let total = |refused| match refused {
        Refused::NotSatisfiable { total, .. } => total,
        other => panic!("{other:?}"),
    };
    assert_eq!(total(refused(&[("content-range", "bytes */10")])), Some(10));
    assert_eq!(total(refused(&[("content-range", "bytes */0")])), Some(0));
    assert_eq!(total(refused(&[])), None);
    assert_eq!(total(refused(&[("content-range", "bytes 0-9/10")])), None);
    assert_eq!(total(refused(&[("content-range", "nonsense")])), None);
    let inside = refused(&[("content-range", "bytes */11")]);
    assert!(matches!(inside, Refused::Protocol(_)), "byte 10 is among 11: {inside:?}");
    let other = refused(&[("content-range", "bytes */10"), ("etag", "\"b\"")]);
    assert!(matches!(other, Refused::Changed(_)), "{other:?}");
    assert_eq!(judged(&RangeRequest::default(), 416, &[]), Err(Refused::Status));
}

/// N10: a login page is told as such, not as a change of the resource.
#[test]
fn n10_a_page_in_place_of_the_media_is_no_change() {
    let page = [("content-type", "text/html"), ("content-length", "9"), ("etag", "\"b\"")];
    let refused = judged(&resumed(), 200, &page);
    assert!(matches!(refused, Err(Refused::NotMedia(_))), "{refused:?}");
    assert!(matches!(judged(&ask(0, 9), 200, &page), Err(Refused::NotMedia(_))));
    let headers = map(&page);
    let head = Head { status: StatusCode::OK, version: Version::HTTP_11, headers: &headers };
    let url = Url::parse("http://h/film.mp4").unwrap();
    assert!(judge(&ask(0, 9), &url, false, head).is_ok(), "when configured so");
}

/// E2: a part under the status of a whole must not have its end taken for the end of the resource.
#[test]
fn e2_a_200_that_says_it_is_a_part_is_refused() {
    let whole = |value: &str, len: &str| {
        judged(&ask(0, 10), 200, &[("content-range", value), ("content-length", len)])
    };
    assert!(is_protocol(&whole("bytes 0-9/100", "10")));
    assert!(is_protocol(&whole("bytes 10-19/100", "10")));
    assert!(is_protocol(&whole("bytes 0-9/100", "100")));
    assert!(whole("bytes 0-99/100", "100").is_ok());
    assert!(whole("bytes 0-99/*", "100").is_ok());
    assert!(whole("nonsense", "100").is_ok());
}
