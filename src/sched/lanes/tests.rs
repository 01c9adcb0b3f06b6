use super::*;
use crate::connection::ConnectionUse;
use crate::sched::inflight::Connections;

const fn ms(n: u64) -> Micros {
    Micros::from_millis(n)
}

/// An origin on a link of 80 ms and 20 Mbit/s, whose lanes became idle at these times.
fn origin(idle: &[(Lane, u64)]) -> Origin {
    let mut origin = Origin::default();
    for (lane, at) in idle {
        let mut connections = Connections::default();
        connections.returned(ms(*at));
        origin.lanes.insert(*lane, connections);
    }
    origin
}

const NOTHING: Running<'static> = &|_| 0;

#[test]
fn p3_a_read_goes_over_the_connection_that_was_busy_last() {
    let idle = [(Lane::Demand, 1000), (Lane::Bulk(0), 1200), (Lane::Bulk(1), 1100)];
    assert_eq!(origin(&idle).lane(Class::Blocked, ms(1300), NOTHING, 2), Lane::Bulk(0));
    assert_eq!(origin(&idle).lane(Class::FirstWindow, ms(1300), NOTHING, 2), Lane::Bulk(0));
}

#[test]
fn p3_where_one_connection_carries_all_requests_of_a_lane_an_unused_lane_is_taken() {
    let mut one = origin(&[(Lane::Demand, 1000), (Lane::Bulk(0), 1200)]);
    for connections in one.lanes.values_mut() {
        connections.answered(ConnectionUse::Reused, true);
    }
    let busy = |lane| usize::from(lane == Lane::Bulk(0));
    assert_eq!(one.lane(Class::Blocked, ms(1300), &busy, 1), Lane::Demand);
    assert_eq!(one.lane(Class::Blocked, ms(1300), NOTHING, 1), Lane::Bulk(0));
}

/// Three doublings fill 200 kB; after three timeouts of 280 ms there is nothing left to choose it for.
#[test]
fn p3_a_connection_whose_window_is_shut_is_as_good_as_another() {
    let idle = [(Lane::Demand, 0), (Lane::Bulk(0), 1000)];
    let lane = |now| origin(&idle).lane(Class::Blocked, ms(now), NOTHING, 1);
    assert_eq!(lane(1839), Lane::Bulk(0));
    assert_eq!(lane(1840), Lane::Demand);
    let mut other = origin(&idle[1..]);
    assert_eq!(other.lane(Class::Blocked, ms(1840), NOTHING, 1), Lane::Bulk(0), "better than none");
}

#[test]
fn p4_read_ahead_takes_turns_over_the_bulk_lanes_and_leaves_reads_their_own() {
    let mut one = origin(&[(Lane::Demand, 1250), (Lane::Bulk(0), 1200)]);
    assert_eq!(one.lane(Class::Near, ms(1300), NOTHING, 2), Lane::Bulk(0));
    let busy = |lane| usize::from(lane == Lane::Bulk(0));
    assert_eq!(one.lane(Class::Near, ms(1300), &busy, 2), Lane::Bulk(1), "nothing runs there");
    let all = |lane| usize::from(lane != Lane::Demand);
    let mut none = Origin::default();
    let turns = [0; 3].map(|_| none.lane(Class::Far, ms(9000), &all, 2));
    assert_eq!(turns, [Lane::Bulk(0), Lane::Bulk(1), Lane::Bulk(0)]);
}

#[test]
fn p4_of_two_bulk_lanes_without_a_request_the_one_with_a_connection_is_taken() {
    for n in [0, 1] {
        let mut one = origin(&[(Lane::Bulk(n), 0)]);
        assert_eq!(one.lane(Class::Far, ms(9000), NOTHING, 2), Lane::Bulk(n));
        assert_eq!(one.lane(Class::Far, ms(9000), NOTHING, 2), Lane::Bulk(n));
    }
}

#[test]
fn p3_near_read_ahead_makes_the_second_connection_of_the_reads_lane() {
    let busy = |n: usize| move |lane| if lane == Lane::Demand { n } else { 0 };
    let lane = |class, n| Origin::default().lane(class, ms(0), &busy(n), 2);
    assert_eq!(lane(Class::Near, 1), Lane::Demand);
    assert_eq!(lane(Class::Near, 0), Lane::Bulk(0));
    assert_eq!(lane(Class::Near, 2), Lane::Bulk(0));
    assert_eq!(lane(Class::Far, 1), Lane::Bulk(0));
    let mut spare = origin(&[(Lane::Demand, 0)]);
    assert_eq!(spare.lane(Class::Near, ms(0), &busy(1), 2), Lane::Bulk(0));
}

#[test]
fn p7_a_second_request_goes_over_another_lane() {
    let mut one = Origin::default();
    assert_eq!(one.other_lane(Lane::Bulk(1), NOTHING, 2), Lane::Demand);
    assert_eq!(one.other_lane(Lane::Demand, NOTHING, 2), Lane::Bulk(0));
}

#[test]
fn p7_a_second_request_goes_over_no_connection_of_the_lane_that_is_late() {
    let mut one = origin(&[(Lane::Demand, 1000), (Lane::Bulk(0), 1100), (Lane::Bulk(1), 1200)]);
    assert_eq!(one.other_lane(Lane::Bulk(1), NOTHING, 2), Lane::Bulk(0), "the last used");
    assert_eq!(one.other_lane(Lane::Bulk(0), NOTHING, 2), Lane::Bulk(1));
}

#[test]
fn p4_the_turns_of_the_bulk_lanes_go_on_for_ever() {
    let all = |lane| usize::from(lane != Lane::Demand);
    let mut one = Origin::default();
    for n in 0..1000 {
        let lane = one.lane(Class::Far, ms(9000), &all, 3);
        assert_eq!(lane, Lane::Bulk((n % 3) as u8), "{n}");
    }
}

/// Two more round trips and three doublings for a new connection; for one that waits, a doubling for each timeout of 280 ms.
#[test]
fn p4_read_ahead_takes_as_long_as_its_connection_needs_to_open_its_window() {
    let ramp = |idle: &[(Lane, u64)], now| origin(idle).ramp(ms(now), NOTHING);
    let link = Origin::default().link();
    let new = link.cold.since(link.first_byte) + link.ramp();
    assert_eq!((new, link.ramp()), (ms(400), ms(240)));
    assert_eq!([ramp(&[], 0), ramp(&[(Lane::Demand, 0)], 0)], [new, new], "reads keep theirs");
    let idle = [(Lane::Demand, 1000), (Lane::Bulk(0), 0), (Lane::Bulk(1), 900)];
    assert_eq!([1000, 1180, 1740, 9000].map(|now| ramp(&idle, now)), [0, 80, 240, 240].map(ms));
}
