//! Why bytes could not be had, in families that a caller can match.
//!
//! Errors are cheap to clone: a fatal one is kept by the resource and given to every reader. URLs
//! in them carry no userinfo and no query values.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why an operation of the engine failed.
///
/// Every variant is either fatal for the handle that returned it or worth repeating; see
/// [`Error::is_fatal`]. Inside an [`io::Error`] it survives and can be taken out again with
/// [`Error::from_io`].
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The origin could not be asked, or answered with something unusable.
    #[error(transparent)]
    Network(Box<NetworkError>),

    /// The disk under the store refused.
    #[error(transparent)]
    Storage(#[from] StorageError),

    /// The bytes are not stored and the engine may not use the network. Fatal.
    #[error("bytes {}..{} are not stored and the engine is offline", range.start, range.end)]
    OfflineMiss {
        /// The bytes that were wanted, from the first missing one to the end of the hole or of the read.
        range: Range<u64>,
    },

    /// The resource on the server is no longer the one that was opened. Fatal.
    #[error("resource changed on the server")]
    Changed,

    /// The resource changed and the session started again with the new one, as configured. Told
    /// once to each reader; the next read gives bytes of the new resource.
    #[error("resource changed on the server; the session restarted with the new one")]
    Restarted,

    /// The body ended without proof that the resource ends there.
    #[error("the transfer ended at byte {at} without proof that the resource ends there")]
    Truncated {
        /// Offset at which the transfer ended.
        at: u64,
    },

    /// The session was dropped, closed or cancelled, or its engine is gone. Fatal.
    #[error("the session is closed")]
    Cancelled,

    /// [`ReaderHandle::interrupt`](crate::ReaderHandle::interrupt) ended this read; the reader goes on.
    #[error("the read was interrupted through its handle")]
    Interrupted,

    /// The length is needed and not known yet, as for a seek from the end of an endless stream.
    #[error("the length of the resource is not known yet")]
    UnknownLength,

    /// The byte was part of a stream without ranges and length, which is larger than its room in the store: it is no longer
    /// kept, and cannot come again. Other places may be read.
    #[error(
        "byte {at} of the stream has passed and is no longer kept; the server sends it only from the start"
    )]
    Passed {
        /// The first byte that was wanted and cannot come.
        at: u64,
    },

    /// An argument cannot be used.
    #[error("invalid {what}: {why}")]
    InvalidInput {
        /// Which argument.
        what: &'static str,
        /// What is wrong with it, and what would be right.
        why: String,
    },

    /// The configuration contradicts itself or asks for the impossible.
    #[error("invalid configuration: {field}: {why}")]
    InvalidConfig {
        /// The field of [`Config`](crate::Config), with its path.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        why: String,
    },

    /// A blocking call was made on the very thread that would have to do the work. Not fatal: the same call succeeds
    /// on another thread, and so does the async one here; repeated here at once it fails again.
    #[error(
        "a blocking call on the engine's own single-threaded runtime would never return; use the async call, or `spawn_blocking`"
    )]
    WouldDeadlock,
}

impl Error {
    /// Whether the handle that returned this is finished: repeating the call can never succeed, whenever and
    /// wherever it is made.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::OfflineMiss { .. } | Self::Changed | Self::Cancelled => true,
            Self::InvalidInput { .. } | Self::InvalidConfig { .. } => true,
            Self::Network(error) => error.is_fatal(),
            Self::Storage(_) | Self::Restarted | Self::Truncated { .. } => false,
            Self::Interrupted | Self::UnknownLength | Self::Passed { .. } => false,
            Self::WouldDeadlock => false,
        }
    }

    /// The kind that `std` knows and that fits best: never `Interrupted`, which `std` retries for
    /// ever, and never `UnexpectedEof`, which decoders take for the end of the media.
    pub fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Network(error) => error.io_kind(),
            Self::Storage(error) => error.io_kind(),
            Self::UnknownLength | Self::Passed { .. } => io::ErrorKind::Unsupported,
            Self::InvalidInput { .. } | Self::InvalidConfig { .. } => io::ErrorKind::InvalidInput,
            Self::OfflineMiss { .. } => io::ErrorKind::NotFound,
            Self::Changed | Self::Restarted | Self::Truncated { .. } => io::ErrorKind::Other,
            Self::Cancelled | Self::Interrupted | Self::WouldDeadlock => io::ErrorKind::Other,
        }
    }

    /// The engine's error inside an [`io::Error`] that a reader returned.
    pub fn from_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// `what` cannot be used, because of `why`.
    pub(crate) fn invalid(what: &'static str, why: impl Into<String>) -> Self {
        Self::InvalidInput { what, why: why.into() }
    }
}

