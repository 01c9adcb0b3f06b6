//! Withdrawing and closing: what stops, and that nothing is left.

use super::{MIB, cancelled, fast};
use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::{DemandId, FetchId, ReaderId, ResourceId};
use crate::sched::event::FetchOutcome;
use crate::sched::sim::ms;
use crate::sched::{Action, Event, ResourceView, Urgency};

const RESOURCE: ResourceId = ResourceId(1);

#[test]
fn d1_closing_a_resource_stops_its_fetches_at_once_and_forgets_everything() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, 1 << 40);
    sim.hint(ByteRange::at(100 * MIB, MIB), Some(ms(99_000)));
    sim.run_for(ms(3000));
    sim.stop(reader);
    let running = sim.scheduler.view(RESOURCE).in_flight.len();
    assert!(running >= 1);
    sim.tell(Event::ResourceClosed { resource: RESOURCE });
    assert_eq!(cancelled(&sim).iter().filter(|(at, _)| *at == sim.now()).count(), running);
    assert_eq!(sim.scheduler.view(RESOURCE), ResourceView::default());
    let asked = sim.requests.len();
    sim.run_for(ms(60_000));
    assert_eq!(sim.requests.len(), asked);
    assert_eq!(sim.scheduler.next_timeout(), None);
}

#[test]
fn d2_a_withdrawn_demand_stops_its_fetch_after_the_grace() {
    let mut sim = fast().tuned(|tunables| {
        tunables.fetch.demand_min = 4 * MIB;
        tunables.fetch.demand_max = 4 * MIB;
    });
    let reader = sim.open_reader(0);
    sim.read(reader);
    sim.seek(reader, 100 * MIB);
    sim.close_reader(reader);
    sim.run_for(ms(19));
    assert_eq!(cancelled(&sim), []);
    sim.run_for(ms(1));
    assert_eq!(cancelled(&sim).len(), 1);
    sim.run_for(ms(10_000));
    assert_eq!((sim.stored(), sim.scheduler.next_timeout()), (0, None));
}

#[test]
fn d2_a_demand_that_is_not_the_newest_is_not_withdrawn() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.read(reader);
    sim.tell(Event::DemandWithdrawn { reader, demand: DemandId(12_345) });
    assert!(sim.run_until_ready(reader) < ms(210));
}

#[test]
fn e6_a_demand_of_a_reader_that_is_not_there_is_answered() {
    let mut sim = fast();
    let reader = ReaderId(77);
    let (demand, range) = (DemandId(1), ByteRange::new(0, 1));
    sim.tell(Event::Demand { reader, demand, range, urgency: Urgency::Blocked });
    let last = sim.actions.last().map(|(_, action)| action.clone());
    assert!(matches!(last, Some(Action::FailDemand { error: Error::Cancelled, .. })), "{last:?}");
}

#[test]
fn d1_events_about_what_is_gone_are_ignored() {
    let mut sim = fast();
    let (fetch, reader) = (FetchId(99), ReaderId(99));
    let before = sim.actions.len();
    for event in [
        Event::Written { fetch, range: ByteRange::new(0, 10) },
        Event::FetchEnded { fetch, outcome: FetchOutcome::Complete },
        Event::Moved { reader, position: 5 },
        Event::ReaderClosed { reader },
        Event::LenKnown { resource: ResourceId(9), len: 5 },
        Event::Shrunk { resource: ResourceId(9), range: ByteRange::new(0, 5) },
        Event::PlayingChanged { resource: ResourceId(9), playing: true },
        Event::ResourceClosed { resource: ResourceId(9) },
        Event::Tick,
    ] {
        sim.tell(event);
    }
    assert_eq!(sim.actions.len(), before);
    assert_eq!(sim.stored(), 0);
}

#[test]
fn p6_bytes_that_still_come_after_a_cancel_are_kept() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.read(reader);
    let fetch = sim.requests[0].fetch;
    sim.run_for(ms(150));
    sim.close_reader(reader);
    sim.tell(Event::Written { fetch, range: ByteRange::new(0, 1000) });
    let view = sim.scheduler.view(RESOURCE);
    assert_eq!(view.bytes_twice, 0);
    sim.tell(Event::Written { fetch, range: ByteRange::new(500, 1500) });
    assert_eq!(sim.scheduler.view(RESOURCE).bytes_twice, 500);
}
