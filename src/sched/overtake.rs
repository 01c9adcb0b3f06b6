//! Overtaking: a new fetch that begins within the range of a running one.
//!
//! The running one ends where the new one begins, unless it gets there first: then it goes on, and the
//! new one was for nothing. So whichever brings the byte keeps the range, and none comes twice. Beside another resource one
//! that left its rear to a faster one does not win it back: that would make a slow flow of it again.

use crate::byte_range::ByteRange;
use crate::ids::FetchId;
use crate::sched::Scheduler;
use crate::sched::event::{Action, Class};
use crate::sched::inflight::Fetch;
use crate::sched::queue::Segment;
use crate::sched::segment_map::SegmentState;

impl Scheduler {
    /// A new fetch begins within the range of a running one: the running one ends there, and what it
    /// would have brought beyond is missing again. One that has nothing left is stopped, unless it is the
    /// `rival`: then the two race for the very next byte.
    pub(super) fn cut_off_others(
        &mut self,
        segment: Segment,
        rival: Option<FetchId>,
        out: &mut Vec<Action>,
    ) {
        let Some(resource) = self.resources.get_mut(&segment.resource) else {
            return;
        };
        let owner = |(_, state)| match state {
            Some(SegmentState::InFlight(id)) => Some(id),
            _ => None,
        };
        let shared = self.origins.get(&resource.origin).is_some_and(|origin| origin.resources > 1);
        let owners: Vec<FetchId> = resource.map.pieces(segment.range).filter_map(owner).collect();
        for id in owners {
            let Some(fetch) = self.fetches.one_mut(id) else {
                continue;
            };
            let cut = fetch.end.min(segment.range.start).max(fetch.low);
            // No read is blocked: it takes over the rear of a slow one.
            let takes_over = segment.class > Class::Blocked && rival.is_none();
            resource.hedges += u64::from(takes_over);
            resource.map.release(ByteRange::new(cut, fetch.end), id);
            fetch.end = cut;
            fetch.relieved |= takes_over && shared;
            if fetch.head >= cut && rival != Some(id) {
                self.cancel(id, out);
                return;
            }
        }
    }

    /// Stops a fetch that has reached the bytes of another one, or has nothing new to bring. One that
    /// gets there before the other one has an answer goes on.
    pub(super) fn stop_at_end(&mut self, id: FetchId, out: &mut Vec<Action>) {
        let Some(fetch) = self.fetches.one(id).filter(|fetch| !fetch.cancelled) else {
            return;
        };
        if fetch.head > fetch.end {
            self.cancel_needless(id, out);
        }
        let Some(fetch) = self.fetches.one(id) else {
            return;
        };
        let useless = fetch.head < fetch.end && self.is_needless(fetch);
        if useless || (fetch.is_past_its_end() && !self.take_back(id, out)) {
            self.cancel(id, out);
        }
    }

    /// Stops the fetches without an answer all of whose bytes `winner` has brought.
    fn cancel_needless(&mut self, winner: FetchId, out: &mut Vec<Action>) {
        let Some(resource) = self.fetches.one(winner).map(|fetch| fetch.resource) else {
            return;
        };
        let needless: Vec<FetchId> = self
            .fetches
            .live(resource)
            .filter(|(id, other)| *id != winner && other.answered.is_none())
            .filter(|(_, other)| self.is_needless(other))
            .map(|(id, _)| id)
            .collect();
        for id in needless {
            self.cancel(id, out);
        }
    }

    /// Whether all that is to come of `fetch` is stored.
    fn is_needless(&self, fetch: &Fetch) -> bool {
        let resource = self.resources.get(&fetch.resource);
        resource.is_some_and(|resource| resource.map.first_uncovered(fetch.rest()).is_none())
    }

    /// Gives a fetch that has come to its end what nobody brings yet of the rest of its body. Returns
    /// whether that is anything.
    fn take_back(&mut self, id: FetchId, out: &mut Vec<Action>) -> bool {
        let Some(fetch) = self.fetches.one(id).filter(|fetch| !fetch.relieved) else {
            return false;
        };
        let (head, resource_id) = (fetch.head, fetch.resource);
        let Some(resource) = self.resources.get_mut(&resource_id) else {
            return false;
        };
        let fetches = &self.fetches;
        let unanswered = |other| fetches.one(other).is_some_and(|other| other.answered.is_none());
        let open = |state| match state {
            None | Some(SegmentState::Queued) => true,
            Some(SegmentState::InFlight(other)) => unanswered(other),
            Some(SegmentState::Covered | SegmentState::BackingOff) => false,
        };
        let rest = ByteRange::new(head, fetch.body_end);
        let Some(run) = resource.map.first_run(rest, open).filter(|run| run.start == head) else {
            return false;
        };
        let overtaken = |(_, state)| match state {
            Some(SegmentState::InFlight(other)) => Some(other),
            _ => None,
        };
        let others: Vec<FetchId> = resource.map.pieces(run).filter_map(overtaken).collect();
        for other in others {
            self.cancel(other, out);
        }
        let found = self.resources.get_mut(&resource_id).zip(self.fetches.one_mut(id));
        if let Some((resource, fetch)) = found {
            resource.map.take(run, id);
            fetch.end = run.end;
        }
        self.dirty.insert(resource_id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::aside::tests::{FILM, HOST, TOLD, film, segment};

    const ID: FetchId = FetchId(7);

    /// A fetch of 2 MiB leaves the second one to read-ahead, and brings a little more than the first. Whether it is stopped, and
    /// where it ends.
    fn left_its_rear(resources: usize) -> (bool, u64) {
        let mut scheduler = film(6_000_000);
        scheduler.origins.get_mut(&HOST).expect("it is known").resources = resources;
        let rear = segment();
        let all = ByteRange::new(rear.range.start - rear.range.len(), rear.range.end);
        let fetch =
            Fetch { resource: FILM, origin: HOST, class: Class::Near, ..Fetch::sent(TOLD, all) };
        scheduler.fetches.insert(ID, fetch);
        scheduler.resources.get_mut(&FILM).expect("it is open").map.take(all, ID);
        let mut out = Vec::new();
        scheduler.cut_off_others(rear, None, &mut out);
        let fetch = scheduler.fetches.one_mut(ID).expect("it runs");
        assert_eq!(fetch.end, rear.range.start);
        fetch.head = rear.range.start + 9;
        scheduler.stop_at_end(ID, &mut out);
        let stopped = out
            .iter()
            .any(|action| matches!(action, Action::CancelFetch { fetch } if *fetch == ID));
        (stopped, scheduler.fetches.one(ID).expect("it has not ended").end)
    }

    #[test]
    fn p1_beside_another_resource_a_slow_fetch_does_not_win_its_rear_back() {
        let rear = segment().range;
        assert_eq!(left_its_rear(2), (true, rear.start));
        assert_eq!(
            left_its_rear(1),
            (false, rear.end),
            "by itself it goes on where it gets there first"
        );
    }
}
