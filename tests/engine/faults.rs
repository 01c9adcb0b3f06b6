//! Failures and what becomes of them: E7, E12, N1, N2, N3, N4, N5; defects 12, 14, 19, 20, 21, 25.
//!
//! What lies in the head of an answer is `lies.rs`, what changes is `changes.rs`.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kithara_file::{NetworkErrorKind, Stage};

use crate::support::*;

const AT: u64 = 8 * MIB;

#[test]
fn n4_a_server_that_is_busy_for_a_moment_is_asked_again() {
    let origin = origin(MIB);
    origin.rule("/file", Rule::status(503, "busy").times(2));
    let session = open(&engine(quick()), &origin);
    assert_eq!(check_to_end(&mut session.reader()), MIB);
    let statuses: Vec<u16> = origin.log().iter().take(3).map(|request| request.status).collect();
    assert_eq!(statuses, [503, 503, 206]);
}

/// E7, E12, N1, defect 14: what a read is told when nothing helped, and the next read asks again.
#[test]
fn n1_used_up_attempts_give_a_typed_error_without_secrets_and_the_reader_reads_on() {
    let origin = origin(16 * MIB);
    let url = origin.url("/file?sig=TOPSECRET").replace("http://", "http://me:PASSWORD@");
    let session = engine(frugal()).open_blocking(url).unwrap();
    origin.rule("/file", Rule::status(500, "disk on fire, sig=TOPSECRET"));
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(AT)).unwrap();

    let io = reader.read(&mut [0; 16]).unwrap_err();
    assert_eq!(io.kind(), ErrorKind::Other);
    let error = Error::from_io(&io).unwrap();
    let network = network(error);
    assert_eq!(network.status(), Some(500));
    assert_eq!(network.stage, Stage::Headers);
    assert_eq!(network.attempts, 3);
    assert!(network.url.ends_with("/file?sig=…"), "{}", network.url);
    assert!(network.excerpt.as_ref().is_some_and(|text| text.starts_with("disk on fire")));
    assert!(!error.is_fatal());
    let shown = format!("{error} {error:?} {io} {io:?}");
    assert!(!shown.contains("TOPSECRET") && !shown.contains("PASSWORD"), "{shown}");
    assert_eq!(requests_at(&origin, AT), 3);

    origin.clear_rules("/file");
    check_at(&mut reader, AT, 1000);
}

#[test]
fn n4_what_may_pass_is_retried_and_what_may_not_is_told_at_once() {
    let origin = origin(64 * MIB);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    for (n, status) in [408, 425, 429, 500, 502, 503, 504].into_iter().enumerate() {
        let at = (n as u64 + 1) * 2 * MIB;
        origin.rule("/file", Rule::status(status, "later").starting_at(at).once());
        check_at(&mut reader, at, 100);
        assert_eq!(requests_at(&origin, at), 2, "{status}");
    }
    for (n, status) in [400, 401, 403, 405, 409, 412].into_iter().enumerate() {
        let at = (n as u64 + 20) * 2 * MIB;
        origin.rule("/file", Rule::status(status, "no").starting_at(at).once());
        reader.seek(SeekFrom::Start(at)).unwrap();
        let error = failed_read(&mut reader);
        assert_eq!(network(&error).status(), Some(status));
        assert!(!error.is_fatal(), "{status}");
        assert_eq!(requests_at(&origin, at), 1, "{status}");
        check_at(&mut reader, at, 100);
    }
}

