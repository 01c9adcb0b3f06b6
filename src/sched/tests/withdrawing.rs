//! Demands that are taken back, and what the view shows of what waits: told to the scheduler directly.

use super::MIB;
use super::told::Told;
use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::connection::ConnectionUse;
use crate::ids::{DemandId, FetchId, HintId, OriginId, ReaderId, ResourceId};
use crate::sched::{Action, BodyShape, Event, FetchOutcome, Scheduler, Urgency};
use crate::time::Micros;

const RESOURCE: ResourceId = ResourceId(1);
const READER: ReaderId = ReaderId(1);

/// A scheduler with one slot and one reader of one resource, none of whose bytes are there.
fn one_slot() -> Scheduler {
    slots(1, Vec::new())
}

/// The same with more slots, and `covered` stored.
fn slots(max_fetches: u32, covered: Vec<ByteRange>) -> Scheduler {
    let mut tunables = Tunables::default();
    tunables.fetch.max_fetches = max_fetches;
    tunables.fetch.wait_max = 100_000;
    tunables.readahead.enabled = false;
    tunables.readahead.whole_file = 0;
    let mut scheduler = Scheduler::new(tunables, 1, 1);
    tell(
        &mut scheduler,
        Event::ResourceOpened {
            resource: RESOURCE,
            origin: OriginId(1),
            len: Some(100 * MIB),
            covered,
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

/// What a cancelled request has received may not be stored yet.
#[test]
fn p6_what_a_cancelled_fetch_may_still_bring_is_not_asked_for_before_it_has_ended() {
    let mut scheduler = slots(2, Vec::new());
    let (resource, hint, deadline) = (RESOURCE, HintId(1), None);
    let range = ByteRange::new(0, 8 * MIB);
    tell(&mut scheduler, Event::Hinted { resource, hint, range, deadline });
    tell(&mut scheduler, Event::HintWithdrawn { hint });
    let mut actions = Vec::new();
    scheduler.handle(Micros::from_millis(1000), Event::Tick, &mut actions);
    assert!(matches!(actions[..], [Action::CancelFetch { fetch: FetchId(1) }]), "{actions:?}");
    demand(&mut scheduler, 2, 100);
    assert_eq!(scheduler.popped(), 1, "it may be on its way to the disk");
    let brought = ByteRange::new(0, 500_000);
    tell(&mut scheduler, Event::Written { fetch: FetchId(1), range: brought });
    let ended = Event::FetchEnded { fetch: FetchId(1), outcome: FetchOutcome::Cancelled };
    tell(&mut scheduler, ended);
    assert_eq!(scheduler.popped(), 1, "and it was");
    demand(&mut scheduler, 3, 500_000);
    assert_eq!(scheduler.popped(), 2);
}

/// The last bytes of the overtaken fetch were here already, all that the new one is to bring among them.
#[test]
fn p6_a_fetch_is_stopped_when_all_of_its_bytes_came_before_its_answer() {
    let mut scheduler = slots(4, vec![ByteRange::new(350_000, 100 * MIB)]);
    demand(&mut scheduler, 1, 0);
    let shape = BodyShape::Part(ByteRange::new(0, 350_000));
    let (first, connection) = (FetchId(1), ConnectionUse::New);
    tell(
        &mut scheduler,
        Event::FetchStarted { fetch: first, shape, connection, multiplexed: false },
    );
    tell(&mut scheduler, Event::Written { fetch: first, range: ByteRange::new(0, 1000) });
    demand(&mut scheduler, 2, 300_000);
    assert_eq!(scheduler.popped(), 2, "300 kB ahead is too far to wait for");
    let rest = Event::Written { fetch: first, range: ByteRange::new(1000, 350_000) };
    let actions = tell(&mut scheduler, rest);
    let stopped = |action: &Action| matches!(action, Action::CancelFetch { fetch: FetchId(2) });
    assert!(actions.iter().any(stopped), "{actions:?}");
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

/// What a dropped fetch had received still covered all that the new one was to bring.
#[test]
fn p6_a_fetch_is_stopped_when_others_have_brought_its_bytes() {
    let mut told = Told::new(&[], |tunables| {
        tunables.readahead.enabled = false;
        tunables.readahead.whole_file = 0;
        tunables.fetch.wait_max = 100_000;
    });
    told.demand(1, 0);
    told.begin(1, ByteRange::new(0, 400_000));
    told.written(1, ByteRange::new(0, 1000));
    told.demand(2, 300_000);
    told.begin(2, ByteRange::new(300_000, 700_000));
    told.written(2, ByteRange::new(300_000, 301_000));
    told.written(1, ByteRange::new(1000, 700_000));
    let actions = told.written(2, ByteRange::new(301_000, 302_000));
    let stopped = |action: &Action| matches!(action, Action::CancelFetch { fetch: FetchId(2) });
    assert!(actions.iter().any(stopped), "{actions:?}");
}
