//! Why a request brought nothing, or no more.
//!
//! Three kinds, because the engine acts on each in another way: the network failed, the resource is
//! another one, the range is not in the resource.

use std::time::Duration;

use crate::error::{Error, NetworkError, NetworkErrorKind, Stage};
use crate::validator::Validator;

/// What an answer showed of a resource that turned out to be another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its length, if told.
    pub(crate) total: Option<u64>,
    /// What tells its version.
    pub(crate) validator: Validator,
    /// `Content-Type` as sent.
    pub(crate) content_type: Option<String>,
}

/// Why a request failed.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// No usable answer, or a body that broke.
    Network(Box<NetworkError>),
    /// The answer is of another version than expected. Nothing of its body was handed out.
    Changed(Box<Seen>),
    /// 416: the range begins at or past the end, as the server sees it.
    NotSatisfiable {
        /// Length of the resource, if the server said.
        total: Option<u64>,
        /// What tells its version; often nothing on this status.
        validator: Validator,
    },
}

impl Fault {
    /// A fault at `url` (already redacted).
    pub(crate) fn at(url: &str, stage: Stage, kind: NetworkErrorKind) -> Self {
        Self::Network(Box::new(NetworkError {
            url: url.to_owned(),
            stage,
            kind,
            excerpt: None,
            retry_after: None,
            attempts: 1,
            source: None,
        }))
    }

    /// An answer whose head contradicts the request or itself.
    pub(crate) fn protocol(url: &str, stage: Stage, why: impl Into<String>) -> Self {
        Self::at(url, stage, NetworkErrorKind::Protocol(why.into()))
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Network(error) => error.is_retryable(),
            Self::Changed(_) | Self::NotSatisfiable { .. } => false,
        }
    }

    /// For how long the origin asked us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.network().and_then(|error| error.retry_after)
    }

    /// The network error in it, if it is one.
    pub(crate) fn network(&self) -> Option<&NetworkError> {
        match self {
            Self::Network(error) => Some(error),
            Self::Changed(_) | Self::NotSatisfiable { .. } => None,
        }
    }

    /// The same after `attempts` tries.
    pub(crate) fn after(mut self, attempts: u32) -> Self {
        if let Self::Network(error) = &mut self {
            error.attempts = attempts;
        }
        self
    }
}

impl From<Fault> for Error {
    /// What a reader is told when nothing helps. A range that is not there means that the resource is
    /// not the one whose length we know.
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Network(error) => Self::Network(error),
            Fault::Changed(_) | Fault::NotSatisfiable { .. } => Self::Changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n4_only_network_faults_that_may_pass_are_retryable() {
        let at = |kind| Fault::at("http://h/", Stage::Headers, kind);
        assert!(at(NetworkErrorKind::Connection).is_retryable());
        assert!(at(NetworkErrorKind::TimedOut).is_retryable());
        assert!(at(NetworkErrorKind::Status(503)).is_retryable());
        assert!(!at(NetworkErrorKind::Status(403)).is_retryable());
        assert!(!Fault::protocol("http://h/", Stage::Headers, "odd").is_retryable());
        let gone = Fault::NotSatisfiable { total: None, validator: Validator::default() };
        assert!(!gone.is_retryable());
        assert!(matches!(Error::from(gone), Error::Changed));
    }
}
