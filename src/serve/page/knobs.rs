//! The knobs that the page shows: those of read-ahead and of requests that one would try out while looking.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};

use super::super::Catalog;
use super::not_understood;
use crate::config::Tunables;
use crate::serve::refusal::Refusal;

/// Their values; what is left out when they are turned stays. Bytes, and seconds of media.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Knobs {
    enabled: Option<bool>,
    min_window: Option<u64>,
    max_window: Option<u64>,
    start_seconds: Option<f64>,
    max_seconds: Option<f64>,
    max_fetches: Option<u32>,
    preconnect: Option<bool>,
    hedging: Option<bool>,
}

impl Knobs {
    fn of(tunables: &Tunables) -> Self {
        let (ahead, fetch) = (&tunables.readahead, &tunables.fetch);
        Self {
            enabled: Some(ahead.enabled),
            min_window: Some(ahead.min_window),
            max_window: Some(ahead.max_window),
            start_seconds: Some(ahead.start.as_secs_f64()),
            max_seconds: Some(ahead.max.as_secs_f64()),
            max_fetches: Some(fetch.max_fetches),
            preconnect: Some(fetch.preconnect),
            hedging: Some(tunables.hedging.enabled),
        }
    }

    /// Turns those of `tunables` that are named. The error names a time that is none.
    fn turn(self, tunables: &mut Tunables) -> Result<(), &'static str> {
        fn set<T>(knob: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *knob = value;
            }
        }
        let time = |seconds: Option<f64>, name| {
            seconds.map(|s| Duration::try_from_secs_f64(s).map_err(|_| name)).transpose()
        };
        let ahead = &mut tunables.readahead;
        set(&mut ahead.start, time(self.start_seconds, "startSeconds")?);
        set(&mut ahead.max, time(self.max_seconds, "maxSeconds")?);
        set(&mut ahead.enabled, self.enabled);
        set(&mut ahead.min_window, self.min_window);
        set(&mut ahead.max_window, self.max_window);
        set(&mut tunables.fetch.max_fetches, self.max_fetches);
        set(&mut tunables.fetch.preconnect, self.preconnect);
        set(&mut tunables.hedging.enabled, self.hedging);
        Ok(())
    }
}

/// As they are.
pub(super) async fn show(State(catalog): State<Catalog>) -> Response {
    let text = serde_json::to_string(&Knobs::of(&catalog.engine().tunables())).unwrap_or_default();
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, text).into_response()
}

/// Turns those that are named, all or none, and shows them as they are then.
pub(super) async fn turn(State(catalog): State<Catalog>, body: Bytes) -> Response {
    let knobs: Knobs = match serde_json::from_slice(&body) {
        Ok(knobs) => knobs,
        Err(error) => return not_understood(&error),
    };
    let mut tunables = catalog.engine().tunables();
    if let Err(name) = knobs.turn(&mut tunables) {
        let text = format!("{name} is no time: give seconds from 0 on");
        return Refusal::new(StatusCode::BAD_REQUEST, text).into_response();
    }
    match catalog.engine().reconfigure(tunables) {
        Ok(()) => show(State(catalog)).await,
        Err(error) => Refusal::new(StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}
