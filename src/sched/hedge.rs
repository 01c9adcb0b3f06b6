//! Hedging: a second request beside one that is late for a read.
//!
//! Late is a fetch without a first byte after the time that almost every answer keeps to, and one that
//! has fallen silent. Another fetch, over another lane, begins at the very byte that is waited for; whichever
//! brings it goes on, and the other one is stopped (`overtake` knows whose the bytes are). Silent
//! read-ahead is relieved the same way before its reader gets there. A fetch that only crawls is split: it
//! brings what it can until the other one answers, and nothing comes twice.
//!
//! With the budget used up a silent fetch is given up instead, later and later while nothing comes: one request
//! takes the place of another.
//!
//! Not while the origin asks for patience; not while the machine was too busy to look; no more than one at a
//! time while every request of the origin is silent: a link may be dead, or just all its old connections; and few
//! among many requests.

use crate::byte_range::ByteRange;
use crate::config::HedgingConfig;
use crate::ids::{FetchId, OriginId, ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::admit::Origin;
use crate::sched::estimator::Link;
use crate::sched::event::{Action, FetchOutcome, Remedy};
use crate::sched::inflight::Fetch;
use crate::sched::judge;
use crate::sched::resource::{Resource, Transfer};
use crate::sched::segment_map::SegmentState;
use crate::sched::timer::Timer;
use crate::time::Micros;
use pauses::Pauses;

/// So many second requests may come at once, whatever the share.
const BURST: u32 = 2;
/// What one costs, in hundredths: each other request pays back the configured percent.
const COST: u32 = 100;
/// After one has failed, or a 429 or 503 without a `Retry-After`, none is sent for so long.
const QUIET: Micros = Micros::from_millis(1000);
/// Bytes come in lumps: silence in which so many more would not have come says nothing.
const LUMP: u64 = 32 << 10;
/// A timer that is served so late says that the machine is starved, and silence nothing about the network.
const STARVED: Micros = Micros::from_millis(50);
/// Read-ahead may be silent for so many times what a read puts up with: most silence ends by itself.
const AHEAD_PATIENCE: u64 = 2;
/// Without a second request a silent one is borne for so many times as long, and twice that each time.
const LAST_RESORT: u64 = 2;
/// A flow crawls if it has less than one part in so many of its share of the path.
const CRAWL: f64 = 4.0;
/// A younger body may be slow because its connection opens its window, or because others had filled the queue.
const CRAWL_AGE: Micros = Micros::from_millis(1500);
/// What is left of it must take so long for a split to be worth a request.
const CRAWL_REST: f64 = 1.0;
/// Read-ahead that is faster than so many times what its reader consumes is fast enough.
const ENOUGH: f64 = 1.2;
/// What is split off begins so many open costs ahead: what the old one brings meanwhile, and a little more.
const SPLIT_AHEAD: f64 = 1.25;
/// At most one is split in so long a time.
const SPLIT_APART: Micros = Micros::from_millis(1000);
/// How fast the best rate seen fades, in seconds: a link that has become slow is not a flow that crawls.
const PEAK_FADE: f64 = 10.0;

/// A fetch that somebody else is to help out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Late {
    /// Which.
    pub(crate) fetch: FetchId,
    /// From which byte on.
    pub(crate) from: u64,
    /// Whose sake it is for.
    pub(crate) reader: ReaderId,
    /// Whether that reader is blocked.
    pub(crate) blocked: bool,
    /// Whether both have bytes of their own to bring.
    pub(crate) split: bool,
    /// Whether it is to go instead, because no second request may be sent.
    pub(crate) last_resort: bool,
}

/// What one origin has had of second requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hedging {
    /// Hundredths of a second request that other requests have not paid for yet.
    debt: u32,
    quiet_until: Micros,
    split_at: Option<Micros>,
    /// Fetches given up since the last first byte; where bodies were, since one came whole.
    given_up: u32,
    /// Whether a body was among them.
    broke_off: bool,
    /// How long bodies are silent by themselves.
    pauses: Pauses,
    peak: f64,
    peak_at: Micros,
}

