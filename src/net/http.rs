//! [`Net`] over the lanes' HTTP clients: sends, follows redirects, has the answer judged.
//!
//! Not here: time limits (`timeout`), trying again (`retry`, and `sched` for ranges).

use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use reqwest::Response;
use url::Url;

use super::body::{Body, Source};
use super::classify::{self, Head, Refused};
use super::fault::Fault;
use super::lanes::{ClientFactory, LaneClient, Lanes};
use super::target::{Start, Target, WaysBack};
use super::{
    Answer, HeadAnswer, Net, RangeRequest, Spare, headers, media, redact, redirect, tls, wire,
};
use crate::config::{Config, NetConfig};
use crate::connection::ConnectionUse;
use crate::error::{Error, NetworkError, NetworkErrorKind, Stage};
use crate::ids::Lane;
use crate::sync::Arc;

/// Most of an error answer's body that is kept, in bytes.
const EXCERPT: usize = 512;

/// How long to wait for an error answer's body. It explains; it must not delay the next try much.
const EXCERPT_TIME: Duration = Duration::from_millis(500);

/// Sends requests over the lanes.
#[derive(Debug)]
pub(crate) struct HttpNet {
    lanes: Lanes,
    config: NetConfig,
}

/// An answer whose head has come, redirects done.
struct Arrived {
    response: Response,
    url: Url,
    /// From where the redirects began.
    start: Start,
    connection: ConnectionUse,
}

impl HttpNet {
    /// Builds the lanes.
    ///
    /// # Errors
    ///
    /// `Client` if an HTTP client cannot be built.
    pub(crate) fn new(config: &Config, factory: Option<&ClientFactory>) -> Result<Self, Error> {
        Ok(Self { lanes: Lanes::new(config, factory)?, config: config.net.clone() })
    }

    /// The HTTP clients.
    #[cfg(feature = "object-store")]
    pub(super) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Whether a page in place of the media is refused.
    #[cfg(feature = "object-store")]
    pub(super) fn refuses_html(&self) -> bool {
        self.config.refuse_html
    }

    /// Asks and judges; see [`Net::get_range`].
    async fn get(
        &self,
        lane: Lane,
        target: &Target,
        request: &RangeRequest,
    ) -> Result<Answer, Fault> {
        let lane = self.lanes.lane(lane);
        let sent = wire::headers(request)
            .map_err(|why| Fault::protocol(&redact::url(target.original()), Stage::Prepare, why))?;
        let arrived = self.exchange(lane, target, Method::GET, &sent).await?;
        let head = head_of(&arrived.response);
        let judged = classify::judge(request, target.original(), self.config.refuse_html, head);
        let accepted = match judged {
            Ok(accepted) => accepted,
            Err(refused) => return Err(refuse(refused, arrived).await),
        };
        // Only now: a login page must not become the place where the media is looked for.
        target.found(&arrived.start, &arrived.url);
        let url = Arc::from(redact::url(&arrived.url));
        let multiplexed = arrived.response.version() == http::Version::HTTP_2;
        let source = Source::Response(Box::new(arrived.response));
        Ok(Answer {
            shape: accepted.shape,
            validator: accepted.validator,
            content_type: accepted.content_type,
            final_url: arrived.url,
            connection: arrived.connection,
            multiplexed,
            body: Body::new(source, accepted.bounds, url),
        })
    }

    /// Asks for the headers alone; see [`Net::head`].
    async fn ask_head(&self, lane: Lane, target: &Target) -> Result<HeadAnswer, Fault> {
        let lane = self.lanes.lane(lane);
        let request = RangeRequest::default();
        let sent = wire::headers(&request).unwrap_or_default();
        let arrived = self.exchange(lane, target, Method::HEAD, &sent).await?;
        let head = head_of(&arrived.response);
        let judged = classify::judge(&request, target.original(), self.config.refuse_html, head);
        let accepted = match judged {
            Ok(accepted) => accepted,
            Err(refused) => return Err(refuse(refused, arrived).await),
        };
        target.found(&arrived.start, &arrived.url);
        let units = headers::text(arrived.response.headers(), &http::header::ACCEPT_RANGES);
        Ok(HeadAnswer {
            total: accepted.shape.total(),
            accepts_ranges: units.is_some_and(|units| media::essence(units) == "bytes"),
            validator: accepted.validator,
            content_type: accepted.content_type,
            final_url: arrived.url,
        })
    }

    /// Sends, and when the place refuses, tries the ways back that the target has (N9).
    async fn exchange(
        &self,
        lane: &LaneClient,
        target: &Target,
        method: Method,
        sent: &HeaderMap,
    ) -> Result<Arrived, Fault> {
        let mut ways = WaysBack::default();
        let mut start = target.start();
        loop {
            let outcome = self.follow(lane, target, &method, sent, start.clone()).await;
            if !is_refusal(&outcome, &start) {
                return outcome;
            }
            let asked = redact::url(&start.url);
            match target.after_refusal(&start, &mut ways).await {
                Ok(Some(next)) => start = next,
                Ok(None) => return outcome,
                Err(error) => return Err(no_url(&asked, error)),
            }
        }
    }

