//! Judges the head of an answer: what its body may carry, or why it is of no use (N6-N8, N10).
//!
//! Pure: status, version and headers in, a verdict out. A page in place of the media is told before a
//! change, because it says nothing about the resource; a contradiction in the answer is told before
//! a change, because then nothing in it can be believed.

use http::{HeaderMap, StatusCode, Version, header};
use url::Url;

use super::body::{Bounds, Framing};
use super::content_range::{self, ContentRange, number};
use super::fault::Seen;
use super::headers::{self, Single, single};
use super::{AnswerShape, Expectation, RangeRequest, media};
use crate::byte_range::ByteRange;
use crate::validator::{Comparison, Validator};

/// The head of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    /// Its status.
    pub(crate) status: StatusCode,
    /// The version of HTTP it came in.
    pub(crate) version: Version,
    /// Its headers.
    pub(crate) headers: &'a HeaderMap,
}

/// An answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Which bytes it carries.
    pub(crate) shape: AnswerShape,
    /// What tells its version.
    pub(crate) validator: Validator,
    /// `Content-Type` as sent.
    pub(crate) content_type: Option<String>,
    /// What its body may carry.
    pub(crate) bounds: Bounds,
}

/// An answer of which nothing may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// An error status.
    Status,
    /// It contradicts the request or itself.
    Protocol(String),
    /// Something else in place of the media.
    NotMedia(String),
    /// Another version of the resource.
    Changed(Box<Seen>),
    /// The range asked for is not in the resource.
    NotSatisfiable {
        /// Length of the resource, if told.
        total: Option<u64>,
        /// What tells its version.
        validator: Validator,
    },
}

/// A contradiction.
fn protocol<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Protocol(why.into()))
}

/// Judges the answer to `request`, which asked for the resource at `asked`. Redirects that are to be
/// followed do not come here.
pub(crate) fn judge(
    request: &RangeRequest,
    asked: &Url,
    refuse_html: bool,
    head: Head<'_>,
) -> Result<Accepted, Refused> {
    match head.status.as_u16() {
        200 => {
            let validator = media_only(request, asked, refuse_html, head)?;
            whole(request, head, validator)
        }
        206 => {
            let Some(range) = request.range else {
                return protocol("a part, though none was asked for");
            };
            let validator = media_only(request, asked, refuse_html, head)?;
            part(range, &request.expect, head, validator)
        }
        416 => match request.range {
            Some(range) => Err(not_satisfiable(range, &request.expect, head)),
            None => Err(Refused::Status),
        },
        status @ 100..400 => protocol(format!("status {status}")),
        _ => Err(Refused::Status),
    }
}

/// What holds for every body: not encoded, one part, the media. Gives the answer's validators.
fn media_only(
    request: &RangeRequest,
    asked: &Url,
    refuse_html: bool,
    head: Head<'_>,
) -> Result<Validator, Refused> {
    for coding in head.headers.get_all(header::CONTENT_ENCODING) {
        if !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity") {
            return protocol("the body is encoded, though that was ruled out");
        }
    }
    let content_type = headers::text(head.headers, &header::CONTENT_TYPE);
    if content_type.is_some_and(|came| media::essence(came) == "multipart/byteranges") {
        return protocol("several parts, though one range was asked for");
    }
    let validator = headers::validator(head.headers);
    match media::refusal(&request.expect, asked, content_type, &validator) {
        Some(why) if refuse_html => Err(Refused::NotMedia(why)),
        _ => Ok(validator),
    }
}

/// Judges a 206.
fn part(
    asked: ByteRange,
    expect: &Expectation,
    head: Head<'_>,
    validator: Validator,
) -> Result<Accepted, Refused> {
    let (range, total) = match single(head.headers, &header::CONTENT_RANGE) {
        Single::Absent => return protocol("a part without Content-Range"),
        Single::Unclear => return protocol("several values of Content-Range"),
        Single::Value(value) => match content_range::parse(value) {
            Ok(ContentRange::Part { range, total }) => (range, total),
            Ok(ContentRange::Unsatisfied { .. }) => return protocol("a part of nothing"),
            Err(malformed) => return protocol(malformed.to_string()),
        },
    };
    if !range.contains(asked.start) {
        return protocol(format!("bytes {range} in answer to {asked}"));
    }
    let framing = framing(head);
    if let Some(len) = length(head)? {
        if len > range.len() {
            return protocol(format!("Content-Length {len} for bytes {range}"));
        }
        if range.start + len <= asked.start {
            return protocol("the body ends before the first byte asked for");
        }
    }
    let beyond = expect.total.is_some_and(|known| range.end > known);
    let seen = Seen { total, validator, content_type: headers::content_type(head.headers) };
    if beyond || differs(expect, &seen) {
        return Err(Refused::Changed(Box::new(seen)));
    }
    let wanted = range.until(asked.end);
    Ok(Accepted {
        shape: AnswerShape::Part { range: wanted, total },
        validator: seen.validator,
        content_type: seen.content_type,
        bounds: Bounds {
            start: range.start,
            asked: asked.start,
            promised: Some(range.end),
            limit: wanted.end,
            framing,
        },
    })
}

