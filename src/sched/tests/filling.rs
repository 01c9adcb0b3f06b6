//! Filling: the whole of a range, in no hurry.

use super::{MIB, cancelled, fast, of_class, ranges};
use crate::byte_range::ByteRange;
use crate::sched::Class;
use crate::sched::event::Remedy;
use crate::sched::sim::{Fault, Sim, ms};

#[test]
fn e6_filling_fetches_only_the_holes_and_ends_with_the_end_of_stream() {
    let stored = [ByteRange::new(MIB, 3 * MIB), ByteRange::new(5 * MIB, 6 * MIB)];
    let mut sim = Sim::new(16 * MIB).rate(12_500_000).stored_before(&stored);
    let fill = sim.fill(ByteRange::new(0, 16 * MIB));
    sim.run_for(ms(5000));
    assert!(!sim.is_waiting(fill));
    assert_eq!((sim.counts.ends, sim.counts.twice), (1, 0));
    assert_eq!(sim.counts.bytes, 13 * MIB);
    assert!(sim.requests.iter().all(|request| request.class == Class::Fill));
    assert_eq!(ranges(&sim)[..2], [ByteRange::new(0, MIB), ByteRange::new(3 * MIB, 5 * MIB)]);
}

#[test]
fn p1_filling_stands_back_behind_a_reader() {
    let mut sim = fast();
    sim.fill(ByteRange::new(0, 200 * MIB));
    sim.run_for(ms(3000));
    let reader = sim.open_reader(220 * MIB);
    let waited = sim.run_until_ready(reader);
    assert!(waited <= ms(250), "{waited:?}");
    let from = sim.now() + ms(2000);
    sim.play(reader, 500_000);
    sim.run_for(ms(20_000));
    assert_eq!(sim.waits_from(reader, from), []);
}

#[test]
fn e7_filling_fails_when_the_attempts_are_used_up() {
    let mut sim = fast();
    sim.set_server(|server| server.always = Some(Fault::Fail(Remedy::Retry { after: None })));
    let fill = sim.fill(ByteRange::new(0, 200 * MIB));
    sim.run_for(ms(20_000));
    assert_eq!((sim.errors(fill).len(), sim.requests.len()), (1, 5));
    sim.set_server(|server| server.always = None);
    sim.fill(ByteRange::new(0, MIB));
    sim.run_for(ms(2000));
    assert!(sim.has(ByteRange::new(0, MIB)), "a later one tries again at once");
}

#[test]
fn d2_filling_that_is_withdrawn_stops() {
    let mut sim = fast();
    let fill = sim.fill(ByteRange::new(0, 200 * MIB));
    sim.run_for(ms(3000));
    sim.close_reader(fill);
    sim.run_for(ms(100));
    assert!(!cancelled(&sim).is_empty());
    let asked = of_class(&sim, Class::Fill).len();
    sim.run_for(ms(10_000));
    assert_eq!(of_class(&sim, Class::Fill).len(), asked);
}
