//! What the simulator says: beside the real link, and of policies that nobody measured there.

use std::fmt::Write as _;

use anyhow::Result;

use super::Groups;
use super::table::{failed, head, heading, over, peers, runs, samples, short, workloads};
use crate::run::Sheet;
use crate::simulate::SIMULATED;
use crate::stats::{quantile, sorted};

/// The simulator has this congestion control, and no other.
const MODELLED: &str = "cubic";

/// Below that both do not wait, in milliseconds: what is left is the machine's own time, of which a ratio tells nothing.
const NONE_MS: f64 = 2.0;

/// As far as the simulator may be off, as a share of what was measured.
const MOST_OFF: f64 = 0.15;

/// Workloads by which policies are told apart, and the series of them that say how long a listener waits.
const TELLING: [&str; 7] = ["open", "far", "busy", "drag", "drag-random", "skip", "tail"];
const WAITS: [&str; 5] = ["first byte", "64 KiB", "forth", "back", "all of it"];

/// One median that was measured and simulated, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    link: String,
    workload: &'static str,
    series: String,
    peer: String,
    simulated: f64,
    measured: f64,
}

impl Cell {
    /// Neither waits.
    fn is_none(&self) -> bool {
        self.simulated < NONE_MS && self.measured < NONE_MS
    }

    /// By how much of the measured time the simulated one is longer.
    fn off(&self) -> f64 {
        self.simulated / self.measured - 1.0
    }

    fn is_near(&self) -> bool {
        !self.is_none() && self.off().abs() <= MOST_OFF
    }
}

/// The median over all runs of each run's median of `series`, if each of them has it.
fn middle(runs: &[&Sheet], series: &str) -> Option<f64> {
    let whole = |sheet: &&Sheet| sheet.failed.is_none() && !samples(sheet, series).is_empty();
    let all = !runs.is_empty() && runs.iter().all(whole);
    all.then(|| over(runs, |sheet| quantile(&sorted(samples(sheet, series)), 0.5)))
}

/// Every cell that was measured on a real link and simulated, in the order of the document.
pub(super) fn cells(measured: &Groups, simulated: &[Sheet]) -> Vec<Cell> {
    let mut cells = vec![];
    for ((link, cc), sheets) in measured {
        if cc != MODELLED || sheets.iter().any(|sheet| sheet.quick) {
            continue;
        }
        let of_link: Vec<&Sheet> =
            simulated.iter().filter(|sheet| sheet.profile == *link).collect();
        for workload in workloads(sheets) {
            for peer in peers(sheets) {
                let same = |sheet: &&&Sheet| sheet.peer == peer && sheet.workload == workload;
                let predicted: Vec<&Sheet> = of_link.iter().filter(same).copied().collect();
                let Some(first) = predicted.first() else { continue };
                for series in &first.series {
                    let pair = (
                        middle(&predicted, &series.name),
                        middle(&runs(sheets, peer, workload), &series.name),
                    );
                    if let (Some(simulated), Some(measured)) = pair {
                        cells.push(Cell {
                            link: link.clone(),
                            workload,
                            series: series.name.clone(),
                            peer: peer.to_owned(),
                            simulated,
                            measured,
                        });
                    }
                }
            }
        }
    }
    cells
}

