//! Readers that read a little here and there: archive tools, thumbnailers, databases.

use super::{KIB, MIB, fast};
use crate::byte_range::ByteRange;
use crate::ids::ReaderId;
use crate::sched::sim::{Sim, ms};
use crate::time::Micros;

/// Places far apart, in an order that keeps turning round.
const PLACES: [u64; 12] = [9, 170, 60, 220, 30, 140, 90, 200, 50, 120, 70, 240];

/// Reads `bytes` at each place, and rests in between.
fn read(sim: &mut Sim, bytes: u64, rest: Micros) -> ReaderId {
    let reader = sim.open_reader(0);
    for place in PLACES {
        sim.read_all(reader, ByteRange::at(place * MIB, bytes));
        sim.run_for(rest);
    }
    reader
}

/// What each request from the `nth` place on asks for, in KiB.
fn asked(sim: &Sim, nth: usize) -> Vec<u64> {
    let from = |at: u64| PLACES[nth..].contains(&(at / MIB));
    let ranges = super::ranges(sim).into_iter().filter(|range| from(range.start));
    ranges.map(|range| range.len() / KIB).collect()
}

#[test]
fn p4_who_reads_a_little_here_and_there_has_it_with_one_request_each() {
    let mut sim = fast().rate(1_250_000);
    read(&mut sim, 200 * KIB, ms(30));
    let asked = asked(&sim, 6);
    assert_eq!(asked.len(), 6, "{asked:?}");
    assert!(asked.iter().all(|kib| (300..=400).contains(kib)), "{asked:?}");
}

#[test]
fn p4_who_looks_up_little_pages_is_asked_for_64_kib() {
    let mut sim = fast();
    read(&mut sim, 8 * KIB, ms(0));
    assert_eq!(asked(&sim, 6), [64; 6]);
}

/// A listener who jumps about and stays for a moment gets his first window each time.
#[test]
fn p4_who_rests_where_he_jumped_to_has_a_first_window() {
    let mut sim = fast().rate(1_250_000);
    read(&mut sim, 64 * KIB, ms(500));
    assert_eq!(asked(&sim, 6), [244; 6], "two round trips' worth, which is all of that");
}

#[test]
fn p4_who_has_read_here_and_there_and_then_plays_is_read_ahead_for() {
    let mut sim = fast();
    let reader = read(&mut sim, 100 * KIB, ms(30));
    sim.seek(reader, 20 * MIB);
    let from = sim.now();
    sim.play(reader, 500_000);
    sim.run_for(ms(30_000));
    assert_eq!(sim.waits_from(reader, from + ms(1000)), []);
    let ahead = ByteRange::at(sim.position(reader), 5_000_000);
    assert!(sim.has(ahead), "the window is as ever");
}
