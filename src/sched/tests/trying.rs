//! Attempts: how they are counted, and when the next one is made. Told to the scheduler directly.

use super::MIB;
use super::told::{RESOURCE, Told, failed, no_readahead, started};
use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::sched::event::Remedy;
use crate::sched::{Action, TimeoutReason, Urgency};

const RETRY: Remedy = Remedy::Retry { after: None };

/// A read is blocked at the start, and its request has failed without an answer.
fn failed_once(remedy: Remedy) -> (Told, Vec<Action>) {
    let mut told = Told::new(&[], |tunables| {
        no_readahead(tunables);
        tunables.retry.jitter = 0.0;
    });
    assert_eq!(started(&told.demand(1, 0)), [(1, ByteRange::new(0, 400_000), 1)]);
    let actions = told.fail(1, remedy);
    (told, actions)
}

#[test]
fn n4_each_attempt_that_brings_something_is_the_first_failure_again() {
    let (mut told, _) = failed_once(RETRY);
    for (fetch, at, head) in [(2, 250, 0), (3, 500, 1000), (4, 750, 2000)] {
        let actions = told.tick(at);
        assert_eq!(started(&actions), [(fetch, ByteRange::at(head, 400_000), 2)]);
        told.begin(fetch, ByteRange::at(head, 400_000));
        told.written(fetch, ByteRange::new(head, head + 1000));
        told.demand(fetch, head + 1000);
        told.fail(fetch, RETRY);
    }
}

#[test]
fn n4_the_longest_retry_after_is_still_waited_for() {
    let after = |ms| Remedy::Retry { after: Some(crate::time::Micros::from_millis(ms)) };
    let (told, actions) = failed_once(after(30_000));
    assert!(failed(&actions).is_empty());
    assert_eq!(told.next(), Some((30_000, TimeoutReason::Backoff)));
    let (_, actions) = failed_once(after(30_001));
    assert_eq!(failed(&actions), [1]);
}

/// A body without a known length that ends before what is waited for: what came is progress.
#[test]
fn n6_a_whole_body_that_ends_early_begins_again_at_once_if_it_brought_something() {
    let mut told = Told::of(None, &[], true, no_readahead);
    told.demand(1, 5000);
    told.begin_whole(1);
    told.written(1, ByteRange::new(0, 1000));
    let actions = told.complete(1);
    assert!(failed(&actions).is_empty());
    assert_eq!(
        started(&actions).iter().map(|start| (start.0, start.2)).collect::<Vec<_>>(),
        [(2, 1)]
    );
    told.begin_whole(2);
    told.written(2, ByteRange::new(0, 1000));
    assert_eq!(started(&told.complete(2)), [], "the same again is none");
    assert!(matches!(told.next(), Some((_, TimeoutReason::Backoff))));
}

#[test]
fn n4_a_failure_is_told_to_those_alone_who_wait_for_its_bytes() {
    let mut told = Told::demands_only(&[]);
    told.wait(1, ByteRange::new(1000, 2000), Urgency::Fill);
    told.hint(1, ByteRange::at(5 * MIB, MIB));
    assert_eq!(told.scheduler.view(RESOURCE).in_flight.len(), 2);
    assert!(failed(&told.fail(2, Remedy::GiveUp)).is_empty());
    assert_eq!(failed(&told.fail(1, Remedy::GiveUp)), [1]);
}

#[test]
fn e12_the_error_of_an_answer_without_a_byte_says_where() {
    let mut told = Told::new(&[], |tunables| {
        no_readahead(tunables);
        tunables.retry.max_attempts = 1;
    });
    told.demand(1, 700);
    let actions = told.complete(1);
    let [Action::FailDemand { error: Error::Truncated { at: 700 }, .. }] = actions[..] else {
        panic!("{actions:?}");
    };
}
