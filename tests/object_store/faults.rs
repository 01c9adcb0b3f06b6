//! What is missing, forbidden, broken, or never comes.

use std::sync::atomic::Ordering;

use crate::watched::{Rule, Watched};
use crate::*;

#[test]
fn e7_a_missing_object_is_not_found_and_asked_for_once() {
    let store = Watched::new(Arc::new(InMemory::new()));
    let error = engine(quick()).open_blocking(source(store.clone())).map(drop).unwrap_err();
    assert_eq!(status(&error), Some(404));
    assert!(error.is_fatal());
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
    assert_eq!(store.log().len(), 1);
}

#[test]
fn e12_what_is_forbidden_is_typed_and_asked_for_once() {
    let store = Watched::with(memory(LEN), |_, _| Rule::Deny);
    let error = engine(quick()).open_blocking(source(store.clone())).map(drop).unwrap_err();
    assert_eq!(status(&error), Some(403));
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::PermissionDenied);
    assert_eq!(store.log().len(), 1);
}

/// N4: one failure costs one more request for the range, and a look at the length.
#[test]
fn n4_a_request_that_fails_is_made_again() {
    let store = Watched::with(memory(LEN), |number, _| match number {
        1 => Rule::Fail,
        _ => Rule::Serve,
    });
    let session = open(&engine(frugal()), store.clone());
    check_at(&mut session.reader(), 2 * MIB, 1000);
    let log = store.log();
    let heads: Vec<bool> = log.iter().map(|asked| asked.head).collect();
    assert_eq!(heads, [false, false, true, false], "{log:?}");
    let start = |number: usize| log[number].range.clone().map(|range| range.start);
    assert_eq!((start(1), start(3)), (Some(2 * MIB), Some(2 * MIB)));
}

/// N4: as often as configured, and not that often times something else.
#[test]
fn n4_attempts_are_counted_once() {
    let store = Watched::with(memory(LEN), |number, asked| match number {
        0 => Rule::Serve,
        _ if asked.head => Rule::Serve,
        _ => Rule::Fail,
    });
    let session = open(&engine(frugal()), store.clone());
    let mut reader = session.reader();
    reader.seek(SeekFrom::Start(2 * MIB)).unwrap();
    let Error::Network(error) = failed_read(&mut reader) else { panic!("of the network") };
    assert_eq!(error.attempts, 3);
    let again = store.log().iter().skip(1).filter(|asked| !asked.head).count();
    assert_eq!(again, 3);
}

/// N3: what came is kept, and the rest asked for from there.
#[test]
fn n3_a_body_that_breaks_goes_on_at_the_first_missing_byte() {
    for rule in [Rule::BreakAfter(1000), Rule::EndAfter(1000)] {
        let store = Watched::with(memory(LEN), move |number, _| match number {
            1 => rule,
            _ => Rule::Serve,
        });
        let session = open(&engine(frugal()), store.clone());
        check_at(&mut session.reader(), 2 * MIB, 5000);
        let starts: Vec<u64> = store
            .log()
            .iter()
            .filter_map(|asked| asked.range.clone())
            .map(|range| range.start)
            .collect();
        assert_eq!(starts[1..], [2 * MIB, 2 * MIB + 1000], "{rule:?}");
    }
}

/// D1: nothing is left of a request once its session is gone.
#[test]
fn d1_dropping_the_session_drops_its_requests() {
    let store = Watched::with(memory(LEN), |number, _| match number {
        0 => Rule::Serve,
        _ => Rule::Hang,
    });
    let engine = engine(frugal());
    let session = open(&engine, store.clone());
    let mut reader = session.reader();
    let token = session.cancel_token();
    let reading = std::thread::spawn(move || {
        reader.seek(SeekFrom::Start(2 * MIB)).unwrap();
        failed_read(&mut reader)
    });
    let hangs = |count| {
        while store.hanging.load(Ordering::SeqCst) != count {
            std::thread::yield_now();
        }
    };
    hangs(1);
    token.cancel();
    assert!(matches!(reading.join().unwrap(), Error::Cancelled));
    drop(session);
    hangs(0);
}

/// N2: a store that says nothing is given up after the time that is configured.
#[test]
fn n2_a_store_that_says_nothing_is_given_up() {
    let store = Watched::with(memory(LEN), |_, _| Rule::Hang);
    let mut config = quick();
    config.timeouts.headers = Duration::from_millis(20);
    config.tunables.retry.max_attempts = 1;
    let error = engine(config).open_blocking(source(store)).map(drop).unwrap_err();
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
}
