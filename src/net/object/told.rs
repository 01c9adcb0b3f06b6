//! What an answer's head said, of which the crate's own answers and errors tell only a part.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, Version};

use crate::net::headers;
use crate::sync::{Arc, Mutex};

/// A place for the head of the answer to one request. Travels with the request.
#[derive(Debug, Clone, Default)]
pub(super) struct Told(Arc<Mutex<Option<Head>>>);

/// What the head of an answer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Its status.
    pub(super) status: StatusCode,
    /// Whether its connection carries further requests beside it.
    pub(super) multiplexed: bool,
    /// For how long it asks us to wait.
    pub(super) retry_after: Option<Duration>,
}

impl Told {
    /// Notes the head of the answer; of several that of the last.
    pub(super) fn note(&self, status: StatusCode, version: Version, sent: &HeaderMap) {
        let retry_after = headers::retry_after(sent, SystemTime::now());
        let multiplexed = version == Version::HTTP_2;
        *self.0.lock() = Some(Head { status, multiplexed, retry_after });
    }

    /// What was noted; `None` where no answer came, or none over HTTP.
    pub(super) fn head(&self) -> Option<Head> {
        *self.0.lock()
    }
}
