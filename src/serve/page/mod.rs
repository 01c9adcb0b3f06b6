//! The page at `/`: for people. Its own paths are below `/_/`, where no medium's name leads.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;

use super::{Catalog, names};

/// The page's routes; the guard stands before them, and the media behind.
pub(super) fn routes() -> Router<Catalog> {
    Router::new().route("/", get(index))
}

/// What is served, a line each: its address from here, and where it comes from.
async fn index(State(catalog): State<Catalog>) -> Response {
    let line = |media: super::Media| format!("{} {}\n", names::encode(media.name()), media.url());
    let text: String = catalog.list().into_iter().map(line).collect();
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, text).into_response()
}
