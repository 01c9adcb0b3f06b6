//! Second requests one decision at a time: the budget, and where a body is cut in two.

use super::*;
use crate::ids::DemandId;
use crate::sched::estimator::Meter;
use crate::sched::event::{Event, Urgency};

const FILM: ResourceId = ResourceId(1);
const HOST: OriginId = OriginId(1);
const MINE: ReaderId = ReaderId(1);
const MIB: u64 = 1 << 20;
/// Where the head of the fetch of [`Crawl`] is.
const HEAD: u64 = 11 * MIB;

#[test]
fn p7_two_second_requests_at_once_and_then_one_for_each_twenty_others() {
    let config = HedgingConfig::default();
    let mut hedging = Hedging::default();
    let (fetch, reader) = (FetchId(1), ReaderId(1));
    let late = Late { fetch, from: 0, reader, blocked: true, split: false, last_resort: false };
    let split = Late { split: true, ..late };
    for _ in 0..2 {
        assert!(hedging.is_affordable(&config));
        hedging.sent(Some(late), Micros(0), &config);
    }
    for _ in 0..20 {
        assert!(!hedging.is_affordable(&config));
        hedging.sent(None, Micros(0), &config);
        hedging.sent(Some(split), Micros(0), &config);
    }
    assert!(hedging.is_affordable(&config));
    hedging.sent(Some(late), Micros(0), &config);
    assert!(!hedging.is_affordable(&config));
    let none = HedgingConfig { budget_percent: 0, ..Default::default() };
    assert!(!Hedging::default().is_affordable(&none));
}

#[test]
fn p7_one_body_a_second_is_split() {
    let (fetch, reader) = (FetchId(1), ReaderId(1));
    let split = Late { fetch, from: 0, reader, blocked: true, split: true, last_resort: false };
    let mut hedging = Hedging::default();
    assert_eq!(hedging.next_split(), Micros(0));
    hedging.sent(Some(split), Micros(7), &HedgingConfig::default());
    assert_eq!(hedging.next_split(), Micros(1_000_007));
}

#[test]
fn p7_the_best_rate_is_half_forgotten_after_ten_seconds() {
    let mut hedging = Hedging::default();
    assert_eq!(hedging.peak(Micros(0), 4e6), 4e6);
    assert_eq!(hedging.peak(Micros::from_millis(10_000), 1e6), 2e6);
    assert_eq!(hedging.peak(Micros::from_millis(10_000), 3e6), 3e6);
}

/// A reader that is blocked at 11 MiB, in a fetch that brings 1 MB/s and has 4 MB to go, at 20 s.
struct Crawl {
    scheduler: Scheduler,
    fetch: FetchId,
    late: Late,
    peak: f64,
}

impl Crawl {
    fn new() -> Self {
        let mut scheduler = Scheduler::new(crate::config::Tunables::default(), 2, 1);
        let mut tell = |event| scheduler.handle(Micros(0), event, &mut Vec::new());
        let opened = |resource, origin| Event::ResourceOpened {
            resource,
            origin,
            len: Some(256 * MIB),
            covered: Vec::new(),
            online: true,
        };
        tell(opened(FILM, HOST));
        tell(Event::ReaderOpened { resource: FILM, reader: MINE, position: HEAD });
        let range = ByteRange::at(HEAD, 1);
        let (demand, urgency) = (DemandId(1), Urgency::Blocked);
        tell(Event::Demand { reader: MINE, demand, range, urgency });
        let now = Micros::from_millis(20_000);
        scheduler.now = now;
        let fetch = scheduler.fetches.all().next().expect("the read is asked for").0;
        let running = scheduler.fetches.one_mut(fetch).expect("it runs");
        let mut meter = Meter::default();
        meter.begin(Micros::from_millis(10_000));
        meter.add(Micros::from_millis(15_000), 5_000_000);
        (running.meter, running.received, running.last) = (meter, 1, now);
        running.answered = Some(Micros::from_millis(18_500));
        (running.head, running.end) = (HEAD, HEAD + 4_000_000);
        let late = Late {
            fetch,
            from: HEAD,
            reader: MINE,
            blocked: true,
            split: false,
            last_resort: false,
        };
        Self { scheduler, fetch, late, peak: 4e6 }
    }

    fn running(&mut self) -> &mut Fetch {
        self.scheduler.fetches.one_mut(self.fetch).expect("it runs")
    }

    /// Another one like it.
    fn beside(&mut self, change: impl FnOnce(&mut Fetch)) {
        let mut other = self.running().clone();
        change(&mut other);
        self.scheduler.fetches.insert(FetchId(900), other);
    }

    fn split(&self) -> Option<u64> {
        let scheduler = &self.scheduler;
        let (resource, origin) = (&scheduler.resources[&FILM], &scheduler.origins[&HOST]);
        let fetch = scheduler.fetches.one(self.fetch).expect("it runs");
        scheduler.split_point(resource, origin, fetch, &self.late, self.peak)
    }

