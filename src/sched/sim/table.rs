//! A table of what each policy makes of each workload on each link.

use std::fmt::Write;

use crate::sched::Scheduler;
use crate::sched::sim::LinkProfile;
use crate::sched::sim::baselines::{Chromium, ExoPlayer, Firefox, Naive, OpenEnded};
use crate::sched::sim::workload::{Outcome, Workload, run_as_measured as run};
use crate::time::Micros;

/// The head of the table.
const HEAD: &str = "\
| link | workload | policy | open | first p50 | p90 | max | all p50 | stalls | stalled | longest | MB | requests | connections |
|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
";

/// Runs everything whose line would contain `only`, and returns the table, in milliseconds and megabytes.
pub(crate) fn table(only: &str, seeds: u64) -> String {
    let mut text = String::from(HEAD);
    for profile in LinkProfile::ALL {
        for workload in Workload::ALL {
            let most = if workload.is_of_two() { 1 } else { POLICIES.len() };
            for (name, run) in &POLICIES[..most] {
                let place = format!("{} {} {name}", profile.name, workload.name());
                if !place.contains(only) {
                    continue;
                }
                let runs = (0..seeds.max(1)).map(|seed| run(workload, profile, seed)).collect();
                line(&mut text, profile.name, workload.name(), name, &together(runs));
            }
        }
    }
    text
}

/// One that runs a workload.
pub(super) type Run = fn(Workload, LinkProfile, u64) -> Outcome;

/// All there are, with what they are called; only the first one serves several resources at once.
pub(super) const POLICIES: [(&str, Run); 6] = [
    ("this crate", run::<Scheduler>),
    ("naive", run::<Naive>),
    ("open-ended", run::<OpenEnded>),
    ("Firefox-like", run::<Firefox>),
    ("Chromium-like", run::<Chromium>),
    ("ExoPlayer-like", run::<ExoPlayer>),
];

/// Several runs as one: all seeks, and the mean of what was counted.
fn together(runs: Vec<Outcome>) -> Outcome {
    let n = runs.len();
    let mean = |count: fn(&Outcome) -> u64| runs.iter().map(count).sum::<u64>() / n as u64;
    Outcome {
        open: Micros(mean(|one| one.open.0)),
        opened: Micros(mean(|one| one.opened.0)),
        bytes: mean(|one| one.bytes),
        requests: mean(|one| one.requests as u64) as usize,
        connections: mean(|one| one.connections),
        twice: mean(|one| one.twice),
        seeks: runs.iter().flat_map(|one| one.seeks.clone()).collect(),
        stalls: runs.iter().flat_map(|one| one.stalls.clone()).collect(),
    }
}

fn line(text: &mut String, link: &str, workload: &str, policy: &str, outcome: &Outcome) {
    let ms = |time: Micros| time.as_secs_f64() * 1e3;
    let first = |share| ms(outcome.first(share));
    let stalled = Micros(outcome.stalls.iter().map(|(_, time)| time.0).sum());
    let longest = outcome.stalls.iter().map(|(_, time)| *time).max().unwrap_or_default();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "| {link} | {workload} | {policy} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {:.0} | {:.0} | {:.1} | {} | {} |",
        ms(outcome.open),
        first(0.5),
        first(0.9),
        first(1.0),
        ms(outcome.all(0.5)),
        outcome.stalls.len(),
        ms(stalled),
        ms(longest),
        outcome.bytes as f64 / 1e6,
        outcome.requests,
        outcome.connections,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_its_line_and_equal_seeds_give_equal_tables() {
        let text = table("A tail", 1);
        assert_eq!(text.lines().count(), 2 + POLICIES.len(), "{text}");
        for (name, _) in POLICIES {
            assert!(text.contains(&format!("| A | tail | {name} |")), "{text}");
        }
        assert_eq!(text, table("A tail", 1));
    }
}
