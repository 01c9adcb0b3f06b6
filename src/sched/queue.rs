//! The queue of wanted segments of one origin, and the one door through which a fetch starts.
//!
//! [`Popped`] cannot be made anywhere but in [`Queue::pop`], and `Action::StartFetch` is built
//! nowhere but from a `Popped`: so no fetch starts that was not queued and popped.

use std::collections::BTreeMap;

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

/// The wanted segments of one origin, the most urgent first: a queue of resources by what is the most urgent of each, and a
/// queue of segments for each resource. So neither a plan nor a turn looks at what other resources want.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Every resource that wants something and does not stand back, at the place of its most urgent segment.
    turns: PriorityQueue<ResourceId, Priority>,
    /// What each wants; nobody is here who wants nothing.
    of: BTreeMap<ResourceId, PriorityQueue<Segment, Priority>>,
    /// Those that stand back.
    back: Vec<ResourceId>,
    arrivals: u64,
    popped: u64,
}

impl Queue {
    /// Replaces all segments of `resource`. One that was queued before with the same range, class
    /// and reader keeps its place among equals.
    pub(crate) fn replace(&mut self, resource: ResourceId, wanted: &[Segment]) {
        let old = self.of.remove(&resource).unwrap_or_default();
        if wanted.is_empty() {
            self.turns.remove(&resource);
            return;
        }
        let what = |segment: &Segment| (segment.range, segment.class, segment.reader);
        let old: BTreeMap<_, u64> =
            old.iter().map(|(was, place)| (what(was), place.arrival())).collect();
        let mut now = PriorityQueue::with_capacity(wanted.len());
        for segment in wanted {
            let kept = old.get(&what(segment)).copied();
            let arrival = kept.unwrap_or_else(|| self.next_arrival());
            let Segment { class, deadline, range, .. } = *segment;
            now.push(*segment, Priority::new(class, deadline, range.start, arrival));
        }
        self.of.insert(resource, now);
        self.line_up(resource);
    }

    /// Gives `resource` the place of its most urgent segment.
    fn line_up(&mut self, resource: ResourceId) {
        let first = self.of.get(&resource).and_then(PriorityQueue::peek);
        match first.map(|(_, place)| *place) {
            Some(place) => {
                self.turns.push(resource, place);
            }
            None => {
                self.turns.remove(&resource);
                self.of.remove(&resource);
            }
        }
    }

    /// The most urgent segment of all resources but those that stand back.
    pub(crate) fn peek(&self) -> Option<Segment> {
        let (resource, _) = self.turns.peek()?;
        self.of.get(resource)?.peek().map(|(segment, _)| *segment)
    }

    /// Takes out what [`peek`](Self::peek) shows.
    pub(crate) fn pop(&mut self) -> Option<Popped> {
        let (&resource, _) = self.turns.peek()?;
        let (segment, _) = self.of.get_mut(&resource)?.pop()?;
        self.line_up(resource);
        self.popped += 1;
        Some(Popped { segment })
    }

    /// Has the resource whose segment [`peek`](Self::peek) shows stand back until
    /// [`return_all`](Self::return_all).
    pub(crate) fn stand_back(&mut self) {
        self.back.extend(self.turns.pop().map(|(resource, _)| resource));
    }

    /// Nobody stands back any more.
    pub(crate) fn return_all(&mut self) {
        for resource in std::mem::take(&mut self.back) {
            self.line_up(resource);
        }
    }

    /// The segments of `resource`, in no order that means anything.
    pub(crate) fn of(&self, resource: ResourceId) -> impl Iterator<Item = Segment> + '_ {
        let its = self.of.get(&resource).into_iter();
        its.flat_map(|its| its.iter().map(|(segment, _)| *segment))
    }

    /// The resources that have segments here.
    pub(crate) fn resources(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.of.keys().copied()
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

    /// No more of it than `most` bytes.
    pub(crate) fn cut(&mut self, most: u64) {
        self.segment.range =
            self.segment.range.until(self.segment.range.start.saturating_add(most));
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

    fn segment(resource: ResourceId, start: u64, class: Class) -> Segment {
        let range = ByteRange::at(start, 10);
        Segment { resource, range, class, deadline: Micros(0), reader: None }
    }

    fn starts(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|popped| popped.segment().range.start).collect()
    }

    #[test]
    fn p1_the_most_urgent_segment_of_all_resources_is_popped_first() {
        let mut queue = Queue::default();
        queue.replace(MINE, &[segment(MINE, 30, Class::Far), segment(MINE, 20, Class::Near)]);
        let other = ResourceId(2);
        queue.replace(other, &[segment(other, 50, Class::Blocked)]);
        assert_eq!(queue.peek().map(|segment| segment.range.start), Some(50));
        assert_eq!(starts(&mut queue), [50, 20, 30]);
        assert_eq!(queue.popped(), 3);
    }

    #[test]
    fn p1_while_a_resource_stands_back_the_most_urgent_segment_of_the_others_is_popped() {
        let mut queue = Queue::default();
        let others = [ResourceId(2), ResourceId(3)];
        queue.replace(MINE, &[segment(MINE, 10, Class::Hint), segment(MINE, 20, Class::Near)]);
        queue.replace(others[0], &[segment(others[0], 30, Class::Far)]);
        queue.replace(others[1], &[segment(others[1], 40, Class::Near)]);
        assert_eq!(queue.peek().map(|segment| segment.resource), Some(MINE));
        queue.stand_back();
        let mut next = || {
            let shown = queue.peek();
            assert_eq!(queue.pop().map(|popped| popped.segment()), shown);
            shown.map(|segment| segment.range.start)
        };
        assert_eq!([next(), next(), next()], [Some(40), Some(30), None]);
        assert_eq!(queue.popped(), 2);
        queue.return_all();
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
        assert_eq!(queue.peek().map(|segment| segment.resource), Some(first));
        let changed = segment(first, 7, Class::Far);
        queue.replace(first, &[changed]);
        queue.replace(first, &[segment(first, 7, Class::Hint)]);
        assert_eq!(queue.peek().map(|segment| segment.resource), Some(second));
    }

    #[test]
    fn p2_a_popped_segment_becomes_its_request() {
        let mut queue = Queue::default();
        queue.replace(MINE, &[segment(MINE, 5, Class::Hint)]);
        let popped = queue.pop().expect("one was queued");
        let action = popped.into_start(FetchId(9), Lane::Bulk(3), 2);
        let Action::StartFetch { fetch, resource, range, lane, class, attempt } = action else {
            panic!("{action:?}");
        };
        assert_eq!((fetch, resource, range), (FetchId(9), MINE, ByteRange::new(5, 15)));
        assert_eq!((lane, class, attempt), (Lane::Bulk(3), Class::Hint, 2));
        assert!(queue.pop().is_none());
    }
}
