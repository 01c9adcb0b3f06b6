//! How large requests are, and where refill marks lie.

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::sched::plan::Outlook;
use crate::sched::resource::Window;

/// Read-ahead ends at multiples of that, in bytes: content networks keep slices of 1 MiB.
const SLICE: u64 = 1 << 20;
/// Seconds of transfer that the largest request takes at most.
const LARGEST_SECONDS: f64 = 1.5;
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
    let fetch = &outlook.tunables.fetch;
    let link = &outlook.link;
    let worth = (link.flow * LARGEST_SECONDS).max(4.0 * link.bytes_per_round_trip());
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

/// Room in a window of `window` bytes below which no request is made for it: no crumbs.
pub(crate) fn least_ahead(window: u64, tunables: &Tunables) -> u64 {
    let demand_min = tunables.fetch.demand_min;
    (window / 8).clamp(demand_min, SLICE.max(demand_min)).min(window / 2)
}

/// A request for a blocked read whose stream last asked for `last` bytes: one that runs dry while
/// `reading_on` goes on doubling.
pub(crate) fn blocked(last: u64, reading_on: bool, outlook: &Outlook<'_>) -> u64 {
    match outlook.tunables.readahead.enabled && reading_on {
        true => ahead(last, outlook),
        false => first(outlook),
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
/// Resting: where half of the window is left. Filling: often enough that the window moves on with
/// the reader, and before it runs dry. After a seek: soon, because going on opens the window.
pub(crate) fn refill_mark(window: &Window, gap: u64, filling: bool) -> u64 {
    let at = window.range.start;
    if gap == u64::MAX {
        return u64::MAX;
    }
    if filling || !window.settled {
        let have = gap.saturating_sub(at);
        return at.saturating_add((window.size / 4).min((have / 2).max(LEAST_STEP)).max(1));
    }
    let half = gap.saturating_sub(window.size / 2);
    // A window that grows with what is read since `start` is half empty halfway from there.
    let halfway = window.grows_from.map_or(half, |start| start + (gap - start.min(gap)) / 2);
    half.min(halfway).max(at + 1)
}
