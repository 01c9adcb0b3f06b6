//! A blocked read: one request, at the exact byte, woken by its first byte.

use super::{KIB, MIB, fast, of_class, ranges};
use crate::byte_range::ByteRange;
use crate::ids::Lane;
use crate::sched::Class;
use crate::sched::sim::{Sim, ms};

#[test]
fn p3_a_seek_costs_no_request() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    for to in [0, 100 * MIB, 256 * MIB, 0, 77] {
        sim.seek(reader, to);
        sim.run_for(ms(50));
    }
    assert_eq!(sim.requests, []);
}

#[test]
fn p3_a_blocked_read_in_a_hole_costs_one_request_at_the_exact_byte_and_one_round_trip() {
    let mut sim = fast();
    let reader = sim.open_reader(12_345);
    let cold = sim.run_until_ready(reader);
    assert!(cold >= ms(200) && cold <= ms(203), "a new connection and one round trip: {cold:?}");
    sim.run_for(ms(500));
    let before = sim.requests.len();

    sim.seek(reader, 100 * MIB + 7);
    let warm = sim.run_until_ready(reader);

    assert!(warm >= ms(100) && warm <= ms(103), "one round trip: {warm:?}");
    let after = &sim.requests[before..];
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].range.start, 100 * MIB + 7);
    assert_eq!((after[0].class, after[0].lane), (Class::Blocked, Lane::Demand));
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn p3_before_anything_is_measured_the_first_request_is_two_round_trips_of_the_guess() {
    let mut sim = fast();
    let reader = sim.open_reader(5);
    sim.read(reader);
    assert_eq!(ranges(&sim), [ByteRange::new(5, 400_005)]);
}

#[test]
fn p3_the_first_request_ends_where_the_hole_ends() {
    let stored = [ByteRange::new(100 * KIB, 200 * KIB)];
    let mut sim = Sim::new(256 * MIB).stored_before(&stored);
    let reader = sim.open_reader(50 * KIB);
    sim.read(reader);
    assert_eq!(ranges(&sim), [ByteRange::new(50 * KIB, 100 * KIB)]);
    sim.run_for(ms(2000));
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn n5_a_request_never_goes_past_the_end() {
    let mut sim = fast();
    let reader = sim.open_reader(256 * MIB - 1);
    sim.run_until_ready(reader);
    assert_eq!(ranges(&sim)[0], ByteRange::new(256 * MIB - 1, 256 * MIB));
}

/// E4: the read is woken by its first byte, long before the request is done.
#[test]
fn e4_a_blocked_read_is_woken_by_its_first_byte() {
    let mut sim = Sim::new(256 * MIB).rate(100_000).stored_before(&[]);
    let reader = sim.open_reader(0);
    let waited = sim.run_until_ready(reader);
    assert!(waited < ms(400), "{waited:?}, and the request takes 4 s");
}

/// E6, defect 7 of the peers: one hole, one request.
#[test]
fn e6_two_readers_on_one_hole_make_one_request() {
    let mut sim = fast();
    let (one, other) = (sim.open_reader(9 * MIB), sim.open_reader(9 * MIB + 1000));
    sim.read(one);
    sim.read(other);
    sim.run_until_ready(one);
    sim.run_until_ready(other);
    assert_eq!(of_class(&sim, Class::Blocked).len(), 1);
    assert_eq!(sim.counts.twice, 0);
}

/// The same the other way round: the earlier byte is wanted later, and its request ends where the
/// running one begins.
#[test]
fn e6_a_read_just_before_a_running_request_ends_at_it() {
    let mut sim = fast();
    let (one, other) = (sim.open_reader(9 * MIB), sim.open_reader(9 * MIB - 1000));
    sim.read(one);
    sim.read(other);
    assert_eq!(ranges(&sim)[1], ByteRange::new(9 * MIB - 1000, 9 * MIB));
}

#[test]
fn p2_without_a_free_slot_the_longest_waiting_read_goes_first() {
    let mut sim = fast().slots(1);
    let late = sim.open_reader(90 * MIB);
    let readers = [sim.open_reader(50 * MIB), sim.open_reader(10 * MIB), late];
    for reader in readers {
        sim.read(reader);
        sim.run_for(ms(1));
    }
    for reader in readers {
        sim.run_until_ready(reader);
    }
    let blocked: Vec<u64> =
        of_class(&sim, Class::Blocked).iter().map(|request| request.range.start / MIB).collect();
    assert_eq!(blocked[..3], [50, 10, 90]);
}

#[test]
fn p8_without_read_ahead_each_miss_costs_one_request_and_nothing_else_is_fetched() {
    let mut sim = fast().tuned(|tunables| tunables.readahead.enabled = false);
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(3000));
    assert_eq!(ranges(&sim), [ByteRange::new(0, 400_000)]);
    sim.play(reader, 1_000_000);
    sim.run_for(ms(3000));
    assert!(sim.requests.iter().all(|request| request.class == Class::Blocked));
}
