//! A resource that is larger than its room in the store: what of it is given up, so that the rest fits.
//!
//! Near the bound, what will be used last goes (`shed`). That no byte is fetched only to go again follows from two rules:
//! read-ahead wants half of the room at most, in requests that are small beside it; and nothing that is wanted ever goes. Where
//! nothing can go, read-ahead, hints and fills rest, and blocked reads alone are served.

use crate::byte_range::ByteRange;
use crate::error::{Error, StorageError};
use crate::ids::{FetchId, ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::cursors::Demand;
use crate::sched::event::Action;
use crate::sched::inflight::{Fetch, Inflight};
use crate::sched::plan::Outlook;
use crate::sched::resource::{Resource, Transfer};
use crate::sched::segment_map::{Piece, SegmentState};
use crate::sched::shed::{Cursor, victims};

/// Every bounded resource has so much room, whatever the store's limit, in bytes: less would be all edges.
const LEAST_ROOM: u64 = 4 << 20;
/// Bytes go when more than such a part of the room is used, in percent.
const HIGH: u64 = 95;
/// So many go that no more than such a part is used, in percent.
const LOW: u64 = 80;
/// While no more than such a part of the room for all is used, in percent, nobody is anywhere near his own.
const PLENTY: u64 = 75;
/// The windows of all cursors get such a part of the room.
const WINDOWS: u64 = 2;
/// One request asks for no more than such a part of the room.
const REQUEST: u64 = 16;
/// Bytes go in pieces of such a part of the room.
const STEP: u64 = 32;
/// The largest such piece, in bytes.
const LARGEST_STEP: u64 = 8 << 20;
/// So much behind the head of a running request stays, in bytes: its edge is not to be cut.
const EDGE: u64 = 256 << 10;
/// How fast a cursor goes of which nothing is known, in bytes per second. It counts only beside others.
const UNKNOWN_RATE: f64 = 1e6;

/// How much of a resource is to be kept.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bound {
    /// Most that all bounded resources are to keep together, if this is one of them.
    most: Option<u64>,
    /// What of that is for this one, as of its last plan.
    room: Option<u64>,
    /// Whether what it was told to give up is still there.
    shedding: bool,
    /// Whether its room is used up.
    full: bool,
    /// Whether parts of an endless body went.
    passed: bool,
    /// Its bytes in [`Stored`]; nothing while it is not bounded.
    counted: u64,
}

/// What all bounded resources have together, so that no decision about one looks at the others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stored {
    /// How many there are.
    resources: u64,
    /// What is covered of them, in bytes, as they were counted last.
    bytes: u64,
}

fn percent(room: u64, part: u64) -> u64 {
    room / 100 * part
}

impl Scheduler {
    /// No more than `to` bytes are to be kept of this and of all other bounded resources, or as many as there are.
    pub(super) fn on_bounded(&mut self, id: ResourceId, to: Option<u64>) {
        self.forget_bound(id);
        if let Some(resource) = self.resources.get_mut(&id) {
            resource.bound = Bound { most: to, ..Bound::default() };
            self.stored.resources += u64::from(to.is_some());
            self.count_bound(id);
            let others = self.crowd(to.unwrap_or(u64::MAX));
            self.dirty.extend(others);
            self.dirty.insert(id);
        }
    }

    /// Takes what is stored of a resource out of the count of all.
    pub(super) fn forget_bound(&mut self, id: ResourceId) {
        if let Some(resource) = self.resources.get_mut(&id)
            && resource.bound.most.take().is_some()
        {
            self.stored.resources -= 1;
            self.stored.bytes -= std::mem::take(&mut resource.bound.counted);
        }
    }

    /// Counts anew what is stored of a bounded resource.
    pub(super) fn count_bound(&mut self, id: ResourceId) {
        if let Some(resource) = self.resources.get_mut(&id)
            && resource.bound.most.is_some()
        {
            let now = resource.map.covered_bytes();
            self.stored.bytes = self.stored.bytes - resource.bound.counted + now;
            resource.bound.counted = now;
        }
    }

    /// The bounded resources whose room a new one may take: while there is plenty, only those that fetch or are about to.
    /// One that rests looks at its room when it has a plan to make.
    fn crowd(&self, most: u64) -> Vec<ResourceId> {
        if self.stored.bytes > percent(most, PLENTY) {
            return self.bounded();
        }
        let fetched = self.fetches.all().map(|(_, fetch)| fetch.resource);
        let queued = self.origins.values().flat_map(|origin| origin.queue.resources());
        let is_bounded = |id: &ResourceId| {
            self.resources.get(id).is_some_and(|resource| resource.bound.most.is_some())
        };
        fetched.chain(queued).filter(is_bounded).collect()
    }

