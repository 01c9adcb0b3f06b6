//! What RFC 9110 asks of ranges and conditions, case by case: a request, what we answer, and what nginx does.
//!
//! The resource is 1000 self-checking bytes, or none, with the validators that nginx gives a file of that length and
//! time.

/// Length of `/film.bin`.
pub(crate) const LEN: usize = 1000;

/// When both were last changed, in seconds since 1970.
pub(crate) const CHANGED: u64 = 1_600_000_000;

pub(crate) const ETAG: &str = "\"5f5e1000-3e8\"";
pub(crate) const EMPTY_ETAG: &str = "\"5f5e1000-0\"";
pub(crate) const DATE: &str = "Sun, 13 Sep 2020 12:26:40 GMT";

/// What comes as the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// None.
    None,
    /// Whatever text.
    Text,
    /// Bytes of the resource, first and last.
    Bytes(usize, usize),
    /// Parts of it, each first and last.
    Parts(&'static [(usize, usize)]),
}

/// What nginx answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nginx {
    /// The same status, `Content-Range` and body.
    Same,
    /// Another status, and why ours is as it is.
    Status(u16, &'static str),
}

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: &'static [&'static str],
    pub(crate) status: u16,
    pub(crate) content_range: Option<&'static str>,
    pub(crate) body: Body,
    pub(crate) nginx: Nginx,
}

const WHOLE: Body = Body::Bytes(0, LEN - 1);

const fn get(name: &'static str, headers: &'static [&'static str], status: u16) -> Case {
    let (content_range, nginx) = (None, Nginx::Same);
    let body = match status {
        200 => WHOLE,
        304 => Body::None,
        _ => Body::Text,
    };
    Case { name, method: "GET", path: "/film.bin", headers, status, content_range, body, nginx }
}

const fn part(
    name: &'static str,
    headers: &'static [&'static str],
    content_range: &'static str,
    first: usize,
    last: usize,
) -> Case {
    Case {
        body: Body::Bytes(first, last),
        content_range: Some(content_range),
        ..get(name, headers, 206)
    }
}

const fn parts(
    name: &'static str,
    headers: &'static [&'static str],
    of: &'static [(usize, usize)],
) -> Case {
    Case { body: Body::Parts(of), ..get(name, headers, 206) }
}

