//! A resource that is larger than its room in the store.

use super::{KIB, MIB, fast};
use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::{OriginId, ReaderId, ResourceId};
use crate::sched::retry::Rng;
use crate::sched::sim::world::{Choices, World};
use crate::sched::sim::{Sim, ms};
use crate::sched::{Action, Event};

const RESOURCE: ResourceId = ResourceId(1);

fn bound(sim: &mut Sim, room: u64) {
    sim.tell(Event::Bounded { resource: RESOURCE, to: Some(room) });
}

/// Plays to the end, or as long as that should take; tells the most that was stored at once.
fn play_through(sim: &mut Sim, reader: ReaderId, end: u64) -> u64 {
    let mut most = 0;
    let until = sim.now() + ms(600_000);
    while sim.position(reader) < end {
        assert!(sim.step(until), "it does not starve: {}", sim.position(reader));
        most = most.max(sim.stored());
    }
    most
}

fn asked(sim: &Sim) -> u64 {
    sim.requests.iter().map(|request| request.range.len()).sum()
}

fn refused(sim: &Sim, reader: ReaderId) -> bool {
    let refused = |action: &Action| match action {
        Action::FailDemand { reader: of, error, .. } => {
            *of == reader && matches!(error, Error::Storage(_))
        }
        _ => false,
    };
    sim.actions.iter().any(|(_, action)| refused(action))
}

#[test]
fn a6_a_resource_that_is_played_stays_within_its_room_and_comes_once() {
    for (room, rate) in [(4 * MIB, 1_000_000), (4 * MIB, 5_000_000), (32 * MIB, 5_000_000)] {
        let mut sim = fast();
        bound(&mut sim, room);
        let reader = sim.open_reader(0);
        sim.play(reader, rate);
        let most = play_through(&mut sim, reader, 200 * MIB);
        assert!(most <= room, "{most} of {room}");
        assert!(most > room / 2, "the room is used: {most}");
        assert_eq!(sim.counts.twice, 0);
        assert!(asked(&sim) <= 200 * MIB + room, "nothing is fetched again: {}", asked(&sim));
        assert!(sim.requests.iter().all(|request| request.range.len() <= (room / 16).max(MIB)));
    }
}

#[test]
fn a6_what_fits_is_kept_as_ever() {
    let run = |room: Option<u64>| {
        let mut sim = fast();
        sim.tell(Event::Bounded { resource: RESOURCE, to: room });
        let reader = sim.open_reader(0);
        sim.play(reader, 5_000_000);
        sim.fill(ByteRange::new(0, 256 * MIB));
        sim.run_for(ms(60_000));
        sim
    };
    let (bounded, free) = (run(Some(256 * MIB)), run(None));
    assert_eq!(bounded.requests, free.requests);
    assert_eq!(bounded.stored(), 256 * MIB);
}

#[test]
fn a6_what_was_given_up_is_fetched_again_when_it_is_read_again() {
    let mut sim = fast();
    bound(&mut sim, 4 * MIB);
    let reader = sim.open_reader(0);
    sim.play(reader, 5_000_000);
    play_through(&mut sim, reader, 20 * MIB);
    sim.stop(reader);
    assert!(!sim.has(ByteRange::at(0, 1)));
    sim.seek(reader, 0);
    sim.play(reader, 5_000_000);
    let most = play_through(&mut sim, reader, 20 * MIB);
    assert!(most <= 4 * MIB, "{most}");
}

#[test]
fn a6_two_places_of_one_resource_share_its_room() {
    let mut sim = fast();
    bound(&mut sim, 16 * MIB);
    let (one, other) = (sim.open_reader(0), sim.open_reader(100 * MIB));
    sim.play(one, 2_000_000);
    sim.play(other, 2_000_000);
    let most = play_through(&mut sim, one, 60 * MIB);
    assert!(most <= 16 * MIB, "{most}");
    assert!(sim.position(other) > 150 * MIB, "{}", sim.position(other));
    assert!(asked(&sim) <= (60 + 60 + 16) * MIB, "{}", asked(&sim));
}

#[test]
fn a6_a_reader_that_rests_does_not_keep_what_another_one_has_read() {
    let mut sim = fast();
    bound(&mut sim, 8 * MIB);
    let (resting, reader) = (sim.open_reader(0), sim.open_reader(0));
    sim.read(resting);
    sim.run_until_ready(resting);
    sim.play(reader, 5_000_000);
    let most = play_through(&mut sim, reader, 100 * MIB);
    assert!(most <= 8 * MIB, "{most}");
    assert!(sim.has(ByteRange::at(0, MIB)), "what it is about to read stays");
    assert!(asked(&sim) <= 108 * MIB, "{}", asked(&sim));
}

/// The world of `e6_a_reader_at_an_end_that_nobody_tells_is_answered_too`, and a room that its body does not fit in.
#[test]
fn a6_an_end_that_nobody_tells_is_found_whatever_the_room() {
    let mut sim = Sim::new(24 * MIB).rate(12_500_000).server(|server| {
        server.ranges = false;
        server.tells_len = false;
    });
    bound(&mut sim, 4 * MIB);
    let reader = sim.open_reader(24 * MIB);
    sim.read(reader);
    let until = sim.now() + ms(600_000);
    while sim.is_waiting(reader) {
        assert!(sim.step(until), "it waits for ever");
    }
    assert!(sim.requests.len() < 10, "{}", sim.requests.len());
}

