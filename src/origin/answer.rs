//! An answer before it is sent: head, body and script, all open to a rule's hand.
//!
//! `Answer::to` makes the honest answer to a request (RFC 9110: ranges, If-Range, If-None-Match,
//! HEAD); rules then bend it. Nothing here sends.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::content::{Content, Fill};
use super::gate::Gate;
use super::request::{Range, Request};

/// One answer, as it will go out.
#[derive(Clone)]
#[non_exhaustive]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers in order, as they will be written, without those that `framing` adds.
    pub headers: Vec<(String, String)>,
    /// What the body is made of, one after the other.
    pub body: Vec<Piece>,
    /// How the end of the body is told.
    pub framing: Framing,
    /// Complete interim heads (1xx), written before the head.
    pub interim: Vec<String>,
    /// Written instead of the head that the fields above would give; HTTP/1.1 only.
    pub raw_head: Option<Vec<u8>>,
    /// Done in order before the first byte of the head.
    pub before_head: Vec<Step>,
    /// Done after so many bytes of the head; HTTP/1.1 only.
    pub mid_head: Option<(usize, Step)>,
    /// Done after so many bytes of the body, in order of the offsets; one at its end after the last byte,
    /// before the end is told, and one past its end never.
    pub in_body: Vec<(u64, Step)>,
    /// The body goes in portions of so many bytes, with a step before each.
    pub drip: Option<(u64, Step)>,
}

/// Something that happens while an answer is sent.
#[derive(Debug, Clone)]
pub enum Step {
    /// Waits until the test opens the gate.
    Gate(Gate),
    /// Waits that long. For demos and benches; tests take a gate.
    Delay(Duration),
    /// Nothing more comes; the connection stays open until the client closes it.
    Stall,
    /// The connection is reset (RST); over HTTP/2 the stream.
    Reset,
    /// The connection is closed in good order (FIN); over HTTP/2 the stream is reset.
    Close,
}

/// A part of a body.
#[derive(Clone)]
pub enum Piece {
    /// As they are.
    Bytes(Vec<u8>),
    /// `len` bytes of a content from `start` on.
    Content {
        /// Where the bytes come from.
        fill: Arc<dyn Fill>,
        /// The first of them.
        start: u64,
        /// How many.
        len: u64,
    },
}

impl Piece {
    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Content { len, .. } => *len,
        }
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes `buf.len()` bytes of the piece from `offset` on.
    pub(super) fn fill(&self, offset: u64, buf: &mut [u8]) {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(offset).expect("an offset within bytes in memory");
                buf.copy_from_slice(&bytes[start..start + buf.len()]);
            }
            Self::Content { fill, start, .. } => fill.fill(start + offset, buf),
        }
    }
}

/// How the end of a body is told over HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length` with the true length.
    Length,
    /// `Content-Length` with this one, true or not. After a shorter body the connection is closed.
    Lying(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The connection is closed at its end.
    Close,
    /// No word on it, and the connection stays: for statuses without body, or to break a client.
    Silent,
}

impl Answer {
    /// The honest answer to `request` for `content`, `None` being 404. `version` is the number
    /// of the content among all that the origin ever served.
    pub(super) fn to(request: &Request, content: Option<(&Content, u64)>) -> Self {
        let Some((content, version)) = content else {
            return Self::text(404, "no such path\n");
        };
        let etag = content.etag.to_etag(version);
        let modified = content.last_modified.to_date(version);
        let mut answer = Self::empty(200);
        let said = [
            ("Content-Type", content.content_type.clone()),
            ("Accept-Ranges", content.ranges.then(|| "bytes".to_owned())),
            ("ETag", etag.clone()),
            ("Last-Modified", modified.clone()),
        ];
        for (name, value) in said {
            answer.headers.extend(value.map(|value| (name.to_owned(), value)));
        }
        if is_none_match(request, etag.as_deref()) {
            answer.status = 304;
            answer.framing = Framing::Silent;
            return answer;
        }
        let current = may_be_partial(request, etag.as_deref(), modified.as_deref());
        answer.serve(content, request.range().filter(|_| content.ranges && current));
        answer
    }

    /// Puts the bytes of `range` into the body, or all of them, or turns into a 416.
    fn serve(&mut self, content: &Content, range: Option<Range>) {
        let len = content.len();
        let (start, end) = match range {
            None => (0, len),
            Some(Range::Suffix(suffix)) => (len.saturating_sub(suffix), len),
            Some(Range::From(first, last)) => {
                (first, last.map_or(len, |last| last.saturating_add(1).min(len)))
            }
        };
        if range.is_some() && start >= end {
            self.status = 416;
            self.set_header("Content-Range", &format!("bytes */{len}"));
            return;
        }
        if range.is_some() {
            self.status = 206;
            self.set_header("Content-Range", &format!("bytes {start}-{}/{len}", end - 1));
        }
        self.body.push(Piece::Content { fill: content.fill(), start, len: end - start });
    }

    /// An answer with no body and no headers but the date.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: vec![("Date".to_owned(), httpdate::fmt_http_date(SystemTime::now()))],
            body: Vec::new(),
            framing: Framing::Length,
            interim: Vec::new(),
            raw_head: None,
            before_head: Vec::new(),
            mid_head: None,
            in_body: Vec::new(),
            drip: None,
        }
    }

    /// An answer with a short text.
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        let mut answer = Self::empty(status);
        answer.set_header("Content-Type", "text/plain");
        answer.body.push(Piece::Bytes(body.into()));
        answer
    }

    /// Sets a header, in place of all of that name.
    pub fn set_header(&mut self, name: &str, value: &str) {
        self.remove_header(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Takes all headers of that name away.
    pub fn remove_header(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Number of bytes in the body.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        self.body.iter().fold(0, |sum, piece| sum.saturating_add(piece.len()))
    }

    /// Replaces status, headers, body and framing by those of `other`; the script stays.
    pub fn replace_by(&mut self, other: Self) {
        self.status = other.status;
        self.headers = other.headers;
        self.body = other.body;
        self.framing = other.framing;
    }
}

/// Whether the client's own copy is the current one.
fn is_none_match(request: &Request, etag: Option<&str>) -> bool {
    let (Some(asked), Some(etag)) = (request.header("if-none-match"), etag) else {
        return false;
    };
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    asked.trim() == "*" || asked.split(',').any(|tag| opaque(tag) == opaque(etag))
}

/// Whether `If-Range` is absent or names this very version: a strong tag or the same date.
fn may_be_partial(request: &Request, etag: Option<&str>, modified: Option<&str>) -> bool {
    match request.header("if-range") {
        None => true,
        Some(tag) if tag.starts_with("W/") => false,
        Some(tag) if tag.starts_with('"') => etag == Some(tag),
        Some(date) => modified == Some(date),
    }
}
