//! Playing on: read-ahead keeps in front of the reader, and no further than it should.

use super::{KIB, MIB, cancelled, fast, ranges};
use crate::byte_range::ByteRange;
use crate::ids::{Lane, OriginId, ResourceId};
use crate::sched::sim::{LinkProfile, Sim, ms};
use crate::sched::{Action, Class, Event, Scheduler};
use crate::time::Micros;

const RATE: u64 = 500_000;
/// Until a new connection has opened its window, a reader may have to wait now and then.
const STARTED: Micros = ms(1000);

/// Defect 9 of the peers: read-ahead refills before the reader runs dry.
#[test]
fn p4_a_playing_reader_waits_at_its_start_and_never_again() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, RATE);
    sim.run_for(ms(60_000));
    assert_eq!(sim.waits_from(reader, STARTED), []);
    assert!(sim.position(reader) > 29_000_000);
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn p4_a_reader_as_fast_as_the_link_keeps_the_link_busy() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, 1 << 40);
    sim.run_for(ms(3000));
    let before = sim.counts.bytes;
    sim.run_for(ms(5000));
    let share = (sim.counts.bytes - before) as f64 / (5.0 * 12_500_000.0);
    assert!(share > 0.97, "{share}");
}

#[test]
fn p4_read_ahead_is_limited_in_seconds_of_media() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, RATE);
    sim.run_for(ms(20_000));
    let ahead = sim.stored() - sim.position(reader);
    assert!(ahead <= 10_000_000 + MIB, "10 s + 0.5 * 20 s, but {ahead}");
    assert!(ahead >= 4_000_000, "half of that, but {ahead}");
    sim.run_for(ms(100_000));
    let ahead = sim.stored() - sim.position(reader);
    assert!(ahead <= 30_000_000 + MIB, "60 s at most, but {ahead}");
}

#[test]
fn p4_a_window_rests_between_full_and_half() {
    let mut sim = fast();
    sim.tell(Event::RateDeclared { resource: ResourceId(1), bytes_per_second: Some(RATE) });
    let reader = sim.open_reader(0);
    sim.play(reader, RATE);
    sim.run_for(ms(60_000));
    let gaps: Vec<u64> = sim.requests[4..].windows(2).map(|w| (w[1].at - w[0].at).0).collect();
    assert!(gaps.iter().any(|gap| *gap > 10_000_000), "it rests for many seconds: {gaps:?}");
    assert!(sim.requests.len() < 40, "{}", sim.requests.len());
}

#[test]
fn p4_until_a_reader_goes_on_only_its_first_window_is_fetched() {
    let mut sim = fast();
    let reader = sim.open_reader(100 * MIB);
    sim.run_until_ready(reader);
    sim.run_for(ms(5000));
    assert_eq!(ranges(&sim).len(), 1, "400 kB are more than the first window");
}

#[test]
fn p1_the_rest_of_the_first_window_is_fetched_as_such() {
    let mut sim = fast().tuned(|tunables| tunables.readahead.initial_window = MIB);
    let reader = sim.open_reader(100 * MIB);
    sim.run_until_ready(reader);
    sim.run_for(ms(5000));
    let first: Vec<_> = sim.requests.iter().map(|request| (request.class, request.lane)).collect();
    assert_eq!(first, [(Class::Blocked, Lane::Demand), (Class::FirstWindow, Lane::Demand)]);
    assert_eq!(sim.stored(), MIB);
}

#[test]
fn p4_requests_double_while_reading_goes_on_and_end_at_slices() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, 1 << 40);
    sim.run_for(ms(10_000));
    let ranges = ranges(&sim);
    let longest = ranges.iter().map(|range| range.len()).max();
    assert!(longest.is_some_and(|len| (7 * MIB..=8 * MIB).contains(&len)), "{longest:?}");
    let mut largest = 400_000;
    for pair in ranges.windows(2) {
        assert!(pair[1].len() <= 2 * largest, "{pair:?}");
        largest = largest.max(pair[1].len());
        assert_eq!(pair[1].start, pair[0].end, "in order, without holes");
    }
    assert!(ranges[12..].iter().all(|range| range.end % MIB == 0), "{ranges:?}");
}

#[test]
fn p4_the_next_request_goes_out_before_the_running_one_is_done() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, 1 << 40);
    sim.run_for(ms(5000));
    let at_once = sim.counts.most_at_once;
    assert!((2..=3).contains(&at_once), "two staggered flows are the normal way: {at_once}");
}