    /// What was to be given up is gone, as far as it could be.
    pub(super) fn on_shed(&mut self, id: ResourceId) {
        if let Some(resource) = self.resources.get_mut(&id) {
            resource.bound.shedding = false;
            self.dirty.insert(id);
        }
    }

    fn bounded(&self) -> Vec<ResourceId> {
        let bounded = self.resources.values().filter(|resource| resource.bound.most.is_some());
        bounded.map(|resource| resource.id).collect()
    }

    /// How many bounded resources there are and what they have, as it is kept and counted by hand; for `check`.
    pub(super) fn stored_now(&self) -> (u64, u64) {
        (self.stored.resources, self.stored.bytes)
    }

    /// See [`stored_now`](Self::stored_now).
    pub(super) fn bounded_by_hand(&self) -> (u64, u64) {
        let bounded = self.bounded();
        let bytes = |id: &ResourceId| {
            self.resources.get(id).map_or(0, |resource| resource.map.covered_bytes())
        };
        (bounded.len() as u64, bounded.iter().map(bytes).sum())
    }

    /// Bytes of `id` were stored: sees that what is too much goes.
    pub(super) fn look_at_bound(&mut self, id: ResourceId) {
        self.count_bound(id);
        let Some(resource) = self.resources.get(&id) else {
            return;
        };
        let used_up = |room| used(resource, &self.fetches) > percent(room, HIGH);
        if !resource.bound.shedding && resource.small_room().is_some_and(used_up) {
            // It may be the others that have more than their share.
            let bounded = self.bounded();
            self.dirty.extend(bounded);
        }
    }

    /// What the others leave to `id` of the room for all, and its share of that in any case.
    fn room_of(&self, id: ResourceId) -> Option<u64> {
        let most = self.resources.get(&id)?.bound.most?;
        let Stored { resources: count, bytes } = self.stored;
        let others = bytes - self.resources.get(&id)?.bound.counted;
        let share = most / count.max(1);
        Some(most.saturating_sub(others).max(share).max(LEAST_ROOM))
    }

    /// Before a plan: gives up what is too much, and tells those who wait for more than can be kept.
    pub(super) fn keep_within_bound(&mut self, id: ResourceId, out: &mut Vec<Action>) {
        let room = self.room_of(id);
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        (resource.bound.room, resource.bound.full) = (room, false);
        resource.bound.passed &= resource.is_endless();
        self.refuse_what_passed(id, out);
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        let Some(room) = resource.small_room().filter(|_| resource.online) else {
            return;
        };
        let used = used(resource, &self.fetches);
        resource.bound.full = used > percent(room, HIGH);
        if resource.bound.full && !resource.bound.shedding {
            let outlook =
                Self::outlook(resource, self.now, &self.tunables, &self.origins, &self.fetches);
            let kept = kept(resource, &outlook, room / WINDOWS);
            let step = (room / STEP).min(LARGEST_STEP);
            let excess = used - percent(room, LOW);
            let ranges = victims(&covered(resource), &kept, &cursors(resource), step, excess);
            if !ranges.is_empty() {
                resource.bound.shedding = true;
                resource.bound.passed = resource.is_endless();
                out.push(Action::Shed { resource: id, ranges });
            }
        }
        let stuck = resource.bound.full && !resource.bound.shedding;
        let too_large = |range: ByteRange| {
            let len = resource.map.len();
            stuck || len.is_some_and(|len| range.until(len).len() > room / WINDOWS)
        };
        let fills = resource.cursors.all().filter_map(|(reader, cursor)| {
            cursor.fill().filter(|demand| too_large(demand.range)).map(|_| reader)
        });
        for reader in fills.collect::<Vec<ReaderId>>() {
            self.fail_demand(id, reader, no_room(), out);
        }
    }
}

impl Scheduler {
    /// Tells those who wait for bytes of an endless body that cannot come: they went, or the body is gone and cannot go on
    /// where it was.
    fn refuse_what_passed(&mut self, id: ResourceId, out: &mut Vec<Action>) {
        let Some(resource) = self.resources.get(&id).filter(|resource| resource.bound.passed)
        else {
            return;
        };
        let head = self.fetches.whole(id).map_or(0, |(_, running)| running.head);
        let refusal = |demand: &Demand| {
            let first = ByteRange::at(demand.range.start, 1);
            let range = if demand.is_blocked() { first } else { demand.range };
            let at = resource.map.first_uncovered(range)?.start;
            let why = resource.retries.at(at).map(|retry| retry.error.clone());
            match head {
                0 => Some(why.unwrap_or(Error::Passed { at })),
                head => (at < head).then_some(Error::Passed { at }),
            }
        };
        let refused = resource.cursors.demands();
        let refused = refused.filter_map(|(reader, demand)| Some((reader, refusal(demand)?)));
        for (reader, error) in refused.collect::<Vec<(ReaderId, Error)>>() {
            self.fail_demand(id, reader, error, out);
        }
    }
}

