//! Admission: what of the queues may start now.
//!
//! Strictly in the queue's order: if the most urgent segment of an origin may not start, nothing of
//! that origin does. A full origin blocks no other; nor does a resource that has made its requests, whose
//! segments stand back until it may ask again.

use std::collections::BTreeMap;

use crate::config::{FetchConfig, HedgingConfig};
use crate::connection::ConnectionUse;
use crate::ids::{FetchId, Lane, OriginId, ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::budget::{self, Bucket, Slowdown};
use crate::sched::crowd::Crowd;
use crate::sched::estimator::{Estimator, Link, Meter};
use crate::sched::event::{Action, Class, FetchOutcome};
use crate::sched::flows::Flows;
use crate::sched::hedge::{Hedging, Late};
use crate::sched::inflight::{Connections, Fetch};
use crate::sched::queue::{Popped, Queue, Segment};
use crate::sched::resource::{Resource, Transfer};
use crate::sched::segment_map::SegmentState;
use crate::sched::spare::Spare;
use crate::sched::timer::Timer;
use crate::time::Micros;

/// One origin: its queue, its connections, what was measured.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// How many of its resources are open.
    pub(crate) resources: usize,
    /// What is wanted from it.
    pub(crate) queue: Queue,
    /// What its link looks like.
    pub(crate) estimator: Estimator,
    /// What its path carries with how many flows.
    pub(crate) flows: Flows,
    /// What it has had of second requests.
    pub(crate) hedging: Hedging,
    /// The requests that were made to it lately.
    pub(crate) bucket: Bucket,
    /// The streams that were reset lately.
    pub(crate) resets: Bucket,
    /// How far it is slowed down because it has had enough.
    pub(crate) slowdown: Slowdown,
    /// Until when it asked to be left alone.
    pub(crate) paused_until: Option<Micros>,
    /// The connection that is made before a blocked read needs it.
    pub(super) spare: Spare,
    /// Who of its resources waits for it in turns.
    pub(super) crowd: Crowd,
    /// What it has by way of connections.
    pub(super) lanes: BTreeMap<Lane, Connections>,
    /// The bulk lane whose turn it is.
    pub(super) next_bulk: u8,
}

impl Origin {
    /// What decisions reckon with.
    pub(crate) fn link(&self) -> Link {
        self.estimator.link()
    }

    /// What a request for a blocked read would take to its first byte.
    pub(crate) fn open_cost(&self) -> Micros {
        self.expected(Lane::Demand)
    }

    fn expected(&self, lane: Lane) -> Micros {
        let warm = self.has_idle(lane) || (lane == Lane::Demand && self.spare.is_ready());
        let link = self.link();
        let alone = if warm { link.first_byte } else { link.cold };
        alone + self.estimator.queue()
    }

    /// Whether one connection carries all requests of a lane at once (HTTP/2).
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.lanes.get(&Lane::Demand).is_some_and(Connections::is_multiplexed)
    }

    /// A request goes out over `lane` and takes a connection there, if there is one.
    fn take_connection(&mut self, lane: Lane) {
        let connections = self.lanes.entry(lane).or_default();
        if lane == Lane::Demand && !connections.has_idle() {
            self.spare.take();
        }
        connections.taken();
    }

    /// A fetch got its answer.
    pub(crate) fn answered(
        &mut self,
        now: Micros,
        fetch: &Fetch,
        connection: ConnectionUse,
        multiplexed: bool,
    ) {
        let after = now.since(fetch.started);
        match connection {
            // It may have waited for the last of its handshakes: a new one takes as long at least.
            ConnectionUse::Spare => self.estimator.began_cold(after),
            ConnectionUse::New => self.estimator.answered(after, false, fetch.loaded),
            ConnectionUse::Reused => self.estimator.answered(after, true, fetch.loaded),
        }
        self.estimator.body_began(now);
        self.lanes.entry(fetch.lane).or_default().answered(connection, multiplexed);
    }

    /// A fetch has ended.
    pub(crate) fn ended(&mut self, now: Micros, fetch: &Fetch, outcome: &FetchOutcome) {
        if fetch.answered.is_some() {
            let mut meter = fetch.meter.clone();
            meter.end(now);
            self.estimator.body_ended(now, meter.rate());
        }
        if matches!(outcome, FetchOutcome::Complete) {
            self.hedging.completed();
            self.lanes.entry(fetch.lane).or_default().returned(now);
        }
    }

    /// A request for `resource` is sent, to help out a `late` one or not: all budgets know of it.
    fn sent(
        &mut self,
        resource: &mut Resource,
        late: Option<Late>,
        now: Micros,
        config: &HedgingConfig,
    ) {
        let share = self.slowdown.share(now);
        resource.bucket.take(now, budget::PER_RESOURCE * share);
        self.bucket.take(now, budget::PER_ORIGIN * share);
        self.hedging.sent(late, now, config);
        resource.hedges += u64::from(late.is_some());
    }
}

