//! What a failed fetch leads to: another attempt, a told reader, or the end of the resource.

use crate::byte_range::ByteRange;
use crate::error::{Error, NetworkError, NetworkErrorKind, Stage};
use crate::ids::{ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::event::{Action, Failure, FetchOutcome, Remedy, Urgency};
use crate::sched::inflight::Fetch;
use crate::sched::retry::{Retries, Retry, pause};
use crate::sched::segment_map::SegmentState;
use crate::sched::timer::Timer;
use crate::time::Micros;

impl Scheduler {
    /// The body came to its announced end. What is still missing is asked for again: at once if
    /// something came, as a failure if nothing did.
    pub(super) fn ended_short(&mut self, fetch: &Fetch, hole: ByteRange, out: &mut Vec<Action>) {
        if hole.is_empty() || fetch.fresh > 0 {
            return;
        }
        let error = Error::Truncated { at: fetch.head };
        let failure = Failure { error, remedy: Remedy::Retry { after: None } };
        self.failed(fetch, hole, failure, out);
    }

    /// A fetch failed and left `hole`.
    pub(super) fn failed(
        &mut self,
        fetch: &Fetch,
        hole: ByteRange,
        failure: Failure,
        out: &mut Vec<Action>,
    ) {
        let Failure { error, remedy } = failure;
        let attempts = if fetch.fresh > 0 { 1 } else { fetch.attempt };
        match remedy {
            Remedy::Fatal => self.finish(fetch.resource, &error, out),
            Remedy::GiveUp => self.give_up(fetch.resource, hole, error, out),
            Remedy::Retry { after } => {
                let longest = Micros::from(self.tunables.retry.max_retry_after);
                let too_long = after.is_some_and(|after| after > longest);
                if too_long || attempts >= self.tunables.retry.max_attempts {
                    self.give_up(fetch.resource, hole, error, out);
                } else {
                    self.back_off(fetch, hole, attempts, after, error);
                }
            }
        }
    }

    /// Nobody asks for `hole` for a while. A lost connection says nothing about the next one: a read asks again
    /// at once, the first time.
    fn back_off(
        &mut self,
        fetch: &Fetch,
        hole: ByteRange,
        attempts: u32,
        after: Option<Micros>,
        error: Error,
    ) {
        let id = fetch.resource;
        let waited_for = self.resources.get(&id).is_some_and(|r| r.is_waited_for(hole));
        let pause = match waited_for && attempts == 1 && is_lost(&error) {
            true => Micros(0),
            false => pause(&self.tunables.retry, attempts, &mut self.rng),
        };
        // Who asks within the time that a server named is refused again, and it counts anew.
        let strict = waited_for || after.is_some();
        let until = Some(self.now + pause.max(after.unwrap_or_default()));
        self.leave_alone(id, Retry { range: hole, attempts, until, strict, error });
    }

    fn leave_alone(&mut self, id: ResourceId, retry: Retry) {
        if let Some(resource) = self.resources.get_mut(&id) {
            resource.map.back_off(retry.range);
            resource.retries.add(retry);
            self.timers.put(Timer::Backoff(id), resource.retries.next());
        }
    }

    /// Tells those who wait for a byte of `hole`; read-ahead leaves it alone for long.
    fn give_up(&mut self, id: ResourceId, hole: ByteRange, error: Error, out: &mut Vec<Action>) {
        self.fail_demands(id, hole, &error, out);
        let attempts = self.tunables.retry.max_attempts;
        let until = Some(Retries::cool_down(self.now));
        self.leave_alone(id, Retry { range: hole, attempts, until, strict: false, error });
    }

    fn fail_demands(
        &mut self,
        id: ResourceId,
        hole: ByteRange,
        error: &Error,
        out: &mut Vec<Action>,
    ) {
        let Some(resource) = self.resources.get(&id) else {
            return;
        };
        let waiting: Vec<ReaderId> = resource
            .cursors
            .demands()
            .filter(|(_, demand)| match demand.urgency {
                Urgency::Blocked => hole.contains(demand.range.start),
                Urgency::Fill => hole.overlaps(demand.range),
            })
            .map(|(reader, _)| reader)
            .collect();
        for reader in waiting {
            self.fail_demand(id, reader, error.clone(), out);
        }
    }

    /// Ends the wait of `reader` with `error`.
    pub(super) fn fail_demand(
        &mut self,
        id: ResourceId,
        reader: ReaderId,
        error: Error,
        out: &mut Vec<Action>,
    ) {
        let cursor = self.resources.get_mut(&id).and_then(|r| r.cursors.one_mut(reader));
        if let Some(demand) = cursor.and_then(|cursor| cursor.demand.take()) {
            self.clear_wait(reader);
            out.push(Action::FailDemand { reader, demand: demand.id, error });
        }
    }

    /// The resource is finished.
    fn finish(&mut self, id: ResourceId, error: &Error, out: &mut Vec<Action>) {
        self.cancel_all(id, out);
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        if resource.fatal.is_some() {
            return;
        }
        resource.fatal = Some(error.clone());
        let readers: Vec<ReaderId> = resource.cursors.all().map(|(reader, _)| reader).collect();
        for reader in readers {
            if let Some(cursor) = resource.cursors.one_mut(reader) {
                cursor.demand = None;
            }
            self.timers.clear(Timer::DemandBudget(reader));
            self.timers.clear(Timer::WaitReview(reader));
        }
        for range in std::mem::take(&mut resource.queued) {
            resource.map.unqueue(range);
        }
        self.timers.clear(Timer::Backoff(id));
        out.push(Action::FailResource { resource: id, error: error.clone() });
    }

    /// A fetch may have ended with the origin asking for patience: then it is asked less often, for nothing twice,
    /// and for no read-ahead until the time it named is over.
    pub(super) fn heed(&mut self, fetch: &Fetch, outcome: &FetchOutcome) {
        let FetchOutcome::Failed(Failure { error, remedy }) = outcome else {
            return;
        };
        let Some(origin) = self.origins.get_mut(&fetch.origin) else {
            return;
        };
        if has_enough(error) {
            origin.slowdown.halve(self.now);
            origin.hedging.quiet(self.now);
        }
        let longest = Micros::from(self.tunables.retry.max_retry_after);
        if let Remedy::Retry { after: Some(after) } = *remedy {
            let until = self.now + after.min(longest);
            let until = origin.paused_until.map_or(until, |before| before.max(until));
            origin.paused_until = Some(until);
            self.timers.set(Timer::OriginPause(fetch.origin), until);
        }
    }

    /// A reader waits for `range`: what cools down there may be tried again at once.
    pub(super) fn pardon(&mut self, id: ResourceId, range: ByteRange, urgency: Urgency) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        let range = match urgency {
            Urgency::Blocked => ByteRange::at(range.start, 1),
            Urgency::Fill => range,
        };
        for pardoned in resource.retries.pardon(range, self.tunables.retry.max_attempts) {
            resource.map.resume(pardoned);
        }
        self.timers.put(Timer::Backoff(id), resource.retries.next());
    }

    /// The budget of a reader's wait may be used up.
    pub(super) fn on_budget(&mut self, reader: ReaderId, out: &mut Vec<Action>) {
        let Some(id) = self.readers.get(&reader).copied() else {
            return;
        };
        let Some(resource) = self.resources.get(&id) else {
            return;
        };
        let Some(demand) = resource.cursors.one(reader).and_then(|cursor| cursor.blocked()) else {
            return;
        };
        let until = demand.budget_from + Micros::from(self.tunables.retry.budget);
        if until > self.now {
            return self.timers.set(Timer::DemandBudget(reader), until);
        }
        let at = demand.range.start;
        let error = match (resource.retries.at(at), resource.map.state_at(at)) {
            (Some(known), _) => Some(&known.error),
            // Another try is on its way; what befell the one before tells more than the clock.
            (None, Some(SegmentState::InFlight(id))) => {
                self.fetches.one(id).and_then(|fetch| fetch.last_error.as_ref())
            }
            (None, _) => None,
        };
        let error = error.cloned().unwrap_or_else(timed_out);
        self.fail_demand(id, reader, error, out);
        self.judge_soon(id);
        self.dirty.insert(id);
    }
}

