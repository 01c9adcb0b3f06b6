//! Whose turn it is, and what is left to run: told to the scheduler directly.

use super::told::{ORIGIN, RESOURCE, Told, no_readahead, started, stopped};
use super::{KIB, MIB, cancelled, fast, of_class};
use crate::byte_range::ByteRange;
use crate::connection::ConnectionUse;
use crate::ids::{DemandId, FetchId, HintId, OriginId, ReaderId, ResourceId};
use crate::sched::sim::ms;
use crate::sched::{Action, BodyShape, Class, Event, FetchOutcome, Urgency};

const FAR: ByteRange = ByteRange { start: 50 * MIB, end: 53 * MIB };

/// The resource of another origin, with a reader.
fn open_other(told: &mut Told) -> (ResourceId, ReaderId) {
    let (resource, origin, reader) = (ResourceId(2), OriginId(2), ReaderId(2));
    let (len, covered, online) = (Some(100 * MIB), Vec::new(), true);
    told.tell(Event::ResourceOpened { resource, origin, len, covered, online });
    told.tell(Event::ReaderOpened { resource, reader, position: 0 });
    (resource, reader)
}

/// A second reader of the first resource waits for `range`.
fn second(told: &mut Told, range: ByteRange, urgency: Urgency) -> Vec<Action> {
    let (resource, reader, demand) = (RESOURCE, ReaderId(7), DemandId(70));
    told.tell(Event::ReaderOpened { resource, reader, position: 0 });
    told.tell(Event::Demand { reader, demand, range, urgency })
}

#[test]
fn p2_a_read_that_waits_for_its_first_byte_holds_up_its_own_origin_alone() {
    let mut told = Told::demands_only(&[]);
    let (resource, reader) = open_other(&mut told);
    let (demand, range) = (DemandId(1), ByteRange::new(0, 100));
    told.tell(Event::Demand { reader, demand, range, urgency: Urgency::Blocked });
    assert_eq!(started(&told.hint(1, FAR)).len(), 1);
    let (hint, deadline) = (HintId(2), None);
    assert_eq!(started(&told.tell(Event::Hinted { resource, hint, range: FAR, deadline })), []);
}

#[test]
fn p2_a_blocked_read_takes_no_slot_of_another_origin() {
    let mut told = Told::new(&[], |tunables| {
        no_readahead(tunables);
        tunables.fetch.max_fetches = 1;
    });
    let (resource, _) = open_other(&mut told);
    let (hint, deadline) = (HintId(2), None);
    told.tell(Event::Hinted { resource, hint, range: FAR, deadline });
    told.demand(1, 0);
    let actions = second(&mut told, FAR, Urgency::Blocked);
    assert_eq!((started(&actions), stopped(&actions)), (vec![], vec![]));
}

#[test]
fn p2_while_one_fetch_makes_room_no_other_one_has_to() {
    let mut told = Told::new(&[], |tunables| {
        no_readahead(tunables);
        tunables.fetch.max_fetches = 3;
    });
    told.hint(1, FAR);
    told.hint(2, ByteRange::at(70 * MIB, 3 * MIB));
    assert_eq!(started(&told.demand(1, 0)).len(), 1);
    assert_eq!(stopped(&second(&mut told, ByteRange::at(10 * MIB, 1), Urgency::Blocked)).len(), 1);
    assert!(stopped(&told.tick(5)).is_empty());
}

/// The rest of a first window is urgent, but takes nobody's slot.
#[test]
fn p2_only_a_blocked_read_takes_a_slot() {
    let mut sim = fast().slots(2).tuned(|tunables| tunables.readahead.initial_window = MIB);
    sim.hint(ByteRange::at(100 * MIB, 8 * MIB), None);
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(5000));
    assert_eq!(of_class(&sim, Class::FirstWindow).len(), 1);
    assert_eq!(cancelled(&sim), []);
}

#[test]
fn p2_a_request_larger_than_the_whole_budget_goes_alone() {
    let mut told = Told::new(&[], |tunables| {
        no_readahead(tunables);
        tunables.fetch.speculation_budget = 64 * KIB;
    });
    assert_eq!(started(&told.hint(1, FAR)), [(1, ByteRange::at(FAR.start, 128 * KIB), 1)]);
    assert_eq!(started(&told.hint(2, ByteRange::at(70 * MIB, 10))), []);
}

