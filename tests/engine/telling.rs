//! What a session tells: E3 and P9; and what it is told: hints, prefetches, rates.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::time::Duration;

use kithara_file::{Purpose, Snapshot};

use crate::stage::*;
use crate::support::*;

/// Waits until nothing runs and nothing is wanted, and gives the snapshot then.
#[track_caller]
fn at_rest(session: &Session, origin: &Origin) -> Snapshot {
    let mut last = session.snapshot();
    until("the engine to rest", || {
        last = session.snapshot();
        last.in_flight.is_empty() && last.wanted.is_empty() && origin.quiet()
    });
    last
}

/// Sorted, apart from each other, none empty.
#[track_caller]
fn assert_merged(spans: &[Range<u64>]) {
    assert!(spans.iter().all(|span| span.start < span.end), "{spans:?}");
    assert!(spans.windows(2).all(|pair| pair[0].end < pair[1].start), "{spans:?}");
}

fn bytes_in(spans: &[Range<u64>]) -> u64 {
    spans.iter().map(|span| span.end - span.start).sum()
}

#[test]
fn p9_a_snapshot_agrees_with_what_the_origin_saw() {
    let origin = origin(64 * MIB);
    // So small that each is left to finish: what a dropped one had sent would be on the wire, and nowhere else.
    let mut config = frugal();
    config.tunables.fetch.demand_min = 64 << 10;
    config.tunables.fetch.demand_max = 64 << 10;
    let session = open(&engine(config), &origin);
    let mut reader = session.reader();
    let mut other = session.reader();
    let opened = at_rest(&session, &origin);
    assert_eq!(opened.len, Some(64 * MIB));
    assert!(opened.ranges_supported && !opened.complete);
    assert_eq!((opened.bytes_read, opened.hits, opened.waits), (0, 0, 0));

    for at in [40 * MIB, 10 * MIB, 20 * MIB, 10 * MIB + 5] {
        check_at(&mut reader, at, 1000);
    }
    other.seek(SeekFrom::Start(20 * MIB)).unwrap();
    let snapshot = at_rest(&session, &origin);
    let log = origin.log();
    assert_merged(&snapshot.covered);
    assert_eq!(snapshot.covered, session.coverage());
    assert_eq!(snapshot.requests, log.len() as u64);
    // A connection that was made while another became free may not have carried a request yet.
    let used = log.connections.iter().filter(|connection| connection.requests > 0).count();
    assert_eq!(snapshot.connections, used as u64);
    assert_eq!(snapshot.bytes_fetched, log.body_bytes());
    assert_eq!(snapshot.bytes_wasted, 0);
    assert_eq!(bytes_in(&snapshot.covered), snapshot.bytes_fetched);
    assert_eq!(snapshot.bytes_read, 4000);
    // Each cursor's place, in the order in which the readers were made.
    assert_eq!(snapshot.cursors, [10 * MIB + 1005, 20 * MIB]);
    assert_eq!(snapshot.waits, 3, "the fourth read found its bytes there");
    assert!(snapshot.hits >= 1);
    assert!(snapshot.first_byte_micros.is_some_and(|micros| micros > 0));
    for at in [10 * MIB, 20 * MIB, 40 * MIB] {
        assert!(snapshot.covered.iter().any(|span| span.contains(&at)), "{:?}", snapshot.covered);
    }
    drop(other);
    assert_eq!(session.snapshot().cursors, [10 * MIB + 1005]);
    drop(reader);
    let snapshot = session.snapshot();
    assert!(snapshot.cursors.is_empty());
    assert_eq!((snapshot.bytes_read, snapshot.waits), (4000, 3), "what is gone stays counted");
}

/// P9: requests that fail, and the check of a close-delimited end, are counted as the origin counts them.
#[test]
fn p9_every_request_is_counted() {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(300_000).no_ranges());
    origin.rule("/file", Rule::status(503, "busy").once());
    origin.rule("/file", Rule::framing(kithara_file::origin::Framing::Close));
    let session = open(&engine(quick()), &origin);
    check_to_end(&mut session.reader());
    let snapshot = at_rest(&session, &origin);
    assert_eq!(origin.log().len(), 3);
    assert_eq!(snapshot.requests, 3);
    assert_eq!(snapshot.bytes_fetched, 300_000);
}

