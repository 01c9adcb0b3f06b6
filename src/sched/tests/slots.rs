//! Slots and budgets: who may start.

use super::{KIB, MIB, cancelled, fast, of_class};
use crate::byte_range::ByteRange;
use crate::ids::{HintId, Lane, OriginId};
use crate::sched::event::Remedy;
use crate::sched::sim::{Fault, Sim, ms};
use crate::sched::{Class, Event};
use crate::time::Micros;

#[test]
fn p2_no_origin_has_more_fetches_than_allowed() {
    for slots in 1..=4 {
        let mut sim = fast().slots(slots);
        for place in 0..8 {
            let reader = sim.open_reader(place * 20 * MIB);
            sim.play(reader, 500_000);
        }
        sim.run_for(ms(20_000));
        assert_eq!(sim.counts.most_at_once, slots as usize);
    }
}

#[test]
fn p2_one_slot_is_kept_for_blocked_reads() {
    let mut sim = fast().slots(3);
    for place in 0..5 {
        sim.hint(ByteRange::at(place * 20 * MIB, 8 * MIB), None);
    }
    assert_eq!(sim.requests.len(), 2);
    let reader = sim.open_reader(200 * MIB);
    sim.read(reader);
    assert_eq!(sim.requests.len(), 3);
    assert_eq!(cancelled(&sim), []);
}

#[test]
fn p2_the_only_slot_is_taken_from_read_ahead_for_a_blocked_read() {
    let mut sim = fast().slots(1);
    sim.hint(ByteRange::at(0, 8 * MIB), None);
    sim.run_for(ms(1000));
    let reader = sim.open_reader(200 * MIB);
    sim.read(reader);
    assert_eq!(cancelled(&sim).len(), 1);
    assert!(sim.run_until_ready(reader) <= ms(300));
    assert_eq!(sim.counts.most_at_once, 1);
}

#[test]
fn p2_the_least_urgent_fetch_gives_way() {
    let mut sim = fast().slots(2).tuned(|tunables| tunables.fetch.demand_max = 128 * KIB);
    sim.fill(ByteRange::new(0, 100 * MIB));
    let one = sim.open_reader(120 * MIB);
    sim.read(one);
    assert_eq!(
        sim.requests.iter().map(|r| r.class).collect::<Vec<_>>(),
        [Class::Fill, Class::Blocked]
    );
    let other = sim.open_reader(200 * MIB);
    sim.read(other);
    assert_eq!(
        cancelled(&sim).iter().map(|(_, fetch)| *fetch).collect::<Vec<_>>(),
        [sim.requests[0].fetch]
    );
    sim.run_until_ready(other);
}

#[test]
fn p2_a_full_origin_blocks_no_other() {
    let mut sim = fast().slots(1);
    sim.set_server(|server| server.always = Some(Fault::Stall(0)));
    let stuck = sim.open_reader(0);
    sim.read(stuck);
    let resource = sim.open_resource(OriginId(2), 64 * MIB);
    let free = sim.open_reader_of(resource, 5 * MIB);
    assert!(sim.run_until_ready(free) <= ms(205));
    assert!(sim.is_waiting(stuck));
}

/// Hints for a second of requests and more use up those of their resource; another of that origin goes on, and
/// what stood back has its turn as soon as it may ask.
#[test]
fn p2_a_resource_that_has_made_its_requests_holds_up_no_other() {
    let mut sim = fast().tuned(|tunables| tunables.fetch.max_fetches = 32);
    for place in 0..30 {
        sim.hint(ByteRange::at(place * 8 * MIB, 4 * KIB), None);
    }
    let greedy = sim.requests[0].resource;
    let of = |sim: &Sim, resource| -> Vec<Micros> {
        let of = sim.requests.iter().filter(|request| request.resource == resource);
        of.map(|request| request.at).collect()
    };
    assert_eq!(of(&sim, greedy).len(), 20);
    let other = sim.open_resource(OriginId(1), 1024 * MIB);
    let from = sim.now();
    for place in 0..3 {
        // Behind all that stands back.
        let range = ByteRange::at((500 + place) * MIB, 4 * KIB);
        let hint = HintId(1000 + place);
        sim.tell(Event::Hinted { resource: other, hint, range, deadline: None });
    }
    assert_eq!(of(&sim, other), [from; 3]);
    sim.run_for(ms(600));
    let late = of(&sim, greedy).split_off(20);
    let due = |n: u64| from + ms(50 * n);
    let gaps: Vec<bool> = (1..).zip(&late).map(|(n, at)| *at < due(n) + ms(1)).collect();
    assert_eq!(gaps, [true; 10], "{late:?}");
}

