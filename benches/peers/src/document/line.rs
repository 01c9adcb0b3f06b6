//! Reading through to the end beside plain downloads.

use std::fmt::Write as _;

use anyhow::Result;

use super::Groups;
use super::table::{failed, head, heading, over, runs, short};
use crate::peer::{self, PLAIN};
use crate::run::Sheet;
use crate::workload::LINE;

/// What is told of each, and the name under which it was noted.
const FIGURES: [(&str, &str); 3] =
    [("rate", "MB/s"), ("processor time", "cpu, s"), ("peak of memory", "peak, MiB")];

/// The tables, one for each link.
pub(super) fn table(groups: &Groups) -> Result<String> {
    let mut text = String::new();
    for ((name, cc), sheets) in groups {
        let players = peer::NAMES.iter().filter(|name| **name != "naive");
        let peers: Vec<&str> = PLAIN.iter().chain(players).copied().collect();
        let mut columns = vec!["figure"];
        columns.extend(&peers);
        text += &(heading(name, cc)? + &head(&columns));
        for (figure, unit) in FIGURES {
            write!(text, "| {figure}, {} |", unit.rsplit(' ').next().unwrap_or(unit))?;
            for peer in &peers {
                write!(text, " {} |", cell(sheets, peer, unit))?;
            }
            text.push('\n');
        }
        if let Some(beside) = beside(sheets) {
            writeln!(text, "\n{beside}")?;
        }
    }
    Ok(text)
}

/// The median of `unit` over the runs of `peer`.
fn median(sheets: &[Sheet], peer: &str, unit: &str) -> Option<f64> {
    let runs = runs(sheets, peer, LINE.name);
    let whole = !runs.is_empty() && failed(&runs).is_none();
    whole.then(|| over(&runs, |sheet| sheet.values.get(unit).copied().unwrap_or_default()))
}

fn cell(sheets: &[Sheet], peer: &str, unit: &str) -> String {
    match median(sheets, peer, unit) {
        Some(value) => short(value),
        None => failed(&runs(sheets, peer, LINE.name)).unwrap_or_else(|| "-".into()),
    }
}

/// What this crate's figures are times those of the others.
fn beside(sheets: &[Sheet]) -> Option<String> {
    let of = |peer, unit| median(sheets, peer, unit);
    let [rate, cpu, peak] = FIGURES.map(|(_, unit)| unit);
    let others =
        |unit| ["stream-download", "kithara"].into_iter().filter_map(move |peer| of(peer, unit));
    let ours = of("ours", rate)?;
    let mut said = vec![format!("{:.2} times curl's rate", ours / of("curl", rate)?)];
    if let Some(fastest) = others(rate).max_by(f64::total_cmp) {
        said.push(format!("{:.2} times that of the faster rival", ours / fastest));
    }
    let ours = of("ours", cpu)?;
    said.push(format!("{:.2} times the processor time of `bare`", ours / of("bare", cpu)?));
    if let Some(leanest) = others(cpu).min_by(f64::total_cmp) {
        said.push(format!("{:.2} times that of the leaner rival", ours / leanest));
    }
    said.push(format!("{:.1} MiB more than `bare`", of("ours", peak)? - of("bare", peak)?));
    Some(format!("`ours`: {}.", said.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(peer: &str, rate: f64, cpu: f64, peak: f64) -> Sheet {
        let mut sheet = Sheet { peer: peer.into(), workload: LINE.name.into(), ..Sheet::default() };
        for ((_, unit), value) in FIGURES.into_iter().zip([rate, cpu, peak]) {
            sheet.note(unit, value);
        }
        sheet
    }

    #[test]
    fn ours_is_told_as_parts_of_the_others() {
        let sheets = [
            sheet("curl", 100.0, 1.0, 5.0),
            sheet("bare", 200.0, 2.0, 8.0),
            sheet("ours", 90.0, 3.0, 20.5),
            sheet("kithara", 60.0, 4.0, 50.0),
            sheet("stream-download", 45.0, 6.0, 10.0),
        ];
        let said = beside(&sheets).expect("all are there");
        assert_eq!(
            said,
            "`ours`: 0.90 times curl's rate, 1.50 times that of the faster rival, 1.50 times the processor time of \
             `bare`, 0.75 times that of the leaner rival, 12.5 MiB more than `bare`."
        );
        assert_eq!(beside(&sheets[..2]), None);
    }
}
