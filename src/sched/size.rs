//! How large requests are, and where refill marks lie.

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::sched::plan::Outlook;
use crate::sched::share::Window;

/// Read-ahead ends at multiples of that, in bytes: content networks keep slices of 1 MiB.
const SLICE: u64 = 1 << 20;
/// First request while the user scrubs, in bytes.
const SCRUB: u64 = 64 << 10;
/// Seconds of transfer that the largest request takes at most.
const LARGEST_SECONDS: f64 = 1.5;
/// A reader that reads more than that after a seek goes on from there, in bytes: decoders probe with less.
pub(crate) const PROBE: u64 = 48 << 10;
/// A reader that outruns its window is asked where it is at least every so many bytes.
const LEAST_STEP: u64 = 16 << 10;

/// The first request after open or a seek: two round trips' worth, within limits.
pub(crate) fn first(outlook: &Outlook<'_>) -> u64 {
    let fetch = &outlook.tunables.fetch;
    let worth = 2.0 * outlook.link.bytes_per_round_trip();
    (worth as u64).clamp(fetch.demand_min, fetch.demand_max)
}

/// The largest request worth making.
pub(crate) fn largest(outlook: &Outlook<'_>) -> u64 {
    worth(LARGEST_SECONDS, outlook)
}

/// The largest request that takes so many `seconds` of transfer, or four round trips if these take longer.
pub(crate) fn worth(seconds: f64, outlook: &Outlook<'_>) -> u64 {
    let fetch = &outlook.tunables.fetch;
    let link = &outlook.link;
    let worth = (link.flow * seconds).max(4.0 * link.bytes_per_round_trip());
    let most = fetch.segment_max.min(fetch.speculation_budget);
    (worth as u64).clamp(fetch.demand_min, most.max(fetch.demand_min))
}

/// The next read-ahead request after one of `last` bytes.
pub(crate) fn ahead(last: u64, outlook: &Outlook<'_>) -> u64 {
    match last {
        0 => first(outlook),
        _ => last.saturating_mul(2).min(largest(outlook)),
    }
}

/// Room in `window` below which no request is made for it: no crumbs.
pub(crate) fn least_ahead(window: &Window, tunables: &Tunables) -> u64 {
    let demand_min = tunables.fetch.demand_min;
    (window.size / 8).clamp(demand_min, SLICE.max(demand_min)).min(window.size - window.low())
}

/// The first request of a read while the user scrubs: little enough to be worth finishing.
pub(crate) fn scrubbing(outlook: &Outlook<'_>) -> u64 {
    first(outlook).min(SCRUB)
}

/// A request for a blocked read whose stream last asked for `last` bytes: one that runs dry while
/// `reading_on` goes on doubling, up to `most`.
pub(crate) fn blocked(last: u64, reading_on: bool, most: u64, outlook: &Outlook<'_>) -> u64 {
    let config = &outlook.tunables.readahead;
    let first = first(outlook);
    match config.enabled && reading_on {
        true => ahead(last, outlook).min(most.max(first)),
        false => first,
    }
}

/// The first `size` bytes of `gap`, ending at a slice's end where that leaves half of them. A gap that
/// is not larger is taken as it is.
pub(crate) fn cut(gap: ByteRange, size: u64) -> ByteRange {
    let end = gap.start.saturating_add(size);
    if end >= gap.end {
        return gap;
    }
    let aligned = end / SLICE * SLICE;
    let worth = aligned.saturating_sub(gap.start) >= size.div_ceil(2);
    ByteRange::new(gap.start, if worth { aligned } else { end })
}

