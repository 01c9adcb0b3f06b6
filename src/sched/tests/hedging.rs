//! Hedging: a second request beside one that is late for a read.

use super::{KIB, MIB, cancelled, fast};
use crate::byte_range::ByteRange;
use crate::ids::{FetchId, Lane, ReaderId, ResourceId};
use crate::sched::event::Remedy;
use crate::sched::sim::{Fault, Request, Sim, ms};
use crate::sched::{Class, TimeoutReason};

/// A link of 100 ms whose round trip is known and whose connections are warm; nothing is read ahead.
fn warm() -> (Sim, ReaderId) {
    let mut sim = fast().tuned(|tunables| {
        tunables.readahead.enabled = false;
        tunables.readahead.whole_file = 0;
    });
    let reader = sim.open_reader(0);
    for place in 0..8 {
        sim.seek(reader, place * 4 * MIB);
        sim.run_until_ready(reader);
        sim.run_for(ms(1500));
    }
    (sim, reader)
}

/// What was asked for from the `nth` request on.
fn since(sim: &Sim, nth: usize) -> Vec<Request> {
    sim.requests[nth..].to_vec()
}

fn stopped(sim: &Sim) -> Vec<FetchId> {
    cancelled(sim).iter().map(|(_, fetch)| *fetch).collect()
}

/// A blocked read at 100 MiB whose answer does not come.
fn unanswered() -> (Sim, ReaderId, usize) {
    let (mut sim, reader) = warm();
    let asked = sim.requests.len();
    sim.set_server(|server| server.next = Some(Fault::Stall(0)));
    sim.seek(reader, 100 * MIB);
    sim.read(reader);
    (sim, reader, asked)
}

/// Three round trips are 300 ms; a new connection costs two round trips to its first byte here.
#[test]
fn p7_an_answer_that_does_not_come_is_asked_for_again_over_another_lane() {
    let (mut sim, reader, asked) = unanswered();
    let (due, why) = sim.scheduler.next_timeout().unwrap();
    assert_eq!(((due - sim.now()).0 / 1000, why), (300, TimeoutReason::Hedge));
    let waited = sim.run_until_ready(reader);
    let both = since(&sim, asked);
    assert_eq!(both.len(), 2);
    assert_eq!((both[0].range.start, both[1].range.start), (100 * MIB, 100 * MIB));
    assert_eq!((both[0].lane, both[1].lane), (Lane::Demand, Lane::Bulk(0)));
    assert_eq!((both[1].class, both[1].attempt), (Class::Blocked, 1));
    assert!(waited > ms(490) && waited < ms(510), "{waited:?}");
    assert_eq!(stopped(&sim), [both[0].fetch]);
    assert_eq!(sim.counts.twice, 0);
    assert_eq!(sim.scheduler.view(ResourceId(1)).hedges, 1);
}

#[test]
fn p7_a_body_that_falls_silent_under_a_read_is_asked_for_again() {
    let (mut sim, reader) = warm();
    let asked = sim.requests.len();
    sim.set_server(|server| server.next = Some(Fault::Stall(100 * KIB)));
    sim.seek(reader, 100 * MIB);
    sim.run_until_ready(reader);
    sim.run_for(ms(100));
    sim.seek(reader, 100 * MIB + 100 * KIB);
    let waited = sim.run_until_ready(reader);
    let both = since(&sim, asked);
    assert_eq!(both[1].range.start, 100 * MIB + 100 * KIB, "from the first missing byte");
    assert!(waited < ms(510), "{waited:?}");
    assert_eq!(stopped(&sim), [both[0].fetch]);
    assert_eq!(sim.counts.twice, 0);
}

/// The silence counts from its beginning, not from that of the wait.
#[test]
fn p7_a_read_that_comes_to_a_body_silent_for_long_asks_again_at_once() {
    let (mut sim, reader) = warm();
    sim.set_server(|server| server.next = Some(Fault::Stall(100 * KIB)));
    sim.seek(reader, 100 * MIB);
    sim.run_until_ready(reader);
    sim.run_for(ms(2000));
    sim.seek(reader, 100 * MIB + 100 * KIB);
    let waited = sim.run_until_ready(reader);
    assert!(waited <= ms(205), "a new connection, and no more: {waited:?}");
}

