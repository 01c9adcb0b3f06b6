//! Many sessions of one origin that all read as fast as they can: all of the link is used, and each has the same of it.

use crate::ids::{OriginId, ReaderId};
use crate::sched::Class;
use crate::sched::sim::{LinkProfile, Sim, ms};

/// Bytes per second of the line, and its round trip in milliseconds.
const LINE: u64 = 25_000_000;
const ROUND_TRIP: u64 = 20;
const LEN: u64 = 1 << 30;

fn line() -> Sim {
    Sim::new(LEN).latency(ms(ROUND_TRIP)).rate(LINE)
}

/// So many sessions read for a while, and for as long as it takes to see what each gets. Tells how much of the line was used,
/// and the least and the most that one of them had of a fair share; all in percent.
fn shares(mut sim: Sim, line: u64, count: u64, warm: u64, time: u64) -> [u64; 3] {
    let readers: Vec<ReaderId> = (0..count)
        .map(|_| {
            let resource = sim.open_resource(OriginId(1), LEN);
            sim.open_reader_of(resource, 0)
        })
        .collect();
    for reader in &readers {
        sim.play(*reader, 1 << 40);
    }
    let places = |sim: &Sim| -> Vec<u64> { readers.iter().map(|one| sim.position(*one)).collect() };
    sim.run_for(ms(warm));
    let before = places(&sim);
    sim.run_for(ms(time));
    let got: Vec<u64> = places(&sim).iter().zip(&before).map(|(now, was)| now - was).collect();
    let all: u64 = got.iter().sum();
    let of_fair = |bytes: Option<&u64>| bytes.map_or(0, |bytes| bytes * count * 100 / all);
    let used = all * 100_000 / (line * time);
    [used, of_fair(got.iter().min()), of_fair(got.iter().max())]
}

#[test]
fn p1_two_hundred_sessions_share_the_line_within_a_tenth_of_fair() {
    // Small turns, so that it does not take minutes until each has had many.
    let sim = Sim::new(LEN).latency(ms(5)).rate(LINE);
    let sim = sim.tuned(|tunables| tunables.fetch.demand_max = 128 << 10);
    let [used, least, most] = shares(sim, LINE, 200, 4000, 16_000);
    assert!(used >= 95 && least >= 90 && most <= 110, "{used} {least} {most}");
}

#[test]
fn p1_more_sessions_than_slots_use_the_line() {
    for count in [5, 10] {
        let [used, least, most] = shares(line(), LINE, count, 3000, 15_000);
        assert!(used >= 95 && least >= 95 && most <= 105, "{count}: {used} {least} {most}");
    }
}

/// Packets, windows of connections and a queue that is limited: headers take some four in a hundred.
#[test]
fn p1_more_sessions_than_slots_use_a_real_path() {
    let sim = Sim::new(LEN).profile(LinkProfile::A);
    let line = LinkProfile::A.down * 125_000;
    let [used, least, most] = shares(sim, line, 10, 3000, 30_000);
    assert!(used >= 80 && least >= 90 && most <= 110, "{used} {least} {most}");
}

/// Who has a slot for itself asks for as much as ever.
#[test]
fn p2_only_where_more_wait_than_are_served_at_once_each_gets_a_turn() {
    let largest = |count: u64| {
        let mut sim = line();
        let readers: Vec<ReaderId> = (0..count)
            .map(|_| {
                let resource = sim.open_resource(OriginId(1), LEN);
                sim.open_reader_of(resource, 0)
            })
            .collect();
        readers.iter().for_each(|reader| sim.play(*reader, 1 << 40));
        sim.run_for(ms(10_000));
        let late = sim.requests.iter().filter(|request| request.at > ms(5000));
        late.map(|request| (request.range.len(), request.class)).max()
    };
    assert!(largest(4) >= Some((4 << 20, Class::Blocked)), "everybody has a slot");
    let turn = largest(5);
    assert!(turn <= Some((2 << 20, Class::Blocked)), "one waits: {turn:?}");
}