const fn refused(name: &'static str, headers: &'static [&'static str]) -> Case {
    Case { content_range: Some("bytes */1000"), ..get(name, headers, 416) }
}

const fn by(case: Case, method: &'static str) -> Case {
    Case { method, ..case }
}

const fn at(case: Case, path: &'static str) -> Case {
    Case { path, ..case }
}

const fn bodiless(case: Case) -> Case {
    Case { body: Body::None, ..case }
}

const fn but_nginx(case: Case, status: u16, why: &'static str) -> Case {
    Case { nginx: Nginx::Status(status, why), ..case }
}

const IGNORED: &str = "14.2 allows to ignore or to reject what is malformed";
const FOR_GET: &str = "14.2 defines ranges for GET alone";
const MANY: &str = "17.15 has servers refuse many and overlapping ranges";

/// All cases.
pub(crate) const CASES: &[Case] = &[
    get("no range", &[], 200),
    bodiless(by(get("HEAD", &[], 200), "HEAD")),
    part("first byte", &["Range: bytes=0-0"], "bytes 0-0/1000", 0, 0),
    part("middle", &["Range: bytes=10-19"], "bytes 10-19/1000", 10, 19),
    part("last byte", &["Range: bytes=999-999"], "bytes 999-999/1000", 999, 999),
    part("open-ended", &["Range: bytes=990-"], "bytes 990-999/1000", 990, 999),
    part("open-ended from 0", &["Range: bytes=0-"], "bytes 0-999/1000", 0, 999),
    part("last past the end", &["Range: bytes=990-5000"], "bytes 990-999/1000", 990, 999),
    part("suffix", &["Range: bytes=-1"], "bytes 999-999/1000", 999, 999),
    part("suffix of all", &["Range: bytes=-1000"], "bytes 0-999/1000", 0, 999),
    part("suffix of more than all", &["Range: bytes=-5000"], "bytes 0-999/1000", 0, 999),
    part("unit in capitals", &["Range: BYTES=0-4"], "bytes 0-4/1000", 0, 4),
    part("blank after =", &["Range: bytes= 0-4"], "bytes 0-4/1000", 0, 4),
    but_nginx(
        part(
            "last past 2^64",
            &["Range: bytes=0-18446744073709551616"],
            "bytes 0-999/1000",
            0,
            999,
        ),
        416,
        "a number is no less a number for being large",
    ),
    refused("past the end", &["Range: bytes=1000-"]),
    refused("past the end, bounded", &["Range: bytes=1000-2000"]),
    refused("past 2^64", &["Range: bytes=99999999999999999999-"]),
    refused("suffix of nothing", &["Range: bytes=-0"]),
    but_nginx(get("last before first", &["Range: bytes=5-4"], 200), 416, IGNORED),
    but_nginx(get("no numbers", &["Range: bytes=abc"], 200), 416, IGNORED),
    get("no range in it", &["Range: bytes="], 200),
    but_nginx(get("only a dash", &["Range: bytes=-"], 200), 416, IGNORED),
    get("another unit", &["Range: lines=0-4"], 200),
    but_nginx(
        get("two Range headers", &["Range: bytes=0-4", "Range: bytes=10-14"], 200),
        206,
        "5.3 allows one; nginx takes the first",
    ),
    but_nginx(
        bodiless(by(get("HEAD with a range", &["Range: bytes=0-9"], 200), "HEAD")),
        206,
        FOR_GET,
    ),
    parts("two ranges", &["Range: bytes=0-4,10-14"], &[(0, 4), (10, 14)]),
    parts("two ranges, backwards", &["Range: bytes=500-509, 0-9"], &[(500, 509), (0, 9)]),
    parts("first and last byte", &["Range: bytes=0-0,-1"], &[(0, 0), (999, 999)]),
    parts("two that overlap", &["Range: bytes=0-9,5-14"], &[(0, 9), (5, 14)]),
    but_nginx(
        parts("an empty element", &["Range: bytes=0-4,,10-14"], &[(0, 4), (10, 14)]),
        416,
        "5.6.1.2 has empty elements of a list ignored",
    ),
    part("one of two there", &["Range: bytes=0-4,2000-3000"], "bytes 0-4/1000", 0, 4),
    refused("none of two there", &["Range: bytes=2000-,3000-"]),
    but_nginx(refused("three that overlap", &["Range: bytes=0-9,5-14,7-20"]), 206, MANY),
    but_nginx(
        refused(
            "seventeen",
            &[
                "Range: bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30,32-32",
            ],
        ),
        206,
        MANY,
    ),
    part(
        "If-Range, our tag",
        &["Range: bytes=0-4", "If-Range: \"5f5e1000-3e8\""],
        "bytes 0-4/1000",
        0,
        4,
    ),
    get("If-Range, another tag", &["Range: bytes=0-4", "If-Range: \"x\""], 200),
    get("If-Range, our tag but weak", &["Range: bytes=0-4", "If-Range: W/\"5f5e1000-3e8\""], 200),
    part(
        "If-Range, our date",
        &["Range: bytes=0-4", "If-Range: Sun, 13 Sep 2020 12:26:40 GMT"],
        "bytes 0-4/1000",
        0,
        4,
    ),
    get(
        "If-Range, an older date",
        &["Range: bytes=0-4", "If-Range: Sat, 12 Sep 2020 12:26:40 GMT"],
        200,
    ),
    get(
        "If-Range, a later date",
        &["Range: bytes=0-4", "If-Range: Mon, 14 Sep 2020 12:26:40 GMT"],
        200,
    ),
    get("If-Range, nonsense", &["Range: bytes=0-4", "If-Range: soon"], 200),
    get("If-Range without a range", &["If-Range: \"x\""], 200),
    refused(
        "If-Range holds, range does not",
        &["Range: bytes=1000-", "If-Range: \"5f5e1000-3e8\""],
    ),
    get("neither holds", &["Range: bytes=1000-", "If-Range: \"x\""], 200),
    get("If-None-Match, our tag", &["If-None-Match: \"5f5e1000-3e8\""], 304),
    get("If-None-Match, our tag but weak", &["If-None-Match: W/\"5f5e1000-3e8\""], 304),
    get("If-None-Match, a list", &["If-None-Match: \"x\", \"5f5e1000-3e8\""], 304),
    get("If-None-Match, any", &["If-None-Match: *"], 304),
    get("If-None-Match, another tag", &["If-None-Match: \"x\""], 200),
    by(get("HEAD, If-None-Match, our tag", &["If-None-Match: \"5f5e1000-3e8\""], 304), "HEAD"),
    get("If-Modified-Since, our date", &["If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT"], 304),
    but_nginx(
        get(
            "If-Modified-Since, a later date",
            &["If-Modified-Since: Mon, 14 Sep 2020 12:26:40 GMT"],
            304,
        ),
        200,
        "13.1.3; nginx compares for equality unless told otherwise",
    ),
    get(
        "If-Modified-Since, an older date",
        &["If-Modified-Since: Sat, 12 Sep 2020 12:26:40 GMT"],
        200,
    ),
    get("If-Modified-Since, nonsense", &["If-Modified-Since: soon"], 200),
    get(
        "If-None-Match overrides If-Modified-Since",
        &["If-None-Match: \"x\"", "If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT"],
        200,
    ),
    get("If-Match, our tag", &["If-Match: \"5f5e1000-3e8\""], 200),
    get("If-Match, any", &["If-Match: *"], 200),
    get("If-Match, another tag", &["If-Match: \"x\""], 412),
    get("If-Match, our tag but weak", &["If-Match: W/\"5f5e1000-3e8\""], 412),
    get(
        "If-Unmodified-Since, our date",
        &["If-Unmodified-Since: Sun, 13 Sep 2020 12:26:40 GMT"],
        200,
    ),
    get(
        "If-Unmodified-Since, an older date",
        &["If-Unmodified-Since: Sat, 12 Sep 2020 12:26:40 GMT"],
        412,
    ),
    but_nginx(
        get(
            "If-Match overrides If-Unmodified-Since",
            &["If-Match: \"5f5e1000-3e8\"", "If-Unmodified-Since: Sat, 12 Sep 2020 12:26:40 GMT"],
            200,
        ),
        412,
        "13.2.2 has the date ignored then",
    ),
    get(
        "If-Match comes before If-None-Match",
        &["If-Match: \"x\"", "If-None-Match: \"5f5e1000-3e8\""],
        412,
    ),
    get(
        "If-None-Match comes before a range",
        &["If-None-Match: \"5f5e1000-3e8\"", "Range: bytes=0-4"],
        304,
    ),
    part(
        "If-Match lets a range stand",
        &["If-Match: \"5f5e1000-3e8\"", "Range: bytes=0-4"],
        "bytes 0-4/1000",
        0,
        4,
    ),
    get("If-Match comes before a range", &["If-Match: \"x\"", "Range: bytes=0-4"], 412),
    bodiless(at(get("nothing", &[], 200), "/empty.bin")),
    but_nginx(
        at(
            Case {
                content_range: Some("bytes */0"),
                ..get("nothing, open-ended", &["Range: bytes=0-"], 416)
            },
            "/empty.bin",
        ),
        200,
        "14.1.2: no byte is there, so it cannot be satisfied",
    ),
    bodiless(at(get("nothing, suffix", &["Range: bytes=-1"], 200), "/empty.bin")),
    by(get("POST", &["Content-Length: 0"], 405), "POST"),
    by(get("DELETE", &[], 405), "DELETE"),
    at(get("a name that is none", &[], 404), "/none.bin"),
    at(by(bodiless(get("HEAD of none", &[], 404)), "HEAD"), "/none.bin"),
    get("two hosts", &["Host: 127.0.0.1", "Host: 127.0.0.1"], 400),
];
