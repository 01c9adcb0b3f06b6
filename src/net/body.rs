//! The body of an accepted answer: bytes in order, never one too many.
//!
//! The idle timer runs only while a chunk is waited for (N2): a consumer that takes its time is not
//! the server's fault. It goes on where it stopped when a wait is dropped and begun again.
//!
//! Not here: judging the answer's head (`classify`), placing bytes in the resource (`storage`).
//!
//! Invariants:
//! 1. `position` only grows, by the length of what was handed out, and never passes `limit`;
//! 2. after an end or a fault no more byte comes: the end stays the end, the fault the fault.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
#[cfg(any(test, feature = "object-store"))]
use futures::stream::BoxStream;
use tokio::time::Instant;

use super::fault::Fault;
#[cfg(test)]
use crate::byte_range::ByteRange;
use crate::error::{NetworkErrorKind, Stage};
use crate::sync::Arc;

/// What a transport says when it breaks.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long to wait for the formal end of a body whose bytes are all here, such as the last chunk's
/// mark. It comes with the last byte or hardly at all; waiting for it keeps the connection usable.
const END_GRACE: Duration = Duration::from_millis(200);

/// Where the bytes come from.
pub(crate) enum Source {
    /// A response of the HTTP client.
    Response(Box<reqwest::Response>),
    /// What an object store gives, or a test's script.
    #[cfg(any(test, feature = "object-store"))]
    Stream(BoxStream<'static, Result<Bytes, BoxError>>),
}

impl Source {
    /// The next piece. Cancel safe.
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        match self {
            Self::Response(response) => {
                response.chunk().await.map_err(|error| error.without_url().into()).transpose()
            }
            #[cfg(any(test, feature = "object-store"))]
            Self::Stream(stream) => futures::StreamExt::next(stream).await,
        }
    }
}

/// How the end of a body shows on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By Content-Length, the last chunk, or END_STREAM: a lost connection cannot look like it.
    Marked,
    /// By the connection's closing, which a lost connection looks like too.
    Close,
}

/// How a body ended without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// All that the answer's head announced is here; or the body had no announced length, and its
    /// end is proven by its framing.
    Complete,
    /// The connection closed and nothing proves that the body ends here (E2).
    Unproven,
    /// A proper end before the end of the announced range: the rest is missing.
    Short,
    /// Cut off by us at the end asked for, as the server sends more.
    Cut,
}

/// What a body may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Where its first byte belongs.
    pub(crate) start: u64,
    /// The first byte asked for: a body that ends at or before it is of no use.
    pub(crate) asked: u64,
    /// Where it must end at the latest, as its head says. `None`: not told.
    pub(crate) promised: Option<u64>,
    /// Where handing out stops: the end asked for.
    pub(crate) limit: u64,
    /// How its end shows.
    pub(crate) framing: Framing,
}

impl Bounds {
    /// Of a body with the bytes of `range`, all of it wanted.
    #[cfg(test)]
    pub(crate) fn exact(range: ByteRange, framing: Framing) -> Self {
        let (start, end) = (range.start, range.end);
        Self { start, asked: start, promised: Some(end), limit: end, framing }
    }
}

/// Whether more comes.
#[derive(Debug)]
enum State {
    Running(Source),
    Ended(BodyEnd),
    Failed(Fault),
}

/// The body of an accepted answer.
#[derive(Debug)]
pub(crate) struct Body {
    state: State,
    bounds: Bounds,
    /// Offset in the resource of the next byte.
    position: u64,
    /// Longest time without a byte while one is waited for.
    idle: Option<Duration>,
    /// Time waited since the last byte, over all waits.
    waited: Duration,
    /// For errors; redacted.
    url: Arc<str>,
}

impl Body {
    /// A body from `source`, of the answer of `url` (redacted).
    pub(crate) fn new(source: Source, bounds: Bounds, url: Arc<str>) -> Self {
        let position = bounds.start;
        let waited = Duration::ZERO;
        Self { state: State::Running(source), bounds, position, idle: None, waited, url }
    }

    /// The same body with an idle timeout.
    pub(crate) fn with_idle(self, idle: Duration) -> Self {
        Self { idle: Some(idle), ..self }
    }

    /// Offset in the resource of the next byte that `chunk` gives.
    #[cfg(test)]
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether the end of this body, when it comes, cannot be a connection lost.
    pub(crate) fn proves_end(&self) -> bool {
        self.bounds.framing == Framing::Marked
    }

    /// How it ended; `None` while it runs and after a fault.
    pub(crate) fn end(&self) -> Option<BodyEnd> {
        match self.state {
            State::Ended(end) => Some(end),
            State::Running(_) | State::Failed(_) => None,
        }
    }

