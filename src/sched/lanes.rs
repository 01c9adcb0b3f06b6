//! Lanes: over which connections of an origin a request goes.
//!
//! A connection that was idle for long is warm, but its window is shut: 64 KiB over it take three round trips in
//! place of one. So a blocked read goes over the connection that was busy last, whatever it was busy with;
//! read-ahead goes over the bulk lanes, so that while one of them is busy the other was a moment ago.

use crate::ids::Lane;
use crate::sched::admit::Origin;
use crate::sched::event::Class;
use crate::sched::inflight::Connections;
use crate::time::Micros;

/// Connections that blocked reads have of their own: a seek finds one idle while the other is busy with what
/// the seek before asked for.
pub(super) const DEMAND_CONNECTIONS: usize = 2;

/// How many requests run over each lane of an origin.
pub(super) type Running<'a> = &'a dyn Fn(Lane) -> usize;

impl Origin {
    /// Over which lane a request of `class` goes. While the only connection of the blocked reads' lane is busy,
    /// near read-ahead makes the second one: the next seek finds it warm.
    pub(super) fn lane(
        &mut self,
        class: Class,
        now: Micros,
        running: Running<'_>,
        bulk_lanes: u8,
    ) -> Lane {
        if class <= Class::FirstWindow {
            return self.freshest(now, running).unwrap_or(Lane::Demand);
        }
        let busy = running(Lane::Demand);
        let second = busy > 0 && busy < DEMAND_CONNECTIONS && !self.has_idle(Lane::Demand);
        match class <= Class::Near && second {
            true => Lane::Demand,
            false => self.bulk_lane(running, bulk_lanes),
        }
    }

    /// How much longer read-ahead that is asked for now would take until its body runs at full speed than over a
    /// connection that was busy a moment ago.
    pub(super) fn ramp(&self, now: Micros, running: Running<'_>) -> Micros {
        let link = self.link();
        let bulk = |(_, lane): &(Micros, Lane)| matches!(lane, Lane::Bulk(_));
        match self.idle(running).into_iter().rfind(bulk) {
            Some((since, _)) => link.ramp_after(now.since(since)),
            None => link.cold.since(link.first_byte) + link.ramp(),
        }
    }

    /// A lane for a second request beside one on `lane`: where a connection is idle, the last used.
    pub(super) fn other_lane(&mut self, lane: Lane, running: Running<'_>, bulk_lanes: u8) -> Lane {
        let idle = self.idle(running).into_iter().rfind(|(_, other)| *other != lane);
        if let Some((_, other)) = idle {
            return other;
        }
        match lane {
            Lane::Demand => self.bulk_lane(running, bulk_lanes),
            Lane::Bulk(_) => Lane::Demand,
        }
    }

    /// The lane of who takes all that comes: where the idle connection was busy last, and none of the blocked reads' where
    /// there is none.
    pub(super) fn busy_last(&mut self, running: Running<'_>, bulk_lanes: u8) -> Lane {
        let last = self.idle(running).pop().map(|(_, lane)| lane);
        last.unwrap_or_else(|| self.bulk_lane(running, bulk_lanes))
    }

    /// The lane of a blocked read: where the idle connection was busy last. If its window is shut anyway, one of
    /// its own will do, if there is one.
    fn freshest(&self, now: Micros, running: Running<'_>) -> Option<Lane> {
        let link = self.link();
        let (since, lane) = self.idle(running).pop()?;
        let open = link.ramp_after(now.since(since)) < link.ramp();
        let own = self.has_idle(Lane::Demand) || self.spare.is_ready();
        (open || !own).then_some(lane)
    }

    /// The lanes with an idle connection, the one first that was idle longest. Where one connection carries all
    /// requests of a lane, it is idle when none runs.
    fn idle(&self, running: Running<'_>) -> Vec<(Micros, Lane)> {
        let free = |lane: Lane, one: &Connections| !one.is_multiplexed() || running(lane) == 0;
        let lanes = self.lanes.iter().filter(|(lane, one)| free(**lane, one));
        let mut idle: Vec<_> =
            lanes.filter_map(|(lane, one)| Some((one.idle_since()?, *lane))).collect();
        idle.sort_unstable();
        idle
    }

    /// Since when no connection was busy that can be used again: of several the last.
    pub(super) fn rested_since(&self, running: Running<'_>) -> Option<Micros> {
        self.idle(running).pop().map(|(since, _)| since)
    }

    /// The bulk lanes take turns: first those over which nothing runs, and of these the ones with a connection.
    fn bulk_lane(&mut self, running: Running<'_>, bulk_lanes: u8) -> Lane {
        let place = |n: u8| (n, Lane::Bulk(self.next_bulk.wrapping_add(n) % bulk_lanes));
        let last = |(n, lane): &(u8, Lane)| (running(*lane) > 0, !self.has_idle(*lane), *n);
        let (turn, lane) = (0..bulk_lanes).map(place).min_by_key(last).unwrap_or(place(0));
        self.next_bulk = self.next_bulk.wrapping_add(turn + 1) % bulk_lanes;
        lane
    }

    /// Whether a request over `lane` would probably find a connection whose window is open.
    pub(super) fn is_open(&self, lane: Lane, now: Micros) -> bool {
        let since = self.lanes.get(&lane).and_then(Connections::idle_since);
        since.is_some_and(|since| self.link().ramp_after(now.since(since)) == Micros(0))
    }

    /// Whether a request over `lane` would probably find a connection.
    pub(super) fn has_idle(&self, lane: Lane) -> bool {
        self.lanes.get(&lane).is_some_and(|connections| connections.has_idle())
    }
}

#[cfg(test)]
mod tests;
