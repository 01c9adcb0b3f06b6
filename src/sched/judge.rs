//! Judgement over running fetches: whether a blocked read waits for one, and whether one that nobody
//! wants any more is left to finish.

use crate::byte_range::ByteRange;
use crate::ids::FetchId;
use crate::sched::estimator::Link;
use crate::sched::inflight::Fetch;
use crate::sched::plan::Outlook;
use crate::sched::resource::Resource;
use crate::sched::size;
use crate::time::Micros;

/// Waiting wins up to so many times the cost of a new request: it wastes nothing.
const WAIT_FACTOR: f64 = 1.25;
/// And up to so much more.
const WAIT_EXTRA: Micros = Micros::from_millis(20);
/// A body whose rate was not measured yet goes on so many times as fast as it began, at most.
const OPENING: f64 = 2.0;
/// Silence shorter than that says nothing: packets are lost and sent again, machines are busy.
const STALL: Micros = Micros::from_millis(250);
/// Nor does silence of so many round trips.
const STALL_ROUND_TRIPS: u64 = 3;
/// Shortest time between two looks at one wait.
const REVIEW: Micros = Micros::from_millis(10);
/// An unwanted fetch of which no more than so many bytes are left is left to finish, whatever the link.
const SMALL_REST: u64 = 64 << 10;
/// A first request is left to finish if it is of no more than so many bytes.
const FIRST_REST: u64 = 512 << 10;
/// An unwanted fetch that is so far done is left to finish: its connection is worth more.
const NEARLY_DONE: f64 = 0.95;

/// What is better for a blocked read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To wait for the running fetch, and to look again at `review`.
    Wait {
        /// When; `None` where waiting is right however long it takes.
        review: Option<Micros>,
    },
    /// A new request.
    Open,
}

/// Whether a read that is blocked at `at` waits for `fetch`, to which that byte belongs.
pub(crate) fn wait_or_open(at: u64, fetch: &Fetch, outlook: &Outlook<'_>) -> Verdict {
    let config = &outlook.tunables.fetch;
    let distance = at.saturating_sub(fetch.head);
    if distance <= config.wait_min {
        return Verdict::Wait { review: None };
    }
    let open = outlook.open;
    let most = Micros((open.0 as f64 * WAIT_FACTOR) as u64) + WAIT_EXTRA;
    if distance > config.wait_max || time_to_reach(distance, fetch, outlook) > most {
        return Verdict::Open;
    }
    Verdict::Wait { review: Some(outlook.now + open.max(REVIEW)) }
}

/// How long `fetch` will probably take to bring the byte `distance` ahead of its head. One that is silent
/// longer than a stall will probably be silent as long again.
fn time_to_reach(distance: u64, fetch: &Fetch, outlook: &Outlook<'_>) -> Micros {
    let now = outlook.now;
    let transfer = Link::time_for(distance, rate(fetch, outlook));
    let stalled = |silent| if silent > stall(&outlook.link) { silent } else { Micros(0) };
    if fetch.is_streaming() {
        return transfer + stalled(now.since(fetch.last));
    }
    let waited = now.since(fetch.started);
    transfer + fetch.expected.since(waited).max(stalled(waited.since(fetch.expected)))
}

/// How fast `fetch` will probably be, in bytes per second. While that was not measured: like the others, but one
/// that opens its window only doubles what it brought.
fn rate(fetch: &Fetch, outlook: &Outlook<'_>) -> f64 {
    let measured = fetch.meter.rate();
    let age = fetch.answered.map(|at| outlook.now.since(at));
    let old = age.filter(|age| measured.is_none() && *age >= outlook.link.round_trip);
    let most = old.map_or(f64::INFINITY, |age| OPENING * fetch.received as f64 / age.as_secs_f64());
    measured.unwrap_or(outlook.link.flow).min(most)
}

/// From when on silence of a fetch is a stall.
fn stall(link: &Link) -> Micros {
    silence(link, STALL)
}

/// Silence that says something: `least`, and never less than a few round trips.
pub(crate) fn silence(link: &Link, least: Micros) -> Micros {
    least.max(Micros(link.round_trip.0.saturating_mul(STALL_ROUND_TRIPS)))
}

/// The running fetches of `resource` that nobody wants any more and that are not worth finishing. Over a
/// `multiplexed` connection none is: to stop one costs a reset, and the connection stays.
pub(crate) fn unwanted(
    resource: &Resource,
    outlook: &Outlook<'_>,
    multiplexed: bool,
) -> Vec<FetchId> {
    outlook
        .fetches
        .live(resource.id)
        .filter(|(_, fetch)| !fetch.whole)
        .filter(|(_, fetch)| !is_wanted(resource, fetch.rest(), outlook))
        .filter(|(_, fetch)| multiplexed || !is_worth_finishing(fetch, outlook))
        .map(|(id, _)| id)
        .collect()
}