    /// The next bytes, never empty; `None` at the end, whose kind [`Body::end`] tells. Polling to the
    /// end lets the connection be used again.
    ///
    /// # Errors
    ///
    /// `TimedOut` when no byte came for the idle time; `Connection` when it broke or closed early;
    /// `Protocol` when it is longer than it may be, or ends before the first byte asked for. What was
    /// handed out before is right and stays. Every later call gives the same fault.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no byte is lost, and the idle time already waited counts.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let all_here = self.position == self.bounds.limit;
            let source = match &mut self.state {
                State::Running(source) => source,
                State::Ended(_) => return Ok(None),
                State::Failed(fault) => return Err(fault.clone()),
            };
            if all_here {
                if self.bounds.promised.is_none_or(|promised| promised > self.bounds.limit) {
                    return self.ended(BodyEnd::Cut);
                }
                return match tokio::time::timeout(END_GRACE, last(source)).await {
                    Ok(TooMuch(true)) => self.failed(self.longer()),
                    // Every byte is here; how the connection ends does not matter.
                    Ok(TooMuch(false)) | Err(_) => self.ended(BodyEnd::Complete),
                };
            }
            let next = match self.idle {
                None => Some(source.next().await),
                Some(idle) => wait(source, idle, &mut self.waited).await,
            };
            match next {
                None => return self.failed(self.fault(NetworkErrorKind::TimedOut)),
                Some(None) => return self.finish(),
                Some(Some(Err(error))) => return self.failed(self.broken(error)),
                Some(Some(Ok(bytes))) if bytes.is_empty() => {}
                Some(Some(Ok(bytes))) => return self.accept(bytes),
            }
        }
    }

    /// Takes a piece that came: checks it against the announced end, cuts it at the asked end.
    fn accept(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, Fault> {
        let end = self.position.checked_add(bytes.len() as u64);
        let Some(end) = end.filter(|end| self.bounds.promised.is_none_or(|most| *end <= most))
        else {
            return self.failed(self.longer());
        };
        let end = end.min(self.bounds.limit);
        // `end - position` is at most the piece's own length.
        bytes.truncate((end - self.position) as usize);
        self.position = end;
        self.waited = Duration::ZERO;
        Ok(Some(bytes))
    }

    /// The transport says that the body is over, before `limit`.
    fn finish(&mut self) -> Result<Option<Bytes>, Fault> {
        let short = self.bounds.promised.is_some_and(|promised| self.position < promised);
        match (short, self.bounds.framing) {
            (true, Framing::Close) => self.failed(self.fault(NetworkErrorKind::Connection)),
            (true, Framing::Marked) if self.position <= self.bounds.asked => {
                let why = "the body ended before the first byte asked for";
                self.failed(self.fault(NetworkErrorKind::Protocol(why.into())))
            }
            (true, Framing::Marked) => self.ended(BodyEnd::Short),
            (false, Framing::Marked) => self.ended(BodyEnd::Complete),
            (false, Framing::Close) => self.ended(BodyEnd::Unproven),
        }
    }

    /// Lets go of the transport: this is the end.
    fn ended(&mut self, end: BodyEnd) -> Result<Option<Bytes>, Fault> {
        self.state = State::Ended(end);
        Ok(None)
    }

    /// Lets go of the transport: this went wrong.
    fn failed(&mut self, fault: Fault) -> Result<Option<Bytes>, Fault> {
        self.state = State::Failed(fault.clone());
        Err(fault)
    }

    /// A fault of this body.
    fn fault(&self, kind: NetworkErrorKind) -> Fault {
        Fault::at(&self.url, Stage::Body, kind)
    }

    /// The body has more bytes than its head announced.
    fn longer(&self) -> Fault {
        self.fault(NetworkErrorKind::Protocol("the body is longer than announced".into()))
    }

    /// The connection broke.
    fn broken(&self, error: BoxError) -> Fault {
        let mut fault = self.fault(NetworkErrorKind::Connection);
        if let Fault::Network(network) = &mut fault {
            network.source = Some(error.into());
        }
        fault
    }
}

/// Whether a body goes on where it had to end.
struct TooMuch(bool);

/// Reads on after the last announced byte.
async fn last(source: &mut Source) -> TooMuch {
    loop {
        match source.next().await {
            Some(Ok(bytes)) if bytes.is_empty() => {}
            Some(Ok(_)) => return TooMuch(true),
            Some(Err(_)) | None => return TooMuch(false),
        }
    }
}

/// Waits for the next piece until `idle` is used up, counting what `waited` says already; `None` when
/// it is. What has come is taken even if the time is over by then.
async fn wait(
    source: &mut Source,
    idle: Duration,
    waited: &mut Duration,
) -> Option<Option<Result<Bytes, BoxError>>> {
    let left = idle.saturating_sub(*waited);
    let _waiting = Waiting { since: Instant::now(), waited };
    tokio::time::timeout(left, source.next()).await.ok()
}

/// Adds the time it lives to `waited`, also when the wait is dropped.
struct Waiting<'a> {
    since: Instant,
    waited: &'a mut Duration,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.waited = self.waited.saturating_add(self.since.elapsed());
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Response(_) => "Response",
            #[cfg(any(test, feature = "object-store"))]
            Self::Stream(_) => "Stream",
        })
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