#[test]
fn e9_an_endless_body_stays_within_its_room_and_what_has_passed_is_told() {
    let mut sim = Sim::new(256 * MIB).rate(12_500_000).server(|server| {
        server.ranges = false;
        server.tells_len = false;
    });
    bound(&mut sim, 8 * MIB);
    let reader = sim.open_reader(0);
    sim.play(reader, 5_000_000);
    let most = play_through(&mut sim, reader, 200 * MIB);
    assert!(most <= 9 * MIB, "{most}");
    sim.stop(reader);
    sim.seek(reader, MIB);
    sim.read(reader);
    sim.run_for(ms(10));
    let passed = |error: &Error| matches!(error, Error::Passed { at: MIB });
    assert!(sim.errors(reader).last().is_some_and(passed), "{:?}", sim.errors(reader));
    sim.seek(reader, 200 * MIB);
    sim.play(reader, 5_000_000);
    play_through(&mut sim, reader, 220 * MIB);
    assert_eq!((sim.requests.len(), sim.counts.twice), (1, 0), "it comes once");
}

#[test]
fn a6_hints_do_not_push_out_what_is_hinted_at() {
    let mut sim = fast();
    bound(&mut sim, 8 * MIB);
    for place in 1..10 {
        sim.hint(ByteRange::at(place * 20 * MIB, 2 * MIB), None);
    }
    sim.run_for(ms(60_000));
    assert!(sim.stored() > 7 * MIB && sim.stored() <= 8 * MIB, "{}", sim.stored());
    let requests = sim.requests.len();
    assert!(asked(&sim) <= 8 * MIB, "it rests: {requests}");
    let reader = sim.open_reader(200 * MIB);
    sim.read(reader);
    sim.run_until_ready(reader);
    assert!(sim.requests.len() > requests, "who waits is served in any case");
}

#[test]
fn a6_who_waits_for_more_than_can_be_kept_is_told() {
    let mut sim = fast();
    bound(&mut sim, 8 * MIB);
    let large = sim.fill(ByteRange::new(0, 256 * MIB));
    assert!(refused(&sim, large));
    let small = sim.fill(ByteRange::at(100 * MIB, 4 * MIB));
    sim.run_for(ms(10_000));
    assert!(!refused(&sim, small) && sim.has(ByteRange::at(100 * MIB, 4 * MIB)));
    // Another one, while hints have the rest of the room.
    sim.hint(ByteRange::at(150 * MIB, 8 * MIB), None);
    sim.run_for(ms(10_000));
    let late = sim.fill(ByteRange::at(100 * MIB, 4 * MIB + 1));
    sim.run_for(ms(10_000));
    assert!(refused(&sim, late));
}

#[test]
fn a6_a_body_without_ranges_stays_within_its_room() {
    let mut sim = Sim::new(64 * MIB).rate(12_500_000).server(|server| server.ranges = false);
    bound(&mut sim, 8 * MIB);
    let reader = sim.open_reader(0);
    sim.play(reader, 4_000_000);
    let most = play_through(&mut sim, reader, 64 * MIB);
    // What is paused is unread, and what was on its way comes.
    assert!(most <= 9 * MIB, "{most}");
    sim.seek(reader, MIB);
    sim.read(reader);
    sim.run_until_ready(reader);
}

#[test]
fn a6_resources_share_the_room_and_none_is_left_without() {
    let mut sim = fast();
    let other = sim.open_resource(OriginId(2), 256 * MIB);
    let to = Some(16 * MIB);
    for resource in [RESOURCE, other] {
        sim.tell(Event::Bounded { resource, to });
    }
    let first = sim.open_reader(0);
    sim.play(first, 2_000_000);
    play_through(&mut sim, first, 30 * MIB);
    assert!(sim.stored() > 12 * MIB, "alone it has all: {}", sim.stored());
    let second = sim.open_reader_of(other, 0);
    sim.play(second, 4_000_000);
    play_through(&mut sim, second, 100 * MIB);
    assert!(sim.stored() <= 8 * MIB, "half of it is the other's: {}", sim.stored());
}

#[test]
fn a6_a_bound_that_is_taken_away_holds_nothing_back() {
    let mut sim = fast();
    bound(&mut sim, 4 * MIB);
    let reader = sim.open_reader(0);
    sim.play(reader, 5_000_000);
    play_through(&mut sim, reader, 20 * MIB);
    sim.tell(Event::Bounded { resource: RESOURCE, to: None });
    let fill = sim.fill(ByteRange::new(0, 256 * MIB));
    sim.run_for(ms(60_000));
    assert!(!refused(&sim, fill) && sim.has(ByteRange::new(0, 256 * MIB)));
}

/// The whole of [`e6`](super::random) again, with too little room. The seed is in the panic's message.
#[test]
fn a6_whatever_happens_in_a_small_room_every_wait_is_answered() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    for seed in 0..seeds {
        let ran = std::panic::catch_unwind(|| {
            let mut world = World::new(seed, Choices::Seeded(Rng::new(seed)));
            let room = (4 + seed % 13) * MIB;
            bound(&mut world.sim, room);
            world.open();
            for _ in 0..120 {
                world.step();
            }
            world.recover();
            let stored = world.sim.stored();
            assert!(stored <= room + 4 * MIB, "{} of {}", stored / KIB, room / KIB);
        });
        assert!(ran.is_ok(), "seed {seed}");
    }
}