/// E7: a refused connection is told within the budget; the same reader reads on when the origin is back.
#[test]
fn e7_an_origin_that_goes_away_in_the_middle_of_a_read_and_comes_back() {
    let mut origin = origin(16 * MIB);
    let mut config = frugal();
    config.tunables.retry.budget = Duration::from_secs(20);
    let session = open(&engine(config), &origin);
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_body(1000, &gate).starting_at(AT));
    let mut reader = session.reader();
    check_at(&mut reader, AT, 1000);
    let begun = Instant::now();
    let io = thread::scope(|scope| {
        let read = scope.spawn(|| reader.read(&mut [0; 16]).unwrap_err());
        origin.stop();
        read.join().unwrap()
    });
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(io.kind(), ErrorKind::ConnectionRefused);
    let error = Error::from_io(&io).unwrap();
    assert_eq!(network(error).kind, NetworkErrorKind::Connection);
    assert_eq!(network(error).stage, Stage::Connect);
    assert_eq!(network(error).attempts, 3);
    assert!(!error.is_fatal());
    assert_eq!(reader.stream_position().unwrap(), AT + 1000, "a failed read moves nothing");

    gate.open();
    origin.restart();
    check_at(&mut reader, AT + 1000, 5000);
    check_at(&mut reader, AT, 1000);
}

#[test]
fn e7_the_time_budget_ends_a_read_whatever_attempts_are_left() {
    let mut origin = origin(16 * MIB);
    let mut config = frugal();
    config.tunables.retry.max_attempts = u32::MAX;
    config.tunables.retry.budget = Duration::from_secs(1);
    let session = open(&engine(config), &origin);
    origin.stop();
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(AT)).unwrap();
    let begun = Instant::now();
    let error = failed_read(&mut reader);
    assert!(begun.elapsed() >= Duration::from_secs(1), "it tried while it could");
    assert_eq!(network(&error).kind, NetworkErrorKind::Connection);
    assert_eq!(network(&error).url, origin.url("/file"));
    assert!(!error.is_fatal());
    origin.restart();
    check_at(&mut reader, AT, 100);
}

/// E7: what is gone is gone, for every later read, at covered bytes and at the end too.
#[test]
fn e7_not_found_and_gone_are_fatal_and_told_again_by_every_later_read() {
    for status in [404, 410] {
        let origin = origin(16 * MIB);
        let session = open(&engine(frugal()), &origin);
        let mut other = session.reader();
        let mut reader = session.reader();
        check_at(&mut reader, 0, 1000);
        origin.rule("/file", Rule::status(status, "gone").once());
        reader.seek(SeekFrom::Start(AT)).unwrap();
        let io = reader.read(&mut [0; 16]).unwrap_err();
        assert_eq!(io.kind(), ErrorKind::NotFound);
        let sent = origin.log().len();
        for at in [0, AT, 16 * MIB, u64::MAX] {
            for reader in [&mut reader, &mut other] {
                reader.seek(SeekFrom::Start(at)).unwrap();
                let error = failed_read(reader);
                assert!(error.is_fatal());
                assert_eq!(network(&error).status(), Some(status), "at {at}");
                assert_eq!(reader.read(&mut []).unwrap(), 0);
                assert!(reader.try_read(&mut [0; 8]).is_err());
            }
        }
        assert_eq!(origin.log().len(), sent, "nothing more is asked");
    }
}

#[test]
fn e7_forbidden_is_told_at_once_and_may_pass_later() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    origin.rule("/file", Rule::status(403, "not now").once());
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(AT)).unwrap();
    let io = reader.read(&mut [0; 16]).unwrap_err();
    assert_eq!(io.kind(), ErrorKind::PermissionDenied);
    check_at(&mut reader, AT, 100);
}

/// N4: `Retry-After` is kept to, in seconds and as a date, without holding a slot: with a single one, another
/// read is served meanwhile.
#[test]
fn n4_retry_after_is_honoured_and_holds_no_slot() {
    let second = Rule::status(429, "slow down").and(Rule::header("Retry-After", "1"));
    let date = Rule::status(503, "soon")
        .and(Rule::header("Date", "Sun, 06 Nov 1994 08:49:37 GMT"))
        .and(Rule::header("Retry-After", "Sun, 06 Nov 1994 08:49:38 GMT"));
    thread::scope(|scope| {
        for rule in [second, date] {
            scope.spawn(move || waits_a_second_while_another_reads(rule));
        }
    });
}

