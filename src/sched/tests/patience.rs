//! What is looked at again later, and when: told to the scheduler directly.

use super::MIB;
use super::told::{READER, RESOURCE, Told, failed, no_readahead, started, stopped};
use crate::byte_range::ByteRange;
use crate::sched::{Class, Event, TimeoutReason, Urgency};
use crate::time::Micros;

/// A place where everything is stored.
const ELSEWHERE: ByteRange = ByteRange { start: 50 * MIB, end: 60 * MIB };
/// Another one.
const THIRD: ByteRange = ByteRange { start: 80 * MIB, end: 90 * MIB };

/// A blocked read for which a request of 4 MiB runs, and nothing else looked at than what is told of here.
fn waiting() -> Told {
    let mut told = Told::new(&[ELSEWHERE, THIRD], |tunables| {
        no_readahead(tunables);
        tunables.hedging.enabled = false;
        tunables.fetch.demand_min = 4 * MIB;
        tunables.fetch.demand_max = 4 * MIB;
    });
    told.at = 1000;
    told.demand(1, 0);
    told
}

#[test]
fn n4_a_blocked_read_has_its_time_budget() {
    let told = waiting();
    assert_eq!(told.next(), Some((31_000, TimeoutReason::DemandBudget)));
}

#[test]
fn p3_reading_stored_bytes_elsewhere_leaves_the_old_place_its_grace() {
    let mut told = waiting();
    assert!(stopped(&told.moved(ELSEWHERE.start)).is_empty());
    assert_eq!(told.next(), Some((1020, TimeoutReason::SeekGrace)));
}

#[test]
fn p3_after_the_grace_nothing_runs_that_nobody_wants() {
    let mut told = waiting();
    told.withdraw(1);
    told.moved(ELSEWHERE.start);
    assert!(stopped(&told.tick(1019)).is_empty());
    assert_eq!(stopped(&told.tick(1020)), [1]);
}

#[test]
fn p5_a_far_move_during_the_grace_ends_it_at_once() {
    let mut told = waiting();
    told.withdraw(1);
    told.moved(ELSEWHERE.start);
    told.at = 1005;
    assert_eq!(stopped(&told.moved(THIRD.start)), [1]);
    assert_eq!(told.next(), None);
}

#[test]
fn d2_a_withdrawn_wait_leaves_only_the_grace_and_no_other_timer() {
    let mut told = waiting();
    told.withdraw(1);
    assert_eq!(told.next(), Some((1020, TimeoutReason::SeekGrace)));
    told.tick(1020);
    assert_eq!(told.next(), None);
}

/// What asks for a look in the meantime gets the one that is set, not a later one.
#[test]
fn p3_a_grace_that_runs_is_not_prolonged() {
    let mut told = waiting();
    told.withdraw(1);
    told.at = 1010;
    told.hint(1, ELSEWHERE);
    told.tell(Event::HintWithdrawn { hint: crate::ids::HintId(1) });
    assert_eq!(told.next(), Some((1020, TimeoutReason::SeekGrace)));
}

#[test]
fn d2_where_nothing_runs_a_withdrawn_wait_needs_no_look() {
    let mut told = Told::demands_only(&[]);
    told.tell(Event::Tuned { tunables: Box::default() });
    let mut tunables = crate::config::Tunables::default();
    no_readahead(&mut tunables);
    tunables.fetch.max_fetches = 1;
    told.tell(Event::Tuned { tunables: Box::new(tunables) });
    told.demand(1, 0);
    told.fail(1, crate::sched::Remedy::Retry { after: None });
    told.withdraw(1);
    assert!(matches!(told.next(), Some((_, TimeoutReason::Backoff))), "{:?}", told.next());
    assert_eq!(told.scheduler.timers.at(crate::sched::timer::Timer::SeekGrace(RESOURCE)), None);
}

/// A fetch that runs from the start and a read 100 kB in front of it, which is worth waiting for: by the guess
/// a new request takes 240 ms.
fn reviewed() -> Told {
    let mut told = waiting();
    told.demand(2, 100_000);
    assert_eq!(told.next(), Some((1240, TimeoutReason::WaitReview)));
    told
}

/// Has everything planned anew.
fn plan_again(told: &mut Told, at: u64) {
    told.at = at;
    told.tell(Event::RateDeclared { resource: RESOURCE, bytes_per_second: Some(at) });
}

#[test]
fn p3_planning_again_does_not_put_off_the_look_at_a_wait() {
    let mut told = reviewed();
    plan_again(&mut told, 1100);
    assert_eq!(told.next(), Some((1240, TimeoutReason::WaitReview)));
}

#[test]
fn p3_a_look_that_has_taken_place_sets_the_next_one() {
    for at in [1240, 1250] {
        let mut told = reviewed();
        plan_again(&mut told, at);
        assert_eq!(told.next(), Some((at + 240, TimeoutReason::WaitReview)));
    }
}