#[test]
fn p9_a_blocked_read_shows_as_in_flight_and_as_nothing_afterwards() {
    let (origin, gate) = gated();
    let session = open(&engine(frugal()), &origin);
    at_rest(&session, &origin);
    let mut reader = reader_at(&session, HOLE);
    assert_eq!(reader.try_read(&mut [0; 10]).unwrap(), None);
    gate.wait_arrived(1);
    until("the request to show", || !session.snapshot().in_flight.is_empty());
    let snapshot = session.snapshot();
    assert_eq!(snapshot.in_flight.len(), 1);
    let span = &snapshot.in_flight[0];
    assert_eq!((span.range.start, span.purpose), (HOLE, Purpose::Read));
    let (first, last) = origin.log().last().unwrap().range.unwrap();
    assert_eq!(span.range, first..last.unwrap() + 1, "as the origin was asked");
    assert!(!snapshot.covered.iter().any(|span| span.contains(&HOLE)));
    gate.open();
    at_rest(&session, &origin);
    check_at(&mut reader, HOLE, 1000);
}

/// P9: the first request knows no length; what it shows ends where the resource does.
#[test]
fn p9_nothing_past_the_length_shows_as_in_flight() {
    let origin = Origin::start();
    origin.put("/file", Content::pattern(10_000));
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_body(5000, &gate));
    let session = open(&engine(frugal()), &origin);
    let spans: Vec<_> = session.snapshot().in_flight.into_iter().map(|span| span.range).collect();
    assert_eq!(spans, std::slice::from_ref(&(0..10_000)));
    gate.open();
    at_rest(&session, &origin);
}

/// P9: a wait without reading is no cursor.
#[test]
fn p9_a_pending_ready_at_shows_no_cursor() {
    let (origin, gate) = gated();
    let session = open(&engine(frugal()), &origin);
    let reader = reader_at(&session, 3);
    let mut ready = Box::pin(reader.ready_at(HOLE));
    assert!(poll_once(&mut ready).is_pending());
    gate.wait_arrived(1);
    assert_eq!(session.snapshot().cursors, [3]);
    gate.open();
    assert_eq!(block_on(ready).unwrap().unwrap().start, HOLE);
}

#[test]
fn p9_wanted_spans_are_sorted_and_merged_while_read_ahead_runs() {
    let origin = origin(256 * MIB);
    let mut config = quick();
    config.tunables.fetch.max_fetches = 2;
    let session = open(&engine(config), &origin);
    session.set_rate_hint(4 * MIB);
    let mut reader = session.reader();
    let mut buf = vec![0; 64 << 10];
    let mut seen_in_flight = false;
    for at in [100 * MIB, 30 * MIB, 200 * MIB] {
        reader.seek(SeekFrom::Start(at)).unwrap();
        for _ in 0..40 {
            assert!(reader.read(&mut buf).unwrap() > 0);
            let snapshot = session.snapshot();
            assert_merged(&snapshot.covered);
            assert_merged(&snapshot.wanted);
            let starts: Vec<u64> = snapshot.in_flight.iter().map(|one| one.range.start).collect();
            assert!(starts.is_sorted(), "{starts:?}");
            seen_in_flight |= !starts.is_empty();
        }
    }
    assert!(seen_in_flight);
    assert!(session.snapshot().window > 0);
}

#[test]
fn p9_a_session_tells_length_type_and_final_url_without_secrets() {
    let origin = Origin::start();
    let content = Content::pattern(5000).content_type("audio/flac");
    origin.put("/real", content);
    origin.put("/file", Content::pattern(1));
    origin.rule("/file", Rule::redirect(302, "/real?signature=secret"));
    let session = open(&engine(quick()), &origin);
    assert_eq!(session.len(), Some(5000));
    assert!(!session.is_empty());
    assert_eq!(session.content_type().as_deref(), Some("audio/flac"));
    let url = session.final_url().unwrap();
    assert!(url.starts_with(&origin.url("/real")) && !url.contains("secret"), "{url}");
    assert_eq!(check_to_end(&mut session.reader()), 5000);
    assert_eq!(session.coverage(), only(0..5000));
}

