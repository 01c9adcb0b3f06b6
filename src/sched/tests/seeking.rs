//! Seeking away: what becomes of the old place.

use super::{KIB, MIB, cancelled, fast};
use crate::ids::{FetchId, ReaderId};
use crate::sched::Class;
use crate::sched::sim::{Sim, ms};

const FAST: u64 = 1 << 40;

/// A reader in full play at 2 MB/s, with large requests running.
fn playing(sim: &mut Sim) -> ReaderId {
    let reader = sim.open_reader(0);
    sim.play(reader, FAST);
    sim.run_for(ms(3000));
    sim.stop(reader);
    reader
}

#[test]
fn p3_blocked_reader_overtakes_read_ahead() {
    let mut sim = fast().slots(2);
    let reader = playing(&mut sim);
    sim.seek(reader, 200 * MIB);
    let waited = sim.run_until_ready(reader);
    assert!(waited <= ms(150), "a round trip and the queue of the link, but {waited:?}");
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn p3_the_old_place_has_a_grace_of_20_ms_and_is_then_stopped() {
    let mut sim = fast();
    let reader = playing(&mut sim);
    sim.seek(reader, 200 * MIB);
    let away = sim.now();
    sim.read(reader);
    assert_eq!(cancelled(&sim), []);
    sim.run_for(ms(300));
    let stopped: Vec<_> = cancelled(&sim).iter().map(|(at, _)| *at - away).collect();
    assert!(!stopped.is_empty() && stopped.iter().all(|after| *after == ms(20)), "{stopped:?}");
}

#[test]
fn p3_seeking_there_and_back_within_the_grace_costs_nothing() {
    let mut sim = fast();
    let reader = playing(&mut sim);
    let here = sim.position(reader);
    sim.seek(reader, 200 * MIB);
    sim.read(reader);
    sim.run_for(ms(10));
    sim.seek(reader, here);
    sim.read(reader);
    sim.run_for(ms(5));
    let old = |(_, fetch): &(_, _)| {
        sim.requests.iter().any(|r| r.fetch == *fetch && r.range.end < 100 * MIB)
    };
    assert!(!cancelled(&sim).iter().any(old), "{:?}", cancelled(&sim));
}

#[test]
fn p5_the_next_far_seek_ends_the_grace() {
    let mut sim = fast();
    let reader = playing(&mut sim);
    for (place, after) in [(100, 0), (150, 5), (200, 5)] {
        sim.run_for(ms(after));
        sim.seek(reader, place * MIB);
        sim.read(reader);
    }
    assert!(!cancelled(&sim).is_empty());
    assert!(cancelled(&sim).iter().all(|(at, _)| *at < sim.now() + ms(1)));
    let waited = sim.run_until_ready(reader);
    assert!(waited <= ms(260), "{waited:?}");
}

#[test]
fn p3_a_fetch_that_is_nearly_done_is_left_to_finish() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.seek(reader, 200 * MIB);
    sim.run_until_ready(reader);
    sim.run_for(ms(1000));
    assert_eq!(cancelled(&sim), [], "400 kB are less than two round trips of the link");
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn p3_what_another_reader_waits_for_is_not_stopped() {
    let mut sim = fast();
    let one = playing(&mut sim);
    sim.play(one, FAST);
    while sim.running().len() < 2 {
        sim.run_for(ms(10));
    }
    sim.stop(one);
    let next = sim.position(one) + 200 * KIB;
    let other = sim.open_reader(next);
    sim.read(other);
    sim.seek(one, 200 * MIB);
    sim.read(one);
    sim.run_for(ms(25));
    let stopped = cancelled(&sim);
    let needed = |id: FetchId| {
        sim.requests.iter().any(|request| request.fetch == id && request.range.contains(next))
    };
    assert!(!stopped.is_empty() && !stopped.iter().any(|(_, id)| needed(*id)), "{stopped:?}");
}

#[test]
fn p1_no_read_ahead_starts_while_a_blocked_read_waits_for_its_first_byte() {
    let mut sim = fast();
    let film = sim.open_reader(0);
    sim.play(film, 2_000_000);
    sim.run_for(ms(5000));
    let other = sim.open_reader(200 * MIB);
    let asked = sim.now();
    let waited = sim.run_until_ready(other);
    let during = sim.requests.iter().filter(|r| r.at >= asked && r.at < asked + waited);
    let classes: Vec<Class> = during.map(|request| request.class).collect();
    assert_eq!(classes, [Class::Blocked]);
}

#[test]
fn d2_closing_a_reader_stops_what_only_it_wanted() {
    let mut sim = fast();
    let reader = playing(&mut sim);
    sim.close_reader(reader);
    sim.run_for(ms(30));
    assert!(!cancelled(&sim).is_empty());
    let requests = sim.requests.len();
    // What was as good as done comes to its end.
    sim.run_for(ms(300));
    let bytes = sim.counts.bytes;
    sim.run_for(ms(60_000));
    assert_eq!(sim.requests.len(), requests);
    assert_eq!(sim.counts.bytes, bytes);
    assert_eq!(sim.scheduler.next_timeout(), None);
}

/// The connection that the first of them took is busy for a while; read-ahead has made another one.
#[test]
fn p3_two_seeks_in_a_row_find_a_warm_connection_each() {
    let mut sim = fast();
    let reader = playing(&mut sim);
    sim.seek(reader, 150 * MIB);
    sim.read(reader);
    sim.run_for(ms(15));
    sim.seek(reader, 50 * MIB);
    let waited = sim.run_until_ready(reader);
    assert!(waited <= ms(145), "{waited:?}: a round trip, and 40 ms in the queue behind the first");
}

#[test]
fn p5_scrubbing_back_and_forth_never_starves_the_last_place() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    for round in 0..60 {
        sim.seek(reader, (round * 37 % 250) * MIB + round);
        sim.read(reader);
        sim.run_for(ms(50));
    }
    let waited = sim.run_until_ready(reader);
    assert!(waited <= ms(300), "{waited:?}");
    assert_eq!(sim.counts.twice, 0);
}
