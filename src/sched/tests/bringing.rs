//! Bytes that another engine brought: they cost no request, and nothing is learnt from them.

use super::told::{LEN, RESOURCE, Told, no_readahead};
use super::{KIB, MIB, cancelled, fast, ranges};
use crate::byte_range::ByteRange;
use crate::sched::sim::{Fault, ms};
use crate::sched::{Action, Event};

fn bytes(start: u64, end: u64) -> ByteRange {
    ByteRange::new(start, end)
}

fn brought(range: ByteRange) -> Event {
    Event::Brought { resource: RESOURCE, range }
}

#[test]
fn a7_what_another_engine_brought_is_not_asked_for() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.bring(bytes(0, 100 * MIB));
    sim.play(reader, 4_000_000);
    sim.run_for(ms(10_000));
    assert_eq!(sim.waits_from(reader, ms(0)), []);
    assert!(ranges(&sim).iter().all(|range| range.start >= 100 * MIB), "{:?}", ranges(&sim));
}

#[test]
fn a7_a_read_that_waits_for_what_another_engine_brings_waits_no_longer() {
    let mut sim = fast();
    sim.set_server(|server| server.always = Some(Fault::Stall(0)));
    let reader = sim.open_reader(50 * MIB);
    sim.read(reader);
    sim.run_for(ms(500));
    assert!(sim.is_waiting(reader));
    sim.bring(bytes(50 * MIB, 51 * MIB));
    assert!(!sim.is_waiting(reader));
}

#[test]
fn a7_a_fetch_all_of_whose_bytes_another_engine_brought_is_stopped() {
    let mut sim = fast();
    sim.hint(bytes(0, 2 * MIB), None);
    let [request] = sim.requests[..] else { panic!("{:?}", sim.requests) };
    sim.bring(request.range);
    assert_eq!(
        cancelled(&sim).iter().map(|(_, fetch)| *fetch).collect::<Vec<_>>(),
        [request.fetch]
    );
    sim.run_for(ms(2000));
    assert_eq!((sim.requests.len(), sim.counts.bytes), (1, 0));
}

#[test]
fn a7_a_fetch_ends_where_what_another_engine_brought_begins() {
    let mut sim = fast();
    sim.hint(bytes(0, 8 * MIB), None);
    let [request] = sim.requests[..] else { panic!("{:?}", sim.requests) };
    assert!(request.range.end > 512 * KIB);
    sim.bring(bytes(512 * KIB, 8 * MIB));
    sim.run_for(ms(3000));
    assert!(sim.has(bytes(0, 8 * MIB)));
    assert_eq!(sim.requests.len(), 1);
    // What was on its way when the server heard of it does not count: the cut is at the next chunk.
    assert!(sim.counts.bytes < 520 * KIB, "{}", sim.counts.bytes);
    assert!(sim.counts.twice < 8 * KIB, "{}", sim.counts.twice);
}

/// What lies beyond is asked for anew where that is sooner than to read on over what is stored.
#[test]
fn a7_a_fetch_far_from_what_is_missing_is_given_up() {
    let mut sim = fast();
    sim.fill(bytes(0, 64 * MIB));
    let first = sim.requests[0];
    sim.bring(bytes(0, first.range.end - 10 * KIB));
    assert_eq!(cancelled(&sim)[0].1, first.fetch);
    sim.run_for(ms(20_000));
    assert!(sim.has(bytes(0, 64 * MIB)));
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn a7_a_few_bytes_that_another_engine_brought_stop_nothing() {
    let mut sim = fast();
    sim.hint(bytes(0, 8 * MIB), None);
    sim.bring(bytes(0, 10 * KIB));
    sim.bring(bytes(100 * KIB, 110 * KIB));
    assert_eq!(cancelled(&sim), []);
    sim.run_for(ms(3000));
    assert!(sim.has(bytes(0, 8 * MIB)));
    assert_eq!(sim.counts.twice, 20 * KIB, "a body cannot skip");
}

#[test]
fn n12_nothing_is_learnt_from_what_another_engine_brought() {
    let mut told = Told::new(&[], no_readahead);
    let before = told.scheduler.estimate(super::told::ORIGIN);
    for start in 0..50 {
        told.at += 10;
        told.tell(brought(ByteRange::at(start * MIB, MIB)));
    }
    assert_eq!(told.scheduler.estimate(super::told::ORIGIN), before);
    assert_eq!(told.scheduler.view(RESOURCE).bytes_twice, 0);
}

#[test]
fn e3_the_end_is_told_when_another_engine_brought_the_last_byte() {
    let mut told = Told::new(&[bytes(0, LEN - 1)], no_readahead);
    let actions = told.tell(brought(bytes(LEN - 1, LEN)));
    assert!(matches!(actions[..], [Action::EndOfStream { resource: RESOURCE }]), "{actions:?}");
    assert!(told.tell(brought(bytes(0, LEN))).is_empty(), "once");
}

#[test]
fn a7_what_backed_off_is_no_longer_tried_once_it_is_there() {
    let mut sim = fast();
    sim.set_server(|server| server.always = Some(Fault::Cut(0)));
    let reader = sim.open_reader(0);
    sim.read(reader);
    sim.run_for(ms(1000));
    sim.bring(bytes(0, 256 * MIB));
    let asked = sim.requests.len();
    assert!(!sim.is_waiting(reader));
    sim.run_for(ms(100_000));
    assert_eq!(sim.requests.len(), asked);
    assert_eq!(sim.counts.ends, 1);
}
