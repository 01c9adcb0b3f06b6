//! A server without ranges: one sequential body.

use super::{KIB, MIB, cancelled};
use crate::byte_range::ByteRange;
use crate::ids::ResourceId;
use crate::sched::sim::{Fault, Sim, ms};
use crate::sched::{Action, TimeoutReason};

const LEN: u64 = 24 * MIB;

fn whole() -> Sim {
    Sim::new(LEN).rate(12_500_000).server(|server| server.ranges = false)
}

fn pauses(sim: &Sim) -> Vec<bool> {
    let pause = |(_, action): &(_, Action)| match action {
        Action::PauseFetch { paused, .. } => Some(*paused),
        _ => None,
    };
    sim.actions.iter().filter_map(pause).collect()
}

#[test]
fn e10_a_forward_read_waits_for_the_one_body_and_a_backward_one_is_free() {
    let mut sim = whole();
    let reader = sim.open_reader(5 * MIB);
    let waited = sim.run_until_ready(reader);
    assert!(waited > ms(500), "5 MiB at 12.5 MB/s: {waited:?}");
    assert!(!sim.scheduler.view(ResourceId(1)).ranges);
    sim.seek(reader, 20 * MIB);
    sim.run_until_ready(reader);
    sim.seek(reader, MIB);
    assert_eq!(sim.run_until_ready(reader), ms(0));
    sim.run_for(ms(5000));
    assert_eq!((sim.requests.len(), sim.counts.twice, sim.counts.ends), (1, 0, 1));
    assert!(sim.has(ByteRange::new(0, LEN)), "every byte is kept");
}

#[test]
fn e10_two_first_requests_leave_one_body() {
    let mut sim = whole();
    let (one, other) = (sim.open_reader(0), sim.open_reader(10 * MIB));
    sim.read(one);
    sim.read(other);
    assert_eq!(sim.requests.len(), 2);
    sim.run_until_ready(other);
    sim.run_for(ms(5000));
    assert_eq!(cancelled(&sim).len(), 1);
    assert_eq!((sim.requests.len(), sim.counts.ends), (2, 1));
}

#[test]
fn e10_a_body_that_breaks_begins_again_and_what_comes_twice_is_counted() {
    let mut sim = whole().fault(1, Fault::Cut(6 * MIB));
    let reader = sim.open_reader(0);
    sim.play(reader, 1 << 40);
    sim.run_for(ms(8000));
    assert_eq!(sim.position(reader), LEN);
    assert_eq!(sim.counts.twice, 6 * MIB);
    assert_eq!(sim.scheduler.view(ResourceId(1)).bytes_twice, 6 * MIB);
    assert!(sim.errors(reader).is_empty());
}

#[test]
fn e10_bodies_that_always_break_at_the_same_place_end_in_an_error() {
    let mut sim = whole();
    sim.set_server(|server| server.always = Some(Fault::Cut(MIB)));
    let reader = sim.open_reader(2 * MIB);
    sim.run_until_ready(reader);
    assert_eq!(sim.errors(reader).len(), 1);
    assert_eq!(sim.requests.len(), 5, "what comes again is no progress");
}

#[test]
fn e10_a_read_behind_the_body_that_is_gone_begins_it_again() {
    let mut sim = whole();
    let reader = sim.open_reader(10 * MIB);
    sim.run_until_ready(reader);
    sim.evict(ByteRange::new(MIB, 2 * MIB));
    sim.seek(reader, MIB);
    sim.run_until_ready(reader);
    assert_eq!((cancelled(&sim).len(), sim.requests.len()), (1, 2));
    sim.run_for(ms(5000));
    assert!(sim.has(ByteRange::new(0, LEN)));
}

/// D4: an unbounded body far ahead of its reader is left unread for 5 s, and then dropped.
#[test]
fn d4_a_body_far_ahead_of_everybody_is_paused_and_dropped_after_5_s() {
    let mut sim = whole().tuned(|tunables| {
        tunables.readahead.max_window = 4 * MIB;
        tunables.fetch.speculation_budget = 4 * MIB;
    });
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(1000));
    assert_eq!(pauses(&sim), [true]);
    let stored = sim.stored();
    assert!((4 * MIB..6 * MIB).contains(&stored), "{stored}");
    assert_eq!(sim.scheduler.next_timeout().map(|(_, why)| why), Some(TimeoutReason::PausedBody));
    let paused_at = sim.scheduler.next_timeout().map(|(at, _)| at - ms(5000));
    sim.run_for(ms(10_000));
    let stopped = cancelled(&sim);
    assert_eq!(stopped.iter().map(|(at, _)| Some(*at - ms(5000))).collect::<Vec<_>>(), [paused_at]);
    assert_eq!(sim.scheduler.next_timeout(), None);
    sim.seek(reader, 6 * MIB);
    sim.run_until_ready(reader);
    assert_eq!(sim.requests.len(), 2, "a later read begins again");
}

#[test]
fn d4_a_paused_body_goes_on_when_its_reader_comes_near() {
    let mut sim = whole().tuned(|tunables| {
        tunables.readahead.max_window = 4 * MIB;
        tunables.fetch.speculation_budget = 4 * MIB;
    });
    let reader = sim.open_reader(0);
    sim.play(reader, 2_000_000);
    sim.run_for(ms(14_000));
    assert_eq!((sim.position(reader), sim.requests.len()), (LEN, 1));
    assert!(pauses(&sim).len() >= 4, "{:?}", pauses(&sim));
    assert!(pauses(&sim).chunks(2).all(|pair| pair[0] && pair.get(1) != Some(&true)));
    assert_eq!(sim.waits_from(reader, ms(1000)), [], "refilled at half");
}

#[test]
fn e10_filling_waits_for_the_body_too() {
    let mut sim = whole();
    let fill = sim.fill(ByteRange::new(0, LEN));
    sim.run_for(ms(5000));
    assert!(!sim.is_waiting(fill));
    assert_eq!(sim.requests.len(), 1);
}

/// Found by a random world: the request reached to the first of two waits only.
#[test]
fn e9_a_body_that_begins_again_serves_every_wait() {
    let mut sim = whole().server(|server| server.tells_len = false).fault(1, Fault::Cut(100));
    let (one, other) = (sim.open_reader(MIB), sim.open_reader(20 * MIB));
    sim.read(one);
    sim.run_for(ms(150));
    sim.read(other);
    sim.run_until_ready(other);
    sim.run_until_ready(one);
    assert_eq!(sim.errors(one).len() + sim.errors(other).len(), 0);
}

#[test]
fn e9_a_whole_body_of_unknown_length_is_read_while_it_comes() {
    let mut sim = whole().server(|server| server.tells_len = false);
    let reader = sim.open_reader(0);
    assert!(sim.run_until_ready(reader) < ms(210));
    sim.seek(reader, 300 * KIB);
    sim.run_until_ready(reader);
    assert_eq!(sim.requests.len(), 1);
    assert_eq!(sim.counts.ends, 0);
}
