//! The thread that serves: listening, accepting, and ending all at once.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

use super::answer::Step;
use super::h1::Http1;
use super::h2;
use super::link::{self, Link, Network, Pacer};
use super::shared::Shared;
use super::wire::{Acceptor, Control, Direct, Prefixed, Stream};

/// Send buffer of a socket: small, so that "handed to the socket" means "soon at the client".
const SEND_BUFFER: u32 = 64 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// How every HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How connections are served.
#[derive(Clone, Default)]
pub(super) struct Setup {
    /// Wraps accepted streams.
    pub(super) acceptor: Option<Acceptor>,
    /// Largest single write of a body.
    pub(super) write_size: Option<usize>,
    /// Between the origin and its clients.
    pub(super) link: Option<Link>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = self.acceptor.is_some();
        f.debug_struct("Setup").field("tls", &tls).field("link", &self.link).finish_non_exhaustive()
    }
}

impl Setup {
    /// Largest single write of a body.
    pub(super) fn write_size(&self) -> usize {
        self.write_size.unwrap_or(if self.link.is_some() { 4 * 1024 } else { 16 * 1024 })
    }
}

/// A bound port on which nobody listens: connections are refused and nobody else gets it.
#[derive(Debug)]
pub(super) struct Port {
    /// Bound, not listening.
    socket: TcpSocket,
    /// Where.
    addr: SocketAddr,
}

impl Port {
    /// Any free port of loopback.
    pub(super) fn free() -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port on loopback")
    }

    /// Binds `addr`.
    pub(super) fn at(addr: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Connections of an earlier life may still linger on the port.
        socket.set_reuseaddr(true)?;
        // A real link needs what the kernel finds right for it: a fixed size would bound the rate.
        if addr.ip().is_loopback() {
            socket.set_send_buffer_size(SEND_BUFFER)?;
        }
        socket.bind(addr)?;
        let addr = socket.local_addr()?;
        Ok(Self { socket, addr })
    }

    /// Where it is.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// A serving thread. Dropping it ends all at once.
#[derive(Debug)]
pub(super) struct Running {
    /// Where it listens.
    addr: SocketAddr,
    /// Dropped to end it.
    stop: Option<oneshot::Sender<()>>,
    /// The thread.
    thread: Option<JoinHandle<()>>,
    /// The link; it goes after the thread whose connections use it.
    pacer: Option<Pacer>,
}

impl Running {
    /// Listens on `port` and serves.
    pub(super) fn start(port: Port, shared: Arc<Shared>, setup: Setup) -> Self {
        let addr = port.addr;
        let pacer = setup.link.as_ref().map(Pacer::start);
        let network = pacer.as_ref().map(|pacer| Arc::clone(&pacer.network));
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let ending = Arc::clone(&shared);
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime for the origin");
            runtime.block_on(async move {
                let listener = port.socket.listen(BACKLOG).expect("a bound port can listen");
                // Nobody to tell means that the origin was dropped already.
                let _ = ready.send(());
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, shared, setup, network) => {}
                }
            });
            ending.stopping(true);
            // With the runtime goes every connection.
            drop(runtime);
            ending.stopping(false);
        };
        let thread = std::thread::Builder::new().name("origin".to_owned()).spawn(serve);
        let thread = thread.expect("a thread for the origin");
        is_ready.recv().expect("the origin's thread listens");
        Self { addr, stop: Some(stop), thread: Some(thread), pacer }
    }

    /// Bytes that crossed the link, down and up; 0 without a link.
    pub(super) fn carried(&self) -> (u64, u64) {
        self.pacer.as_ref().map_or((0, 0), |pacer| pacer.network.carried())
    }

    /// Gives the link another shape; nothing without a link.
    pub(super) fn reshape(&self, link: &Link) {
        if let Some(pacer) = &self.pacer {
            pacer.network.reshape(link);
        }
    }

    /// Ends it and keeps the port.
    pub(super) fn stop(self) -> Port {
        let addr = self.addr;
        drop(self);
        Port::at(addr).expect("the port that was just left")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there; a second one in a drop would abort.
            let _ = thread.join();
        }
    }
}

/// Accepts for ever.
async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    setup: Setup,
    network: Option<Arc<Network>>,
) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let (id, step) = shared.connected(peer);
                let open = Open { shared: Arc::clone(&shared), id };
                tokio::spawn(serve(open, socket, step, setup.clone(), network.clone()));
            }
            // Out of descriptors, or the client was faster: the next may do.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// A connection in the log; dropping it logs its end.
struct Open {
    /// The log.
    shared: Arc<Shared>,
    /// Its number.
    id: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.disconnected(self.id);
    }
}

/// Serves one connection.
async fn serve(
    open: Open,
    socket: TcpStream,
    step: Option<Step>,
    setup: Setup,
    network: Option<Arc<Network>>,
) {
    let control = Control::default();
    // Fails only for a socket that is gone already; reading will tell.
    let _ = socket.set_nodelay(true);
    match step {
        None => {}
        Some(Step::Gate(gate)) => gate.pass().await,
        Some(Step::Delay(delay)) => tokio::time::sleep(delay).await,
        Some(Step::Stall) => std::future::pending().await,
        Some(Step::Close) => return,
        Some(Step::Reset) => {
            let _ = socket.set_zero_linger();
            return;
        }
    }
    let mut stream: Stream = match &network {
        None => Box::new(Direct::new(socket, control.clone())),
        Some(network) => Box::new(link::connect(network, open.id, socket, control.clone())),
    };
    if let Some(acceptor) = &setup.acceptor {
        match acceptor(stream).await {
            Ok(wrapped) => stream = wrapped,
            Err(_) => return,
        }
    }
    let mut pending = Vec::new();
    while pending.len() < PREFACE.len() && PREFACE.starts_with(&pending) {
        if !matches!(stream.read_buf(&mut pending).await, Ok(count) if count > 0) {
            return;
        }
    }
    let shared = Arc::clone(&open.shared);
    if pending.starts_with(PREFACE) {
        let stream = Box::new(Prefixed::new(pending, stream));
        return h2::serve(shared, open.id, stream).await;
    }
    Http1::new(shared, open.id, stream, control, pending).serve().await;
}
