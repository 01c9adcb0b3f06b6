//! Which path means what: `/open?url=` opens, `/` and what is below `/_/` belongs to the page, and every other segment
//! is the name of a medium.

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use http::request::Parts;

use super::catalog::NotOpened;
use super::entry::Entry;
use super::guard::{Guard, guard};
use super::media::{self, Wish};
use super::refusal::Refusal;
use super::{Catalog, names, page};
use crate::sync::Arc;

/// All routes behind the guard; `port` is our own, if we listen ourselves.
pub(super) fn router(catalog: &Catalog, port: Option<u16>) -> Router {
    let config = catalog.config();
    let inner =
        page::routes().route("/open", any(open)).fallback(by_name).with_state(catalog.clone());
    // The guard may rewrite the path, so it stands before the routes.
    Router::new().fallback_service(inner).layer(from_fn_with_state(Guard::new(config, port), guard))
}

async fn by_name(State(catalog): State<Catalog>, request: Parts) -> Response {
    let segment = request.uri.path().strip_prefix('/').unwrap_or_default();
    // A segment is decoded after the path is taken apart: no escape makes two of it.
    let name = (!segment.contains('/')).then(|| names::decode(segment)).flatten();
    match name.and_then(|name| catalog.find(&name)) {
        Some(entry) => serve(&catalog, &entry, &request).await,
        None => Refusal::not_found().into_response(),
    }
}

async fn open(State(catalog): State<Catalog>, request: Parts) -> Response {
    let query = request.uri.query().unwrap_or_default().as_bytes();
    let url = url::form_urlencoded::parse(query).find(|(name, _)| name == "url");
    let Some((_, url)) = url else {
        return Refusal::new(StatusCode::BAD_REQUEST, "write /open?url=, escaped").into_response();
    };
    match catalog.open_url(&url) {
        Ok(entry) => serve(&catalog, &entry, &request).await,
        Err(NotOpened::Forbidden) => {
            let text = "this URL is not on the server's list; start it with --allow for it";
            Refusal::new(StatusCode::FORBIDDEN, text).into_response()
        }
        Err(NotOpened::Busy) => {
            let text = "as many resources as may be open are in use: ask again later";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn serve(catalog: &Catalog, entry: &Arc<Entry>, request: &Parts) -> Response {
    let wish = Wish {
        method: &request.method,
        http: request.version,
        headers: &request.headers,
        max_ranges: catalog.config().max_ranges,
    };
    media::serve(entry, &wish).await
}
