//! The running fetches of all resources.

use std::collections::BTreeMap;

use crate::byte_range::ByteRange;
use crate::connection::ConnectionUse;
use crate::error::Error;
use crate::ids::{FetchId, Lane, OriginId, ResourceId};
use crate::sched::estimator::Meter;
use crate::sched::event::{BodyShape, Class};
use crate::time::Micros;

/// A first byte is long overdue after so many times the expected time.
const LONG_OVERDUE: u64 = 4;

/// One request, from `StartFetch` until `FetchEnded`.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    /// Whose bytes it fetches.
    pub(crate) resource: ResourceId,
    /// Whose slot it holds.
    pub(crate) origin: OriginId,
    /// Over which lane.
    pub(crate) lane: Lane,
    /// What it is for now; upgraded when a read blocks on it.
    pub(crate) class: Class,
    /// Where its next byte goes.
    pub(crate) head: u64,
    /// Where what it is to bring begins.
    pub(crate) low: u64,
    /// Where what it is to bring ends. Moves down when a newer fetch takes over the rest.
    pub(crate) end: u64,
    /// Where its body ends if nobody stops it.
    pub(crate) body_end: u64,
    /// 1 for the first try of these bytes.
    pub(crate) attempt: u32,
    /// The late one that it was sent beside, if it was.
    pub(crate) rival: Option<FetchId>,
    /// Why the try before failed.
    pub(crate) last_error: Option<Error>,
    /// When it was sent.
    pub(crate) started: Micros,
    /// How long its first byte was expected to take.
    pub(crate) expected: Micros,
    /// Whether it was sent over a connection that was busy a moment ago.
    pub(crate) open: bool,
    /// Whether other bodies were coming in when it was sent.
    pub(crate) loaded: bool,
    /// When its body began.
    pub(crate) answered: Option<Micros>,
    /// When it last brought bytes, or was sent.
    pub(crate) last: Micros,
    /// Bytes it brought.
    pub(crate) received: u64,
    /// Those of them that nobody had before.
    pub(crate) fresh: u64,
    /// Its rate.
    pub(crate) meter: Meter,
    /// Whether its body is the whole resource.
    pub(crate) whole: bool,
    /// Whether it is the turn of a resource of many, and left to it up to its end.
    pub(crate) in_turn: bool,
    /// Whether it has left its rear to a faster one, beside another resource: it ends there, and does not win that back.
    pub(crate) relieved: bool,
    /// Whether it is left unread.
    pub(crate) paused: bool,
    /// Whether it was told to stop; it holds its slot until it has ended.
    pub(crate) cancelled: bool,
    /// Whether its bytes are of a generation that is gone.
    pub(crate) stale: bool,
}

impl Fetch {
    /// A request for `range` over the demand lane of the first origin, sent at `at` for a blocked read of its first
    /// resource; for tests, which say what is different.
    #[cfg(test)]
    pub(crate) fn sent(at: Micros, range: ByteRange) -> Self {
        Self {
            resource: ResourceId(1),
            origin: OriginId(1),
            lane: Lane::Demand,
            class: Class::Blocked,
            head: range.start,
            low: range.start,
            end: range.end,
            body_end: range.end,
            attempt: 1,
            rival: None,
            last_error: None,
            started: at,
            expected: Micros(0),
            open: false,
            loaded: false,
            answered: None,
            last: at,
            received: 0,
            fresh: 0,
            meter: Meter::default(),
            whole: false,
            in_turn: false,
            relieved: false,
            paused: false,
            cancelled: false,
            stale: false,
        }
    }

    /// What is still to come of it.
    pub(crate) fn rest(&self) -> ByteRange {
        ByteRange::new(self.head, self.end)
    }

    /// What belongs to it at most.
    pub(crate) fn own(&self) -> ByteRange {
        ByteRange::new(self.low, self.end)
    }

    /// Whether bytes have come.
    pub(crate) fn is_streaming(&self) -> bool {
        self.received > 0
    }

    /// Whether its first byte is still to come, and not long overdue.
    pub(crate) fn is_about_to_begin(&self, now: Micros) -> bool {
        self.received == 0 && now < self.overdue_at()
    }

    /// When its first byte is long overdue.
    pub(crate) fn overdue_at(&self) -> Micros {
        self.started + Micros(self.expected.0.saturating_mul(LONG_OVERDUE))
    }

    /// Whether it has brought all that it is to bring, and more would come.
    pub(crate) fn is_past_its_end(&self) -> bool {
        self.head >= self.end && self.end < self.body_end
    }

    /// How much of what it is to bring has come: from 0 to 1.
    pub(crate) fn done(&self) -> f64 {
        1.0 - self.rest().len() as f64 / self.own().len().max(1) as f64
    }

