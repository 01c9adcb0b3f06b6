//! The thinnest thread: open, read, end.

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::connection::ConnectionUse;
use crate::ids::{DemandId, OriginId, ReaderId, ResourceId, SpareId};
use crate::sched::{Action, BodyShape, Event, FetchOutcome, Scheduler, Urgency};
use crate::time::Micros;

/// P3: and the seek before it costs nothing.
#[test]
fn p3_a_blocked_read_costs_one_request_at_the_exact_byte() {
    let mut scheduler = Scheduler::new(Tunables::default(), 1, 0);
    let mut out = Vec::new();
    let (resource, reader) = (ResourceId(1), ReaderId(1));
    let events = [
        Event::ResourceOpened {
            resource,
            origin: OriginId(1),
            len: None,
            covered: vec![],
            online: true,
        },
        Event::ReaderOpened { resource, reader, position: 0 },
        Event::Demand {
            reader,
            demand: DemandId(1),
            range: ByteRange::new(7, 4096),
            urgency: Urgency::Blocked,
        },
    ];
    for event in events {
        scheduler.handle(Micros(0), event, &mut out);
    }
    let [
        Action::SetRefill { .. },
        Action::StartFetch { fetch, range, .. },
        Action::Preconnect { spare: SpareId(1), .. },
    ] = out[..]
    else {
        panic!("{out:?}");
    };
    assert_eq!(range, ByteRange::new(7, 7 + 400_000));
    out.clear();
    let shape = BodyShape::Part(ByteRange::new(7, 100));
    let events = [
        Event::LenKnown { resource, len: 100 },
        Event::FetchStarted { fetch, shape, connection: ConnectionUse::New, multiplexed: false },
        Event::Written { fetch, range: ByteRange::new(7, 100) },
        Event::FetchEnded { fetch, outcome: FetchOutcome::Complete },
    ];
    for event in events {
        scheduler.handle(Micros(1000), event, &mut out);
    }
    let [Action::StartFetch { fetch, range, .. }] = out[..] else {
        panic!("the rest of a small resource is wanted, nothing else: {out:?}");
    };
    assert_eq!(range, ByteRange::new(0, 7));
    out.clear();
    scheduler.handle(Micros(2000), Event::Written { fetch, range }, &mut out);
    assert!(matches!(out[..], [Action::EndOfStream { .. }]), "{out:?}");
}