#[test]
fn p7_the_late_one_goes_on_if_it_is_first_after_all() {
    let (mut sim, reader) = warm();
    sim.seek(reader, 100 * MIB);
    sim.run_until_ready(reader);
    let late = *sim.running().last().unwrap();
    let asked = sim.requests.len();
    sim.stall(late);
    sim.run_for(ms(150));
    sim.seek(reader, sim.scheduler.view(ResourceId(1)).in_flight[0].0.start);
    sim.read(reader);
    sim.run_for(ms(280));
    let second = since(&sim, asked);
    assert_eq!(second.len(), 1, "{second:?}");
    sim.go_on(late);
    sim.run_until_ready(reader);
    sim.run_for(ms(5000));
    assert_eq!(stopped(&sim), [second[0].fetch]);
    assert!(sim.has(sim.requests[asked - 1].range), "it brought all of its own");
    assert_eq!(since(&sim, asked).len(), 1);
    assert_eq!(sim.counts.twice, 0);
}

/// Both are on their way: what comes twice is counted, and is no more than what was in flight.
#[test]
fn p6_what_comes_twice_of_two_that_race_is_counted() {
    let (mut sim, reader, asked) = unanswered();
    sim.run_for(ms(301));
    let both = since(&sim, asked);
    assert_eq!(both.len(), 2);
    sim.set_server(|server| server.think = ms(0));
    sim.run_until_ready(reader);
    sim.run_for(ms(5000));
    assert_eq!(sim.counts.twice, sim.scheduler.view(ResourceId(1)).bytes_twice);
    assert!(sim.counts.twice <= 64 * KIB, "{}", sim.counts.twice);
}

/// A dead link: the one that might have been alone gets a second one beside it, and that is all.
#[test]
fn p7_a_dead_link_costs_one_more_request() {
    let (mut sim, reader) = warm();
    let asked = sim.requests.len();
    sim.set_server(|server| server.always = Some(Fault::Stall(0)));
    sim.seek(reader, 100 * MIB);
    sim.read(reader);
    sim.run_for(ms(9000));
    assert_eq!(since(&sim, asked).len(), 2);
}

#[test]
fn p7_while_every_request_is_silent_only_one_is_doubled() {
    let (mut sim, one) = warm();
    let (two, three) = (sim.open_reader(0), sim.open_reader(0));
    let asked = sim.requests.len();
    sim.set_server(|server| server.always = Some(Fault::Stall(0)));
    for (at, reader) in [one, two, three].into_iter().enumerate() {
        sim.seek(reader, (100 + 20 * at as u64) * MIB);
        sim.read(reader);
    }
    sim.run_for(ms(9000));
    assert_eq!(since(&sim, asked).len(), 4);
}

/// One is silent, the other two bring bytes: the link is alive.
#[test]
fn p7_one_silent_request_among_others_is_doubled() {
    let (mut sim, one) = warm();
    let two = sim.open_reader(0);
    let asked = sim.requests.len();
    sim.set_server(|server| server.next = Some(Fault::Stall(0)));
    sim.seek(one, 100 * MIB);
    sim.read(one);
    sim.run_for(ms(60));
    sim.hint(ByteRange::new(200 * MIB, 208 * MIB), None);
    sim.seek(two, 220 * MIB);
    let waited = sim.run_until_ready(one);
    assert!(waited < ms(600), "{waited:?}");
    assert_eq!(since(&sim, asked).iter().filter(|r| r.range.start == 100 * MIB).count(), 2);
}

/// Two are silent under two readers while the body of a third one comes in: each gets its own second request.
#[test]
fn p7_silent_requests_of_two_readers_are_both_doubled() {
    let (mut sim, one) = warm();
    let (two, three) = (sim.open_reader(0), sim.open_reader(0));
    let mut tunables = crate::config::Tunables::default();
    tunables.readahead.enabled = false;
    tunables.fetch.max_fetches = 8;
    sim.tell(crate::sched::Event::Tuned { tunables: Box::new(tunables) });
    sim.seek(three, 220 * MIB);
    sim.run_until_ready(three);
    sim.throttle(*sim.running().last().unwrap(), 100_000);
    for (reader, at) in [(one, 100), (two, 140)] {
        sim.set_server(|server| server.next = Some(Fault::Stall(0)));
        sim.seek(reader, at * MIB);
        sim.read(reader);
        sim.run_for(ms(60));
    }
    sim.run_for(ms(600));
    let at = |at: u64| sim.requests.iter().filter(|r| r.range.start == at * MIB).count();
    assert_eq!((at(100), at(140)), (2, 2));
}