/// Whether a fetch for a hint is stopped when that is taken back, after what happens `meanwhile`.
fn is_stopped(mut told: Told, range: ByteRange, meanwhile: impl FnOnce(&mut Told)) -> bool {
    let actions = told.hint(9, range);
    let [(fetch, ..)] = started(&actions)[..] else {
        panic!("{actions:?}");
    };
    meanwhile(&mut told);
    told.tell(Event::HintWithdrawn { hint: HintId(9) });
    stopped(&told.tick(20)).contains(&fetch)
}

#[test]
fn p3_what_nobody_wants_is_stopped() {
    assert!(is_stopped(Told::demands_only(&[]), FAR, |_| {}));
}

#[test]
fn p3_what_a_wait_or_another_hint_or_a_window_holds_goes_on() {
    let last = ByteRange::new(FAR.end - 1, FAR.end);
    let fill = |told: &mut Told| drop(second(told, last, Urgency::Fill));
    assert!(!is_stopped(Told::demands_only(&[]), FAR, fill));
    let hint = |told: &mut Told| drop(told.hint(1, last));
    assert!(!is_stopped(Told::demands_only(&[]), FAR, hint));
    let told = Told::new(&[ByteRange::at(FAR.start - MIB, MIB)], |_| {});
    let read = |told: &mut Told| {
        told.moved(FAR.start - MIB);
        told.moved(FAR.start - 1000);
    };
    assert!(!is_stopped(told, FAR, read));
}

#[test]
fn p4_of_a_small_resource_everything_is_wanted_once_it_is_read() {
    let small = || Told::of(Some(5 * MIB), &[ByteRange::at(4 * MIB, MIB)], true, |_| {});
    let range = ByteRange::new(0, 3 * MIB);
    assert!(is_stopped(small(), range, |_| {}), "nobody has read");
    assert!(!is_stopped(small(), range, |told| drop(told.moved(4 * MIB))));
}

#[test]
fn p4_the_next_request_of_a_long_hint_goes_out_when_enough_of_the_running_one_has_come() {
    let mut told = Told::demands_only(&[]);
    let [(fetch, range, 1)] = started(&told.hint(1, ByteRange::new(0, 90 * MIB)))[..] else {
        panic!("one request");
    };
    told.begin(fetch, range);
    assert_eq!(started(&told.written(fetch, ByteRange::new(0, 1000))), []);
    let left = told.scheduler.resources[&RESOURCE].watch.expect("there is more to come");
    assert_eq!(started(&told.written(fetch, ByteRange::new(1000, 999 + left))), []);
    let next = started(&told.written(fetch, ByteRange::at(999 + left, 1)));
    assert_eq!(next.iter().map(|start| start.1.start).collect::<Vec<_>>(), [range.end]);
}

#[test]
fn e1_a_wait_is_over_with_the_very_byte_that_it_waits_for() {
    let mut told = Told::demands_only(&[]);
    told.demand(1, 0);
    told.demand(2, 50_000);
    told.begin(1, ByteRange::new(0, 400_000));
    told.written(1, ByteRange::new(0, 50_000));
    assert!(told.next().is_some());
    told.written(1, ByteRange::new(50_000, 50_001));
    assert_eq!(told.next(), None, "neither budget nor review");
}

#[test]
fn n4_a_failure_holds_up_its_own_bytes_alone() {
    let mut told = Told::demands_only(&[]);
    told.demand(1, 0);
    told.fail(1, crate::sched::Remedy::Retry { after: None });
    assert_eq!(told.scheduler.view(RESOURCE).wanted, [ByteRange::new(0, 400_000)]);
}

/// What was on its way when a fetch was stopped may belong to what waits for a slot by now.
#[test]
fn p6_bytes_that_come_late_are_not_asked_for_any_more() {
    let mut told = Told::new(&[], |tunables| {
        no_readahead(tunables);
        tunables.fetch.max_fetches = 2;
        tunables.fetch.wait_max = 100_000;
    });
    told.hint(1, ByteRange::new(0, 8 * MIB));
    told.begin(1, ByteRange::new(0, 3_750_000));
    told.written(1, ByteRange::new(0, 1000));
    assert_eq!(started(&told.demand(1, 300_000)), [(2, ByteRange::at(300_000, 400_000), 1)]);
    told.begin(2, ByteRange::at(300_000, 400_000));
    told.written(2, ByteRange::at(300_000, 1000));
    assert_eq!(stopped(&told.written(1, ByteRange::new(1000, 300_000))), [1]);
    let waiting = |told: &Told| told.scheduler.view(RESOURCE).wanted.first().map(|r| r.start);
    assert_eq!(waiting(&told), Some(700_000));
    told.written(1, ByteRange::new(300_000, 740_000));
    assert_eq!(waiting(&told), Some(740_000));
    told.written(1, ByteRange::new(740_000, 750_000));
    assert_eq!(waiting(&told), Some(750_000));
}