/// The simulator against the real link.
pub(super) fn against(cells: &[Cell]) -> Result<String> {
    let (none, told): (Vec<&Cell>, Vec<&Cell>) = cells.iter().partition(|cell| cell.is_none());
    if told.is_empty() {
        return Ok(
            "Nothing was measured on a real link that the simulator could be held against.\n"
                .into(),
        );
    }
    let near = told.iter().filter(|cell| cell.is_near()).count();
    let mut text = format!(
        "**{near} of {} cells are within {:.0} %.** In {} more neither waits (both medians are below {NONE_MS} ms).\n\n",
        told.len(),
        MOST_OFF * 100.0,
        none.len(),
    );
    text += &head(&["link", "workload", "until", "who", "simulated", "measured", "difference"]);
    for cell in cells {
        let difference = match (cell.is_none(), cell.is_near()) {
            (true, _) => "both none".to_owned(),
            (false, true) => format!("{:+.1} %", cell.off() * 100.0),
            (false, false) => format!("**{:+.0} %**", cell.off() * 100.0),
        };
        writeln!(
            text,
            "| {} | `{}` | {} | {} | {} | {} | {difference} |",
            cell.link,
            cell.workload,
            cell.series,
            cell.peer,
            short(cell.simulated),
            short(cell.measured)
        )?;
    }
    Ok(text)
}

/// The shipped scheduler beside what is known of other players.
pub(super) fn players(simulated: &[Sheet]) -> Result<String> {
    let mut links: Vec<&str> = simulated.iter().map(|sheet| sheet.profile.as_str()).collect();
    links.sort_unstable();
    links.dedup();
    let runs_of_each = simulated.iter().map(|sheet| sheet.run).max().unwrap_or_default();
    let mut text = format!("Runs: {runs_of_each}.\n");
    for link in links {
        let sheets: Vec<Sheet> =
            simulated.iter().filter(|sheet| sheet.profile == link).cloned().collect();
        let peers = peers(&sheets);
        let columns: Vec<&str> = ["workload", "until"].into_iter().chain(peers.clone()).collect();
        text += &(heading(link, SIMULATED)? + &head(&columns));
        for workload in TELLING {
            let of: Vec<Vec<&Sheet>> =
                peers.iter().map(|peer| runs(&sheets, peer, workload)).collect();
            let Some(known) = of.iter().flatten().next() else { continue };
            for series in known.series.iter().filter(|one| WAITS.contains(&one.name.as_str())) {
                let cells: Vec<String> = of.iter().map(|runs| time(runs, &series.name)).collect();
                writeln!(text, "| `{workload}` | {} | {} |", series.name, cells.join(" | "))?;
            }
            // What a player that only opens and waits has loaded says how long it waited.
            if workload == "open" {
                continue;
            }
            let cells: Vec<String> = of.iter().map(|runs| bytes(runs)).collect();
            writeln!(text, "| `{workload}` | kB per seek | {} |", cells.join(" | "))?;
        }
    }
    Ok(text)
}

/// Median and 90th of a hundred.
fn time(runs: &[&Sheet], series: &str) -> String {
    let at = |q| over(runs, |sheet| quantile(&sorted(samples(sheet, series)), q));
    match runs.is_empty() || failed(runs).is_some() {
        true => "-".into(),
        false => format!("{} ({})", short(at(0.5)), short(at(0.9))),
    }
}