    /// Sends from `start` on along its redirects.
    async fn follow(
        &self,
        lane: &LaneClient,
        target: &Target,
        method: &Method,
        sent: &HeaderMap,
        start: Start,
    ) -> Result<Arrived, Fault> {
        let mut visited = vec![start.url.clone()];
        loop {
            let url = visited.last().unwrap_or(&start.url).clone();
            let (response, connection) = send(lane, target, method, sent, &url).await?;
            if !redirect::is_redirect(response.status()) {
                return Ok(Arrived { response, url, start, connection });
            }
            match redirect::next(&self.config, &visited, response.headers()) {
                Ok(next) => visited.push(next),
                Err(why) => {
                    let kind = NetworkErrorKind::Redirect(why);
                    return Err(Fault::at(&redact::url(&url), Stage::Headers, kind));
                }
            }
        }
    }
}

impl Net for HttpNet {
    fn get_range(
        &self,
        lane: Lane,
        target: Arc<Target>,
        request: RangeRequest,
    ) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(async move { self.get(lane, &target, &request).await })
    }

    fn preconnect(&self, target: Arc<Target>) -> BoxFuture<'_, Option<Spare>> {
        Box::pin(async move { self.lanes.preconnect(&target.start().url).await })
    }

    fn head(&self, lane: Lane, target: Arc<Target>) -> BoxFuture<'_, Result<HeadAnswer, Fault>> {
        Box::pin(async move { self.ask_head(lane, &target).await })
    }
}

/// Sends one request to `url`: the user's headers that may go there, then ours over them.
async fn send(
    lane: &LaneClient,
    target: &Target,
    method: &Method,
    sent: &HeaderMap,
    url: &Url,
) -> Result<(Response, ConnectionUse), Fault> {
    let mut builder = lane.client().request(method.clone(), url.clone());
    if let Some((name, password)) = target.userinfo_for(url) {
        builder = builder.basic_auth(name, password.as_ref());
    }
    let builder = builder.headers(target.headers_for(url)).headers(sent.clone());
    lane.send(url, builder).await.map_err(|error| send_fault(url, error))
}

/// The parts of an answer that are judged.
fn head_of(response: &Response) -> Head<'_> {
    Head { status: response.status(), version: response.version(), headers: response.headers() }
}

/// Whether the place that answered does not have the resource (any more), or a remembered one is not
/// there at all.
fn is_refusal(outcome: &Result<Arrived, Fault>, start: &Start) -> bool {
    match outcome {
        Ok(arrived) => matches!(arrived.response.status().as_u16(), 401 | 403 | 404 | 410),
        Err(fault) => {
            let lost = fault.network().is_some_and(|error| error.stage == Stage::Connect);
            lost && start.is_remembered()
        }
    }
}

/// The fault for an answer that was judged to be of no use. Drops its body at once, unless it
/// explains an error.
async fn refuse(refused: Refused, arrived: Arrived) -> Fault {
    let shown = redact::url(&arrived.url);
    match refused {
        Refused::Status => status_fault(arrived, shown).await,
        Refused::Protocol(why) => Fault::protocol(&shown, Stage::Headers, why),
        Refused::NotMedia(why) => {
            Fault::at(&shown, Stage::Headers, NetworkErrorKind::NotMedia(why))
        }
        Refused::Changed(seen) => Fault::Changed(seen),
        Refused::NotSatisfiable { total, validator } => Fault::NotSatisfiable { total, validator },
    }
}

/// The fault for an error status.
async fn status_fault(arrived: Arrived, url: String) -> Fault {
    let status: StatusCode = arrived.response.status();
    let retry_after = headers::retry_after(arrived.response.headers(), SystemTime::now());
    let excerpt = excerpt(arrived.response).await.map(|text| redact::text(&text, &arrived.url));
    Fault::Network(Box::new(NetworkError {
        url,
        stage: Stage::Headers,
        kind: NetworkErrorKind::Status(status.as_u16()),
        excerpt,
        retry_after,
        attempts: 1,
        source: None,
    }))
}

/// The beginning of an error page, if it is text; what comes in time.
async fn excerpt(mut response: Response) -> Option<String> {
    let mut bytes = Vec::new();
    let read = async {
        while bytes.len() < EXCERPT {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = EXCERPT - bytes.len();
                    bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
                }
                Ok(None) | Err(_) => break,
            }
        }
    };
    // What came before the time was over is worth showing all the same.
    let _ = tokio::time::timeout(EXCERPT_TIME, read).await;
    readable(&bytes)
}

/// `bytes` as one line of text; `None` if they are empty or no text. A character cut at the end is
/// left out.
fn readable(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_some() => return None,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
    };
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

/// The fault for a request that brought no answer.
fn send_fault(url: &Url, error: reqwest::Error) -> Fault {
    let refused = tls::certificate_refused(&error).map(|error| format!("TLS: {error}"));
    let stage = if error.is_builder() {
        Stage::Prepare
    } else if error.is_connect() {
        Stage::Connect
    } else {
        Stage::Headers
    };
    let kind = match refused {
        Some(why) => NetworkErrorKind::Protocol(why),
        None if error.is_builder() => NetworkErrorKind::Client("the request is not valid".into()),
        None if error.is_timeout() => NetworkErrorKind::TimedOut,
        None => NetworkErrorKind::Connection,
    };
    with_source(Fault::at(&redact::url(url), stage, kind), Arc::new(error.without_url()))
}

/// The fault when the URL provider has none.
fn no_url(asked: &str, error: super::ProviderError) -> Fault {
    with_source(Fault::at(asked, Stage::Prepare, NetworkErrorKind::NoUrl), error.into())
}

/// `fault` with what it came from.
fn with_source(mut fault: Fault, source: Arc<dyn std::error::Error + Send + Sync>) -> Fault {
    if let Fault::Network(error) = &mut fault {
        error.source = Some(source);
    }
    fault
}

#[cfg(test)]
mod tests;
