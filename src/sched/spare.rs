//! Spare connections: made before a blocked read needs one.
//!
//! A request that finds no idle connection waits for the handshakes of a new one: a round trip, with TLS two or
//! three. So while every connection of the demand lane is busy, one more is made beside them, and the next
//! seek finds it open. Nothing is asked for over it until then. One that nobody takes is closed after a while by
//! whoever made it.
//!
//! Not for an origin that answers over one shared connection (HTTP/2), that does no ranges, or that has had
//! enough of us.

use crate::ids::{Lane, OriginId, ResourceId, SpareId};
use crate::sched::Scheduler;
use crate::sched::admit::Origin;
use crate::sched::budget::Bucket;
use crate::sched::event::Action;
use crate::sched::lanes::DEMAND_CONNECTIONS;
use crate::sched::resource::Transfer;
use crate::time::Micros;

/// After one that never came about, none is made for so long.
const QUIET: Micros = Micros::from_millis(1000);
/// So many at once, and afterwards so many per second: a fast drag over a long link uses up one with every seek.
const PER_SECOND: f64 = 2.0;

/// What one origin has by way of a spare connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spare {
    /// Its name, and whether it is open.
    held: Option<(SpareId, bool)>,
    made: Bucket,
    quiet_until: Micros,
}

impl Spare {
    /// Whether one is open.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.held, Some((_, true)))
    }

    /// One is open, whoever made it.
    #[cfg(test)]
    pub(crate) fn made_ready(&mut self) {
        self.held = Some((SpareId(0), true));
    }

    /// A request took it, open or still being made.
    pub(crate) fn take(&mut self) {
        self.held = None;
    }

    fn ready(&mut self, id: SpareId) {
        if let Some((held, open)) = &mut self.held
            && *held == id
        {
            *open = true;
        }
    }

    fn gone(&mut self, id: SpareId, now: Micros) {
        match self.held {
            Some((held, open)) if held == id => {
                self.held = None;
                if !open {
                    self.quiet_until = now + QUIET;
                }
            }
            _ => {}
        }
    }
}

impl Scheduler {
    /// A spare connection is open.
    pub(super) fn on_spare_ready(&mut self, id: SpareId) {
        for origin in self.origins.values_mut() {
            origin.spare.ready(id);
        }
    }

    /// A spare connection is closed.
    pub(super) fn on_spare_gone(&mut self, id: SpareId) {
        let now = self.now;
        for origin in self.origins.values_mut() {
            origin.spare.gone(id, now);
        }
    }

    /// Makes a spare connection for each origin that lacks one.
    pub(super) fn keep_spares(&mut self, out: &mut Vec<Action>) {
        if !self.tunables.fetch.preconnect {
            return;
        }
        let lacking: Vec<(OriginId, ResourceId)> = self
            .origins
            .iter()
            .filter(|(_, origin)| self.may_have_spare(origin))
            .filter_map(|(id, _)| Some((*id, self.spare_for(*id)?)))
            .collect();
        for (origin, resource) in lacking {
            self.spares += 1;
            let spare = SpareId(self.spares);
            if let Some(origin) = self.origins.get_mut(&origin) {
                origin.spare.held = Some((spare, false));
                origin.spare.made.take(self.now, PER_SECOND);
                out.push(Action::Preconnect { resource, spare });
            }
        }
    }

    fn may_have_spare(&self, origin: &Origin) -> bool {
        origin.spare.held.is_none()
            && !origin.has_idle(Lane::Demand)
            && origin.spare.quiet_until <= self.now
            && origin.spare.made.ready(self.now, PER_SECOND) <= self.now
            && origin.paused_until.is_none()
            && origin.slowdown.share(self.now) >= 1.0
    }

    /// The resource for whose sake `origin` is to have one: the demand lane is in use, and not beyond what it is
    /// meant for.
    fn spare_for(&self, origin: OriginId) -> Option<ResourceId> {
        let busy = self.fetches.over(origin, Lane::Demand);
        if busy > DEMAND_CONNECTIONS {
            return None;
        }
        let mut live = self.fetches.all().filter(|(_, fetch)| {
            fetch.origin == origin && fetch.lane == Lane::Demand && !fetch.cancelled
        });
        let (_, fetch) = live.next()?;
        let resource = self.resources.get(&fetch.resource)?;
        let ranges = resource.transfer == Transfer::Ranges && resource.fatal.is_none();
        ranges.then_some(resource.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros::from_millis(500);

    /// One called 1 that is being made.
    fn begun() -> Spare {
        Spare { held: Some((SpareId(1), false)), ..Spare::default() }
    }

    #[test]
    fn p3_a_spare_is_ready_once_its_own_connection_is_open() {
        let mut spare = begun();
        spare.ready(SpareId(2));
        assert!(!spare.is_ready(), "that was another one");
        spare.ready(SpareId(1));
        assert!(spare.is_ready());
        spare.take();
        spare.ready(SpareId(1));
        assert!(!spare.is_ready(), "a request has it");
    }

    #[test]
    fn p3_after_a_spare_that_never_opened_none_is_made_for_a_second() {
        let (mut failed, mut used) = (begun(), begun());
        failed.gone(SpareId(2), NOW);
        assert_eq!((failed.held, failed.quiet_until), (begun().held, Micros(0)), "another one");
        failed.gone(SpareId(1), NOW);
        assert_eq!((failed.held, failed.quiet_until), (None, NOW + QUIET));
        used.ready(SpareId(1));
        used.gone(SpareId(1), NOW);
        assert_eq!((used.held, used.quiet_until), (None, Micros(0)));
    }
}