/// Why a range cannot be there as a whole.
fn no_room() -> Error {
    let why = std::io::Error::new(
        std::io::ErrorKind::StorageFull,
        "the range is larger than what `store.max_bytes` leaves for it",
    );
    StorageError::new("keeping a whole range", why).into()
}

impl Resource {
    /// The room of one that is, or may be, larger than that.
    pub(super) fn small_room(&self) -> Option<u64> {
        self.bound.room.filter(|room| self.map.len().is_none_or(|len| len > *room))
    }

    /// Whether it comes as one body whose end nobody has told.
    fn is_endless(&self) -> bool {
        self.transfer == Transfer::Whole && self.map.len().is_none()
    }

    /// Whether there is room for nothing but what is waited for.
    pub(super) fn is_full(&self) -> bool {
        self.bound.full
    }

    /// Most that all windows, and that one request, may ask for; nothing if that is as always.
    pub(super) fn bounded_knobs(&self) -> Option<(u64, u64)> {
        self.small_room().map(|room| (room / WINDOWS, room / REQUEST))
    }

    /// How far a reader may go before it tells, where that has made room.
    pub(super) fn telling_step(&self) -> Option<u64> {
        self.small_room().filter(|_| self.is_full()).map(|room| (room / STEP).min(LARGEST_STEP))
    }
}

/// Bytes that are there, and those that will be before anything else can be decided.
fn used(resource: &Resource, fetches: &Inflight) -> u64 {
    let of = |(_, fetch): &(FetchId, &Fetch)| fetch.resource == resource.id && !fetch.whole;
    let to_come: u64 = fetches.all().filter(of).map(|(_, fetch)| fetch.rest().len()).sum();
    resource.map.covered_bytes() + to_come
}

fn covered(resource: &Resource) -> Vec<ByteRange> {
    let is_covered = |(_, state): &Piece| *state == Some(SegmentState::Covered);
    let pieces = resource.map.pieces(resource.map.all()).filter(is_covered);
    pieces.map(|(run, _)| run).collect()
}

/// Where somebody reads on.
fn cursors(resource: &Resource) -> Vec<Cursor> {
    let rates = resource.cursors.all().filter_map(|(_, cursor)| resource.rate(cursor));
    let rates: Vec<f64> = rates.filter(|rate| *rate > 0.0).collect();
    let mean = match rates.len() {
        0 => UNKNOWN_RATE,
        count => rates.iter().sum::<f64>() / count as f64,
    };
    let cursor = |cursor: &crate::sched::cursors::Cursor| {
        let rate = resource.rate(cursor).filter(|rate| *rate > 0.0).unwrap_or(mean);
        let others = cursor.runs.in_use().map(|run| run.position);
        let places: Vec<u64> = others.chain([cursor.position]).collect();
        places.into_iter().map(move |at| Cursor { at, rate })
    };
    resource.cursors.all().flat_map(|(_, one)| cursor(one)).collect()
}

/// What stays: what is there in front of each cursor without a hole, up to `most`, whatever is wanted, and the edges of what
/// is on its way. Without that limit a reader that rests at the start would keep all that another one has read from there.
fn kept(resource: &Resource, outlook: &Outlook<'_>, most: u64) -> Vec<ByteRange> {
    let own = resource.own_knobs(outlook.tunables);
    let config = &own.as_ref().unwrap_or(outlook.tunables).readahead;
    let mut kept: Vec<ByteRange> = cursors(resource)
        .into_iter()
        .map(|cursor| {
            let rest = ByteRange::at(cursor.at, most).until(resource.map.end());
            let hole = resource.map.first_uncovered(rest).map_or(rest.end, |hole| hole.start);
            rest.until(hole)
        })
        .collect();
    kept.extend(
        resource.windows(outlook.now, config, &outlook.link).into_iter().map(|window| window.range),
    );
    kept.extend(resource.cursors.demands().map(|(_, demand)| demand.range));
    kept.extend(resource.hints.values().map(|hint| hint.range));
    let edge = |(_, fetch): (FetchId, &Fetch)| {
        let end = if fetch.whole { fetch.head.saturating_add(EDGE) } else { fetch.body_end };
        ByteRange::new(fetch.head.saturating_sub(EDGE), end.max(fetch.head))
    };
    kept.extend(outlook.fetches.all().filter(|(_, fetch)| fetch.resource == resource.id).map(edge));
    if resource.is_endless() {
        let furthest = resource.cursors.all().map(|(_, cursor)| cursor.position).max();
        kept.push(ByteRange::new(furthest.unwrap_or(0), resource.map.end()));
    }
    kept
}
