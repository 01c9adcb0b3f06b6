//! The driver by itself: what it starts, and what it leaves behind.

use std::task::{Context, Poll, Waker};

use super::*;
use crate::config::Config;
use crate::engine::shared::Entry;
use crate::engine::testing::Bench;
use crate::ids::Lane;
use crate::sched::Class;
use crate::storage::{Waited, Waiter};

/// P1: a request comes about for a popped segment and in no other way.
#[test]
fn p1_as_many_fetches_start_as_segments_are_popped() {
    let mut bench = Bench::new(Config::default());
    let (resource, opened) = bench.resource();
    bench.driver.handle(Command::Register { resource: resource.clone(), opened });
    assert_eq!((bench.driver.started, bench.driver.scheduler.popped()), (1, 1));
    let reader = bench.shared.names.reader();
    let opened = Event::ReaderOpened { resource: resource.id, reader, position: 0 };
    bench.driver.handle(Command::Sched(opened));
    let demand = bench.demand(reader, 50 << 20);
    bench.driver.handle(Command::Sched(demand));
    assert_eq!((bench.driver.started, bench.driver.scheduler.popped()), (2, 2));
}

#[test]
#[should_panic(expected = "a fetch that was not popped")]
#[cfg(debug_assertions)]
fn p1_a_fetch_that_was_not_popped_is_found_out() {
    let mut bench = Bench::new(Config::default());
    let (resource, opened) = bench.resource();
    let id = resource.id;
    bench.driver.handle(Command::Register { resource, opened });
    bench.driver.perform(Action::StartFetch {
        fetch: FetchId(77),
        resource: id,
        range: ByteRange::new(5, 6),
        lane: Lane::Demand,
        class: Class::Blocked,
        attempt: 1,
    });
    bench.driver.handle(Command::Sched(Event::Tick));
}

/// P6: a fetch that only the plan has no use for keeps what it received; D1: one whose resource goes does not wait.
#[test]
fn p6_a_cancelled_fetch_keeps_what_it_received_and_a_closed_resource_waits_for_none() {
    let mut bench = Bench::new(Config::default());
    let (resource, opened) = bench.resource();
    let id = resource.id;
    bench.driver.handle(Command::Register { resource, opened });
    let (fetch, stop) = {
        let (fetch, running) = bench.driver.fetches.first_key_value().unwrap();
        (*fetch, running.stop.clone())
    };
    bench.driver.perform(Action::CancelFetch { fetch });
    assert_eq!((stop.receiving.is_cancelled(), stop.all.is_cancelled()), (true, false));
    let (done, _closing) = watch::channel(());
    bench.driver.handle(Command::Close { resource: id, done });
    assert!(stop.all.is_cancelled());
}

/// E4: who comes to wait for a byte of a running request is not made to wait for others; only who was given all that came,
/// and waits for what comes next, again, gets it with what comes right behind.
#[test]
fn e4_a_request_hears_of_each_read_that_comes_to_wait_for_a_byte_of_it() {
    let mut bench = Bench::new(Config::default());
    let (resource, opened) = bench.resource();
    let id = resource.id;
    bench.driver.handle(Command::Register { resource, opened });
    let [reader, other] = [(); 2].map(|()| {
        let reader = bench.shared.names.reader();
        let opened = Event::ReaderOpened { resource: id, reader, position: 0 };
        bench.driver.handle(Command::Sched(opened));
        bench.driver.readers.insert(reader, Known { resource: id, shared: None, heard: 0 });
        reader
    });
    let fetch = *bench.driver.fetches.keys().next().unwrap();
    let end = bench.driver.fetches[&fetch].range.end;
    let hears = |bench: &mut Bench, reader, at| {
        let pace = bench.driver.fetches[&fetch].pace.clone();
        pace.send_replace(Pace::default());
        let demand = bench.demand(reader, at);
        bench.driver.handle(Command::Sched(demand));
        pace.borrow().awaited
    };
    for at in [100, end - 1, 0] {
        assert_eq!(hears(&mut bench, reader, at), Some(at));
    }
    assert_eq!(hears(&mut bench, reader, 0), None, "it follows");
    assert_eq!(hears(&mut bench, other, 0), Some(0));
    assert_eq!(hears(&mut bench, reader, 0), Some(0), "it does not any more");
    assert_eq!(hears(&mut bench, reader, 50), Some(50));
    assert_eq!(hears(&mut bench, reader, end), None, "another request's");
    assert_eq!(hears(&mut bench, reader, 0), Some(0), "it came from elsewhere");
    let range = ByteRange::new(0, 30);
    bench.driver.handle(Command::Sched(Event::Written { fetch, range }));
    assert_eq!(hears(&mut bench, reader, 30), None, "it follows still");
}

