//! Spare connections: made beside busy ones, taken by blocked reads, never a burden.

use super::told::{RESOURCE, Told};
use super::{KIB, MIB, fast};
use crate::byte_range::ByteRange;
use crate::connection::ConnectionUse;
use crate::error::NetworkErrorKind;
use crate::ids::{FetchId, Lane, OriginId, SpareId};
use crate::sched::event::{Failure, FetchOutcome, Remedy};
use crate::sched::inflight::Fetch;
use crate::sched::sim::{LinkProfile, Player, Protocol, Sim, ms};
use crate::sched::{Action, BodyShape, Event};

/// The spare connections that are asked for.
fn asked_for(actions: &[Action]) -> Vec<SpareId> {
    let spare = |action: &Action| match action {
        Action::Preconnect { spare, .. } => Some(*spare),
        _ => None,
    };
    actions.iter().filter_map(spare).collect()
}

fn all_asked_for(sim: &Sim) -> usize {
    sim.actions
        .iter()
        .filter(|(_, action)| !asked_for(std::slice::from_ref(action)).is_empty())
        .count()
}

fn faithful(profile: LinkProfile) -> Sim {
    Sim::driven(256 * MIB).profile(profile).bulk_lanes(2)
}

/// How long the first byte of the tail takes right after the head was read.
fn tail_after_head(mut sim: Sim) -> crate::time::Micros {
    let mut player = Player::open(&mut sim);
    player.seek(&mut sim, 0, 64 * KIB);
    player.seek(&mut sim, 256 * MIB - 200_000, 200_000).first
}

/// Demuxers look at the tail as soon as they have the head; the first request still runs then, and what it brings
/// stands in the queue before the tail.
#[test]
fn p3_the_tail_right_after_the_head_takes_one_round_trip() {
    for profile in LinkProfile::ALL {
        let round_trip = profile.round_trip.0;
        let took = tail_after_head(faithful(profile));
        assert!(took.0 <= round_trip * 120 / 100, "{took:?} on {}", profile.name);
    }
}

#[test]
fn p3_handshakes_of_tls_are_done_before_the_tail_is_asked_for() {
    let took = tail_after_head(faithful(LinkProfile::A.handshake(3)));
    assert!(took <= ms(88), "{took:?}");
}

#[test]
fn p8_without_preconnecting_a_second_place_pays_the_handshake() {
    let sim = faithful(LinkProfile::A).tuned(|tunables| tunables.fetch.preconnect = false);
    assert!(tail_after_head(sim) > ms(80));
}

/// Another thread moves a read as soon as it waits: what was asked for before is on its way.
#[test]
fn e11_a_read_that_is_moved_takes_one_round_trip_and_what_stands_in_the_queue() {
    for profile in LinkProfile::ALL {
        let mut sim = faithful(profile);
        let mut player = Player::open(&mut sim);
        player.seek(&mut sim, 0, 64 * KIB);
        sim.run_for(ms(500));
        for (from, to) in [(100 * MIB, 200 * MIB), (50 * MIB, 150 * MIB), (20 * MIB, 250 * MIB)] {
            player.begin(&mut sim, from);
            sim.run_for(ms(5));
            let took = player.seek(&mut sim, to, 64 * KIB).first;
            let queue = profile.queue * 1_000_000 / profile.bytes_per_second();
            let most = profile.round_trip.0 * 11 / 10 + queue;
            assert!(took.0 <= most, "{took:?} from {from} on {}", profile.name);
            sim.run_for(ms(500));
        }
    }
}

#[test]
fn p3_one_spare_connection_is_made_beside_the_first_request() {
    let mut told = Told::demands_only(&[]);
    assert_eq!(asked_for(&told.demand(1, 0)), [SpareId(1)]);
    assert_eq!(asked_for(&told.tell(Event::SpareReady { spare: SpareId(1) })), []);
    // The next request takes it; both are busy now, so one more is made.
    assert_eq!(asked_for(&told.demand(2, 50 * MIB)), [SpareId(2)]);
    assert_eq!(asked_for(&told.tell(Event::SpareGone { spare: SpareId(1) })), []);
}

#[test]
fn p3_none_is_made_while_one_is_idle() {
    let mut told = Told::demands_only(&[]);
    told.demand(1, 0);
    told.begin(1, ByteRange::new(0, 100));
    told.written(1, ByteRange::new(0, 100));
    told.complete(1);
    // Nobody has come for it.
    assert_eq!(asked_for(&told.tell(Event::SpareGone { spare: SpareId(1) })), []);
    told.at = 60_000;
    // The idle one goes to this request, and so one is lacking again.
    assert_eq!(asked_for(&told.demand(2, 50 * MIB)), [SpareId(2)]);
}

