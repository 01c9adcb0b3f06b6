//! Answers that are no media: a status, and a line for people on what happened and what to do.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::error::{Error, NetworkError, NetworkErrorKind};

/// Why a request is not served.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// `text` becomes the body, one line.
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), headers: Vec::new() }
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.headers.push((name, value));
        }
        self
    }

    /// Nothing is served under that name.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "nothing is served under this path; see / for what is")
    }

    /// Only reading is served.
    pub(super) fn method() -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "use GET or HEAD");
        refusal.with(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{}\n", self.text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

impl From<&Error> for Refusal {
    /// As a gateway tells it (RFC 9110 section 15.6): what the origin says of the resource is passed on, what it says
    /// of us or of itself is 502 or 503.
    fn from(error: &Error) -> Self {
        let told = error.to_string();
        match error {
            Error::Network(network) => network_refusal(network, told),
            Error::OfflineMiss { .. } => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!("{told}: serve without --offline once to fetch it"),
            ),
            // What the disk is called is nobody's business who asks from elsewhere.
            Error::Storage(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the server's disk refused: see its log",
            ),
            Error::Passed { .. } => {
                Self::new(StatusCode::GONE, format!("{told}: who came at its start still gets it"))
            }
            Error::Changed | Error::Restarted | Error::Truncated { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, format!("{told}: ask again"))
            }
            Error::Cancelled | Error::Interrupted | Error::WouldDeadlock => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{told}: ask again later"))
            }
            Error::UnknownLength | Error::InvalidInput { .. } | Error::InvalidConfig { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, told)
            }
        }
    }
}

fn network_refusal(network: &NetworkError, told: String) -> Refusal {
    match &network.kind {
        NetworkErrorKind::Status(status @ (403 | 404 | 410 | 451)) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            Refusal::new(status, format!("{told}: check the address"))
        }
        NetworkErrorKind::Status(401) => {
            Refusal::new(StatusCode::BAD_GATEWAY, format!("{told}: the origin wants credentials"))
        }
        NetworkErrorKind::Status(429 | 503) => {
            let wait = network.retry_after.unwrap_or(Duration::from_secs(5)).as_secs().max(1);
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("{told}: ask again later"))
                .with(header::RETRY_AFTER, wait.to_string())
        }
        NetworkErrorKind::Status(408) | NetworkErrorKind::TimedOut => {
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, format!("{told}: is the origin reachable?"))
        }
        NetworkErrorKind::Connection => {
            Refusal::new(StatusCode::BAD_GATEWAY, format!("{told}: is the origin running?"))
        }
        NetworkErrorKind::NotMedia(_) => {
            Refusal::new(StatusCode::BAD_GATEWAY, format!("{told}: does it want a login first?"))
        }
        NetworkErrorKind::Status(_)
        | NetworkErrorKind::Protocol(_)
        | NetworkErrorKind::Redirect(_)
        | NetworkErrorKind::TooLarge(_)
        | NetworkErrorKind::Client(_)
        | NetworkErrorKind::NoUrl => Refusal::new(StatusCode::BAD_GATEWAY, told),
    }
}