impl Hedging {
    /// A request is sent, to help out a `late` one or not.
    pub(crate) fn sent(&mut self, late: Option<Late>, now: Micros, config: &HedgingConfig) {
        match late {
            Some(Late { split: true, .. }) => self.split_at = Some(now),
            Some(_) => self.debt = self.debt.saturating_add(COST),
            None => self.debt = self.debt.saturating_sub(config.budget_percent),
        }
    }

    /// Whether bytes may come twice once more.
    fn is_affordable(&self, config: &HedgingConfig) -> bool {
        config.budget_percent > 0 && self.debt + COST <= BURST * COST
    }

    /// How much longer than with a second request a silent fetch is borne without one.
    fn last_resort(&self) -> u64 {
        LAST_RESORT << self.given_up.min(16)
    }

    /// A body that had been silent for so long goes on.
    pub(crate) fn went_on(
        &mut self,
        now: Micros,
        silent: Micros,
        link: &Link,
        config: &HedgingConfig,
    ) {
        if silent > judge::silence(link, config.delay.into()) {
            self.pauses.ended(now, silent);
        }
    }

    /// A body came whole.
    pub(crate) fn completed(&mut self) {
        (self.given_up, self.broke_off) = (0, false);
    }

    /// From when on a body may be split again: nothing comes twice, but one request becomes two.
    fn next_split(&self) -> Micros {
        self.split_at.map_or(Micros(0), |at| at + SPLIT_APART)
    }

    /// None for a while from `now` on.
    pub(crate) fn quiet(&mut self, now: Micros) {
        self.quiet_until = self.quiet_until.max(now + QUIET);
    }

    /// The path runs at `rate` now; the best it did lately, in bytes per second.
    fn peak(&mut self, now: Micros, rate: f64) -> f64 {
        let seconds = now.since(self.peak_at).as_secs_f64();
        self.peak = (self.peak * PEAK_FADE / (PEAK_FADE + seconds)).max(rate);
        self.peak_at = now;
        self.peak
    }
}

impl Scheduler {
    /// The clock was looked at; whether so late that silence means nothing for now.
    pub(super) fn notice_starvation(&mut self) {
        let late = self.timers.next().is_some_and(|(due, _)| self.now.since(due) >= STARVED);
        if late {
            self.starved_until = self.now + Micros::from(self.tunables.hedging.delay);
        }
    }

    /// Finds the fetches of a resource that keep a reader waiting, or soon will, and when to look again.
    pub(super) fn find_late(&mut self, id: ResourceId, out: &mut Vec<Action>) {
        let Some(resource) = self.resources.get(&id) else {
            return;
        };
        let idle = resource.transfer == Transfer::Whole || resource.fatal.is_some();
        let peak = self.origins.get_mut(&resource.origin).map_or(0.0, |origin| {
            let measured = origin.estimator.estimate().rate.map(|_| origin.link().path);
            origin.hedging.peak(self.now, measured.unwrap_or(0.0))
        });
        let mut late: Vec<Late> = Vec::new();
        let mut looks = Vec::new();
        for (reader, _) in resource.cursors.all() {
            let found = if idle { None } else { self.lateness(resource, reader, peak) };
            if let Some((one, _)) = found.filter(|(_, at)| *at <= self.now)
                && !late.iter().any(|other| other.fetch == one.fetch)
            {
                late.push(one);
            }
            looks.push((reader, found.map(|(_, at)| at).filter(|at| *at > self.now)));
        }
        for (reader, at) in looks {
            self.timers.put(Timer::Hedge(reader), at);
        }
        for one in late.iter().filter(|late| late.last_resort) {
            self.give_up_on(one.fetch, out);
        }
        late.retain(|late| !late.last_resort);
        if let Some(resource) = self.resources.get_mut(&id) {
            resource.late = late;
        }
    }

