//! Wait or open: whether a blocked read waits for a running fetch.

use super::{KIB, MIB, fast, of_class};
use crate::byte_range::ByteRange;
use crate::ids::ReaderId;
use crate::sched::Class;
use crate::sched::sim::{Fault, Sim, ms};

/// A reader with a long request running in front of it, on a link of `rate` bytes per second.
fn streaming(rate: u64) -> (Sim, ReaderId) {
    let mut sim = Sim::new(256 * MIB).rate(rate).stored_before(&[]);
    sim.hint(ByteRange::new(0, 8 * MIB), None);
    sim.run_for(ms(2000));
    let at = sim.stored();
    let reader = sim.open_reader(at);
    (sim, reader)
}

#[test]
fn p3_a_read_a_little_ahead_of_a_fast_fetch_waits_for_it() {
    let (mut sim, reader) = streaming(2_000_000);
    let at = sim.stored();
    sim.seek(reader, at + 200_000);
    let asked = sim.requests.len();
    let waited = sim.run_until_ready(reader);
    assert_eq!(of_class(&sim, Class::Blocked).len(), 0, "{:?}", &sim.requests[asked..]);
    assert!(waited < ms(150), "{waited:?}");
}

#[test]
fn p3_the_same_distance_ahead_of_a_slow_fetch_opens_a_new_one() {
    let (mut sim, reader) = streaming(200_000);
    let at = sim.stored();
    sim.seek(reader, at + 200_000);
    let waited = sim.run_until_ready(reader);
    assert_eq!(of_class(&sim, Class::Blocked)[0].range.start, at + 200_000);
    assert!(waited < ms(600), "{waited:?}, and the running one needs a second");
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn p3_a_read_very_near_a_running_fetch_always_waits() {
    let (mut sim, reader) = streaming(20_000);
    let at = sim.stored();
    sim.seek(reader, at + 60 * KIB);
    sim.run_until_ready(reader);
    assert_eq!(of_class(&sim, Class::Blocked).len(), 0);
}

#[test]
fn p3_a_read_very_far_ahead_of_a_running_fetch_never_waits() {
    let mut sim = Sim::new(256 * MIB).rate(100_000_000).stored_before(&[]);
    sim = sim.tuned(|tunables| tunables.fetch.wait_max = 100 * KIB);
    sim.hint(ByteRange::new(0, 8 * MIB), None);
    sim.run_for(ms(250));
    let at = sim.stored();
    let reader = sim.open_reader(at + 110 * KIB);
    sim.read(reader);
    assert_eq!(of_class(&sim, Class::Blocked).len(), 1);
}

#[test]
fn p3_a_fetch_that_falls_behind_while_a_read_waits_is_overtaken() {
    let (mut sim, reader) = streaming(2_000_000);
    let at = sim.stored();
    sim.seek(reader, at + 200_000);
    sim.read(reader);
    sim.run_for(ms(1));
    assert_eq!(of_class(&sim, Class::Blocked).len(), 0, "at first it waits");
    sim.stall_all();
    let waited = sim.run_until_ready(reader);
    assert_eq!(of_class(&sim, Class::Blocked).len(), 1);
    assert!(waited < ms(1200), "{waited:?}, and the running one is silent for 10 s");
}

/// P6: where a new request begins within a running one, the running one ends there.
#[test]
fn p6_a_running_fetch_ends_where_a_newer_one_has_taken_over() {
    let (mut sim, reader) = streaming(200_000);
    let at = sim.stored();
    let running = sim.requests[0];
    sim.seek(reader, at + 200_000);
    sim.run_until_ready(reader);
    sim.run_for(ms(120_000));
    assert!(super::cancelled(&sim).iter().any(|(_, fetch)| *fetch == running.fetch));
    assert!(sim.counts.twice < 14 * KIB, "no more than the chunk that crossed the border");
    assert!(sim.has(ByteRange::new(0, 8 * MIB)), "what it was stopped short of came all the same");
}

#[test]
fn p3_a_read_waits_for_a_fetch_that_is_about_to_begin() {
    let mut sim = fast().tuned(|tunables| tunables.fetch.preconnect = false);
    let (one, other) = (sim.open_reader(MIB), sim.open_reader(MIB + 100_000));
    sim.read(one);
    sim.run_for(ms(150));
    sim.read(other);
    sim.run_until_ready(other);
    assert_eq!(of_class(&sim, Class::Blocked).len(), 1);
}

#[test]
fn p3_an_answer_that_does_not_come_is_not_waited_for_at_a_distance() {
    let mut sim = fast().fault(1, Fault::Stall(0));
    sim = sim.tuned(|tunables| tunables.hedging.enabled = false);
    let (one, other) = (sim.open_reader(MIB), sim.open_reader(MIB + 100_000));
    sim.read(one);
    sim.run_for(ms(10));
    sim.read(other);
    let waited = sim.run_until_ready(other);
    assert!(waited < ms(1500), "{waited:?}");
    assert_eq!(of_class(&sim, Class::Blocked)[1].range.start, MIB + 100_000);
}
