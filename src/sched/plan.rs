//! The plan: what of one resource is wanted now. The only place that invents ranges.
//!
//! Demand and window, less what is covered or in flight, are gaps; gaps become segments. One plan
//! replaces the one before. It holds few segments: the next one of each stream, not the whole window,
//! because what lies beyond can still change its mind.
//!
//! Invariants of a plan: no segment is empty; no two share a byte; none touches a covered byte; one
//! touches a byte in flight only where a blocked read is served sooner by a new request.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::ids::{FetchId, HintId, ReaderId};
use crate::sched::estimator::Link;
use crate::sched::event::Class;
use crate::sched::flows::Flows;
use crate::sched::inflight::Inflight;
use crate::sched::judge::{Verdict, wait_or_open};
use crate::sched::plan::short::Straggler;
use crate::sched::queue::Segment;
use crate::sched::resource::{Hint, Resource};
use crate::sched::segment_map::SegmentState;
use crate::sched::share::Window;
use crate::sched::size;
use crate::sched::window::Stream;
use crate::time::Micros;

/// The next request of a stream goes out when what is left of the running one takes so many open costs,
/// and the time its connection needs to open its window: a little more than one, so that no bubble shows.
const LEAD: f64 = 1.2;
/// Bytes that are left for a connection to open its window beside are no more than such a part of the last
/// request: what a reader needs first comes slower meanwhile, and a connection that opens its window where another
/// one fills the link stays a slow one.
const OPENING: f64 = 0.125;

/// While it is not known whether a request is slow, it is looked at after so many more bytes.
const LOOK: u64 = 32 << 10;

/// What a plan reckons with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlook<'a> {
    /// Now.
    pub(crate) now: Micros,
    /// The knobs.
    pub(crate) tunables: &'a Tunables,
    /// The origin's link.
    pub(crate) link: Link,
    /// What a request for a blocked read would take to its first byte.
    pub(crate) open: Micros,
    /// How much longer than that read-ahead would take until its body runs at full speed.
    pub(crate) ramp: Micros,
    /// Whether no other resource of the origin is open.
    pub(crate) alone: bool,
    /// What the origin's path carries with how many flows.
    pub(crate) carried: Option<&'a Flows>,
    /// What runs.
    pub(crate) fetches: &'a Inflight,
}

impl Outlook<'_> {
    /// In-flight bytes at or below which the next request of a stream goes out whose last one was of `last` bytes.
    fn lead(&self, last: u64) -> u64 {
        let bytes = |time: Micros| time.as_secs_f64() * self.link.path;
        (LEAD * bytes(self.link.first_byte) + bytes(self.ramp).min(last as f64 * OPENING)) as u64
    }
}

/// What comes out.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What is wanted.
    pub(crate) segments: Vec<Segment>,
    /// When to look again at each blocked reader that waits for a running fetch.
    pub(crate) reviews: Vec<(ReaderId, Micros)>,
    /// Where each reader is to say that it got there.
    pub(crate) refills: Vec<(ReaderId, u64)>,
    /// After how many more bytes to plan again.
    pub(crate) watch: Option<u64>,
}

/// Makes the plan. Marks the wanted bytes queued, and those of the plan before no longer.
pub(crate) fn plan(resource: &mut Resource, outlook: &Outlook<'_>) -> Plan {
    for range in std::mem::take(&mut resource.queued) {
        resource.map.unqueue(range);
    }
    let mut planner = Planner::new(resource, outlook);
    planner.blocked();
    planner.relieve();
    let full = planner.resource.is_full();
    if !full {
        planner.foretold();
    }
    if !full && planner.resource.confined.is_none() {
        planner.hints();
    }
    planner.windows();
    if !full {
        planner.fills();
    }
    let plan = planner.plan;
    resource.watch = plan.watch;
    resource.queued = plan.segments.iter().map(|segment| segment.range).collect();
    plan
}