    /// Stops a fetch that is late; its bytes are asked for anew when it has ended.
    fn give_up_on(&mut self, id: FetchId, out: &mut Vec<Action>) {
        let found = self.fetches.one(id);
        if let Some((fetch, origin)) =
            found.and_then(|fetch| Some((fetch, self.origins.get_mut(&fetch.origin)?)))
        {
            origin.hedging.given_up += 1;
            origin.hedging.broke_off |= fetch.is_streaming();
        }
        self.cancel(id, out);
    }

    /// The fetch that `reader` waits for or will come to next, and when it is to be helped out, if ever.
    fn lateness(&self, resource: &Resource, reader: ReaderId, peak: f64) -> Option<(Late, Micros)> {
        let (at, blocked) = next_byte(resource, reader)?;
        if !blocked && !self.tunables.readahead.enabled {
            return None;
        }
        let Some(SegmentState::InFlight(id)) = resource.map.state_at(at) else {
            return None;
        };
        let origin = self.origins.get(&resource.origin)?;
        let config = &self.tunables.hedging;
        let fetch = self.fetches.one(id).filter(|fetch| !fetch.cancelled && !fetch.paused)?;
        if !config.enabled {
            return None;
        }
        let last_resort = !origin.hedging.is_affordable(config);
        let one = Late { fetch: id, from: at, reader, blocked, split: false, last_resort };
        if let Some(from) = self.split_point(resource, origin, fetch, &one, peak) {
            let leave = self.first_leave(origin).max(origin.hedging.next_split());
            return Some((Late { from, split: true, last_resort: false, ..one }, leave));
        }
        let longer = if last_resort { origin.hedging.last_resort() } else { 1 };
        let patience = longer * if blocked { 1 } else { AHEAD_PATIENCE };
        let due = silent_from(fetch, origin, config, patience);
        let due = due.max(self.first_leave(origin));
        if due <= self.now && !last_resort && self.is_in_the_dark(resource.origin, origin) {
            return Some((one, self.now + judge::silence(&origin.link(), config.delay.into())));
        }
        Some((one, due))
    }

    /// When the origin may be sent a second request again.
    fn first_leave(&self, origin: &Origin) -> Micros {
        let paused = origin.paused_until.unwrap_or_default();
        origin.hedging.quiet_until.max(paused).max(self.starved_until)
    }

    /// Whether a second request is out already and nothing says that it would fare better than the late ones:
    /// while every request is silent, one is sent to find out, and no more.
    fn is_in_the_dark(&self, id: OriginId, origin: &Origin) -> bool {
        let config = &self.tunables.hedging;
        let running = |fetch: &&Fetch| fetch.origin == id && !fetch.cancelled;
        let mut asked = false;
        for (_, fetch) in self.fetches.all().filter(|(_, fetch)| running(fetch)) {
            if fetch.answered.is_some() && silent_from(fetch, origin, config, 1) > self.now {
                return false;
            }
            asked |= fetch.rival.is_some_and(|rival| self.fetches.one(rival).is_some());
        }
        asked
    }

    /// Where a fetch that crawls while a reader needs more is cut in two.
    fn split_point(
        &self,
        resource: &Resource,
        origin: &Origin,
        fetch: &Fetch,
        late: &Late,
        peak: f64,
    ) -> Option<u64> {
        let rate = fetch.meter.rate().filter(|_| fetch.is_streaming())?;
        let cursor = resource.cursors.one(late.reader)?;
        let consumes = resource.rate(cursor).unwrap_or(0.0);
        let young = fetch.answered.is_none_or(|at| self.now.since(at) < CRAWL_AGE);
        let short = rate * CRAWL_REST > fetch.rest().len() as f64;
        let silent = silent_from(fetch, origin, &self.tunables.hedging, 1) <= self.now;
        let flows = self.fetches.all().filter(|(_, other)| {
            other.origin == resource.origin && other.is_streaming() && !other.rest().is_empty()
        });
        let crawls = rate * CRAWL * flows.count().max(1) as f64 <= peak;
        if young || short || silent || !crawls || !(late.blocked || rate < ENOUGH * consumes) {
            return None;
        }
        let ahead = (rate * SPLIT_AHEAD * origin.open_cost().as_secs_f64()) as u64;
        let from = fetch.head.saturating_add(ahead).max(late.from + 1);
        let rest = ByteRange::new(from, fetch.end);
        (rest.len() >= self.tunables.fetch.demand_min).then_some(from)
    }

