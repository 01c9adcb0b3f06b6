//! The demo's last word: both arms beside each other.

use std::collections::BTreeSet;
use std::time::Duration;

use indicatif::HumanBytes;
use kithara_file::origin::Log;

use super::{Arm, NAIVE, OURS};
use crate::args::Demo;
use crate::coverage;
use crate::figures::{Spread, ms};
use crate::table::table;

/// What came out.
#[derive(Debug)]
pub(super) struct Report {
    /// The engine.
    pub(super) ours: Arm,
    /// The naive client.
    pub(super) theirs: Arm,
    /// Open to first byte, connecting included.
    pub(super) opened: Duration,
    /// How often the music would have stopped.
    pub(super) stalls: u32,
    /// Seeks back to what is stored.
    pub(super) hits: Vec<Duration>,
    /// What is stored.
    pub(super) bar: String,
    /// What the origin had seen when the far seeks began.
    pub(super) before: Log,
    /// What the origin had seen when they were done.
    pub(super) after: Log,
}

/// What the origin saw of one arm during the far seeks.
struct Seen {
    requests: usize,
    connections: usize,
    bytes: u64,
}

impl Report {
    /// Bytes that were not those of the music, in both arms.
    pub(super) fn wrong(&self) -> u64 {
        self.ours.wrong + self.theirs.wrong
    }

    fn seen(&self, path: &str) -> Seen {
        let bytes = |log: &Log| log.of(path).map(|request| request.body_bytes).sum::<u64>();
        let connections: BTreeSet<u64> =
            self.after.of(path).map(|request| request.connection).collect();
        Seen {
            requests: self.after.of(path).count() - self.before.of(path).count(),
            connections: connections.len(),
            bytes: bytes(&self.after) - bytes(&self.before),
        }
    }

    pub(super) fn to_text(&self, args: &Demo) -> String {
        let seeks = self.ours.seeks.len();
        let (ours, theirs) = (self.seen(OURS), self.seen(NAIVE));
        let of = |arm: &Arm, what: fn(&super::Seek) -> Duration| {
            Spread::of(&arm.seeks.iter().map(what).collect::<Vec<_>>())
        };
        let first = [of(&self.ours, |seek| seek.first), of(&self.theirs, |seek| seek.first)];
        let all = [of(&self.ours, |seek| seek.complete), of(&self.theirs, |seek| seek.complete)];
        let hits = Spread::of(&self.hits);
        let per_seek = |seen: &Seen| format!("{:.1}", seen.requests as f64 / seeks.max(1) as f64);
        let bytes = |seen: &Seen| HumanBytes(seen.bytes / seeks.max(1) as u64).to_string();
        let mut rows =
            vec![vec![format!("{seeks} far seeks"), "kithara-file".into(), "naive".into()]];
        rows.extend(spread_rows("first byte", first, args.rtt));
        rows.extend(spread_rows("64 KiB", all, args.rtt));
        rows.push(vec!["back to what is stored, p50".into(), time(hits.map(|s| s.p50), args.rtt)]);
        rows.push(vec!["requests per seek".into(), per_seek(&ours), per_seek(&theirs)]);
        rows.push(vec!["bytes per seek, read-ahead included".into(), bytes(&ours), bytes(&theirs)]);
        rows.push(vec![
            "connections in all".into(),
            ours.connections.to_string(),
            theirs.connections.to_string(),
        ]);
        let wrong = [self.ours.wrong.to_string(), self.theirs.wrong.to_string()];
        rows.push(std::iter::once("wrong bytes".to_owned()).chain(wrong).collect());
        format!(
            "{}\n{}\n\n{}\nopen to first byte {:.0} ms; {} s played, the music stopped {} times; {}\n",
            self.bar,
            coverage::LEGEND,
            table(&rows),
            ms(self.opened),
            args.play,
            self.stalls,
            verdict(first),
        )
    }
}

fn spread_rows(title: &str, spreads: [Option<Spread>; 2], rtt: u64) -> Vec<Vec<String>> {
    let row = |name: &str, part: fn(Spread) -> f64| {
        let cells = spreads.map(|spread| time(spread.map(part), rtt));
        std::iter::once(format!("{title}, {name}")).chain(cells).collect()
    };
    vec![
        row("p50", |spread| spread.p50),
        row("p90", |spread| spread.p90),
        row("max", |spread| spread.max),
    ]
}

/// A time in milliseconds and in round trips of the link.
fn time(ms: Option<f64>, rtt: u64) -> String {
    match ms {
        Some(ms) if rtt > 0 => format!("{ms:.1} ms {:>5.2} R", ms / rtt as f64),
        Some(ms) => format!("{ms:.1} ms"),
        None => "-".into(),
    }
}

fn verdict(first: [Option<Spread>; 2]) -> String {
    match first {
        [Some(ours), Some(theirs)] if theirs.p50 > 0.0 => {
            format!("median far seek {:.2}x of naive", ours.p50 / theirs.p50)
        }
        _ => "no far seeks".into(),
    }
}
