//! What broken and hostile servers do, one at a time.

use std::time::Duration;

use kithara_file::origin::{Content, Framing, Origin, Range, Request, Rule, Step};

/// Length of the resource unless a behaviour says otherwise, in bytes.
pub(crate) const LEN: u64 = 600_000;

/// One way to misbehave.
pub(crate) struct Behaviour {
    /// As the table calls it.
    pub(crate) name: &'static str,
    /// The path that is opened.
    pub(crate) path: &'static str,
    /// What is there.
    pub(crate) content: Content,
    /// How requests are answered.
    pub(crate) rules: Vec<Rule>,
    /// What is done to the origin beside.
    pub(crate) origin: Option<fn(&Origin)>,
}

impl Behaviour {
    fn new(name: &'static str) -> Self {
        let content = Content::pattern(LEN);
        Self { name, path: "/film.mp4", content, rules: Vec::new(), origin: None }
    }

    /// From the first request on.
    fn always(name: &'static str, rule: Rule) -> Self {
        Self { rules: vec![rule], ..Self::new(name) }
    }

    /// The request for the beginning is answered well; by where it begins, for of several that are on their way any
    /// may arrive first.
    fn later(name: &'static str, rule: Rule) -> Self {
        let begins = |request: &Request| matches!(request.range(), Some(Range::From(0, _)));
        Self::always(name, rule.when(move |request| !begins(request)))
    }

    fn of(name: &'static str, content: Content) -> Self {
        Self { content, ..Self::new(name) }
    }

    fn doing(name: &'static str, origin: fn(&Origin)) -> Self {
        Self { origin: Some(origin), ..Self::new(name) }
    }
}

/// A rule for one in three requests, from the second on.
fn each_third(rule: Rule) -> Rule {
    let count = std::sync::atomic::AtomicU64::new(0);
    rule.when(move |_| count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 3 == 1)
}

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<Behaviour> {
    let mut all = vec![Behaviour::new("honest")];
    all.extend(statuses());
    all.extend(ranges());
    all.extend(bodies());
    all.extend(heads());
    all.extend(redirects());
    all.extend(connections());
    all.extend(changes());
    all
}

fn statuses() -> Vec<Behaviour> {
    let (always, later) = (Behaviour::always, Behaviour::later);
    vec![
        always("401", Rule::status(401, "who are you?")),
        always("403", Rule::status(403, "no")),
        later("403 later", Rule::status(403, "no longer")),
        always("404", Rule::status(404, "no such film")),
        always("410", Rule::status(410, "gone")),
        always("500", Rule::status(500, "oops")),
        always("500 once", Rule::status(500, "oops").once()),
        always("500 each third time", each_third(Rule::status(500, "oops"))),
        always("503 without end", Rule::status(503, "busy")),
        always("429, Retry-After 0, each third time", each_third(Rule::retry_after(429, "0"))),
        later("429, Retry-After a year", Rule::retry_after(429, "31536000")),
        later("503, Retry-After nonsense", Rule::retry_after(503, "soon")),
        always("204", Rule::status(204, "")),
        later("416 without a total", Rule::not_satisfiable(None)),
        later("416 with a smaller total", Rule::not_satisfiable(Some(1000))),
        always("999", Rule::status(999, "what?")),
    ]
}

fn ranges() -> Vec<Behaviour> {
    let (always, later) = (Behaviour::always, Behaviour::later);
    vec![
        Behaviour::of("no ranges", Content::pattern(LEN).no_ranges()),
        later("no ranges later", Rule::ignore_range()),
        later("begins 7 bytes later", Rule::shifted(7)),
        later("begins 7 bytes earlier", Rule::shifted(-7)),
        always("1000 bytes at a time", Rule::shorter(1000)),
        always("total unknown", Rule::total_unknown()),
        later("another total", Rule::total("700000")),
        later("a total below the range", Rule::total("5")),
        always("no Content-Range", Rule::without_header("Content-Range")),
        always("Content-Range of garbage", Rule::content_range("bites 0-9 of many")),
        always("Content-Range backwards", Rule::content_range("bytes 9-3/600000")),
        always("Content-Range negative", Rule::content_range("bytes -5-9/600000")),
        always(
            "Content-Range up to 2^64-1",
            Rule::content_range("bytes 0-18446744073709551615/18446744073709551615"),
        ),
        always(
            "Content-Range beyond 2^64",
            Rule::content_range("bytes 0-99999999999999999999/999999999999999999999"),
        ),
        always("Content-Range twice", Rule::add_header("Content-Range", "bytes 5-9/600000")),
        always("multipart", Rule::multipart()),
    ]
}

