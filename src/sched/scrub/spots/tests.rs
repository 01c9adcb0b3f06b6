//! What a spot is, how wide, how many, and when they are worth it.

use super::*;

const PATH: f64 = 2.5e6;

const fn ms(n: u64) -> Micros {
    Micros::from_millis(n)
}

fn link(round_trip: u64, first_byte: u64, path: f64) -> Link {
    let (round_trip, first_byte) = (ms(round_trip), ms(first_byte));
    Link { late: Micros(0), round_trip, first_byte, cold: first_byte, flow: path, path }
}

/// Seeks a megabyte apart, every `interval` milliseconds: what each of them was foretold.
fn steady(spots: &mut Spots, seeks: u64, interval: u64, link: &Link) -> Vec<bool> {
    let mut seek = |nth| spots.sought(ms(nth * interval), nth * 1_000_000, link, 0.7);
    (0..seeks).map(&mut seek).collect()
}

/// The most slack of seeks that come every `interval` milliseconds.
fn slack(interval: u64, link: &Link, share: f64) -> Option<u64> {
    let mut spots = Spots::default();
    for nth in 0..3 {
        spots.forecaster.saw(ms(nth * interval), nth * 1_000_000, WILD);
    }
    spots.most_slack(link, share)
}

#[test]
fn p5_only_a_wide_spot_that_comes_within_a_round_trip_or_so_is_late() {
    let late = |len, due| {
        let spot = Spot { nth: 1, range: ByteRange::at(0, len), due: ms(due) };
        spot.is_late(ms(0), &link(1000, 1000, PATH))
    };
    assert!(late(WIDE + 1, 1399));
    assert!(!late(WIDE + 1, 1400));
    assert!(!late(48 << 10, 0));
}

#[test]
fn p5_of_a_steady_drag_each_seek_is_foretold_from_the_fourth_or_so_on() {
    let mut spots = Spots::default();
    let hits = steady(&mut spots, 10, 50, &link(40, 40, PATH));
    assert_eq!(hits[..2], [false; 2]);
    assert_eq!(hits[4..], [true; 6]);
}

#[test]
fn p5_so_many_seeks_are_foretold_as_come_before_an_answer_would() {
    let foretold = |interval, link: &Link| {
        let mut spots = Spots::default();
        steady(&mut spots, 10, interval, link);
        spots.next.iter().map(|spot| spot.nth).collect::<Vec<_>>()
    };
    let long = link(80, 80, PATH);
    assert_eq!(foretold(50, &long), [11, 12, 13]);
    assert_eq!(foretold(100, &long), [11, 12]);
    assert_eq!(foretold(200, &long), [11]);
    assert_eq!(foretold(10, &link(190, 200, PATH)), [11, 12, 13], "as if 100 ms apart");
}

#[test]
fn p5_a_spot_stays_where_it_is_while_that_does_as_well() {
    let mut spots = Spots::default();
    let link = link(80, 80, PATH);
    for nth in 0..20 {
        let before = spots.next.clone();
        spots.sought(ms(nth * 50), nth * 1_000_000 + 1000 * (nth % 3), &link, 0.7);
        let kept = |spot: &Spot| before.iter().all(|b| b.nth != spot.nth || b.range == spot.range);
        assert!(nth < 12 || spots.next.iter().all(kept), "{nth}: {before:?} {:?}", spots.next);
    }
    let at = |slack| Forecast { due: ms(0), position: 1_000_000, slack };
    let span = |slack, before: Option<ByteRange>| super::span(at(slack), MOST_SLACK, before);
    let round = |slack: u64| ByteRange::new(1_000_000 - slack, 1_000_000 + slack + (32 << 10));
    assert_eq!(span(20_000, None), round(20_000));
    assert_eq!(span(0, None), round(6 << 10));
    assert_eq!(span(20_000, Some(round(10_000))), round(10_000));
    assert_eq!(span(20_000, Some(round(9_999))), round(20_000));
}

#[test]
fn p5_a_step_a_little_off_does_not_make_a_drag_by_small_steps_void() {
    let mut spots = Spots::default();
    let link = link(40, 40, PATH);
    for nth in 0..11 {
        let off = if nth == 10 { 150_000 } else { 0 };
        spots.sought(ms(nth * 100), nth * 100_000 + off, &link, 0.7);
    }
    assert!(!spots.next.is_empty());
    spots.sought(ms(1100), 90_000_000, &link, 0.7);
    assert!(spots.next.is_empty());
}

