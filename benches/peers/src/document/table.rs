//! The tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use super::Groups;
use crate::peer;
use crate::profile::{LOOPBACK, Profile};
use crate::run::Sheet;
use crate::simulate::SIMULATED;
use crate::stats::{median, quantile, sorted};
use crate::workload::{self, LINE, STEADY, TRACE};

/// Peers in the order of columns; one that was not measured has none.
pub(super) fn peers(sheets: &[Sheet]) -> Vec<&str> {
    let mut peers: Vec<&str> = sheets.iter().map(|sheet| sheet.peer.as_str()).collect();
    let place = |name: &str| {
        ["naive", "ours", "stream-download", "kithara"].iter().position(|known| *known == name)
    };
    peers.sort_by_key(|name| (place(name).unwrap_or(usize::MAX), *name));
    peers.dedup();
    debug_assert!(peer::NAMES.len() <= 4, "a peer without a column of its own");
    peers
}

/// All runs of one peer in one workload.
pub(super) fn runs<'a>(sheets: &'a [Sheet], peer: &str, workload: &str) -> Vec<&'a Sheet> {
    sheets.iter().filter(|sheet| sheet.peer == peer && sheet.workload == workload).collect()
}

/// Why `runs` give no figures, if so.
pub(super) fn failed(runs: &[&Sheet]) -> Option<String> {
    let failures: Vec<&str> = runs.iter().filter_map(|sheet| sheet.failed.as_deref()).collect();
    let why = failures.first()?;
    // Markdown's own signs in a message would break the table.
    let why: String = why.chars().filter(|c| !"|`<>\n".contains(*c)).take(70).collect();
    Some(format!("**failed** in {} of {}: {why}", failures.len(), runs.len()))
}

/// The median over `runs` of a figure of each.
pub(super) fn over(runs: &[&Sheet], figure: impl Fn(&Sheet) -> f64) -> f64 {
    median(&runs.iter().map(|sheet| figure(sheet)).collect::<Vec<f64>>())
}

/// Samples of the series `name`.
pub(super) fn samples<'a>(sheet: &'a Sheet, name: &str) -> &'a [f64] {
    sheet.series.iter().find(|series| series.name == name).map_or(&[], |series| &series.ms)
}

/// Counts that belong to a series.
fn facts<'a>(sheet: &'a Sheet, name: &str) -> &'a [f64] {
    sheet.facts.iter().find(|series| series.name == name).map_or(&[], |series| &series.ms)
}

/// A number with as many digits as tell something.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 99.5 => format!("{value:.0}"),
        v if v >= 9.95 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The heading of a link's tables.
pub(super) fn heading(name: &str, cc: &str) -> Result<String> {
    if name == LOOPBACK {
        return Ok("\n### Loopback\n\n".into());
    }
    let through = match cc {
        "shaped" => "in-process shaped link".to_owned(),
        SIMULATED => "simulated TCP, cubic".to_owned(),
        cc => format!("real TCP, {cc}"),
    };
    Ok(format!("\n### Link {name}: {}; {through}\n\n", Profile::named(name)?.in_words()))
}

/// A table's first two lines.
pub(super) fn head(columns: &[&str]) -> String {
    format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()))
}

/// Workloads of `sheets` but for traces, in the order of reporting.
pub(super) fn workloads(sheets: &[Sheet]) -> impl Iterator<Item = &'static str> + '_ {
    let names = workload::ALL.iter().map(|workload| workload.name);
    names.filter(|name| sheets.iter().any(|sheet| sheet.workload == *name))
}

/// What was measured, where and when.
pub(super) fn about(facts: &[String], groups: &Groups) -> Result<String> {
    let mut text = String::new();
    for fact in facts {
        let (name, value) = fact.split_once('=').unwrap_or(("", fact));
        writeln!(text, "- {name}: {value}")?;
    }
    for ((name, cc), sheets) in groups {
        let runs = sheets.iter().map(|sheet| sheet.run).max().unwrap_or_default();
        let quick = if sheets.iter().any(|sheet| sheet.quick) {
            ", **a quick look, no figures to quote**"
        } else {
            ""
        };
        writeln!(
            text,
            "- link {name} ({cc}): {}; runs: {runs}{quick}",
            Profile::named(name)?.in_words()
        )?;
    }
    text.push_str("\n| workload | what is done |\n|---|---|\n");
    for workload in workload::ALL.iter().chain([&LINE]).chain(&STEADY) {
        writeln!(text, "| `{}` | {} |", workload.name, workload.about)?;
    }
    Ok(text)
}

