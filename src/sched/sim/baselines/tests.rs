//! Each baseline does what its model does.

use super::{Chromium, ExoPlayer, Firefox, Naive, OpenEnded};
use crate::byte_range::ByteRange;
use crate::sched::Action;
use crate::sched::sim::player::Stalled;
use crate::sched::sim::policy::Policy;
use crate::sched::sim::workload::run_as_measured;
use crate::sched::sim::{LinkProfile, Player, Sim, Workload, ms};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const LEN: u64 = 256 * MIB;

/// A player that has read 64 KiB at `at` and rested for a second.
fn at<P: Policy>(at: u64) -> (Sim<P>, Player) {
    let mut sim = Sim::driven(LEN).profile(LinkProfile::A);
    let mut player = Player::open(&mut sim);
    player.seek(&mut sim, at, 64 * KIB);
    sim.run_for(ms(1000));
    (sim, player)
}

fn ranges<P: Policy>(sim: &Sim<P>) -> Vec<ByteRange> {
    sim.requests.iter().map(|request| request.range).collect()
}

#[test]
fn naive_makes_a_request_for_each_place_and_keeps_its_connection() {
    let (mut sim, mut player) = at::<Naive>(MIB);
    for n in 0..5 {
        let seek = player.seek(&mut sim, n * 40 * MIB, 4096);
        assert!(seek.first >= ms(40) && seek.first < ms(42), "{seek:?}");
    }
    player.seek(&mut sim, MIB, 4096);
    let first = [ByteRange::at(MIB, 64 * KIB), ByteRange::at(0, 4096)];
    assert_eq!(ranges(&sim)[..2], first);
    assert_eq!((sim.requests.len(), sim.counts.connections), (7, 1), "and forgets what it had");
}

#[test]
fn naive_plays_by_pieces_as_large_as_what_it_reads_after_a_seek() {
    let (mut sim, mut player) = at::<Naive>(MIB);
    player.play(&mut sim, ms(2000), 100_000, Stalled::GoesOn);
    let all: Vec<ByteRange> = (0..5).map(|n| ByteRange::at(MIB + n * 64 * KIB, 64 * KIB)).collect();
    assert_eq!(ranges(&sim), all);
    assert_eq!(sim.counts.connections, 1);
}

#[test]
fn open_ended_drops_its_connection_at_each_seek() {
    let (mut sim, mut player) = at::<OpenEnded>(MIB);
    player.seek(&mut sim, MIB + 64 * KIB, 64 * KIB);
    assert_eq!(sim.requests.len(), 2, "a seek is a seek, even to where it is");
    let seek = player.seek(&mut sim, 100 * MIB, 64 * KIB);
    assert!(seek.first >= ms(80), "{seek:?}");
    assert_eq!((sim.requests.len(), sim.counts.connections), (3, 3));
    player.play(&mut sim, ms(3000), 500_000, Stalled::CatchesUp);
    assert_eq!(sim.requests.len(), 3, "reading on costs none");
    assert_eq!(ranges(&sim)[2], ByteRange::new(100 * MIB, LEN));
}

#[test]
fn firefox_reads_through_1_mib_and_reopens_beyond() {
    let (mut sim, mut player) = at::<Firefox>(10 * MIB);
    let head = sim.stored() + 10 * MIB;
    player.seek(&mut sim, head + MIB - 64 * KIB, 4096);
    assert_eq!(sim.requests.len(), 1, "a little ahead: it waits");
    let head = 10 * MIB + sim.stored();
    player.seek(&mut sim, head + 3 * MIB + 5, 4096);
    assert_eq!(sim.requests.len(), 2);
    let start = ranges(&sim)[1].start;
    assert_eq!((start % (32 * KIB), sim.counts.connections), (0, 2), "from the block's start");
    player.seek(&mut sim, 11 * MIB, 4096);
    assert_eq!(player.seeks.last().map(|seek| seek.first), Some(ms(0)), "it keeps everything");
}

#[test]
fn firefox_and_chromium_wake_at_a_whole_block() {
    let (_, firefox) = at::<Firefox>(MIB);
    let (_, chromium) = at::<Chromium>(MIB);
    let (_, exo) = at::<ExoPlayer>(MIB);
    // 32 KiB are two flights of a new connection, the first byte is one.
    for player in [firefox, chromium] {
        assert!(player.seeks[0].first >= ms(120), "{:?}", player.seeks);
    }
    assert!(exo.seeks[0].first < ms(83), "{:?}", exo.seeks);
}

#[test]
fn chromium_waits_for_160_kib_and_leaves_the_socket_unread_when_it_has_enough() {
    let (mut sim, mut player) = at::<Chromium>(10 * MIB);
    let paused = |sim: &Sim<Chromium>| {
        sim.actions.iter().filter(|(_, one)| matches!(one, Action::PauseFetch { .. })).count()
    };
    assert_eq!(paused(&sim), 1);
    let ahead = sim.stored();
    assert!((3 * MIB..3 * MIB + 256 * KIB).contains(&ahead), "{ahead}");
    player.seek(&mut sim, 10 * MIB + ahead + 100 * KIB, 4096);
    assert_eq!(sim.requests.len(), 1, "a little ahead: it waits");
    let head = 10 * MIB + sim.stored();
    player.seek(&mut sim, head + 800 * KIB, 4096);
    assert_eq!(sim.requests.len(), 2, "further ahead: a new one");
}

#[test]
fn exo_reopens_at_every_seek_out_of_its_buffer_and_asks_for_the_hole_only() {
    let (mut sim, mut player) = at::<ExoPlayer>(10 * MIB);
    let head = 10 * MIB + sim.stored();
    player.seek(&mut sim, head + 100 * KIB, 4096);
    assert_eq!(sim.requests.len(), 2, "however near");
    player.seek(&mut sim, 9 * MIB, 4096);
    assert_eq!(ranges(&sim).last(), Some(&ByteRange::new(9 * MIB, 10 * MIB)));
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn a_read_that_is_woken_by_whole_blocks_is_answered_though_its_own_bytes_are_there() {
    for run in 0..10 {
        let outcome = run_as_measured::<Chromium>(Workload::DragBack, LinkProfile::B, run);
        assert_eq!(outcome.seeks.len(), 60, "{run}");
    }
}