#[test]
fn d2_nobody_looks_again_at_a_wait_that_is_over() {
    let mut told = reviewed();
    told.withdraw(2);
    assert_eq!(told.next(), Some((1020, TimeoutReason::SeekGrace)));
    told.tick(1020);
    assert_eq!(told.next(), None);
}

#[test]
fn a5_offline_a_read_whose_first_byte_is_stored_is_not_refused() {
    let stored = [ByteRange::new(0, 10)];
    let mut told = Told::of(Some(MIB), &stored, false, no_readahead);
    assert!(failed(&told.wait(1, ByteRange::new(0, 100), Urgency::Blocked)).is_empty());
    assert_eq!(failed(&told.wait(2, ByteRange::new(10, 100), Urgency::Blocked)), [2]);
    assert_eq!(failed(&told.wait(3, ByteRange::new(0, 100), Urgency::Fill)), [3]);
}

/// Bookkeeping that decides whose slot a blocked read may take.
#[test]
fn p1_a_running_fetch_is_urgent_while_a_read_waits_for_it_and_not_much_less_so_afterwards() {
    let mut told = Told::demands_only(&[]);
    told.hint(1, ByteRange::new(0, MIB));
    assert_eq!(told.classes(), [Class::Hint]);
    told.demand(1, 1000);
    assert_eq!(told.classes(), [Class::Blocked]);
    told.withdraw(1);
    assert_eq!(told.classes(), [Class::FirstWindow]);
}

/// Neither the time of a pause counts nor what is read meanwhile.
#[test]
fn p4_a_pause_does_not_change_the_observed_consumption() {
    let mut told = Told::new(&[ByteRange::new(0, 90 * MIB)], |tunables| {
        tunables.readahead.whole_file = 0;
    });
    let playing = |playing| Event::PlayingChanged { resource: RESOURCE, playing };
    for (at, position) in [(0, 0), (500, 500_000), (1000, 1_000_000)] {
        told.at = at;
        told.moved(position);
    }
    told.tell(playing(false));
    for step in 1..=5 {
        told.at = 1000 + step * 2500;
        told.moved(1_000_000 + step * 100_000);
    }
    told.at = 100_000;
    told.tell(playing(true));
    told.at = 101_000;
    told.moved(2_500_000);
    let cursor = told.scheduler.resources[&RESOURCE].cursors.one(READER);
    assert_eq!(cursor.and_then(|cursor| cursor.consumption.rate()), Some(1e6));
}

/// The window grows with a wait in the middle of a run, not with reads of what is there.
#[test]
fn p4_only_a_read_that_runs_dry_doubles_the_window() {
    let window = |stored: u64, dry: bool| {
        let mut told = Told::new(&[ByteRange::new(0, stored)], |tunables| {
            tunables.readahead.whole_file = 0;
        });
        told.moved(0);
        told.moved(1000);
        match dry {
            true => told.demand(1, 200_000),
            false => told.moved(200_000),
        };
        told.scheduler.view(RESOURCE).window
    };
    assert_eq!(window(MIB, false), 400_000, "twice what was read");
    assert_eq!(window(200_000, true), 512 << 10);
}

#[test]
fn a_clock_that_goes_back_is_held() {
    let mut told = waiting();
    told.at = 10;
    told.withdraw(1);
    assert_eq!(told.next(), Some((1020, TimeoutReason::SeekGrace)));
    assert_eq!(told.scheduler.now, Micros::from_millis(1000));
}

#[test]
fn p9_what_is_believed_about_an_origin_is_shown() {
    let mut told = waiting();
    let origin = super::told::ORIGIN;
    assert_eq!(told.scheduler.estimate(origin), crate::sched::Estimate::default());
    told.begin(1, ByteRange::new(0, 4 * MIB));
    told.at = 1100;
    told.written(1, ByteRange::new(0, 1_000_000));
    assert_eq!(told.scheduler.estimate(origin).rate, Some(10_000_000));
}

/// The second far seek within 300 ms; going on from there is no scrubbing any more, but a jump is.
#[test]
fn p5_while_the_user_scrubs_a_read_asks_for_little() {
    let mut told = Told::of(Some(100 * MIB), &[], true, |tunables| {
        tunables.readahead.enabled = false;
        tunables.fetch.max_fetches = 6;
    });
    let asked = |told: &mut Told, at: u64, id: u64, place: u64| {
        told.at = at;
        started(&told.demand(id, place)).iter().map(|start| start.1.len()).collect::<Vec<_>>()
    };
    assert_eq!(asked(&mut told, 0, 1, 0), [400_000]);
    assert_eq!(asked(&mut told, 1000, 2, 30 * MIB), [400_000]);
    assert_eq!(asked(&mut told, 1200, 3, 60 * MIB), [64 << 10]);
    assert_eq!(asked(&mut told, 1201, 4, 60 * MIB + (256 << 10)), [64 << 10]);
    told.begin(4, ByteRange::at(60 * MIB + (256 << 10), 64 << 10));
    told.written(4, ByteRange::at(60 * MIB + (256 << 10), 64 << 10));
    assert_eq!(asked(&mut told, 1202, 5, 60 * MIB + (320 << 10)), [400_000]);
}
