//! Servers that have enough and connections that break: playing goes on, and asks less.

use super::hedging::{LINKS, playing};
use super::{KIB, MIB, fast};
use crate::byte_range::ByteRange;
use crate::ids::{ReaderId, ResourceId};
use crate::sched::TimeoutReason;
use crate::sched::event::Remedy;
use crate::sched::sim::{Fault, Sim, ms};
use crate::time::Micros;

const BUSY: Fault = Fault::Fail(Remedy::Retry { after: Some(ms(1000)) });

/// The longest wait of the reader that began at `from` or later.
fn longest(sim: &Sim, reader: ReaderId, from: Micros) -> Micros {
    sim.waits_from(reader, from).into_iter().max().unwrap_or_default()
}

/// The server refuses one request, or everything for a second, and asks for a second of patience.
#[test]
fn n4_a_429_after_a_while_of_play_holds_up_no_player() {
    for (round_trip, rate) in LINKS {
        for refuses in [0, 1000] {
            let (mut sim, reader) = playing(round_trip, rate);
            let from = sim.now();
            sim.set_server(|server| server.next = Some(BUSY));
            if refuses > 0 {
                sim.set_server(|server| server.always = Some(BUSY));
                sim.run_for(ms(refuses));
                sim.set_server(|server| server.always = None);
            }
            sim.run_for(ms(30_000));
            let longest = longest(&sim, reader, from);
            let limit = ms(2 * round_trip + 250);
            assert!(longest <= limit, "{longest:?} on {round_trip} ms, refused for {refuses} ms");
            assert_eq!(sim.errors(reader).len(), 0);
        }
    }
}

/// Each tenth connection is reset: before the answer, at its first bytes, in the middle.
#[test]
fn n3_a_reset_of_each_tenth_request_holds_up_no_player() {
    for (round_trip, rate) in LINKS {
        for after in [0, 20 * KIB, 300 * KIB] {
            let (mut sim, reader) = playing(round_trip, rate);
            let from = sim.now();
            sim.set_server(|server| server.every = Some((10, Fault::Cut(after))));
            sim.run_for(ms(60_000));
            let longest = longest(&sim, reader, from);
            let limit = ms(2 * round_trip + 250);
            assert!(longest <= limit, "{longest:?} on {round_trip} ms, reset after {after} bytes");
            // What crosses the border of two fetches, and no more.
            let most = sim.scheduler.view(ResourceId(1)).hedges * 14 * KIB;
            assert!(sim.counts.twice <= most, "{} of {most}", sim.counts.twice);
        }
    }
}

/// A new connection and its answer take 200 ms here; the second reset in a row is paused for.
#[test]
fn n4_a_read_whose_connection_is_lost_asks_again_at_once_but_not_for_ever() {
    let mut sim = fast().tuned(|tunables| {
        tunables.retry.jitter = 0.0;
        tunables.fetch.preconnect = false;
    });
    sim = sim.fault(1, Fault::Cut(0)).fault(2, Fault::Cut(0));
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    let times: Vec<u64> = sim.requests.iter().map(|request| request.at.0 / 10_000).collect();
    assert_eq!(times, [0, 20, 90], "in hundredths of a second: at once, and after 500 ms");
}

/// A link that would take hundreds of requests a second.
fn eager() -> Sim {
    let sim = Sim::new(256 * MIB).latency(ms(2)).rate(100_000_000).stored_before(&[]);
    sim.tuned(|tunables| {
        tunables.fetch.demand_min = 16 * KIB;
        tunables.fetch.demand_max = 16 * KIB;
        tunables.fetch.segment_max = 16 * KIB;
    })
}

/// How many requests were made from `from` until `until`.
fn between(sim: &Sim, from: u64, until: u64) -> usize {
    sim.requests.iter().filter(|r| (ms(from)..ms(until)).contains(&r.at)).count()
}

#[test]
fn p2_speculation_asks_twenty_times_a_second_and_a_read_at_once() {
    let mut sim = eager();
    sim.hint(ByteRange::new(0, 100 * MIB), None);
    sim.run_for(ms(5000));
    assert_eq!(between(&sim, 1000, 5000), 80);
    assert!(between(&sim, 0, 1000) <= 40, "20 at once, and 20 more");
    assert_eq!(sim.scheduler.next_timeout().map(|(_, why)| why), Some(TimeoutReason::Requests));
    let reader = sim.open_reader(200 * MIB);
    assert!(sim.run_until_ready(reader) < ms(10));
}

/// What reads ask for counts too: speculation makes room for it.
#[test]
fn p2_reads_take_from_the_same_bucket() {
    let mut sim = eager().tuned(|tunables| tunables.readahead.enabled = false);
    sim.hint(ByteRange::new(0, 100 * MIB), None);
    sim.run_for(ms(2000));
    let reader = sim.open_reader(0);
    for place in 0..40 {
        sim.seek(reader, 150 * MIB + place * MIB);
        sim.run_until_ready(reader);
        sim.run_for(ms(90));
    }
    let until = sim.now().0 / 1000;
    let all = between(&sim, 2000, until) as u64;
    assert!(all <= (until - 2000) / 50 + 2, "{all} in {} ms", until - 2000);
}

/// N4: after a 429 half as often, and more again as time goes by.
#[test]
fn n4_an_origin_that_has_had_enough_is_asked_half_as_often_for_a_while() {
    let mut sim = eager();
    sim.hint(ByteRange::new(0, 100 * MIB), None);
    sim.run_for(ms(5000));
    sim.set_server(|server| server.next = Some(BUSY));
    sim.run_for(ms(5000));
    assert_eq!(between(&sim, 5100, 6000), 0, "patience first");
    let slow = between(&sim, 8000, 10_000);
    assert!((20..=28).contains(&slow), "{slow} in 2 s, and 40 were usual");
    sim.run_for(ms(20_000));
    assert_eq!(between(&sim, 28_000, 30_000), 40);
}

/// What somebody has ordered is no speculation; an origin that has had enough is spared all the same.
#[test]
fn p2_filling_up_waits_for_no_budget_unless_the_origin_has_had_enough() {
    let mut sim = eager();
    sim.fill(ByteRange::new(0, 200 * MIB));
    sim.run_for(ms(1000));
    assert!(between(&sim, 0, 1000) > 200, "{}", between(&sim, 0, 1000));
    sim.set_server(|server| server.next = Some(BUSY));
    sim.run_for(ms(4000));
    let slow = between(&sim, 3000, 5000);
    assert!((20..=28).contains(&slow), "{slow} in 2 s");
}
