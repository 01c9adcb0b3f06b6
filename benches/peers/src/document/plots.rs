//! The plots: how latencies are distributed, and what they cost in bytes.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Groups;
use super::svg::{Axis, Plot, style};
use super::table::{peers, runs, samples};
use crate::profile::Profile;
use crate::run::Sheet;
use crate::stats::{median, sorted};

/// Workloads that are about the first byte after a seek.
const SEEKS: [&str; 10] = [
    "open",
    "far",
    "hint",
    "busy",
    "busy-full",
    "drag",
    "drag-faster",
    "drag-back",
    "drag-random",
    "two",
];

/// Nothing shorter is told apart, in milliseconds.
const LEAST_MS: f64 = 0.01;

/// Nothing less is told apart, in kB.
const LEAST_KB: f64 = 1.0;

/// Draws all plots into `dir` and returns the lines that show them.
pub(super) fn all(groups: &Groups, dir: &Path) -> Result<String> {
    let folder =
        dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut text = String::new();
    for ((name, cc), sheets) in groups {
        let profile = Profile::named(name)?;
        let link = format!("link {name}, {cc}");
        let mut drawn = vec![];
        for workload in SEEKS {
            if let Some(plot) = distribution(sheets, workload, &link, profile.rtt_ms) {
                drawn.push((
                    format!("{workload}-{name}-{cc}.svg"),
                    format!("{workload}: latencies, {link}"),
                    plot,
                ));
            }
        }
        if let Some(plot) = waste(sheets, &link) {
            drawn.push((
                format!("waste-{name}-{cc}.svg"),
                format!("bytes wasted against latency, {link}"),
                plot,
            ));
        }
        for (file, about, plot) in drawn {
            fs::write(dir.join(&file), plot)?;
            text += &format!("![{about}]({folder}/{file})\n");
        }
    }
    Ok(text)
}

/// First bytes of all runs of `peer`, the fastest first; none if one run failed.
fn first_bytes(sheets: &[Sheet], peer: &str, workload: &str) -> Vec<f64> {
    let runs = runs(sheets, peer, workload);
    if runs.iter().any(|sheet| sheet.failed.is_some()) {
        return vec![];
    }
    let all = runs.iter().flat_map(|sheet| samples(sheet, "first byte"));
    sorted(&all.map(|ms| ms.max(LEAST_MS)).collect::<Vec<f64>>())
}

/// For each peer: the share of seeks that are done after so many milliseconds.
fn distribution(sheets: &[Sheet], workload: &str, link: &str, rtt_ms: f64) -> Option<String> {
    let peers = peers(sheets);
    let of = |peer: &&str| first_bytes(sheets, peer, workload);
    let all: Vec<f64> = peers.iter().flat_map(of).chain([rtt_ms]).collect();
    if all.len() < 2 {
        return None;
    }
    let share = Axis { from: 0.0, to: 1.0, logarithmic: false };
    let x = (Axis::decades(&all, LEAST_MS), "ms to the first byte");
    let mut plot = Plot::new(&format!("{workload}, {link}"), x, (share, "share of seeks"));
    plot.mark(rtt_ms, "1 R");
    for peer in &peers {
        let ms = of(peer);
        if ms.is_empty() {
            if !runs(sheets, peer, workload).is_empty() {
                plot.legend(&format!("{peer}: failed"), style(peer));
            }
            continue;
        }
        let count = ms.len() as f64;
        let mut points = vec![(ms[0], 0.0)];
        for (i, ms) in ms.iter().copied().enumerate() {
            points.push((ms, i as f64 / count));
            points.push((ms, (i + 1) as f64 / count));
        }
        plot.line(&points, style(peer));
        plot.legend(peer, style(peer));
    }
    Some(plot.finish())
}

/// For each peer and workload: bytes that nobody read against the median first byte.
fn waste(sheets: &[Sheet], link: &str) -> Option<String> {
    let peers = peers(sheets);
    let mut dots = vec![];
    for peer in &peers {
        for workload in SEEKS {
            let ms = first_bytes(sheets, peer, workload);
            if ms.is_empty() {
                continue;
            }
            let runs = runs(sheets, peer, workload);
            let wasted: Vec<f64> = runs.iter().map(|sheet| sheet.wasted_per_seek() / 1e3).collect();
            let wasted = median(&wasted).max(LEAST_KB);
            dots.push((*peer, workload, wasted, median(&ms)));
        }
    }
    if dots.is_empty() {
        return None;
    }
    let x = Axis::decades(&dots.iter().map(|dot| dot.2).collect::<Vec<f64>>(), LEAST_KB);
    let y = Axis::decades(&dots.iter().map(|dot| dot.3).collect::<Vec<f64>>(), LEAST_MS);
    let title = format!("bytes wasted against latency, {link}");
    let mut plot = Plot::new(
        &title,
        (x, "kB over the wire that nobody read, for each seek"),
        (y, "median ms"),
    );
    for (peer, workload, wasted, ms) in dots {
        plot.dot((wasted, ms), style(peer).0, workload);
    }
    for peer in peers {
        plot.legend(peer, (style(peer).0, ""));
    }
    Some(plot.finish())
}
