//! Decoders that search in a file go from place to place before they read on.

use crate::byte_range::ByteRange;
use crate::sched::sim::{LinkProfile, Request, Sim, ms};
use crate::sched::{Class, Scheduler};

/// Length of the file.
const LEN: u64 = 256 << 20;

#[test]
fn p4_a_search_asks_for_little_at_each_step_and_reads_ahead_at_none() {
    for profile in LinkProfile::ALL {
        let mut sim = Sim::<Scheduler>::driven(LEN).profile(profile).bulk_lanes(2);
        let reader = sim.open_reader(0);
        sim.read_all(reader, ByteRange::at(0, 64 << 10));
        sim.run_for(ms(1000));
        let (mut low, mut high, mut first) = (0, LEN, None);
        while high - low > 4 << 20 {
            let middle = (low + high) / 2;
            sim.seek(reader, middle);
            for part in [1, 2, 4, 8, 16] {
                let at = sim.position(reader);
                sim.read_all(reader, ByteRange::at(at, part << 10));
            }
            // That may have been a user's seek.
            first.get_or_insert(sim.requests.len());
            (low, high) = if middle < 100 << 20 { (middle, high) } else { (low, middle) };
        }
        let steps = &sim.requests[first.unwrap_or(0)..];
        let ahead: Vec<_> =
            steps.iter().filter(|request| request.class != Class::Blocked).collect();
        assert_eq!(ahead, [] as [&Request; 0], "{}", profile.name);
        assert!(steps.iter().all(|request| request.range.len() <= 64 << 10), "{steps:?}");
    }
}