    /// The first byte of a fetch is there. Was it a second one, then the one it was sent beside is stopped,
    /// unless that still has something of its own to bring.
    pub(super) fn stop_loser(&mut self, winner: FetchId, out: &mut Vec<Action>) {
        let fetch = self.fetches.one(winner);
        let rival = fetch.and_then(|fetch| fetch.rival);
        // A first byte says nothing of bodies that fall silent in their midst.
        if let Some(origin) = fetch.and_then(|fetch| self.origins.get_mut(&fetch.origin))
            && !origin.hedging.broke_off
        {
            origin.hedging.given_up = 0;
        }
        let lost = |id: &FetchId| self.fetches.one(*id).is_some_and(Fetch::is_past_its_end);
        if let Some(loser) = rival.filter(lost) {
            self.cancel(loser, out);
        }
    }

    /// A second request is over and leaves `hole`: the one it was sent beside has those bytes again, if it
    /// still runs. Whether that is so.
    pub(super) fn give_back(
        &mut self,
        fetch: &Fetch,
        hole: ByteRange,
        outcome: &FetchOutcome,
    ) -> bool {
        let found = fetch
            .rival
            .and_then(|id| Some((id, self.fetches.one_mut(id)?)))
            .zip(self.resources.get_mut(&fetch.resource));
        let Some(((id, rival), resource)) = found else {
            return false;
        };
        let fatal =
            matches!(outcome, FetchOutcome::Failed(failure) if failure.remedy == Remedy::Fatal);
        let next = rival.end == hole.start && !rival.cancelled && !rival.stale && !fatal;
        let run = resource.map.first_missing(hole.until(rival.body_end));
        let Some(run) = run.filter(|run| next && run.start == hole.start) else {
            return false;
        };
        resource.map.take(run, id);
        rival.end = run.end;
        if let Some(origin) = self.origins.get_mut(&fetch.origin) {
            origin.hedging.quiet(self.now);
        }
        self.judge_soon(fetch.resource);
        true
    }
}

/// Where `reader` waits, or where it will have to if nothing comes; and whether it waits there already.
fn next_byte(resource: &Resource, reader: ReaderId) -> Option<(u64, bool)> {
    let cursor = resource.cursors.one(reader)?;
    if let Some(demand) = cursor.blocked() {
        return Some((demand.range.start, true));
    }
    cursor.stream.as_ref().filter(|stream| stream.confirmed)?;
    let ahead = ByteRange::new(cursor.position, resource.map.end());
    resource.map.first_uncovered(ahead).map(|run| (run.start, false))
}

/// From when on `fetch` has been silent for too long; `patience` times as long as for a read.
fn silent_from(fetch: &Fetch, origin: &Origin, config: &HedgingConfig, patience: u64) -> Micros {
    let link = origin.link();
    let lump = Link::time_for(LUMP, fetch.meter.rate().unwrap_or(link.flow));
    let silence = judge::silence(&link, config.delay.into()).max(lump);
    let times = |time: Micros| Micros(time.0.saturating_mul(patience));
    if fetch.is_streaming() {
        let usual = origin.hedging.pauses.usual(fetch.last);
        return fetch.last + times(silence).max(usual);
    }
    let usual = silence.max(origin.estimator.p95().unwrap_or_default());
    fetch.started + times(usual) + fetch.expected.since(link.first_byte)
}

mod pauses;
#[cfg(test)]
mod tests;
