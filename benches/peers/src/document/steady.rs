//! Full speed where a single connection cannot have it, and over TLS.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use super::Groups;
use super::table::{failed, head, heading, over, peers, runs, short, value};
use crate::run::Sheet;
use crate::workload::STEADY;

/// What was measured with what, and a table for each link. It may be made on another day than the rest of the document.
pub(super) fn table(about: &[String], groups: &Groups) -> Result<String> {
    let mut text = String::new();
    for fact in about {
        let (name, value) = fact.split_once('=').unwrap_or(("", fact));
        writeln!(text, "- {name}: {value}")?;
    }
    for ((name, cc), sheets) in groups {
        let peers = peers(sheets);
        let mut columns = vec!["workload", "figure"];
        columns.extend(&peers);
        text += &(heading(name, cc)? + &head(&columns));
        for workload in STEADY.map(|workload| workload.name) {
            for figure in figures(sheets, workload) {
                write!(text, "| `{workload}` | {figure} |")?;
                for peer in &peers {
                    let cell = value(&runs(sheets, peer, workload), figure);
                    write!(text, " {} |", cell.replace("-1.00", "never"))?;
                }
                text.push('\n');
            }
            text += &counted(sheets, workload, &peers)?;
        }
        for peer in &peers {
            if let Some(beside) = beside(sheets, peer) {
                writeln!(text, "\n{beside}")?;
            }
        }
    }
    Ok(text)
}

/// Names of the figures that some peer has in `workload`.
fn figures<'a>(sheets: &'a [Sheet], workload: &str) -> Vec<&'a str> {
    let of = sheets.iter().filter(|sheet| sheet.workload == workload);
    let all: BTreeMap<&str, ()> =
        of.flat_map(|sheet| sheet.values.keys()).map(|name| (name.as_str(), ())).collect();
    all.into_keys().collect()
}

/// Connections and requests, where they were counted.
fn counted(sheets: &[Sheet], workload: &str, peers: &[&str]) -> Result<String> {
    let mut row = format!("| `{workload}` | connections, requests |");
    let mut any = false;
    for peer in peers {
        let runs = runs(sheets, peer, workload);
        let count = |of: fn(&Sheet) -> u64| over(&runs, |sheet| of(sheet) as f64);
        let connections = if runs.is_empty() { 0.0 } else { count(|sheet| sheet.wire.connections) };
        any |= connections > 0.0;
        match connections > 0.0 {
            true => write!(row, " {connections}, {} |", count(|sheet| sheet.wire.requests))?,
            false => row.push_str(" - |"),
        }
    }
    row.push('\n');
    Ok(if any { row } else { String::new() })
}

/// What HTTP/2 is times HTTP/1.1, over TLS.
fn beside(sheets: &[Sheet], peer: &str) -> Option<String> {
    let of = |workload, unit: &str| {
        let runs = runs(sheets, peer, workload);
        let whole = !runs.is_empty() && failed(&runs).is_none();
        whole.then(|| over(&runs, |sheet| sheet.values.get(unit).copied().unwrap_or_default()))
    };
    let times = |unit| Some(of("tls-http2", unit)? / of("tls-http1", unit)?);
    let (rate, cpu) = (short(times("MB/s")?), short(times("cpu, s")?));
    Some(format!(
        "`{peer}`: HTTP/2 has {rate} times the rate of HTTP/1.1, {cpu} times its processor time."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(workload: &str, rate: f64, cpu: f64) -> Sheet {
        let mut sheet =
            Sheet { peer: "ours".into(), workload: workload.into(), ..Sheet::default() };
        sheet.note("MB/s", rate);
        sheet.note("cpu, s", cpu);
        sheet
    }

    #[test]
    fn http2_is_told_as_a_part_of_http1() {
        let sheets = [sheet("tls-http1", 200.0, 2.0), sheet("tls-http2", 180.0, 3.0)];
        let said = beside(&sheets, "ours").expect("both are there");
        assert_eq!(
            said,
            "`ours`: HTTP/2 has 0.90 times the rate of HTTP/1.1, 1.50 times its processor time."
        );
        assert_eq!(beside(&sheets[..1], "ours"), None);
    }
}