impl From<NetworkError> for Error {
    fn from(error: NetworkError) -> Self {
        Self::Network(Box::new(error))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.io_kind(), error)
    }
}

/// How far a request had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Before anything was sent: the client could not be built, or the URL is not allowed.
    Prepare,
    /// Resolving the name, connecting, the TLS handshake.
    Connect,
    /// Sending the request and waiting for the answer's head.
    Headers,
    /// Receiving the body.
    Body,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "preparing the request",
            Self::Connect => "connecting",
            Self::Headers => "waiting for the answer",
            Self::Body => "receiving the body",
        })
    }
}

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkErrorKind {
    /// The origin answered with an error status.
    Status(u16),
    /// No connection came about, or it was lost.
    Connection,
    /// Nothing came within the configured time.
    TimedOut,
    /// The answer contradicts the request or itself; nothing of it was stored. The text says how.
    Protocol(String),
    /// Redirects went in a circle, were too many, or led where the configuration forbids.
    Redirect(String),
    /// Something else came in place of the media, such as a login page; nothing of it was stored.
    NotMedia(String),
    /// The whole object is larger than the caller allowed, in bytes.
    TooLarge(u64),
    /// The client could not be built.
    Client(String),
    /// The origin refused, and the URL provider had no other URL; what it said is the source.
    NoUrl,
}

/// A request that failed.
#[derive(Debug, Clone)]
pub struct NetworkError {
    /// The URL, without userinfo and query values.
    pub url: String,
    /// How far the request had come.
    pub stage: Stage,
    /// What went wrong.
    pub kind: NetworkErrorKind,
    /// The beginning of the error answer's body, at most some hundred bytes.
    pub excerpt: Option<String>,
    /// For how long the origin asked us to wait (`Retry-After`, RFC 9110 section 10.2.3).
    pub retry_after: Option<Duration>,
    /// How often the request was tried.
    pub attempts: u32,
    /// What the HTTP client said.
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl NetworkError {
    /// Whether the engine tries again by itself: connection faults, timeouts, a URL provider that
    /// failed, 408, 425, 429 and 5xx.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            NetworkErrorKind::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
            NetworkErrorKind::Connection | NetworkErrorKind::TimedOut => true,
            NetworkErrorKind::NoUrl => true,
            NetworkErrorKind::Protocol(_) | NetworkErrorKind::Redirect(_) => false,
            NetworkErrorKind::NotMedia(_) | NetworkErrorKind::TooLarge(_) => false,
            NetworkErrorKind::Client(_) => false,
        }
    }

    /// Whether no later request can succeed: the resource is gone, or the configuration forbids it.
    pub fn is_fatal(&self) -> bool {
        match self.kind {
            NetworkErrorKind::Status(status) => matches!(status, 404 | 410 | 451),
            NetworkErrorKind::Redirect(_) | NetworkErrorKind::Client(_) => true,
            NetworkErrorKind::TooLarge(_) => true,
            NetworkErrorKind::Connection | NetworkErrorKind::TimedOut => false,
            NetworkErrorKind::NoUrl => false,
            NetworkErrorKind::Protocol(_) | NetworkErrorKind::NotMedia(_) => false,
        }
    }

    /// The status, if the origin answered with an error status.
    pub fn status(&self) -> Option<u16> {
        match self.kind {
            NetworkErrorKind::Status(status) => Some(status),
            _ => None,
        }
    }

    fn io_kind(&self) -> io::ErrorKind {
        match self.kind {
            NetworkErrorKind::Status(404 | 410) => io::ErrorKind::NotFound,
            NetworkErrorKind::Status(401 | 403 | 451) => io::ErrorKind::PermissionDenied,
            NetworkErrorKind::Redirect(_) => io::ErrorKind::PermissionDenied,
            NetworkErrorKind::Status(408) | NetworkErrorKind::TimedOut => io::ErrorKind::TimedOut,
            NetworkErrorKind::Connection if self.stage == Stage::Connect => {
                io::ErrorKind::ConnectionRefused
            }
            _ => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NetworkErrorKind::Status(status) => write!(f, "status {status}")?,
            NetworkErrorKind::Connection => f.write_str("connection failed")?,
            NetworkErrorKind::TimedOut => f.write_str("timed out")?,
            NetworkErrorKind::Protocol(why) => write!(f, "unusable answer: {why}")?,
            NetworkErrorKind::Redirect(why) => write!(f, "redirect refused: {why}")?,
            NetworkErrorKind::NotMedia(why) => write!(f, "not the media: {why}")?,
            NetworkErrorKind::TooLarge(limit) => write!(f, "larger than {limit} bytes")?,
            NetworkErrorKind::Client(why) => write!(f, "no HTTP client: {why}")?,
            NetworkErrorKind::NoUrl => f.write_str("refused, and the URL provider failed")?,
        }
        write!(f, " while {} ({})", self.stage, self.url)?;
        if self.attempts > 1 {
            write!(f, " after {} attempts", self.attempts)?;
        }
        Ok(())
    }
}

