//! Lengths: unknown, learnt, wrong, zero; and the end of the stream.

use super::{KIB, MIB, fast, ranges};
use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::ResourceId;
use crate::sched::sim::{Sim, ms};
use crate::sched::{Class, Event};

const RESOURCE: ResourceId = ResourceId(1);

#[test]
fn e3_the_end_is_told_once_and_only_when_everything_is_stored() {
    let mut sim = Sim::new(2 * MIB);
    let reader = sim.open_reader(2 * MIB - 10);
    sim.run_until_ready(reader);
    assert_eq!(sim.counts.ends, 0, "the tail is there, the rest is not");
    sim.run_for(ms(10_000));
    assert_eq!(sim.counts.ends, 1);
    sim.evict(ByteRange::new(0, 100));
    sim.seek(reader, 0);
    sim.run_until_ready(reader);
    sim.run_for(ms(10_000));
    assert_eq!(sim.counts.ends, 1, "at most once per generation");
}

#[test]
fn e3_the_end_is_told_at_once_where_everything_was_stored_before() {
    let mut sim = Sim::new(MIB).stored_before(&[ByteRange::new(0, MIB)]);
    assert_eq!(sim.counts.ends, 1);
    let reader = sim.open_reader(7);
    assert_eq!(sim.run_until_ready(reader), ms(0));
    assert_eq!(sim.requests, []);
}

#[test]
fn e3_an_empty_resource_ends_as_soon_as_its_length_is_known() {
    let mut sim = Sim::new(0);
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    assert_eq!((sim.counts.ends, sim.requests.len()), (1, 1));
    assert!(sim.errors(reader).is_empty());
}

#[test]
fn e3_a_new_generation_has_an_end_of_its_own() {
    let mut sim = Sim::new(MIB);
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(5000));
    sim.change_generation(MIB + 7);
    sim.seek(reader, 0);
    sim.run_until_ready(reader);
    sim.run_for(ms(5000));
    assert_eq!(sim.counts.ends, 2);
    assert_eq!(sim.scheduler.view(RESOURCE).bytes_twice, 0);
}

#[test]
fn e7_a_wait_survives_a_new_generation() {
    let mut sim = Sim::new(64 * MIB);
    let reader = sim.open_reader(9 * MIB);
    sim.read(reader);
    sim.run_for(ms(50));
    sim.change_generation(64 * MIB);
    sim.run_until_ready(reader);
    assert_eq!(ranges(&sim)[..2], [ByteRange::at(9 * MIB, 400_000); 2]);
    assert!(sim.errors(reader).is_empty());
}

/// Defect 21 of the peers: nothing is asked for past the end.
#[test]
fn n5_a_length_learnt_late_clips_what_is_wanted() {
    let mut sim = Sim::new(100 * KIB);
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(5000));
    assert_eq!(ranges(&sim), [ByteRange::new(0, 400_000)]);
    assert_eq!((sim.stored(), sim.counts.ends), (100 * KIB, 1));
}

#[test]
fn n5_a_length_below_everything_in_flight_stops_it() {
    let mut sim = Sim::new(100 * MIB);
    let reader = sim.open_reader(50 * MIB);
    sim.read(reader);
    sim.tell(Event::LenKnown { resource: RESOURCE, len: MIB });
    assert_eq!(super::cancelled(&sim).len(), 1);
    assert_eq!(sim.scheduler.view(RESOURCE).wanted, []);
    sim.tell(Event::LenKnown { resource: RESOURCE, len: 2 * MIB });
    assert_eq!(sim.scheduler.check(), Ok(()));
}

/// E9: while the length is unknown, nothing is asked for beyond what reads demand.
#[test]
fn e9_with_an_unknown_length_only_demands_are_fetched() {
    let mut sim = Sim::new(10 * MIB).rate(12_500_000).server(|server| server.tells_len = false);
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(5000));
    assert_eq!(sim.stored(), 400_000);
    sim.play(reader, 1 << 40);
    sim.run_for(ms(30_000));
    assert!(sim.requests.iter().all(|request| request.class == Class::Blocked));
    assert_eq!((sim.position(reader), sim.counts.ends), (10 * MIB, 1), "a refused range told it");
}

#[test]
fn n5_offsets_near_the_largest_do_not_wrap() {
    let mut sim = Sim::new(u64::MAX - 1).rate(12_500_000).stored_before(&[]);
    let reader = sim.open_reader(u64::MAX - 100_000);
    sim.run_until_ready(reader);
    sim.run_for(ms(5000));
    assert_eq!(ranges(&sim), [ByteRange::new(u64::MAX - 100_000, u64::MAX - 1)]);
}

#[test]
fn e6_a_resource_above_4_gib_is_read_anywhere() {
    let mut sim = Sim::new(6 << 30).rate(12_500_000).stored_before(&[]);
    let reader = sim.open_reader((5 << 30) + 3);
    sim.run_until_ready(reader);
    assert_eq!(ranges(&sim)[0].start, (5 << 30) + 3);
}

#[test]
fn a5_offline_nothing_is_ever_sent_and_a_hole_is_told_with_its_range() {
    let stored = [ByteRange::new(0, MIB), ByteRange::new(MIB + 1000, 2 * MIB)];
    let mut sim = Sim::new(64 * MIB).stored_before(&stored).offline();
    let reader = sim.open_reader(0);
    sim.play(reader, 1 << 40);
    sim.run_for(ms(1000));
    let miss = |range: std::ops::Range<u64>| move |error: &Error| matches!(error, Error::OfflineMiss { range: r } if *r == range);
    assert!(sim.errors(reader).iter().all(miss(MIB..MIB + 1000)), "{:?}", sim.errors(reader));
    assert_eq!(sim.errors(reader).len(), 1);
    sim.stop(reader);
    sim.seek(reader, 3 * MIB);
    sim.run_until_ready(reader);
    assert!(sim.errors(reader).last().is_some_and(miss(3 * MIB..3 * MIB + 32 * KIB)));
    let fill = sim.fill(ByteRange::new(100, 2 * MIB));
    assert!(!sim.is_waiting(fill));
    sim.hint(ByteRange::new(5 * MIB, 6 * MIB), None);
    sim.run_for(ms(10_000));
    assert_eq!(sim.requests, []);
}

#[test]
fn s2_bytes_that_are_gone_are_fetched_again_when_wanted() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(1000));
    sim.evict(ByteRange::new(300_000, 360_000));
    sim.seek(reader, 320_000);
    sim.run_until_ready(reader);
    assert!(ranges(&sim).contains(&ByteRange::new(320_000, 360_000)));
}
