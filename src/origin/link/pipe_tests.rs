//! The link's figures, on time that is only told.

use std::time::Duration;

use bytes::Bytes;

use super::{FIRST_WINDOW, Item, Link, Pipe, SEGMENT};

/// Milliseconds.
fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// 40 ms, 50 Mbit/s, without slow start.
fn link() -> Link {
    Link { slow_start: false, ..Link::default() }
}

/// A pipe of `link` with flows 0 and 1 open since the beginning.
fn pipe(link: &Link) -> Pipe {
    let mut pipe = Pipe::new(link, link.down_bps);
    pipe.open(0, Duration::ZERO);
    pipe.open(1, Duration::ZERO);
    pipe
}

/// `len` bytes.
fn data(len: usize) -> Item {
    Item::Data(Bytes::from(vec![0; len]))
}

/// Takes all that arrived until now; how many bytes.
fn take_all(pipe: &mut Pipe, id: u64) -> u64 {
    let mut sum = 0;
    while let Some(Some(item)) = pipe.take(id) {
        sum += item.len();
    }
    sum
}

/// Runs until something has arrived, event by event; when that was.
fn first_arrival(pipe: &mut Pipe, id: u64) -> Duration {
    loop {
        let due = pipe.next_due().expect("something is on its way");
        pipe.advance(due);
        if take_all(pipe, id) > 0 {
            return due;
        }
    }
}

#[test]
fn a_small_message_takes_half_a_round_trip_and_its_own_length() {
    let mut pipe = pipe(&link());
    pipe.send(ms(100), 0, data(1000));
    // 8000 bits at 50 Mbit/s are 160 us.
    assert_eq!(first_arrival(&mut pipe, 0), ms(120) + Duration::from_micros(160));
}

#[test]
fn a_new_connection_sends_after_one_round_trip() {
    let mut pipe = pipe(&link());
    pipe.open(2, ms(140));
    pipe.send(ms(101), 2, data(1000));
    assert_eq!(first_arrival(&mut pipe, 2), ms(160) + Duration::from_micros(160));
}

#[test]
fn the_rate_is_right_however_seldom_somebody_looks() {
    for step in [Duration::from_micros(100), ms(1), ms(7)] {
        let mut pipe = pipe(&link());
        let (mut now, mut got) = (Duration::ZERO, 0);
        while now < ms(2000) {
            while pipe.unsent(0).is_some_and(|unsent| unsent < 65536) {
                pipe.send(now, 0, data(4096));
            }
            now += step;
            pipe.advance(now);
            got += take_all(&mut pipe, 0);
        }
        let expected = (now - ms(20)).as_nanos() as u64 * 50 / 8000;
        let deviation = got.abs_diff(expected) as f64 / expected as f64;
        assert!(deviation < 0.005, "step {step:?}: {got} of {expected}");
    }
}

#[test]
fn two_flows_share_one_queue_and_wait_for_each_other() {
    let mut pipe = pipe(&link());
    // 512 KiB of one flow: half of it fills the queue, which takes 42 ms to drain.
    for _ in 0..8 {
        pipe.send(Duration::ZERO, 0, data(65536));
    }
    pipe.send(ms(1), 1, data(1000));
    let arrival = first_arrival(&mut pipe, 1);
    assert!(arrival > ms(60) && arrival < ms(64), "{arrival:?}");
}

#[test]
fn flows_take_turns() {
    let mut pipe = pipe(&link());
    for _ in 0..16 {
        pipe.send(Duration::ZERO, 0, data(65536));
        pipe.send(Duration::ZERO, 1, data(65536));
    }
    // What found the queue empty went in as it came, and is through after 42 ms.
    pipe.advance(ms(70));
    take_all(&mut pipe, 0);
    take_all(&mut pipe, 1);
    for now in [110, 150] {
        pipe.advance(ms(now));
        let (first, second) = (take_all(&mut pipe, 0), take_all(&mut pipe, 1));
        assert!(first.abs_diff(second) <= 2 * 1448, "{first} {second}");
        assert!(first > 100_000, "{first}");
    }
}

#[test]
fn the_queue_is_bounded() {
    let mut pipe = pipe(&link());
    for _ in 0..32 {
        pipe.send(Duration::ZERO, 0, data(65536));
    }
    let queued = 32 * 65536 - pipe.unsent(0).expect("an open flow");
    assert!((256 * 1024..256 * 1024 + 1448).contains(&queued), "{queued}");
}