/// All of it would come again.
#[test]
fn p7_a_whole_body_that_falls_silent_is_neither_doubled_nor_given_up() {
    for budget in [0, 5] {
        let mut sim = fast().tuned(|tunables| tunables.hedging.budget_percent = budget);
        sim.set_server(|server| {
            server.ranges = false;
            server.next = Some(Fault::Stall(MIB));
        });
        let reader = sim.open_reader(0);
        sim.play(reader, 6_000_000);
        sim.run_for(ms(9000));
        assert!(sim.is_waiting(reader));
        assert_eq!((sim.requests.len(), stopped(&sim)), (1, Vec::new()));
    }
}

/// The process got no time for 2 s: the bytes are there, nobody has looked.
#[test]
fn p7_a_starved_machine_takes_its_own_silence_for_nothing() {
    let (mut sim, reader) = warm();
    let asked = sim.requests.len();
    sim.set_server(|server| server.think = ms(200));
    sim.seek(reader, 100 * MIB);
    sim.read(reader);
    sim.run_for(ms(50));
    sim.freeze(ms(2000));
    sim.tell(crate::sched::Event::Tick);
    sim.run_until_ready(reader);
    sim.run_for(ms(2000));
    assert_eq!(since(&sim, asked).len(), 1);
    assert_eq!(sim.counts.twice, 0);
}

#[test]
fn p7_while_an_origin_asks_for_patience_nothing_is_doubled() {
    let (mut sim, one) = warm();
    let two = sim.open_reader(0);
    let asked = sim.requests.len();
    let busy = Fault::Fail(Remedy::Retry { after: Some(ms(3000)) });
    sim.set_server(|server| server.next = Some(Fault::Stall(0)));
    sim.seek(one, 100 * MIB);
    sim.read(one);
    sim.run_for(ms(60));
    // Over the spare connection its answer takes one round trip.
    let (began, started) = (sim.now(), ms(100));
    sim.set_server(|server| server.next = Some(busy));
    sim.seek(two, 200 * MIB);
    sim.read(two);
    sim.run_until_ready(one);
    let again = since(&sim, asked).into_iter().filter(|r| r.range.start == 100 * MIB);
    let at = again.map(|request| request.at).nth(1).unwrap();
    assert!(at >= began + started + ms(3000), "{at:?}");
    assert!(at < began + started + ms(3010), "{at:?}");
}

/// A 503 that does not say for how long counts too.
#[test]
fn p7_after_a_503_nothing_is_doubled_for_a_second() {
    let (mut sim, one) = warm();
    let two = sim.open_reader(0);
    let asked = sim.requests.len();
    sim.set_server(|server| server.next = Some(Fault::Stall(0)));
    sim.seek(one, 100 * MIB);
    sim.read(one);
    sim.run_for(ms(60));
    let began = sim.now();
    let busy = Fault::Fail(Remedy::Retry { after: None });
    sim.set_server(|server| server.next = Some(busy));
    sim.seek(two, 200 * MIB);
    sim.read(two);
    sim.run_until_ready(one);
    let again = since(&sim, asked).into_iter().filter(|r| r.range.start == 100 * MIB);
    let at = again.map(|request| request.at).nth(1).unwrap();
    assert!(at >= began + ms(1100) && at < began + ms(1210), "{at:?}");
}

/// 5 % of the requests and two at once, on a server that leaves each fifth request without an answer.
#[test]
fn p7_second_requests_are_few_among_many() {
    let (mut sim, reader) = warm();
    sim.set_server(|server| server.every = Some((5, Fault::Stall(0))));
    for place in 1..200 {
        sim.seek(reader, place * MIB);
        sim.run_until_ready(reader);
        sim.run_for(ms(200));
    }
    let hedges = sim.scheduler.view(ResourceId(1)).hedges;
    let others = sim.requests.len() as u64 - hedges;
    assert!(hedges <= others / 20 + 2, "{hedges} beside {others}");
    assert!(hedges >= others / 20, "{hedges} beside {others}");
}