/// How many requests at once read ahead: one slot is kept for blocked reads where there are two.
pub(crate) fn slots_ahead(config: &FetchConfig) -> u32 {
    if config.max_fetches >= 2 { config.max_fetches - 1 } else { config.max_fetches }
}

/// What becomes of the most urgent segment of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It starts.
    Start,
    /// It waits.
    Wait,
    /// It waits until then, and all behind it.
    Until(Micros),
    /// It waits until then, since its resource has made its requests or stands aside: others need not.
    Spent(Micros),
    /// It waits for the slot of that fetch, which has to go.
    After(FetchId),
}

impl Scheduler {
    /// Starts one fetch if one may start. The plan behind it is out of date then.
    pub(super) fn admit_one(&mut self, out: &mut Vec<Action>) -> bool {
        let origins: Vec<OriginId> = self.origins.keys().copied().collect();
        origins.into_iter().any(|origin| self.admit_one_of(origin, out))
    }

    /// The same for one origin. What stands back is the first again as soon as it may ask, so nobody starves.
    fn admit_one_of(&mut self, id: OriginId, out: &mut Vec<Action>) -> bool {
        let mut again: Option<Micros> = None;
        let started = loop {
            let Some(segment) = self.origins.get(&id).and_then(|o| o.queue.peek()) else {
                break false;
            };
            let turn = self.turn(id, segment);
            if let Turn::Spent(at) | Turn::Until(at) = turn {
                again = Some(again.map_or(at, |other| other.min(at)));
            }
            let Some(origin) = self.origins.get_mut(&id) else { break false };
            match turn {
                Turn::Start => {
                    let Some(popped) = origin.queue.pop() else { break false };
                    self.start(id, popped, out);
                    break true;
                }
                Turn::After(victim) => {
                    self.cancel(victim, out);
                    break true;
                }
                Turn::Spent(_) => origin.queue.stand_back(),
                Turn::Until(_) | Turn::Wait => break false,
            }
        };
        if let Some(origin) = self.origins.get_mut(&id) {
            origin.queue.return_all();
        }
        if let Some(at) = again.filter(|_| !started) {
            self.timers.set(Timer::Requests(id), at);
        }
        started
    }

    fn turn(&self, origin: OriginId, segment: Segment) -> Turn {
        let running = self.fetches.running(origin);
        let slots = self.tunables.fetch.max_fetches;
        if segment.class <= Class::FirstWindow {
            return match running < slots {
                true => Turn::Start,
                false if segment.class == Class::Blocked => self.victim(origin, segment.resource),
                false => Turn::Wait,
            };
        }
        let aside = self
            .aside_until(origin, segment)
            .or_else(|| self.gives_way_until(origin, segment))
            .or_else(|| self.rests_until(origin, segment));
        if let Some(at) = aside {
            return Turn::Spent(at);
        }
        let slots = if self.takes_all_slots(origin, segment) {
            slots
        } else {
            slots_ahead(&self.tunables.fetch)
        };
        let flying = self.fetches.speculative_bytes();
        let fits = flying == 0
            || flying.saturating_add(segment.range.len()) <= self.tunables.fetch.speculation_budget;
        let paused = self.origins.get(&origin).is_some_and(|o| o.paused_until.is_some());
        let dragged = segment.reader.filter(|_| segment.is_foretold());
        if running >= slots || !fits || paused || self.first_byte_pending(origin, dragged) {
            return Turn::Wait;
        }
        self.by_budget(segment)
    }

    /// Whether none is kept for blocked reads: the reader of `segment` has run dry over a long way. Requests that share a connection
    /// would have no window more.
    fn takes_all_slots(&self, origin: OriginId, segment: Segment) -> bool {
        let shared = self.origins.get(&origin).is_some_and(Origin::is_multiplexed);
        let resource = self.resources.get(&segment.resource);
        !shared && resource.is_some_and(|resource| resource.is_dry(segment.reader))
    }