fn waits_a_second_while_another_reads(rule: Rule) {
    let origin = origin(16 * MIB);
    let mut config = frugal();
    config.tunables.fetch.max_fetches = 1;
    let session = open(&engine(config), &origin);
    origin.rule("/file", rule.starting_at(AT).once());
    let (mut patient, mut other) = (session.reader(), session.reader());
    thread::scope(|scope| {
        scope.spawn(|| check_at(&mut patient, AT, 100));
        origin.wait_until(|log| log.iter().any(|r| r.status != 206 && r.end.is_some()));
        check_at(&mut other, 4 * MIB, 100);
    });
    let log = origin.log();
    let asked: Vec<Instant> = log.iter().filter(|r| starts_at(r, AT)).map(|r| r.arrived).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked[1] - asked[0] >= Duration::from_secs(1), "{:?}", asked[1] - asked[0]);
    let between = log.iter().find(|r| starts_at(r, 4 * MIB)).unwrap().arrived;
    assert!(between < asked[1], "the other read did not wait for the pause to end");
}

#[test]
fn n4_a_retry_after_that_is_too_long_fails_at_once() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    origin.rule("/file", Rule::status(429, "no").and(Rule::header("Retry-After", "3600")).once());
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(AT)).unwrap();
    let error = failed_read(&mut reader);
    assert_eq!(network(&error).retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(network(&error).attempts, 1);
    assert!(!error.is_fatal());
    assert_eq!(requests_at(&origin, AT), 1);
    check_at(&mut reader, AT, 100);
}

/// N2, N3: silence ends a request; the next one asks only for what is missing.
#[test]
fn n2_a_body_that_falls_silent_is_asked_for_again_from_where_it_stopped() {
    let origin = origin(16 * MIB);
    let mut config = frugal();
    config.timeouts.idle = Duration::from_millis(700);
    let session = open(&engine(config), &origin);
    origin.rule("/file", Rule::stall_after(1000).starting_at(AT).once());
    check_at(&mut session.reader(), AT, 100_000);
    assert_eq!(requests_at(&origin, AT), 1);
    assert_eq!(requests_at(&origin, AT + 1000), 1);
}

#[test]
fn n2_a_body_that_stays_silent_is_told_as_a_timeout() {
    let origin = origin(16 * MIB);
    let mut config = frugal();
    config.timeouts.idle = Duration::from_millis(50);
    let session = open(&engine(config), &origin);
    origin.rule("/file", Rule::stall_after(0));
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(AT)).unwrap();
    let io = reader.read(&mut [0; 16]).unwrap_err();
    assert_eq!(io.kind(), ErrorKind::TimedOut);
    let error = Error::from_io(&io).unwrap();
    assert_eq!((network(error).stage, network(error).attempts), (Stage::Body, 3));
    origin.clear_rules("/file");
    check_at(&mut reader, AT, 100);
}

/// N2, defect 12: only silence ends a body, never its length in time. Another reader's requests, which get no
/// answer at all, show how often all the limits have passed meanwhile.
#[test]
fn n2_a_body_that_takes_longer_than_every_total_limit_does_not_die() {
    let origin = origin(16 * MIB);
    let mut config = frugal();
    config.timeouts.headers = Duration::from_millis(150);
    config.timeouts.object = Duration::from_millis(150);
    config.timeouts.connect = Duration::from_millis(150);
    let session = open(&engine(config), &origin);
    let (slow, never) = (Gate::new(), Gate::new());
    origin.rule("/file", Rule::gate_body(1000, &slow).starting_at(AT));
    origin.rule("/file", Rule::gate_head(&never).starting_at(4 * MIB));
    let (mut reader, mut unlucky) = (session.reader(), session.reader());
    check_at(&mut reader, AT, 1000);
    unlucky.seek(SeekFrom::Start(4 * MIB)).unwrap();
    let io = unlucky.read(&mut [0; 16]).unwrap_err();
    assert_eq!(io.kind(), ErrorKind::TimedOut);
    let error = Error::from_io(&io).unwrap();
    assert_eq!((network(error).stage, network(error).attempts), (Stage::Headers, 3));
    slow.open();
    check_at(&mut reader, AT, 100_000);
    assert_eq!(requests_at(&origin, AT), 1);
    assert_eq!(origin.log().sent_twice("/file"), 0);
}

