//! Failures: what is tried again, when, and what readers are told.

use super::{KIB, MIB, fast, of_class, ranges};
use crate::byte_range::ByteRange;
use crate::error::{Error, NetworkErrorKind};
use crate::sched::event::Remedy;
use crate::sched::sim::{Fault, Sim, ms};
use crate::sched::{Class, TimeoutReason};
use crate::time::Micros;

const RETRY: Fault = Fault::Fail(Remedy::Retry { after: None });

/// Each request over a connection of its own making: a failed one takes its connection with it.
fn cold() -> Sim {
    fast().tuned(|tunables| tunables.fetch.preconnect = false)
}

fn steady() -> Sim {
    cold().tuned(|tunables| tunables.retry.jitter = 0.0)
}

fn gaps(sim: &Sim) -> Vec<u64> {
    sim.requests.windows(2).map(|pair| (pair[1].at - pair[0].at).0 / 1000).collect()
}

/// N4, defect 14 of the peers: a failed range is asked for again, after pauses that double.
#[test]
fn n4_a_failed_request_is_repeated_after_pauses_that_double() {
    let mut sim = steady();
    sim.set_server(|server| server.always = Some(RETRY));
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    // A new connection and a round trip each, 200 ms, and then the pause.
    assert_eq!(gaps(&sim), [450, 700, 1200, 2200]);
    let attempts: Vec<u32> = sim.requests.iter().map(|request| request.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 5]);
    assert_eq!(sim.errors(reader).len(), 1);
}

/// E7: after the error the same reader reads again, and the engine tries again.
#[test]
fn e7_after_the_attempts_are_used_up_the_same_reader_can_read_again() {
    let mut sim = steady();
    sim.set_server(|server| server.always = Some(RETRY));
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.set_server(|server| server.always = None);
    let waited = sim.run_until_ready(reader);
    assert!(waited <= ms(205), "at once: {waited:?}");
    assert_eq!(sim.requests.last().map(|request| request.attempt), Some(1));
    assert_eq!(sim.errors(reader).len(), 1);
}

#[test]
fn n4_jitter_shortens_pauses_and_depends_on_the_seed_alone() {
    let run = |seed| {
        let mut sim = cold().seed(seed);
        sim.set_server(|server| server.always = Some(RETRY));
        let reader = sim.open_reader(0);
        sim.run_until_ready(reader);
        gaps(&sim)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    for (gap, whole) in run(3).iter().zip([450, 700, 1200, 2200]) {
        let least = 200 + (whole - 200) * 7 / 10;
        assert!((least..=whole).contains(gap), "{gap} of {whole}");
    }
}

#[test]
fn n3_a_body_that_breaks_is_asked_for_again_from_the_first_missing_byte() {
    let mut sim = steady().fault(1, Fault::Cut(100_000));
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(1000));
    assert_eq!(ranges(&sim)[1].start, 100_000);
    assert_eq!(sim.requests[1].attempt, 2);
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn n4_progress_begins_the_count_of_attempts_anew() {
    let mut sim = steady();
    sim.set_server(|server| server.always = Some(Fault::Cut(20_000)));
    let reader = sim.open_reader(0);
    sim.play(reader, 1 << 40);
    sim.run_for(ms(20_000));
    assert!(sim.errors(reader).is_empty());
    assert!(sim.position(reader) > 300_000, "{}", sim.position(reader));
    assert!(sim.requests.iter().all(|request| request.attempt <= 2));
}

#[test]
fn n6_the_rest_of_a_short_answer_is_asked_for_at_once() {
    let mut sim = steady().fault(1, Fault::Short(100_000));
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(1000));
    assert_eq!(ranges(&sim)[1].start, 100_000);
    assert!(sim.requests[1].at < ms(230), "{:?}", sim.requests[1]);
    assert_eq!(sim.requests[1].attempt, 1);
}

#[test]
fn n6_answers_without_a_single_byte_are_attempts() {
    let mut sim = steady();
    sim.set_server(|server| server.always = Some(Fault::Short(0)));
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    assert_eq!(sim.requests.len(), 5);
    assert!(matches!(sim.errors(reader), [Error::Truncated { at: 0 }]), "{:?}", sim.errors(reader));
}