/// Where the reader of `window` is to say that it got there; what it has reaches to `gap`.
///
/// Resting: where so little of the window is left that it is to be filled again. Filling: often enough that the window moves on with
/// the reader, and before it runs dry. After a seek: soon, because going on opens the window.
pub(crate) fn refill_mark(window: &Window, gap: u64, filling: bool) -> u64 {
    let at = window.range.start;
    if gap == u64::MAX {
        return u64::MAX;
    }
    if !window.settled {
        return at.saturating_add((window.size / 4).max(PROBE));
    }
    if filling {
        let have = gap.saturating_sub(at);
        return at.saturating_add((window.size / 4).min((have / 2).max(LEAST_STEP)).max(1));
    }
    let half = gap.saturating_sub(window.low());
    // A window that grows with what is read since `start` is half empty halfway from there.
    let halfway = window.grows_from.map_or(half, |start| start + (gap - start.min(gap)) / 2);
    half.min(halfway).max(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ReaderId;
    use crate::sched::estimator::Link;
    use crate::sched::inflight::Inflight;
    use crate::time::Micros;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    fn with<T>(rate: f64, round_trip: u64, ask: impl Fn(&Outlook<'_>) -> T) -> T {
        tuned(&Tunables::default(), rate, round_trip, ask)
    }

    fn tuned<T>(
        tunables: &Tunables,
        rate: f64,
        round_trip: u64,
        ask: impl Fn(&Outlook<'_>) -> T,
    ) -> T {
        let fetches = Inflight::default();
        let round_trip = Micros::from_millis(round_trip);
        let (first_byte, cold) = (round_trip, round_trip);
        let link = Link { late: Micros(0), round_trip, first_byte, cold, flow: rate, path: rate };
        let (now, open) = (Micros(0), round_trip);
        ask(&Outlook {
            now,
            tunables,
            link,
            open,
            ramp: link.ramp(),
            alone: true,
            carried: None,
            fetches: &fetches,
        })
    }

    #[test]
    fn p3_the_first_request_is_two_round_trips_within_its_limits() {
        assert_eq!(with(2.5e6, 80, first), 400_000);
        assert_eq!(with(2.5e6, 10, first), 128 * KIB);
        assert_eq!(with(125e6, 80, first), 512 * KIB);
    }

    #[test]
    fn p5_while_scrubbing_the_first_request_is_small() {
        assert_eq!(with(2.5e6, 80, scrubbing), 64 * KIB);
    }

    #[test]
    fn p4_the_largest_request_takes_a_second_and_a_half_or_four_round_trips() {
        assert_eq!(with(2.5e6, 80, largest), 3_750_000);
        assert_eq!(with(1e6, 1000, largest), 4_000_000);
        assert_eq!(with(10e6, 80, largest), 8 * MIB);
        assert_eq!(with(10_000.0, 80, largest), 128 * KIB);
    }

    #[test]
    fn p4_requests_double_up_to_the_largest() {
        assert_eq!(with(2.5e6, 80, |outlook| ahead(0, outlook)), 400_000);
        assert_eq!(with(2.5e6, 80, |outlook| ahead(400_000, outlook)), 800_000);
        assert_eq!(with(2.5e6, 80, |outlook| ahead(3_000_000, outlook)), 3_750_000);
        assert_eq!(with(2.5e6, 80, |outlook| blocked(800_000, true, u64::MAX, outlook)), 1_600_000);
        assert_eq!(with(2.5e6, 80, |outlook| blocked(800_000, false, u64::MAX, outlook)), 400_000);
    }

    #[test]
    fn p4_a_read_that_runs_dry_asks_for_no_more_than_the_largest_window() {
        let asked = |last, most| with(2.5e6, 80, |outlook| blocked(last, true, most, outlook));
        assert_eq!((asked(0, 500_000), asked(400_000, 500_000)), (400_000, 500_000));
        assert_eq!(asked(300_000, 300_000), 400_000, "the first request is as large as ever");
    }

    #[test]
    fn p4_requests_end_at_slices_where_that_leaves_half_of_them() {
        let cut = |start, end, size| cut(ByteRange::new(start, end), size).end;
        assert_eq!(cut(0, 10 * MIB, 2 * MIB + 5), 2 * MIB);
        assert_eq!(cut(0, 10 * MIB, 400_000), 400_000, "no slice ends in it");
        assert_eq!(cut(MIB - 100, 10 * MIB, 400_000), MIB - 100 + 400_000, "that would be a crumb");
        assert_eq!(cut(MIB / 2, 10 * MIB, MIB), MIB);
        assert_eq!(cut(0, 3 * MIB + 7, 3 * MIB + 7), 3 * MIB + 7, "the hole ends there");
        assert_eq!(cut(u64::MAX - 5, u64::MAX, MIB), u64::MAX);
    }

    #[test]
    fn p4_no_crumbs_are_fetched_for_a_window() {
        let tunables = Tunables::default();
        let least = |size| least_ahead(&window(0, size), &tunables);
        assert_eq!(least(2 * MIB), 256 * KIB);
        assert_eq!(least(256 * KIB), 128 * KIB);
        assert_eq!(least(100 * KIB), 50 * KIB);
        assert_eq!(least(64 * MIB), MIB);
        let low = Window { reserve: 80 * KIB, ..window(0, 100 * KIB) };
        assert_eq!(least_ahead(&low, &tunables), 25 * KIB);
    }

    fn window(at: u64, size: u64) -> Window {
        let (reader, range) = (ReaderId(1), ByteRange::at(at, size));
        let (primary, here, settled) = (true, true, true);
        Window {
            reader,
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

    #[test]
    fn p4_a_resting_window_is_refilled_at_half() {
        assert_eq!(refill_mark(&window(100, 1000), 1100, false), 600);
        assert_eq!(refill_mark(&window(100, 1000), 300, false), 101, "never where it is already");
        assert_eq!(refill_mark(&window(100, 1000), u64::MAX, false), u64::MAX);
    }

    #[test]
    fn p4_a_resting_window_is_refilled_before_what_is_left_lasts_no_longer_than_a_request() {
        let mark = |reserve| {
            let window = Window { reserve, ..window(100, 1000) };
            refill_mark(&window, 1100, false)
        };
        assert_eq!([0, 500, 501, 750].map(mark), [600, 600, 599, 350]);
        assert_eq!(mark(5000), 350, "a quarter is worth a request");
    }

    #[test]
    fn p4_a_filling_window_moves_on_with_its_reader() {
        assert_eq!(refill_mark(&window(0, 4 * MIB), 4 * MIB, true), MIB);
        assert_eq!(refill_mark(&window(0, 4 * MIB), MIB, true), MIB / 2);
        assert_eq!(refill_mark(&window(0, 4 * MIB), 1, true), 16 * KIB);
        assert_eq!(refill_mark(&window(7, 2), 7, true), 8);
    }

    #[test]
    fn p4_after_a_seek_a_reader_soon_says_that_it_goes_on() {
        let fresh = Window { settled: false, ..window(0, 4 * MIB) };
        assert_eq!(refill_mark(&fresh, 4 * MIB, false), MIB);
        let scrubbing = Window { settled: false, ..window(7, 0) };
        assert_eq!(refill_mark(&scrubbing, 64 * KIB, true), 7 + 48 * KIB);
    }

    #[test]
    fn p4_a_growing_window_is_refilled_halfway_from_its_start() {
        let growing = Window { grows_from: Some(100_000), ..window(150_000, 256 * KIB) };
        assert_eq!(refill_mark(&growing, 400_000, false), 250_000);
        let grown = Window { grows_from: Some(0), ..window(1000, 256 * KIB) };
        assert_eq!(refill_mark(&grown, 300_000, false), 150_000);
    }
}
