//! Spare connections: opened before a request needs one.
//!
//! The HTTP client opens a connection only for a request that finds none idle, and has no call to do it earlier. So
//! a client of its own, the greeter, begins a request that never goes out: its connector opens the connection,
//! with TLS and through proxies as usual, hands it to the [`Shelf`] and fails the request. The connector of
//! the demand lane looks there before it opens one itself. Both know what they are at from a task-local value,
//! because the client hides its connectors' requests from the layers around them.
//!
//! Invariants:
//! 1. nothing is sent over a spare connection before a request takes it, but for TLS's own words;
//! 2. one goes only to a request for the very scheme, host and port that it was opened for;
//! 3. one that is closed by the other side, or that has something to say unasked, is not handed out.
//!
//! Not here: when one is worth making (`sched`).

use std::any::Any;
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use hyper::rt::{Read, ReadBuf};
use hyper_util::client::legacy::connect::Connection;
use reqwest::{Client, RequestBuilder, Response};
use tokio::sync::oneshot;
use tower_layer::Layer;
use tower_service::Service;
use url::Url;

use crate::sync::{Arc, AtomicBool, Mutex, Ordering};

/// What connectors fail with.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A connection of a type that the HTTP client does not name.
type Opened = Box<dyn Any + Send>;

tokio::task_local! {
    /// What a connector of the demand lane is to connect to.
    static ERRAND: Errand;
    /// Where the greeter's connector is to put the connection.
    static GREETING: Cell<Option<oneshot::Sender<Opened>>>;
}

/// Why a greeter's request fails when all went well.
#[derive(Debug, thiserror::Error)]
#[error("a spare connection was asked for, and no request")]
struct NoRequest;

/// The request that a connection is wanted for.
#[derive(Debug, Clone)]
struct Errand {
    place: Arc<str>,
    took_spare: Arc<AtomicBool>,
}

/// Scheme, host and port of a URL.
fn place(url: &Url) -> Arc<str> {
    url.origin().ascii_serialization().into()
}

/// The spare connections of a lane that nobody has taken yet, open or still being opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    named: u64,
    /// By place, the oldest first.
    spares: HashMap<Arc<str>, VecDeque<(u64, oneshot::Receiver<Opened>)>>,
}

impl Shelf {
    /// The layer for the lane whose requests take spare connections.
    pub(crate) fn taking(&self) -> TakingLayer {
        TakingLayer(self.clone())
    }

    /// Sends `request` to `url`; tells whether it took a spare connection.
    pub(crate) async fn send(
        &self,
        url: &Url,
        request: RequestBuilder,
    ) -> Result<(Response, bool), reqwest::Error> {
        let took_spare = Arc::new(AtomicBool::new(false));
        let errand = Errand { place: place(url), took_spare: took_spare.clone() };
        let response = ERRAND.scope(errand, request.send()).await?;
        Ok((response, took_spare.load(Ordering::Relaxed)))
    }

    /// Opens a connection to where `url` is. `None` if that fails, or if the server would carry several requests over
    /// one connection and so needs no second one.
    pub(crate) async fn fill(&self, greeter: &Client, url: &Url) -> Option<Spare> {
        let (opened, receiver) = oneshot::channel();
        let spare = self.put(place(url), receiver);
        let greeting = greeter.get(url.clone()).send();
        let error = GREETING.scope(Cell::new(Some(opened)), greeting).await.err()?;
        if !is_no_request(&error) {
            tracing::debug!(error = %error.without_url(), "no spare connection came about");
            return None;
        }
        Some(spare)
    }

    fn put(&self, place: Arc<str>, receiver: oneshot::Receiver<Opened>) -> Spare {
        let mut kept = self.0.lock();
        kept.named += 1;
        let name = kept.named;
        kept.spares.entry(place.clone()).or_default().push_back((name, receiver));
        Spare { shelf: self.clone(), place, name }
    }

    fn take(&self, place: &str) -> Option<oneshot::Receiver<Opened>> {
        self.0.lock().spares.get_mut(place)?.pop_front().map(|(_, receiver)| receiver)
    }

    fn remove(&self, place: &str, name: u64) {
        let removed = {
            let mut kept = self.0.lock();
            let Some(spares) = kept.spares.get_mut(place) else { return };
            let at = spares.iter().position(|(other, _)| *other == name);
            let removed = at.and_then(|at| spares.remove(at));
            if spares.is_empty() {
                kept.spares.remove(place);
            }
            removed
        };
        // Closes it, outside of the lock.
        drop(removed);
    }
}

/// A spare connection. Dropping it closes the connection, unless a request has taken it.
#[derive(Debug)]
pub(crate) struct Spare {
    shelf: Shelf,
    place: Arc<str>,
    name: u64,
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.shelf.remove(&self.place, self.name);
    }
}

fn is_no_request(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<NoRequest>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// Puts [`Taking`] around a connector.
#[derive(Debug, Clone)]
pub(crate) struct TakingLayer(Shelf);

impl<S> Layer<S> for TakingLayer {
    type Service = Taking<S>;

    fn layer(&self, inner: S) -> Taking<S> {
        Taking { inner, shelf: self.0.clone() }
    }
}

/// A connector that looks for a spare connection first.
#[derive(Debug, Clone)]
pub(crate) struct Taking<S> {
    inner: S,
    shelf: Shelf,
}

impl<S, R> Service<R> for Taking<S>
where
    S: Service<R, Error = BoxError> + Clone + Send + 'static,
    S::Response: Read + Unpin + Send + 'static,
    S::Future: Send + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let again = self.inner.clone();
        // The one that said it is ready makes the call.
        let mut inner = std::mem::replace(&mut self.inner, again);
        let errand = ERRAND.try_with(Errand::clone).ok();
        let spare = errand.as_ref().and_then(|errand| self.shelf.take(&errand.place));
        Box::pin(async move {
            // One that is still being opened began before this request, and so is there first.
            let opened = match spare {
                Some(spare) => spare.await.ok(),
                None => None,
            };
            let connection = opened.and_then(|opened| opened.downcast::<S::Response>().ok());
            if let (Some(mut connection), Some(errand)) = (connection, errand)
                && is_quiet(&mut *connection)
            {
                errand.took_spare.store(true, Ordering::Relaxed);
                return Ok(*connection);
            }
            inner.call(request).await
        })
    }
}

/// Whether nothing has come over a connection on which nothing was asked: no end, no error, no byte.
fn is_quiet(connection: &mut (impl Read + Unpin)) -> bool {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(connection).poll_read(&mut cx, buffer.unfilled()).is_pending()
}

/// Puts [`Greeting`] around a connector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GreetingLayer;

impl<S> Layer<S> for GreetingLayer {
    type Service = Greeting<S>;

    fn layer(&self, inner: S) -> Greeting<S> {
        Greeting { inner }
    }
}

/// A connector whose connections go to a shelf, and whose requests go nowhere.
#[derive(Debug, Clone)]
pub(crate) struct Greeting<S> {
    inner: S,
}

impl<S, R> Service<R> for Greeting<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: Connection + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let opening = self.inner.call(request);
        let to = GREETING.try_with(Cell::take).ok().flatten();
        Box::pin(async move {
            let connection = opening.await?;
            if connection.connected().is_negotiated_h2() {
                return Err("one connection carries all requests".into());
            }
            let put = to.is_some_and(|to| to.send(Box::new(connection)).is_ok());
            Err(if put { NoRequest.into() } else { "nobody waits for this connection".into() })
        })
    }
}