    /// Its body begins: where it really lies.
    pub(crate) fn begin(&mut self, now: Micros, shape: BodyShape) {
        self.answered = Some(now);
        self.last = now;
        self.meter.begin(now);
        match shape {
            // An empty part proves nothing: what was asked for is still to come.
            BodyShape::Part(range) if range.is_empty() => {}
            BodyShape::Part(range) => {
                self.head = range.start;
                self.low = self.low.min(range.start);
                self.body_end = self.body_end.min(range.end);
                self.end = self.end.min(range.end);
            }
            BodyShape::Whole => {
                self.whole = true;
                (self.low, self.head) = (0, 0);
            }
        }
    }
}

/// What a lane of an origin has by way of connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections {
    /// Since when each idle one is that; the last one is taken first, as HTTP clients do.
    idle: Vec<Micros>,
    /// Whether one connection carries all requests at once.
    multiplexed: bool,
}

impl Connections {
    /// Whether a request would probably find one.
    pub(crate) fn has_idle(&self) -> bool {
        !self.idle.is_empty() || self.multiplexed
    }

    /// Whether one connection carries all requests at once.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.multiplexed
    }

    /// A request took one, if there was one.
    pub(crate) fn taken(&mut self) {
        self.idle.pop();
    }

    /// A request had to make one: there was none idle after all.
    pub(crate) fn answered(&mut self, connection: ConnectionUse, multiplexed: bool) {
        self.multiplexed = multiplexed;
        if connection != ConnectionUse::Reused {
            self.idle.clear();
        }
    }

    /// Since when the one is idle that a request would get.
    pub(crate) fn idle_since(&self) -> Option<Micros> {
        self.idle.last().copied()
    }

    /// A body was read to its end: its connection can be used again.
    pub(crate) fn returned(&mut self, now: Micros) {
        self.idle.push(now);
    }
}

/// All running fetches, by name.
#[derive(Debug, Default)]
pub(crate) struct Inflight {
    fetches: BTreeMap<FetchId, Fetch>,
    named: u64,
}

impl Inflight {
    /// A name for the next fetch.
    pub(crate) fn next_id(&mut self) -> FetchId {
        self.named += 1;
        FetchId(self.named)
    }

    /// It runs.
    pub(crate) fn insert(&mut self, id: FetchId, fetch: Fetch) {
        self.fetches.insert(id, fetch);
    }

    /// It has ended.
    pub(crate) fn remove(&mut self, id: FetchId) -> Option<Fetch> {
        self.fetches.remove(&id)
    }

    /// That fetch.
    pub(crate) fn one(&self, id: FetchId) -> Option<&Fetch> {
        self.fetches.get(&id)
    }

    /// That fetch.
    pub(crate) fn one_mut(&mut self, id: FetchId) -> Option<&mut Fetch> {
        self.fetches.get_mut(&id)
    }

