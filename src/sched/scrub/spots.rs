//! Spots: the spans in which the coming seeks of a drag will probably be.
//!
//! Each seek foretells the next few. A spot is as wide as the forecast may be off, within a share of the
//! link; where bytes could not be there in time it is so narrow that the first packets of its answer hold the
//! place. Spots that miss are foretold on but not fetched, so that it is seen when they begin to hit.

use std::collections::VecDeque;

use super::push;
use crate::byte_range::ByteRange;
use crate::sched::estimator::{FIRST_FLIGHT, Link};
use crate::sched::forecast::{Forecast, Forecaster};
use crate::time::Micros;

/// Off by more than so many bytes a seek is a turn or a jump.
const WILD: u64 = 384 << 10;
/// What is read at each place, in bytes: a key frame's head, or some frames of sound.
const READ: u64 = 32 << 10;
/// Least slack to either side of a forecast, in bytes.
const LEAST_SLACK: u64 = 6 << 10;
/// Most slack, in bytes: a wider spot holds up the next ones longer than a miss would.
const MOST_SLACK: u64 = 64 << 10;
/// A forecast is followed that is usually off by up to so many times the most slack: what is usual is the worse
/// of two forecasts, so that half of the spots hit all the same. Those that do not end it.
const HOPE: f64 = 1.3;
/// Most seeks ahead that are foretold.
const MOST_AHEAD: usize = 4;
/// So many spots are in flight at once at most, each over a connection of its own.
pub(crate) const FLYING: usize = 2;
/// A connection that rests longer begins with a small window again, in seconds: the least time after which
/// packets are sent again.
const RESTED: f64 = 0.2;
/// A hand that leaves so many round trips between two seeks does not wait for bytes.
const AT_REST: f64 = 1.15;
/// Spots are foretold so many round trips further ahead than they would have to be.
const MARGIN: f64 = 0.5;
/// A spot of more bytes than that is wide: what it holds is not in the first packets.
const WIDE: u64 = 48 << 10;
/// A wide spot whose seek comes within so many round trips is not worth a request any more: the seek itself
/// gets its bytes as soon.
const LATE: f64 = 1.4;
/// Spots judged lately: half of them have to hit.
const JUDGED: usize = 6;

/// Where a coming seek will probably be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spot {
    /// The how-manieth seek that is.
    nth: u64,
    /// The span.
    pub(crate) range: ByteRange,
    /// When.
    pub(crate) due: Micros,
}

impl Spot {
    /// Whether it comes too late to ask for it.
    pub(crate) fn is_late(&self, now: Micros, link: &Link) -> bool {
        let left = self.due.since(now).as_secs_f64();
        self.range.len() > WIDE && left < LATE * link.round_trip.as_secs_f64()
    }
}

/// The spots of one drag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spots {
    forecaster: Forecaster,
    nth: u64,
    next: VecDeque<Spot>,
    hits: VecDeque<bool>,
}

impl Spots {
    /// Those worth fetching, the next one first.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Spot> + '_ {
        let hits = self.hits.iter().filter(|hit| **hit).count();
        let worth = self.hits.len() < JUDGED / 2 || 2 * hits >= self.hits.len();
        self.next.iter().copied().filter(move |_| worth)
    }

    /// A seek went to `position`, over a `link` of which a `share` may be spent. Whether it was foretold.
    pub(super) fn sought(&mut self, now: Micros, position: u64, link: &Link, share: f64) -> bool {
        self.nth += 1 + self.forecaster.fill(now, position, WILD);
        let hit = self.judge(position);
        self.forecaster.saw(now, position, WILD);
        self.foretell(now, link, share);
        hit
    }

    fn judge(&mut self, position: u64) -> bool {
        let nth = self.nth;
        self.next.retain(|spot| spot.nth >= nth);
        let Some(spot) = self.next.front().filter(|spot| spot.nth == nth) else {
            return false;
        };
        let hit = spot.range.contains(position);
        push(&mut self.hits, hit, JUDGED);
        hit
    }

    /// Foretells the seeks that a request which is sent now can be there for.
    fn foretell(&mut self, now: Micros, link: &Link, share: f64) {
        let old = std::mem::take(&mut self.next);
        let Some(most) = self.most_slack(link, share) else {
            return;
        };
        let hoped = (most as f64 * HOPE) as u64;
        let round_trip = link.round_trip.as_secs_f64();
        let quickest = self.forecaster.quickest().as_secs_f64().max(least_interval(link));
        for ahead in 1..=MOST_AHEAD {
            let Some(forecast) = self.forecaster.ahead(ahead, hoped) else {
                return;
            };
            let nth = self.nth + ahead as u64;
            let before = old.iter().find(|spot| spot.nth == nth).map(|spot| spot.range);
            let range = span(forecast, most, before);
            self.next.push_back(Spot { nth, range, due: forecast.due.max(now) });
            let needed = time_for(forecast.slack.min(most), false, link) + MARGIN * round_trip;
            if ahead as f64 * quickest >= needed {
                return;
            }
        }
    }

    /// How far to either side of a forecast is fetched at most; `None` where not even little may be.
    fn most_slack(&self, link: &Link, share: f64) -> Option<u64> {
        let between = self.forecaster.interval().as_secs_f64();
        let interval = between.max(least_interval(link));
        let bytes = (link.path * share * interval) as u64;
        let most = (bytes.saturating_sub(READ) / 2).min(MOST_SLACK);
        // Who waits within a wide spot waits for window after window of a connection that had rested.
        let rested = FLYING as f64 * interval > RESTED;
        let in_time = time_for(2 * most, rested, link) <= MOST_AHEAD as f64 * interval;
        let at_rest = between >= AT_REST * link.round_trip.as_secs_f64();
        let most = if in_time && at_rest { most } else { most.min(FIRST_FLIGHT / 2) };
        (most >= LEAST_SLACK).then_some(most)
    }
}

/// Seeks that come sooner after each other are not all foretold, in seconds.
fn least_interval(link: &Link) -> f64 {
    link.first_byte.as_secs_f64() / FLYING as f64
}

/// How long bytes take that lie `depth` deep in an answer, in seconds; `rested` if over a connection whose
/// window has closed.
fn time_for(depth: u64, rested: bool, link: &Link) -> f64 {
    let flights = if rested { f64::from((depth / FIRST_FLIGHT + 1).ilog2()) } else { 0.0 };
    let opening = flights * link.round_trip.as_secs_f64();
    link.first_byte.as_secs_f64() + opening + depth as f64 / link.path
}

/// The span round a forecast; the one `before` it if that does as well.
fn span(forecast: Forecast, most: u64, before: Option<ByteRange>) -> ByteRange {
    let slack = forecast.slack.clamp(LEAST_SLACK, most);
    let round = |slack| {
        let start = forecast.position.saturating_sub(slack);
        ByteRange::new(start, forecast.position.saturating_add(slack).saturating_add(READ))
    };
    before.filter(|before| before.covers(round(slack / 2))).unwrap_or(round(slack))
}

#[cfg(test)]
mod tests;
