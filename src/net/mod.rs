//! The network: asks origins for bytes and judges what they answer.
//!
//! Stateless between requests, but for what a [`Target`] remembers (where redirects led) and for the
//! pools of connections in the lanes. Each answer is judged by its head before a byte of it is
//! handed out; bytes are placed by what the answer says, never by what was asked.
//!
//! Not here: what to fetch and when to try a range again (`sched`), keeping bytes (`storage`),
//! the deciding on a change of the resource (`engine`).
//!
//! Invariants:
//! 1. a [`Body`] never yields a byte outside of the range its [`Answer`] announced;
//! 2. nothing that goes out of here (errors, logs) carries userinfo or query values;
//! 3. headers of the user reach no other origin than the source's, unless marked for it.

pub(crate) mod body;
pub(crate) mod classify;
pub(crate) mod content_range;
pub(crate) mod fault;
mod headers;
mod http;
mod lanes;
mod media;
#[cfg(feature = "object-store")]
pub(crate) mod object;
pub(crate) mod redact;
mod redirect;
mod retry;
mod spare;
mod target;
#[cfg(test)]
mod test_server;
mod timeout;
mod tls;
mod wire;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use url::Url;

use crate::byte_range::ByteRange;
use crate::connection::ConnectionUse;
use crate::ids::Lane;
use crate::sync::Arc;
use crate::validator::Validator;

use crate::config::Config;
use crate::error::{Error, NetworkErrorKind, Stage};

pub(crate) use body::{Body, BodyEnd};
pub(crate) use fault::Fault;
pub use lanes::ClientFactory;
pub(crate) use spare::Spare;
pub use target::{BoundHeader, HeaderScope, ProviderError, UrlProvider};
pub(crate) use target::{Target, check_header};

/// What is known about a resource, for an answer to be checked against. Empty on the first open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expectation {
    /// Its length.
    pub(crate) total: Option<u64>,
    /// What tells its version.
    pub(crate) validator: Option<Validator>,
    /// Its `Content-Type` as sent.
    pub(crate) content_type: Option<String>,
}

/// One request for bytes of a resource.
#[derive(Debug, Clone, Default)]
pub(crate) struct RangeRequest {
    /// The bytes wanted, never empty. An end of `u64::MAX` asks for all from the start on.
    /// `None` asks for the whole without a `Range`.
    pub(crate) range: Option<ByteRange>,
    /// The strong validator to send as `If-Range`; ignored without a range.
    pub(crate) if_range: Option<String>,
    /// Whether caches on the way must ask the origin.
    pub(crate) bypass_caches: bool,
    /// RFC 9218 urgency, 0 (first) to 7, sent as the `priority` header.
    pub(crate) urgency: Option<u8>,
    /// What the answer is checked against.
    pub(crate) expect: Expectation,
}

impl RangeRequest {
    /// A request for `range` that expects nothing.
    #[cfg(test)]
    pub(crate) fn of(range: ByteRange) -> Self {
        Self { range: Some(range), ..Self::default() }
    }
}

/// Which bytes an answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerShape {
    /// 206: these bytes, as Content-Range says, cut off at the end asked for. They hold the first
    /// byte asked for, and may begin before it.
    Part {
        /// Where the body's bytes belong.
        range: ByteRange,
        /// Length of the resource, unless the server did not say.
        total: Option<u64>,
    },
    /// 200: the resource from byte 0 on.
    Whole {
        /// Its length, if the answer says so.
        len: Option<u64>,
    },
}

impl AnswerShape {
    /// Length of the resource, if the answer says so.
    pub(crate) fn total(self) -> Option<u64> {
        match self {
            Self::Part { total, .. } => total,
            Self::Whole { len } => len,
        }
    }
}

/// An accepted answer, its body still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Which bytes it carries.
    pub(crate) shape: AnswerShape,
    /// What tells its version.
    pub(crate) validator: Validator,
    /// `Content-Type` as sent.
    pub(crate) content_type: Option<String>,
    /// Where redirects led. Not redacted.
    pub(crate) final_url: Url,
    /// What its connection was before.
    pub(crate) connection: ConnectionUse,
    /// Whether that connection carries further requests beside this one (HTTP/2).
    pub(crate) multiplexed: bool,
    /// The bytes.
    pub(crate) body: Body,
}