#[test]
fn n4_retry_after_is_honoured_without_holding_a_slot() {
    let busy = Fault::Fail(Remedy::Retry { after: Some(ms(7000)) });
    let mut sim = steady().slots(1).fault(1, busy);
    let reader = sim.open_reader(0);
    sim.read(reader);
    sim.run_for(ms(1000));
    assert_eq!(sim.scheduler.view(crate::ids::ResourceId(1)).in_flight, []);
    assert_eq!(sim.scheduler.next_timeout(), Some((ms(7200), TimeoutReason::Backoff)));
    let other = sim.open_reader(50 * MIB);
    assert!(sim.run_until_ready(other) < ms(300), "the slot is free for another read");
    sim.run_until_ready(reader);
    assert!(sim.now() >= ms(7300) && sim.now() < ms(7500), "{:?}", sim.now());
}

/// Defect 19 of the peers: 429 pauses read-ahead, and kills nothing.
#[test]
fn n4_while_an_origin_asks_for_patience_nothing_is_read_ahead_from_it() {
    let busy = Fault::Fail(Remedy::Retry { after: Some(ms(7000)) });
    let mut sim = steady().fault(1, busy);
    sim.hint(ByteRange::new(0, MIB), None);
    sim.run_for(ms(1000));
    sim.hint(ByteRange::new(100 * MIB, 101 * MIB), None);
    sim.run_for(ms(5000));
    assert_eq!(sim.requests.len(), 1);
    sim.run_for(ms(5000));
    assert_eq!(sim.requests.len(), 3);
}

/// A server that has named a time would refuse again, and count anew.
#[test]
fn n4_a_read_does_not_ask_within_the_time_that_was_named_to_read_ahead() {
    let busy = Fault::Fail(Remedy::Retry { after: Some(ms(7000)) });
    let mut sim = steady().fault(1, busy);
    sim.hint(ByteRange::new(0, MIB), None);
    sim.run_for(ms(1000));
    let reader = sim.open_reader(1000);
    sim.run_until_ready(reader);
    assert!(sim.now() >= ms(7300) && sim.now() < ms(7500), "{:?}", sim.now());
    assert!(sim.requests[1].at >= ms(7200), "{:?}", sim.requests[1]);
    assert!(sim.errors(reader).is_empty());
}

#[test]
fn n4_a_retry_after_that_is_too_long_fails_the_read_at_once() {
    let busy = Fault::Fail(Remedy::Retry { after: Some(ms(30_001)) });
    let mut sim = steady().fault(1, busy);
    let reader = sim.open_reader(0);
    assert!(sim.run_until_ready(reader) <= ms(201));
    assert_eq!(sim.errors(reader).len(), 1);
    assert!(sim.run_until_ready(reader) <= ms(300), "the next read may try");
}

#[test]
fn n4_a_failure_that_no_retry_helps_is_told_at_once_and_is_not_final() {
    let mut sim = steady().fault(1, Fault::Fail(Remedy::GiveUp));
    let reader = sim.open_reader(0);
    assert!(sim.run_until_ready(reader) <= ms(201));
    assert_eq!((sim.errors(reader).len(), sim.requests.len()), (1, 1));
    sim.run_until_ready(reader);
    assert_eq!(sim.errors(reader).len(), 1);
}

#[test]
fn e7_a_fatal_failure_finishes_the_resource() {
    let mut sim = steady().fault(2, Fault::Fail(Remedy::Fatal));
    let (one, other) = (sim.open_reader(0), sim.open_reader(100 * MIB));
    sim.read(one);
    sim.run_for(ms(1));
    sim.run_until_ready(other);
    assert_eq!(sim.fatal.len(), 1);
    let asked = sim.requests.len();
    sim.run_for(ms(1000));
    sim.run_until_ready(other);
    sim.run_for(ms(60_000));
    assert_eq!(sim.requests.len(), asked, "nothing is asked for any more");
    assert_eq!((sim.errors(one).len(), sim.errors(other).len()), (1, 2));
    assert_eq!(sim.fatal.len(), 1);
}