#[test]
fn p9_events_tell_the_story_in_order() {
    let origin = origin(3 * MIB);
    origin.rule("/file", Rule::close_after(50_000).starting_at(2 * MIB).once());
    let session = open(&engine(frugal()), &origin);
    let mut events = session.events();
    check_at(&mut session.reader(), 2 * MIB, 200_000);
    block_on(session.fetch_all()).unwrap();
    let (mut started, mut ended, mut failed, mut bytes) = (0, 0, 0, 0);
    let mut over = false;
    while !over {
        match block_on(events.next()).unwrap() {
            SessionEvent::FetchStarted { start, end } => {
                assert!(start < end && end <= 3 * MIB);
                started += 1;
            }
            SessionEvent::FetchEnded { error, bytes: of_this, .. } => {
                ended += 1;
                bytes += of_this;
                failed += u64::from(error.is_some());
            }
            SessionEvent::EndOfStream { len } => {
                assert_eq!(len, 3 * MIB);
                over = true;
            }
            SessionEvent::LengthKnown { len } => assert_eq!(len, 3 * MIB),
            other => panic!("{other:?}"),
        }
    }
    assert!(failed >= 1 && ended <= started + 1, "{failed} {ended} {started}");
    assert!(bytes <= 3 * MIB);
    drop(session);
    block_on(async {
        while let Some(event) = events.next().await {
            assert!(matches!(event, SessionEvent::FetchEnded { .. }), "{event:?}");
        }
    });
}

/// P9: a listener that never looks costs a bounded queue, stops nobody, and loses no terminal event.
#[test]
fn p9_events_are_lossy_but_for_the_terminal_ones() {
    let origin = origin(8 * MIB);
    let mut config = frugal();
    config.tunables.fetch.demand_min = 4 << 10;
    config.tunables.fetch.demand_max = 4 << 10;
    config.tunables.fetch.segment_max = 4 << 10;
    let session = open(&engine(config), &origin);
    let mut lazy = session.events();
    let mut reader = session.reader();
    for n in 0..200 {
        check_at(&mut reader, n * 40_000, 10);
    }
    let mut eager = session.events();
    assert!(eager.try_next().is_none(), "nothing terminal has happened");
    block_on(session.fetch_all()).unwrap();
    until_end_of_stream(&mut eager);
    // The last requests end after that; what they tell must not find room that was just made.
    at_rest(&session, &origin);
    let Some(SessionEvent::Missed { count }) = lazy.try_next() else { panic!("nothing missed") };
    let mut kept = 0;
    let mut ends = 0;
    while let Some(event) = lazy.try_next() {
        kept += 1;
        ends += u64::from(matches!(event, SessionEvent::EndOfStream { .. }));
    }
    assert!(kept <= 256 && count > 0 && ends == 1, "{kept} {count} {ends}");
}

/// E3: whoever listens later is told of the end that was, and a new session of a complete asset is told at once.
#[test]
fn e3_the_end_of_the_stream_is_told_to_whoever_comes_later() {
    let origin = origin(MIB);
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::builder().config(quick()).store_dir(dir.path()).build().unwrap();
    let session = open(&engine, &origin);
    block_on(session.fetch_all()).unwrap();
    assert_eq!(until_end_of_stream(&mut session.events()), MIB);
    let mut late = session.events();
    assert!(matches!(late.try_next(), Some(SessionEvent::EndOfStream { len: MIB })));
    assert!(late.try_next().is_none(), "once");
    block_on(session.close());
    let requests = origin.log().len();

    let session = open(&engine, &origin);
    assert_eq!(until_end_of_stream(&mut session.events()), MIB);
    assert!(session.snapshot().complete);
    assert_eq!(session.coverage(), only(0..MIB));
    assert_eq!(check_to_end(&mut session.reader()), MIB);
    block_on(session.fetch_all()).unwrap();
    assert_eq!(origin.log().len(), requests, "stored bytes need nobody");
}