/// Latencies, in milliseconds and in round trips.
pub(super) fn latency(groups: &Groups) -> Result<String> {
    let mut text = String::new();
    for ((name, cc), sheets) in groups {
        let rtt = Profile::named(name)?.rtt_ms;
        let peers = peers(sheets);
        let mut columns = vec!["workload", "until"];
        columns.extend(&peers);
        let mut rows = String::new();
        for workload in workloads(sheets) {
            for series in names_of_series(sheets, workload) {
                write!(rows, "| `{workload}` | {series} |")?;
                for peer in &peers {
                    write!(rows, " {} |", times(&runs(sheets, peer, workload), &series, rtt))?;
                }
                rows.push('\n');
            }
        }
        if !rows.is_empty() {
            text += &(heading(name, cc)? + &head(&columns) + &rows);
        }
    }
    Ok(text)
}

/// Names of the series that some peer has in `workload`; one that only failed has a row all the same.
fn names_of_series(sheets: &[Sheet], workload: &str) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for sheet in sheets.iter().filter(|sheet| sheet.workload == workload) {
        for series in &sheet.series {
            if !names.contains(&series.name) {
                names.push(series.name.clone());
            }
        }
    }
    names
}

/// One cell: median, 90th of a hundred and maximum, in milliseconds and in round trips.
fn times(runs: &[&Sheet], series: &str, rtt: f64) -> String {
    if runs.is_empty() {
        return "-".into();
    }
    if let Some(why) = failed(runs) {
        return why;
    }
    let at = |q| over(runs, |sheet| quantile(&sorted(samples(sheet, series)), q));
    let max = runs.iter().flat_map(|sheet| samples(sheet, series)).copied().fold(0.0, f64::max);
    let [p50, p90] = [at(0.5), at(0.9)];
    let ms = format!("{} ({}, {})", short(p50), short(p90), short(max));
    format!("{ms}<br>{:.2} ({:.2}, {:.2}) R", p50 / rtt, p90 / rtt, max / rtt)
}

/// Bytes, requests, connections, processor time, memory.
pub(super) fn cost(groups: &Groups) -> Result<String> {
    let mut text = String::new();
    for ((name, cc), sheets) in groups {
        let peers = peers(sheets);
        let mut columns = vec!["workload"];
        columns.extend(&peers);
        text += &(heading(name, cc)? + &head(&columns));
        for workload in workloads(sheets) {
            write!(text, "| `{workload}` |")?;
            for peer in &peers {
                write!(text, " {} |", costs(&runs(sheets, peer, workload)))?;
            }
            text.push('\n');
        }
    }
    Ok(text)
}

/// One cell of it.
fn costs(runs: &[&Sheet]) -> String {
    if runs.is_empty() {
        return "-".into();
    }
    if failed(runs).is_some() {
        return "**failed**".into();
    }
    let seeks = |sheet: &Sheet| sheet.seeks.max(1) as f64;
    let kilobytes = over(runs, |sheet| sheet.down_per_seek() / 1e3);
    let requests = over(runs, |sheet| sheet.wire.requests as f64 / seeks(sheet));
    let connections = over(runs, |sheet| sheet.wire.connections as f64 / seeks(sheet));
    let twice = over(runs, |sheet| sheet.wire.twice as f64 / 1e3 / seeks(sheet));
    let cpu = over(runs, |sheet| sheet.cpu_s);
    let peak = over(runs, |sheet| sheet.peak_kib as f64 / 1024.0);
    let twice = if twice >= 0.5 { format!(" ({} twice)", short(twice)) } else { String::new() };
    format!(
        "{} kB{twice}, {} req, {} conn<br>{cpu:.2} s, {} MiB",
        short(kilobytes),
        short(requests),
        short(connections),
        short(peak)
    )
}