#[test]
fn d3_a_share_of_the_write_budget_is_free_again_once_the_scheduler_has_heard() {
    let mut bench = Bench::new(Config::default());
    let budget = bench.shared.write_budget.clone();
    let all = budget.available_permits();
    let share = budget.clone().try_acquire_many_owned(1000).ok();
    let (fetch, range) = (FetchId(1), ByteRange::new(0, 1000));
    bench.driver.handle(Command::Written { fetch, range, share });
    assert_eq!(budget.available_permits(), all);
}

/// D1: also of a resource that it has not heard of yet.
#[test]
fn d1_a_driver_that_goes_ends_every_wait_and_the_writer() {
    let bench = Bench::new(Config::default());
    let (heard, opened) = bench.resource();
    let (unheard, unheard_opened) = bench.resource();
    let mut driver = bench.driver;
    driver.handle(Command::Register { resource: heard.clone(), opened });
    let waiting = Command::Register { resource: unheard.clone(), opened: unheard_opened };
    bench.shared.command(waiting).unwrap();
    drop(driver);
    for resource in [heard, unheard] {
        assert!(matches!(crate::sync::block_on(resource.opened()), Err(Error::Cancelled)));
        assert!(matches!(resource.bytes.failure(), Some(Error::Cancelled)));
    }
    assert!(bench.jobs.try_iter().any(|job| matches!(job, Job::Shutdown)));
    assert!(bench.shared.command(Command::Shutdown).is_err(), "nobody hears any more");
}

/// A change that shows itself just after the last session went: the asset is closed once, and what is stored is void.
#[test]
fn d1_a_failure_after_the_last_session_went_closes_the_asset_once() {
    let mut bench = Bench::new(Config::default());
    let (resource, opened) = bench.resource();
    let (id, key) = (resource.id, resource.key.clone().unwrap());
    bench.driver.handle(Command::Register { resource, opened });
    let (done, closing) = watch::channel(());
    bench.shared.registry.lock().insert(key, Entry::Busy(closing.clone()));
    bench.driver.perform(Action::FailResource { resource: id, error: Error::Changed });
    assert!(bench.jobs.try_iter().next().is_none(), "the session's own close is on its way");
    bench.driver.handle(Command::Close { resource: id, done });
    let closed: Vec<bool> = bench
        .jobs
        .try_iter()
        .filter_map(|job| match job {
            Job::Close { discard, done, .. } => {
                assert!(closing.has_changed().is_ok(), "not over before the journal is closed");
                drop(done);
                Some(discard)
            }
            _ => None,
        })
        .collect();
    assert_eq!(closed, [true]);
    assert!(closing.has_changed().is_err());
}

/// P9: what a timer or a withdrawal changes shows in the next snapshot.
#[test]
fn p9_a_withdrawn_demand_shows_in_the_view() {
    let mut bench = Bench::new(Config::default());
    let (resource, opened) = bench.resource();
    let id = resource.id;
    bench.driver.handle(Command::Register { resource: resource.clone(), opened });
    let reader = bench.shared.names.reader();
    bench.driver.publish();
    bench.driver.handle(Command::Sched(Event::RateDeclared {
        resource: id,
        bytes_per_second: Some(1 << 20),
    }));
    assert!(bench.driver.touched.contains(&id));
    bench.driver.publish();
    for event in [Event::ReaderClosed { reader }, Event::Tick] {
        bench.driver.handle(Command::Sched(event));
        bench.driver.publish();
        assert_eq!(*resource.view.lock(), bench.driver.scheduler.view(id));
    }
}

