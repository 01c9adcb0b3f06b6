//! The scripted origin itself: everything else in `tests/` rests on it.
#![cfg(feature = "origin")]

#[path = "origin/clients.rs"]
mod clients;
#[path = "origin/faults.rs"]
mod faults;
mod support;

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use kithara_file::origin::{Content, End, Framing, Gate, Link, Origin, Rule, Step, pattern};

use support::raw::Raw;

/// Length of `/big.bin`.
const LEN: u64 = 1 << 20;

/// An origin with a pattern of seed 7 at `/big.bin`, and a connection to it.
fn serving() -> (Origin, Raw) {
    let origin = Origin::start();
    origin.put("/big.bin", Content::pattern(LEN).seed(7));
    let raw = Raw::connect(origin.addr());
    (origin, raw)
}

#[test]
fn serves_the_whole_and_ranges_over_one_connection() {
    let (origin, mut raw) = serving();
    let (head, body) = raw.get("/big.bin", &[]);
    assert_eq!((head.status, head.get("accept-ranges")), (200, Some("bytes")));
    assert_eq!(body.len() as u64, LEN);
    assert!(pattern::check(&body, 0, 7));

    for (asked, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-70000", 1000, 70001),
        ("bytes=1048575-", LEN - 1, LEN),
        ("bytes=1048000-9999999999", 1_048_000, LEN),
        ("bytes=-10", LEN - 10, LEN),
    ] {
        let (head, body) = raw.get("/big.bin", &[&format!("Range: {asked}")]);
        assert_eq!(head.status, 206, "{asked}");
        let told = format!("bytes {start}-{}/{LEN}", end - 1);
        assert_eq!(head.get("content-range"), Some(&told[..]));
        assert_eq!(body.len() as u64, end - start);
        assert!(pattern::check(&body, start, 7));
    }
    let log = origin.wait_until(|log| log.len() == 6 && log.running() == 0);
    assert_eq!(log.connections.len(), 1);
    assert_eq!(log[1].range, Some((0, Some(0))));
    assert_eq!(log[3].range, Some((LEN - 1, None)));
    assert!(log.iter().enumerate().all(|(i, one)| one.on_connection == i as u64));
    assert!(log.iter().all(|one| one.is_finished() && one.head_sent.is_some()));
    assert_eq!(log[2].body_bytes, 69001);
}

#[test]
fn what_is_past_the_end_is_not_satisfiable_and_nonsense_is_ignored() {
    let (_origin, mut raw) = serving();
    for asked in ["bytes=1048576-", "bytes=99999999999999999999-", "bytes=-0"] {
        let (head, body) = raw.get("/big.bin", &[&format!("Range: {asked}")]);
        assert_eq!((head.status, head.get("content-range")), (416, Some("bytes */1048576")));
        assert!(body.is_empty());
    }
    for asked in ["bytes=5-4", "bytes=0-1,5-6", "lines=1-2"] {
        let (head, body) = raw.get("/big.bin", &[&format!("Range: {asked}")]);
        assert_eq!((head.status, body.len() as u64), (200, LEN), "{asked}");
    }
}

#[test]
fn lengths_near_the_largest_offset_are_served() {
    let (origin, mut raw) = serving();
    origin.put("/huge.bin", Content::pattern(u64::MAX).seed(1));
    let (head, body) = raw.get("/huge.bin", &["Range: bytes=18446744073709551604-"]);
    assert_eq!(body.len(), 11);
    let told = "bytes 18446744073709551604-18446744073709551614/18446744073709551615";
    assert_eq!(head.get("content-range"), Some(told));
    assert!(pattern::check(&body, 18_446_744_073_709_551_604, 1));
}

#[test]
fn if_range_is_honoured_only_for_this_very_version() {
    let (origin, mut raw) = serving();
    let (head, _) = raw.get("/big.bin", &["Range: bytes=0-9"]);
    let etag = head.get("etag").expect("a tag").to_owned();
    let date = head.get("last-modified").expect("a date").to_owned();
    for good in [&etag, &date] {
        let if_range = format!("If-Range: {good}");
        let (head, _) = raw.get("/big.bin", &["Range: bytes=0-9", &if_range]);
        assert_eq!(head.status, 206, "{good}");
    }
    origin.replace("/big.bin", Content::pattern(100).seed(8));
    for old in [&etag[..], &date[..], "W/\"v1\""] {
        let if_range = format!("If-Range: {old}");
        let (head, body) = raw.get("/big.bin", &["Range: bytes=0-9", &if_range]);
        assert_eq!(head.status, 200, "{old}");
        assert!(pattern::check(&body, 0, 8));
    }
    assert_eq!(origin.log()[1].if_range.as_deref(), Some(&etag[..]));
}