/// Whether a cursor's window, a wait or a hint holds something of `rest`.
fn is_wanted(resource: &Resource, rest: ByteRange, outlook: &Outlook<'_>) -> bool {
    let config = &outlook.tunables.readahead;
    let windows = resource.windows(outlook.now, config, &outlook.link);
    if resource.is_small(outlook.tunables, &outlook.link) && !windows.is_empty() {
        return true;
    }
    let least = size::first(outlook);
    let in_window = windows
        .iter()
        .any(|window| ByteRange::at(window.range.start, window.size.max(least)).overlaps(rest));
    in_window
        || resource.cursors.demands().any(|(_, demand)| demand.range.overlaps(rest))
        || resource.hints.values().any(|hint| hint.range.overlaps(rest))
}

/// Whether the rest costs no more than making a connection anew. A first request always is: most of it is
/// on its way by the time that the server hears of the end, and the next seek needs a connection.
fn is_worth_finishing(fetch: &Fetch, outlook: &Outlook<'_>) -> bool {
    let link = &outlook.link;
    let cheap = (2.0 * link.round_trip.as_secs_f64() * link.flow) as u64;
    let rest = fetch.rest().len();
    let first = size::first(outlook).min(FIRST_REST);
    rest <= SMALL_REST.max(cheap).max(first) || fetch.done() >= NEARLY_DONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tunables;
    use crate::sched::event::Class;
    use crate::sched::inflight::Inflight;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    const fn ms(n: u64) -> Micros {
        Micros::from_millis(n)
    }

    /// A fetch of the first 8 MiB that has brought `head` bytes and runs at the link's rate.
    fn fetch(head: u64) -> Fetch {
        Fetch {
            class: Class::Near,
            head,
            expected: ms(100),
            answered: (head > 0).then_some(ms(100)),
            last: ms(1000),
            received: head,
            fresh: head,
            ..Fetch::sent(ms(0), ByteRange::new(0, 8 * MIB))
        }
    }

    /// At 1 s, on a link of 1 MB/s and 100 ms; a new request costs 100 ms.
    fn verdict(at: u64, fetch: &Fetch, now: Micros) -> Verdict {
        let (tunables, fetches) = (Tunables::default(), Inflight::default());
        let (round_trip, first_byte, cold) = (ms(100), ms(100), ms(100));
        let link = Link { late: Micros(0), round_trip, first_byte, cold, flow: 1e6, path: 1e6 };
        let open = ms(100);
        wait_or_open(
            at,
            fetch,
            &Outlook {
                now,
                tunables: &tunables,
                link,
                open,
                ramp: link.ramp(),
                alone: true,
                carried: None,
                fetches: &fetches,
            },
        )
    }

    const REVIEWED: Verdict = Verdict::Wait { review: Some(ms(1100)) };

    /// 1.25 x 100 ms + 20 ms are 145 ms, and so 145 kB.
    #[test]
    fn p3_a_read_waits_as_long_as_a_new_request_and_a_little_more_would_take() {
        let running = fetch(MIB);
        assert_eq!(verdict(MIB + 145_000, &running, ms(1000)), REVIEWED);
        assert_eq!(verdict(MIB + 145_002, &running, ms(1000)), Verdict::Open);
    }

    #[test]
    fn p3_very_near_it_waits_without_looking_again() {
        let near = Verdict::Wait { review: None };
        assert_eq!(verdict(MIB + 64 * KIB, &fetch(MIB), ms(1000)), near);
        assert_eq!(verdict(MIB + 64 * KIB + 1, &fetch(MIB), ms(1000)), REVIEWED);
        assert_eq!(verdict(MIB, &fetch(MIB), ms(90_000)), near);
    }

    /// 100 kB ahead of a body whose rate was not measured: at the link's rate they take 100 ms.
    #[test]
    fn p3_a_body_that_opens_its_window_only_doubles_what_it_brought() {
        let begun =
            |answered, received| Fetch { answered: Some(ms(answered)), received, ..fetch(MIB) };
        let at = MIB + 100_000;
        // For a round trip it counts as fast as the others.
        assert_eq!(verdict(at, &begun(901, 20_000), ms(1000)), REVIEWED);
        // 20 kB in 100 ms: 400 kB/s at most from here on, which is 250 ms.
        assert_eq!(verdict(at, &begun(900, 20_000), ms(1000)), Verdict::Open);
        // 690 kB/s at least bring them within 145 ms.
        assert_eq!(verdict(at, &begun(900, 34_500), ms(1000)), REVIEWED);
        assert_eq!(verdict(at, &begun(900, 34_400), ms(1000)), Verdict::Open);
        assert_eq!(verdict(at, &begun(800, MIB), ms(1000)), REVIEWED);
    }

    #[test]
    fn p3_silence_counts_once_it_is_a_stall() {
        let at = MIB + 100_000;
        assert!(matches!(verdict(at, &fetch(MIB), ms(1300)), Verdict::Wait { .. }));
        assert_eq!(verdict(at, &fetch(MIB), ms(1301)), Verdict::Open);
    }

    #[test]
    fn p3_a_stall_is_three_round_trips_and_never_less_than_250_ms() {
        let link = |round_trip| Link {
            late: Micros(0),
            round_trip,
            first_byte: round_trip,
            cold: round_trip,
            flow: 1e6,
            path: 1e6,
        };
        assert_eq!(stall(&link(ms(1))), ms(250));
        assert_eq!(stall(&link(ms(83))), ms(250));
        assert_eq!(stall(&link(ms(100))), ms(300));
    }

    #[test]
    fn p3_the_rest_of_the_first_byte_time_counts() {
        let sent = Fetch { started: ms(900), ..fetch(0) };
        // 100 ms have passed; nothing is left of the expected time.
        assert!(matches!(verdict(140_000, &sent, ms(1000)), Verdict::Wait { .. }));
        // 50 ms are left.
        assert!(matches!(verdict(90_000, &sent, ms(950)), Verdict::Wait { .. }));
        assert_eq!(verdict(96_000, &sent, ms(950)), Verdict::Open);
    }

    #[test]
    fn p3_an_answer_late_by_a_stall_is_given_up() {
        let sent = Fetch { started: ms(900), ..fetch(0) };
        assert!(matches!(verdict(90_000, &sent, ms(1300)), Verdict::Wait { .. }));
        assert_eq!(verdict(90_000, &sent, ms(1301)), Verdict::Open);
    }

    /// 2 R r are 200 kB; a first request is of 2 B R, here 400 kB.
    #[test]
    fn p3_a_short_rest_is_worth_finishing() {
        let worth = |flow, fetch: &Fetch| {
            let (tunables, fetches) = (Tunables::default(), Inflight::default());
            let (round_trip, first_byte, cold) = (ms(100), ms(100), ms(100));
            let link = Link { late: Micros(0), round_trip, first_byte, cold, flow, path: 2e6 };
            let (now, open) = (ms(1000), ms(100));
            let tunables = &tunables;
            is_worth_finishing(
                fetch,
                &Outlook {
                    now,
                    tunables,
                    link,
                    open,
                    ramp: link.ramp(),
                    alone: true,
                    carried: None,
                    fetches: &fetches,
                },
            )
        };
        assert!(worth(1e6, &fetch(8 * MIB - 400_000)));
        assert!(!worth(1e6, &fetch(8 * MIB - 420_000)));
        assert!(worth(3e6, &fetch(8 * MIB - 600_000)));
        assert!(!worth(3e6, &fetch(7 * MIB)));
        assert!(worth(1e6, &fetch(8 * MIB * 95 / 100 + 1)));
        let long = Fetch { end: 80 * MIB, ..fetch(0) };
        let done = |head| Fetch { head, ..long.clone() };
        assert!(worth(1e6, &done(80 * MIB * 95 / 100 + 1)));
        assert!(!worth(1e6, &done(80 * MIB * 95 / 100 - 1)));
    }

    /// Two round trips of 1 MB/s are 200 kB; on a short link it is 64 KiB, or a first request of 512 KiB.
    #[test]
    fn p3_a_rest_is_short_up_to_two_round_trips_or_64_kib_or_a_first_request() {
        let worth = |round_trip, first, rest| {
            let (mut tunables, fetches) = (Tunables::default(), Inflight::default());
            (tunables.fetch.demand_min, tunables.fetch.demand_max) = (first, first);
            let (open, flow, path) = (ms(round_trip), 1e6, 1e6);
            let link = Link {
                late: Micros(0),
                round_trip: open,
                first_byte: open,
                cold: open,
                flow,
                path,
            };
            let (now, tunables) = (ms(1000), &tunables);
            let outlook = Outlook {
                now,
                tunables,
                link,
                open,
                ramp: link.ramp(),
                alone: true,
                carried: None,
                fetches: &fetches,
            };
            let (low, end) = (MIB, MIB + rest);
            is_worth_finishing(&Fetch { low, end, body_end: end, ..fetch(low) }, &outlook)
        };
        for (round_trip, first, most) in
            [(100, KIB, 200_000), (1, KIB, 64 * KIB), (1, 4 * MIB, 512 * KIB)]
        {
            assert!(worth(round_trip, first, most), "{most}");
            assert!(!worth(round_trip, first, most + 1), "{most}");
        }
    }

    #[test]
    fn p8_a_read_waits_up_to_the_configured_distance() {
        let mut tunables = Tunables::default();
        tunables.fetch.wait_max = 100_000;
        let (round_trip, fetches) = (ms(100), Inflight::default());
        let (flow, path) = (1e6, 1e6);
        let link = Link {
            late: Micros(0),
            round_trip,
            first_byte: round_trip,
            cold: round_trip,
            flow,
            path,
        };
        let (now, open) = (ms(1000), round_trip);
        let outlook = Outlook {
            now,
            tunables: &tunables,
            link,
            open,
            ramp: link.ramp(),
            alone: true,
            carried: None,
            fetches: &fetches,
        };
        assert_eq!(wait_or_open(MIB + 100_000, &fetch(MIB), &outlook), REVIEWED);
        assert_eq!(wait_or_open(MIB + 100_001, &fetch(MIB), &outlook), Verdict::Open);
    }
}
