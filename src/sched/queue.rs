//! The queue of wanted segments of one origin, and the one door through which a fetch starts.
//!
//! [`Popped`] cannot be made anywhere but in [`Queue::pop`], and `Action::StartFetch` is built
//! nowhere but from a `Popped`: so no fetch starts that was not queued and popped.

use std::collections::BTreeSet;

use priority_queue::PriorityQueue;

use crate::byte_range::ByteRange;
use crate::ids::{FetchId, Lane, ReaderId, ResourceId};
use crate::sched::event::{Action, Class};
use crate::sched::priority::Priority;
use crate::time::Micros;

/// A piece of a resource that somebody wants: one request, if it comes to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Segment {
    /// Which resource.
    pub(crate) resource: ResourceId,
    /// The bytes; never empty.
    pub(crate) range: ByteRange,
    /// What for.
    pub(crate) class: Class,
    /// When the first byte is needed.
    pub(crate) deadline: Micros,
    /// Whose stream goes on with it, if one does.
    pub(crate) reader: Option<ReaderId>,
}

impl Segment {
    /// Whether it is where the drag of its reader will be.
    pub(crate) fn is_foretold(&self) -> bool {
        self.class == Class::Hint && self.reader.is_some()
    }
}

/// The wanted segments of one origin, the most urgent first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    segments: PriorityQueue<Segment, Priority>,
    arrivals: u64,
    popped: u64,
}

impl Queue {
    /// Replaces all segments of `resource`. One that was queued before with the same range, class
    /// and reader keeps its place among equals.
    pub(crate) fn replace(&mut self, resource: ResourceId, wanted: &[Segment]) {
        let old: Vec<(Segment, Priority)> = self
            .segments
            .iter()
            .filter(|(segment, _)| segment.resource == resource)
            .map(|(segment, priority)| (*segment, *priority))
            .collect();
        for (segment, _) in &old {
            self.segments.remove(segment);
        }
        for segment in wanted {
            let same = |(was, _): &&(Segment, Priority)| {
                (was.range, was.class, was.reader) == (segment.range, segment.class, segment.reader)
            };
            let arrival = match old.iter().find(same) {
                Some((_, priority)) => priority.arrival(),
                None => self.next_arrival(),
            };
            let place =
                Priority::new(segment.class, segment.deadline, segment.range.start, arrival);
            self.segments.push(*segment, place);
        }
    }

    /// The most urgent segment of all resources but those in `beside`.
    pub(crate) fn peek(&self, beside: &BTreeSet<ResourceId>) -> Option<Segment> {
        if beside.is_empty() {
            return self.segments.peek().map(|(segment, _)| *segment);
        }
        // The order is total, so whatever order they are looked at in, one is the greatest.
        let others = self.segments.iter().filter(|(s, _)| !beside.contains(&s.resource));
        others.max_by_key(|(_, priority)| **priority).map(|(segment, _)| *segment)
    }

    /// Takes out what [`peek`](Self::peek) shows.
    pub(crate) fn pop(&mut self, beside: &BTreeSet<ResourceId>) -> Option<Popped> {
        let segment = self.peek(beside)?;
        self.segments.remove(&segment)?;
        self.popped += 1;
        Some(Popped { segment })
    }

    /// The segments of `resource`, in no order that means anything.
    pub(crate) fn of(&self, resource: ResourceId) -> impl Iterator<Item = Segment> + '_ {
        self.segments.iter().map(|(segment, _)| *segment).filter(move |s| s.resource == resource)
    }

    /// How many segments were ever popped.
    pub(crate) fn popped(&self) -> u64 {
        self.popped
    }

    fn next_arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }
}

/// The proof that a segment was queued and its turn has come.
#[derive(Debug)]
pub(crate) struct Popped {
    segment: Segment,
}

impl Popped {
    /// What was popped.
    pub(crate) fn segment(&self) -> Segment {
        self.segment
    }

