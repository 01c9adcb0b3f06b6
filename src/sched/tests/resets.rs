//! Over one shared connection (HTTP/2) to stop a request costs a reset and no connection: so what nobody wants goes,
//! but not so many that the server takes it for an attack.

use super::{KIB, MIB, cancelled};
use crate::sched::Scheduler;
use crate::sched::sim::{LinkProfile, Outcome, Player, Protocol, Sim, Workload, ms, run};

const A2: LinkProfile = LinkProfile::A.over(Protocol::Http2);

#[test]
fn p3_over_http2_a_seek_away_stops_what_is_left_behind() {
    let left_behind = |profile| {
        let mut sim = Sim::driven(256 * MIB).profile(profile).bulk_lanes(2);
        let mut player = Player::open(&mut sim);
        player.seek(&mut sim, 0, KIB);
        player.seek(&mut sim, 100 * MIB, KIB);
        sim.run_for(ms(2000));
        (cancelled(&sim).len(), sim.counts.bytes)
    };
    let (stopped, bytes) = left_behind(A2);
    let (finished, more) = left_behind(LinkProfile::A);
    assert_eq!((stopped, finished), (1, 0), "its connection is worth more over HTTP/1.1");
    assert!(bytes < more, "{bytes} {more}");
}

#[test]
fn p5_over_http2_no_more_than_ten_streams_a_second_are_reset() {
    let mut sim = Sim::driven(256 * MIB).profile(A2).bulk_lanes(2);
    let mut player = Player::open(&mut sim);
    player.seek(&mut sim, 0, KIB);
    for nth in 0..200 {
        player.begin(&mut sim, (nth * 37 % 250) * MIB);
        sim.run_for(ms(25));
    }
    let resets = cancelled(&sim);
    let least = resets.windows(21).map(|run| run[20].0 - run[0].0).min();
    assert!(least.is_none_or(|time| time >= ms(1000)), "twenty-one within {least:?}");
    sim.run_for(ms(30_000));
    assert!(sim.running().is_empty(), "what could not be reset has come to its end");
}

#[test]
fn p3_over_http2_seeks_cost_no_more_than_over_http1() {
    for workload in [Workload::Far, Workload::Drag] {
        let outcome = |profile| -> Outcome { run::<Scheduler>(workload, profile, 0) };
        let (two, one) = (outcome(A2), outcome(LinkProfile::A));
        assert!(two.first(0.5) <= one.first(0.5) + ms(1), "{two:?} {one:?}");
        assert!(two.first(0.9) <= one.first(0.9) + ms(2), "{two:?} {one:?}");
    }
}
