//! A fetch that is overtaken: which of the two brings the bytes, and that none comes twice.

use super::{KIB, MIB, cancelled, of_class};
use crate::byte_range::ByteRange;
use crate::ids::ReaderId;
use crate::sched::Class;
use crate::sched::sim::{Fault, Sim, ms};

/// A reader with a long request running in front of it, on a link of `rate` bytes per second. Nothing is
/// hedged, so that each further request is one that overtakes.
fn streaming(round_trip: u64, rate: u64) -> (Sim, ReaderId) {
    let mut sim = Sim::new(256 * MIB).latency(ms(round_trip)).rate(rate).stored_before(&[]);
    sim = sim.tuned(|tunables| tunables.hedging.enabled = false);
    sim.hint(ByteRange::new(0, 8 * MIB), None);
    sim.run_for(ms(2000));
    let at = sim.stored();
    let reader = sim.open_reader(at);
    (sim, reader)
}

/// On a short link a new request costs next to nothing, but a moment's silence says nothing: the
/// machine was busy.
#[test]
fn p6_a_moment_of_silence_is_no_reason_to_overtake() {
    let (mut sim, reader) = streaming(1, 2_000_000);
    let at = sim.stored();
    sim.seek(reader, at + 30 * KIB);
    sim.hold_up(ms(200));
    sim.seek(reader, at + 66 * KIB);
    sim.read(reader);
    sim.run_until_ready(reader);
    assert_eq!(of_class(&sim, Class::Blocked), []);
    assert_eq!(sim.counts.twice, 0);
}

/// The same before the first byte: an answer that is late by less than a stall is still waited for.
#[test]
fn p6_an_answer_a_moment_late_is_no_reason_to_overtake() {
    let mut sim = Sim::new(256 * MIB).latency(ms(1)).rate(100_000_000).stored_before(&[]);
    let one = sim.open_reader(0);
    for place in 1..10 {
        sim.seek(one, place * 10 * MIB);
        sim.run_until_ready(one);
        sim.run_for(ms(1000));
    }
    sim.set_server(|server| server.think = ms(200));
    let (two, three) = (sim.open_reader(200 * MIB), sim.open_reader(200 * MIB + 100 * KIB));
    let asked = of_class(&sim, Class::Blocked).len();
    sim.read(two);
    sim.read(three);
    sim.run_until_ready(three);
    assert_eq!(of_class(&sim, Class::Blocked).len(), asked + 1);
    assert_eq!(sim.counts.twice, 0);
}

/// The new request was a mistake: the running one brings the byte first, and so keeps the rest too.
#[test]
fn p6_an_overtaken_fetch_that_gets_there_first_goes_on() {
    let (mut sim, reader) = streaming(100, 200_000);
    let (at, running) = (sim.stored(), sim.requests[0]);
    sim.set_server(|server| server.think = ms(5000));
    sim.seek(reader, at + 200_000);
    let waited = sim.run_until_ready(reader);
    let overtaking = of_class(&sim, Class::Blocked)[0];
    assert_eq!(overtaking.range.start, at + 200_000);
    assert!(waited < ms(1200), "{waited:?}: the new one needs 5 s");
    let gone: Vec<_> = cancelled(&sim).iter().map(|(_, fetch)| *fetch).collect();
    assert_eq!(gone, [overtaking.fetch]);
    sim.run_for(ms(60_000));
    assert!(sim.has(running.range), "it brought all that it was asked for");
    assert!(!cancelled(&sim).iter().any(|(_, fetch)| *fetch == running.fetch));
    assert_eq!(sim.counts.twice, 0);
}

/// The new request failed before the running one got there.
#[test]
fn p6_an_overtaken_fetch_goes_on_where_the_other_one_has_failed() {
    let (mut sim, reader) = streaming(100, 200_000);
    let (at, running) = (sim.stored(), sim.requests[0]);
    sim.set_server(|server| server.next = Some(Fault::Cut(0)));
    sim.set_server(|server| server.think = ms(300));
    sim.seek(reader, at + 200_000);
    sim.run_until_ready(reader);
    sim.run_for(ms(60_000));
    assert!(sim.has(running.range));
    assert_eq!(sim.counts.twice, 0);
}
