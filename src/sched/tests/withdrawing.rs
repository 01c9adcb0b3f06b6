//! Demands that are taken back, and what the view shows of what waits: told to the scheduler directly.

use super::MIB;
use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::ids::{DemandId, HintId, OriginId, ReaderId, ResourceId};
use crate::sched::{Action, Event, Scheduler, Urgency};
use crate::time::Micros;

const RESOURCE: ResourceId = ResourceId(1);
const READER: ReaderId = ReaderId(1);

/// A scheduler with one slot and one reader of one resource, none of whose bytes are there.
fn one_slot() -> Scheduler {
    let mut tunables = Tunables::default();
    tunables.fetch.max_fetches = 1;
    tunables.readahead.enabled = false;
    tunables.readahead.whole_file = 0;
    let mut scheduler = Scheduler::new(tunables, 1, 1);
    tell(
        &mut scheduler,
        Event::ResourceOpened {
            resource: RESOURCE,
            origin: OriginId(1),
            len: Some(100 * MIB),
            covered: Vec::new(),
            online: true,
        },
    );
    tell(&mut scheduler, Event::ReaderOpened { resource: RESOURCE, reader: READER, position: 0 });
    scheduler
}

fn tell(scheduler: &mut Scheduler, event: Event) -> Vec<Action> {
    let mut actions = Vec::new();
    scheduler.handle(Micros::from_millis(1), event, &mut actions);
    actions
}

fn demand(scheduler: &mut Scheduler, id: u64, at: u64) {
    let (demand, range) = (DemandId(id), ByteRange::at(at, 100));
    let urgency = Urgency::Blocked;
    tell(scheduler, Event::Demand { reader: READER, demand, range, urgency });
}

fn withdraw(scheduler: &mut Scheduler, id: u64) {
    tell(scheduler, Event::DemandWithdrawn { reader: READER, demand: DemandId(id) });
}

/// The demand that the reader is blocked on.
fn blocked_on(scheduler: &Scheduler) -> Option<DemandId> {
    scheduler.resources[&RESOURCE].cursors.demands().next().map(|(_, demand)| demand.id)
}

#[test]
fn d2_a_demand_that_is_withdrawn_is_forgotten() {
    let mut scheduler = one_slot();
    demand(&mut scheduler, 1, 0);
    assert_eq!(blocked_on(&scheduler), Some(DemandId(1)));
    withdraw(&mut scheduler, 1);
    assert_eq!(blocked_on(&scheduler), None);
}

/// The withdrawal of an older demand may come after the newer one: that one stays.
#[test]
fn d2_withdrawing_an_older_demand_leaves_the_newer_one() {
    let mut scheduler = one_slot();
    demand(&mut scheduler, 1, 0);
    demand(&mut scheduler, 2, 50 * MIB);
    withdraw(&mut scheduler, 1);
    assert_eq!(blocked_on(&scheduler), Some(DemandId(2)));
}

#[test]
fn p9_the_view_shows_what_waits_merged_and_without_what_is_in_flight() {
    let mut scheduler = one_slot();
    demand(&mut scheduler, 1, 0);
    for (hint, start) in [(1, 20), (2, 21), (3, 30)] {
        tell(
            &mut scheduler,
            Event::Hinted {
                resource: RESOURCE,
                hint: HintId(hint),
                range: ByteRange::at(start * MIB, MIB),
                deadline: None,
            },
        );
    }
    let view = scheduler.view(RESOURCE);
    assert_eq!(view.in_flight.len(), 1);
    let wanted = [ByteRange::at(20 * MIB, 2 * MIB), ByteRange::at(30 * MIB, MIB)];
    assert_eq!(view.wanted, wanted);
}
