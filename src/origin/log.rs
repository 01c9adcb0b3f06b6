//! What the origin saw: each request and each connection, as it goes on.
//!
//! An entry is made when the head of a request has arrived and is kept up to date while the
//! answer is sent, so a test can wait for "a thousand bytes are out" as well as for "it ended".

use std::net::SocketAddr;
use std::ops::{Deref, Range};
use std::time::Instant;

/// All requests and connections since the origin was made. Derefs to the requests, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Requests in the order in which their heads arrived.
    pub requests: Vec<Logged>,
    /// Connections in the order in which they were accepted.
    pub connections: Vec<Connection>,
}

impl Deref for Log {
    type Target = [Logged];

    fn deref(&self) -> &[Logged] {
        &self.requests
    }
}

impl Log {
    /// Connections that are not yet closed.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.connections.iter().filter(|connection| connection.closed.is_none()).count()
    }

    /// Requests whose answer is under way.
    #[must_use]
    pub fn running(&self) -> usize {
        self.requests.iter().filter(|request| request.end.is_none()).count()
    }

    /// Bytes of answer bodies handed to sockets so far.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.requests.iter().map(|request| request.body_bytes).sum()
    }

    /// The ranges asked for, in order, as on the wire; requests without one are left out.
    #[must_use]
    pub fn ranges(&self) -> Vec<(u64, Option<u64>)> {
        self.requests.iter().filter_map(|request| request.range).collect()
    }

    /// The requests for `path`, with or without query as it was sent.
    pub fn of<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Logged> {
        let fits = move |one: &&Logged| {
            one.path == path || one.path.split('?').next().is_some_and(|bare| bare == path)
        };
        self.requests.iter().filter(fits)
    }

    /// Bytes of `path` that went out more than once, each repetition counted.
    #[must_use]
    pub fn sent_twice(&self, path: &str) -> u64 {
        let mut sent: Vec<Range<u64>> = self.of(path).filter_map(Logged::sent).collect();
        sent.sort_by_key(|range| range.start);
        let (mut covered, mut twice) = (0, 0);
        for range in sent {
            twice += range.end.min(covered).saturating_sub(range.start);
            covered = covered.max(range.end);
        }
        twice
    }
}

/// One connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Connection {
    /// Its number, from 0, in the order of accepting.
    pub id: u64,
    /// The client's end.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub accepted: Instant,
    /// When the origin was done with it; `None` while it is open.
    pub closed: Option<Instant>,
    /// Requests that came over it so far.
    pub requests: u64,
    /// Whether it speaks HTTP/2; known from its first bytes on.
    pub http2: bool,
}

/// One request and what became of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Logged {
    /// Its number, from 0, over the whole origin.
    pub number: u64,
    /// The connection it came over.
    pub connection: u64,
    /// Its number on that connection, from 0; above 0 the connection was reused.
    pub on_connection: u64,
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Path and query as sent.
    pub path: String,
    /// The range asked for as `(first, last)`, both inclusive as on the wire; `None` without a
    /// `Range` header or if it is no single `first-last` or `first-`.
    pub range: Option<(u64, Option<u64>)>,
    /// The `Range` header as sent.
    pub range_header: Option<String>,
    /// The `If-Range` header as sent.
    pub if_range: Option<String>,
    /// All headers in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of the body handed to the socket so far.
    pub body_bytes: u64,
    /// When the whole head of the request was there.
    pub arrived: Instant,
    /// When the head of the answer was handed to the socket.
    pub head_sent: Option<Instant>,
    /// When the answer ended, whichever way.
    pub ended: Option<Instant>,
    /// How it ended; `None` while it is under way.
    pub end: Option<End>,
}

impl Logged {
    /// The first value of the header `name` (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The bytes of the content that went out, if the answer was an honest 200 or 206; `None` if
    /// there was none.
    #[must_use]
    pub fn sent(&self) -> Option<Range<u64>> {
        let start = match (self.status, self.range) {
            (206, Some((first, _))) => first,
            (200, _) => 0,
            _ => return None,
        };
        (self.body_bytes > 0).then(|| start..start + self.body_bytes)
    }

    /// Whether the whole answer was handed to the socket.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.end == Some(End::Finished)
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of it was handed to the socket.
    Finished,
    /// The client closed or reset before.
    Aborted,
    /// A rule cut it.
    Cut,
    /// The origin was stopped before.
    Stopped,
}