/// Whether the origin says that it is asked too much.
fn has_enough(error: &Error) -> bool {
    matches!(error, Error::Network(error) if matches!(error.kind, NetworkErrorKind::Status(429 | 503)))
}

/// Whether the connection was lost, or never came about.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Network(error) if error.kind == NetworkErrorKind::Connection)
}

/// The error for a wait that ended without any request having failed; whoever knows the URL puts it in.
fn timed_out() -> Error {
    Error::from(NetworkError {
        url: String::new(),
        stage: Stage::Body,
        kind: NetworkErrorKind::TimedOut,
        excerpt: None,
        retry_after: None,
        attempts: 1,
        source: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::sim::error;

    #[test]
    fn n4_an_origin_has_enough_if_it_says_so_and_a_connection_is_lost_if_it_breaks() {
        let of = |kind| {
            let error = error(kind);
            (has_enough(&error), is_lost(&error))
        };
        assert_eq!(of(NetworkErrorKind::Status(429)), (true, false));
        assert_eq!(of(NetworkErrorKind::Status(503)), (true, false));
        assert_eq!(of(NetworkErrorKind::Status(500)), (false, false));
        assert_eq!(of(NetworkErrorKind::TimedOut), (false, false));
        assert_eq!(of(NetworkErrorKind::Connection), (false, true));
    }
}
