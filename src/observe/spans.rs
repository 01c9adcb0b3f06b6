//! The spans. Bytes count from the start of the resource, ranges are half-open, times are in milliseconds.
//!
//! None is entered across an `.await`: futures carry them by `Instrument`.

use tracing::Span;
use tracing::field::Empty;

use crate::byte_range::ByteRange;
use crate::ids::{FetchId, Lane, ReaderId, ResourceId};
use crate::time::Micros;

/// Target of all spans.
const TARGET: &str = "kithara_file";

/// One session, from its opening to the end of its last reader. `source` is asked only if somebody listens, and
/// must be fit to be shown.
pub(crate) fn session(session: u64, source: &dyn Fn() -> String) -> Span {
    tracing::debug_span!(
        target: TARGET,
        "session",
        session_id = session,
        source = source(),
        resource_id = Empty,
        open_ms = Empty,
        len_bytes = Empty,
        read_bytes = Empty,
        hits = Empty,
        waits = Empty,
        error = Empty,
    )
}

/// One request, from its order to the end of its body. Several sessions may share it, so it has no parent.
pub(crate) fn fetch(
    fetch: FetchId,
    resource: ResourceId,
    range: ByteRange,
    class: &'static str,
    lane: Lane,
    attempt: u32,
) -> Span {
    tracing::debug_span!(
        target: TARGET,
        parent: None,
        "fetch",
        fetch_id = fetch.0,
        resource_id = resource.0,
        start_byte = range.start,
        end_byte = range.end,
        class,
        lane = %lane,
        attempt,
        connection = Empty,
        first_byte_ms = Empty,
        received_bytes = Empty,
        elapsed_ms = Empty,
        outcome = Empty,
        error = Empty,
    )
}

/// A read that waits for its first byte at a place where nobody expected it.
pub(crate) fn seek(
    session: &Span,
    resource: ResourceId,
    reader: ReaderId,
    from: Option<u64>,
    to: u64,
) -> Span {
    tracing::debug_span!(
        target: TARGET,
        parent: session,
        "seek",
        resource_id = resource.0,
        reader_id = reader.0,
        from_byte = from,
        to_byte = to,
        first_byte_ms = Empty,
        outcome = Empty,
        error = Empty,
    )
}

/// A read that waits where read-ahead should have been.
pub(crate) fn stall(session: &Span, resource: ResourceId, reader: ReaderId, at: u64) -> Span {
    tracing::debug_span!(
        target: TARGET,
        parent: session,
        "stall",
        resource_id = resource.0,
        reader_id = reader.0,
        to_byte = at,
        first_byte_ms = Empty,
        outcome = Empty,
        error = Empty,
    )
}

/// As fields have times.
pub(crate) fn ms(time: Micros) -> f64 {
    time.0 as f64 / 1000.0
}