/// What stands at the next place of a stream.
enum Next {
    /// A gap: fetch it.
    Gap(ByteRange),
    /// Too much is under way before it.
    Later,
    /// Nothing is missing, or something before it backs off.
    Nothing,
}

struct Planner<'a> {
    resource: &'a mut Resource,
    outlook: &'a Outlook<'a>,
    /// Looked at by each blocked reader, and for a thousand of them as dear as all the rest.
    windows: OnceCell<Rc<Windows>>,
    /// Where each segment of the plan begins and ends: no two share a byte.
    planned: BTreeMap<u64, u64>,
    plan: Plan,
}

/// The windows of all readers as the plan begins.
struct Windows {
    all: Vec<Window>,
    /// What they are together, in bytes.
    total: u64,
    /// Size and end of the one that is in front of each reader.
    here: BTreeMap<ReaderId, (u64, u64)>,
}

impl<'a> Planner<'a> {
    fn new(resource: &'a mut Resource, outlook: &'a Outlook<'a>) -> Self {
        let (windows, planned, plan) = (OnceCell::new(), BTreeMap::new(), Plan::default());
        Self { resource, outlook, windows, planned, plan }
    }
}

impl Planner<'_> {
    /// One request for each hole that a read is blocked in, the longest waiting first.
    fn blocked(&mut self) {
        let mut waiting: Vec<(Micros, ReaderId, u64)> = self
            .resource
            .cursors
            .demands()
            .filter(|(_, demand)| demand.is_blocked())
            .map(|(reader, demand)| (demand.since, reader, demand.range.start))
            .collect();
        waiting.sort_unstable();
        for (since, reader, at) in waiting {
            if self.is_planned(at) {
                continue;
            }
            match self.resource.map.state_at(at) {
                Some(SegmentState::Covered | SegmentState::BackingOff | SegmentState::Queued) => {}
                Some(SegmentState::InFlight(fetch)) => self.wait_or_open(since, reader, at, fetch),
                None => self.open(since, reader, at, None),
            }
        }
    }

    fn wait_or_open(&mut self, since: Micros, reader: ReaderId, at: u64, id: FetchId) {
        // One that is ending lets go of its bytes in a moment.
        let Some(fetch) = self.outlook.fetches.one(id).filter(|fetch| !fetch.cancelled) else {
            return;
        };
        if self.resource.late_at(at).is_some_and(|late| late.fetch == id) {
            return self.open(since, reader, at, Some(id));
        }
        match wait_or_open(at, fetch, self.outlook) {
            Verdict::Wait { review: Some(review) } => self.plan.reviews.push((reader, review)),
            Verdict::Wait { review: None } => {}
            Verdict::Open => self.open(since, reader, at, Some(id)),
        }
    }

    /// Wants the hole at `at`, from that very byte on. Bytes of the fetch `over` count as hole.
    fn open(&mut self, since: Micros, reader: ReaderId, at: u64, over: Option<FetchId>) {
        if self.is_asked_enough(reader, at) {
            return;
        }
        let size = match self.resource.cursors.one(reader).and_then(|c| c.stream.as_ref()) {
            Some(Stream { short: Some(size), confirmed: false, .. }) => {
                (*size).min(self.outlook.tunables.readahead.max_window)
            }
            Some(stream) if stream.hurried && !stream.confirmed => size::scrubbing(self.outlook),
            Some(stream) => {
                let on = stream.confirmed && self.goes_on(at);
                size::blocked(stream.last_size, on, self.most(reader), self.outlook)
            }
            None => size::first(self.outlook),
        };
        let free = |state| match state {
            None => true,
            Some(SegmentState::InFlight(id)) => Some(id) == over,
            Some(_) => false,
        };
        let Some(hole) = self.resource.map.first_run(ByteRange::at(at, size), free) else {
            return;
        };
        let range = hole.until(self.next_planned(at));
        self.want(range, Class::Blocked, since, Some(reader));
    }

    /// Where the first planned segment after `at` begins: bytes of running fetches do not show that they are wanted.
    fn next_planned(&self, at: u64) -> u64 {
        let after = (Bound::Excluded(at), Bound::Unbounded);
        self.planned.range(after).next().map_or(u64::MAX, |(start, _)| *start)
    }

    /// Whether the byte at `at` belongs to a segment of this plan.
    fn is_planned(&self, at: u64) -> bool {
        self.planned.range(..=at).next_back().is_some_and(|(_, end)| at < *end)
    }

    /// The most that one request for a blocked read of `reader` asks for: more would be read-ahead beyond the budget.
    fn most(&self, reader: ReaderId) -> u64 {
        let windows = self.windows_now();
        let theirs = windows.total - windows.here.get(&reader).map_or(0, |(size, _)| *size);
        self.outlook.tunables.readahead.max_window.saturating_sub(theirs)
    }

    /// Whether a read at `at` goes on from what is there; it may also have jumped ahead in its window.
    fn goes_on(&self, at: u64) -> bool {
        at.checked_sub(1).is_none_or(|before| self.resource.map.is_covered_at(before))
    }

    /// What late fetches are to be helped out with, where no read is blocked at that very byte. Beyond what a late one
    /// was to bring that goes no farther than the window.
    fn relieve(&mut self) {
        for late in self.resource.late.clone() {
            if self.is_planned(late.from) {
                continue;
            }
            let last = self.stream_at(late.reader, late.from).map_or(0, |stream| stream.last_size);
            let size = size::ahead(last, self.outlook);
            let its = Some(SegmentState::InFlight(late.fetch));
            let end = self.outlook.fetches.one(late.fetch).map_or(0, |fetch| fetch.end);
            let rest = ByteRange::at(late.from, size).until(end.max(self.window_end(late.reader)));
            let open = |state: Option<SegmentState>| state.is_none() || state == its;
            let rest = rest.until(self.next_planned(late.from));
            if let Some(run) = self.resource.map.first_run(rest, open) {
                let class = if late.blocked { Class::FirstWindow } else { Class::Near };
                self.want(run, class, self.outlook.now, Some(late.reader));
            }
        }
    }

    /// Where the window ends that is in front of `reader`; 0 if it has none.
    fn window_end(&self, reader: ReaderId) -> u64 {
        self.windows_now().here.get(&reader).map_or(0, |(_, end)| *end)
    }

    fn windows_now(&self) -> Rc<Windows> {
        let make = || {
            let config = &self.outlook.tunables.readahead;
            let all = self.resource.windows(self.outlook.now, config, &self.outlook.link);
            let total = all.iter().map(|window| window.size).sum();
            let here = all.iter().filter(|window| window.here);
            let here = here.map(|window| (window.reader, (window.size, window.range.end)));
            Rc::new(Windows { total, here: here.collect(), all })
        };
        self.windows.get_or_init(make).clone()
    }

    fn hints(&mut self) {
        let mut hints: Vec<(Option<Micros>, HintId, Hint)> =
            self.resource.hints.iter().map(|(id, hint)| (hint.deadline, *id, *hint)).collect();
        hints.sort_unstable_by_key(|(deadline, id, _)| (deadline.unwrap_or(Micros(u64::MAX)), *id));
        for (deadline, _, hint) in hints {
            let deadline = deadline.unwrap_or(Micros(u64::MAX));
            if let Next::Gap(gap) = self.next(hint.range, self.outlook.lead(u64::MAX)) {
                let size = size::largest(self.outlook);
                self.want(gap.until(gap.start.saturating_add(size)), Class::Hint, deadline, None);
            }
        }
    }

    fn fills(&mut self) {
        let fills: Vec<(Micros, ByteRange)> = self
            .resource
            .cursors
            .all()
            .filter_map(|(_, cursor)| cursor.fill().map(|demand| (demand.since, demand.range)))
            .collect();
        for (since, range) in fills {
            self.fill(range, since);
        }
    }

    /// The first gap of `range`, in no hurry.
    fn fill(&mut self, range: ByteRange, since: Micros) {
        if let Next::Gap(gap) = self.next(range, self.outlook.lead(u64::MAX)) {
            let size = size::largest(self.outlook);
            let range = size::cut(gap, size);
            self.want(range, Class::Fill, since, None);
        }
    }

    /// Read-ahead of every cursor, and the rest of a small resource.
    fn windows(&mut self) {
        let config = &self.outlook.tunables.readahead;
        if !config.enabled || self.resource.map.len().is_none() {
            return self.rest_all();
        }
        let small = self.resource.is_small(self.outlook.tunables, &self.outlook.link);
        let windows = self.windows_now();
        for window in &windows.all {
            self.ahead(window, small, windows.all.len() == 1);
        }
        if small && !windows.all.is_empty() {
            self.fill(self.resource.map.all(), self.outlook.now);
        }
    }

    /// Nobody needs to tell where he is, unless that makes room.
    fn rest_all(&mut self) {
        let active = self.resource.cursors.active();
        let step = self.resource.telling_step();
        let mark = |reader| {
            let at = self.resource.cursors.one(reader).map_or(0, |cursor| cursor.position);
            step.map_or(u64::MAX, |step| at.saturating_add(step))
        };
        self.plan.refills.extend(active.into_iter().map(|reader| (reader, mark(reader))));
    }

    /// The next segment of one cursor's window, and the mark where to think again. `only` tells whether the resource has no
    /// other window.
    fn ahead(&mut self, window: &Window, small: bool, only: bool) {
        let at = window.range.start;
        let goal = if small { self.resource.map.all() } else { window.range };
        let reach = ByteRange::new(at, goal.end.max(at));
        let missing = self.resource.map.first_missing(ByteRange::new(at, self.resource.map.end()));
        let gap = missing.map_or(u64::MAX, |gap| gap.start);
        let filling = small || self.is_filling(window, gap);
        if let Some(stream) = self.stream(window) {
            stream.filling = filling;
        }
        if window.here {
            let mark = size::refill_mark(window, gap, filling && !small);
            let step = self.resource.telling_step();
            let mark = step.map_or(mark, |step| mark.min(at.saturating_add(step)));
            self.plan.refills.push((window.reader, mark));
        }
        let last = self.stream(window).map_or(0, |stream| stream.last_size);
        let in_pairs = only && self.comes_in_pairs(window);
        let lead = match self.takes_more(window) || (in_pairs && self.lacks_one_of_a_pair()) {
            true => u64::MAX,
            false if only && self.waits_for_connection(window, gap) => 0,
            false => self.outlook.lead(last),
        };
        let rear = self.rear(window);
        if let Some(part) = rear.or_else(|| self.lagging(window)) {
            return self.share(part, window);
        }
        if !filling || self.resource.is_full() {
            return;
        }
        match self.next(reach, lead) {
            Next::Gap(gap) => match self.straggler(window) {
                Straggler::None => {
                    let most = self.most_ahead(in_pairs);
                    self.ahead_in(gap, most, window);
                }
                Straggler::Suspected => self.watch(LOOK),
                Straggler::Part(part) => self.share(part, window),
            },
            Next::Later | Next::Nothing => {}
        }
    }

    /// Whether the window is to be filled: from half empty until full, and sooner if a request may take longer.
    fn is_filling(&mut self, window: &Window, gap: u64) -> bool {
        let at = window.range.start;
        let have = gap.saturating_sub(at);
        let was = self.stream(window).is_some_and(|stream| stream.filling);
        let least = size::least_ahead(window, self.outlook.tunables);
        let cut_off = window.range.len() < window.size;
        let full = have.saturating_add(if cut_off { 0 } else { least }) > window.range.len();
        (was || have <= window.low()) && !full && have < window.range.len()
    }

    /// Read-ahead takes over `part` of a running request.
    fn share(&mut self, part: ByteRange, window: &Window) {
        let (class, deadline) = self.urgency(part.start, window);
        self.want(part, class, deadline, Some(window.reader));
    }

    /// The next request of the run whose window that is, for the start of `gap` and of `most` bytes at most.
    fn ahead_in(&mut self, gap: ByteRange, most: u64, window: &Window) {
        let tunables = self.outlook.tunables;
        let stream = self.stream(window).map(|s| (s.last_size, s.dry.least_request(tunables)));
        let (last, least) = stream.unwrap_or((0, 0));
        let size = size::ahead(last, self.outlook).min(most).max(least);
        // The window may end within the hole: then the request ends at a slice's end all the same.
        let to_end = ByteRange::new(gap.start, self.resource.map.end());
        let hole = self.resource.map.first_missing(to_end).unwrap_or(gap);
        let range = size::cut(hole, size.min(gap.len()));
        let (class, deadline) = self.urgency(range.start, window);
        self.want(range, class, deadline, Some(window.reader));
    }

    /// What read-ahead at `offset` is for, and when it is needed: cursors compete in time, not bytes.
    fn urgency(&mut self, offset: u64, window: &Window) -> (Class, Micros) {
        let config = &self.outlook.tunables.readahead;
        let at = window.range.start;
        let rate = window.rate;
        let first = self.stream(window).is_some_and(|stream| {
            let first = ByteRange::at(stream.start, stream.first_window(rate, config));
            first.contains(offset)
        });
        let ahead = offset.saturating_sub(at);
        let needed = Link::time_for(ahead, rate.unwrap_or(self.outlook.link.flow));
        let class = match (first, window.primary) {
            (true, _) => Class::FirstWindow,
            (false, false) => Class::Secondary,
            (false, true) if ahead < window.size / 2 => Class::Near,
            (false, true) => Class::Far,
        };
        (class, self.outlook.now + needed)
    }

    /// Plans again after so many more bytes at the latest.
    fn watch(&mut self, bytes: u64) {
        self.plan.watch = Some(self.plan.watch.map_or(bytes, |other| other.min(bytes)));
    }

    /// The first gap of `range` with no more than `lead` bytes under way before it. Stops at what backs off: while an
    /// origin fails, read-ahead does not go round the failure.
    fn next(&mut self, range: ByteRange, lead: u64) -> Next {
        let mut under_way = 0;
        let mut gap = None;
        for (run, state) in self.resource.map.pieces(range) {
            match state {
                Some(SegmentState::Covered) => {}
                Some(SegmentState::InFlight(_) | SegmentState::Queued) => under_way += run.len(),
                Some(SegmentState::BackingOff) => return Next::Nothing,
                None => {
                    gap = Some(run);
                    break;
                }
            }
        }
        let Some(gap) = gap else {
            return Next::Nothing;
        };
        if under_way > lead {
            self.watch(under_way - lead);
            return Next::Later;
        }
        Next::Gap(gap)
    }

    fn want(&mut self, range: ByteRange, class: Class, deadline: Micros, reader: Option<ReaderId>) {
        if range.is_empty() {
            return;
        }
        self.resource.map.queue(range);
        self.planned.insert(range.start, range.end);
        let resource = self.resource.id;
        self.plan.segments.push(Segment { resource, range, class, deadline, reader });
    }

    /// The run whose window that is.
    fn stream(&mut self, window: &Window) -> Option<&mut Stream> {
        self.stream_at(window.reader, window.range.start)
    }

    fn stream_at(&mut self, reader: ReaderId, offset: u64) -> Option<&mut Stream> {
        self.resource.cursors.one_mut(reader)?.stream_at(offset)
    }
}

mod drag;
mod lagging;
mod pair;
mod rear;
mod short;
#[cfg(test)]
mod tests;