/// What a HEAD tells.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "for a server in front of the engine")]
pub(crate) struct HeadAnswer {
    /// Length of the resource, if told.
    pub(crate) total: Option<u64>,
    /// Whether the server claims to do byte ranges.
    pub(crate) accepts_ranges: bool,
    /// What tells its version.
    pub(crate) validator: Validator,
    /// `Content-Type` as sent.
    pub(crate) content_type: Option<String>,
    /// Where redirects led. Not redacted.
    pub(crate) final_url: Url,
}

/// A small resource as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// All its bytes.
    pub(crate) bytes: Bytes,
    /// Whether the end of its body is proven; false if only the connection's closing showed it (E2).
    pub(crate) end_proven: bool,
    /// What tells its version.
    pub(crate) validator: Validator,
    /// `Content-Type` as sent.
    pub(crate) content_type: Option<String>,
}

/// How bytes are had from an origin. All calls are cancelled by dropping their future.
pub(crate) trait Net: Send + Sync + 'static {
    /// Asks for a range and judges the answer's head. Not retried in here: the scheduler asks again
    /// for what is still missing.
    fn get_range(
        &self,
        lane: Lane,
        target: Arc<Target>,
        request: RangeRequest,
    ) -> BoxFuture<'_, Result<Answer, Fault>>;

    /// The same without an end: all from the range's start on, or the whole without `Range`. Like
    /// `get_range` it is bounded by the idle timeout only, once the body has begun.
    #[cfg_attr(not(test), expect(dead_code, reason = "for a server in front of the engine"))]
    fn stream(
        &self,
        lane: Lane,
        target: Arc<Target>,
        request: RangeRequest,
    ) -> BoxFuture<'_, Result<Answer, Fault>> {
        let range = request.range.map(|range| ByteRange::new(range.start, u64::MAX));
        self.get_range(lane, target, RangeRequest { range, ..request })
    }

    /// Opens a connection that a later request of the demand lane finds open, to where `target` is now. Sends no
    /// request. `None` if that fails or is of no use there.
    fn preconnect(&self, _target: Arc<Target>) -> BoxFuture<'_, Option<Spare>> {
        Box::pin(std::future::ready(None))
    }

    /// Asks for the headers alone. Never sent in front of the first bytes.
    #[allow(dead_code, reason = "for a server in front of the engine")]
    fn head(&self, lane: Lane, target: Arc<Target>) -> BoxFuture<'_, Result<HeadAnswer, Fault>>;

    /// Fetches a whole resource of at most `max` bytes; a larger one is `TooLarge`.
    fn get_bytes(
        &self,
        lane: Lane,
        target: Arc<Target>,
        max: u64,
    ) -> BoxFuture<'_, Result<Object, Fault>> {
        Box::pin(collect(self, lane, target, max))
    }
}

/// The client that the engine uses.
pub(crate) type NetStack = retry::Retry<timeout::Timeout<Origins>>;

/// Who asks what kind of origin.
#[cfg(not(feature = "object-store"))]
type Origins = http::HttpNet;
#[cfg(feature = "object-store")]
type Origins = object::Objects;

/// Builds the lanes and what goes around them. The same `seed` gives the same pauses between tries.
///
/// # Errors
///
/// `Client` if an HTTP client cannot be built.
pub(crate) fn build(
    config: &Config,
    factory: Option<&ClientFactory>,
    seed: u64,
) -> Result<NetStack, Error> {
    let origins = http::HttpNet::new(config, factory)?;
    #[cfg(feature = "object-store")]
    let origins = object::Objects::new(origins);
    let limited = timeout::Timeout::new(origins, config.timeouts.clone());
    Ok(retry::Retry::new(limited, config.tunables.retry.clone(), seed))
}

/// Fetches a whole resource through `net`, and keeps no more than `max` bytes of it.
async fn collect<N: Net + ?Sized>(
    net: &N,
    lane: Lane,
    target: Arc<Target>,
    max: u64,
) -> Result<Object, Fault> {
    let mut answer = net.get_range(lane, target, RangeRequest::default()).await?;
    let url = redact::url(&answer.final_url);
    let too_large = || Fault::at(&url, Stage::Body, NetworkErrorKind::TooLarge(max));
    if answer.shape.total().is_some_and(|total| total > max) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = answer.body.chunk().await? {
        if bytes.len() as u64 + chunk.len() as u64 > max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Object {
        bytes: bytes.freeze(),
        end_proven: answer.body.end() == Some(BodyEnd::Complete),
        validator: answer.validator,
        content_type: answer.content_type,
    })
}
