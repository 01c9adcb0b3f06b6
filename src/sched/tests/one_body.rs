//! The one body of a server without ranges, at its very borders: told to the scheduler directly.

use super::MIB;
use super::told::{RESOURCE, Told, failed, started, stopped};
use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::ids::{DemandId, FetchId, ReaderId};
use crate::sched::event::{FetchOutcome, Remedy};
use crate::sched::{Action, Event, TimeoutReason, Urgency};

const LEN: u64 = 100 * MIB;

fn tune(tunables: &mut Tunables) {
    tunables.readahead.max_window = 4 * MIB;
    tunables.retry.jitter = 0.0;
}

/// A body that was asked for by a read at its start and has brought `head` bytes.
fn streaming(head: u64) -> Told {
    let mut told = Told::of(Some(LEN), &[], true, tune);
    told.at = 1000;
    told.demand(1, 0);
    told.begin_whole(1);
    told.written(1, ByteRange::new(0, head));
    told
}

/// Whether the body is to be left unread from now on, or is to go on.
fn pause(actions: &[Action]) -> Option<bool> {
    actions.iter().find_map(|action| match action {
        Action::PauseFetch { paused, .. } => Some(*paused),
        _ => None,
    })
}

/// The marks that the reader is told.
fn marks(actions: &[Action]) -> Vec<u64> {
    let mark = |action: &Action| match action {
        Action::SetRefill { at, .. } => Some(*at),
        _ => None,
    };
    actions.iter().filter_map(mark).collect()
}

#[test]
fn d4_a_body_is_paused_a_whole_window_ahead_and_its_time_counts_from_then_on() {
    let mut told = streaming(4 * MIB - 1);
    told.at = 2000;
    let actions = told.written(1, ByteRange::new(4 * MIB - 1, 4 * MIB));
    assert_eq!(pause(&actions), Some(true));
    assert_eq!(told.next(), Some((7000, TimeoutReason::PausedBody)));
}

#[test]
fn d4_a_paused_body_goes_on_when_its_reader_is_half_a_window_behind() {
    let mut told = streaming(4 * MIB);
    assert_eq!(pause(&told.moved(2 * MIB - 1)), None);
    assert_eq!(pause(&told.moved(2 * MIB)), Some(false));
    assert_eq!(told.next(), None, "it has all the time");
}

#[test]
fn d4_a_paused_body_goes_on_for_a_read_in_front_of_it_and_is_not_paused_while_one_waits() {
    let mut told = streaming(4 * MIB);
    told.tell(Event::ReaderOpened { resource: RESOURCE, reader: ReaderId(2), position: 0 });
    let (reader, demand, range) = (ReaderId(2), DemandId(9), ByteRange::at(9 * MIB, MIB));
    let fill = Event::Demand { reader, demand, range, urgency: Urgency::Fill };
    assert_eq!(pause(&told.tell(fill)), Some(false));
    assert_eq!(pause(&told.written(1, ByteRange::new(4 * MIB, 9 * MIB))), None);
}

#[test]
fn d4_the_marks_of_a_body_are_a_quarter_window_on_and_half_a_window_behind_a_paused_one() {
    let mut told = Told::of(Some(LEN), &[], true, tune);
    told.demand(1, 0);
    told.begin_whole(1);
    assert!(marks(&told.written(1, ByteRange::new(0, 1000))).is_empty());
    assert_eq!(marks(&told.moved(2 * MIB)), [3 * MIB], "a quarter of the window on");
    let actions = told.written(1, ByteRange::new(1000, 10 * MIB));
    assert_eq!((pause(&actions), marks(&actions)), (Some(true), vec![8 * MIB]));
    let actions = told.end(1, FetchOutcome::Cancelled);
    assert_eq!(marks(&actions), [u64::MAX], "nothing to say any more");
}

#[test]
fn e10_a_read_at_the_very_head_of_the_body_waits_for_it() {
    let mut told = streaming(MIB);
    assert!(stopped(&told.demand(2, MIB)).is_empty());
    assert!(stopped(&told.demand(3, MIB + 1)).is_empty());
}

#[test]
fn e10_a_read_behind_the_body_stops_it_and_the_new_one_begins_once_it_has_ended() {
    let mut told = streaming(MIB);
    told.tell(Event::Shrunk { resource: RESOURCE, range: ByteRange::new(0, 10) });
    let actions = told.demand(2, 5);
    assert_eq!((stopped(&actions), started(&actions)), (vec![1], vec![]));
    let actions = told.end(1, FetchOutcome::Cancelled);
    assert_eq!(started(&actions), [(2, ByteRange::new(0, LEN), 1)]);
}

#[test]
fn e10_while_the_body_backs_off_nothing_is_asked_for() {
    let mut told = streaming(MIB);
    told.demand(2, 5 * MIB);
    let actions = told.fail(1, Remedy::Retry { after: None });
    assert_eq!((started(&actions), failed(&actions)), (vec![], vec![]));
    assert_eq!(told.next(), Some((1250, TimeoutReason::Backoff)));
    assert_eq!(started(&told.tick(1250)), [(2, ByteRange::new(0, LEN), 2)]);
}

/// A range that was being fetched when the server stopped doing ranges is not worth its connection.
#[test]
fn e10_a_whole_body_takes_the_place_of_a_part_that_is_coming() {
    let mut told = Told::of(Some(LEN), &[], true, tune);
    let [one, other] = [ByteRange::at(0, MIB), ByteRange::at(50 * MIB, MIB)];
    told.hint(1, one);
    told.hint(2, other);
    told.begin(1, one);
    assert_eq!(stopped(&told.begin_whole(2)), [1]);
}

#[test]
fn e10_a_whole_body_that_has_begun_stays_and_one_that_begins_later_goes() {
    let mut told = Told::of(Some(LEN), &[], true, tune);
    told.hint(1, ByteRange::at(0, MIB));
    told.hint(2, ByteRange::at(50 * MIB, MIB));
    assert_eq!(stopped(&told.begin_whole(2)), [1]);
    assert!(stopped(&told.begin_whole(1)).is_empty(), "it is ending already");
    assert_eq!(told.scheduler.fetches.whole(RESOURCE).map(|(id, _)| id), Some(FetchId(2)));
}

/// Whatever is missing of it would have to come from its start on.
#[test]
fn e10_a_body_that_broke_backs_off_as_a_whole() {
    let mut told = streaming(MIB);
    told.tell(Event::Shrunk { resource: RESOURCE, range: ByteRange::new(0, 10) });
    told.tell(Event::ReaderOpened { resource: RESOURCE, reader: ReaderId(2), position: 0 });
    let (reader, demand, range) = (ReaderId(2), DemandId(9), ByteRange::at(5 * MIB, MIB));
    told.tell(Event::Demand { reader, demand, range, urgency: Urgency::Blocked });
    told.fail(1, Remedy::Retry { after: None });
    assert_eq!(started(&told.demand(2, 5)), []);
    assert_eq!(started(&told.tick(1250)), [(2, ByteRange::new(0, LEN), 2)]);
}
