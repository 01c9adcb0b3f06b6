//! Where a drag goes: from the seeks of one reader, the places of the next ones.
//!
//! Several simple extrapolations run side by side: lines, parabolas and arcs over the last few or the last
//! thirty seeks. Each is judged by how well it would have foretold the seeks that came since; the best one
//! speaks. So a steady drag is averaged over many noisy seeks, one that speeds up
//! is bent, and a turn is followed within two seeks: a seek that nobody foretold even nearly makes all
//! that was before it void. Nothing is foretold then until the seek after it was, so that random jumps
//! are never followed.
//!
//! Pure arithmetic; knows nothing of fetches, maps or links. Positions are in bytes.

mod fits;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::time::Micros;
use fits::{Points, arc, line, parabola, swing};

/// Seeks kept: enough to average the unrest of a hand. Where they go too far back, a shorter extrapolation speaks.
const KEPT: usize = 30;
/// Times between seeks kept: their median stands two pauses.
const INTERVALS: usize = 5;
/// Judgements kept of each extrapolation: enough that unrest alone makes none of them look best.
const JUDGED: usize = 7;
/// Least seeks from which it is seen that others were not told.
const LEAST_SEEN: usize = 5;
/// Most seeks in a row that were not told.
const MOST_UNTOLD: usize = 4;
/// How many seeks ahead an extrapolation is judged: as far as is fetched on most links.
const JUDGED_AHEAD: usize = 2;
/// A seek that is off by more than that share of its step, or of the last two, is a turn or a jump.
const WILD: f64 = 0.4;
/// An extrapolation that was just off by so many times of what may be is not followed.
const OUTLIER: f64 = 3.0;
/// Slack is so many times what four of five judgements stayed within, and more while they are few.
const CAUTION: f64 = 1.1;

/// A way to extrapolate from the last so many seeks.
#[derive(Debug, Clone, Copy)]
enum Expert {
    /// A line: a step per seek, however long it took. Keys, wheels, timers.
    Line(usize),
    /// A parabola: steps that grow or shrink.
    Bend(usize),
    /// A piece of a sine: a hand that slows down for a turn.
    Arc(usize),
    /// Each step a mix of the two before, as in the swing of a hand that turns back.
    Swing(usize),
}

/// The simplest first: it wins ties.
const EXPERTS: [Expert; 13] = [
    Expert::Line(2),
    Expert::Line(4),
    Expert::Line(7),
    Expert::Line(12),
    Expert::Bend(4),
    Expert::Bend(7),
    Expert::Bend(12),
    Expert::Bend(20),
    Expert::Bend(KEPT),
    Expert::Arc(12),
    Expert::Arc(20),
    Expert::Arc(KEPT),
    Expert::Swing(8),
];

/// Where a coming seek will probably go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Forecast {
    /// When.
    pub(crate) due: Micros,
    /// Where.
    pub(crate) position: u64,
    /// How far off it may well be, either way.
    pub(crate) slack: u64,
}

/// Foretells the seeks of one reader.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forecaster {
    /// Where it went, the newest last.
    seen: VecDeque<f64>,
    last: Option<Micros>,
    /// Times between seeks, the newest last.
    intervals: VecDeque<Micros>,
    /// How far off each extrapolation was lately, the newest last; in bytes.
    errors: [VecDeque<f64>; EXPERTS.len()],
}

impl Forecaster {
    /// The reader went to `position`. Further off than `wild` bytes from every extrapolation it is a turn
    /// or a jump.
    pub(crate) fn saw(&mut self, now: Micros, position: u64, wild: u64) {
        let position = position as f64;
        if let Some(last) = self.last.replace(now) {
            push(&mut self.intervals, now.since(last), INTERVALS);
        }
        let next: Vec<Option<f64>> =
            EXPERTS.iter().map(|expert| self.ahead_of(*expert, 0, 1)).collect();
        let off = |foretold: &Option<f64>| foretold.map(|foretold| (foretold - position).abs());
        let nearest = next.iter().filter_map(off).min_by(f64::total_cmp);
        let step = self.seen.iter().rev().take(2).map(|seen| (position - seen).abs());
        let wild = (wild as f64).max(step.fold(0.0, f64::max) * WILD);
        if nearest.is_some_and(|off| off > wild) {
            let newest = self.seen.pop_back();
            self.seen.clear();
            self.seen.extend(newest);
            self.errors = Default::default();
        } else {
            self.judge(position, &next);
        }
        push(&mut self.seen, position, KEPT);
    }

