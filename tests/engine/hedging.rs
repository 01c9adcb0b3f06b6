//! P7: a second request beside a late one, over another connection; P6: what that costs.

use std::io::Read;
use std::thread;
use std::time::Duration;

use crate::stage::*;
use crate::support::*;

/// Asks twice after a short silence. Nothing is read ahead.
fn impatient() -> Config {
    let mut config = frugal();
    config.tunables.hedging.enabled = true;
    config.tunables.hedging.delay = Duration::from_millis(50);
    config
}

/// The requests for a range that begins at `offset`.
fn asked_at(origin: &Origin, offset: u64) -> Vec<Logged> {
    origin.log().iter().filter(|request| starts_at(request, offset)).cloned().collect()
}

/// The gate stays closed until the read has been served.
#[test]
fn p7_a_read_is_served_by_a_second_request_while_the_first_has_no_answer() {
    let origin = origin(16 * MIB);
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).starting_at(HOLE).once());
    let session = open(&engine(impatient()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, HOLE, 1000);
    origin.wait_until(|log| log.running() == 0);
    let both = asked_at(&origin, HOLE);
    assert_eq!(both.len(), 2);
    assert_ne!(both[0].connection, both[1].connection);
    assert_eq!(both[0].body_bytes, 0, "the first one was given up");
    assert!(both[1].is_finished());
    assert_eq!(origin.log().sent_twice("/file"), 0);
    until("the second one's end", || session.snapshot().in_flight.is_empty());
    let snapshot = session.snapshot();
    assert_eq!((snapshot.hedges, snapshot.bytes_wasted), (1, 0));
    gate.open();
}

/// The second one begins where the first one has stopped, and no byte comes twice.
#[test]
fn p7_a_read_is_served_by_a_second_request_while_the_first_is_silent() {
    let origin = origin(16 * MIB);
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_body(1000, &gate).starting_at(HOLE).once());
    let session = open(&engine(impatient()), &origin);
    let mut reader = session.reader();
    check_at(&mut reader, HOLE, 6000);
    origin.wait_until(|log| log.running() == 0);
    let second = asked_at(&origin, HOLE + 1000);
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].connection, asked_at(&origin, HOLE)[0].connection);
    assert_eq!(origin.log().sent_twice("/file"), 0);
    until("the count", || session.snapshot().hedges == 1);
    gate.open();
}

/// Both wait; the first is let on: its bytes are read, and the second one is stopped.
#[test]
fn p7_the_first_request_serves_the_read_if_it_is_first_after_all() {
    let origin = origin(16 * MIB);
    let (first, second) = (Gate::new(), Gate::new());
    origin.rule("/file", Rule::gate_head(&first).starting_at(HOLE).once());
    origin.rule("/file", Rule::gate_head(&second).starting_at(HOLE).once());
    let session = open(&engine(impatient()), &origin);
    let mut reader = reader_at(&session, HOLE);
    thread::scope(|scope| {
        let read = scope.spawn(|| reader.read(&mut [0; 100]).unwrap());
        second.wait_arrived(1);
        first.open();
        assert!(read.join().unwrap() > 0);
    });
    origin.wait_until(|log| log.running() == 0);
    let both = asked_at(&origin, HOLE);
    assert_eq!(both.len(), 2);
    assert!(both[0].is_finished());
    assert_eq!(both[1].body_bytes, 0, "the second one was given up");
    assert_eq!(origin.log().sent_twice("/file"), 0);
    check_at(&mut reader, HOLE, 1000);
    second.open();
}

/// The second one fails: the read goes on waiting for the first.
#[test]
fn p7_a_second_request_that_fails_is_not_told() {
    let origin = origin(16 * MIB);
    let gate = Gate::new();
    origin.rule("/file", Rule::gate_head(&gate).starting_at(HOLE).once());
    origin.rule("/file", Rule::status(503, "busy").starting_at(HOLE).once());
    let session = open(&engine(impatient()), &origin);
    let mut reader = reader_at(&session, HOLE);
    thread::scope(|scope| {
        let read = scope.spawn(|| reader.read(&mut [0; 100]).unwrap());
        origin.wait_until(|log| {
            log.iter().any(|request| request.status == 503 && request.is_finished())
        });
        gate.open();
        assert!(read.join().unwrap() > 0);
    });
    check_at(&mut reader, HOLE, 1000);
    until("the count", || session.snapshot().hedges == 1);
}
