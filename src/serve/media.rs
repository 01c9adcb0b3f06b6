//! One request for one medium: conditions, then ranges, then the first byte, then the head.
//!
//! The first bytes are read before the head is sent: a failure there has a status, and a resource that turns out
//! to have changed is looked at anew, so that head and body are always of one version.

use std::time::Instant;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version as HttpVersion, header};

use super::body::{MediaBody, Piece};
use super::entry::Entry;
use super::parts::parts;
use super::range::{Asked, asked};
use super::refusal::Refusal;
use super::{conditions, types};
use crate::error::Error;
use crate::session::Version;
use crate::sync::Arc;

/// How often a request is looked at anew because the resource has changed under it; more often means that
/// it changes all the time.
const TRIES: u32 = 3;

/// What matters of a request.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) method: &'a Method,
    pub(super) http: HttpVersion,
    pub(super) headers: &'a HeaderMap,
    pub(super) max_ranges: usize,
}

/// What is to be sent.
#[derive(Debug)]
struct Plan {
    status: StatusCode,
    headers: HeaderMap,
    pieces: Vec<Piece>,
}

/// Answers a request.
pub(super) async fn serve(entry: &Arc<Entry>, wish: &Wish<'_>) -> Response {
    match answer(entry, wish).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer(entry: &Arc<Entry>, wish: &Wish<'_>) -> Result<Response, Refusal> {
    if !matches!(*wish.method, Method::GET | Method::HEAD) {
        return Err(Refusal::method());
    }
    let asked = Instant::now();
    let mut last = Error::Changed;
    for _ in 0..TRIES {
        let session = entry.open().await.map_err(|error| Refusal::from(&error))?;
        let version = session.version();
        let plan = plan(&version, &entry.name, wish)?;
        let start = match plan.pieces.iter().find(|piece| !matches!(piece, Piece::Text(_))) {
            Some(Piece::Part(range)) => range.start,
            Some(Piece::Rest(at)) => *at,
            _ => return Ok(respond(plan.status, plan.headers, Body::empty())),
        };
        let client = wish.headers.get(header::USER_AGENT);
        let held = entry.reader(&session, version.generation, start, client);
        let mut body = MediaBody::new(held, plan.pieces);
        match body.prime().await {
            Ok(()) if session.version() == version => {
                entry.seeks.note(asked.elapsed());
                return Ok(respond(plan.status, plan.headers, Body::new(body)));
            }
            Ok(()) => {}
            Err(error @ (Error::Changed | Error::Restarted | Error::Cancelled)) => last = error,
            Err(error) => return Err(Refusal::from(&error)),
        }
    }
    Err(Refusal::from(&last))
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn plan(version: &Version, name: &str, wish: &Wish<'_>) -> Result<Plan, Refusal> {
    let of_type = types::of(version.content_type.as_deref(), name);
    let mut headers = told(version);
    if let Some(status) = conditions::refuse(wish.method, wish.headers, &version.validator) {
        return match status {
            StatusCode::NOT_MODIFIED => Ok(Plan { status, headers, pieces: Vec::new() }),
            _ => Err(Refusal::new(status, "the resource is not as the request's condition says")),
        };
    }
    let Some(len) = version.len else { return whole_of_unknown(headers, &of_type, wish) };
    let mut status = StatusCode::PARTIAL_CONTENT;
    let (of_type, count, pieces) = match ranges(version, len, wish) {
        Asked::Whole => {
            status = StatusCode::OK;
            (of_type, len, vec![Piece::Part(0..len)])
        }
        Asked::Parts(ranges) => match &ranges[..] {
            [range] => {
                let (first, last) = (range.start, range.end - 1);
                let value = format!("bytes {first}-{last}/{len}");
                headers.insert(header::CONTENT_RANGE, value_of(&value));
                (of_type, range.end - range.start, vec![Piece::Part(range.clone())])
            }
            several => {
                let parts = parts(several, len, &of_type);
                (parts.content_type, parts.len, parts.pieces)
            }
        },
        Asked::Unsatisfiable => {
            let text = format!("no such range: there are {len} bytes, and few ranges at a time");
            let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, text);
            return Err(refusal.with(header::CONTENT_RANGE, format!("bytes */{len}")));
        }
    };
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, value_of(&of_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    let silent = *wish.method == Method::HEAD || count == 0;
    Ok(Plan { status, headers, pieces: if silent { Vec::new() } else { pieces } })
}

/// Range handling is defined for GET alone (section 14.2).
fn ranges(version: &Version, len: u64, wish: &Wish<'_>) -> Asked {
    let mut values = wish.headers.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Asked::Whole };
    if *wish.method != Method::GET || !conditions::range_holds(wish.headers, &version.validator) {
        return Asked::Whole;
    }
    value.to_str().map_or(Asked::Whole, |value| asked(value, len, wish.max_ranges))
}

/// Of a resource whose length nobody knows yet: all of it, whatever part is asked for.
fn whole_of_unknown(
    mut headers: HeaderMap,
    of_type: &str,
    wish: &Wish<'_>,
) -> Result<Plan, Refusal> {
    if wish.http < HttpVersion::HTTP_11 {
        // Its end would be the connection's, and no one could tell it from a break.
        let text = "the length is not known yet, and without it HTTP/1.1 is needed";
        return Err(Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, text));
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
    headers.insert(header::CONTENT_TYPE, value_of(of_type));
    let silent = *wish.method == Method::HEAD;
    let pieces = if silent { Vec::new() } else { vec![Piece::Rest(0)] };
    Ok(Plan { status: StatusCode::OK, headers, pieces })
}

/// What is said of a version in any case (a 304 has it too: section 15.4.5).
fn told(version: &Version) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // The resource may be another one tomorrow, and the store is the cache.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let validators = [
        (header::ETAG, &version.validator.etag),
        (header::LAST_MODIFIED, &version.validator.last_modified),
    ];
    for (name, value) in validators {
        if let Some(value) = value.as_deref().and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

/// A value that is one: made of numbers, or checked.
fn value_of(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
