//! The same workloads through the simulator, as sheets like those of a measured run.
//!
//! What is simulated depends on link, workload, policy and the number of the run alone, so it needs no quiet machine.

use std::io::Write;

use anyhow::{Context, Result, bail};
use kithara_file::sim_bench::{figures, names};

use crate::args::Simulate;
use crate::matrix::appending;
use crate::run::{Series, Sheet};
use crate::wire::Wire;

/// What stands in the place of a congestion control: the simulator has its own cubic.
pub(crate) const SIMULATED: &str = "simulated";

/// The shipped scheduler, as the simulator calls it, and as the peer is called that is built with it.
const THIS: (&str, &str) = ("this crate", "ours");

/// What a policy is called among the peers.
fn peer(policy: &str) -> &str {
    if policy == THIS.0 { THIS.1 } else { policy }
}

/// Simulates what was asked for and writes it down, one line of JSON for each run.
pub(crate) fn run(args: &Simulate) -> Result<()> {
    let [links, workloads, policies] = names();
    let peers: Vec<&str> = policies.iter().map(|policy| peer(policy)).collect();
    let links = picked("link", &links, &args.links)?;
    let workloads = picked("workload", &workloads, &args.workloads)?;
    let peers = picked("peer", &peers, &args.peers)?;
    let mut out: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(appending(path)?),
        None => Box::new(std::io::stdout()),
    };
    for sheet in sheets(&links, &workloads, &peers, args.runs) {
        writeln!(out, "{}", serde_json::to_string(&sheet)?)?;
    }
    out.flush().context("writing what was simulated")
}

/// All that the simulator has, with the places of the first `runs` measured runs.
pub(crate) fn all(runs: u64) -> Vec<Sheet> {
    let [links, workloads, policies] = names();
    let peers: Vec<&str> = policies.iter().map(|policy| peer(policy)).collect();
    sheets(&links, &workloads, &peers, runs).collect()
}

fn sheets(
    links: &[&str],
    workloads: &[&str],
    peers: &[&str],
    runs: u64,
) -> impl Iterator<Item = Sheet> {
    let cells = links.iter().flat_map(move |link| {
        workloads
            .iter()
            .flat_map(move |workload| peers.iter().map(move |peer| (link, workload, peer)))
    });
    cells.flat_map(move |(link, workload, peer)| {
        (1..=runs).map_while(move |run| sheet(link, workload, peer, run))
    })
}

/// Those of `all` that were asked for; all if none were.
fn picked<'a>(kind: &str, all: &[&'a str], asked: &[String]) -> Result<Vec<&'a str>> {
    if asked.is_empty() {
        return Ok(all.to_vec());
    }
    let known = |name: &String| all.iter().copied().find(|known| known == name);
    asked
        .iter()
        .map(|name| match known(name) {
            Some(known) => Ok(known),
            None => bail!("no {kind} {name} in the simulator: there are {}", all.join(", ")),
        })
        .collect()
}

/// One run, if the simulator has such a cell.
fn sheet(link: &str, workload: &str, peer: &str, run: u64) -> Option<Sheet> {
    let policy = if peer == THIS.1 { THIS.0 } else { peer };
    let of = figures(link, workload, policy, run)?;
    let series = of.series.into_iter().map(|(name, ms)| Series { name: name.into(), ms }).collect();
    let values = of.values.into_iter().map(|(name, value)| (name.into(), value)).collect();
    Some(Sheet {
        peer: peer.into(),
        workload: workload.into(),
        profile: link.into(),
        cc: SIMULATED.into(),
        run,
        seeks: of.seeks,
        series,
        values,
        wire: Wire {
            down: of.bytes,
            up: 0,
            requests: of.requests,
            connections: of.connections,
            twice: of.twice,
        },
        ..Sheet::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_run_is_a_sheet_of_the_same_names() {
        let sheet = sheet("A", "tail", "ours", 1).expect("the simulator knows it");
        let names: Vec<&str> = sheet.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["all of it", "tail", "head"]);
        assert_eq!((sheet.seeks, sheet.cc.as_str()), (3, SIMULATED));
        assert!(sheet.wire.down > 3 * 260_000 && sheet.wire.requests >= 3);
    }

    #[test]
    fn every_workload_of_the_simulator_is_one_of_ours() {
        let [links, workloads, _] = names();
        assert!(workloads.iter().all(|name| crate::workload::named(name).is_ok()));
        assert!(links.iter().all(|name| crate::profile::Profile::named(name).is_ok()));
    }

    #[test]
    fn an_unknown_name_is_told() {
        let told = picked("link", &["A", "B"], &["E".into()]).expect_err("there is none");
        assert_eq!(told.to_string(), "no link E in the simulator: there are A, B");
        assert_eq!(picked("link", &["A", "B"], &[]).expect("all"), ["A", "B"]);
    }
}
