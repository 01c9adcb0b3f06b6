//! The scheduler: decides what is fetched, when, and over which lane.
//!
//! One event in, actions out, all in one call. Pure: no clock, no threads, no locks, no I/O, no payload
//! bytes; equal inputs give equal schedules. This file dispatches; the rooms beside it know how.
//!
//! | file | knows |
//! |---|---|
//! | `event` | what the driver says and hears |
//! | `on_reader`, `on_fetch`, `on_resource`, `on_tick` | what each event changes |
//! | `plan`, `size` | which ranges are wanted now; the only place that invents ranges |
//! | `whole` | the same for a server without ranges |
//! | `brought` | what another engine stores meanwhile |
//! | `confine` | what is not wanted while little can be kept |
//! | `bound`, `shed` | what of a resource goes that is larger than its room |
//! | `queue`, `priority` | in which order; the only door to `StartFetch` |
//! | `admit` | what may start now |
//! | `crowd` | how much a blocked read gets at once where more of them wait than are served |
//! | `aside` | which read-ahead can wait while others need the link |
//! | `precedence` | which waits for who has read on for longer |
//! | `pace` | which read-ahead comes with rests, so that a seek finds the link free |
//! | `spare` | which connections are made before they are needed |
//! | `lanes` | over which connections |
//! | `budget` | how often speculation may ask |
//! | `judge` | wait or open; finish or cancel |
//! | `scrub`, `forecast` | whether the user scrubs, where a drag goes, and what of it is fetched before |
//! | `hedge` | which fetch is late, and whether another one is sent beside it |
//! | `overtake` | whose the bytes are when a new fetch begins within a running one |
//! | `failure`, `retry` | what failed, and when to try again |
//! | `window`, `share` | how far each reader reads ahead, and what it gets of the budget of all |
//! | `dry` | which reader has run dry over a long way |
//! | `random` | which reader jumps about and reads little anywhere |
//! | `segment_map`, `inflight`, `cursors`, `runs`, `estimator`, `timer` | the state behind it |
//! | `check`, `view` | whether the state is sound; what of it is shown |

mod admit;
mod aside;
mod bound;
mod brought;
mod budget;
mod check;
mod confine;
mod crowd;
mod cursors;
mod dry;
mod estimator;
mod event;
mod failure;
mod flows;
mod forecast;
mod hedge;
mod inflight;
mod judge;
mod lanes;
mod on_fetch;
mod on_reader;
mod on_resource;
mod on_tick;
mod overtake;
mod pace;
mod plan;
mod precedence;
mod priority;
mod queue;
mod random;
mod resource;
mod retry;
mod runs;
mod scrub;
mod segment_map;
mod share;
mod shed;
#[cfg(any(test, feature = "sim"))]
#[cfg_attr(not(test), expect(dead_code, reason = "the bench needs less of it than the tests"))]
pub(crate) mod sim;
mod size;
mod spare;
#[cfg(test)]
mod tests;
mod timer;
mod view;
mod whole;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Tunables;
use crate::ids::{HintId, OriginId, ReaderId, ResourceId};
use crate::time::Micros;

pub(crate) use event::{
    Action, BodyShape, Class, Confined, Estimate, Event, Failure, FetchOutcome, Remedy,
    ResourceView, TimeoutReason, Urgency,
};

use admit::Origin;
use bound::Stored;
use inflight::Inflight;
use plan::Outlook;
use resource::Resource;
use retry::Rng;
use timer::Timers;

/// Decides for all resources of one engine.
#[derive(Debug)]
pub(crate) struct Scheduler {
    tunables: Tunables,
    bulk_lanes: u8,
    rng: Rng,
    // Boxed: the nodes of a map are half empty.
    resources: BTreeMap<ResourceId, Box<Resource>>,
    origins: BTreeMap<OriginId, Origin>,
    readers: BTreeMap<ReaderId, ResourceId>,
    hints: BTreeMap<HintId, ResourceId>,
    fetches: Inflight,
    stored: Stored,
    timers: Timers,
    /// Resources whose plan is out of date.
    dirty: BTreeSet<ResourceId>,
    /// Those of which something changed since that was last asked.
    changed: BTreeSet<ResourceId>,
    now: Micros,
    /// Until when silence says nothing about the network.
    starved_until: Micros,
    /// Spare connections asked for so far.
    spares: u64,
    handled: u64,
}

impl Scheduler {
    /// A scheduler that knows nothing yet. `bulk_lanes` is at least 1; `seed` decides the jitter.
    pub(crate) fn new(tunables: Tunables, bulk_lanes: u8, seed: u64) -> Self {
        Self {
            tunables,
            bulk_lanes: bulk_lanes.max(1),
            rng: Rng::new(seed),
            resources: BTreeMap::new(),
            origins: BTreeMap::new(),
            readers: BTreeMap::new(),
            hints: BTreeMap::new(),
            fetches: Inflight::default(),
            stored: Stored::default(),
            timers: Timers::default(),
            dirty: BTreeSet::new(),
            changed: BTreeSet::new(),
            now: Micros(0),
            starved_until: Micros(0),
            spares: 0,
            handled: 0,
        }
    }

