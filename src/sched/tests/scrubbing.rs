//! P5: Drags of the scrub bar over faithful links, on seeds that nothing was tuned on.

use super::drags::{HELD_OUT, Hand, LEN, drag};
use super::{KIB, MIB};
use crate::byte_range::ByteRange;
use crate::ids::{ReaderId, ResourceId};
use crate::sched::retry::Rng;
use crate::sched::sim::{LinkProfile, Naive, Outcome, Player, Sim, Workload, follow, ms, run};
use crate::sched::{Class, Scheduler};
use crate::time::Micros;

/// Time between two seeks of a fast drag.
const INTERVAL: Micros = ms(50);
/// What may be spent on foresight by default, in percent.
const DEFAULT: u32 = 70;

/// First-byte times of several drags, sorted.
fn firsts(outcomes: &[Outcome]) -> Vec<Micros> {
    let seeks = outcomes.iter().flat_map(|outcome| outcome.seeks.iter());
    let mut firsts: Vec<Micros> = seeks.map(|seek| seek.first).collect();
    firsts.sort_unstable();
    firsts
}

fn quantile(outcomes: &[Outcome], share: f64) -> Micros {
    let sorted = firsts(outcomes);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn mean(outcomes: &[Outcome]) -> Micros {
    let firsts = firsts(outcomes);
    Micros(firsts.iter().map(|first| first.0).sum::<u64>() / firsts.len() as u64)
}

fn dragged(hand: Hand, profile: LinkProfile, seeds: u64, foresight: u32) -> Vec<Outcome> {
    let one = |seed| follow::<Scheduler>(&drag(hand, seed, INTERVAL), profile, seed, foresight);
    (HELD_OUT..HELD_OUT + seeds).map(one).collect()
}

/// `factor` times `time` and `more` milliseconds.
fn within(time: Micros, factor: f64, more: u64) -> Micros {
    Micros((time.0 as f64 * factor) as u64) + ms(more)
}

/// A twentieth of the link: no spot can be paid from that.
#[test]
fn p8_with_little_to_spend_on_foresight_a_drag_goes_as_with_none() {
    let [little, none] = [5, 0].map(|share| dragged(Hand::Steady, LinkProfile::A, 1, share));
    assert_eq!(firsts(&little), firsts(&none));
    assert_eq!(little[0].bytes, none[0].bytes);
}

/// Even seeks that nobody has read ahead for: one request each, as without foresight.
#[test]
fn p8_with_read_ahead_turned_off_nothing_is_foretold() {
    let mut sim = Sim::new(super::drags::LEN).profile(LinkProfile::A).bulk_lanes(2);
    sim = sim.tuned(|tunables| {
        tunables.readahead.enabled = false;
        tunables.readahead.whole_file = 0;
    });
    let reader = sim.open_reader(0);
    for nth in 0..30 {
        sim.seek(reader, nth * 4_000_000);
        sim.run_until_ready(reader);
        sim.run_for(ms(20));
    }
    assert_eq!(sim.requests.len(), 30);
    assert!(sim.requests.iter().all(|request| request.class == Class::Blocked));
}

/// The probe's drag: 60 seeks in 3 s, each up to 100 kB off a steady step. Seed 0 is its very own.
#[test]
fn p5_most_seeks_of_a_drag_are_foreseen() {
    let profile = LinkProfile::A;
    let naive = run::<Naive>(Workload::Drag, profile, 0);
    let last = |outcome: &Outcome| outcome.seeks.last().map(|seek| seek.first);
    for seed in (HELD_OUT..HELD_OUT + 10).chain([0]) {
        let ours = run::<Scheduler>(Workload::Drag, profile, seed);
        assert!(ours.first(0.5) <= within(profile.round_trip, 0.5, 0), "{seed}: {ours:?}");
        assert!(ours.first(0.9) <= within(profile.round_trip, 1.2, 0), "{seed}: {ours:?}");
        assert!(ours.bytes <= 12_000_000, "{seed}: {}", ours.bytes);
        assert!(last(&ours) <= last(&naive).map(|last| within(last, 1.1, 2)), "{seed}: {ours:?}");
    }
}

/// The probe's other drags, with the same unrest: slowly at first, and slowing down for a turn.
#[test]
fn p5_most_seeks_of_an_unquiet_drag_that_bends_are_foreseen() {
    for workload in [Workload::DragFaster, Workload::DragBack] {
        let runs: Vec<Outcome> = (HELD_OUT..HELD_OUT + 10)
            .chain([0])
            .map(|seed| run::<Scheduler>(workload, LinkProfile::A, seed))
            .collect();
        let round_trip = LinkProfile::A.round_trip;
        let [median, most] = [0.5, 0.9].map(|share| quantile(&runs, share));
        assert!(median <= within(round_trip, 0.8, 0), "{workload:?}: {median:?}");
        assert!(most <= within(round_trip, 1.2, 0), "{workload:?}: {most:?}");
        for one in &runs {
            assert!(one.bytes <= 12_000_000, "{workload:?}: {}", one.bytes);
        }
    }
}

#[test]
fn p5_drags_that_bend_and_turn_are_foreseen_too() {
    for hand in [Hand::SpeedingUp, Hand::SlowingDown, Hand::Turning, Hand::Swinging] {
        let ours = dragged(hand, LinkProfile::A, 5, DEFAULT);
        let median = quantile(&ours, 0.5);
        assert!(median <= within(LinkProfile::A.round_trip, 0.8, 0), "{hand:?}: {median:?}");
    }
}

#[test]
fn p5_foresight_makes_no_drag_slower_on_any_link() {
    let hands = [
        Hand::Steady,
        Hand::Jittery,
        Hand::Pixels,
        Hand::Uneven,
        Hand::Pausing,
        Hand::SpeedingUp,
        Hand::SlowingDown,
        Hand::Turning,
        Hand::Swinging,
    ];
    for profile in LinkProfile::ALL {
        for hand in hands {
            let [with, without] = [DEFAULT, 0].map(|share| dragged(hand, profile, 2, share));
            let what = format!("{} {hand:?}", profile.name);
            let medians = [&with, &without].map(|outcomes| quantile(outcomes, 0.5));
            assert!(medians[0] <= medians[1], "{what}: {medians:?}");
            let means = [&with, &without].map(|outcomes| mean(outcomes));
            assert!(means[0] <= within(means[1], 1.02, 0), "{what}: {means:?}");
        }
    }
}

#[test]
fn p5_random_jumps_cost_what_the_least_request_costs() {
    let profile = LinkProfile::A;
    let ours = dragged(Hand::Jumping, profile, 10, DEFAULT);
    let naive: Vec<Outcome> = (HELD_OUT..HELD_OUT + 10)
        .map(|seed| follow::<Naive>(&drag(Hand::Jumping, seed, INTERVAL), profile, seed, 0))
        .collect();
    for share in [0.5, 0.9] {
        let [ours, naive] = [&ours, &naive].map(|outcomes| quantile(outcomes, share));
        assert!(ours <= within(naive, 1.1, 2), "{share}: {ours:?}, naive {naive:?}");
    }
}

/// A drag by small steps over a long resource of a low rate: no step leaves the neighbourhood of the one
/// before, and still nobody reads on.
#[test]
fn p5_a_drag_by_small_steps_is_one_too() {
    let places: Vec<(Micros, u64)> =
        (0..60).map(|nth| (Micros(INTERVAL.0 * nth), 50 * MIB + nth * 700 * KIB)).collect();
    let ours = follow::<Scheduler>(&places, LinkProfile::A, HELD_OUT, DEFAULT);
    assert!(ours.first(0.5) <= ms(1), "{ours:?}");
    assert!(ours.bytes <= 8_000_000, "{}", ours.bytes);
}

/// Seeks 10 ms apart to anywhere, each before the one before is served: for 2 s.
fn storm(seed: u64) -> (Sim, ReaderId, usize) {
    let mut sim = Sim::new(LEN).profile(LinkProfile::A).bulk_lanes(2).seed(seed);
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(1000));
    let mut rng = Rng::new(seed);
    let mut most = 0;
    for nth in 0..200 {
        sim.seek(reader, rng.below(LEN - MIB));
        sim.read(reader);
        // Those asked for before it was a drag are let be.
        let live = sim.scheduler.fetches.live(ResourceId(1));
        let asked = live.filter(|(_, fetch)| fetch.class <= Class::FirstWindow);
        let waiting = asked.filter(|(_, fetch)| !fetch.is_streaming()).count();
        most = most.max(if nth < 10 { 0 } else { waiting });
        sim.run_for(ms(10));
    }
    (sim, reader, most)
}

