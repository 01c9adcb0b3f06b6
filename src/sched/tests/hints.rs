//! Hints: fetched when there is room, forgotten when late.

use super::{MIB, cancelled, fast, of_class, ranges};
use crate::byte_range::ByteRange;
use crate::ids::{HintId, ResourceId};
use crate::sched::sim::ms;
use crate::sched::{Class, Event, TimeoutReason};

#[test]
fn p1_a_hinted_range_is_fetched_and_nothing_more() {
    let mut sim = fast();
    let range = ByteRange::new(100 * MIB + 3, 101 * MIB + 9);
    sim.hint(range, None);
    sim.run_for(ms(5000));
    assert_eq!(ranges(&sim), [range]);
    assert_eq!(of_class(&sim, Class::Hint).len(), 1);
    assert!(sim.has(range));
}

#[test]
fn p3_a_read_at_a_hinted_place_costs_nothing() {
    let mut sim = fast();
    sim.hint(ByteRange::at(100 * MIB, MIB), None);
    sim.run_for(ms(1000));
    let reader = sim.open_reader(100 * MIB);
    assert_eq!(sim.run_until_ready(reader), ms(0));
}

#[test]
fn p1_hints_go_in_the_order_of_their_deadlines() {
    let mut sim = fast().slots(1);
    let blocker = sim.open_reader(0);
    sim.read(blocker);
    for (place, deadline) in [(10, Some(ms(9000))), (20, Some(ms(5000))), (30, None)] {
        sim.hint(ByteRange::at(place * MIB, 1000), deadline);
    }
    sim.run_for(ms(4000));
    let order: Vec<u64> = of_class(&sim, Class::Hint).iter().map(|r| r.range.start / MIB).collect();
    assert_eq!(order, [20, 10, 30]);
}

#[test]
fn p1_a_hint_is_dropped_at_its_deadline() {
    let mut sim = fast();
    sim.hint(ByteRange::at(0, 200 * MIB), Some(ms(2000)));
    assert_eq!(sim.scheduler.next_timeout(), Some((ms(2000), TimeoutReason::HintExpiry)));
    sim.run_for(ms(2100));
    let asked = sim.requests.len();
    assert!(!cancelled(&sim).is_empty(), "what ran for it is stopped");
    sim.run_for(ms(10_000));
    assert_eq!(sim.requests.len(), asked);
    assert_eq!(sim.scheduler.next_timeout(), None);
}

#[test]
fn p1_a_hint_that_comes_too_late_is_ignored() {
    let mut sim = fast();
    sim.run_for(ms(10));
    sim.hint(ByteRange::at(0, MIB), Some(ms(10)));
    assert_eq!(sim.requests, []);
    assert_eq!(sim.scheduler.next_timeout(), None);
}

#[test]
fn p1_a_hint_of_the_same_name_replaces_the_one_before() {
    let mut sim = fast().slots(1);
    let blocker = sim.open_reader(200 * MIB);
    sim.read(blocker);
    for place in [10, 20] {
        let range = ByteRange::at(place * MIB, 1000);
        let resource = ResourceId(1);
        sim.tell(Event::Hinted { resource, hint: HintId(99), range, deadline: None });
    }
    sim.run_for(ms(3000));
    assert_eq!(of_class(&sim, Class::Hint).len(), 1);
    assert!(sim.has(ByteRange::at(20 * MIB, 1000)));
    assert!(!sim.has(ByteRange::at(10 * MIB, 1)));
}

#[test]
fn p1_a_withdrawn_hint_is_not_fetched() {
    let mut sim = fast().slots(1);
    let blocker = sim.open_reader(200 * MIB);
    sim.read(blocker);
    let hint = sim.hint(ByteRange::at(10 * MIB, 1000), Some(ms(9000)));
    sim.tell(Event::HintWithdrawn { hint });
    sim.run_for(ms(3000));
    assert_eq!(of_class(&sim, Class::Hint), []);
    assert_eq!(sim.scheduler.next_timeout(), None);
}