/// P9: a subscription to a session that was cancelled ends, instead of waiting for what cannot come.
#[test]
fn p9_a_subscription_after_the_end_ends() {
    let origin = origin(MIB);
    let session = open(&engine(quick()), &origin);
    block_on(session.fetch_all()).unwrap();
    until_end_of_stream(&mut session.events());
    let mut before = session.events();
    session.cancel_token().cancel();
    block_on(async {
        let mut after = loop {
            // The token is heard on the engine's thread.
            match session.reader().try_read(&mut [0; 1]) {
                Err(Error::Cancelled) => break session.events(),
                _ => tokio::task::yield_now().await,
            }
        };
        assert!(matches!(after.next().await, Some(SessionEvent::EndOfStream { .. })));
        assert!(after.next().await.is_none());
        while before.next().await.is_some() {}
    });
}

#[test]
fn p9_a_fatal_failure_is_told_and_stays_told() {
    let origin = origin(16 * MIB);
    let session = open(&engine(frugal()), &origin);
    let mut events = session.events();
    origin.remove("/file");
    let error = failed_read(&mut reader_at(&session, HOLE));
    assert!(error.is_fatal(), "{error:?}");
    let failed = block_on(async {
        loop {
            match events.next().await.unwrap() {
                SessionEvent::Failed { error } => return error,
                _ => continue,
            }
        }
    });
    assert_eq!(failed.to_string(), error.to_string());
    assert!(matches!(session.events().try_next(), Some(SessionEvent::Failed { .. })));
    assert_eq!(failed_read(&mut session.reader()).to_string(), error.to_string());
}

