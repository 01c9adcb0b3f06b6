//! What decoders read, recorded in `benches/traces` and replayed on the simulated link A.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use kithara_file::sim_bench::replay;

/// Every trace: its name and its text.
fn traces() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/traces");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "trace"));
    paths.sort_unstable();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn p3_decoders_wait_for_no_more_round_trips_than_their_reads_depend_on() {
    let traces = traces();
    assert!(traces.len() >= 12, "where are they?");
    for (name, text) in traces {
        for phase in replay(&text) {
            let (what, trips) = (&phase.name, phase.trips);
            let most = phase.dependent + phase.connecting;
            println!("{name}, {what}: {trips} round trips; {most} would do");
            assert!(trips <= most, "{name}, {what}: {trips} round trips, and {most} would do");
        }
    }
}

#[test]
fn p1_equal_traces_give_equal_replays() {
    let (_, text) = traces().swap_remove(0);
    assert_eq!(format!("{:?}", replay(&text)), format!("{:?}", replay(&text)));
}