#[test]
fn weak_tags_never_match_and_missing_validators_are_missing() {
    let (origin, mut raw) = serving();
    origin.put("/weak", Content::bytes("0123456789").weak_etag().no_last_modified());
    origin.put("/none", Content::bytes("0123456789").no_validator().no_ranges());
    let (head, _) = raw.get("/weak", &[]);
    let etag = head.get("etag").expect("a tag").to_owned();
    assert!(etag.starts_with("W/"));
    let (head, _) = raw.get("/weak", &["Range: bytes=0-1", &format!("If-Range: {etag}")]);
    assert_eq!(head.status, 200);
    let (head, body) = raw.get("/none", &["Range: bytes=2-3"]);
    assert_eq!((head.status, head.get("etag"), head.get("accept-ranges")), (200, None, None));
    assert_eq!(body, b"0123456789");
}

#[test]
fn head_and_not_modified_have_no_body() {
    let (_origin, mut raw) = serving();
    raw.send("HEAD", "/big.bin", &[]);
    assert_eq!(raw.head().len() as u64, LEN);
    raw.send("GET", "/big.bin", &["If-None-Match: \"v1\""]);
    assert_eq!(raw.head().status, 304);
    let (head, _) = raw.get("/missing", &[]);
    assert_eq!(head.status, 404);
}

#[test]
fn a_gate_holds_head_or_body_at_the_exact_byte() {
    let (origin, mut raw) = serving();
    let (head_gate, body_gate) = (Gate::new(), Gate::new());
    origin
        .rule("/big.bin", Rule::gate_head(&head_gate).and(Rule::gate_body(777, &body_gate)).once());
    raw.send("GET", "/big.bin", &["Range: bytes=100-2099"]);
    head_gate.wait_arrived(1);
    assert!(origin.log()[0].head_sent.is_none());
    head_gate.open();
    raw.head();
    assert!(pattern::check(&raw.exactly(777), 100, 7));
    body_gate.wait_arrived(1);
    assert_eq!(origin.log()[0].body_bytes, 777);
    assert!(!origin.quiet());
    body_gate.admit(1);
    assert!(pattern::check(&raw.exactly(2000 - 777), 877, 7));
    origin.wait_until(|log| log[0].is_finished());
}

#[test]
fn a_client_that_goes_away_is_logged_at_once() {
    let (origin, mut raw) = serving();
    origin.rule("/big.bin", Rule::stall_after(10));
    raw.send("GET", "/big.bin", &[]);
    raw.head();
    raw.exactly(10);
    drop(raw);
    let log = origin.wait_closed();
    assert_eq!((log[0].end, log[0].body_bytes), (Some(End::Aborted), 10));
}

