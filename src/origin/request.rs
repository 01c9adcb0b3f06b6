//! The head of a request, as far as the origin needs it.

/// One request, before it is answered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request {
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// `HTTP/1.0` keeps no connection.
    pub(super) http10: bool,
    /// In order; names in lower case.
    pub headers: Vec<(String, String)>,
}

/// What a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// `first-last` or `first-`, inclusive.
    From(u64, Option<u64>),
    /// `-length`.
    Suffix(u64),
}

impl Request {
    /// A request that came otherwise than as HTTP/1.
    pub(super) fn new(method: &str, target: &str, headers: Vec<(String, String)>) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), http10: false, headers }
    }

    /// Parses a head without its last empty line. `None` if it is none.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target, version) = (first.next()?, first.next()?, first.next()?);
        if first.next().is_some() || !version.starts_with("HTTP/1.") {
            return None;
        }
        let headers = lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            http10: version == "HTTP/1.0",
            headers,
        })
    }

    /// The first value of the header `name` (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or(&self.target)
    }

    /// The single byte range asked for. A malformed one counts as none, as the RFC has it, and
    /// so does a list of several, which a server may ignore.
    #[must_use]
    pub fn range(&self) -> Option<Range> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            // Beyond 64 bits there is certainly no byte.
            digits.then(|| text.parse().unwrap_or(u64::MAX))
        };
        match (first.trim(), last.trim()) {
            ("", suffix) => number(suffix).map(Range::Suffix),
            (first, "") => number(first).map(|first| Range::From(first, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Range::From(first, Some(last)))
            }
        }
    }

    /// Length of the request's own body.
    pub(super) fn body_len(&self) -> u64 {
        self.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Whether the client wants the connection closed after the answer.
    pub(super) fn wants_close(&self) -> bool {
        let connection = self.header("connection").unwrap_or("").to_ascii_lowercase();
        connection.contains("close") || (self.http10 && !connection.contains("keep-alive"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Range, Request};

    fn range(value: &str) -> Option<Range> {
        let head = format!("GET /a?b HTTP/1.1\r\nHost: x\r\nRANGE:  {value}\r\n");
        Request::parse(head.as_bytes()).expect("a good head").range()
    }

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        assert_eq!(range("bytes=0-0"), Some(Range::From(0, Some(0))));
        assert_eq!(range("bytes=5-"), Some(Range::From(5, None)));
        assert_eq!(range("bytes=-7"), Some(Range::Suffix(7)));
        assert_eq!(range("bytes=5-4"), None);
        assert_eq!(range("bytes=+5-9"), None);
        assert_eq!(range("bytes=0-1,4-5"), None);
        assert_eq!(range("items=0-1"), None);
        assert_eq!(range("bytes=99999999999999999999-"), Some(Range::From(u64::MAX, None)));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        assert!(Request::parse(b"GET /\r\n").is_none());
        assert!(Request::parse(b"GET / HTTP/1.1\r\nno colon\r\n").is_none());
        assert!(Request::parse(b"GET / x HTTP/1.1\r\n").is_none());
        assert!(Request::parse(b"\xff / HTTP/1.1\r\n").is_none());
    }
}