#[test]
fn p5_a_storm_of_seeks_has_two_places_asked_for_at_once_and_serves_the_last_one() {
    for seed in HELD_OUT..HELD_OUT + 5 {
        let (mut sim, reader, most) = storm(seed);
        assert_eq!(most, 2, "{seed}");
        let waited = sim.run_until_ready(reader);
        assert!(waited <= within(LinkProfile::A.round_trip, 2.0, 20), "{seed}: {waited:?}");
        assert_eq!(sim.counts.twice, 0);
    }
}

/// At most two requests for each round trip; what came over the link was stored, but for headers.
#[test]
fn p5_a_storm_of_seeks_is_bounded_in_requests_and_waste() {
    for seed in HELD_OUT..HELD_OUT + 5 {
        let before = 5;
        let (mut sim, ..) = storm(seed);
        let requests = sim.requests.len();
        assert!(requests <= before + 2 * 2000 / 40, "{seed}: {requests}");
        sim.run_for(ms(2000));
        let discarded = sim.carried() - sim.counts.bytes;
        assert!(discarded <= MIB, "{seed}: {discarded}");
        assert!(sim.carried() <= 8 * MIB, "{seed}: {}", sim.carried());
    }
}

/// The hand rests at the last place: the first window is read ahead as after any seek.
#[test]
fn p5_a_drag_ends_when_the_hand_rests() {
    let mut sim = Sim::new(LEN).profile(LinkProfile::A).bulk_lanes(2);
    let reader = sim.open_reader(0);
    for place in [0, 40, 80, 120, 160] {
        sim.seek(reader, place * MIB);
        sim.run_until_ready(reader);
    }
    let window = ByteRange::at(160 * MIB, 192 * KIB);
    sim.run_for(ms(250));
    assert!(!sim.has(window));
    sim.run_for(ms(150));
    assert!(sim.has(window));
}

