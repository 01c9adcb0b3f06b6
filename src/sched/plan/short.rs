//! How many requests run at once for a reader: one more where they bring too little for it to go on.

use crate::byte_range::ByteRange;
use crate::ids::FetchId;
use crate::sched::flows::{self, Flows};
use crate::sched::inflight::Fetch;
use crate::sched::plan::{Outlook, Planner};
use crate::sched::share::Window;
use crate::time::Micros;

/// For so long a reader is watched that may have too few.
const WATCH: Micros = Micros::from_millis(200);
/// A request that brings its last byte so many seconds after its reader could have come there is a late one.
const LATE: f64 = 1.0;
/// A start takes so long: what is slow meanwhile may be a connection that opens its window.
const START: Micros = Micros::from_millis(2000);
/// A running request of so many round trips' bytes is worth waiting for its connection.
const WORTH: f64 = 1.5;
/// Between requests of so many round trips' bytes over one connection little of the link is lost.
const LARGE: f64 = 8.0;
/// Of who has just come, and may take all that is given, so many round trips' bytes in hand count as little.
const JUST_COME: f64 = 2.0;
/// A reader that takes at most such a part of what the path brings does not miss that.
const EASY: f64 = 0.8;
/// Who has more in hand than so many seconds need not be helped yet.
const IN_HAND: f64 = 0.5;
/// For so long one that seems to be slow is looked at.
const SUSPECTED: Micros = Micros::from_millis(250);
/// A flow is slow beside the others if these bring so many times as much.
const UNFAIR: f64 = 2.0;
/// What came of one more flow is known after that, or nothing came of it.
const TRIAL: Micros = Micros::from_millis(5000);

/// What is known of a slow request in front of a reader.
pub(super) enum Straggler {
    /// There is none.
    None,
    /// There may be one.
    Suspected,
    /// The next request had better take that part of it.
    Part(ByteRange),
}

