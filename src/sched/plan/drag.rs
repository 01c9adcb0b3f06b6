//! What a drag adds to the plan, and what it holds back.

use std::collections::BTreeMap;

use super::Planner;
use crate::byte_range::ByteRange;
use crate::ids::{FetchId, ReaderId};
use crate::sched::event::Class;
use crate::sched::scrub::spots::{FLYING, Spot};
use crate::sched::segment_map::SegmentState;
use crate::time::Micros;

/// Fewer bytes at the edge of a spot are not worth a request.
const CRUMB: u64 = 16 << 10;
/// So many round trips' worth of bytes are in flight at most, spots included: more would stand in the queue
/// before what a seek waits for, or overflow it.
const IN_FLIGHT: f64 = 1.5;
/// Places of one scrubbing reader that have been asked for and have no byte yet, at most.
const ASKED: usize = 2;

impl Planner<'_> {
    /// Where drags will be.
    pub(super) fn foretold(&mut self) {
        if !self.outlook.tunables.readahead.enabled {
            return;
        }
        let cursors = self.resource.cursors.all().filter(|(_, cursor)| cursor.scrub.is_on());
        let spots: Vec<(ReaderId, Spot)> = cursors
            .flat_map(|(id, cursor)| cursor.scrub.spots.wanted().map(move |spot| (id, spot)))
            .collect();
        let flying = spots.iter().filter(|(_, spot)| self.is_flying(spot.range)).count();
        let live = self.outlook.fetches.live(self.resource.id);
        let mut bytes: u64 = live.map(|(_, fetch)| fetch.rest().len()).sum();
        let most = (self.outlook.link.bytes_per_round_trip() * IN_FLIGHT) as u64;
        let mut room = FLYING.saturating_sub(flying);
        for (reader, spot) in spots {
            let range = spot.range.until(self.resource.map.end());
            let Some(gap) = self.resource.map.first_missing(range) else {
                continue;
            };
            let fits = room > 0 && (bytes == 0 || bytes + gap.len() <= most);
            let late = spot.is_late(self.outlook.now, &self.outlook.link);
            if fits && !late && gap.len() >= CRUMB {
                (room, bytes) = (room - 1, bytes + gap.len());
                self.want(gap, Class::Hint, spot.due, Some(reader));
            }
        }
    }

    fn is_flying(&self, range: ByteRange) -> bool {
        let in_flight = |(_, state)| matches!(state, Some(SegmentState::InFlight(_)));
        self.resource.map.pieces(range).any(in_flight)
    }

    /// Whether so many places of a scrubbing `reader` are asked for already that the one at `at` has to
    /// wait until one of them has its first byte, or is long overdue.
    pub(super) fn is_asked_enough(&mut self, reader: ReaderId, at: u64) -> bool {
        let Some(cursor) = self.resource.cursors.one(reader).filter(|c| c.scrub.is_on()) else {
            return false;
        };
        if cursor.stream.as_ref().is_some_and(|stream| stream.confirmed) {
            return false;
        }
        let now = self.outlook.now;
        let pending = |asked| match self.resource.map.state_at(asked) {
            Some(SegmentState::InFlight(id)) => {
                let fetch = self.outlook.fetches.one(id)?;
                let pending = !fetch.cancelled && fetch.is_about_to_begin(now);
                pending.then(|| (id, fetch.overdue_at()))
            }
            _ => None,
        };
        let elsewhere = cursor.scrub.asked().filter(|asked| *asked != at);
        let pending: BTreeMap<FetchId, Micros> = elsewhere.filter_map(pending).collect();
        let Some(again) = pending.values().min().filter(|_| pending.len() >= ASKED) else {
            return false;
        };
        self.plan.reviews.push((reader, *again));
        true
    }
}
