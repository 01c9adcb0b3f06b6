//! What a jump is, and when jumps are a drag.

use super::*;
use crate::ids::{FetchId, OriginId};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const READER: ReaderId = ReaderId(1);

const fn ms(n: u64) -> Micros {
    Micros::from_millis(n)
}

/// A resource of which the first 5 MiB are stored, whose reader is at 3 MiB.
fn resource() -> Resource {
    let covered = [ByteRange::new(0, 5 * MIB)];
    let mut resource = Resource::new(ResourceId(1), OriginId(1), Some(100 * MIB), &covered, true);
    resource.cursors.open(READER, 0);
    assert!(Jump::of(&resource, READER, 9 * MIB).is_none(), "it has read nothing");
    go(&mut resource, 3 * MIB);
    resource
}

fn go(resource: &mut Resource, to: u64) {
    resource.cursors.moved(READER, to, 0, true, ms(0), &ReadaheadConfig::default());
}

/// Whether going to `position` is a jump: to stored bytes, and far.
fn jump(resource: &Resource, position: u64) -> Option<(bool, bool)> {
    Jump::of(resource, READER, position).map(|jump| (jump.cached, jump.far))
}

#[test]
fn p5_a_jump_is_what_nobody_makes_by_reading_on() {
    let resource = resource();
    assert_eq!(jump(&resource, 3 * MIB + 7), None);
    assert_eq!(jump(&resource, 5 * MIB), None, "all that was passed is stored");
    assert_eq!(jump(&resource, 5 * MIB + 1), Some((false, true)));
    assert_eq!(jump(&resource, 2 * MIB), Some((true, false)));
    assert_eq!(jump(&resource, 2 * MIB - 1), Some((true, true)));
    let mut at_the_end = resource;
    go(&mut at_the_end, 5 * MIB);
    assert_eq!(jump(&at_the_end, 6 * MIB), Some((false, false)));
    assert_eq!(jump(&at_the_end, 6 * MIB + 1), Some((false, true)));
}

#[test]
fn p5_a_little_of_what_is_coming_may_have_been_read() {
    let mut resource = resource();
    resource.map.take(ByteRange::at(5 * MIB, 64 * KIB), FetchId(1));
    resource.map.take(ByteRange::at(5 * MIB + 64 * KIB, MIB), FetchId(2));
    assert_eq!(jump(&resource, 5 * MIB + 128 * KIB), None);
    assert_eq!(jump(&resource, 5 * MIB + 128 * KIB + 1), Some((false, true)));
}

#[test]
fn p5_what_is_read_near_the_last_seek_belongs_to_it() {
    let mut resource = resource();
    let cursor = resource.cursors.one_mut(READER).expect("it was opened");
    cursor.scrub.last = Some((ms(0), 50 * MIB));
    assert_eq!(jump(&resource, 50 * MIB + 256 * KIB), None);
    assert_eq!(jump(&resource, 50 * MIB + 256 * KIB + 1), Some((false, true)));
}

#[test]
fn p4_going_to_the_other_place_that_is_read_in_turns_is_no_jump() {
    let mut resource = resource();
    for _ in 0..3 {
        go(&mut resource, 80 * MIB);
        go(&mut resource, 3 * MIB);
    }
    assert_eq!(jump(&resource, 80 * MIB + 7), None);
    assert_eq!(jump(&resource, 60 * MIB), Some((false, true)));
}

fn jumped(scrub: &mut Scrub, now: u64, position: u64, cached: bool, far: bool) -> bool {
    let round_trip = ms(40);
    let link = Link {
        late: Micros(0),
        round_trip,
        first_byte: round_trip,
        cold: round_trip,
        flow: 2e6,
        path: 2e6,
    };
    scrub.jumped(ms(now), Jump { position, cached, far }, &link, 0.7);
    scrub.is_on()
}

/// Whether it is a drag after each jump to anywhere; the jumps are `apart` milliseconds apart.
fn drags(jumps: &[(bool, bool)], apart: u64) -> Vec<bool> {
    let mut scrub = Scrub::default();
    assert!(!scrub.is_on());
    let at = |nth: u64| nth * nth * 9 * MIB;
    let one = |(nth, (cached, far)): (u64, &(bool, bool))| {
        jumped(&mut scrub, nth * apart, at(nth), *cached, *far)
    };
    (0..).zip(jumps).map(one).collect()
}

#[test]
fn p5_two_far_jumps_or_four_near_ones_soon_after_each_other_are_a_drag() {
    const FAR: (bool, bool) = (false, true);
    const NEAR: (bool, bool) = (false, false);
    const STORED: (bool, bool) = (true, true);
    assert_eq!(drags(&[FAR; 2], 300), [false, true]);
    assert_eq!(drags(&[FAR; 3], 301), [false; 3]);
    assert_eq!(drags(&[NEAR; 4], 300), [false, false, false, true]);
    assert_eq!(drags(&[FAR, STORED, FAR], 100), [false, false, true], "it proves nothing");
    assert_eq!(drags(&[STORED; 4], 100), [false; 4]);
    assert_eq!(drags(&[FAR, STORED, NEAR, NEAR], 301), [false; 4]);
}

/// A steady drag that ended, then one jump `after` so many milliseconds to where it would go, or not.
fn again(after: u64, as_foretold: bool) -> bool {
    let mut scrub = Scrub::default();
    for nth in 0..10 {
        jumped(&mut scrub, nth * 50, nth * 2 * MIB, false, true);
    }
    assert!(scrub.is_on());
    (scrub.on, scrub.quick) = (false, 0);
    let position = if as_foretold { 20 * MIB } else { 90 * MIB };
    jumped(&mut scrub, 450 + after, position, false, true)
}

#[test]
fn p5_a_drag_that_rested_for_two_seconds_at_most_goes_on_where_it_was_to_go() {
    assert!(again(2000, true));
    assert!(!again(2001, true));
    assert!(!again(1000, false), "one jump elsewhere is a seek");
}

#[test]
fn p5_where_the_user_scrubs_a_run_begins_in_a_hurry() {
    let config = ReadaheadConfig::default();
    let mut resource = resource();
    let cursor = resource.cursors.one_mut(READER).expect("it was opened");
    cursor.stream.as_mut().expect("it has read").last_size = 9;
    cursor.hurry(ms(7), &config);
    let kept = cursor.stream.clone().expect("it has read");
    assert_eq!((kept.hurried, kept.last_size), (true, 9), "its own run goes on");
    cursor.position = 50 * MIB;
    cursor.hurry(ms(7), &config);
    let begun = cursor.stream.clone().expect("it has read");
    assert_eq!((begun.hurried, begun.start, begun.last_size), (true, 50 * MIB, 0));
    let next = Stream::begin(90 * MIB, ms(300), &config).after(Some(&begun));
    assert!(next.hurried, "and the next one too");
}

#[test]
fn p5_the_newest_places_are_kept() {
    let mut scrub = Scrub::default();
    scrub.asks(7);
    assert_eq!(scrub.asked().count(), 0, "nobody scrubs");
    scrub.on = true;
    (1..=8).for_each(|at| scrub.asks(at));
    assert_eq!(scrub.asked().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
    scrub.asks(9);
    assert_eq!(scrub.asked().collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8, 9]);
}

impl Scrub {
    /// A drag that foretells these.
    pub(crate) fn foretelling(spots: Spots) -> Self {
        Self { on: true, spots, ..Self::default() }
    }
}