#[test]
fn p3_one_that_never_came_about_is_tried_again_a_second_later_at_the_earliest() {
    let mut told = Told::demands_only(&[]);
    told.demand(1, 0);
    assert_eq!(asked_for(&told.tell(Event::SpareGone { spare: SpareId(1) })), []);
    assert_eq!(asked_for(&told.tick(999)), []);
    assert_eq!(asked_for(&told.tick(1000)), [SpareId(2)]);
}

#[test]
fn p3_one_that_was_open_and_is_closed_is_made_again_at_once() {
    let mut told = Told::demands_only(&[]);
    told.demand(1, 0);
    told.tell(Event::SpareReady { spare: SpareId(1) });
    assert_eq!(asked_for(&told.tell(Event::SpareGone { spare: SpareId(1) })), [SpareId(2)]);
}

#[test]
fn p3_one_is_made_beside_what_runs_over_the_demand_lane_of_its_origin() {
    let made = |change: fn(&mut Fetch)| {
        let mut told = Told::demands_only(&[]);
        told.demand(1, 0);
        told.tell(Event::SpareGone { spare: SpareId(1) });
        change(told.scheduler.fetches.one_mut(FetchId(1)).expect("it runs"));
        asked_for(&told.tick(1000)).len()
    };
    assert_eq!(made(|_| {}), 1);
    assert_eq!(made(|fetch| fetch.lane = Lane::Bulk(0)), 0);
    assert_eq!(made(|fetch| fetch.origin = OriginId(2)), 0);
    assert_eq!(made(|fetch| fetch.cancelled = true), 0);
}

#[test]
fn p3_no_more_are_made_than_two_at_once_and_two_a_second() {
    let mut told = Told::demands_only(&[]);
    let mut made = asked_for(&told.demand(1, 0)).len();
    for nth in 0..40 {
        told.at += 50;
        let newest = SpareId(made as u64);
        made += asked_for(&told.tell(Event::SpareReady { spare: newest })).len();
        // Each seek, which nobody foretells, takes the spare connection and leaves it again.
        made += asked_for(&told.demand(2 + nth, (2 + nth * 37 % 41) * MIB)).len();
        let running: Vec<FetchId> = told.scheduler.fetches.all().map(|(id, _)| id).collect();
        for id in running {
            made += asked_for(&told.end(id.0, FetchOutcome::Cancelled)).len();
        }
    }
    assert!((4..=6).contains(&made), "{made} in 2 s");
}

#[test]
fn p3_an_origin_over_one_shared_connection_needs_none() {
    let mut told = Told::demands_only(&[]);
    told.demand(1, 0);
    let shape = BodyShape::Part(ByteRange::new(0, 400_000));
    let (connection, multiplexed) = (ConnectionUse::New, true);
    let fetch = FetchId(1);
    told.tell(Event::FetchStarted { fetch, shape, connection, multiplexed });
    told.tell(Event::SpareGone { spare: SpareId(1) });
    told.at = 60_000;
    assert_eq!(asked_for(&told.demand(2, 50 * MIB)), []);
    let mut sim = faithful(LinkProfile::A.over(Protocol::Http2));
    let mut player = Player::open(&mut sim);
    for at in [0, 100 * MIB, 200 * MIB] {
        player.seek(&mut sim, at, 64 * KIB);
        sim.run_for(ms(20_000));
    }
    assert_eq!(all_asked_for(&sim), 1, "the first one, before anything was known");
}

#[test]
fn e10_a_server_without_ranges_is_given_no_further_one() {
    let mut sim = fast();
    sim.set_server(|server| server.ranges = false);
    let reader = sim.open_reader(0);
    sim.run_until_ready(reader);
    sim.run_for(ms(20_000));
    sim.seek(reader, 200 * MIB);
    sim.read(reader);
    sim.run_for(ms(1000));
    assert_eq!(all_asked_for(&sim), 1);
}

#[test]
fn n4_an_origin_that_has_had_enough_is_given_none() {
    let mut told = Told::demands_only(&[]);
    told.demand(1, 0);
    told.tell(Event::SpareGone { spare: SpareId(1) });
    let error = crate::sched::sim::error(NetworkErrorKind::Status(429));
    let remedy = Remedy::Retry { after: Some(ms(5000)) };
    told.at = 1000;
    let told_off = told.end(1, FetchOutcome::Failed(Failure { error, remedy }));
    assert_eq!(asked_for(&told_off), []);
    told.at = 3000;
    assert_eq!(asked_for(&told.demand(2, 50 * MIB)), []);
}

#[test]
fn d1_a_closed_resource_is_given_none() {
    let mut told = Told::demands_only(&[]);
    told.demand(1, 0);
    told.tell(Event::SpareGone { spare: SpareId(1) });
    told.at = 2000;
    assert_eq!(asked_for(&told.tell(Event::ResourceClosed { resource: RESOURCE })), []);
    assert_eq!(asked_for(&told.end(1, FetchOutcome::Cancelled)), []);
}
