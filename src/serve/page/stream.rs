//! The state as server-sent events (WHATWG HTML, section 9.2).

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::header;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::super::Catalog;
use super::state::State;

/// The state is looked at so often: ten pictures a second move smoothly enough.
const LOOK: Duration = Duration::from_millis(100);

/// Nothing new for so long, a comment keeps the connection alive.
const ALIVE: Duration = Duration::from_secs(15);

/// The state now, and again whenever it has changed. Looked at only while somebody listens.
pub(super) async fn state(Extract(catalog): Extract<Catalog>) -> Response {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let told = Told { catalog, looks, last: String::new(), at: Instant::now() };
    let events = stream::unfold(told, |mut told| async move {
        let event = told.next().await;
        Some((Ok::<_, Infallible>(event), told))
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(events)).into_response()
}

/// What one listener knows.
struct Told {
    catalog: Catalog,
    looks: Interval,
    last: String,
    at: Instant,
}

impl Told {
    /// The next event. Cancel safe: the listener is gone then.
    async fn next(&mut self) -> Bytes {
        loop {
            self.looks.tick().await;
            let now = serde_json::to_string(&State::of(&self.catalog)).unwrap_or_default();
            if now != self.last {
                let event = format!("data: {now}\n\n");
                (self.last, self.at) = (now, Instant::now());
                return event.into();
            }
            if self.at.elapsed() >= ALIVE {
                self.at = Instant::now();
                return Bytes::from_static(b": nothing new\n\n");
            }
        }
    }
}
