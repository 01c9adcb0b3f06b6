//! A scheduler that is told directly what happens, without a world around it.

use super::MIB;
use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::connection::ConnectionUse;
use crate::error::Error;
use crate::ids::{DemandId, FetchId, HintId, OriginId, ReaderId, ResourceId};
use crate::sched::event::{Failure, FetchOutcome, Remedy};
use crate::sched::{Action, BodyShape, Class, Event, Scheduler, TimeoutReason, Urgency};
use crate::time::Micros;

/// The resource that is open from the start.
pub(super) const RESOURCE: ResourceId = ResourceId(1);
/// Its reader.
pub(super) const READER: ReaderId = ReaderId(1);
/// Its origin.
pub(super) const ORIGIN: OriginId = OriginId(1);
/// Its length.
pub(super) const LEN: u64 = 100 * MIB;

/// A scheduler, and what time it is.
pub(super) struct Told {
    pub(super) scheduler: Scheduler,
    /// The clock, in milliseconds.
    pub(super) at: u64,
}

impl Told {
    /// One reader of one large resource, of which `covered` is stored.
    pub(super) fn new(covered: &[ByteRange], tune: impl FnOnce(&mut Tunables)) -> Self {
        Self::of(Some(LEN), covered, true, tune)
    }

    /// The same without read-ahead.
    pub(super) fn demands_only(covered: &[ByteRange]) -> Self {
        Self::new(covered, no_readahead)
    }

    /// The same with a length of its own, and maybe without a network.
    pub(super) fn of(
        len: Option<u64>,
        covered: &[ByteRange],
        online: bool,
        tune: impl FnOnce(&mut Tunables),
    ) -> Self {
        let mut tunables = Tunables::default();
        tune(&mut tunables);
        let mut told = Self { scheduler: Scheduler::new(tunables, 1, 1), at: 0 };
        let covered = covered.to_vec();
        let (resource, origin) = (RESOURCE, ORIGIN);
        told.tell(Event::ResourceOpened { resource, origin, len, covered, online });
        told.tell(Event::ReaderOpened { resource, reader: READER, position: 0 });
        told
    }

    /// What the scheduler wants to be done about `event`.
    pub(super) fn tell(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.scheduler.handle(Micros::from_millis(self.at), event, &mut actions);
        actions
    }

    /// Time passes up to `at`, and the scheduler looks what is due.
    pub(super) fn tick(&mut self, at: u64) -> Vec<Action> {
        self.at = at;
        self.tell(Event::Tick)
    }

    /// A read is blocked at `at`.
    pub(super) fn demand(&mut self, id: u64, at: u64) -> Vec<Action> {
        self.wait(id, ByteRange::at(at, 100), Urgency::Blocked)
    }

    /// The reader waits for `range`.
    pub(super) fn wait(&mut self, id: u64, range: ByteRange, urgency: Urgency) -> Vec<Action> {
        self.tell(Event::Demand { reader: READER, demand: DemandId(id), range, urgency })
    }

    /// The reader waits no longer.
    pub(super) fn withdraw(&mut self, id: u64) -> Vec<Action> {
        self.tell(Event::DemandWithdrawn { reader: READER, demand: DemandId(id) })
    }

    /// The reader reads what is stored at `position`.
    pub(super) fn moved(&mut self, position: u64) -> Vec<Action> {
        self.tell(Event::Moved { reader: READER, position })
    }

    /// Somebody will want `range`.
    pub(super) fn hint(&mut self, id: u64, range: ByteRange) -> Vec<Action> {
        let (resource, hint, deadline) = (RESOURCE, HintId(id), None);
        self.tell(Event::Hinted { resource, hint, range, deadline })
    }

    /// The answer of `fetch` brings `range`.
    pub(super) fn begin(&mut self, fetch: u64, range: ByteRange) -> Vec<Action> {
        let (shape, connection) = (BodyShape::Part(range), ConnectionUse::New);
        self.tell(Event::FetchStarted {
            fetch: FetchId(fetch),
            shape,
            connection,
            multiplexed: false,
        })
    }

    /// The answer of `fetch` is the whole resource.
    pub(super) fn begin_whole(&mut self, fetch: u64) -> Vec<Action> {
        let (shape, connection) = (BodyShape::Whole, ConnectionUse::New);
        self.tell(Event::FetchStarted {
            fetch: FetchId(fetch),
            shape,
            connection,
            multiplexed: false,
        })
    }

    /// `range` of `fetch` is stored.
    pub(super) fn written(&mut self, fetch: u64, range: ByteRange) -> Vec<Action> {
        self.tell(Event::Written { fetch: FetchId(fetch), range })
    }

    /// `fetch` came to its announced end.
    pub(super) fn complete(&mut self, fetch: u64) -> Vec<Action> {
        self.end(fetch, FetchOutcome::Complete)
    }

    /// `fetch` is over.
    pub(super) fn end(&mut self, fetch: u64, outcome: FetchOutcome) -> Vec<Action> {
        self.tell(Event::FetchEnded { fetch: FetchId(fetch), outcome })
    }

    /// `fetch` failed.
    pub(super) fn fail(&mut self, fetch: u64, remedy: Remedy) -> Vec<Action> {
        let error = Error::Truncated { at: fetch };
        self.end(fetch, FetchOutcome::Failed(Failure { error, remedy }))
    }

    /// When the scheduler wants to be woken, in milliseconds, and why.
    pub(super) fn next(&self) -> Option<(u64, TimeoutReason)> {
        self.scheduler.next_timeout().map(|(at, why)| (at.0 / 1000, why))
    }

    /// What each running fetch is for.
    pub(super) fn classes(&self) -> Vec<Class> {
        self.scheduler.view(RESOURCE).in_flight.iter().map(|(_, class)| *class).collect()
    }
}

/// Nothing is read ahead.
pub(super) fn no_readahead(tunables: &mut Tunables) {
    tunables.readahead.enabled = false;
    tunables.readahead.whole_file = 0;
}

/// The fetches that start: their name, range and attempt.
pub(super) fn started(actions: &[Action]) -> Vec<(u64, ByteRange, u32)> {
    let start = |action: &Action| match action {
        Action::StartFetch { fetch, range, attempt, .. } => Some((fetch.0, *range, *attempt)),
        _ => None,
    };
    actions.iter().filter_map(start).collect()
}

/// The fetches that are stopped.
pub(super) fn stopped(actions: &[Action]) -> Vec<u64> {
    let stop = |action: &Action| match action {
        Action::CancelFetch { fetch } => Some(fetch.0),
        _ => None,
    };
    actions.iter().filter_map(stop).collect()
}

/// The demands that cannot be met.
pub(super) fn failed(actions: &[Action]) -> Vec<u64> {
    let fail = |action: &Action| match action {
        Action::FailDemand { demand, .. } => Some(demand.0),
        _ => None,
    };
    actions.iter().filter_map(fail).collect()
}
