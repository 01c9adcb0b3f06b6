//! How a fetch is stopped, paused and hurried by its driver.

use tokio_util::sync::CancellationToken;

/// How a fetch is stopped, by its driver.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    /// Nothing more is received; what was received is kept (P6).
    pub(super) receiving: CancellationToken,
    /// What was received is of no use either: its resource is closed, its generation left, or its disk refuses.
    pub(super) all: CancellationToken,
}

impl Stop {
    /// A fetch that goes on.
    pub(crate) fn new() -> Self {
        let all = CancellationToken::new();
        Self { receiving: all.child_token(), all }
    }

    /// Stops receiving.
    pub(crate) fn receiving(&self) {
        self.receiving.cancel();
    }

    /// Stops everything.
    pub(crate) fn all(&self) {
        self.all.cancel();
    }
}

/// How a fetch receives, as its driver says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// Nothing is received until this ends.
    pub(crate) paused: bool,
    /// Somebody has come to wait for the byte there, which goes to the writer as soon as it is here. Of several, the newest.
    pub(crate) awaited: Option<u64>,
}