/// E1: a demand that reaches the scheduler before the news that bytes have gone is met by bytes that are not
/// there; whoever waits is made to demand anew.
#[test]
fn e1_readers_look_again_when_bytes_have_gone() {
    let mut bench = Bench::new(Config::default());
    let (resource, opened) = bench.resource();
    let id = resource.id;
    resource.bytes.write_at(0, &[7; 100]).unwrap();
    bench.driver.handle(Command::Register { resource: resource.clone(), opened });
    let name = bench.shared.names.reader();
    let mut waiter = resource.bytes.waiter(name);
    let reader = Arc::new(ReaderState::new(name, waiter.nudger()));
    let opened = Command::ReaderOpened { resource: resource.clone(), reader, position: 0 };
    bench.driver.handle(opened);

    let range = ByteRange::new(10, 20);
    resource.bytes.shrink(range);
    let early = bench.demand(name, 10);
    bench.driver.handle(Command::Sched(early));
    assert!(poll(&mut waiter).is_pending());
    bench.driver.handle(Command::Sched(Event::Shrunk { resource: id, range }));
    assert!(matches!(poll(&mut waiter), Poll::Ready(Waited::Nudged)));

    resource.begin_next_generation(Error::Restarted);
    assert!(matches!(poll(&mut waiter), Poll::Ready(Waited::Failed(Error::Restarted))));
    let early = bench.demand(name, 10);
    bench.driver.handle(Command::Sched(early));
    assert!(poll(&mut waiter).is_pending());
    bench.driver.handle(Command::Restarted { resource: id });
    assert!(matches!(poll(&mut waiter), Poll::Ready(Waited::Nudged)));
}

fn poll(waiter: &mut Waiter) -> Poll<Waited> {
    let mut cx = Context::from_waker(Waker::noop());
    waiter.poll_ready(ByteRange::at(10, 1), DemandId(99), &mut cx)
}

/// N8: a length that was learnt just before a restart says nothing about the new generation.
#[test]
fn n8_a_length_of_the_generation_before_is_not_told() {
    let mut bench = Bench::new(Config::default());
    let (resource, opened) = bench.resource();
    let id = resource.id;
    bench.driver.handle(Command::Register { resource: resource.clone(), opened });
    let mut events = resource.events.subscribe(1);
    resource.begin_next_generation(Error::Restarted);
    bench.driver.handle(Command::Restarted { resource: id });
    bench.driver.handle(Command::Sched(Event::LenKnown { resource: id, len: 5 }));
    while let Some(event) = events.try_next() {
        assert!(!matches!(event, SessionEvent::LengthKnown { .. }), "{event:?}");
    }
}

/// N8: several requests find out about one change; the generation is left once, so readers are told once.
#[test]
fn n8_a_generation_is_left_once_however_many_requests_find_out() {
    let mut bench = Bench::new(Config::default());
    let (resource, opened) = bench.resource();
    bench.driver.handle(Command::Register { resource: resource.clone(), opened });
    let reader = bench.shared.names.reader();
    let opened = Event::ReaderOpened { resource: resource.id, reader, position: 0 };
    bench.driver.handle(Command::Sched(opened));
    let demand = bench.demand(reader, 50 << 20);
    bench.driver.handle(Command::Sched(demand));
    let fetches: Vec<FetchId> = bench.driver.fetches.keys().copied().collect();
    assert_eq!(fetches.len(), 2);
    for fetch in fetches {
        let failure = Failure { error: Error::Changed, remedy: Remedy::Fatal };
        let outcome = FetchOutcome::Failed(failure);
        bench.driver.handle(Command::Sched(Event::FetchEnded { fetch, outcome }));
    }
    let restarts = bench.jobs.try_iter().filter(|job| matches!(job, Job::Restart { .. })).count();
    assert_eq!(restarts, 1);
    assert!(resource.bytes.failure().is_none(), "and nobody takes the second for a failure");
}