#[test]
fn e10_a_whole_body_is_stopped_when_the_rest_is_stored_and_not_at_its_own_end() {
    let mut told = Told::of(Some(5 * MIB), &[ByteRange::new(MIB, 5 * MIB)], true, |_| {});
    told.demand(1, 0);
    told.begin_whole(1);
    assert!(stopped(&told.written(1, ByteRange::new(0, MIB - 1))).is_empty());
    assert_eq!(stopped(&told.written(1, ByteRange::new(MIB - 1, MIB))), [1]);
    let mut told = Told::of(Some(5 * MIB), &[], true, |_| {});
    told.demand(1, 0);
    told.begin_whole(1);
    assert!(stopped(&told.written(1, ByteRange::new(0, 5 * MIB))).is_empty());
    told.complete(1);
    assert_eq!(told.scheduler.fetches.one(FetchId(1)).map(|fetch| fetch.head), None);
}

#[test]
fn p2_a_fetch_that_was_cancelled_is_forgotten_when_it_has_ended() {
    let mut told = Told::demands_only(&[]);
    told.hint(1, FAR);
    told.tell(Event::HintWithdrawn { hint: HintId(1) });
    assert_eq!(stopped(&told.tick(20)), [1]);
    assert_eq!(told.scheduler.view(RESOURCE).in_flight.len(), 1, "it may still bring something");
    told.end(1, FetchOutcome::Cancelled);
    assert_eq!(told.scheduler.view(RESOURCE).in_flight, []);
}

/// What has come to its end by itself leaves a connection that can be used again.
#[test]
fn p6_a_fetch_that_has_brought_everything_is_not_stopped_for_being_needless() {
    let mut told = Told::new(&[], |tunables| {
        no_readahead(tunables);
        tunables.fetch.wait_max = 100_000;
    });
    let short = ByteRange::at(FAR.start, 1000);
    told.hint(1, ByteRange::new(0, 3 * MIB));
    told.hint(2, short);
    told.begin(1, ByteRange::new(0, 3 * MIB));
    told.begin(2, short);
    told.written(2, short);
    told.written(1, ByteRange::new(0, 1000));
    assert_eq!(started(&told.demand(1, 300_000)).len(), 1);
    assert_eq!(stopped(&told.written(1, ByteRange::new(1000, 350_000))), [3]);
}

/// A request that is waited for no longer because the running one is alive after all.
#[test]
fn p3_the_first_byte_of_a_late_answer_takes_back_what_was_to_replace_it() {
    let mut told = Told::new(&[], |tunables| {
        no_readahead(tunables);
        tunables.fetch.max_fetches = 1;
    });
    let reused = |told: &mut Told, fetch: u64, range: ByteRange| {
        let (shape, connection) = (BodyShape::Part(range), ConnectionUse::Reused);
        told.tell(Event::FetchStarted {
            fetch: FetchId(fetch),
            shape,
            connection,
            multiplexed: false,
        });
    };
    for fetch in 1..=3 {
        let range = ByteRange::at(fetch * MIB, 10);
        told.hint(fetch, range);
        told.at += 80;
        reused(&mut told, fetch, range);
        told.written(fetch, range);
        told.complete(fetch);
    }
    let queued = |told: &Told| told.scheduler.origins[&ORIGIN].queue.of(RESOURCE).count();
    told.demand(1, 50 * MIB);
    told.demand(2, 50 * MIB + 100_000);
    assert_eq!((started(&told.tick(told.at + 600)), queued(&told)), (vec![], 1));
    let range = ByteRange::at(50 * MIB, 400_000);
    reused(&mut told, 4, range);
    assert_eq!(queued(&told), 1, "the head of an answer brings nothing yet");
    told.written(4, ByteRange::at(range.start, 1000));
    assert_eq!(queued(&told), 0);
}

#[test]
fn p9_what_waits_for_a_slot_and_what_backs_off_beside_it_are_shown_as_one() {
    let mut told = Told::new(&[], |tunables| {
        no_readahead(tunables);
        tunables.fetch.max_fetches = 1;
    });
    told.demand(1, 500_000);
    told.fail(1, crate::sched::Remedy::Retry { after: None });
    second(&mut told, FAR, Urgency::Blocked);
    told.hint(1, ByteRange::new(0, 500_000));
    assert_eq!(told.scheduler.view(RESOURCE).wanted, [ByteRange::new(0, 900_000)]);
}