fn bodies() -> Vec<Behaviour> {
    let (always, later) = (Behaviour::always, Behaviour::later);
    let slow = Step::Delay(Duration::from_secs(1));
    vec![
        Behaviour {
            rules: vec![Rule::drip(1, slow)],
            ..Behaviour::of("1 byte a second", Content::pattern(2))
        },
        always("a byte too many", Rule::longer(1, false)),
        always("8 MiB too many, length lies", Rule::longer(8 << 20, true)),
        always(
            "chunked, 8 MiB too many",
            Rule::longer(8 << 20, false).and(Rule::framing(Framing::Chunked)),
        ),
        always("chunked", Rule::framing(Framing::Chunked)),
        always("ends when the connection does", Rule::framing(Framing::Close)),
        always("cut off after 20000 bytes", Rule::truncated(20_000)),
        always("cut off after 0 bytes", Rule::truncated(0)),
        always("says gzip", Rule::gzip()),
        always("a login page", Rule::login_page()),
        later("a login page later", Rule::login_page()),
        Behaviour::of("empty", Content::pattern(0)),
    ]
}

fn heads() -> Vec<Behaviour> {
    let always = Behaviour::always;
    let endless = [b"HTTP/1.1 206 Partial Content\r\n".to_vec(), b"X: y\r\n".repeat(1 << 20)];
    vec![
        always("5000 headers", Rule::header_bomb(5000, 100)),
        always("a header of 4 MiB", Rule::header_bomb(1, 4 << 20)),
        always("6 MiB of headers and no end", Rule::raw_head(endless.concat())),
        always("10000 interim answers", Rule::interim(103, 10_000)),
        always("no HTTP at all", Rule::raw_head(*b"SSH-2.0-OpenSSH_9.6\r\n\r\n")),
        always("zeros", Rule::raw_head([0; 4096])),
        always(
            "two lengths",
            Rule::raw_head(
                *b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nContent-Length: 9\r\n\
                   Content-Range: bytes 0-4/600000\r\n\r\n",
            ),
        ),
        always(
            "a negative length",
            Rule::raw_head(
                *b"HTTP/1.1 206 Partial Content\r\nContent-Length: -1\r\n\
                   Content-Range: bytes 0-4/600000\r\n\r\n",
            ),
        ),
    ]
}

fn redirects() -> Vec<Behaviour> {
    let always = Behaviour::always;
    vec![
        always("redirect to itself", Rule::redirect(302, "/film.mp4")),
        always("redirect to ftp", Rule::redirect(302, "ftp://127.0.0.1/film.mp4")),
        always("redirect to a file", Rule::redirect(301, "file:///etc/passwd")),
        always("redirect to nowhere", Rule::status(302, "there")),
        always("redirect to nonsense", Rule::redirect(307, "http://[::bad/")),
        Behaviour {
            path: "/0",
            origin: Some(|origin| {
                for hop in 0..12 {
                    origin.rule(&format!("/{hop}"), Rule::redirect(302, &format!("/{}", hop + 1)));
                }
            }),
            ..Behaviour::new("12 redirects")
        },
    ]
}

fn connections() -> Vec<Behaviour> {
    let (always, later) = (Behaviour::always, Behaviour::later);
    let (stall, reset, close) = (|| Step::Stall, || Step::Reset, || Step::Close);
    vec![
        Behaviour::doing("resets each connection", |origin| {
            origin.every_connection(Some(Step::Reset));
        }),
        Behaviour::doing("closes each connection", |origin| {
            origin.every_connection(Some(Step::Close));
        }),
        Behaviour::doing("accepts and is silent", |origin| {
            origin.every_connection(Some(Step::Stall));
        }),
        always("reset before the head", Rule::before_head(reset())),
        always("reset within the head", Rule::mid_head(20, reset())),
        always("reset after 20000 bytes", Rule::in_body(20_000, reset())),
        always("reset each third time", each_third(Rule::before_head(reset()))),
        always("closed before the head", Rule::before_head(close())),
        always("closed within the head", Rule::mid_head(20, close())),
        always("silent before the head", Rule::before_head(stall())),
        later("silent before later heads", Rule::before_head(stall())),
        always("silent within the head", Rule::mid_head(20, stall())),
        always("silent after 0 bytes", Rule::stall_after(0)),
        always("silent after 20000 bytes, once", Rule::stall_after(20_000).once()),
    ]
}

fn changes() -> Vec<Behaviour> {
    let later = Behaviour::later;
    vec![
        later("another ETag", Rule::header("ETag", "\"other\"")),
        later("no ETag later", Rule::without_header("ETag")),
        Behaviour::of("a weak ETag", Content::pattern(LEN).weak_etag()),
        Behaviour::of("no validators", Content::pattern(LEN).no_validator()),
        later("another type", Rule::header("Content-Type", "text/html")),
        later("a malformed ETag", Rule::header("ETag", "W/\"x")),
    ]
}
