//! A disk that refuses: what is still fetched while little can be kept.

use super::{KIB, MIB, cancelled, fast};
use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::ResourceId;
use crate::sched::event::Confined;
use crate::sched::sim::{Sim, ms};
use crate::sched::{Action, Class, Event};

const RESOURCE: ResourceId = ResourceId(1);
const WINDOW: u64 = 256 * KIB;

fn confine(sim: &mut Sim) {
    let to = Some(Confined { window: WINDOW, error: Error::UnknownLength });
    sim.tell(Event::Confined { resource: RESOURCE, to });
}

fn free(sim: &mut Sim) {
    sim.tell(Event::Confined { resource: RESOURCE, to: None });
}

#[test]
fn a3_read_ahead_goes_a_short_way_while_little_can_be_kept() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, 2_000_000);
    let ahead = |sim: &Sim| {
        let running = sim.scheduler.view(RESOURCE).in_flight.into_iter();
        running.filter(|(_, class)| *class != Class::Blocked).count()
    };
    while ahead(&sim) == 0 {
        assert!(sim.now() < ms(60_000), "it reads ahead");
        sim.run_for(ms(10));
    }
    let running = ahead(&sim);
    confine(&mut sim);
    assert_eq!(cancelled(&sim).len(), running, "what was ordered for a large window is stopped");
    let asked = sim.requests.len();
    sim.seek(reader, 150 * MIB);
    sim.play(reader, 2_000_000);
    sim.run_for(ms(10_000));
    sim.stop(reader);
    let at = sim.position(reader);
    assert!(at >= 160 * MIB, "the reader does not starve: {at}");
    sim.run_for(ms(10_000));
    assert!(!sim.has(ByteRange::at(at + MIB, 1)));
    assert!(sim.requests[asked..].iter().all(|request| request.range.len() <= WINDOW));
}

#[test]
fn a3_hints_rest_and_fills_are_told_while_little_can_be_kept() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.read(reader);
    sim.run_until_ready(reader);
    let fill = sim.fill(ByteRange::at(100 * MIB, 50 * MIB));
    sim.run_for(ms(200));
    confine(&mut sim);
    let failed = |sim: &Sim| {
        let told = sim.actions.iter().filter(|(_, action)| match action {
            Action::FailDemand { reader, error, .. } => {
                *reader == fill && matches!(error, Error::UnknownLength)
            }
            _ => false,
        });
        told.count()
    };
    assert_eq!(failed(&sim), 1);
    sim.run_for(ms(1000));
    let asked = sim.requests.len();
    sim.hint(ByteRange::at(200 * MIB, MIB), None);
    sim.run_for(ms(5000));
    assert_eq!(sim.requests.len(), asked);
    free(&mut sim);
    sim.run_for(ms(1000));
    assert!(sim.has(ByteRange::at(200 * MIB, MIB)), "a hint that is still there counts again");
}

/// A whole body brings what is still to come of it, whether it was there when the body began or not.
#[test]
fn a3_what_goes_before_a_whole_body_belongs_to_it() {
    let mut sim = Sim::new(8 * MIB).rate(1_000_000).server(|server| server.ranges = false);
    let reader = sim.open_reader(0);
    sim.read(reader);
    sim.run_until_ready(reader);
    sim.run_for(ms(1500));
    // It begins anew, at a place that is there.
    sim.evict(ByteRange::new(0, 64 * KIB));
    sim.seek(reader, 0);
    sim.read(reader);
    sim.run_for(ms(100));
    sim.evict(ByteRange::new(500 * KIB, MIB));
    sim.seek(reader, 600 * KIB);
    sim.read(reader);
    sim.run_until_ready(reader);
}