/// Without a second request a silent one is borne twice as long, and then another takes its place.
#[test]
fn p7_with_the_budget_used_up_a_silent_request_gives_way() {
    let (mut sim, reader) = warm();
    let mut waits = Vec::new();
    for place in 1..=3 {
        sim.run_for(ms(2000));
        sim.set_server(|server| server.next = Some(Fault::Stall(0)));
        sim.seek(reader, (50 + 40 * place) * MIB);
        waits.push(sim.run_until_ready(reader));
    }
    assert!(waits[..2].iter().all(|wait| *wait < ms(610)), "{waits:?}");
    assert!(waits[2] > ms(690) && waits[2] < ms(910), "{waits:?}");
    assert_eq!(sim.scheduler.view(ResourceId(1)).hedges, 2);
    assert_eq!(sim.counts.twice, 0);
}

/// On a dead link less and less often: after 0.6 s, and after twice as long each time.
#[test]
fn p7_with_the_budget_used_up_a_dead_link_is_not_hammered() {
    let (mut sim, reader) = warm();
    let mut tunables = crate::config::Tunables::default();
    tunables.readahead.enabled = false;
    tunables.hedging.budget_percent = 0;
    sim.tell(crate::sched::Event::Tuned { tunables: Box::new(tunables) });
    let asked = sim.requests.len();
    sim.set_server(|server| server.always = Some(Fault::Stall(0)));
    sim.seek(reader, 100 * MIB);
    sim.read(reader);
    sim.run_for(ms(9900));
    let tries = since(&sim, asked);
    assert!((4..=5).contains(&tries.len()), "{tries:?}");
    assert!(tries.windows(3).all(|t| t[2].at - t[1].at > t[1].at - t[0].at), "{tries:?}");
    assert_eq!(sim.running().len(), 1);
}

#[test]
fn p7_turned_off_a_request_is_waited_for_until_its_time_limit() {
    let (mut sim, reader) = warm();
    let mut tunables = crate::config::Tunables::default();
    tunables.readahead.enabled = false;
    tunables.hedging.enabled = false;
    sim.tell(crate::sched::Event::Tuned { tunables: Box::new(tunables) });
    sim.set_server(|server| server.next = Some(Fault::Stall(0)));
    sim.seek(reader, 100 * MIB);
    assert!(sim.run_until_ready(reader) > ms(10_000));
}

/// The second request fails: the first has its bytes again, and brings them.
#[test]
fn p7_a_second_request_that_fails_takes_nothing_from_the_first() {
    for remedy in [Remedy::Retry { after: None }, Remedy::GiveUp] {
        let (mut sim, reader) = warm();
        sim.seek(reader, 100 * MIB);
        sim.run_until_ready(reader);
        let late = *sim.running().last().unwrap();
        let asked = sim.requests.len();
        let range = sim.requests[asked - 1].range;
        sim.stall(late);
        sim.run_for(ms(100));
        sim.set_server(|server| server.next = Some(Fault::Fail(remedy)));
        sim.seek(reader, sim.scheduler.view(ResourceId(1)).in_flight[0].0.start);
        sim.read(reader);
        sim.run_for(ms(700));
        assert_eq!(since(&sim, asked).len(), 1);
        sim.go_on(late);
        sim.run_until_ready(reader);
        sim.run_for(ms(1000));
        assert_eq!(sim.errors(reader).len(), 0, "{remedy:?}");
        assert_eq!(since(&sim, asked).len(), 1, "{remedy:?}");
        assert!(sim.has(range));
        assert_eq!(sim.counts.twice, 0);
    }
}

/// It has won, so that it is no second request any more.
#[test]
fn p7_a_second_request_that_falls_silent_after_it_has_won_is_doubled_in_turn() {
    let (mut sim, reader, asked) = unanswered();
    sim.run_until_ready(reader);
    sim.stall(sim.requests[asked + 1].fetch);
    let from = sim.now();
    sim.play(reader, 1 << 40);
    sim.run_for(ms(5000));
    let longest = sim.waits_from(reader, from).into_iter().max().unwrap_or_default();
    assert!(longest <= ms(510), "{longest:?}");
}

