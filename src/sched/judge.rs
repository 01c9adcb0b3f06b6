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
/// Shortest time between two looks at one wait.
const REVIEW: Micros = Micros::from_millis(10);
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

/// How long `fetch` will probably take to bring the byte `distance` ahead of its head.
fn time_to_reach(distance: u64, fetch: &Fetch, outlook: &Outlook<'_>) -> Micros {
    let now = outlook.now;
    let transfer = Link::time_for(distance, fetch.meter.rate().unwrap_or(outlook.link.flow));
    if !fetch.is_streaming() {
        let waited = now.since(fetch.started);
        // Overdue: it will probably take as long again as it is late.
        let left = fetch.expected.since(waited).max(waited.since(fetch.expected));
        return left + transfer;
    }
    let silent = now.since(fetch.last);
    if silent > outlook.link.round_trip { transfer + silent } else { transfer }
}

/// The running fetches of `resource` that nobody wants any more and that are not worth finishing.
pub(crate) fn unwanted(resource: &Resource, outlook: &Outlook<'_>) -> Vec<FetchId> {
    outlook
        .fetches
        .live(resource.id)
        .filter(|(_, fetch)| !fetch.whole)
        .filter(|(_, fetch)| !is_wanted(resource, fetch.rest(), outlook))
        .filter(|(_, fetch)| !is_worth_finishing(fetch, &outlook.link))
        .map(|(id, _)| id)
        .collect()
}

/// Whether a cursor's window, a wait or a hint holds something of `rest`.
fn is_wanted(resource: &Resource, rest: ByteRange, outlook: &Outlook<'_>) -> bool {
    let config = &outlook.tunables.readahead;
    let windows = resource.windows(outlook.now, config);
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

/// Whether the rest costs no more than making a connection anew.
fn is_worth_finishing(fetch: &Fetch, link: &Link) -> bool {
    let cheap = 2.0 * link.round_trip.as_secs_f64() * link.flow;
    fetch.rest().len() as f64 <= cheap || fetch.done() >= NEARLY_DONE
}
