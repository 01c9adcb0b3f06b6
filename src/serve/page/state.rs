//! What the page is told of each medium.

use std::ops::Range;

use serde::Serialize;

use super::super::{Catalog, Media};
use crate::snapshot::Snapshot;

/// A map is told in so many cells at most: no screen shows more.
const CELLS: u64 = 4096;

/// Everything.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct State {
    media: Vec<Medium>,
}

/// One medium. Ranges are in bytes, half-open.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Medium {
    id: u64,
    name: String,
    /// Where it is served.
    path: String,
    /// Where it comes from.
    url: String,
    /// Why it could not be opened, or had to end.
    trouble: Option<String>,
    /// `None` while nobody has opened it.
    open: Option<Open>,
}

#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Open {
    len: Option<u64>,
    complete: bool,
    content_type: Option<String>,
    covered: Vec<[u64; 2]>,
    covered_bytes: u64,
    in_flight: Vec<Flight>,
    wanted: Vec<[u64; 2]>,
    cursors: Vec<u64>,
    window: u64,
    /// A round trip with the server's time, in microseconds.
    round_trip: Option<u64>,
    /// Bytes per second of one request.
    rate: Option<u64>,
    requests: u64,
    hedges: u64,
    connections: u64,
    fetched: u64,
    wasted: u64,
    evicted: u64,
    read: u64,
    hits: u64,
    waits: u64,
    /// How long clients waited for their first byte, in microseconds, the oldest first.
    seeks: Vec<u64>,
    /// How many of them there were in all.
    seek_count: u64,
}

#[derive(Debug, Serialize, PartialEq)]
struct Flight {
    range: [u64; 2],
    purpose: &'static str,
}

impl State {
    /// As it is now.
    pub(super) fn of(catalog: &Catalog) -> Self {
        Self { media: catalog.list().iter().map(Medium::of).collect() }
    }
}

impl Medium {
    fn of(media: &Media) -> Self {
        let open = media.session().map(|session| {
            let (seeks, seek_count) = media.seeks();
            let content_type = session.content_type();
            Open::of(session.snapshot(), content_type, seeks, seek_count)
        });
        Self {
            id: media.id(),
            name: media.name().to_owned(),
            path: media.path(),
            url: media.url().to_owned(),
            trouble: media.trouble().map(|error| error.to_string()),
            open,
        }
    }
}

impl Open {
    fn of(now: Snapshot, content_type: Option<String>, seeks: Vec<u64>, seek_count: u64) -> Self {
        let end = now.covered.last().map_or(0, |last| last.end);
        let cell = now.len.unwrap_or(end) / CELLS;
        let covered_bytes = now.covered_bytes();
        let flight = |flight: &crate::InFlight| Flight {
            range: pair(&flight.range),
            purpose: flight.purpose.name(),
        };
        Self {
            len: now.len,
            complete: now.complete,
            content_type,
            covered: joined(&now.covered, cell),
            covered_bytes,
            in_flight: now.in_flight.iter().map(flight).collect(),
            wanted: joined(&now.wanted, cell),
            cursors: now.cursors,
            window: now.window,
            round_trip: now.first_byte_micros,
            rate: now.rate,
            requests: now.requests,
            hedges: now.hedges,
            connections: now.connections,
            fetched: now.bytes_fetched,
            wasted: now.bytes_wasted,
            evicted: now.bytes_evicted,
            read: now.bytes_read,
            hits: now.hits,
            waits: now.waits,
            seeks,
            seek_count,
        }
    }
}

fn pair(range: &Range<u64>) -> [u64; 2] {
    [range.start, range.end]
}

/// Sorted `ranges`, those joined that lie less than a `cell` apart.
fn joined(ranges: &[Range<u64>], cell: u64) -> Vec<[u64; 2]> {
    let mut joined: Vec<[u64; 2]> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start.saturating_sub(last[1]) < cell => last[1] = range.end,
            _ => joined.push(pair(range)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_screen_shows_is_joined() {
        let ranges = [0..10, 11..20, 30..40];
        assert_eq!(joined(&ranges, 0), [[0, 10], [11, 20], [30, 40]]);
        assert_eq!(joined(&ranges, 2), [[0, 20], [30, 40]]);
        assert_eq!(joined(&ranges, 11), [[0, 40]]);
        let many: Vec<Range<u64>> = (0..1_000_000).map(|n| n * 10..n * 10 + 1).collect();
        let now = Snapshot { len: Some(10_000_000), covered: many, ..Snapshot::default() };
        let open = Open::of(now, None, Vec::new(), 0);
        assert_eq!((open.covered, open.covered_bytes), (vec![[0, 9_999_991]], 1_000_000));
    }
}