/// The user goes elsewhere while the two race: neither is left behind.
#[test]
fn p7_a_seek_away_ends_both() {
    let (mut sim, reader, asked) = unanswered();
    sim.set_server(|server| server.next = Some(Fault::Stall(0)));
    sim.run_for(ms(350));
    assert_eq!(since(&sim, asked).len(), 2);
    sim.seek(reader, 200 * MIB);
    sim.run_until_ready(reader);
    sim.run_for(ms(2000));
    let left: Vec<FetchId> = sim.running();
    assert_eq!(left, [], "{:?}", stopped(&sim));
}

/// A flow that crawls while the link could do ten times as much: its rest is divided, nothing comes twice.
#[test]
fn p7_a_crawling_body_is_split() {
    let mut sim = fast();
    let reader = sim.open_reader(0);
    sim.play(reader, 6_000_000);
    sim.run_for(ms(10_000));
    let from = sim.now();
    let slow = *sim.running().first().unwrap();
    sim.throttle(slow, 200_000);
    sim.run_for(ms(20_000));
    let waits = sim.waits_from(reader, from);
    let longest = waits.iter().max().copied().unwrap_or_default();
    assert!(longest <= ms(450), "{longest:?} of {waits:?}");
    assert!(sim.scheduler.view(ResourceId(1)).hedges > 0);
    assert!(sim.counts.twice <= 14 * KIB, "what crosses the border: {}", sim.counts.twice);
}

/// Whatever is asked for falls silent. Each request beside one that is late would be twice as large as the one before.
#[test]
fn p7_helping_out_goes_no_farther_than_the_window() {
    let mut sim = fast().tuned(|tunables| {
        tunables.readahead.min_window = MIB;
        tunables.readahead.max_window = MIB;
    });
    let reader = sim.open_reader(0);
    sim.play(reader, 500_000);
    sim.run_for(ms(5000));
    let mut known = sim.requests.len();
    for _ in 0..200 {
        sim.run_for(ms(100));
        for request in since(&sim, std::mem::replace(&mut known, sim.requests.len())) {
            let window = sim.position(reader) + MIB;
            assert!(request.range.end <= window, "{request:?} beyond {window}");
            sim.stall(request.fetch);
        }
    }
    assert!(sim.scheduler.view(ResourceId(1)).hedges > 0);
}

/// A player at 60 % of the link that has a second of media in hand, 5 s after its start at the earliest.
pub(super) fn playing(round_trip: u64, rate: u64) -> (Sim, ReaderId) {
    let mut sim = Sim::new(256 * MIB).latency(ms(round_trip)).rate(rate).stored_before(&[]);
    let reader = sim.open_reader(0);
    sim.play(reader, rate * 6 / 10);
    sim.run_for(ms(5000));
    while !sim.has(ByteRange::at(sim.position(reader), rate * 6 / 10)) {
        sim.run_for(ms(100));
        assert!(sim.now() < ms(15_000), "{round_trip} {} {}", sim.stored(), sim.position(reader));
    }
    (sim, reader)
}

/// The links of the benchmarks: round trip in ms, bytes per second.
pub(super) const LINKS: [(u64, u64); 4] =
    [(40, 6_250_000), (10, 25_000_000), (120, 2_500_000), (200, 12_500_000)];

/// The same, whichever connection stops sending, and whenever.
#[test]
fn p7_a_connection_that_stops_sending_holds_up_no_player() {
    for (round_trip, rate) in LINKS {
        for (later, which) in [0, 130, 700, 1500].into_iter().flat_map(|l| [(l, 0), (l, 1)]) {
            let (mut sim, reader) = playing(round_trip, rate);
            sim.run_for(ms(later));
            let Some(silent) = sim.running().get(which).copied() else {
                continue;
            };
            let from = sim.now();
            sim.stall(silent);
            sim.run_for(ms(20_000));
            let longest = sim.waits_from(reader, from).into_iter().max().unwrap_or_default();
            assert!(
                longest <= ms(2 * round_trip + 250),
                "{longest:?} on {round_trip} ms, {silent} stopped at {from:?}"
            );
        }
    }
}