    /// The same after `change`.
    fn after(change: impl FnOnce(&mut Self)) -> Option<u64> {
        let mut crawl = Self::new();
        change(&mut crawl);
        crawl.split()
    }
}

/// A new connection costs 240 ms before anything is known; 1.25 times that are 300 ms, and so 300 kB.
const CUT: Option<u64> = Some(HEAD + 300_000);

#[test]
fn p7_a_body_that_crawls_is_cut_where_the_other_one_will_be_by_then() {
    assert_eq!(Crawl::new().split(), CUT);
    assert_eq!(Crawl::after(|it| it.peak = 3_999_999.0), None, "a quarter of the path is fair");
    let place = |from| Crawl::after(|it| it.late.from = from);
    assert_eq!(place(HEAD + 299_998), CUT);
    assert_eq!(place(HEAD + 400_000), Some(HEAD + 400_001), "never at the byte that is waited for");
}

#[test]
fn p7_the_fair_share_is_that_among_the_bodies_that_come_in() {
    let two = |peak, change: fn(&mut Fetch)| {
        Crawl::after(|it| {
            it.peak = peak;
            it.beside(change);
        })
    };
    assert_eq!(two(8e6, |_| {}), CUT);
    assert_eq!(two(7_999_999.0, |_| {}), None);
    assert_eq!(two(4e6, |other| other.origin = OriginId(2)), CUT);
    assert_eq!(two(4e6, |other| other.received = 0), CUT);
    assert_eq!(two(4e6, |other| other.head = other.end), CUT);
}

#[test]
fn p7_a_young_a_short_and_a_silent_body_are_not_cut() {
    let answered = |at| Crawl::after(|it| it.running().answered = Some(Micros::from_millis(at)));
    assert_eq!((answered(18_500), answered(18_501)), (CUT, None), "young for 1.5 s");
    let rest = |len| Crawl::after(|it| it.running().end = HEAD + len);
    assert_eq!((rest(1_000_000), rest(999_999)), (CUT, None), "short is a second");
    let last = |at| Crawl::after(|it| it.running().last = Micros::from_millis(at));
    assert_eq!((last(19_751), last(19_750)), (CUT, None), "silent for 250 ms");
    assert_eq!(Crawl::after(|it| it.running().received = 0), None, "nothing has come");
}

#[test]
fn p7_what_is_split_off_is_worth_a_request() {
    let least = crate::config::Tunables::default().fetch.demand_min;
    let end = |len| {
        Crawl::after(|it| {
            it.late.from = HEAD + 1_999_999;
            it.running().end = HEAD + 2_000_000 + len;
        })
    };
    assert_eq!((end(least), end(least - 1)), (Some(HEAD + 2_000_000), None));
}

#[test]
fn p7_read_ahead_is_cut_only_if_its_reader_consumes_more() {
    let consumes = |bytes_per_second| {
        Crawl::after(|it| {
            let bytes_per_second = Some(bytes_per_second);
            let declared = Event::RateDeclared { resource: FILM, bytes_per_second };
            it.scheduler.react(declared, &mut Vec::new());
            it.late.blocked = false;
        })
    };
    // 1.2 times as much would do.
    assert_eq!((consumes(833_334), consumes(833_333)), (CUT, None));
}

/// 1.2 MB/s, read at 1 MB/s.
#[test]
fn p7_read_ahead_that_is_just_fast_enough_is_left_alone() {
    let brings = |bytes| {
        Crawl::after(|it| {
            let mut meter = Meter::default();
            meter.begin(Micros::from_millis(10_000));
            meter.add(Micros::from_millis(15_000), bytes);
            it.running().meter = meter;
            it.peak = 1e9;
            let declared =
                Event::RateDeclared { resource: FILM, bytes_per_second: Some(1_000_000) };
            it.scheduler.react(declared, &mut Vec::new());
            it.late.blocked = false;
        })
    };
    assert!(brings(5_999_990).is_some());
    assert_eq!(brings(6_000_000), None);
}

/// Read-ahead is relieved before its reader gets there, if there is read-ahead.
#[test]
fn p7_silent_read_ahead_is_late_for_a_reader_that_will_come_to_it() {
    let found = |enabled| {
        let mut crawl = Crawl::new();
        crawl.scheduler.tunables.readahead.enabled = enabled;
        let resource = crawl.scheduler.resources.get_mut(&FILM).expect("it is open");
        let cursor = resource.cursors.one_mut(MINE).expect("it reads");
        cursor.demand = None;
        cursor.stream.as_mut().expect("it has begun to read").confirmed = true;
        crawl.scheduler.lateness(&crawl.scheduler.resources[&FILM], MINE, 0.0)
    };
    assert!(found(true).is_some_and(|(late, _)| !late.blocked));
    assert_eq!(found(false), None);
}