    /// What the request budgets say to `segment`, for which no read is blocked.
    fn by_budget(&self, segment: Segment) -> Turn {
        let Some(resource) = self.resources.get(&segment.resource) else {
            return Turn::Start;
        };
        let Some(origin) = self.origins.get(&resource.origin) else {
            return Turn::Start;
        };
        let share = origin.slowdown.share(self.now);
        if segment.class == Class::Fill && share >= 1.0 {
            return Turn::Start;
        }
        let of_origin = origin.bucket.ready(self.now, budget::PER_ORIGIN * share);
        let of_resource = resource.bucket.ready(self.now, budget::PER_RESOURCE * share);
        // Where a drag will be is asked for in place of what the seek would ask for; there is little of it, and
        // most of it hits.
        let in_place = segment.is_foretold() && share >= 1.0;
        if of_origin > self.now {
            Turn::Until(of_origin)
        } else if of_resource > self.now && !in_place {
            Turn::Spent(of_resource)
        } else {
            Turn::Start
        }
    }

    /// Whether a blocked read of `origin` waits for a fetch that has not brought a byte yet. One that is
    /// long overdue holds nobody up. What `dragged` waits for does not count: where it will be is as urgent,
    /// little, and asked for later.
    fn first_byte_pending(&self, origin: OriginId, dragged: Option<ReaderId>) -> bool {
        // One that is queued is more urgent than all that asks here, and had its turn before.
        let begins = |fetch: &Fetch| fetch.origin == origin && fetch.is_about_to_begin(self.now);
        self.fetches.all().filter(|(_, fetch)| begins(fetch)).any(|(id, fetch)| {
            let Some(resource) = self.resources.get(&fetch.resource) else { return false };
            let its = |at| resource.map.state_at(at) == Some(SegmentState::InFlight(id));
            resource.cursors.demands().any(|(reader, demand)| {
                demand.is_blocked() && Some(reader) != dragged && its(demand.range.start)
            })
        })
    }

    /// The fetch whose slot a blocked read gets: the least urgent one that nobody waits for. One at a
    /// time: while one is ending, nobody else has to go. None of another resource whose turn it is.
    fn victim(&self, origin: OriginId, resource: ResourceId) -> Turn {
        let here = || self.fetches.all().filter(|(_, fetch)| fetch.origin == origin);
        if here().any(|(_, fetch)| fetch.cancelled) {
            return Turn::Wait;
        }
        here()
            .filter(|(_, fetch)| fetch.class > Class::Blocked)
            .filter(|(_, fetch)| fetch.resource == resource || !self.is_its_turn(fetch))
            .max_by_key(|(id, fetch)| (fetch.class, fetch.rest().len(), *id))
            .map_or(Turn::Wait, |(id, _)| Turn::After(id))
    }