#[test]
fn p5_a_seek_is_judged_by_its_own_spot() {
    let spot = |nth| Spot { nth, range: ByteRange::at(nth * 100, 50), due: ms(0) };
    let judge = |nth, position| {
        let mut spots = Spots { nth, next: [2, 3].map(spot).into(), ..Spots::default() };
        (spots.judge(position), spots.hits.len(), spots.next.len())
    };
    assert_eq!(judge(1, 200), (false, 0, 2), "nothing was foretold of it");
    assert_eq!(judge(2, 249), (true, 1, 2));
    assert_eq!(judge(2, 250), (false, 1, 2));
    assert_eq!(judge(3, 300), (true, 1, 1));
    assert_eq!(judge(4, 300), (false, 0, 0));
}

#[test]
fn p5_spots_are_fetched_while_half_of_them_hit() {
    let worth = |hits: &[bool]| {
        let next = [Spot { nth: 1, range: ByteRange::at(0, 50), due: ms(0) }].into();
        let hits = hits.iter().copied().collect();
        Spots { next, hits, ..Spots::default() }.wanted().count() == 1
    };
    assert!(worth(&[]) && worth(&[false; 2]), "two are too few to tell");
    assert!(!worth(&[false; 3]) && !worth(&[true, false, false]));
    assert!(worth(&[true, true, false, false]) && !worth(&[true, false, false, false]));
    assert!(worth(&[true; 6]));
}

#[test]
fn p8_a_spot_is_as_wide_as_its_share_of_the_link_allows() {
    let link = link(40, 40, PATH);
    assert_eq!(slack(100, &link, 0.4), Some((100_000 - (32 << 10)) / 2));
    assert_eq!(slack(100, &link, 0.7), Some(64 << 10));
    assert_eq!(slack(100, &link, 0.1), None);
    assert_eq!([0.2, 0.17].map(|share| slack(100, &link, share)), [Some(8616), None]);
}

#[test]
fn p5_a_spot_is_narrow_where_wide_ones_could_not_be_there_in_time() {
    const NARROW: Option<u64> = Some(7 << 10);
    let wide = Some(64 << 10);
    assert_eq!(slack(120, &link(100, 100, PATH), 0.7), wide);
    assert_eq!(slack(114, &link(100, 100, PATH), 0.7), NARROW, "the hand does not wait");
    assert_eq!(slack(127, &link(110, 110, 1.3e6), 1.0), NARROW, "three doublings of a shut window");
    assert_eq!(slack(100, &link(86, 86, 1.7e6), 1.0), wide, "its window is still open");
    assert_eq!(slack(10, &link(40, 200, PATH), 0.4), NARROW, "not every seek is foretold");
}

#[test]
fn p5_a_drag_is_followed_that_is_usually_off_by_up_to_1_3_times_the_most_slack() {
    let mut spots = Spots::default();
    for nth in 0..20 {
        let unrest = nth * nth * nth % 7 * 10_000;
        spots.forecaster.saw(ms(nth * 100), nth * 1_000_000 + unrest, WILD);
    }
    let told = |most| spots.forecaster.ahead(1, most).is_some();
    let usual = (0..).find(|most| told(*most)).expect("some slack would do");
    let mut follows = |times: f64| {
        let most = usual as f64 / times;
        let share = (2.0 * most + READ as f64) / (PATH * 0.1);
        spots.foretell(ms(1900), &link(40, 40, PATH), share);
        !spots.next.is_empty()
    };
    assert_eq!([1.0, 1.28, 1.32].map(&mut follows), [true, true, false], "off by {usual}");
}

#[test]
fn p5_bytes_deep_in_an_answer_wait_for_its_window_and_the_link() {
    let time = |depth, rested| (time_for(depth, rested, &link(40, 50, 1e6)) * 1e6).round() as u64;
    assert_eq!(time(0, false), 50_000);
    assert_eq!(time(43_008, false), 93_008);
    assert_eq!(time(43_007, true), 50_000 + 40_000 + 43_007);
    assert_eq!(time(43_008, true), 50_000 + 80_000 + 43_008);
}

impl Spots {
    /// Some that are due then.
    pub(crate) fn at(ranges: &[ByteRange], due: Micros) -> Self {
        let spot = |(nth, range): (u64, &ByteRange)| Spot { nth, range: *range, due };
        Self { next: (1..).zip(ranges).map(spot).collect(), ..Self::default() }
    }
}