#[test]
fn slow_start_sends_ten_segments_and_doubles_each_round_trip() {
    let mut pipe = pipe(&Link { down_bps: u64::MAX, ..Link::default() });
    for _ in 0..32 {
        pipe.send(Duration::ZERO, 0, data(100 * SEGMENT));
    }
    let mut flights = Vec::new();
    for flight in 0..5 {
        pipe.advance(ms(20 + 40 * flight));
        flights.push(take_all(&mut pipe, 0));
    }
    let expected: Vec<u64> = (0..5).map(|flight| FIRST_WINDOW << flight).collect();
    assert_eq!(flights, expected);
}

#[test]
fn small_answers_do_not_open_the_window() {
    let mut pipe = pipe(&Link { down_bps: u64::MAX, ..Link::default() });
    for round in 0..20 {
        pipe.send(ms(50 * round), 0, data(1000));
        pipe.advance(ms(50 * round + 45));
        take_all(&mut pipe, 0);
    }
    pipe.send(ms(1000), 0, data(100 * SEGMENT));
    pipe.advance(ms(1020));
    assert_eq!(take_all(&mut pipe, 0), FIRST_WINDOW);
}

#[test]
fn an_idle_flow_begins_anew() {
    let mut pipe = pipe(&Link { down_bps: u64::MAX, ..Link::default() });
    for (start, first_flight) in [(0, FIRST_WINDOW), (1000, FIRST_WINDOW)] {
        for _ in 0..8 {
            pipe.send(ms(start), 0, data(65536));
        }
        pipe.advance(ms(start + 20));
        assert_eq!(take_all(&mut pipe, 0), first_flight);
        for flight in 1..15 {
            pipe.advance(ms(start + 20 + 40 * flight));
            take_all(&mut pipe, 0);
        }
        assert_eq!(pipe.unsent(0), Some(0));
    }
    // Not idle for long enough: the window is still open.
    for _ in 0..4 {
        pipe.send(ms(1700), 0, data(1));
        pipe.advance(ms(1760));
    }
    pipe.send(ms(1780), 0, data(2000));
    assert_eq!(pipe.unsent(0), Some(0));
}

#[test]
fn a_reader_that_does_not_take_holds_only_its_own_flow_back() {
    let mut pipe = pipe(&link());
    for _ in 0..32 {
        pipe.send(Duration::ZERO, 0, data(65536));
    }
    pipe.advance(ms(2000));
    let unsent = pipe.unsent(0).expect("an open flow");
    assert!(unsent > 1024 * 1024, "{unsent}");
    pipe.send(ms(2000), 1, data(1000));
    assert_eq!(first_arrival(&mut pipe, 1), ms(2020) + Duration::from_micros(160));
    while take_all(&mut pipe, 0) > 0 {
        let now = pipe.now + ms(100);
        pipe.advance(now);
    }
    assert_eq!(pipe.unsent(0), Some(0));
}

#[test]
fn a_link_can_become_slower_on_the_way() {
    let mut pipe = pipe(&link());
    pipe.send(Duration::ZERO, 0, data(1000));
    pipe.advance(ms(1));
    pipe.reshape(&Link::new(ms(200), 1_000_000), 1_000_000);
    // What is on its way arrives as it would have; the next takes 8 ms and half the new round trip.
    assert_eq!(first_arrival(&mut pipe, 0), ms(20) + Duration::from_micros(160));
    pipe.send(ms(30), 0, data(1000));
    assert_eq!(first_arrival(&mut pipe, 0), ms(138));
}

#[test]
fn marks_stay_behind_the_bytes_before_them() {
    let mut pipe = pipe(&link());
    pipe.send(Duration::ZERO, 0, data(3000));
    pipe.send(Duration::ZERO, 0, Item::Fin);
    pipe.advance(ms(100));
    let sizes: Vec<_> = std::iter::from_fn(|| pipe.take(0).flatten()).collect();
    assert_eq!(sizes, [data(1448), data(1448), data(104), Item::Fin]);
}

#[test]
fn a_closed_flow_leaves_its_bytes_on_the_link_and_nothing_else() {
    let mut pipe = pipe(&link());
    for _ in 0..8 {
        pipe.send(Duration::ZERO, 0, data(65536));
    }
    pipe.close(0);
    assert_eq!((pipe.unsent(0), pipe.take(0)), (None, None));
    pipe.advance(ms(1000));
    let carried = pipe.carried();
    assert!((256 * 1024..256 * 1024 + 2 * 1448).contains(&carried), "{carried}");
    assert_eq!(pipe.next_due(), None);
}