    fn start(&mut self, origin_id: OriginId, mut popped: Popped, out: &mut Vec<Action>) {
        let turn = self.turn_of(origin_id, popped.segment());
        if let Some(most) = turn {
            popped.cut(most);
        }
        let segment = popped.segment();
        let Segment { resource: resource_id, range, class, .. } = segment;
        let id = self.fetches.next_id();
        let late = self.resources.get(&resource_id).and_then(|r| r.late_at(range.start));
        let rival = late.map(|late| late.fetch);
        self.cut_off_others(segment, rival, out);
        let found = self.resources.get_mut(&resource_id).zip(self.origins.get_mut(&origin_id));
        let Some((resource, origin)) = found else {
            return;
        };
        let last_error = resource.retries.at(range.start).map(|known| known.error.clone());
        let attempt = resource.retries.attempt(range);
        resource.map.take(range, id);
        let urgency = if resource.probed { class } else { Class::Blocked };
        let running = |lane| self.fetches.over(origin_id, lane);
        origin.sent(resource, late, self.now, &self.tunables.hedging);
        let lane = match rival.and_then(|rival| self.fetches.one(rival)) {
            Some(rival) => origin.other_lane(rival.lane, &running, self.bulk_lanes),
            None if segment.is_foretold() => Lane::Demand,
            None if resource.is_dry(segment.reader) => origin.busy_last(&running, self.bulk_lanes),
            None => origin.lane(urgency, self.now, &running, self.bulk_lanes),
        };
        resource.probed = true;
        let reader = segment.reader.filter(|_| !segment.is_foretold());
        let reader = reader.and_then(|reader| resource.cursors.one_mut(reader));
        if let Some(stream) = reader.and_then(|cursor| cursor.stream_at(range.start)) {
            // What was cut off by a window or a hole does not count against the next one.
            stream.last_size = stream.last_size.max(range.len());
        }
        let expected = origin.expected(lane);
        let open = origin.is_open(lane, self.now);
        origin.take_connection(lane);
        let whole = resource.transfer == Transfer::Whole;
        let fetch = Fetch {
            resource: resource_id,
            origin: origin_id,
            lane,
            class,
            head: range.start,
            low: range.start,
            end: range.end,
            body_end: if whole { u64::MAX } else { range.end },
            attempt,
            rival,
            last_error,
            started: self.now,
            expected,
            open,
            loaded: origin.estimator.is_loaded(),
            answered: None,
            last: self.now,
            received: 0,
            fresh: 0,
            meter: Meter::default(),
            whole,
            in_turn: turn.is_some(),
            relieved: false,
            paused: false,
            cancelled: false,
            stale: false,
        };
        self.fetches.insert(id, fetch);
        self.dirty.insert(resource_id);
        out.push(popped.into_start(id, lane, attempt));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_range::ByteRange;

    const fn ms(n: u64) -> Micros {
        Micros::from_millis(n)
    }

    /// A fetch over `lane` that was sent at 1 s.
    fn fetch(lane: Lane) -> Fetch {
        Fetch { lane, ..Fetch::sent(ms(1000), ByteRange::new(0, 1000)) }
    }

    #[test]
    fn n12_an_answer_on_a_new_connection_says_what_a_cold_one_costs_and_nothing_else() {
        let mut origin = Origin::default();
        origin.answered(ms(1500), &fetch(Lane::Demand), ConnectionUse::New, false);
        assert_eq!(origin.link().cold, ms(500));
        assert_eq!(origin.estimator.estimate().first_byte, None);
        origin.answered(ms(1070), &fetch(Lane::Demand), ConnectionUse::Reused, false);
        assert_eq!(origin.estimator.estimate().first_byte, Some(ms(70)));
        assert_eq!(origin.link().cold, ms(500));
    }

    #[test]
    fn p3_a_request_is_cheap_where_a_body_was_read_to_its_end() {
        let failed = FetchOutcome::Cancelled;
        for (lane, outcome, cost) in [
            (Lane::Demand, FetchOutcome::Complete, ms(80)),
            (Lane::Demand, failed, ms(240)),
            (Lane::Bulk(0), FetchOutcome::Complete, ms(240)),
        ] {
            let mut origin = Origin::default();
            assert_eq!(origin.open_cost(), ms(240), "three round trips of the guess");
            origin.ended(ms(2000), &fetch(lane), &outcome);
            assert_eq!(origin.open_cost(), cost, "{lane:?} {outcome:?}");
        }
    }

    #[test]
    fn p3_a_spare_connection_makes_requests_of_its_own_lane_cheap_alone() {
        let mut origin = Origin::default();
        origin.spare.made_ready();
        assert_eq!(origin.expected(Lane::Demand), ms(80));
        assert_eq!(origin.expected(Lane::Bulk(0)), ms(240));
    }

    #[test]
    fn p3_what_stands_in_the_queue_comes_on_top_of_what_a_request_costs() {
        let mut origin = Origin::default();
        let loaded = |sent_under_load| Fetch { loaded: sent_under_load, ..fetch(Lane::Demand) };
        origin.answered(ms(1040), &loaded(false), ConnectionUse::Reused, false);
        origin.answered(ms(1070), &loaded(true), ConnectionUse::Reused, false);
        origin.ended(ms(2000), &fetch(Lane::Demand), &FetchOutcome::Complete);
        assert_eq!(origin.expected(Lane::Demand), ms(70), "30 ms more than alone");
    }

    #[test]
    fn n12_the_rate_of_a_short_body_counts_at_its_end() {
        let mut origin = Origin::default();
        let mut running = fetch(Lane::Demand);
        origin.answered(ms(1000), &running, ConnectionUse::New, false);
        running.answered = Some(ms(1000));
        running.meter.begin(ms(1000));
        running.meter.add(ms(1010), 100_000);
        origin.ended(ms(1010), &running, &FetchOutcome::Complete);
        assert_eq!(origin.estimator.estimate().rate, Some(10_000_000));
    }
}
