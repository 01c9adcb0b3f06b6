//! The metrics, by the `metrics` facade: the application's recorder takes them, if it has one.
//!
//! Without feature `metrics` all of this does nothing. Names follow Prometheus: `_total` counts up, `_bytes` and
//! `_seconds` are units.

use crate::time::Micros;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only counts up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations.
    Histogram,
}

/// In what it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

/// One metric.
#[derive(Debug)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "nobody is told then"))]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: Unit,
    pub(crate) what: &'static str,
}

macro_rules! metrics {
    ($($name:ident $text:literal $kind:ident $unit:ident $what:literal)*) => {
        $(
            #[doc = $what]
            #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "nobody is told then"))]
            pub(crate) const $name: Metric =
                Metric { name: $text, kind: Kind::$kind, unit: Unit::$unit, what: $what };
        )*

        /// All of them.
        #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "nobody is told then"))]
        pub(crate) const ALL: &[&Metric] = &[$(&$name),*];
    };
}

metrics! {
    REQUESTS "kithara_file_requests_total" Counter Count "Requests sent."
    HEDGES "kithara_file_hedges_total" Counter Count "Those of them that were sent beside late ones, or took over their rear."
    CONNECTIONS "kithara_file_connections_total" Counter Count "Connections made for them."
    FETCHES "kithara_file_fetches_total" Counter Count "Ended fetches, by `outcome`: `complete`, `cancelled` or `failed`."
    FETCHED_BYTES "kithara_file_fetched_bytes_total" Counter Bytes "Body bytes received."
    WASTED_BYTES "kithara_file_wasted_bytes_total" Counter Bytes "Body bytes received for nothing: there already, or thrown away."
    EVICTED_BYTES "kithara_file_evicted_bytes_total" Counter Bytes "Stored bytes of open resources given back to the disk."
    READ_BYTES "kithara_file_read_bytes_total" Counter Bytes "Bytes given to readers."
    HITS "kithara_file_hits_total" Counter Count "Reads served without waiting."
    WAITS "kithara_file_waits_total" Counter Count "Reads that had to wait."
    IN_FLIGHT "kithara_file_in_flight_fetches" Gauge Count "Fetches under way."
    SESSIONS "kithara_file_open_sessions" Gauge Count "Open sessions."
    RESOURCES "kithara_file_open_resources" Gauge Count "Open resources; sessions share them."
    STORED_BYTES "kithara_file_stored_bytes" Gauge Bytes "Covered bytes of the open resources, without local files."
    OPEN_SECONDS "kithara_file_open_seconds" Histogram Seconds "From the call of `open` to an open session."
    SEEK_SECONDS "kithara_file_seek_first_byte_seconds" Histogram Seconds "How long reads after a seek waited for their first byte; one that waits for nothing is a hit and not among them."
    STALL_SECONDS "kithara_file_stall_seconds" Histogram Seconds "How long reads waited where read-ahead should have been."
    FETCH_SECONDS "kithara_file_fetch_first_byte_seconds" Histogram Seconds "From the order of a fetch to the head of its answer."
}

/// Whether anything is counted at all.
pub(crate) const ENABLED: bool = cfg!(feature = "metrics");

/// Tells the recorder what each of them is. One that is installed later does not hear of it.
pub(crate) fn describe() {
    #[cfg(feature = "metrics")]
    for metric in ALL {
        let unit = match metric.unit {
            Unit::Count => ::metrics::Unit::Count,
            Unit::Bytes => ::metrics::Unit::Bytes,
            Unit::Seconds => ::metrics::Unit::Seconds,
        };
        match metric.kind {
            Kind::Counter => ::metrics::describe_counter!(metric.name, unit, metric.what),
            Kind::Gauge => ::metrics::describe_gauge!(metric.name, unit, metric.what),
            Kind::Histogram => ::metrics::describe_histogram!(metric.name, unit, metric.what),
        }
    }
}

/// Counts `metric` up.
pub(crate) fn add(metric: &Metric, by: u64) {
    debug_assert_eq!(metric.kind, Kind::Counter);
    #[cfg(feature = "metrics")]
    if by > 0 {
        ::metrics::counter!(metric.name).increment(by);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = by;
}

/// Counts one ended fetch.
pub(crate) fn fetch_ended(outcome: &'static str) {
    #[cfg(feature = "metrics")]
    ::metrics::counter!(FETCHES.name, "outcome" => outcome).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = outcome;
}

/// Moves `metric` from what this engine last said to what holds now. Differences, so that the engines of one
/// process add up.
pub(crate) fn shift(metric: &Metric, said: &mut u64, now: u64) {
    debug_assert_eq!(metric.kind, Kind::Gauge);
    let before = std::mem::replace(said, now);
    #[cfg(feature = "metrics")]
    if now > before {
        ::metrics::gauge!(metric.name).increment((now - before) as f64);
    } else if now < before {
        ::metrics::gauge!(metric.name).decrement((before - now) as f64);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = before;
}

/// Notes a duration.
pub(crate) fn observe(metric: &Metric, took: Micros) {
    debug_assert_eq!(metric.kind, Kind::Histogram);
    #[cfg(feature = "metrics")]
    ::metrics::histogram!(metric.name).record(took.as_secs_f64());
    #[cfg(not(feature = "metrics"))]
    let _ = took;
}