    /// All, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (FetchId, &Fetch)> {
        self.fetches.iter().map(|(id, fetch)| (*id, fetch))
    }

    /// Those of one resource that were not told to stop.
    pub(crate) fn live(&self, resource: ResourceId) -> impl Iterator<Item = (FetchId, &Fetch)> {
        self.all().filter(move |(_, fetch)| fetch.resource == resource && !fetch.cancelled)
    }

    /// The same, to change.
    pub(crate) fn live_mut(
        &mut self,
        resource: ResourceId,
    ) -> impl Iterator<Item = (FetchId, &mut Fetch)> {
        self.fetches
            .iter_mut()
            .filter(move |(_, fetch)| fetch.resource == resource && !fetch.cancelled)
            .map(|(id, fetch)| (*id, fetch))
    }

    /// What still comes for `resource` is of a generation that is gone.
    pub(crate) fn make_stale(&mut self, resource: ResourceId) {
        for fetch in self.fetches.values_mut().filter(|fetch| fetch.resource == resource) {
            fetch.stale = true;
        }
    }

    /// Whether a fetch of `resource` was told to stop and has not ended yet.
    pub(crate) fn is_ending(&self, resource: ResourceId) -> bool {
        self.all().any(|(_, fetch)| fetch.resource == resource && fetch.cancelled)
    }

    /// How many slots of `origin` are taken.
    pub(crate) fn running(&self, origin: OriginId) -> u32 {
        self.all().filter(|(_, fetch)| fetch.origin == origin).count() as u32
    }

    /// How many requests run over `lane` of `origin`.
    pub(crate) fn over(&self, origin: OriginId, lane: Lane) -> usize {
        self.all().filter(|(_, fetch)| fetch.origin == origin && fetch.lane == lane).count()
    }

    /// Read-ahead, hints and fill in flight over all origins, in bytes.
    pub(crate) fn speculative_bytes(&self) -> u64 {
        self.all()
            .filter(|(_, fetch)| fetch.class >= Class::Hint && !fetch.cancelled)
            .map(|(_, fetch)| fetch.rest().len())
            .fold(0, u64::saturating_add)
    }

    /// The whole body that is on its way for `resource`.
    pub(crate) fn whole(&self, resource: ResourceId) -> Option<(FetchId, &Fetch)> {
        self.live(resource).find(|(_, fetch)| fetch.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: ResourceId = ResourceId(1);
    const OTHER: ResourceId = ResourceId(2);

    /// A fetch of the bytes 100..500 that was sent at 1000 and is expected to answer 50 later.
    fn fetch(resource: ResourceId, cancelled: bool) -> Fetch {
        Fetch {
            resource,
            origin: OriginId(resource.0),
            class: Class::Near,
            cancelled,
            expected: Micros(50),
            ..Fetch::sent(Micros(1000), ByteRange::new(100, 500))
        }
    }

    /// One of mine that runs, one of mine that is ending, and the same of another resource.
    fn four() -> Inflight {
        let mut fetches = Inflight::default();
        for (resource, cancelled) in [(MINE, false), (MINE, true), (OTHER, false), (OTHER, true)] {
            let id = fetches.next_id();
            fetches.insert(id, fetch(resource, cancelled));
        }
        fetches
    }

    #[test]
    fn p3_an_answer_is_about_to_come_until_it_is_four_times_overdue() {
        let sent = fetch(MINE, false);
        assert!(sent.is_about_to_begin(Micros(1199)));
        assert!(!sent.is_about_to_begin(Micros(1200)));
        let streaming = Fetch { received: 1, ..sent };
        assert!(streaming.is_streaming() && !streaming.is_about_to_begin(Micros(1000)));
    }

    #[test]
    fn p6_only_a_fetch_that_was_cut_off_can_come_past_its_end() {
        let at = |head, end| Fetch { head, end, ..fetch(MINE, false) }.is_past_its_end();
        assert!(!at(500, 500), "its body ends there too");
        assert!(at(300, 300));
        assert!(at(301, 300));
        assert!(!at(299, 300));
        assert!(!at(501, 501), "a longer body there is none");
    }

    #[test]
    fn p3_done_is_the_share_of_what_is_to_come() {
        let done = |head| Fetch { head, ..fetch(MINE, false) }.done();
        assert_eq!([done(100), done(200), done(500)], [0.0, 0.25, 1.0]);
    }

    #[test]
    fn n6_a_part_begins_where_its_answer_says_and_ends_no_later_than_asked() {
        let begun = |start, end| {
            let mut fetch = fetch(MINE, false);
            fetch.begin(Micros(1040), BodyShape::Part(ByteRange::new(start, end)));
            (fetch.low, fetch.head, fetch.end, fetch.body_end)
        };
        assert_eq!(begun(50, 400), (50, 50, 400, 400));
        assert_eq!(begun(100, 500), (100, 100, 500, 500));
        assert_eq!(begun(100, 100), (100, 100, 500, 500), "an empty part proves nothing");
    }

    #[test]
    fn a_connection_is_idle_from_the_end_of_one_body_to_the_next_request() {
        let mut connections = Connections::default();
        connections.taken();
        assert!(!connections.has_idle());
        connections.returned(Micros(7));
        assert!(connections.has_idle());
        assert_eq!(connections.idle_since(), Some(Micros(7)));
        connections.taken();
        assert!(!connections.has_idle());
        assert_eq!(connections.idle_since(), None);
        connections.returned(Micros(8));
        connections.returned(Micros(9));
        connections.taken();
        assert!(connections.has_idle());
        connections.answered(ConnectionUse::Reused, false);
        assert!(connections.has_idle());
        connections.answered(ConnectionUse::New, false);
        assert!(!connections.has_idle(), "else it would not have made one");
        connections.answered(ConnectionUse::New, true);
        assert!(connections.has_idle());
        connections.taken();
        assert!(connections.has_idle(), "it carries all of them");
    }

    #[test]
    fn what_is_asked_of_one_resource_is_told_of_no_other() {
        let mut fetches = four();
        let live = |fetches: &Inflight| fetches.live(MINE).map(|(id, _)| id.0).collect::<Vec<_>>();
        assert_eq!(live(&fetches), [1]);
        assert_eq!(fetches.live_mut(OTHER).map(|(id, _)| id.0).collect::<Vec<_>>(), [3]);
        assert_eq!(fetches.running(OriginId(1)), 2, "one that is ending has its slot still");
        let over = [(1, Lane::Demand), (1, Lane::Bulk(0)), (3, Lane::Demand)];
        assert_eq!(over.map(|(origin, lane)| fetches.over(OriginId(origin), lane)), [2, 0, 0]);
        assert!(fetches.is_ending(MINE) && !fetches.is_ending(ResourceId(3)));
        fetches.remove(FetchId(2));
        assert!(!fetches.is_ending(MINE));
        fetches.make_stale(MINE);
        let stale: Vec<u64> =
            fetches.all().filter(|(_, fetch)| fetch.stale).map(|(id, _)| id.0).collect();
        assert_eq!(stale, [1]);
    }

    #[test]
    fn p2_speculative_is_what_is_to_come_of_hints_and_read_ahead_that_go_on() {
        let mut fetches = four();
        assert_eq!(fetches.speculative_bytes(), 800);
        for (class, bytes) in [(Class::FirstWindow, 400), (Class::Hint, 800)] {
            let fetch = fetches.one_mut(FetchId(1)).expect("it was put in");
            fetch.class = class;
            assert_eq!(fetches.speculative_bytes(), bytes);
        }
    }
}