    /// Takes one event and appends to `out` what the driver must now do, in order.
    ///
    /// `now` does not go back between calls. Afterwards ask `next_timeout` when to send `Tick`.
    pub(crate) fn handle(&mut self, now: Micros, event: Event, out: &mut Vec<Action>) {
        self.now = self.now.max(now);
        self.notice_starvation();
        self.react(event, out);
        self.settle(out);
        self.handled += 1;
        self.check_sometimes();
    }

    /// When the next timer is due, and what it is for.
    pub(crate) fn next_timeout(&self) -> Option<(Micros, TimeoutReason)> {
        self.timers.next()
    }

    /// The resources that were planned anew since this was last called: what `view` shows of no other has changed by anything
    /// but time and its own bytes.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<ResourceId> {
        std::mem::take(&mut self.changed)
    }

    fn react(&mut self, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::ResourceOpened { resource, origin, len, covered, online } => {
                self.on_resource_opened(resource, origin, len, &covered, online, out);
            }
            Event::ResourceClosed { resource } => self.on_resource_closed(resource, out),
            Event::LenKnown { resource, len } => self.on_len_known(resource, len, out),
            Event::GenerationChanged { resource, len } => {
                self.on_generation_changed(resource, len, out);
            }
            Event::Shrunk { resource, range } => self.on_shrunk(resource, range),
            Event::Brought { resource, range } => self.on_brought(resource, range, out),
            Event::Confined { resource, to } => self.on_confined(resource, to, out),
            Event::Bounded { resource, to } => self.on_bounded(resource, to),
            Event::Shed { resource } => self.on_shed(resource),
            Event::ReaderOpened { resource, reader, position } => {
                self.on_reader_opened(resource, reader, position);
            }
            Event::ReaderClosed { reader } => self.on_reader_closed(reader),
            Event::Demand { reader, demand, range, urgency } => {
                self.on_demand(reader, demand, range, urgency, out);
            }
            Event::DemandWithdrawn { reader, demand } => self.on_demand_withdrawn(reader, demand),
            Event::Moved { reader, position } => self.on_moved(reader, position, out),
            Event::Hinted { resource, hint, range, deadline } => {
                self.on_hinted(resource, hint, range, deadline);
            }
            Event::HintWithdrawn { hint } => self.on_hint_withdrawn(hint),
            Event::RateDeclared { resource, bytes_per_second } => {
                self.on_rate_declared(resource, bytes_per_second);
            }
            Event::PlayingChanged { resource, playing } => self.on_playing(resource, playing),
            Event::FetchStarted { fetch, shape, connection, multiplexed } => {
                self.on_fetch_started(fetch, shape, connection, multiplexed, out);
            }
            Event::Written { fetch, range } => self.on_written(fetch, range, out),
            Event::FetchEnded { fetch, outcome } => self.on_fetch_ended(fetch, outcome, out),
            Event::SpareReady { spare } => self.on_spare_ready(spare),
            Event::SpareGone { spare } => self.on_spare_gone(spare),
            Event::Tuned { tunables } => self.on_tuned(*tunables),
            Event::Tick => self.on_tick(out),
        }
    }

    /// Plans what is out of date and starts what may start, until nothing changes any more.
    fn settle(&mut self, out: &mut Vec<Action>) {
        // What is stored changes with an event, not with a plan.
        for id in self.dirty.clone() {
            self.count_bound(id);
        }
        loop {
            while let Some(id) = self.dirty.pop_first() {
                self.changed.insert(id);
                self.replan(id, out);
            }
            if !self.admit_one(out) {
                break;
            }
        }
        self.keep_spares(out);
    }

    /// What a decision about `resource` reckons with.
    fn outlook<'a>(
        resource: &Resource,
        now: Micros,
        tunables: &'a Tunables,
        origins: &'a BTreeMap<OriginId, Origin>,
        fetches: &'a Inflight,
    ) -> Outlook<'a> {
        let origin = origins.get(&resource.origin);
        let link = origin.map_or_else(|| Origin::default().link(), Origin::link);
        let open = origin.map_or(link.cold, Origin::open_cost);
        let running = |lane| fetches.over(resource.origin, lane);
        let ramp = origin.map_or(link.ramp(), |origin| origin.ramp(now, &running));
        let alone = origin.is_none_or(|origin| origin.resources <= 1);
        let carried = origin.map(|origin| &origin.flows);
        Outlook { now, tunables, link, open, ramp, alone, carried, fetches }
    }
}