    /// The request for it. Consumes the proof: one pop, one request.
    pub(crate) fn into_start(self, fetch: FetchId, lane: Lane, attempt: u32) -> Action {
        let Segment { resource, range, class, .. } = self.segment;
        debug_assert!(!range.is_empty(), "an empty segment was queued");
        Action::StartFetch { fetch, resource, range, lane, class, attempt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: ResourceId = ResourceId(1);
    const NONE: &BTreeSet<ResourceId> = &BTreeSet::new();

    fn segment(resource: ResourceId, start: u64, class: Class) -> Segment {
        let range = ByteRange::at(start, 10);
        Segment { resource, range, class, deadline: Micros(0), reader: None }
    }

    fn starts(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop(NONE)).map(|popped| popped.segment().range.start).collect()
    }

    #[test]
    fn p1_the_most_urgent_segment_of_all_resources_is_popped_first() {
        let mut queue = Queue::default();
        queue.replace(MINE, &[segment(MINE, 30, Class::Far), segment(MINE, 20, Class::Near)]);
        let other = ResourceId(2);
        queue.replace(other, &[segment(other, 50, Class::Blocked)]);
        assert_eq!(queue.peek(NONE).map(|segment| segment.range.start), Some(50));
        assert_eq!(starts(&mut queue), [50, 20, 30]);
        assert_eq!(queue.popped(), 3);
    }

    #[test]
    fn p1_beside_a_resource_the_most_urgent_segment_of_the_others_is_popped() {
        let mut queue = Queue::default();
        let others = [ResourceId(2), ResourceId(3)];
        queue.replace(MINE, &[segment(MINE, 10, Class::Hint), segment(MINE, 20, Class::Near)]);
        queue.replace(others[0], &[segment(others[0], 30, Class::Far)]);
        queue.replace(others[1], &[segment(others[1], 40, Class::Near)]);
        let beside = BTreeSet::from([MINE]);
        let mut next = || {
            let shown = queue.peek(&beside);
            assert_eq!(queue.pop(&beside).map(|popped| popped.segment()), shown);
            shown.map(|segment| segment.range.start)
        };
        assert_eq!([next(), next(), next()], [Some(40), Some(30), None]);
        assert_eq!(queue.popped(), 2);
        assert_eq!(starts(&mut queue), [10, 20]);
    }

    #[test]
    fn replacing_leaves_other_resources_alone() {
        let mut queue = Queue::default();
        let other = ResourceId(2);
        queue.replace(MINE, &[segment(MINE, 1, Class::Far)]);
        queue.replace(other, &[segment(other, 2, Class::Far)]);
        queue.replace(MINE, &[]);
        assert_eq!(queue.of(MINE).count(), 0);
        assert_eq!(queue.of(other).count(), 1);
    }

    #[test]
    fn p1_a_segment_that_is_queued_again_keeps_its_place_among_equals() {
        let mut queue = Queue::default();
        let (first, second) = (ResourceId(2), ResourceId(1));
        for resource in [first, second, first] {
            queue.replace(resource, &[segment(resource, 7, Class::Hint)]);
        }
        assert_eq!(queue.peek(NONE).map(|segment| segment.resource), Some(first));
        let changed = segment(first, 7, Class::Far);
        queue.replace(first, &[changed]);
        queue.replace(first, &[segment(first, 7, Class::Hint)]);
        assert_eq!(queue.peek(NONE).map(|segment| segment.resource), Some(second));
    }

    #[test]
    fn p2_a_popped_segment_becomes_its_request() {
        let mut queue = Queue::default();
        queue.replace(MINE, &[segment(MINE, 5, Class::Hint)]);
        let popped = queue.pop(NONE).expect("one was queued");
        let action = popped.into_start(FetchId(9), Lane::Bulk(3), 2);
        let Action::StartFetch { fetch, resource, range, lane, class, attempt } = action else {
            panic!("{action:?}");
        };
        assert_eq!((fetch, resource, range), (FetchId(9), MINE, ByteRange::new(5, 15)));
        assert_eq!((lane, class, attempt), (Lane::Bulk(3), Class::Hint, 2));
        assert!(queue.pop(NONE).is_none());
    }
}