/// A player that fills a cache of its own is blocked all the time, wherever it plays.
#[test]
fn p5_a_drag_ends_for_a_reader_that_goes_on_as_fast_as_it_can() {
    let mut sim = Sim::new(LEN).profile(LinkProfile::A).bulk_lanes(2);
    let reader = sim.open_reader(0);
    for place in [0, 40, 80] {
        sim.seek(reader, place * MIB);
        assert!(sim.take(reader, 4 * KIB) > 0);
    }
    assert_eq!(sim.requests.last().map(|last| last.range.len()), Some(64 * KIB), "a drag");
    let rested = sim.now() + ms(800);
    while sim.now() < rested {
        assert!(sim.take(reader, 256 * KIB) > 0);
    }
    sim.seek(reader, 160 * MIB);
    assert!(sim.take(reader, 4 * KIB) > 0);
    let asked = sim.requests.iter().rfind(|request| request.class == Class::Blocked);
    assert!(asked.is_some_and(|asked| asked.range.len() > 200 * KIB), "{asked:?}");
}

/// A pointer that hovers says where the click will be.
#[test]
fn p5_a_seek_to_a_place_hinted_150_ms_before_waits_for_nothing() {
    for place in [50, 90, 200] {
        let mut sim = Sim::new(LEN).profile(LinkProfile::A).bulk_lanes(2);
        let mut player = Player::open(&mut sim);
        player.seek(&mut sim, 0, 64 * KIB);
        sim.run_for(ms(1000));
        let asked = sim.requests.len();
        let hinted = ByteRange::at(place * MIB, 128 * KIB);
        sim.hint(hinted, Some(sim.now() + ms(10_000)));
        sim.run_for(ms(150));
        assert_eq!(sim.requests.len(), asked + 1, "one request");
        assert_eq!((sim.requests[asked].range, sim.requests[asked].class), (hinted, Class::Hint));
        let seek = player.seek(&mut sim, place * MIB, 4 * KIB);
        assert!(seek.first <= ms(1), "{seek:?}");
    }
}

/// Previews: a reader of its own drags while the main one plays at a third of the link.
#[test]
fn p5_previews_neither_starve_nor_disturb_the_main_reader() {
    let mut sim = Sim::new(LEN).profile(LinkProfile::A).bulk_lanes(2);
    let main = sim.open_reader(0);
    sim.play(main, LinkProfile::A.bytes_per_second() / 3);
    sim.run_for(ms(4000));
    let preview = sim.open_reader(0);
    let began = sim.now();
    let mut waits = Vec::new();
    for (at, place) in drag(Hand::Steady, HELD_OUT, ms(100)) {
        sim.run_for((began + at).since(sim.now()));
        sim.seek(preview, place);
        waits.push(sim.run_until_ready(preview));
    }
    assert_eq!(sim.waits_from(main, began), []);
    waits.sort_unstable();
    let of_the_link = within(LinkProfile::A.round_trip, 1.05, 1);
    assert!(waits[waits.len() / 2] <= of_the_link, "{waits:?}");
}
