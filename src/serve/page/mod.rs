//! The page at `/`: for people. It shows what the engine does with each medium, plays it, and turns the knobs.
//!
//! Its own paths are below `/_/`, where no medium's name leads. Everything it needs is in the binary, so that it works
//! without a network. The guard stands before all of it.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, OriginalUri, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;

use super::refusal::Refusal;
use super::{Catalog, Media, names};

mod knobs;
mod state;
mod stream;

/// Most that is sent to the page's own paths, in bytes.
const LONGEST: usize = 4 << 10;

/// What the page may load, and from where: itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's routes; the guard stands before them, and the media behind.
pub(super) fn routes() -> Router<Catalog> {
    Router::new()
        .route("/", get(index))
        .route("/_/page.css", get(|| asset("text/css; charset=utf-8", include_str!("page.css"))))
        .route(
            "/_/page.js",
            get(|| asset("text/javascript; charset=utf-8", include_str!("page.js"))),
        )
        .route("/_/map.js", get(|| asset("text/javascript; charset=utf-8", include_str!("map.js"))))
        .route("/_/state", get(stream::state))
        .route("/_/hint", post(hint))
        .route("/_/knobs", get(knobs::show).post(knobs::turn))
        .layer(DefaultBodyLimit::max(LONGEST))
}

async fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}

/// The page for browsers; for everybody else what is served, a line each: its address from here, and where it comes
/// from.
async fn index(
    State(catalog): State<Catalog>,
    OriginalUri(asked): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let lead = lead(&asked);
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let mut response = match accepts.is_some_and(|accepts| accepts.contains("text/html")) {
        true => {
            let lead = lead.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            let text = include_str!("page.html").replace("\"_/", &format!("\"{lead}_/"));
            asset("text/html; charset=utf-8", "").await.map(|_| Body::from(text))
        }
        false => {
            let line =
                |media: Media| format!("{lead}{} {}\n", names::encode(media.name()), media.url());
            let text: String = catalog.list().into_iter().map(line).collect();
            asset("text/plain; charset=utf-8", "").await.map(|_| Body::from(text))
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// What stands before all relative paths: nothing, unless the slash is missing at the end of the page's own, as it may
/// be below a token, and is where a router is nested. Relative itself, since nobody knows what stands before us.
fn lead(asked: &Uri) -> String {
    let last = asked.path().rsplit_once('/').map_or("", |(_, last)| last);
    if last.is_empty() { String::new() } else { format!("./{last}/") }
}

/// The pointer rests over a place that may be sought.
#[derive(Debug, Deserialize)]
struct Hint {
    /// The medium's number.
    id: u64,
    /// The byte.
    at: u64,
}

async fn hint(State(catalog): State<Catalog>, body: Bytes) -> Response {
    let hint: Hint = match serde_json::from_slice(&body) {
        Ok(hint) => hint,
        Err(error) => return not_understood(&error),
    };
    match catalog.media_by_id(hint.id).and_then(|media| media.session()) {
        Some(session) => {
            session.hint_seek(hint.at);
            StatusCode::NO_CONTENT.into_response()
        }
        None => Refusal::not_found().into_response(),
    }
}

fn not_understood(error: &serde_json::Error) -> Response {
    Refusal::new(StatusCode::BAD_REQUEST, format!("that is not what is asked for: {error}"))
        .into_response()
}