fn bytes(runs: &[&Sheet]) -> String {
    match runs.is_empty() {
        true => "-".into(),
        false => short(over(runs, |sheet| sheet.down_per_seek() / 1e3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Series;

    fn sheet(cc: &str, peer: &str, workload: &str, run: u64, ms: &[f64]) -> Sheet {
        let series = vec![Series { name: "first byte".into(), ms: ms.to_vec() }];
        let (peer, workload, cc) = (peer.into(), workload.into(), cc.into());
        Sheet { peer, workload, profile: "A".into(), cc, run, series, seeks: 1, ..Sheet::default() }
    }

    fn measured(cc: &str, sheets: Vec<Sheet>) -> Groups {
        Groups::from([(("A".into(), cc.into()), sheets)])
    }

    #[test]
    fn medians_of_runs_are_compared_where_both_have_them() {
        let real = vec![
            sheet("cubic", "naive", "far", 1, &[40.0, 41.0, 90.0]),
            sheet("cubic", "naive", "far", 2, &[50.0, 50.0, 50.0]),
            sheet("cubic", "naive", "far", 3, &[42.0, 43.0, 44.0]),
            sheet("cubic", "naive", "hint", 1, &[40.0]),
            sheet("cubic", "ours", "far", 1, &[0.03]),
            sheet("cubic", "kithara", "far", 1, &[60.0]),
        ];
        let simulated = [
            sheet(SIMULATED, "naive", "far", 1, &[39.0]),
            sheet(SIMULATED, "ours", "far", 1, &[0.0]),
            sheet(SIMULATED, "Firefox-like", "far", 1, &[39.0]),
        ];
        let cells = cells(&measured("cubic", real), &simulated);
        let seen: Vec<(&str, f64, f64)> =
            cells.iter().map(|cell| (cell.peer.as_str(), cell.simulated, cell.measured)).collect();
        assert_eq!(seen, [("naive", 39.0, 43.0), ("ours", 0.0, 0.03)]);
        let text = against(&cells).expect("written");
        assert!(text.contains("**1 of 1 cells are within 15 %.** In 1 more"), "{text}");
        assert!(
            text.contains("| A | `far` | first byte | naive | 39.0 | 43.0 | -9.3 % |"),
            "{text}"
        );
        assert!(text.contains("| ours | 0.00 | 0.03 | both none |"), "{text}");
    }

    #[test]
    fn what_is_far_off_is_seen_and_not_counted() {
        let far = |simulated, measured| {
            let real = vec![sheet("cubic", "ours", "busy", 1, &[measured])];
            let simulated = [sheet(SIMULATED, "ours", "busy", 1, &[simulated])];
            against(&cells(&super::tests::measured("cubic", real), &simulated)).expect("written")
        };
        assert!(far(73.0, 126.0).contains("**0 of 1 cells"));
        assert!(far(73.0, 126.0).contains("| **-42 %** |"));
        // One waits and the other does not: no ratio of nothings.
        assert!(far(40.0, 0.1).contains("**0 of 1 cells"));
        assert!(far(0.0, 40.0).contains("| **-100 %** |"));
        assert!(far(46.0, 40.0).contains("**1 of 1 cells"));
        assert!(far(46.1, 40.0).contains("**0 of 1 cells"));
    }

    #[test]
    fn only_whole_runs_over_cubic_count() {
        let simulated = [sheet(SIMULATED, "naive", "far", 1, &[40.0])];
        let of = |cc, change: fn(&mut Sheet)| {
            let mut real = sheet(cc, "naive", "far", 1, &[40.0]);
            change(&mut real);
            cells(&measured(cc, vec![real]), &simulated).len()
        };
        assert_eq!(of("cubic", |_| ()), 1);
        assert_eq!(of("bbr", |_| ()), 0);
        assert_eq!(of("shaped", |_| ()), 0);
        assert_eq!(of("cubic", |sheet| sheet.quick = true), 0);
        assert_eq!(of("cubic", |sheet| sheet.failed = Some("why".into())), 0);
        assert!(against(&[]).expect("written").starts_with("Nothing was measured"));
    }

    #[test]
    fn policies_stand_beside_each_other() {
        let simulated = [
            sheet(SIMULATED, "ours", "far", 1, &[40.0, 50.0]),
            sheet(SIMULATED, "Firefox-like", "far", 1, &[80.0]),
            sheet(SIMULATED, "ours", "busy", 1, &[45.0]),
            sheet(SIMULATED, "ours", "two", 1, &[45.0]),
        ];
        let text = players(&simulated).expect("written");
        assert!(text.contains("| workload | until | ours | Firefox-like |"), "{text}");
        assert!(text.contains("| `far` | first byte | 50.0 (50.0) | 80.0 (80.0) |"), "{text}");
        assert!(text.contains("| `far` | kB per seek | 0.00 | 0.00 |"), "{text}");
        assert!(text.contains("| `busy` | first byte | 45.0 (45.0) | - |"), "{text}");
        assert!(!text.contains("`two`"), "one that most cannot do tells nothing: {text}");
    }
}