/// Two readers wait for one request and a third one for another: each request is late once.
#[test]
fn p7_every_late_request_is_found_once() {
    let mut scheduler = Scheduler::new(crate::config::Tunables::default(), 2, 1);
    let mut tell = |event| scheduler.handle(Micros(0), event, &mut Vec::new());
    let (resource, origin, len) = (FILM, HOST, Some(256 * MIB));
    tell(Event::ResourceOpened { resource, origin, len, covered: Vec::new(), online: true });
    for (name, at) in [(1, HEAD), (2, HEAD), (3, 100 * MIB)] {
        let reader = ReaderId(name);
        tell(Event::ReaderOpened { resource, reader, position: at });
        let (demand, range, urgency) = (DemandId(name), ByteRange::at(at, 1), Urgency::Blocked);
        tell(Event::Demand { reader, demand, range, urgency });
    }
    scheduler.now = Micros::from_millis(5000);
    scheduler.find_late(FILM, &mut Vec::new());
    let late: Vec<u64> = scheduler.resources[&FILM].late.iter().map(|late| late.from).collect();
    assert_eq!(late, [HEAD, 100 * MIB]);
}

/// What is found out of all that: a split is no second request, and waits for its turn.
#[test]
fn p7_a_cut_costs_no_second_request_and_begins_past_the_byte_that_is_waited_for() {
    let mut crawl = Crawl::new();
    let origin = crawl.scheduler.origins.get_mut(&HOST).expect("it is there");
    for _ in 0..2 {
        origin.hedging.sent(Some(crawl.late), Micros(0), &HedgingConfig::default());
    }
    let found = crawl.scheduler.lateness(&crawl.scheduler.resources[&FILM], MINE, 4e6);
    let cut = Late { from: HEAD + 300_000, split: true, last_resort: false, ..crawl.late };
    assert_eq!(found, Some((cut, Micros(0))), "with the budget used up too");
}

#[test]
fn p7_what_was_told_to_stop_or_is_left_unread_is_not_late() {
    let found = |change: fn(&mut Fetch)| {
        let mut crawl = Crawl::new();
        change(crawl.running());
        crawl.scheduler.lateness(&crawl.scheduler.resources[&FILM], MINE, 0.0).is_some()
    };
    assert!(found(|_| {}));
    assert!(!found(|fetch| fetch.cancelled = true));
    assert!(!found(|fetch| fetch.paused = true));
}

/// A second request is out, and the fetch beside it has been silent since `last`.
fn is_dark(last: u64, change: impl FnOnce(&mut Fetch)) -> bool {
    let first = Crawl::new().fetch;
    is_dark_beside(first, last, change)
}

/// The same where the second request was sent beside `first`.
fn is_dark_beside(first: FetchId, last: u64, change: impl FnOnce(&mut Fetch)) -> bool {
    let mut crawl = Crawl::new();
    crawl.running().last = Micros::from_millis(10_000);
    crawl.running().rival = Some(first);
    crawl.beside(|fetch| {
        (fetch.rival, fetch.last) = (None, Micros::from_millis(last));
        change(fetch);
    });
    crawl.scheduler.is_in_the_dark(HOST, &crawl.scheduler.origins[&HOST])
}

#[test]
fn p7_a_body_that_comes_in_shows_that_the_link_is_alive() {
    assert!(!is_dark(19_751, |_| {}));
    assert!(is_dark(19_750, |_| {}), "silent for 250 ms");
    assert!(is_dark(20_000, |fetch| fetch.origin = OriginId(2)));
    assert!(is_dark(20_000, |fetch| fetch.cancelled = true));
    assert!(is_dark(20_000, |fetch| fetch.answered = None));
    assert!(
        !is_dark_beside(FetchId(800), 19_750, |_| {}),
        "its first is gone: it is no second one"
    );
}

/// The one of `Crawl` was cut at 15 MB; the second request failed there. Whether its bytes were given back.
fn is_given_back(remedy: Remedy, hole: ByteRange, change: impl FnOnce(&mut Fetch)) -> bool {
    let mut crawl = Crawl::new();
    crawl.running().body_end = HEAD + 8_000_000;
    let failed = Fetch { rival: Some(crawl.fetch), ..crawl.running().clone() };
    change(crawl.running());
    let error = crate::sched::sim::error(crate::error::NetworkErrorKind::TimedOut);
    let outcome = FetchOutcome::Failed(crate::sched::Failure { error, remedy });
    let given = crawl.scheduler.give_back(&failed, hole, &outcome);
    assert_eq!(given, crawl.running().end > HEAD + 4_000_000);
    given
}

#[test]
fn n3_what_a_second_request_leaves_goes_back_to_one_that_can_bring_it() {
    let hole = ByteRange::at(HEAD + 4_000_000, 1_000_000);
    assert!(is_given_back(Remedy::GiveUp, hole, |_| {}));
    assert!(!is_given_back(Remedy::Fatal, hole, |_| {}));
    assert!(!is_given_back(Remedy::GiveUp, hole, |rival| rival.cancelled = true));
    assert!(!is_given_back(Remedy::GiveUp, hole, |rival| rival.stale = true));
    let apart = ByteRange::at(HEAD + 4_000_001, 1_000_000);
    assert!(!is_given_back(Remedy::GiveUp, apart, |_| {}));
}