#[test]
fn n4_a_read_fails_when_its_time_budget_is_used_up() {
    let mut sim = steady().tuned(|tunables| tunables.retry.budget = ms(3000).to_duration());
    sim.set_server(|server| server.always = Some(RETRY));
    let reader = sim.open_reader(0);
    assert_eq!(sim.run_until_ready(reader), ms(3000));
    assert_eq!(sim.errors(reader).len(), 1);
}

/// E12: the fourth try begins at 2350 ms and takes 200 ms; what the third came to is told, not the mere clock.
#[test]
fn e12_a_budget_that_ends_during_a_try_tells_why_the_one_before_failed() {
    let mut sim = steady().tuned(|tunables| tunables.retry.budget = ms(2450).to_duration());
    sim.set_server(|server| server.always = Some(RETRY));
    let reader = sim.open_reader(0);
    assert_eq!(sim.run_until_ready(reader), ms(2450));
    assert_eq!(sim.requests.len(), 4);
    assert!(!is_timeout(&sim.errors(reader)[0]), "{:?}", sim.errors(reader));
}

/// Without any failure before, the clock is all there is to tell.
#[test]
fn e12_a_budget_that_ends_during_the_first_try_is_a_timeout() {
    let mut sim = steady().tuned(|tunables| tunables.retry.budget = ms(150).to_duration());
    let reader = sim.open_reader(0);
    assert_eq!(sim.run_until_ready(reader), ms(150));
    assert!(is_timeout(&sim.errors(reader)[0]), "{:?}", sim.errors(reader));
}

fn is_timeout(error: &Error) -> bool {
    matches!(error, Error::Network(error) if error.kind == NetworkErrorKind::TimedOut)
}

#[test]
fn n4_bytes_on_the_way_to_a_read_renew_its_time_budget() {
    let mut sim = Sim::new(64 * MIB).rate(20_000).stored_before(&[]);
    sim = sim.tuned(|tunables| {
        tunables.retry.budget = ms(2000).to_duration();
        tunables.fetch.wait_min = MIB;
    });
    sim.hint(ByteRange::new(0, 400_000), None);
    sim.run_for(ms(3000));
    let reader = sim.open_reader(300_000);
    let waited = sim.run_until_ready(reader);
    assert!(waited > ms(10_000), "{waited:?}");
    assert!(sim.errors(reader).is_empty());
}

#[test]
fn n4_failing_read_ahead_does_not_hammer_the_origin() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(500));
    sim.set_server(|server| server.always = Some(RETRY));
    let asked = sim.requests.len();
    sim.seek(reader, 300 * KIB);
    sim.read(reader);
    sim.run_for(ms(60_000));
    let tried = sim.requests.len() - asked;
    assert!((5..=7).contains(&tried), "five attempts and one per cool-down: {tried}");
    assert!(sim.errors(reader).is_empty(), "nobody waited for it");
}

#[test]
fn e7_a_read_does_not_wait_for_the_pause_of_failed_read_ahead() {
    let mut sim = steady().fault(1, RETRY).fault(2, RETRY).fault(3, RETRY);
    sim.hint(ByteRange::new(0, MIB), None);
    sim.run_for(ms(1500));
    assert_eq!(sim.requests.len(), 3);
    let reader = sim.open_reader(1000);
    assert!(sim.run_until_ready(reader) <= ms(205));
    assert_eq!(of_class(&sim, Class::Blocked)[0].range.start, 1000);
}

#[test]
fn n2_a_stalled_body_is_asked_for_again_after_its_timeout() {
    let mut sim = steady().fault(1, Fault::Stall(50_000));
    let reader = sim.open_reader(0);
    sim.play(reader, 1 << 40);
    sim.run_for(ms(11_500));
    assert!(sim.position(reader) > 400_000, "{}", sim.position(reader));
    assert_eq!(sim.requests[1].range.start, 50_000);
    assert!(sim.errors(reader).is_empty());
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn n4_a_closed_resource_leaves_no_timers() {
    let mut sim = steady();
    sim.set_server(|server| server.always = Some(RETRY));
    let reader = sim.open_reader(0);
    sim.read(reader);
    sim.run_for(ms(300));
    sim.tell(crate::sched::Event::ResourceClosed { resource: crate::ids::ResourceId(1) });
    sim.run_for(Micros(0));
    assert_eq!(sim.scheduler.next_timeout(), None);
}