impl Planner<'_> {
    /// Whether one more request may run beside those that do, however much they still have to bring.
    pub(super) fn takes_more(&mut self, window: &Window) -> bool {
        let running = self.outlook.fetches.live(self.resource.id).count();
        if self.stream(window).is_some_and(|stream| stream.dry.is_dry()) {
            return running < self.outlook.tunables.fetch.max_fetches as usize;
        }
        let short = self.is_short(window);
        let (carried, now) = (self.outlook.carried, self.outlook.now);
        let gain = |count| carried.and_then(|carried| carried.gain(now, count));
        let tried = self.resource.tried_flows.is_some_and(|at| now.since(at) < TRIAL);
        let Some(stream) = self.stream(window) else {
            return false;
        };
        let flows = stream.flows;
        if flows > 1 && gain(flows) == Some(false) {
            stream.flows -= 1;
        } else if short && running >= flows {
            // While it is not known what came of the last one, no further one is tried.
            let may_try = !tried || (flows > 1 && gain(flows) == Some(true));
            if gain(running + 1).unwrap_or(may_try) {
                stream.flows = running + 1;
                self.resource.tried_flows = Some(now);
            }
        }
        let flows = self.stream(window).map_or(1, |stream| stream.flows);
        flows > 1 && running < flows
    }

    /// Whether the next request had better go over the connection of the running one, once that has ended, since any other
    /// connection would have to open its window beside one that fills the link, and stays a slow one: the reader goes on, and
    /// has less in hand and on its way than a round trip brings (two, until it is known how fast it reads), or takes less than comes in
    /// that way. Where several resources of the origin are open the link is not its own.
    pub(super) fn waits_for_connection(&mut self, window: &Window, gap: u64) -> bool {
        let Outlook { link, ramp, alone, .. } = *self.outlook;
        let cursor = self.resource.cursors.one(window.reader);
        let one_run = cursor.is_some_and(|cursor| cursor.runs.in_use().next().is_none());
        if !alone || ramp < link.ramp() || !one_run {
            return false;
        }
        let trip = link.bytes_per_round_trip();
        let hand = gap.saturating_sub(window.range.start) as f64;
        let little = if window.rate.is_none() { JUST_COME * trip } else { trip };
        let easy = window.rate.is_some_and(|rate| rate <= EASY * link.path);
        self.stream(window).filter(|stream| stream.confirmed).is_some_and(|stream| {
            let trips = stream.last_size as f64 / trip;
            (easy && trips >= LARGE) || (hand < little && trips >= WORTH)
        })
    }

    /// Whether the reader of `window` was blocked most of the time, for a while, though all that runs for this resource
    /// has come to its full speed.
    fn is_short(&mut self, window: &Window) -> bool {
        let Outlook { now, link, fetches, carried, .. } = *self.outlook;
        let rates =
            fetches.live(self.resource.id).map(|(_, fetch)| flows::settled(fetch, now, &link));
        let sum = rates.sum::<Option<f64>>();
        // A path that one flow fills looks like one that holds each flow down: one more tells, and counts for a while.
        let running = fetches.live(self.resource.id).count();
        let told = |carried: &Flows| carried.gain(now, running + 1).is_some();
        let full = |sum| carried.is_some_and(|one| one.is_full(now, sum) && told(one));
        let settled = sum.is_some_and(|sum| !full(sum));
        let cursor = self.resource.cursors.one(window.reader);
        let waited = cursor.map_or(Micros(0), |cursor| cursor.waited(now));
        let Some(stream) = self.stream(window) else {
            return false;
        };
        let settled = settled && now.since(stream.since) >= START;
        let watched = stream.watched.filter(|_| settled);
        match watched {
            Some((since, _)) if now.since(since) < WATCH => {
                stream.watched = watched;
                return false;
            }
            _ => stream.watched = settled.then_some((now, waited)),
        }
        let blocked = |(since, before): (Micros, Micros)| {
            waited.since(before).0.saturating_mul(2) >= now.since(since).0
        };
        watched.is_some_and(blocked)
    }

    /// What a running request that brings `rate` bytes per second had better leave to a new one: the reader of `window`
    /// comes to it long before it is brought, and the other flows are much faster.
    fn late_part(&self, window: &Window, fetch: &Fetch, rate: f64) -> Option<ByteRange> {
        let Outlook { link, tunables, .. } = *self.outlook;
        let (at, consumed) = (window.range.start, window.rate?);
        let seconds = |bytes: u64, rate: f64| bytes as f64 / rate.max(1.0);
        let needed = seconds(fetch.end.saturating_sub(at), consumed);
        let hand = seconds(fetch.head.saturating_sub(at), consumed);
        let others = link.path - rate;
        let late = seconds(fetch.rest().len(), rate) > needed + LATE;
        if hand > IN_HAND || !late || others < UNFAIR * rate {
            return None;
        }
        let kept = (fetch.rest().len() as f64 * rate / (rate + others)) as u64;
        let part = ByteRange::new(fetch.head + kept, fetch.end);
        (part.len() >= tunables.fetch.demand_min).then_some(part)
    }

    /// Whether a request in front of the reader of `window` is so slow that the next one had better take a part of it. One
    /// that was slow beside another is looked at for a moment: it may have the link to itself now.
    pub(super) fn straggler(&mut self, window: &Window) -> Straggler {
        let Outlook { now, link, fetches, .. } = *self.outlook;
        let at = window.range.start;
        let slow = |(id, fetch): (FetchId, &Fetch)| {
            let rate = flows::settled(fetch, now, &link)?;
            self.late_part(window, fetch, rate).map(|_| (fetch.head, id))
        };
        let ahead = |(_, fetch): &(FetchId, &Fetch)| !fetch.whole && fetch.head >= at;
        let origin = self.resource.origin;
        let running = fetches.all().filter(|(_, fetch)| fetch.origin == origin && !fetch.cancelled);
        let alone = running.count() == 1;
        let found = fetches.live(self.resource.id).filter(ahead).filter_map(slow).min();
        let Some(stream) = self.stream(window).filter(|stream| now.since(stream.since) >= START)
        else {
            return Straggler::None;
        };
        let Some((head, id)) = found.filter(|_| alone) else {
            stream.straggler = None;
            return Straggler::None;
        };
        let Some((_, from, since)) = stream.straggler.filter(|(known, _, _)| *known == id) else {
            stream.straggler = Some((id, head, now));
            return Straggler::Suspected;
        };
        let time = now.since(since);
        if time < SUSPECTED {
            return Straggler::Suspected;
        }
        stream.straggler = None;
        let rate = head.saturating_sub(from) as f64 / time.as_secs_f64();
        let part = fetches.one(id).and_then(|fetch| self.late_part(window, fetch, rate));
        let planned = |part: &ByteRange| self.plan.segments.iter().any(|s| s.range.overlaps(*part));
        part.filter(|part| !planned(part)).map_or(Straggler::None, Straggler::Part)
    }
}