/// Ten resources of one origin want twenty small places each at once.
fn crowd(sim: &mut Sim) {
    for nth in 0..10 {
        let resource = sim.open_resource(OriginId(1), 1024 * MIB);
        for place in 0..20 {
            let (hint, range) =
                (HintId(1000 + nth * 20 + place), ByteRange::at(place * MIB, 4 * KIB));
            sim.tell(Event::Hinted { resource, hint, range, deadline: None });
        }
    }
}

/// A hundred at once and a hundred a second; half of that once the origin has had enough.
#[test]
fn p2_all_resources_of_an_origin_share_its_requests() {
    let mut sim = fast().tuned(|tunables| tunables.fetch.max_fetches = 64);
    crowd(&mut sim);
    sim.run_for(ms(300));
    assert!((120..=131).contains(&sim.requests.len()), "{}", sim.requests.len());

    let mut sim = fast().tuned(|tunables| tunables.fetch.max_fetches = 64);
    let refused = Fault::Fail(Remedy::Retry { after: Some(ms(1)) });
    sim.set_server(|server| server.next = Some(refused));
    sim.hint(ByteRange::at(0, 4 * KIB), None);
    sim.run_for(ms(1000));
    let before = sim.requests.len();
    crowd(&mut sim);
    sim.run_for(ms(1000));
    let made = sim.requests.len() - before;
    // It recovers by a thirtieth of its rate each second.
    assert!((106..=112).contains(&made), "{made}");
}

#[test]
fn p2_the_speculation_budget_holds_over_all_origins_but_not_for_a_blocked_read() {
    let mut sim = fast().tuned(|tunables| {
        tunables.fetch.speculation_budget = MIB;
        tunables.fetch.max_fetches = 8;
    });
    for place in 0..4 {
        sim.hint(ByteRange::at(place * 20 * MIB, 400 * KIB), None);
    }
    assert_eq!(sim.requests.len(), 2, "a third one would be 1200 KiB");
    let reader = sim.open_reader(200 * MIB);
    sim.read(reader);
    assert_eq!(of_class(&sim, Class::Blocked).len(), 1);
}

#[test]
fn p2_bulk_requests_take_turns_over_their_lanes_and_the_first_of_all_is_a_probe() {
    let mut sim = fast().bulk_lanes(2).slots(6);
    for place in 0..5 {
        sim.hint(ByteRange::at(place * 20 * MIB, MIB), None);
    }
    let lanes: Vec<Lane> = sim.requests.iter().map(|request| request.lane).collect();
    let (probe, spare) = (Lane::Demand, Lane::Demand);
    assert_eq!(lanes, [probe, spare, Lane::Bulk(0), Lane::Bulk(1), Lane::Bulk(0)]);
}

#[test]
fn p1_classes_go_in_order_when_slots_are_few() {
    let mut sim = fast().slots(2);
    let film = sim.open_reader(0);
    sim.play(film, 500_000);
    sim.run_for(ms(5000));
    sim.fill(ByteRange::new(200 * MIB, 220 * MIB));
    let asked = sim.requests.len();
    sim.hint(ByteRange::at(100 * MIB, MIB), None);
    sim.run_for(ms(10_000));
    let after: Vec<Class> = sim.requests[asked..].iter().map(|r| r.class).collect();
    let hint = after.iter().position(|class| *class == Class::Hint);
    let fill = after.iter().position(|class| *class == Class::Fill);
    assert!(hint.is_some() && hint < fill, "{after:?}");
    assert_eq!(sim.waits_from(film, ms(1000)), [], "the film plays on");
}

