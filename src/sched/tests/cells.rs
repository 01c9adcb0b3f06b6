//! Whole workloads on faithful links, the shipped scheduler beside naive single-range requests.
//!
//! The bounds are those of the promises: naive has no queue of its own making in front of it and asks for
//! nothing but what is read, so that its first byte is the round trip that the link has at that moment.

use super::drags::HELD_OUT;
use crate::sched::Scheduler;
use crate::sched::sim::{LinkProfile, Naive, Outcome, Workload, ms, run};
use crate::time::Micros;

/// Nothing was tuned on these.
const SEEDS: std::ops::Range<u64> = HELD_OUT..HELD_OUT + 10;

/// What the scheduler makes of it, and what naive does.
fn both(workload: Workload, profile: LinkProfile) -> (Outcome, Outcome) {
    (run::<Scheduler>(workload, profile, 0), run::<Naive>(workload, profile, 0))
}

/// `factor` times `time` and `more` milliseconds.
fn within(time: Micros, factor: f64, more: u64) -> Micros {
    Micros((time.0 as f64 * factor) as u64) + ms(more)
}

#[test]
fn p3_far_seeks_cost_what_the_least_request_costs() {
    for profile in LinkProfile::ALL {
        let (ours, naive) = both(Workload::Far, profile);
        let what = profile.name;
        assert!(ours.first(0.5) <= within(naive.first(0.5), 1.05, 1), "{what}: {ours:?}");
        assert!(ours.first(0.9) <= within(naive.first(0.9), 1.2, 2), "{what}: {ours:?}");
        assert!(ours.open <= within(naive.open, 1.05, 3), "{what}: {:?}", ours.open);
        if profile == LinkProfile::A {
            assert!(ours.bytes <= 20 * ((64 << 10) + 500_000), "{}", ours.bytes);
        }
    }
}

#[test]
fn p3_a_seek_of_a_player_in_full_play_waits_for_little_more_than_a_round_trip() {
    let ours = run::<Scheduler>(Workload::Busy, LinkProfile::A, 0);
    let round_trip = LinkProfile::A.round_trip;
    assert!(ours.first(0.5) <= within(round_trip, 1.25, 0), "{:?}", ours.first(0.5));
    assert!(ours.first(0.9) <= within(round_trip, 1.75, 0), "{:?}", ours.first(0.9));
    assert!(ours.all(0.5) <= within(round_trip, 2.5, 0), "{:?}", ours.all(0.5));
}

/// What a read waits for does not come slower for what is to come after it. On seeds of its own.
#[test]
fn p3_read_ahead_leaves_the_first_64_kib_of_a_seek_their_link() {
    let profile = LinkProfile::C;
    let runs = SEEDS.map(|seed| run::<Scheduler>(Workload::Busy, profile, seed));
    let mut all: Vec<Micros> = runs.flat_map(|run| run.seeks).map(|seek| seek.all).collect();
    all.sort_unstable();
    let median = all[all.len() / 2];
    assert!(median <= within(profile.round_trip, 2.5, 0), "{median:?}");
}

/// Two players at 30 % of the link each, of which one seeks: that costs it little more than by itself, and the other
/// plays on. Its first two seconds are a start like any other.
#[test]
fn p1_a_player_with_much_in_hand_stands_aside_for_another_one_that_seeks() {
    let runs = |workload| SEEDS.map(move |seed| run::<Scheduler>(workload, LinkProfile::A, seed));
    let median = |workload| {
        let seeks = runs(workload).flat_map(|run| run.seeks);
        let mut first: Vec<Micros> = seeks.map(|seek| seek.first).collect();
        first.sort_unstable();
        first[first.len() / 2]
    };
    let (two, alone) = (median(Workload::Two), median(Workload::Alone));
    assert!(two <= within(alone, 1.2, 0), "{two:?}, and {alone:?} by itself");
    let stalls: Vec<_> = runs(Workload::Two).flat_map(|run| run.stalls).collect();
    assert!(stalls.iter().all(|(at, _)| *at < ms(2000)), "{stalls:?}");
}