/// P9: hinted bytes arrive without a read, and a read of them sends nothing.
#[test]
fn p9_hints_and_prefetches_bring_bytes_that_later_reads_find() {
    let origin = origin(64 * MIB);
    let session = open(&engine(frugal()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, 0, 100);
    at_rest(&session, &origin);
    let covers = |range: Range<u64>| {
        session.coverage().iter().any(|run| run.start <= range.start && range.end <= run.end)
    };

    session.hint_seek(30 * MIB);
    until("the hinted bytes", || covers(30 * MIB..30 * MIB + (64 << 10)));
    session.prefetch(50 * MIB..50 * MIB + 300_000, Some(Duration::from_secs(3600)));
    until("the prefetched bytes", || covers(50 * MIB..50 * MIB + 300_000));
    let before = at_rest(&session, &origin);
    assert_eq!(before.waits, session.snapshot().waits);
    let requests = origin.log().len();
    check_at(&mut reader, 30 * MIB, 64 << 10);
    check_at(&mut reader, 50 * MIB, 300_000);
    assert_eq!(origin.log().len(), requests);
    assert_eq!(session.snapshot().waits, before.waits, "no read had to wait");

    // A newer hover replaces the older; what lies behind the end, or is empty, is no hint.
    let gate = gate_at(&origin, 10 * MIB);
    session.hint_seek(10 * MIB);
    gate.wait_arrived(1);
    session.hint_seek(20 * MIB);
    until("the newer hint", || covers(20 * MIB..20 * MIB + 1000));
    gate.open();
    at_rest(&session, &origin);
    let requests = origin.log().len();
    session.prefetch(5..5, None);
    session.prefetch(64 * MIB..65 * MIB, None);
    session.prefetch(Range { start: 9, end: 3 }, None);
    session.prefetch(30 * MIB..30 * MIB + 1000, None);
    session.hint_seek(u64::MAX);
    check_at(&mut reader, 0, 100);
    at_rest(&session, &origin);
    assert_eq!(origin.log().len(), requests);
}

/// P8: a hint asks for as much as a read there would now, and not when the engine was built.
#[test]
fn p8_a_hint_follows_the_tunables_of_the_running_engine() {
    let origin = origin(64 * MIB);
    let engine = engine(frugal());
    let session = open(&engine, &origin);
    at_rest(&session, &origin);
    let mut tunables = frugal().tunables;
    tunables.fetch.demand_min = 8 << 10;
    engine.reconfigure(tunables).unwrap();
    session.hint_seek(30 * MIB);
    until("the hinted bytes", || session.coverage().iter().any(|run| run.start == 30 * MIB));
    at_rest(&session, &origin);
    let hinted = session.coverage().into_iter().find(|run| run.start == 30 * MIB);
    assert_eq!(hinted, Some(30 * MIB..30 * MIB + (8 << 10)));
}

/// P4: the declared rate decides how far is read ahead; playing and pausing change nothing about what is right.
#[test]
fn p4_a_declared_rate_widens_the_window() {
    let origin = origin(256 * MIB);
    let session = open(&engine(quick()), &origin);
    let mut reader = session.reader();
    session.set_rate_hint(200 << 10);
    check_at(&mut reader, 0, 200_000);
    until("a window", || session.snapshot().window > 0);
    at_rest(&session, &origin);
    let slow = session.snapshot().window;
    session.set_rate_hint(4 * MIB);
    until("a wider window", || session.snapshot().window > slow);
    session.set_playing(false);
    at_rest(&session, &origin);
    session.set_playing(true);
    session.set_rate_hint(0);
    check_at(&mut reader, 200_000, 1000);
}

#[test]
fn p9_fetch_all_brings_every_byte_once() {
    let origin = origin(24 * MIB + 7);
    let session = open(&engine(frugal()), &origin);
    check_at(&mut session.reader(), 10 * MIB, 1000);
    block_on(session.fetch_all()).unwrap();
    assert_eq!(session.coverage(), only(0..24 * MIB + 7));
    assert_eq!(origin.log().sent_twice("/file"), 0);
    let requests = origin.log().len();
    block_on(session.fetch_all()).unwrap();
    let mut reader = session.reader();
    assert_eq!(check_to_end(&mut reader), 24 * MIB + 7);
    assert_eq!(origin.log().len(), requests);
    let snapshot = at_rest(&session, &origin);
    assert_eq!((snapshot.bytes_fetched, snapshot.bytes_wasted), (24 * MIB + 7, 0));
    assert_eq!(snapshot.hits, snapshot.hits.max(1));
}

/// E5 and offsets near 2^64: no wait, no request, no panic.
#[test]
fn e5_offsets_near_the_largest_are_past_the_end() {
    let origin = origin(MIB);
    let session = open(&engine(frugal()), &origin);
    let reader = session.reader();
    for at in [MIB, u64::MAX - 1, u64::MAX] {
        assert_eq!(block_on(reader.ready_at(at)).unwrap(), None, "{at}");
    }
    assert_eq!(reader_at(&session, u64::MAX).read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(origin.log().len(), 1);
}

/// Defect 9: read-ahead begins with the first read, although that finds its bytes there.
#[test]
fn p4_reading_what_the_opening_request_brought_starts_the_read_ahead() {
    let origin = origin(256 * MIB);
    let mut config = quick();
    // Over loopback, what comes within two seconds may be all of it.
    config.tunables.readahead.whole_file = 0;
    let session = open(&engine(config), &origin);
    at_rest(&session, &origin);
    let opened = origin.log();
    assert_eq!(opened.len(), 1, "opening asks once");
    let mut reader = session.reader();
    let there = opened.body_bytes();
    let mut buf = vec![0; (there / 2) as usize];
    reader.read_exact(&mut buf).unwrap();
    // Byte by byte from here, so that the engine hears of it before they are used up.
    while origin.log().len() == 1 && reader.stream_position().unwrap() < there {
        reader.read_exact(&mut buf[..1]).unwrap();
        std::thread::yield_now();
    }
    origin.wait_until(|log| log.len() > 1);
    assert_eq!(session.snapshot().waits, 0, "nobody had to wait for that");
}
