//! Rests of read-ahead, in which a seek finds the link free.

use super::{KIB, MIB};
use crate::sched::Scheduler;
use crate::sched::sim::{LinkProfile, Player, Sim, ms};
use crate::time::Micros;

/// Twelve far jumps of a player that fills a buffer of 2 MiB after each and then takes 4 Mbit/s; 512 KiB are read at once.
fn film(seed: u64) -> Vec<Micros> {
    const LEN: u64 = 256 * MIB;
    let mut sim =
        Sim::<Scheduler>::driven(LEN).profile(LinkProfile::A).bulk_lanes(2).seed(seed).tuned(
            |tunables| {
                let fetch = &mut tunables.fetch;
                (fetch.demand_min, fetch.demand_max, fetch.segment_max) = (MIB, MIB, MIB);
            },
        );
    let mut player = Player::open(&mut sim);
    player.seek(&mut sim, 0, 64 * KIB);
    for n in 0..12 {
        player.fill(&mut sim, 2 * MIB, ms(1500), 500_000);
        // Each in a part of its own, in mixed order.
        let part = (5 * n + seed) % 12;
        player.seek(&mut sim, (8 + 19 * part + seed) * MIB, 512 * KIB);
    }
    player.seeks[1..].iter().map(|seek| seek.all).collect()
}

/// 124 ms are a round trip and what 512 KiB take on the link; 180 they were where read-ahead took all of it.
#[test]
fn p1_a_seek_out_of_a_film_has_the_link_almost_to_itself() {
    let mut all: Vec<Micros> = (0..10).flat_map(film).collect();
    all.sort_unstable();
    let median = all[all.len() / 2];
    println!("{median:?}");
    assert!(median <= ms(160), "{median:?}");
}
