//! What a path serves: bytes that are held, or bytes that are computed from their offset.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::pattern;

/// Bytes that can be made for any range. They are the same each time.
pub trait Fill: Send + Sync + 'static {
    /// Number of bytes; at most `u64::MAX`.
    fn len(&self) -> u64;

    /// Whether there is no byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the bytes from `offset` on into `buf`; `offset + buf.len()` is at most `len`.
    fn fill(&self, offset: u64, buf: &mut [u8]);
}

/// Bytes in memory.
struct Held(Vec<u8>);

impl Fill for Held {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn fill(&self, offset: u64, buf: &mut [u8]) {
        let start = usize::try_from(offset).expect("an offset within what is held in memory");
        buf.copy_from_slice(&self.0[start..start + buf.len()]);
    }
}

/// Self-checking bytes, see [`pattern`].
struct Pattern {
    /// Number of bytes.
    len: u64,
    /// The generation they belong to.
    seed: u64,
}

impl Fill for Pattern {
    fn len(&self) -> u64 {
        self.len
    }

    fn fill(&self, offset: u64, buf: &mut [u8]) {
        pattern::fill(buf, offset, self.seed);
    }
}

/// One version of a resource: its bytes and what the origin says about them.
#[derive(Clone)]
pub struct Content {
    /// The bytes.
    bytes: Bytes,
    /// `Content-Type`.
    pub(super) content_type: Option<String>,
    /// `ETag`.
    pub(super) etag: Mark,
    /// `Last-Modified`.
    pub(super) last_modified: Mark,
    /// Whether ranges are honoured.
    pub(super) ranges: bool,
}

/// Where the bytes come from.
#[derive(Clone)]
enum Bytes {
    /// A seed can still be given.
    Pattern(u64, u64),
    /// Anything else.
    Fill(Arc<dyn Fill>),
}

/// A validator of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// One that is unlike that of every other version of the origin; a tag is strong.
    Own,
    /// As given; a tag with its quotes.
    Given(String),
    /// A weak tag that is unlike that of every other version.
    OwnWeak,
    /// None is sent.
    None,
}

impl Mark {
    /// As entity tag of the version of that number.
    pub(super) fn to_etag(&self, version: u64) -> Option<String> {
        match self {
            Self::Own => Some(format!("\"v{version}\"")),
            Self::OwnWeak => Some(format!("W/\"v{version}\"")),
            Self::Given(value) => Some(value.clone()),
            Self::None => None,
        }
    }

    /// As date of the version of that number: each an hour after the one before.
    pub(super) fn to_date(&self, version: u64) -> Option<String> {
        match self {
            Self::Own | Self::OwnWeak => Some(date(1_700_000_000 + 3600 * version)),
            Self::Given(value) => Some(value.clone()),
            Self::None => None,
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("len", &self.len()).field("etag", &self.etag).finish()
    }
}

impl Content {
    /// `len` self-checking bytes of seed 0; no memory is taken, so any length will do.
    #[must_use]
    pub fn pattern(len: u64) -> Self {
        Self::from_bytes(Bytes::Pattern(len, 0))
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::computed(Held(bytes.into()))
    }

    /// Bytes made by `fill`.
    #[must_use]
    pub fn computed(fill: impl Fill) -> Self {
        Self::from_bytes(Bytes::Fill(Arc::new(fill)))
    }

    /// The defaults around `bytes`.
    fn from_bytes(bytes: Bytes) -> Self {
        Self {
            bytes,
            content_type: Some("application/octet-stream".to_owned()),
            etag: Mark::Own,
            last_modified: Mark::Own,
            ranges: true,
        }
    }

    /// The generation of a pattern; nothing for other content.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        if let Bytes::Pattern(_, old) = &mut self.bytes {
            *old = seed;
        }
        self
    }

    /// Sends this `Content-Type` instead of `application/octet-stream`.
    #[must_use]
    pub fn content_type(mut self, value: &str) -> Self {
        self.content_type = Some(value.to_owned());
        self
    }

    /// Sends no `Content-Type`.
    #[must_use]
    pub fn no_content_type(mut self) -> Self {
        self.content_type = None;
        self
    }

    /// Sends this `ETag`, quotes and `W/` included, instead of one of the origin's own making.
    #[must_use]
    pub fn etag(mut self, value: &str) -> Self {
        self.etag = Mark::Given(value.to_owned());
        self
    }

    /// Sends a weak `ETag`.
    #[must_use]
    pub fn weak_etag(mut self) -> Self {
        self.etag = Mark::OwnWeak;
        self
    }

    /// Sends no `ETag`.
    #[must_use]
    pub fn no_etag(mut self) -> Self {
        self.etag = Mark::None;
        self
    }

    /// Sends this `Last-Modified`, in seconds since 1970, instead of a day in 2023.
    #[must_use]
    pub fn last_modified(mut self, unix_seconds: u64) -> Self {
        self.last_modified = Mark::Given(date(unix_seconds));
        self
    }

    /// Sends no `Last-Modified`.
    #[must_use]
    pub fn no_last_modified(mut self) -> Self {
        self.last_modified = Mark::None;
        self
    }

    /// Sends neither `ETag` nor `Last-Modified`.
    #[must_use]
    pub fn no_validator(self) -> Self {
        self.no_etag().no_last_modified()
    }

    /// Answers every range request with 200 and the whole, and doesn't send `Accept-Ranges`.
    #[must_use]
    pub fn no_ranges(mut self) -> Self {
        self.ranges = false;
        self
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.bytes {
            Bytes::Pattern(len, _) => *len,
            Bytes::Fill(fill) => fill.len(),
        }
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the bytes from `offset` on into `buf`, for whoever checks what was served.
    ///
    /// # Panics
    ///
    /// If `offset + buf.len()` is past the end.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) {
        let end = offset.checked_add(buf.len() as u64);
        assert!(end.is_some_and(|end| end <= self.len()), "a range within the content");
        self.fill().fill(offset, buf);
    }

    /// The bytes, ready to be cut into ranges.
    pub(super) fn fill(&self) -> Arc<dyn Fill> {
        match &self.bytes {
            Bytes::Pattern(len, seed) => Arc::new(Pattern { len: *len, seed: *seed }),
            Bytes::Fill(fill) => Arc::clone(fill),
        }
    }
}

/// An HTTP date.
pub(super) fn date(unix_seconds: u64) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds))
}
