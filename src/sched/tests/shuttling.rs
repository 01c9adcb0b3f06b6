//! Readers that go back and forth: sound and pictures far apart, a table at the end of the file.

use super::{KIB, MIB, cancelled, fast};
use crate::byte_range::ByteRange;
use crate::ids::ReaderId;
use crate::sched::sim::{Sim, ms};
use crate::time::Micros;

/// What a demuxer reads at one place before it goes to the other.
const BLOCK: u64 = 32 << 10;
/// Until the reader is known to go back and forth, and connections have opened their windows.
const STARTED: Micros = ms(2000);

/// Where a reader reads in turns.
struct Shuttle {
    reader: ReaderId,
    places: Vec<u64>,
}

impl Shuttle {
    fn open(sim: &mut Sim, places: &[u64]) -> Self {
        Self { reader: sim.open_reader(places[0]), places: places.to_vec() }
    }

    /// Reads `bytes` at each place in turns, `rate` bytes per second in all.
    fn play(&mut self, sim: &mut Sim, time: Micros, rate: u64, bytes: &[u64]) {
        let start = sim.now();
        let (mut read, mut turn) = (0, 0);
        while sim.now().since(start) < time {
            let nth = turn % self.places.len();
            let block = ByteRange::at(self.places[nth], bytes[nth]);
            sim.read_all(self.reader, block);
            self.places[nth] = block.end;
            (read, turn) = (read + block.len(), turn + 1);
            let due = start + Micros(read * 1_000_000 / rate);
            sim.run_for(due.since(sim.now()));
        }
    }
}

#[test]
fn p4_sound_and_pictures_far_apart_are_both_read_ahead() {
    let mut sim = fast();
    let mut film = Shuttle::open(&mut sim, &[0, 128 * MIB]);
    film.play(&mut sim, ms(60_000), 1_000_000, &[BLOCK, BLOCK]);
    assert_eq!(sim.waits_from(film.reader, STARTED), []);
    assert!(sim.requests.len() < 100, "{} for 1800 blocks", sim.requests.len());
    assert_eq!(sim.counts.twice, 0);
    let ahead = sim.stored() - (film.places[0] + film.places[1] - 128 * MIB);
    assert!(ahead <= 40_000_000 + 2 * MIB, "one window for both: 10 s + 0.5 x 60 s, but {ahead}");
}

#[test]
fn p4_runs_share_the_window_as_they_are_consumed() {
    let mut sim = fast();
    let mut film = Shuttle::open(&mut sim, &[0, 128 * MIB]);
    film.play(&mut sim, ms(60_000), 1_000_000, &[240 * KIB, 16 * KIB]);
    assert_eq!(sim.waits_from(film.reader, STARTED), []);
    assert!(sim.requests.len() < 100, "{}", sim.requests.len());
}

#[test]
fn p4_an_index_at_the_tail_is_read_piecemeal_while_the_head_plays() {
    let mut sim = fast();
    let mut film = Shuttle::open(&mut sim, &[0, 250 * MIB]);
    film.play(&mut sim, ms(60_000), 500_000, &[500_000, 4 * KIB]);
    assert_eq!(sim.waits_from(film.reader, ms(4000)), []);
    assert!(sim.requests.len() < 60, "{}", sim.requests.len());
}

#[test]
fn p4_a_file_that_keeps_frames_and_their_table_gigabytes_apart_plays() {
    let mut sim = Sim::new(4096 * MIB).rate(12_500_000).stored_before(&[]);
    let mut film = Shuttle::open(&mut sim, &[9 * KIB, 3072 * MIB]);
    film.play(&mut sim, ms(30_000), 500_000, &[64, 20 * KIB]);
    assert_eq!(sim.waits_from(film.reader, STARTED), []);
    assert!(sim.requests.len() < 60, "{}", sim.requests.len());
}

#[test]
fn p4_a_seek_to_a_new_place_collapses_all_windows_at_once() {
    let mut sim = fast();
    let mut film = Shuttle::open(&mut sim, &[0, 128 * MIB]);
    film.play(&mut sim, ms(20_000), 5_000_000, &[BLOCK, BLOCK]);
    let (away, before) = (sim.now(), sim.requests.len());
    sim.seek(film.reader, 250 * MIB);
    sim.read(film.reader);
    sim.run_for(ms(10_000));
    let old = |at: u64| at < 240 * MIB;
    assert!(sim.requests[before..].iter().all(|request| !old(request.range.start)));
    let late = cancelled(&sim).iter().any(|(at, _)| *at > away + ms(20));
    assert!(!late, "{:?}", cancelled(&sim));
    assert!(sim.running().is_empty());
}

#[test]
fn p4_going_back_once_is_a_seek_like_any_other() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    for place in [0, 128, 0] {
        sim.seek(reader, place * MIB + 1);
        sim.play(reader, 1_000_000);
        sim.run_for(ms(3000));
        sim.stop(reader);
    }
    let before = sim.requests.len();
    sim.play(reader, 1_000_000);
    sim.run_for(ms(10_000));
    let elsewhere = |range: &ByteRange| range.start >= 128 * MIB;
    assert!(!super::ranges(&sim)[before..].iter().any(elsewhere));
}

#[test]
fn p4_many_readers_and_a_shuttle_share_one_budget() {
    let mut sim = fast().tuned(|tunables| tunables.readahead.max_window = 24 * MIB);
    let others: Vec<ReaderId> = [40, 80, 160].map(|at| sim.open_reader(at * MIB)).into();
    for reader in &others {
        sim.play(*reader, 500_000);
    }
    let mut film = Shuttle::open(&mut sim, &[0, 200 * MIB]);
    film.play(&mut sim, ms(40_000), 500_000, &[BLOCK, BLOCK]);
    assert_eq!(sim.waits_from(film.reader, ms(4000)), []);
    for reader in &others {
        assert_eq!(sim.waits_from(*reader, ms(4000)), []);
    }
    let read: u64 =
        others.iter().zip([40, 80, 160]).map(|(r, at)| sim.position(*r) - at * MIB).sum();
    let read = read + film.places[0] + film.places[1] - 200 * MIB;
    let ahead = sim.stored() - read;
    assert!(ahead <= 25 * MIB, "half of what four readers alone would have: {ahead}");
}
