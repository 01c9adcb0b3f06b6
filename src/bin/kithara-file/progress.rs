//! How far a download is: a bar on a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kithara_file::Snapshot;

use crate::remark;

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// The bar with a known length, and without.
const BAR: &str =
    "{wide_bar:.cyan/blue} {bytes}/{total_bytes} {percent:>3}% {bytes_per_sec} {eta} left";
const NO_LENGTH: &str = "{spinner} {bytes} {bytes_per_sec}";

/// Shows how far a download is.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Nothing is shown.
    Quiet,
    /// In place.
    Bar { bar: ProgressBar, len: Option<u64> },
    /// Line by line.
    Lines { started: Instant, at_start: u64, last: Instant },
}

impl Progress {
    /// For a download of which `at_start` bytes are there already.
    pub(crate) fn new(quiet: bool, at_start: u64) -> Self {
        if quiet {
            return Self::Quiet;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if bar.is_hidden() {
            let now = Instant::now();
            return Self::Lines { started: now, at_start, last: now };
        }
        bar.set_style(style(NO_LENGTH));
        // What was there is not progress of this run, and must not count for the rate.
        bar.set_position(at_start);
        bar.reset_eta();
        Self::Bar { bar, len: None }
    }

    /// Shows what is there now.
    pub(crate) fn show(&mut self, snapshot: &Snapshot) {
        let stored = snapshot.covered_bytes();
        match self {
            Self::Quiet => {}
            Self::Bar { bar, len } => {
                if *len != snapshot.len {
                    *len = snapshot.len;
                    bar.set_length(snapshot.len.unwrap_or(stored));
                    bar.set_style(style(if len.is_some() { BAR } else { NO_LENGTH }));
                }
                bar.set_position(stored);
            }
            Self::Lines { started, at_start, last } => {
                if last.elapsed() >= LINE_EVERY {
                    *last = Instant::now();
                    let fetched = stored.saturating_sub(*at_start);
                    remark(&line(stored, snapshot.len, fetched, started.elapsed()));
                }
            }
        }
    }

    /// Says something else in between.
    pub(crate) fn aside(&self, say: impl FnOnce()) {
        match self {
            Self::Bar { bar, .. } => bar.suspend(say),
            Self::Quiet | Self::Lines { .. } => say(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Self::Bar { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("templates of this file are valid")
}

fn line(stored: u64, len: Option<u64>, fetched: u64, took: Duration) -> String {
    let rate = fetched as f64 / took.as_secs_f64().max(1e-3);
    let of = match len {
        Some(len) if len > 0 => {
            let percent = (stored as f64 / len as f64 * 100.0) as u64;
            format!("{} of {} ({percent} %)", HumanBytes(stored), HumanBytes(len))
        }
        _ => HumanBytes(stored).to_string(),
    };
    let left = match len {
        Some(len) if rate >= 1.0 => {
            let seconds = (len.saturating_sub(stored) as f64 / rate).min(1e9);
            format!(", {} left", HumanDuration(Duration::from_secs_f64(seconds)))
        }
        _ => String::new(),
    };
    format!("{of}, {}/s{left}", HumanBytes(rate as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_share_rate_and_time_left() {
        let mib = 1 << 20;
        let text = line(3 * mib, Some(4 * mib), 2 * mib, Duration::from_secs(2));
        assert_eq!(text, "3.00 MiB of 4.00 MiB (75 %), 1.00 MiB/s, 1 second left");
        assert_eq!(line(mib, None, 0, Duration::ZERO), "1.00 MiB, 0 B/s");
        assert_eq!(line(0, Some(0), 0, Duration::ZERO), "0 B, 0 B/s");
        assert!(line(0, Some(u64::MAX), 1, Duration::from_secs(1)).ends_with("left"));
    }

    #[test]
    fn the_templates_are_valid() {
        style(BAR);
        style(NO_LENGTH);
    }
}