#[test]
fn p8_tunables_change_while_running() {
    let mut sim = fast();
    let mut tunables = crate::config::Tunables::default();
    tunables.fetch.max_fetches = 1;
    sim.tell(Event::Tuned { tunables: Box::new(tunables) });
    for place in 0..4 {
        sim.hint(ByteRange::at(place * 20 * MIB, MIB), None);
    }
    assert_eq!(sim.requests.len(), 1);
    sim.tell(Event::Tuned { tunables: Box::default() });
    assert_eq!(sim.requests.len(), 3);
}

/// The scheduler's own files.
const SOURCES: &[(&str, &str)] = &[
    ("admit", include_str!("../admit.rs")),
    ("aside", include_str!("../aside.rs")),
    ("bound", include_str!("../bound.rs")),
    ("brought", include_str!("../brought.rs")),
    ("budget", include_str!("../budget.rs")),
    ("check", include_str!("../check.rs")),
    ("confine", include_str!("../confine.rs")),
    ("crowd", include_str!("../crowd.rs")),
    ("cursors", include_str!("../cursors.rs")),
    ("dry", include_str!("../dry.rs")),
    ("estimator", include_str!("../estimator.rs")),
    ("event", include_str!("../event.rs")),
    ("failure", include_str!("../failure.rs")),
    ("flows", include_str!("../flows.rs")),
    ("forecast", include_str!("../forecast.rs")),
    ("hedge", include_str!("../hedge.rs")),
    ("inflight", include_str!("../inflight.rs")),
    ("judge", include_str!("../judge.rs")),
    ("lanes", include_str!("../lanes.rs")),
    ("on_fetch", include_str!("../on_fetch.rs")),
    ("on_reader", include_str!("../on_reader.rs")),
    ("on_resource", include_str!("../on_resource.rs")),
    ("on_tick", include_str!("../on_tick.rs")),
    ("overtake", include_str!("../overtake.rs")),
    ("pace", include_str!("../pace.rs")),
    ("plan", include_str!("../plan.rs")),
    ("precedence", include_str!("../precedence.rs")),
    ("priority", include_str!("../priority.rs")),
    ("queue", include_str!("../queue.rs")),
    ("random", include_str!("../random.rs")),
    ("resource", include_str!("../resource.rs")),
    ("retry", include_str!("../retry.rs")),
    ("runs", include_str!("../runs.rs")),
    ("scrub", include_str!("../scrub.rs")),
    ("segment_map", include_str!("../segment_map.rs")),
    ("share", include_str!("../share.rs")),
    ("shed", include_str!("../shed.rs")),
    ("size", include_str!("../size.rs")),
    ("spare", include_str!("../spare.rs")),
    ("timer", include_str!("../timer.rs")),
    ("view", include_str!("../view.rs")),
    ("whole", include_str!("../whole.rs")),
    ("window", include_str!("../window.rs")),
];

/// The simulator checks after every event that as many segments were popped as fetches started; here
/// that no other place in the code can make a `StartFetch`.
#[test]
fn p2_a_fetch_starts_only_from_a_popped_segment() {
    let dispatch = include_str!("../mod.rs");
    let rooms = dispatch.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let known: Vec<&str> = SOURCES.iter().map(|(name, _)| *name).collect();
    assert!(rooms.filter(|room| *room != "tests").eq(known), "a file is not looked at");
    let makes = |text: &str| text.contains("Action::StartFetch {") || text.contains("Popped {");
    assert!(!makes(dispatch));
    let makers: Vec<&str> =
        SOURCES.iter().filter(|(_, text)| makes(text)).map(|(name, _)| *name).collect();
    assert_eq!(makers, ["queue"]);
}