/// Twelve times in a run it starts with nothing in hand. A stall counts as long as it was late at most.
#[test]
fn p4_a_player_that_starts_with_nothing_in_hand_catches_up_soon() {
    for (profile, most) in [(LinkProfile::A, ms(3000)), (LinkProfile::B, ms(1000))] {
        let runs = SEEDS.map(|seed| run::<Scheduler>(Workload::Busy, profile, seed));
        let late: u64 = runs.flat_map(|run| run.stalls).map(|(_, time)| time.0).sum();
        let mean = Micros(late / (SEEDS.end - SEEDS.start));
        println!("{}: busy {mean:?}", profile.name);
        assert!(mean <= most, "{}: {mean:?}", profile.name);
    }
}

/// From 5 s on. Where packets are lost, near bytes may come over a slow flow anywhere.
#[test]
fn p4_play_at_60_percent_of_the_link_goes_on() {
    let bounds =
        [(LinkProfile::A, 0), (LinkProfile::B, 0), (LinkProfile::C, 0), (LinkProfile::D, 500)];
    for (profile, most) in bounds {
        let runs = SEEDS.map(|seed| run::<Scheduler>(Workload::Play, profile, seed));
        let late: u64 = runs.flat_map(|run| run.stalls).map(|(_, time)| time.0).sum();
        let mean = Micros(late / (SEEDS.end - SEEDS.start));
        println!("{}: {mean:?}", profile.name);
        assert!(mean <= ms(most), "{}: {mean:?}", profile.name);
    }
}

/// It takes 60 % of the link. What comes beyond that is what it lives on when the origin has nothing to give.
#[test]
fn p4_a_player_that_needs_less_than_the_link_gives_gets_ahead() {
    let profile = LinkProfile::A;
    let runs = SEEDS.map(|seed| run::<Scheduler>(Workload::Play, profile, seed));
    let bytes = runs.map(|run| run.bytes).sum::<u64>() / (SEEDS.end - SEEDS.start);
    let link = 20 * profile.down * 1_000_000 / 8;
    println!("{bytes} of {link}");
    assert!(bytes * 10 >= link * 9, "{bytes} of {link}");
}

/// Two players of one origin, 30 % of the link each, one of which seeks. For its first two seconds the other one has nothing in hand.
#[test]
fn p1_a_player_goes_on_while_another_one_of_its_origin_seeks() {
    let started = ms(2300);
    for seed in HELD_OUT + 20..HELD_OUT + 40 {
        let stalls = run::<Scheduler>(Workload::Two, LinkProfile::A, seed).stalls;
        let late = stalls.iter().filter(|(at, time)| *at > started && *time > ms(5));
        assert_eq!(late.count(), 0, "seed {seed}: {stalls:?}");
    }
}

#[test]
fn p4_skips_in_played_and_read_ahead_ground_are_free() {
    for profile in LinkProfile::ALL {
        let ours = run::<Scheduler>(Workload::Skip, profile, 0);
        assert!(ours.first(0.5) <= ms(1), "{}: {ours:?}", profile.name);
    }
}

#[test]
fn p5_each_place_of_a_drag_costs_one_small_request() {
    for profile in LinkProfile::ALL {
        let (ours, naive) = both(Workload::Drag, profile);
        let what = profile.name;
        assert!(ours.first(0.5) <= within(naive.first(0.5), 1.05, 1), "{what}: {ours:?}");
        assert!(ours.requests <= 90, "{what}: {} for 60 seeks", ours.requests);
        assert!(ours.bytes <= 12_000_000, "{what}: {}", ours.bytes);
    }
}

#[test]
fn p1_equal_seeds_give_equal_worlds() {
    let run = |seed| run::<Scheduler>(Workload::Drag, LinkProfile::D, seed);
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

/// Head, tail, and on at the head: what was asked for there came in the meantime.
#[test]
fn p3_going_back_to_the_head_after_a_look_at_the_tail_is_free() {
    for profile in LinkProfile::ALL {
        let ours = run::<Scheduler>(Workload::Tail, profile, 0);
        let back = ours.seeks.last().map(|seek| seek.all);
        assert!(back <= Some(ms(1)), "{}: {ours:?}", profile.name);
    }
}
