//! Full speed where no single request has it: origins that hold each answer down.

use super::MIB;
use crate::sched::Scheduler;
use crate::sched::sim::{Limit, LinkProfile, Protocol, Sim, ms};
use crate::time::Micros;

/// What an origin gives to one answer, in bytes per second: 5 Mbit/s.
const EACH: u64 = 625_000;
/// Requests that read ahead at once by default: `fetch.max_fetches` less the one that is kept for blocked reads.
const SLOTS: u64 = 3;

/// Reads in order as fast as it comes; the mean rate from second `from` to second `to`, in bytes per second.
fn rate(sim: &mut Sim, from: u64, to: u64) -> f64 {
    let reader = sim.open_reader(0);
    sim.play(reader, 1 << 40);
    sim.run_for(ms(1000 * from));
    let begun = sim.position(reader);
    sim.run_for(ms(1000 * (to - from)));
    (sim.position(reader) - begun) as f64 / (to - from) as f64
}

/// From an origin that gives `bytes` each `each` to each answer: so many answers' worth come at once after 15 s; and how
/// many connections that takes.
fn throttled(bytes: u64, each: Micros, profile: LinkProfile) -> (f64, u64) {
    let mut sim = Sim::<Scheduler>::driven(256 * MIB)
        .profile(profile)
        .server(|server| server.limit = Some(Limit { bytes, each }));
    (rate(&mut sim, 15, 30) / EACH as f64, sim.counts.connections)
}

/// Evenly, or a second's worth at once as nginx does with `limit_rate`. One request brings all that it ever did, so a path
/// that it fills and an origin that holds it down look the same until another one is tried.
#[test]
fn p4_an_origin_that_holds_each_answer_down_is_asked_over_all_slots() {
    for profile in [LinkProfile::A, LinkProfile::B] {
        for each in [20, 1000] {
            let (worth, _) = throttled(EACH * each / 1000, ms(each), profile);
            println!("{} each {each} ms: {worth:.2}", profile.name);
            assert!(worth >= 0.9 * SLOTS as f64, "{} each {each} ms: {worth}", profile.name);
        }
    }
}

/// Answers that are silent for most of each second are no stalled ones: nobody is asked anew in their place for long.
#[test]
fn p7_an_origin_that_pauses_each_answer_by_habit_is_borne() {
    let (_, connections) = throttled(EACH, ms(1000), LinkProfile::B);
    assert!(connections <= 15, "{connections}");
}

/// The mean of seconds 5 to 10 over a long fat path, as a part of the line: 5 MB are on their way there, one connection has
/// 3 MiB at most.
fn fat(protocol: Protocol, round_trip: u64) -> f64 {
    let profile = LinkProfile { round_trip: ms(round_trip), ..LinkProfile::F.over(protocol) };
    let mut sim = Sim::<Scheduler>::driven(512 * MIB).profile(profile);
    rate(&mut sim, 5, 10) / profile.bytes_per_second() as f64
}

/// About half of it, where requests that grow one by one have a fifth (HTTP/1.1).
#[test]
fn p4_far_away_a_reader_that_takes_all_that_comes_has_all_slots() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let parts = [190, 200, 210].map(|round_trip| fat(protocol, round_trip));
        let mean = parts.iter().sum::<f64>() / parts.len() as f64;
        println!("{protocol:?}: {parts:.2?}");
        assert!(mean >= 0.45, "{protocol:?}: {parts:.2?}");
    }
}