/// N3: what arrived before a body broke is kept, and only the rest is asked for.
#[test]
fn n3_a_cut_body_is_asked_for_again_from_the_first_missing_byte() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    origin.rule("/file", Rule::close_after(70_000).starting_at(AT).once());
    origin.rule("/file", Rule::close_after(1).starting_at(AT + 70_000).once());
    let mut reader = session.reader();
    check_at(&mut reader, AT, 120_000);
    assert_eq!(requests_at(&origin, AT), 1);
    assert_eq!(requests_at(&origin, AT + 70_000), 1);
    assert_eq!(requests_at(&origin, AT + 70_001), 1);
    assert_eq!(origin.log().sent_twice("/file"), 0);
    assert_eq!(session.snapshot().bytes_wasted, 0);
}

/// N4: attempts count without progress; a line that breaks again and again, but brings bytes each time,
/// is no failure.
#[test]
fn n4_progress_starts_the_attempts_anew() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    origin.rule("/file", Rule::close_after(5000).times(20));
    check_at(&mut session.reader(), AT, 100_000);
    assert_eq!(origin.log().sent_twice("/file"), 0);
}

/// N5, defects 21 and 25: whatever the order of seeks, ranges on the wire are `first <= last`, inside the resource.
#[test]
fn n5_a_storm_of_far_seeks_sends_only_well_formed_ranges() {
    const LEN: u64 = 8 * MIB + 3;
    let origin = origin(LEN);
    let mut config = quick();
    config.tunables.readahead.whole_file = 0;
    config.tunables.fetch.demand_min = 4 << 10;
    config.tunables.fetch.demand_max = 16 << 10;
    let session = open(&engine(config), &origin);
    let mut reader = session.reader();
    let mut x = 7_u64;
    for step in 0..150_u64 {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = match step % 10 {
            0 => LEN - 1,
            5 => 0,
            _ => (x >> 33) % (LEN - 2000),
        };
        let len = (LEN - at).min(1500) as usize;
        check_at(&mut reader, at, len);
    }
    for request in origin.log().iter() {
        let (first, last) = request.range.unwrap_or_else(|| panic!("{:?}", request.range_header));
        assert!(last.is_some_and(|last| first <= last && last < LEN), "{:?}", request.range_header);
        assert_eq!(request.status, 206);
    }
}

/// Defect 19: an origin that pushes back while the user scrubs slows the session down, and nothing else.
#[test]
fn n4_429_while_scrubbing_does_not_kill_the_session() {
    let origin = origin(64 * MIB);
    let session = open(&engine(frugal()), &origin);
    let count = AtomicU64::new(0);
    let every_other = move |_: &_| count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
    origin.rule("/file", Rule::status(429, "too fast").when(every_other));
    let mut reader = session.reader();
    for step in 1..40 {
        check_at(&mut reader, step * 37 % 60 * MIB + step, 100);
    }
    assert!(origin.log().iter().filter(|request| request.status == 429).count() >= 20);
}

/// Defect 20: once the window is full, no body is held open; sockets idle between requests.
#[test]
fn d4_a_paused_session_holds_no_unfinished_body() {
    let origin = origin(64 * MIB);
    let mut config = quick();
    config.tunables.readahead.max_window = 4 * MIB;
    let session = open(&engine(config), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 0, 100_000);
    session.set_playing(false);
    let log = origin.wait_until(|log| log.running() == 0);
    assert!(log.iter().all(|request| request.is_finished()), "bodies ended at their bounds");
    assert!(log.body_bytes() < 16 * MIB, "{}", log.body_bytes());
    session.set_playing(true);
    check_at(&mut reader, 100_000, 1_000_000);
}