    /// Seeks that were not told, because they led to where the reader was already, are taken to have gone where
    /// they were foretold: if they fit into the time, and explain why it is at `position` now. Returns how many.
    pub(crate) fn fill(&mut self, now: Micros, position: u64, wild: u64) -> u64 {
        let usual = self.interval().0;
        let since = self.last.map_or(0, |last| now.since(last).0);
        let steps = (since + usual / 2).checked_div(usual).unwrap_or(0) as usize;
        if self.seen.len() < LEAST_SEEN || !(2..=MOST_UNTOLD + 1).contains(&steps) {
            return 0;
        }
        let (Some((one, _)), Some((all, expert))) =
            (self.nearest(1, position), self.nearest(steps, position))
        else {
            return 0;
        };
        if one <= wild as f64 / 2.0 || all > one / 4.0 {
            return 0;
        }
        let untold: Vec<f64> =
            (1..steps).filter_map(|ahead| self.ahead_of(expert, 0, ahead)).collect();
        for place in untold {
            push(&mut self.seen, place, KEPT);
        }
        self.last = Some(Micros(now.0 - usual));
        steps as u64 - 1
    }

    /// How far from `position` the extrapolation is that is nearest to it so many seeks `ahead`.
    fn nearest(&self, ahead: usize, position: u64) -> Option<(f64, Expert)> {
        let off = |expert: &Expert| {
            let told = self.ahead_of(*expert, 0, ahead)?;
            Some(((told - position as f64).abs(), *expert))
        };
        EXPERTS.iter().filter_map(off).min_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// The seek `ahead`, from 1 on; `None` while nothing can be foretold to within `most` bytes.
    pub(crate) fn ahead(&self, ahead: usize, most: u64) -> Option<Forecast> {
        let (typical, best) = EXPERTS
            .iter()
            .enumerate()
            .filter_map(|(nth, _)| Some((quantile(&self.errors[nth], 0.5)?, nth)))
            .min_by(|a, b| a.0.total_cmp(&b.0))?;
        let newest = *self.errors[best].back()?;
        if typical > most as f64 || newest > most as f64 * OUTLIER {
            return None;
        }
        let position = self.ahead_of(EXPERTS[best], 0, ahead)?;
        let further = (ahead as f64 / JUDGED_AHEAD as f64).max(1.0);
        let errors = &self.errors[best];
        let caution = CAUTION * (1.0 + 1.0 / errors.len() as f64);
        let slack = quantile(errors, 0.8)? * caution * further;
        let after = Micros(self.interval().0.saturating_mul(ahead as u64));
        (position >= 0.0).then_some(Forecast {
            due: self.last? + after,
            position: position as u64,
            slack: slack as u64,
        })
    }

    /// The time between two seeks, usually.
    pub(crate) fn interval(&self) -> Micros {
        let mut sorted: Vec<Micros> = self.intervals.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// The shortest of the last times between two seeks.
    pub(crate) fn quickest(&self) -> Micros {
        self.intervals.iter().min().copied().unwrap_or_default()
    }

    /// How far off each extrapolation was: what it said of this seek at the one before and further back,
    /// the worse of both.
    fn judge(&mut self, position: f64, next: &[Option<f64>]) {
        for (nth, expert) in EXPERTS.iter().enumerate() {
            let Some(foretold) = next[nth] else {
                continue;
            };
            let before = self.ahead_of(*expert, JUDGED_AHEAD - 1, JUDGED_AHEAD);
            let off = (foretold - position).abs();
            let off = before.map_or(off, |before| off.max((before - position).abs()));
            push(&mut self.errors[nth], off, JUDGED);
        }
    }

    /// What `expert` says of the seek `ahead` without knowing the newest `ignored`.
    fn ahead_of(&self, expert: Expert, ignored: usize, ahead: usize) -> Option<f64> {
        let known = self.seen.len().checked_sub(ignored)?;
        let goal = (known + ahead) as f64 - 1.0;
        let last = |count: usize| -> Points {
            (known.saturating_sub(count)..known).map(|at| (at as f64, self.seen[at])).collect()
        };
        match expert {
            Expert::Line(count) => line(&last(count), goal),
            Expert::Bend(count) => parabola(&last(count), goal),
            Expert::Arc(count) => arc(&last(count), goal),
            Expert::Swing(count) => swing(&last(count), ahead),
        }
    }
}

/// Keeps the newest `most`.
fn push<T>(kept: &mut VecDeque<T>, newest: T, most: usize) {
    kept.push_back(newest);
    if kept.len() > most {
        kept.pop_front();
    }
}

/// The value below which that share of `values` lies, rounded up to one of them.
fn quantile(values: &VecDeque<f64>, share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = (values.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied()
}