#[test]
fn p4_a_declared_rate_makes_the_window_at_once() {
    let mut sim = fast();
    sim.tell(Event::RateDeclared { resource: ResourceId(1), bytes_per_second: Some(RATE) });
    let reader = sim.open_reader(0);
    sim.play(reader, RATE);
    sim.run_for(ms(2500));
    let window = sim.scheduler.view(ResourceId(1)).window;
    assert!((5_000_000..5_700_000).contains(&window), "{window}");
    sim.tell(Event::RateDeclared { resource: ResourceId(1), bytes_per_second: None });
    sim.run_for(ms(20_000));
    assert!(sim.scheduler.view(ResourceId(1)).window > 5_700_000, "observed instead");
}

#[test]
fn p4_paused_media_fills_its_window_and_rests() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, RATE);
    sim.run_for(ms(10_000));
    sim.stop(reader);
    sim.tell(Event::PlayingChanged { resource: ResourceId(1), playing: false });
    sim.run_for(ms(5000));
    let (requests, bytes) = (sim.requests.len(), sim.counts.bytes);
    sim.run_for(ms(600_000));
    assert_eq!((sim.requests.len(), sim.counts.bytes), (requests, bytes));
    assert_eq!(sim.scheduler.next_timeout(), None, "nothing to wake up for");
    sim.tell(Event::PlayingChanged { resource: ResourceId(1), playing: true });
    sim.play(reader, RATE);
    sim.run_for(ms(60_000));
    assert_eq!(sim.waits_from(reader, STARTED), []);
}

#[test]
fn p4_a_small_resource_is_fetched_whole_once_anything_of_it_is_read() {
    let mut sim = Sim::new(5 * MIB).stored_before(&[]);
    let reader = sim.open_reader(3 * MIB);
    sim.run_for(ms(1000));
    assert_eq!(sim.requests, [], "an open reader alone is no reason");
    sim.run_until_ready(reader);
    sim.run_for(ms(10_000));
    assert_eq!((sim.stored(), sim.counts.ends, sim.counts.twice), (5 * MIB, 1, 0));
    let fill = super::of_class(&sim, Class::Fill);
    assert_eq!(fill.first().map(|request| request.range.start), Some(0));
}

#[test]
fn p8_the_rule_for_small_resources_can_be_turned_off() {
    let mut sim = Sim::new(5 * MIB).stored_before(&[]);
    sim = sim.tuned(|tunables| tunables.readahead.whole_file = 0);
    let reader = sim.open_reader(3 * MIB);
    sim.run_until_ready(reader);
    sim.run_for(ms(10_000));
    assert_eq!(sim.stored(), 400_000);
}

/// Whoever stops early wastes no more than the largest window, however fast the link is.
#[test]
fn p4_a_fast_link_does_not_make_a_resource_beyond_the_largest_window_small() {
    let mut sim = Sim::new(64 * MIB).latency(ms(2)).rate(100_000_000).stored_before(&[]);
    sim = sim.tuned(|tunables| tunables.readahead.max_window = 4 * MIB);
    let reader = sim.open_reader(0);
    sim.play(reader, 1 << 40);
    sim.run_for(ms(150));
    sim.stop(reader);
    sim.run_for(ms(10_000));
    assert!(sim.scheduler.estimate(OriginId(1)).rate > Some(64_000_000));
    let (stored, read) = (sim.stored(), sim.position(reader));
    assert!(read > MIB && stored < read + 5 * MIB, "{stored} {read}");
}

#[test]
fn p4_the_window_collapses_on_a_far_seek() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, RATE);
    sim.run_for(ms(30_000));
    let before = sim.scheduler.view(ResourceId(1)).window;
    sim.stop(reader);
    sim.seek(reader, 200 * MIB);
    sim.run_until_ready(reader);
    let after = sim.scheduler.view(ResourceId(1)).window;
    assert!(before > 10_000_000 && after <= 600_000, "{before} {after}");
}

#[test]
fn p4_a_refill_mark_is_set_before_the_data_ends() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, RATE);
    sim.run_for(ms(30_000));
    let mut marks = sim.actions.iter().rev().filter_map(|(_, action)| match action {
        Action::SetRefill { at, .. } => Some(*at),
        _ => None,
    });
    let last = marks.next().unwrap_or(0);
    assert!(last > sim.position(reader) && last < sim.stored(), "{last}");
}

