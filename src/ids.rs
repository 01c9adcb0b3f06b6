//! Names of things: small copyable numbers, each of its own type so that none is taken for another.
//!
//! All are unique within one engine and never used again.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $tag:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(crate) u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($tag, "{}"), self.0)
            }
        }
    };
}

id!(
    /// One opened resource.
    ResourceId,
    "res"
);
id!(
    /// One origin (scheme, host, port): the unit that slots and estimates belong to.
    OriginId,
    "origin"
);
id!(
    /// One reader of a resource; also the name of its place among the waiters.
    ReaderId,
    "reader"
);
id!(
    /// One demand of a reader. A reader has at most one; a newer one replaces it.
    DemandId,
    "demand"
);
id!(
    /// One request for a range, from its start to its end.
    FetchId,
    "fetch"
);
id!(
    /// One connection that is made before a request needs it.
    SpareId,
    "spare"
);
id!(
    /// One hint: a range that somebody will probably want.
    HintId,
    "hint"
);

/// Hands out numbers for one kind of id, from 1 on.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// The next number.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Which HTTP client, and so which pool of connections, a request goes through.
///
/// A custom client is built once per lane. Requests that a reader waits for never share a
/// connection with read-ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Lane {
    /// Blocked reads, the rest of their first window, and probes.
    Demand,
    /// Read-ahead, hints and background fill; numbered from zero.
    Bulk(u8),
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Demand => f.write_str("demand"),
            Self::Bulk(n) => write!(f, "bulk{n}"),
        }
    }
}
