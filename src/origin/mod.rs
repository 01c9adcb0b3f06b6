//! A scripted HTTP origin behind a shaped link, for tests, demo and benches.
//!
//! It runs on a thread of its own with its own runtime, so that blocking and async code can use it
//! alike, and it ends with the value: dropping it closes every connection and frees the port. It
//! serves self-checking or computed content over HTTP/1.1 (by hand, so that it can lie in every
//! byte) and HTTP/2 (honest heads only), bends answers by rules, and keeps a log on which "nothing
//! was sent" can be proven.
//!
//! Not part of the crate's public promise.
//!
//! Limits: one thread, so it is no server for load; loopback unless told otherwise; a client that closes its sending
//! side counts as gone.

mod answer;
mod content;
mod gate;
mod h1;
mod h2;
mod link;
mod log;
mod media;
mod parts;
pub mod pattern;
mod request;
mod rule;
mod server;
mod shared;
mod watched;
mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

pub use answer::{Answer, Framing, Piece, Step};
pub use content::{Content, Fill};
pub use gate::Gate;
pub use link::Link;
pub use log::{Connection, End, Log, Logged};
pub use request::{Range, Request};
pub use rule::Rule;
pub use wire::{Acceptor, Io, Stream};

use server::{Port, Running, Setup};
use shared::Shared;

/// A running origin.
#[derive(Debug)]
pub struct Origin {
    /// Contents, rules, log.
    shared: Arc<Shared>,
    /// How connections are served.
    setup: Setup,
    /// Where it listens.
    addr: SocketAddr,
    /// The thread that serves, or the port that is kept while none does.
    state: State,
}

/// Whether the origin serves.
#[derive(Debug)]
enum State {
    /// It does.
    Running(Running),
    /// Connections are refused; the port is kept.
    Stopped(Port),
    /// On the way from one to the other.
    Changing,
}

/// How an origin shall be.
#[derive(Debug, Default)]
pub struct Builder {
    /// How connections are served.
    setup: Setup,
    /// Where to listen; `None`: any free port of loopback.
    addr: Option<SocketAddr>,
}

impl Builder {
    /// Puts a shaped link between the origin and all its clients. Default: none.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.setup.link = Some(link);
        self
    }

    /// Speaks over what `acceptor` makes of each accepted stream: TLS. URLs then say `https`.
    #[must_use]
    pub fn tls(mut self, acceptor: Acceptor) -> Self {
        self.setup.acceptor = Some(acceptor);
        self
    }

    /// Largest single write of a body, in bytes. Default 16 KiB, behind a link 4 KiB.
    #[must_use]
    pub fn write_size(mut self, bytes: usize) -> Self {
        self.setup.write_size = Some(bytes.max(1));
        self
    }

    /// Listens at this address of IPv4 instead of a free port of 127.0.0.1: behind a real link, say.
    #[must_use]
    pub fn bind(mut self, addr: SocketAddr) -> Self {
        self.addr = Some(addr);
        self
    }

    /// Binds its address and begins to serve.
    ///
    /// # Panics
    ///
    /// If the address cannot be bound, or the machine has no port or thread left.
    #[must_use]
    pub fn start(self) -> Origin {
        let shared = Arc::new(Shared::new(self.setup.write_size()));
        let port = match self.addr {
            Some(addr) => Port::at(addr).expect("an address that can be bound"),
            None => Port::free(),
        };
        let addr = port.addr();
        let running = Running::start(port, Arc::clone(&shared), self.setup.clone());
        Origin { shared, setup: self.setup, addr, state: State::Running(running) }
    }
}

impl Origin {
    /// Starts an origin without a shaped link.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// An origin to be.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens, now or after `restart`.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL of `path`, which begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.setup.acceptor.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.addr)
    }

    /// Serves `content` at `path`, with or without query, from the next request on.
    pub fn put(&self, path: &str, content: Content) {
        self.shared.put(path, Some(content));
    }

    /// Serves another version at `path`. Answers under way go on with the old one.
    pub fn replace(&self, path: &str, content: Content) {
        self.put(path, content);
    }

    /// Serves 404 at `path`.
    pub fn remove(&self, path: &str) {
        self.shared.put(path, None);
    }

    /// Adds a rule behind those of `path`; the first that fits a request is applied to it.
    pub fn rule(&self, path: &str, rule: Rule) {
        self.shared.rule(path, rule);
    }

    /// Takes all rules of `path` away.
    pub fn clear_rules(&self, path: &str) {
        self.shared.clear_rules(path);
    }

    /// The next connection (after those already spoken for) meets `step` before its first byte is read.
    pub fn next_connection(&self, step: Step) {
        self.shared.next_connection(step);
    }

    /// Every connection meets `step` before its first byte is read; `None` ends that.
    pub fn every_connection(&self, step: Option<Step>) {
        self.shared.every_connection(step);
    }

    /// Everything seen so far.
    #[must_use]
    pub fn log(&self) -> Log {
        self.shared.log.read(Log::clone)
    }

    /// Whether no answer is under way.
    #[must_use]
    pub fn quiet(&self) -> bool {
        self.shared.log.read(|log| log.running() == 0)
    }

    /// Gives the link another shape from now on, after a restart too.
    ///
    /// # Panics
    ///
    /// If the origin was started without a link.
    pub fn set_link(&mut self, link: Link) {
        let old = self.setup.link.replace(link);
        assert!(old.is_some(), "an origin behind a link");
        if let State::Running(running) = &self.state {
            running.reshape(&link);
        }
    }

    /// Bytes that crossed the link's bottleneck since the last start: towards clients, towards the
    /// origin. 0 without a link.
    #[must_use]
    pub fn link_bytes(&self) -> (u64, u64) {
        match &self.state {
            State::Running(running) => running.carried(),
            State::Stopped(_) | State::Changing => (0, 0),
        }
    }

    /// Blocks until `seen` holds, and returns the log as it was then.
    ///
    /// # Panics
    ///
    /// If that takes 30 s; the message shows the log.
    #[track_caller]
    pub fn wait_until(&self, mut seen: impl FnMut(&Log) -> bool) -> Log {
        self.shared.log.wait("a state of the log", |log| seen(log).then(|| log.clone()))
    }

    /// `wait_until` for async code.
    ///
    /// # Panics
    ///
    /// If that takes 30 s on the caller's tokio clock; the message shows the log.
    pub fn until(
        &self,
        mut seen: impl FnMut(&Log) -> bool + Send + 'static,
    ) -> impl Future<Output = Log> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            let look = |log: &mut Log| seen(log).then(|| log.clone());
            shared.log.until_bounded("a state of the log", look).await
        }
    }

    /// Blocks until no answer is under way and every connection is closed.
    ///
    /// # Panics
    ///
    /// If that takes 30 s; the message shows the log.
    #[track_caller]
    pub fn wait_closed(&self) -> Log {
        self.wait_until(|log| log.running() == 0 && log.open_connections() == 0)
    }

    /// Closes every connection and refuses new ones; the port is kept. Contents, rules and log stay.
    pub fn stop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Changing);
        self.state = match state {
            State::Running(running) => State::Stopped(running.stop()),
            other => other,
        };
    }

    /// Serves again, on the same port. Does nothing if it never stopped.
    ///
    /// # Panics
    ///
    /// If the machine has no thread left.
    pub fn restart(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Changing);
        self.state = match state {
            State::Stopped(port) => {
                let shared = Arc::clone(&self.shared);
                State::Running(Running::start(port, shared, self.setup.clone()))
            }
            other => other,
        };
    }
}