impl std::error::Error for NetworkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A disk operation of the store that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing} failed{}", path.as_ref().map(|p| format!(" ({})", p.display())).unwrap_or_default())]
pub struct StorageError {
    /// What was being done.
    pub doing: &'static str,
    /// The file or folder, where that tells more.
    pub path: Option<PathBuf>,
    /// What the system said.
    #[source]
    pub source: Arc<io::Error>,
}

impl StorageError {
    /// `doing` failed with `source`.
    pub(crate) fn new(doing: &'static str, source: io::Error) -> Self {
        Self { doing, path: None, source: Arc::new(source) }
    }

    /// The same, about the file or folder at `path`.
    pub(crate) fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Whether the place is right and the disk may do it another time: no room, no permission, a fault. Not so where
    /// something else lies in the place.
    pub(crate) fn may_pass(&self) -> bool {
        use io::ErrorKind::{AlreadyExists, InvalidData, InvalidFilename, InvalidInput};
        use io::ErrorKind::{IsADirectory, NotADirectory};
        !matches!(
            self.source.kind(),
            AlreadyExists
                | InvalidData
                | InvalidFilename
                | InvalidInput
                | IsADirectory
                | NotADirectory
        )
    }

    fn io_kind(&self) -> io::ErrorKind {
        match self.source.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => io::ErrorKind::Other,
            kind => kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(kind: NetworkErrorKind) -> NetworkError {
        NetworkError {
            url: "http://host/path".into(),
            stage: Stage::Headers,
            kind,
            excerpt: None,
            retry_after: None,
            attempts: 1,
            source: None,
        }
    }

    /// E12, defect 11: kinds that `std` or decoders misread are never used.
    #[test]
    fn e12_no_error_maps_to_a_kind_that_std_or_decoders_misread() {
        let io = |kind| Error::from(StorageError::new("read", io::Error::from(kind)));
        let mut all = vec![
            io(io::ErrorKind::Interrupted),
            io(io::ErrorKind::UnexpectedEof),
            io(io::ErrorKind::StorageFull),
            Error::OfflineMiss { range: 0..1 },
            Error::Changed,
            Error::Restarted,
            Error::Truncated { at: 1 },
            Error::Cancelled,
            Error::Interrupted,
            Error::UnknownLength,
            Error::WouldDeadlock,
            Error::invalid("url", "empty"),
        ];
        for kind in [
            NetworkErrorKind::Connection,
            NetworkErrorKind::TimedOut,
            NetworkErrorKind::Status(500),
            NetworkErrorKind::Protocol(String::new()),
            NetworkErrorKind::NotMedia(String::new()),
        ] {
            for stage in [Stage::Prepare, Stage::Connect, Stage::Headers, Stage::Body] {
                all.push(NetworkError { stage, ..network(kind.clone()) }.into());
            }
        }
        for error in all {
            let kind = error.io_kind();
            assert!(kind != io::ErrorKind::Interrupted, "{error}");
            assert!(kind != io::ErrorKind::UnexpectedEof, "{error}");
        }
    }

    #[test]
    fn e12_the_typed_error_survives_inside_an_io_error() {
        let io: io::Error = Error::OfflineMiss { range: 3..9 }.into();
        assert!(
            matches!(Error::from_io(&io), Some(Error::OfflineMiss { range }) if *range == (3..9))
        );
        let io: io::Error = Error::from(network(NetworkErrorKind::Status(404))).into();
        assert_eq!(io.kind(), io::ErrorKind::NotFound);
        assert!(Error::from_io(&io).is_some_and(Error::is_fatal));
    }

    #[test]
    fn n4_what_is_retried_is_what_may_pass() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(network(NetworkErrorKind::Status(status)).is_retryable(), "{status}");
        }
        for status in [400, 401, 403, 404, 410, 412] {
            assert!(!network(NetworkErrorKind::Status(status)).is_retryable(), "{status}");
        }
    }
}