/// Single figures: stalls, rates, hits.
pub(super) fn playing(groups: &Groups) -> Result<String> {
    let mut text = String::new();
    for ((name, cc), sheets) in groups {
        let peers = peers(sheets);
        let mut columns = vec!["workload", "figure"];
        columns.extend(&peers);
        let mut rows = String::new();
        for workload in workloads(sheets) {
            let of = sheets.iter().filter(|sheet| sheet.workload == workload);
            let figures: BTreeMap<&str, ()> =
                of.flat_map(|sheet| sheet.values.keys()).map(|name| (name.as_str(), ())).collect();
            for figure in figures.keys() {
                write!(rows, "| `{workload}` | {figure} |")?;
                for peer in &peers {
                    write!(rows, " {} |", value(&runs(sheets, peer, workload), figure))?;
                }
                rows.push('\n');
            }
        }
        if !rows.is_empty() {
            text += &(heading(name, cc)? + &head(&columns) + &rows);
        }
    }
    Ok(text)
}

/// Median and largest of a single figure.
pub(super) fn value(runs: &[&Sheet], figure: &str) -> String {
    if let Some(why) = failed(runs) {
        return why;
    }
    let values: Vec<f64> =
        runs.iter().filter_map(|sheet| sheet.values.get(figure)).copied().collect();
    match values.as_slice() {
        [] => "-".into(),
        [one] => short(*one),
        many => format!("{} (max {})", short(median(many)), short(quantile(&sorted(many), 1.0))),
    }
}

/// Decoders' opens and seeks.
pub(super) fn traces(groups: &Groups) -> Result<String> {
    let mut text = String::new();
    for ((name, cc), sheets) in groups {
        let mut traces: Vec<&str> = sheets
            .iter()
            .map(|sheet| sheet.workload.as_str())
            .filter(|name| name.starts_with(TRACE))
            .collect();
        traces.sort_unstable();
        traces.dedup();
        if traces.is_empty() {
            continue;
        }
        let profile = Profile::named(name)?;
        let peers = peers(sheets);
        let mut columns = vec!["trace", "what", "dependent reads", "kB read", "floor, ms"];
        columns.extend(&peers);
        text += &(heading(name, cc)? + &head(&columns));
        for trace in traces {
            for kind in ["open", "seek"] {
                trace_row(&mut text, sheets, &peers, trace, kind, &profile)?;
            }
        }
    }
    Ok(text)
}

/// The opens or the seeks of one trace. The floor is a round trip for each dependent read (an open connects first), and
/// the bytes at the rate of the link.
fn trace_row(
    text: &mut String,
    sheets: &[Sheet],
    peers: &[&str],
    trace: &str,
    kind: &str,
    profile: &Profile,
) -> Result<()> {
    let whole = |sheet: &&Sheet| sheet.workload == trace && sheet.failed.is_none();
    let Some(known) = sheets.iter().find(whole) else { return Ok(()) };
    let reads = facts(known, &format!("{kind}, dependent reads"));
    let bytes = facts(known, &format!("{kind}, bytes read"));
    let connecting = if kind == "open" { 1.0 } else { 0.0 };
    let floor = |(reads, bytes): (&f64, &f64)| {
        (reads + connecting) * profile.rtt_ms + bytes / profile.bytes_per_second() * 1e3
    };
    let floors: Vec<f64> = reads.iter().zip(bytes).map(floor).collect();
    let (dependent, kilobytes) = (short(median(reads)), short(median(bytes) / 1e3));
    let name = trace.trim_start_matches(TRACE);
    write!(text, "| `{name}` | {kind} | {dependent} | {kilobytes} | {} |", short(median(&floors)))?;
    for peer in peers {
        let runs = runs(sheets, peer, trace);
        write!(text, " {}{} |", times(&runs, kind, profile.rtt_ms), trips(&runs, kind))?;
    }
    text.push('\n');
    Ok(())
}

/// Round trips that places took: the median phase, and the worst.
fn trips(runs: &[&Sheet], kind: &str) -> String {
    let name = format!("{kind}, round trips for places");
    let all: Vec<f64> = runs.iter().flat_map(|sheet| facts(sheet, &name)).copied().collect();
    match failed(runs) {
        None if !all.is_empty() => {
            format!("<br>{} trips (max {})", median(&all), quantile(&sorted(&all), 1.0))
        }
        _ => String::new(),
    }
}

/// What each peer was and how it was set.
pub(super) fn settings(groups: &Groups) -> String {
    let sheets = groups.values().flatten().filter(|sheet| !sheet.settings.is_empty());
    let settings: BTreeMap<(&str, &str), ()> =
        sheets.map(|sheet| ((sheet.peer.as_str(), sheet.settings.as_str()), ())).collect();
    settings.keys().map(|(peer, settings)| format!("- `{peer}`: {settings}\n")).collect()
}
