//! The planner's own decisions, each on a resource made for it.

use super::*;
use crate::ids::{OriginId, ResourceId};
use crate::sched::cursors::WentFar;
use crate::sched::hedge::Late;
use crate::sched::inflight::Fetch;
use crate::sched::scrub::Scrub;
use crate::sched::scrub::spots::Spots;
use crate::sched::segment_map::SegmentMap;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const LEN: u64 = 100 * MIB;
pub(super) const READER: ReaderId = ReaderId(1);
pub(super) const NOW: Micros = Micros::from_millis(1000);

/// Asks a planner about a resource of which `covered` is stored, whose reader has begun at 0 and gone on to
/// `at`. The link: 100 ms, 1 MB/s.
pub(super) fn plan_with<T>(
    covered: &[ByteRange],
    at: u64,
    ask: impl FnOnce(&mut Planner<'_>) -> T,
) -> T {
    plan_over(&Inflight::default(), covered, at, ask)
}

/// The same while these fetches run.
fn plan_over<T>(
    fetches: &Inflight,
    covered: &[ByteRange],
    at: u64,
    ask: impl FnOnce(&mut Planner<'_>) -> T,
) -> T {
    let tunables = Tunables::default();
    let mut resource = Resource::new(ResourceId(1), OriginId(1), Some(LEN), covered, true);
    resource.cursors.open(READER, 0);
    for position in [0, at] {
        let far = resource.cursors.moved(READER, position, LEN, true, NOW, &tunables.readahead);
        assert_eq!(far, WentFar(false));
    }
    let round_trip = Micros::from_millis(100);
    let link = Link {
        late: Micros(0),
        round_trip,
        first_byte: round_trip,
        cold: round_trip,
        flow: 1e6,
        path: 1e6,
    };
    let outlook = Outlook {
        now: NOW,
        tunables: &tunables,
        link,
        open: round_trip,
        ramp: link.ramp(),
        alone: true,
        carried: None,
        fetches,
    };
    ask(&mut Planner::new(&mut resource, &outlook))
}

pub(super) fn window(at: u64, len: u64, size: u64) -> Window {
    let range = ByteRange::at(at, len);
    let (primary, here, settled) = (true, true, true);
    Window {
        reader: READER,
        primary,
        here,
        rate: None,
        range,
        size,
        reserve: 0,
        settled,
        grows_from: None,
    }
}

/// 1.2 x 100 ms and two doublings of the 14 KiB that a connection sends at once are 320 ms.
#[test]
fn p4_the_next_request_goes_out_a_little_more_than_its_first_byte_time_before_the_end() {
    plan_with(&[], 1, |planner| assert!(planner.outlook.lead(u64::MAX).abs_diff(320_000) <= 1));
}

/// The next connection opens its window beside an eighth of the last request at most.
#[test]
fn p4_after_a_small_request_the_next_one_goes_out_later() {
    let leads = [0, 800_000, 1_600_000, 1_608_000]
        .map(|last| plan_with(&[], 1, |planner| planner.outlook.lead(last)));
    let told = [120_000, 220_000, 320_000, 320_000u64];
    assert!(leads.iter().zip(told).all(|(lead, told)| lead.abs_diff(told) <= 1), "{leads:?}");
}

#[test]
fn p4_a_gap_has_its_turn_when_no_more_than_the_lead_is_under_way_before_it() {
    for (more, watch) in [(0, None), (1, Some(1)), (5000, Some(5000))] {
        plan_with(&[], 1, |planner| {
            let lead = planner.outlook.lead(u64::MAX);
            planner.resource.map.take(ByteRange::new(0, 1000), FetchId(1));
            planner.resource.map.take(ByteRange::new(1000, lead + more), FetchId(2));
            let next = planner.next(ByteRange::new(0, LEN), lead);
            match watch {
                None => assert!(matches!(next, Next::Gap(gap) if gap.start == lead)),
                Some(_) => assert!(matches!(next, Next::Later)),
            }
            assert_eq!(planner.plan.watch, watch);
        });
    }
}

#[test]
fn p4_of_two_gaps_whose_turn_is_to_come_the_nearer_one_is_watched() {
    plan_with(&[], 1, |planner| {
        let lead = planner.outlook.lead(u64::MAX);
        for (start, more) in [(0, 500), (20 * MIB, 100), (40 * MIB, 900)] {
            planner.resource.map.take(ByteRange::at(start, lead + more), FetchId(1));
            assert!(matches!(planner.next(ByteRange::at(start, 20 * MIB), lead), Next::Later));
        }
        assert_eq!(planner.plan.watch, Some(100));
    });
}

#[test]
fn p4_a_window_is_filled_from_half_empty_until_full() {
    let filling = |was: bool, window: &Window, have: u64| {
        plan_with(&[], 1, |planner| {
            planner.stream_at(READER, u64::MAX).expect("it has read").filling = was;
            planner.is_filling(window, window.range.start + have)
        })
    };
    let whole = window(5, 8 * MIB, 8 * MIB);
    assert!(filling(false, &whole, 4 * MIB));
    assert!(!filling(false, &whole, 4 * MIB + 1));
    assert!(filling(true, &whole, 7 * MIB));
    assert!(!filling(true, &whole, 7 * MIB + 1), "what is left of it would be a crumb");
    // Cut off by the end of the resource: there the last byte is no crumb.
    let tail = window(5, 2 * MIB, 8 * MIB);
    assert!(filling(true, &tail, 2 * MIB - 1));
    assert!(!filling(true, &tail, 2 * MIB));
    assert!(!filling(false, &tail, 2 * MIB));
}

#[test]
fn p4_the_reader_of_a_small_resource_has_a_resting_mark_while_all_of_it_is_fetched() {
    let mark = |small: bool| {
        let stored = [ByteRange::new(0, 2 * MIB)];
        plan_with(&stored, MIB, |planner| {
            let window = window(MIB, 8 * MIB, 8 * MIB);
            planner.ahead(&window, small, true);
            let expected = |filling| size::refill_mark(&window, 2 * MIB, filling);
            assert_ne!(expected(true), expected(false));
            assert_eq!(planner.plan.refills, [(READER, expected(!small))]);
            planner.plan.segments.len()
        })
    };
    assert_eq!((mark(true), mark(false)), (1, 1));
}

#[test]
fn p1_read_ahead_is_near_in_the_first_half_of_the_window_and_due_when_the_reader_gets_there() {
    let urgency = |ahead: u64, primary: bool| {
        plan_with(&[], 2 * MIB, |planner| {
            let window = Window { primary, ..window(2 * MIB, 8 * MIB, 8 * MIB) };
            planner.urgency(2 * MIB + ahead, &window)
        })
    };
    assert_eq!(urgency(2_000_000, true), (Class::Near, NOW + Micros::from_millis(2000)));
    assert_eq!(urgency(4 * MIB - 1, true).0, Class::Near);
    assert_eq!(urgency(4 * MIB, true).0, Class::Far);
    assert_eq!(urgency(0, false).0, Class::Secondary);
}

/// Both are in front of the same running fetch, so neither place is queued for all to see.
#[test]
fn p6_a_request_ends_where_another_one_of_the_same_plan_begins() {
    plan_with(&[], 1, |planner| {
        planner.resource.map.take(ByteRange::new(0, 8 * MIB), FetchId(1));
        for at in [MIB + 300 * KIB, MIB + 150 * KIB, MIB] {
            planner.open(NOW, READER, at, Some(FetchId(1)));
        }
        let ranges: Vec<ByteRange> = planner.plan.segments.iter().map(|s| s.range).collect();
        let middle = ByteRange::at(MIB + 150 * KIB, 150 * KIB);
        assert_eq!(ranges[1..], [middle, ByteRange::at(MIB, 150 * KIB)]);
    });
}

#[test]
fn p4_read_ahead_doubles_the_last_request_of_its_stream() {
    plan_with(&[ByteRange::new(0, MIB)], 1000, |planner| {
        planner.stream_at(READER, u64::MAX).expect("it has read").last_size = 300_000;
        planner.ahead(&window(1000, 8 * MIB, 8 * MIB), false, true);
        let ranges: Vec<ByteRange> = planner.plan.segments.iter().map(|s| s.range).collect();
        assert_eq!(ranges, [ByteRange::at(MIB, 600_000)]);
    });
}

/// What is asked for beside a fetch of `bytes` at 1 MiB that is late from its beginning on, by a reader at `at`
/// whose last request was of `last` bytes; 1.5 MB are the most.
fn relieved(bytes: u64, at: u64, last: u64) -> ByteRange {
    let mut fetches = Inflight::default();
    let late_one = ByteRange::at(MIB, bytes);
    let fetch = fetches.next_id();
    fetches.insert(fetch, Fetch::sent(NOW, late_one));
    plan_over(&fetches, &[ByteRange::new(0, MIB)], at, |planner| {
        planner.resource.map.take(late_one, fetch);
        planner.stream_at(READER, u64::MAX).expect("it has read").last_size = last;
        let (from, reader, blocked) = (MIB, READER, false);
        let late = Late { fetch, from, reader, blocked, split: false, last_resort: false };
        planner.resource.late = vec![late];
        planner.relieve();
        let ranges: Vec<ByteRange> = planner.plan.segments.iter().map(|s| s.range).collect();
        assert_eq!(ranges.len(), 1, "{ranges:?}");
        ranges[0]
    })
}

#[test]
fn p7_the_window_of_one_reader_is_no_measure_for_another() {
    plan_with(&[], 300_000, |planner| {
        let (other, tunables) = (ReaderId(2), planner.outlook.tunables);
        let cursors = &mut planner.resource.cursors;
        cursors.open(other, 0);
        cursors.moved(other, 50 * MIB, LEN, true, NOW, &tunables.readahead);
        let ends = [READER, other, ReaderId(3)].map(|reader| planner.window_end(reader));
        assert!((300_001..MIB).contains(&ends[0]) && ends[1] > 50 * MIB, "{ends:?}");
        assert_eq!(ends[2], 0, "nobody");
    });
}

/// Who has read so much in one go has twice as much in front of it.
#[test]
fn p7_what_helps_out_a_late_fetch_goes_beyond_it_no_farther_than_the_window() {
    assert_eq!(relieved(200_000, 700_000, 400_000), ByteRange::at(MIB, 800_000));
    assert_eq!(relieved(200_000, 700_000, MIB), ByteRange::new(MIB, 2_100_000), "the window");
    assert_eq!(relieved(200_000, 300_000, MIB), ByteRange::at(MIB, 200_000), "it ends before");
    assert_eq!(relieved(3 * MIB, 300_000, MIB), ByteRange::at(MIB, 1_500_000));
}

/// The bytes of a running fetch do not show that they are wanted from another one already.
#[test]
fn p6_what_helps_out_a_late_fetch_ends_where_a_blocked_read_asks() {
    let mut fetches = Inflight::default();
    let late_one = ByteRange::at(MIB, MIB);
    let fetch = fetches.next_id();
    fetches.insert(fetch, Fetch::sent(NOW, late_one));
    plan_over(&fetches, &[ByteRange::new(0, MIB)], 300_000, |planner| {
        planner.resource.map.take(late_one, fetch);
        let (from, reader, blocked) = (MIB, READER, false);
        let late = Late { fetch, from, reader, blocked, split: false, last_resort: false };
        planner.resource.late = vec![late];
        planner.open(NOW, READER, MIB + 100_000, Some(fetch));
        planner.relieve();
        let ranges: Vec<ByteRange> = planner.plan.segments.iter().map(|s| s.range).collect();
        assert_eq!(ranges, [ByteRange::at(MIB + 100_000, 200_000), ByteRange::at(MIB, 100_000)]);
    });
}

/// The next request goes out late over the connection of the running one where its reader has less in hand than 100 kB,
/// what a round trip brings, or twice that if it has just come, and every other connection has its window shut.
#[test]
fn p4_a_reader_with_little_in_hand_waits_for_the_connection_whose_window_is_open() {
    let waits = |rate: Option<f64>, stored: u64, last: u64, change: fn(&mut Outlook<'_>)| {
        plan_with(&[ByteRange::new(0, 10_000 + stored)], 10_000, |planner| {
            planner.stream_at(READER, 10_000).expect("it has read").last_size = last;
            let mut outlook = *planner.outlook;
            change(&mut outlook);
            let (resource, outlook) = (&mut *planner.resource, &outlook);
            let mut planner = Planner::new(resource, outlook);
            let window = Window { rate, ..window(10_000, MIB, MIB) };
            planner.waits_for_connection(&window, 10_000 + stored)
        })
    };
    let fast = Some(5e6);
    assert_eq!([99_999, 100_000].map(|stored| waits(fast, stored, MIB, |_| {})), [true, false]);
    assert_eq!([199_999, 200_000].map(|stored| waits(None, stored, MIB, |_| {})), [true, false]);
    assert_eq!(
        [149_999, 150_000].map(|last| waits(fast, 0, last, |_| {})),
        [false, true],
        "not worth it"
    );
    assert!(
        !waits(fast, 0, MIB, |outlook| outlook.ramp = outlook.link.ramp() - Micros(1)),
        "one is open"
    );
    assert!(!waits(fast, 0, MIB, |outlook| outlook.alone = false), "the link is not its own");
}

/// 100 kB are a round trip's: after requests of eight of these an eleventh of the time is lost at most.
#[test]
fn p4_a_reader_that_takes_less_than_the_path_brings_waits_for_the_connection_after_large_requests()
{
    let waits = |rate: Option<f64>, last: u64| {
        plan_with(&[ByteRange::new(0, 10 * MIB)], 10_000, |planner| {
            planner.stream_at(READER, 10_000).expect("it has read").last_size = last;
            let window = Window { rate, ..window(10_000, 20 * MIB, 20 * MIB) };
            planner.waits_for_connection(&window, 10 * MIB)
        })
    };
    assert_eq!([799_999, 800_000].map(|last| waits(Some(500e3), last)), [false, true]);
    assert_eq!([800e3, 800_001.0].map(|rate| waits(Some(rate), MIB)), [true, false]);
    assert!(!waits(None, MIB), "nobody knows how much it takes");
}

/// A read that jumps ahead in its window over a hole is a seek, not one that has outrun its read-ahead.
#[test]
fn p3_a_read_ahead_in_the_window_asks_for_no_more_than_a_seek_does() {
    for (before, bytes) in [(true, 1_500_000), (false, 200_000)] {
        plan_with(&[], 1, |planner| {
            let cursor = planner.resource.cursors.one_mut(READER).expect("it was opened");
            let stream = cursor.stream.as_mut().expect("it has read");
            (stream.last_size, stream.confirmed) = (MIB, true);
            if before {
                planner.resource.map.cover(ByteRange::at(20 * MIB - 10, 10));
            }
            planner.open(NOW, READER, 20 * MIB, None);
            let asked = planner.plan.segments.iter().map(|segment| segment.range.len());
            assert_eq!(asked.collect::<Vec<_>>(), [bytes]);
        });
    }
}

/// Which of these spots a drag fetches, on a map that was prepared. 150 kB may be in flight.
fn foretold(spots: &[ByteRange], prepare: impl FnOnce(&mut SegmentMap)) -> Vec<ByteRange> {
    plan_with(&[], 1, |planner| {
        let spots = Spots::at(spots, NOW + Micros::from_millis(1000));
        let cursor = planner.resource.cursors.one_mut(READER).expect("it was opened");
        cursor.scrub = Scrub::foretelling(spots);
        prepare(&mut planner.resource.map);
        planner.foretold();
        planner.plan.segments.iter().map(|segment| segment.range).collect()
    })
}

#[test]
fn p5_two_spots_are_in_flight_at_once_and_no_crumb_of_one() {
    let spots = [1, 2, 3].map(|nth| ByteRange::at(nth * 10 * MIB, 40 * KIB));
    assert_eq!(foretold(&spots, |_| {}), spots[..2]);
    assert_eq!(foretold(&spots, |map| map.take(spots[0], FetchId(1))), spots[1..2]);
    let rest = |bytes| ByteRange::new(spots[0].end - bytes, spots[0].end);
    let left = |bytes| {
        let stored = ByteRange::new(spots[0].start, rest(bytes).start);
        foretold(&spots[..1], |map| {
            map.cover(stored);
        })
    };
    assert_eq!(left(16 * KIB), [rest(16 * KIB)]);
    assert_eq!(left(16 * KIB - 1), [] as [ByteRange; 0]);
}

#[test]
fn p5_spots_are_no_more_than_a_round_trip_and_a_half_brings_but_for_the_first() {
    let spots = |bytes| [1, 2].map(|nth| ByteRange::at(nth * 10 * MIB, bytes));
    assert_eq!(foretold(&spots(75_000), |_| {}), spots(75_000));
    assert_eq!(foretold(&spots(75_001), |_| {}), spots(75_001)[..1]);
    assert_eq!(foretold(&spots(200_000), |_| {}), spots(200_000)[..1]);
}

/// A fetch that was sent just now.
fn sent() -> Fetch {
    let expected = Micros::from_millis(100);
    Fetch { expected, ..Fetch::sent(NOW, ByteRange::new(0, LEN)) }
}

#[test]
fn p5_a_place_of_a_drag_waits_only_for_two_others_that_are_about_to_come() {
    let waits = |second: Fetch| {
        let mut fetches = Inflight::default();
        let ids = [sent(), second].map(|fetch| {
            let id = fetches.next_id();
            fetches.insert(id, fetch);
            id
        });
        plan_over(&fetches, &[], 0, |planner| {
            let cursor = planner.resource.cursors.one_mut(READER).expect("it was opened");
            cursor.scrub = Scrub::foretelling(Spots::default());
            for (id, place) in ids.into_iter().zip([10 * MIB, 20 * MIB]) {
                cursor.scrub.asks(place);
                planner.resource.map.take(ByteRange::at(place, MIB), id);
            }
            let waits = planner.is_asked_enough(READER, 30 * MIB);
            assert_eq!(waits, planner.plan.reviews == [(READER, sent().overdue_at())]);
            waits
        })
    };
    assert!(waits(sent()));
    assert!(!waits(Fetch { received: 1, ..sent() }), "it has come");
    assert!(!waits(Fetch { cancelled: true, ..sent() }), "it will not come");
}