/// Judges a 200. In answer to an `If-Range` it says either that the server does no ranges, which needs
/// the same validator, or that the resource is another one.
fn whole(
    request: &RangeRequest,
    head: Head<'_>,
    validator: Validator,
) -> Result<Accepted, Refused> {
    let len = length(head)?;
    if !is_whole(head, len) {
        return protocol("a whole whose Content-Range says that it is a part");
    }
    let framing = framing(head);
    let content_type = headers::content_type(head.headers);
    let seen = Seen { total: len, validator, content_type };
    let conditional = request.range.and(request.if_range.as_deref());
    let proven = conditional.is_none_or(|sent| confirms(&request.expect, sent, &seen.validator));
    if !proven || differs(&request.expect, &seen) {
        return Err(Refused::Changed(Box::new(seen)));
    }
    Ok(Accepted {
        shape: AnswerShape::Whole { len },
        validator: seen.validator,
        content_type: seen.content_type,
        bounds: Bounds {
            start: 0,
            asked: 0,
            promised: len,
            limit: len.unwrap_or(u64::MAX),
            framing,
        },
    })
}

/// Whether nothing in a 200 says that it is a part. A Content-Range has no meaning there, but a server that
/// sends a part under the wrong status must not have its end taken for the end of the resource.
fn is_whole(head: Head<'_>, len: Option<u64>) -> bool {
    let said = match single(head.headers, &header::CONTENT_RANGE) {
        Single::Absent => return true,
        Single::Unclear => return false,
        Single::Value(value) => content_range::parse(value),
    };
    match said {
        Ok(ContentRange::Part { range, total }) => {
            let whole = total.unwrap_or(range.end);
            range == ByteRange::new(0, whole) && len.is_none_or(|len| len == whole)
        }
        // What cannot be read claims nothing.
        Ok(ContentRange::Unsatisfied { .. }) | Err(_) => true,
    }
}

/// Judges a 416.
fn not_satisfiable(asked: ByteRange, expect: &Expectation, head: Head<'_>) -> Refused {
    let validator = headers::validator(head.headers);
    let told = headers::text(head.headers, &header::CONTENT_RANGE).map(content_range::parse);
    let total = match told {
        Some(Ok(ContentRange::Unsatisfied { total })) => Some(total),
        _ => None,
    };
    if total.is_some_and(|total| asked.start < total) {
        return Refused::Protocol(format!("bytes {asked} are said to lie outside of themselves"));
    }
    if compare(expect, &validator) == Comparison::Different {
        let content_type = headers::content_type(head.headers);
        return Refused::Changed(Box::new(Seen { total, validator, content_type }));
    }
    Refused::NotSatisfiable { total, validator }
}

/// Whether the answer is of another version or length than expected.
fn differs(expect: &Expectation, seen: &Seen) -> bool {
    let other_length = expect.total.zip(seen.total).is_some_and(|(known, told)| known != told);
    other_length || compare(expect, &seen.validator) == Comparison::Different
}

fn compare(expect: &Expectation, answer: &Validator) -> Comparison {
    expect.validator.as_ref().map_or(Comparison::Unknown, |known| known.compare(answer))
}

/// Whether `answer` has the very validator that was `sent` as `If-Range`.
fn confirms(expect: &Expectation, sent: &str, answer: &Validator) -> bool {
    answer.strong_etag() == Some(sent)
        || answer.last_modified.as_deref() == Some(sent)
        || compare(expect, answer) == Comparison::Same
}

/// `Content-Length`, where it counts: not beside `Transfer-Encoding`.
fn length(head: Head<'_>) -> Result<Option<u64>, Refused> {
    if head.headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(None);
    }
    match single(head.headers, &header::CONTENT_LENGTH) {
        Single::Absent => Ok(None),
        Single::Unclear => protocol("several values of Content-Length"),
        Single::Value(value) => match number(value) {
            Ok(len) => Ok(Some(len)),
            Err(_) => protocol("Content-Length is no number"),
        },
    }
}

/// How the end of the body will show (RFC 9112 section 6.3; every HTTP/2 stream has its own end).
fn framing(head: Head<'_>) -> Framing {
    if head.version >= Version::HTTP_2 {
        return Framing::Marked;
    }
    let chunked =
        head.headers.get_all(header::TRANSFER_ENCODING).iter().next_back().is_some_and(|value| {
            value.as_bytes().trim_ascii_end().to_ascii_lowercase().ends_with(b"chunked")
        });
    let counted = !head.headers.contains_key(header::TRANSFER_ENCODING)
        && head.headers.contains_key(header::CONTENT_LENGTH);
    if chunked || counted { Framing::Marked } else { Framing::Close }
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