#[test]
fn p4_a_second_reader_shares_the_window_and_its_read_ahead_is_secondary() {
    let mut sim = fast().tuned(|tunables| tunables.readahead.max_window = 16 * MIB);
    sim.tell(Event::RateDeclared { resource: ResourceId(1), bytes_per_second: Some(RATE) });
    let (film, other) = (sim.open_reader(0), sim.open_reader(128 * MIB));
    sim.play(other, RATE);
    sim.play(film, RATE);
    sim.run_for(ms(40_000));
    assert_eq!(sim.waits_from(film, STARTED), []);
    assert_eq!(sim.waits_from(other, STARTED), []);
    assert!(sim.requests.iter().any(|request| request.class == Class::Secondary));
    let ahead = sim.stored() - sim.position(film) - (sim.position(other) - 128 * MIB);
    assert!(ahead < 16 * MIB + MIB, "one budget, not two: {ahead}");
    assert_eq!(cancelled(&sim), []);
}

/// Each reader's share lasts as long as the others', whoever moved last.
#[test]
fn p4_who_consumes_faster_has_more_of_the_budget() {
    let mut sim = fast().tuned(|tunables| tunables.readahead.max_window = 8 * MIB);
    let (fast, slow) = (sim.open_reader(0), sim.open_reader(128 * MIB));
    sim.play(fast, 3_000_000);
    sim.play(slow, 300_000);
    sim.run_for(ms(20_000));
    let stalls = sim.waits_from(fast, ms(5000)).len() + sim.waits_from(slow, ms(5000)).len();
    assert_eq!(stalls, 0);
    let has = |reader, bytes| sim.has(ByteRange::at(sim.position(reader), bytes));
    assert!(has(fast, 3 * MIB) && has(slow, 300_000) && !has(slow, 2 * MIB));
    let ahead = sim.stored() - sim.position(fast) - (sim.position(slow) - 128 * MIB);
    assert!(ahead <= 9 * MIB, "{ahead}");
}

/// A second reader that stopped keeps nothing from the one that plays.
#[test]
fn p4_a_reader_that_stopped_does_not_keep_its_share() {
    let mut sim = fast().tuned(|tunables| tunables.readahead.max_window = 8 * MIB);
    sim.tell(Event::RateDeclared { resource: ResourceId(1), bytes_per_second: Some(RATE) });
    let (film, other) = (sim.open_reader(0), sim.open_reader(128 * MIB));
    sim.play(other, RATE);
    sim.play(film, RATE);
    sim.run_for(ms(10_000));
    let shared = sim.scheduler.view(ResourceId(1)).window;
    assert_eq!(shared, 4 * MIB);
    sim.stop(other);
    sim.run_for(ms(40_000));
    assert_eq!(sim.scheduler.view(ResourceId(1)).window, 8 * MIB);
}

/// However little is configured: what is left when more is asked for lasts until it comes.
#[test]
fn p4_a_tiny_window_is_refilled_before_it_runs_dry() {
    let mut sim = fast().tuned(|tunables| {
        tunables.readahead.initial_window = 16 * KIB;
        tunables.readahead.min_window = 16 * KIB;
        tunables.readahead.start = std::time::Duration::from_millis(50);
        tunables.readahead.growth = 0.0;
    });
    sim.tell(Event::RateDeclared { resource: ResourceId(1), bytes_per_second: Some(RATE) });
    let reader = sim.open_reader(0);
    sim.play(reader, RATE);
    sim.run_for(ms(60_000));
    assert_eq!(sim.waits_from(reader, ms(3000)), []);
    let ahead = sim.stored() - sim.position(reader);
    assert!(ahead < 400 * KIB, "{ahead}");
}

#[test]
fn p4_slow_reading_of_a_few_bytes_keeps_the_window_at_its_least() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, 40_000);
    sim.run_for(ms(60_000));
    let ahead = sim.stored() - sim.position(reader);
    assert!(ahead <= 2 * MIB + 256 * KIB, "{ahead}");
}

/// On link A at 60 % of it, so that an origin that asks for a second of patience holds up nobody: 0.7 s would do.
#[test]
fn p4_five_seconds_after_its_start_a_player_has_a_second_in_hand() {
    let rate = LinkProfile::A.bytes_per_second() * 6 / 10;
    let hands = [36, 37, 38, 39, 40, 41, 42, 43].map(|round_trip| {
        let profile = LinkProfile { round_trip: ms(round_trip), ..LinkProfile::A };
        let mut sim = Sim::<Scheduler>::driven(256 * MIB).profile(profile).bulk_lanes(2);
        let reader = sim.open_reader(0);
        sim.play(reader, rate);
        sim.run_for(ms(5000));
        let at = sim.position(reader);
        let has = |ms: &u64| sim.has(ByteRange::at(at, rate * ms / 1000));
        (100..10_000).step_by(100).take_while(has).last().unwrap_or(0)
    });
    assert!(hands.iter().all(|hand| *hand >= 1000), "{hands:?} ms");
}