#[test]
fn a_cut_body_ends_at_the_exact_byte_by_close_or_reset() {
    let (origin, mut raw) = serving();
    origin.rule("/big.bin", Rule::close_after(5000).once());
    origin.rule("/big.bin", Rule::reset_after(6000).once());
    raw.send("GET", "/big.bin", &[]);
    assert_eq!(raw.head().len() as u64, LEN);
    let (body, end) = raw.rest();
    assert!(end.is_ok() && body.len() == 5000 && pattern::check(&body, 0, 7));

    let mut raw = Raw::connect(origin.addr());
    raw.send("GET", "/big.bin", &[]);
    raw.head();
    let (body, end) = raw.rest();
    assert_eq!(end.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    assert!(body.len() == 6000 && pattern::check(&body, 0, 7));
    let log = origin.wait_until(|log| log.running() == 0);
    assert!(log.iter().all(|one| one.end == Some(End::Cut)));
}

#[test]
fn heads_can_be_cut_too_and_connections_before_any() {
    let (origin, mut raw) = serving();
    origin.rule("/big.bin", Rule::mid_head(9, Step::Close).once());
    origin.rule("/big.bin", Rule::before_head(Step::Reset).once());
    raw.send("GET", "/big.bin", &[]);
    assert_eq!(raw.rest().0, b"HTTP/1.1 ");
    let mut raw = Raw::connect(origin.addr());
    raw.send("GET", "/big.bin", &[]);
    assert_eq!(raw.try_head().expect_err("a reset").kind(), ErrorKind::ConnectionReset);

    let gate = Gate::new();
    origin.next_connection(Step::Close);
    origin.next_connection(Step::Gate(gate.clone()));
    let (body, _) = Raw::connect(origin.addr()).rest();
    assert!(body.is_empty());
    let mut raw = Raw::connect(origin.addr());
    raw.send("GET", "/big.bin", &[]);
    gate.wait_arrived(1);
    assert_eq!(origin.log().len(), 2);
    gate.open();
    raw.head();
}

#[test]
fn every_way_to_tell_the_end_is_there() {
    let (origin, mut raw) = serving();
    origin.put("/small", Content::bytes("hello"));
    origin.rule("/small", Rule::framing(Framing::Chunked).once());
    origin.rule("/small", Rule::framing(Framing::Close).once());
    origin.rule("/small", Rule::framing(Framing::Lying(9)).once());
    raw.send("GET", "/small", &["Range: bytes=1-3"]);
    let head = raw.head();
    assert_eq!((head.status, head.get("transfer-encoding")), (206, Some("chunked")));
    assert_eq!(raw.exactly(13), b"3\r\nell\r\n0\r\n\r\n");
    raw.send("GET", "/small", &[]);
    assert_eq!(raw.head().get("content-length"), None);
    assert_eq!(raw.rest().0, b"hello");
    let mut raw = Raw::connect(origin.addr());
    raw.send("GET", "/small", &[]);
    assert_eq!(raw.head().len(), 9);
    assert_eq!(raw.rest().0, b"hello");
}

#[test]
fn rules_count_only_what_fits_them_and_the_first_that_fits_wins() {
    let (origin, mut raw) = serving();
    origin.rule("/big.bin", Rule::status(500, "").starting_at(50).nth(2));
    origin.rule("/big.bin", Rule::retry_after(503, "7").covering(60).method("GET").once());
    let mut statuses = Vec::new();
    for range in ["bytes=0-9", "bytes=50-60", "bytes=50-60", "bytes=50-59", "bytes=50-60"] {
        let (head, _) = raw.get("/big.bin", &[&format!("Range: {range}")]);
        statuses.push(head.status);
    }
    assert_eq!(statuses, [206, 503, 500, 206, 206]);
}

#[test]
fn a_replaced_content_lets_the_old_answer_finish() {
    let (origin, mut raw) = serving();
    let gate = Gate::new();
    origin.rule("/big.bin", Rule::gate_body(10, &gate).once());
    raw.send("GET", "/big.bin", &["Range: bytes=0-99"]);
    raw.head();
    gate.wait_arrived(1);
    origin.replace("/big.bin", Content::pattern(LEN).seed(8));
    gate.open();
    assert!(pattern::check(&raw.exactly(100), 0, 7));
    assert!(pattern::check(&raw.get("/big.bin", &[]).1, 0, 8));
}

#[test]
fn the_log_knows_what_went_out_twice() {
    let (origin, mut raw) = serving();
    for range in ["bytes=0-99", "bytes=200-299", "bytes=50-249", "bytes=60-69"] {
        raw.get("/big.bin?id=1", &[&format!("Range: {range}")]);
    }
    raw.get("/other", &[]);
    let log = origin.wait_until(|log| log.len() == 5 && log.running() == 0);
    assert_eq!(log[2].sent(), Some(50..250));
    assert_eq!(log.of("/big.bin").count(), 4);
    assert_eq!((log.sent_twice("/big.bin"), log.sent_twice("/other")), (110, 0));
}

#[test]
fn a_stopped_origin_refuses_and_serves_again_on_the_same_port() {
    let (mut origin, mut raw) = serving();
    origin.rule("/big.bin", Rule::stall_after(1).once());
    raw.send("GET", "/big.bin", &[]);
    raw.head();
    let addr = origin.addr();
    origin.stop();
    assert_eq!(origin.log()[0].end, Some(End::Stopped));
    assert_eq!(origin.log().open_connections(), 0);
    for _ in 0..3 {
        let refused = TcpStream::connect(addr).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    origin.restart();
    let (head, _) = Raw::connect(addr).get("/big.bin", &["Range: bytes=0-9"]);
    assert_eq!(head.status, 206);
    drop(origin);
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn a_dropped_origin_closes_what_is_open() {
    let (origin, mut raw) = serving();
    origin.rule("/big.bin", Rule::stall_after(1));
    raw.send("GET", "/big.bin", &[]);
    raw.head();
    raw.exactly(1);
    drop(origin);
    assert!(raw.rest().0.is_empty());
    let _ = raw.stream.write_all(b"x");
}

/// An origin behind a link with a pattern of seed 7 at `/big.bin`.
fn shaped(link: Link) -> Origin {
    let origin = Origin::builder().link(link).start();
    origin.put("/big.bin", Content::pattern(LEN).seed(7));
    origin
}

#[test]
fn behind_a_link_a_cold_request_takes_two_round_trips_and_a_warm_one_one() {
    let rtt = Duration::from_millis(40);
    let mut origin = shaped(Link::new(rtt, 50_000_000));
    let begun = Instant::now();
    let mut raw = Raw::connect(origin.addr());
    raw.get("/big.bin", &["Range: bytes=0-99"]);
    let cold = begun.elapsed();
    let begun = Instant::now();
    raw.get("/big.bin", &["Range: bytes=100-199"]);
    let warm = begun.elapsed();
    // Only the lower bounds are promises on a loaded machine.
    assert!(cold >= 2 * rtt && warm >= rtt, "cold {cold:?}, warm {warm:?}");
    origin.set_link(Link::new(3 * rtt, 50_000_000));
    let begun = Instant::now();
    raw.get("/big.bin", &["Range: bytes=100-199"]);
    assert!(begun.elapsed() >= 3 * rtt);
    let (down, up) = origin.link_bytes();
    assert!(down > 200 && up > 100, "{down} {up}");
}

#[test]
fn behind_a_link_bytes_are_right_and_the_rate_is_kept() {
    let origin = shaped(Link::new(Duration::from_millis(4), 80_000_000));
    let mut raw = Raw::connect(origin.addr());
    let begun = Instant::now();
    let (head, body) = raw.get("/big.bin", &[]);
    assert_eq!((head.status, body.len() as u64), (200, LEN));
    assert!(pattern::check(&body, 0, 7));
    // 1 MiB at 80 Mbit/s.
    assert!(begun.elapsed() >= Duration::from_millis(104));
}

#[test]
fn behind_a_link_cuts_are_exact_and_clients_that_leave_are_seen() {
    let origin = shaped(Link::new(Duration::from_millis(2), u64::MAX));
    origin.rule("/big.bin", Rule::close_after(5000).once());
    origin.rule("/big.bin", Rule::reset_after(6000).once());
    origin.rule("/big.bin", Rule::stall_after(7000).once());
    for (len, reset) in [(5000, false), (6000, true)] {
        let mut raw = Raw::connect(origin.addr());
        raw.send("GET", "/big.bin", &[]);
        raw.head();
        let (body, end) = raw.rest();
        assert_eq!((body.len(), end.is_err()), (len, reset));
        assert!(pattern::check(&body, 0, 7));
    }
    let mut raw = Raw::connect(origin.addr());
    raw.send("GET", "/big.bin", &[]);
    raw.head();
    raw.exactly(7000);
    drop(raw);
    let log = origin.wait_closed();
    let ends: Vec<_> = log.iter().map(|one| one.end).collect();
    assert_eq!(ends, [Some(End::Cut), Some(End::Cut), Some(End::Aborted)]);
}

#[test]
fn behind_a_link_a_client_that_does_not_read_holds_nobody_else_back() {
    let origin = shaped(Link::new(Duration::from_millis(2), u64::MAX));
    origin.put("/endless.bin", Content::pattern(u64::MAX));
    let mut lazy = Raw::connect(origin.addr());
    lazy.send("GET", "/endless.bin", &[]);
    lazy.head();
    let mut eager = Raw::connect(origin.addr());
    for _ in 0..10 {
        assert!(pattern::check(&eager.get("/big.bin", &["Range: bytes=0-99999"]).1, 0, 7));
    }
    drop(origin);
}
