//! [`Server`]: a listener with bounds, for whoever has no server of their own.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

#[cfg(doc)]
use super::ServeConfig;
use super::connections::{Connections, Slot};
use super::{Catalog, ServeError, routes};
use crate::sync::Arc;

/// What the system holds of an answer that the client has not taken, in bytes. More would be read, and so demanded,
/// without anybody playing it; a player on this machine needs no more.
const SEND_BUFFER: u32 = 256 << 10;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Largest head of a request, in bytes; also how much of a body is kept beyond what the system takes.
const HEAD: usize = 32 << 10;

/// Most headers of a request.
const HEADERS: usize = 64;

/// How long to wait after the system refused a connection, for want of descriptors most likely.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that listens and does not serve yet. HTTP/1.1 (and 1.0) alone; players speak nothing else to a local one.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    catalog: Catalog,
    router: axum::Router,
}

impl Server {
    /// Listens at `addr`; port 0 takes any that is free. Must be called in a tokio runtime with I/O and time.
    ///
    /// # Errors
    ///
    /// [`ServeError::Public`] for an address that other machines reach, unless [`ServeConfig::public`] is set and there is
    /// a [`ServeConfig::token`]; [`ServeError::Bind`] if the system refuses.
    pub fn bind(catalog: &Catalog, addr: SocketAddr) -> Result<Self, ServeError> {
        let config = catalog.config();
        let private = addr.ip().is_loopback();
        if !private && (!config.public || config.token.is_none()) {
            return Err(ServeError::Public { addr });
        }
        let failed = |source| ServeError::Bind { addr, source: Arc::new(source) };
        let listener = listen(addr).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let router = routes::router(catalog, Some(addr.port()));
        Ok(Self { listener, addr, catalog: catalog.clone(), router })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `stop` is cancelled. Then no connection is accepted, idle ones are closed, answers under way have
    /// [`ServeConfig::grace`] to end, and the rest breaks off. The catalog's sessions stay; [`Catalog::close`] ends them.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener and every connection at once.
    pub async fn run(self, stop: CancellationToken) {
        let config = self.catalog.config().clone();
        let connections = Connections::new(config.max_connections);
        let mut tasks = JoinSet::new();
        loop {
            // Ended ones are taken out, so that the set does not grow.
            while tasks.try_join_next().is_some() {}
            let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await else {
                break;
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // A client that went meanwhile is gone from the queue; a lack of descriptors is not.
                    let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
                    continue;
                }
            };
            match connections.enter() {
                Some(slot) => {
                    let router = self.router.clone();
                    let (stop, timeout) = (stop.clone(), config.head_timeout);
                    tasks.spawn(connection(stream, router, slot, stop, timeout));
                }
                None => tracing::warn!("a connection is refused: all others are busy"),
            }
        }
        drop(self.listener);
        let ended = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(config.grace, ended).await;
        tasks.shutdown().await;
    }
}

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As every server on Unix does; on Windows it means something else.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // What is accepted inherits it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn connection(
    stream: TcpStream,
    router: axum::Router,
    slot: Slot,
    stop: CancellationToken,
    head_timeout: Duration,
) {
    let _ = stream.set_nodelay(true);
    let slot = Arc::new(slot);
    let leave = slot.leave();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let busy = slot.busy();
        let mut router = router.clone();
        async move {
            let response = router.call(request).await?;
            Ok::<_, std::convert::Infallible>(response.map(|body| busy.until_end(body)))
        }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
        // Idle, and others need the place.
        () = leave.cancelled() => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
