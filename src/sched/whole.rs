//! A server without ranges: one sequential body at a time, from byte 0 on.
//!
//! Every byte of it is kept. Reads ahead of it wait for it; a read behind it that is not stored (any
//! more) makes it start again. Far ahead of every cursor it is paused, and dropped if that lasts.

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::ids::{FetchId, ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::event::{Action, Class};
use crate::sched::plan::Plan;
use crate::sched::queue::Segment;
use crate::sched::resource::{Resource, Transfer};
use crate::sched::segment_map::SegmentState;
use crate::sched::timer::Timer;
use crate::time::Micros;

/// How long a body is left unread before its connection is given up.
const LONGEST_PAUSE: Micros = Micros::from_millis(5000);

impl Scheduler {
    /// The answer is the whole resource. One such body is enough: another one that runs already goes on,
    /// everything else is stopped.
    pub(super) fn took_whole(&mut self, id: ResourceId, fetch: FetchId, out: &mut Vec<Action>) {
        let others: Vec<(FetchId, bool)> = self
            .fetches
            .live(id)
            .filter(|(other, _)| *other != fetch)
            .map(|(other, running)| (other, running.whole && running.answered.is_some()))
            .collect();
        if others.iter().any(|(_, whole)| *whole) {
            return self.cancel(fetch, out);
        }
        for (other, _) in others {
            self.cancel(other, out);
        }
        let found = self.resources.get_mut(&id).zip(self.fetches.one_mut(fetch));
        let Some((resource, running)) = found else {
            return;
        };
        resource.transfer = Transfer::Whole;
        running.end = resource.map.end();
        running.body_end = running.end;
        resource.map.take(resource.map.all(), fetch);
    }

    /// What is wanted of such a resource: at most one body.
    pub(super) fn plan_whole(&mut self, id: ResourceId, out: &mut Vec<Action>) -> Plan {
        let mut plan = Plan::default();
        let Some(resource) = self.resources.get_mut(&id) else {
            return plan;
        };
        for range in std::mem::take(&mut resource.queued) {
            resource.map.unqueue(range);
        }
        let running = self.fetches.whole(id).map(|(fetch, running)| (fetch, running.head));
        match (first_wait(resource), running) {
            (Some((at, _)), Some((fetch, head))) if at < head => self.cancel(fetch, out),
            (_, Some((fetch, head))) => self.steer(id, fetch, head, out),
            (Some((at, class)), None) if !self.fetches.is_ending(id) => {
                plan.segments.extend(restart(resource, at, class, self.now, &self.tunables));
            }
            (_, None) => {}
        }
        plan.refills = self.whole_refills(id);
        plan
    }

    /// Pauses a body that is far ahead of everybody, and lets it go on when somebody comes near.
    fn steer(&mut self, id: ResourceId, fetch: FetchId, head: u64, out: &mut Vec<Action>) {
        let found = self.resources.get(&id).zip(self.fetches.one_mut(fetch));
        let Some((resource, running)) = found else {
            return;
        };
        let window = resource.max_window(&self.tunables);
        let ahead = head.saturating_sub(furthest(resource));
        let waited_for = first_wait(resource).is_some();
        let paused = match running.paused {
            true => !waited_for && ahead > window / 2,
            false => !waited_for && ahead >= window && running.answered.is_some(),
        };
        if paused == running.paused {
            return;
        }
        running.paused = paused;
        let until = self.now + LONGEST_PAUSE;
        self.timers.put(Timer::PausedBody(fetch), paused.then_some(until));
        out.push(Action::PauseFetch { fetch, paused });
    }

    /// Where the cursors are to say that they got there.
    fn whole_refills(&self, id: ResourceId) -> Vec<(ReaderId, u64)> {
        let Some(resource) = self.resources.get(&id) else {
            return Vec::new();
        };
        let window = resource.max_window(&self.tunables);
        let running = self.fetches.whole(id).map(|(_, running)| (running.head, running.paused));
        let mark = |reader| {
            let at = resource.cursors.one(reader).map_or(0, |cursor| cursor.position);
            match running {
                None => u64::MAX,
                // In front of everybody: a body that is not goes on.
                Some((head, true)) => head.saturating_sub(window / 2),
                Some((_, false)) => at.saturating_add((window / 4).max(1)),
            }
        };
        resource.cursors.active().into_iter().map(|reader| (reader, mark(reader))).collect()
    }
}

impl Resource {
    /// Whether a whole body at `head` may have to be paused.
    pub(super) fn is_past_mark(&self, head: u64, tunables: &Tunables) -> bool {
        head.saturating_sub(furthest(self)) >= self.max_window(tunables)
    }
}

/// The first byte that somebody waits for, and how urgently.
fn first_wait(resource: &Resource) -> Option<(u64, Class)> {
    let wait = |demand: &crate::sched::cursors::Demand| {
        if demand.is_blocked() {
            return Some((demand.range.start, Class::Blocked));
        }
        let missing = resource.map.first_uncovered(demand.range)?;
        Some((missing.start, Class::Fill))
    };
    let waits: Vec<(u64, Class)> =
        resource.cursors.demands().filter_map(|(_, demand)| wait(demand)).collect();
    let class = waits.iter().map(|(_, class)| *class).min()?;
    waits.iter().map(|(at, _)| *at).min().map(|at| (at, class))
}

/// The cursor that is furthest on.
fn furthest(resource: &Resource) -> u64 {
    resource.cursors.all().map(|(_, cursor)| cursor.position).max().unwrap_or(0)
}

/// One request from byte 0 on, unless what is waited for backs off.
fn restart(
    resource: &mut Resource,
    at: u64,
    class: Class,
    now: Micros,
    tunables: &Tunables,
) -> Option<Segment> {
    if resource.map.state_at(at) == Some(SegmentState::BackingOff) {
        return None;
    }
    let size = tunables.fetch.segment_max;
    let waits = resource.cursors.demands().map(|(_, demand)| demand.range.start);
    let last = waits.max().unwrap_or(at).max(at);
    let end = resource.map.len().unwrap_or(last.saturating_add(size));
    let range = ByteRange::new(0, end);
    if range.is_empty() {
        return None;
    }
    resource.map.queue(range);
    resource.queued.push(range);
    Some(Segment { resource: resource.id, range, class, deadline: now, reader: None })
}
