//! Turns: where more resources of one origin wait than it may serve at once, each gets a little, and then the next one does.
//!
//! Else a request would be given up for the next blocked read as soon as its first bytes are there: nothing but first bytes
//! would come, each over a connection of its own, and most of the link would be empty. All turns are equal, and who waits
//! longest goes first: so the link is shared evenly, in bytes.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{OriginId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::event::Class;
use crate::sched::inflight::Fetch;
use crate::sched::queue::Segment;
use crate::sched::resource::Transfer;
use crate::time::Micros;

/// Who was served less than that ago still counts: it soon waits again.
const LATELY: Micros = Micros::from_millis(3000);
/// All turns that run at once are so many round trips' worth together: while one waits for its first byte, the others fill the
/// link. None is smaller than the largest first request of a seek: the window of a connection that brings less at a time stays
/// small after a loss.
const ROUND_TRIPS: f64 = 4.0;

/// The resources of an origin for which a blocked read was served lately.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    served: BTreeMap<ResourceId, Micros>,
    /// The same by time, with what was served again since.
    times: VecDeque<(Micros, ResourceId)>,
}

impl Crowd {
    /// A blocked read of `resource` is served.
    fn serve(&mut self, resource: ResourceId, now: Micros) {
        self.served.insert(resource, now);
        self.times.push_back((now, resource));
        while let Some(&(at, resource)) = self.times.front()
            && now.since(at) > LATELY
        {
            self.times.pop_front();
            if self.served.get(&resource) == Some(&at) {
                self.served.remove(&resource);
            }
        }
    }
}

impl Scheduler {
    /// The most that a request for a blocked read may ask for now, in bytes, if it has to leave the rest to others.
    pub(super) fn turn_of(&mut self, origin: OriginId, segment: Segment) -> Option<u64> {
        let (now, resource) = (self.now, segment.resource);
        if segment.class != Class::Blocked
            || self.resources.get(&resource)?.transfer == Transfer::Whole
        {
            return None;
        }
        let its = self.origins.get_mut(&origin)?;
        its.crowd.serve(resource, now);
        let slots = self.tunables.fetch.max_fetches;
        let is_crowd = its.crowd.served.len() > slots as usize;
        let worth = ROUND_TRIPS * its.link().bytes_per_round_trip() / f64::from(slots);
        let fetch = &self.tunables.fetch;
        is_crowd.then(|| (worth as u64).clamp(fetch.demand_max, fetch.segment_max))
    }

    /// Whether `fetch` is left to its resource although others wait. One that brings nothing has had its turn.
    pub(super) fn is_its_turn(&self, fetch: &Fetch) -> bool {
        fetch.in_turn && self.now.since(fetch.last) < LATELY
    }
}
