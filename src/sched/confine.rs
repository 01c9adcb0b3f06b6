//! A resource of which little can be kept: its disk refuses, and what comes is held in memory for a while.
//!
//! Reads are served as always, and read-ahead goes a short way. What fetches for its own sake would push out what readers
//! are about to read: hints and fills rest, and whoever waits for a whole range is told why it will not come.

use crate::config::Tunables;
use crate::error::Error;
use crate::ids::{FetchId, ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::event::{Action, Confined};
use crate::sched::resource::Resource;

impl Scheduler {
    /// Little can be kept from now on, or all again.
    pub(super) fn on_confined(
        &mut self,
        id: ResourceId,
        to: Option<Confined>,
        out: &mut Vec<Action>,
    ) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        self.dirty.insert(id);
        resource.confined = to;
        let Some(error) = resource.confined.as_ref().map(|confined| confined.error.clone()) else {
            return;
        };
        let fills: Vec<ReaderId> = resource
            .cursors
            .all()
            .filter(|(_, cursor)| cursor.fill().is_some())
            .map(|(reader, _)| reader)
            .collect();
        for reader in fills {
            self.fail_demand(id, reader, error.clone(), out);
        }
        self.stop_ahead(id, out);
    }

    /// Stops what runs and no read waits for: it was ordered when there was room for it. A whole body is paused where
    /// it gets too far ahead.
    fn stop_ahead(&mut self, id: ResourceId, out: &mut Vec<Action>) {
        let Some(resource) = self.resources.get(&id) else {
            return;
        };
        let ahead: Vec<FetchId> = self
            .fetches
            .live(id)
            .filter(|(_, fetch)| !fetch.whole && !resource.is_waited_for(fetch.rest()))
            .map(|(fetch, _)| fetch)
            .collect();
        for fetch in ahead {
            self.cancel(fetch, out);
        }
    }
}

impl Resource {
    /// The knobs for this resource, where they are not everybody's.
    pub(super) fn own_knobs(&self, tunables: &Tunables) -> Option<Tunables> {
        let confined = self.confined.as_ref().map(|confined| (confined.window, confined.window));
        let (window, request) = match (confined, self.bounded_knobs()) {
            (Some((a, b)), Some((c, d))) => (a.min(c), b.min(d)),
            (one, other) => one.or(other)?,
        };
        let mut own = tunables.clone();
        let most = |figure: &mut u64, most: u64| *figure = (*figure).min(most);
        let ahead = &mut own.readahead;
        most(&mut ahead.initial_window, window);
        most(&mut ahead.min_window, window);
        most(&mut ahead.max_window, window);
        ahead.whole_file = 0;
        let fetch = &mut own.fetch;
        most(&mut fetch.demand_min, request);
        most(&mut fetch.demand_max, request);
        most(&mut fetch.segment_max, request);
        Some(own)
    }

    /// The same figures, whoever they are.
    pub(super) fn max_window(&self, tunables: &Tunables) -> u64 {
        let confined = self.confined.as_ref().map_or(u64::MAX, |confined| confined.window);
        let bounded = self.bounded_knobs().map_or(u64::MAX, |(window, _)| window);
        tunables.readahead.max_window.min(confined).min(bounded)
    }

    /// Why nobody may wait for a whole range, if that is so.
    pub(super) fn no_fill(&self) -> Option<Error> {
        self.confined.as_ref().map(|confined| confined.error.clone())
    }
}
