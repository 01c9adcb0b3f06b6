//! Each lie of the origin, byte by byte, as a client sees it.

use kithara_file::origin::{Content, Framing, Origin, Rule, pattern};

use super::support::raw::{Head, Raw};
use super::{LEN, serving};

/// What comes for bytes 100 to 199 of `/big.bin` when `rule` has its way, up to the end.
fn bent(rule: Rule) -> (Head, Vec<u8>) {
    let (origin, mut raw) = serving();
    origin.rule("/big.bin", rule);
    raw.send("GET", "/big.bin", &["Range: bytes=100-199", "Connection: close"]);
    let head = raw.head();
    let (body, end) = raw.rest();
    end.expect("an orderly end");
    (head, body)
}

#[test]
fn content_ranges_can_lie_in_every_part() {
    for value in ["bytes 101-200/1048576", "bytes 100-199/99", "bytes x", "", "bytes 200-100/300"] {
        let (head, body) = bent(Rule::content_range(value));
        assert_eq!((head.status, head.get("content-range")), (206, Some(value)));
        assert!(body.len() == 100 && pattern::check(&body, 100, 7));
    }
    let (head, _) = bent(Rule::total_unknown());
    assert_eq!(head.get("content-range"), Some("bytes 100-199/*"));
    let (head, _) = bent(Rule::total("18446744073709551616"));
    assert_eq!(head.get("content-range"), Some("bytes 100-199/18446744073709551616"));
    let (head, _) = bent(Rule::without_header("content-range"));
    assert_eq!((head.status, head.get("content-range")), (206, None));
}

#[test]
fn ranges_can_be_moved_and_shortened_honestly() {
    for (delta, start) in [(50, 150), (-50, 50), (-500, 0)] {
        let (head, body) = bent(Rule::shifted(delta));
        let told = format!("bytes {start}-{}/{LEN}", start + 99);
        assert_eq!(head.get("content-range"), Some(&told[..]));
        assert!(body.len() == 100 && pattern::check(&body, start, 7));
    }
    let (head, body) = bent(Rule::shorter(10));
    assert_eq!((head.get("content-range"), head.len()), (Some("bytes 100-109/1048576"), 10));
    assert!(body.len() == 10 && pattern::check(&body, 100, 7));
}

#[test]
fn bodies_can_be_longer_or_shorter_than_told() {
    let (head, body) = bent(Rule::longer(5, false));
    assert_eq!((head.get("content-range"), head.len()), (Some("bytes 100-199/1048576"), 105));
    assert_eq!((&body[100..], body.len()), (&b"!!!!!"[..], 105));
    let (head, body) = bent(Rule::longer(5, true));
    assert_eq!((head.len(), body.len()), (100, 105));
    let (head, body) = bent(Rule::truncated(30));
    assert_eq!((head.len(), body.len()), (100, 30));
    let (head, body) = bent(Rule::framing(Framing::Close));
    assert_eq!((head.get("content-length"), body.len()), (None, 100));
}

#[test]
fn a_range_can_be_ignored_and_answered_by_other_things() {
    let (head, body) = bent(Rule::ignore_range());
    assert_eq!((head.status, head.get("content-range")), (200, None));
    assert!(body.len() as u64 == LEN && pattern::check(&body, 0, 7));

    let (head, body) = bent(Rule::multipart());
    assert_eq!(head.get("content-type"), Some("multipart/byteranges; boundary=limit"));
    let text = String::from_utf8_lossy(&body);
    assert!(text.starts_with("--limit\r\n") && text.ends_with("\r\n--limit--\r\n"));
    assert!(text.contains("Content-Range: bytes 100-199/1048576\r\n\r\n"));

    let (head, body) = bent(Rule::login_page());
    assert_eq!((head.status, head.get("etag")), (200, None));
    assert!(body.starts_with(b"<!doctype html>"));

    let (head, _) = bent(Rule::gzip());
    assert_eq!(head.get("content-encoding"), Some("gzip"));
}

#[test]
fn statuses_come_with_what_belongs_to_them() {
    let (head, body) = bent(Rule::not_satisfiable(Some(77)));
    assert_eq!((head.status, head.get("content-range")), (416, Some("bytes */77")));
    assert!(body.is_empty() && head.get("etag").is_some());
    let (head, _) = bent(Rule::not_satisfiable(None));
    assert_eq!((head.status, head.get("content-range")), (416, None));
    let (head, _) = bent(Rule::retry_after(429, "Wed, 21 Oct 2065 07:28:00 GMT"));
    assert_eq!(head.status, 429);
    assert_eq!(head.get("retry-after"), Some("Wed, 21 Oct 2065 07:28:00 GMT"));
    let (head, body) = bent(Rule::status(599, "broken"));
    assert_eq!((head.status, &body[..]), (599, &b"broken"[..]));
    let (head, body) = bent(Rule::redirect(307, "http://127.0.0.1:9/elsewhere"));
    assert_eq!((head.status, body.len()), (307, 0));
    assert_eq!(head.get("location"), Some("http://127.0.0.1:9/elsewhere"));
}

#[test]
fn heads_can_be_doubled_bombed_and_announced() {
    let (head, _) = bent(Rule::add_header("ETag", "\"other\"").and(Rule::header_bomb(300, 1000)));
    assert_eq!(head.headers.iter().filter(|(name, _)| name == "etag").count(), 2);
    assert_eq!(head.headers.iter().filter(|(name, _)| name.starts_with("x-bomb")).count(), 300);

    let (origin, mut raw) = serving();
    origin.rule("/big.bin", Rule::interim(103, 2).once());
    origin.rule("/big.bin", Rule::raw_head("HTTP/1.1 2OO nonsense\r\n\r\n"));
    raw.send("GET", "/big.bin", &["Range: bytes=0-9"]);
    let statuses: Vec<_> = (0..3).map(|_| raw.head().status).collect();
    assert_eq!(statuses, [103, 103, 206]);
    raw.exactly(10);
    raw.send("GET", "/big.bin", &["Range: bytes=0-9"]);
    assert_eq!(
        raw.exactly(35),
        [b"HTTP/1.1 2OO nonsense\r\n\r\n", &pattern::bytes(0, 10, 7)[..]].concat()
    );
}

#[test]
fn any_range_of_a_computed_wav_is_that_of_the_whole() {
    let origin = Origin::start();
    origin.put("/tune.wav", Content::wav(0.1));
    let mut raw = Raw::connect(origin.addr());
    let (head, whole) = raw.get("/tune.wav", &[]);
    assert_eq!((head.get("content-type"), whole.len()), (Some("audio/wav"), 44 + 6 * 4 * 44_100));
    assert!(whole.starts_with(b"RIFF") && whole[8..].starts_with(b"WAVEfmt "));
    for (first, last) in [(0, 0), (43, 45), (50_398, 50_461), (777_777, 888_888)] {
        let (_, body) = raw.get("/tune.wav", &[&format!("Range: bytes={first}-{last}")]);
        assert_eq!(body, whole[first..=last]);
    }
}
