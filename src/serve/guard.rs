//! Who may ask: looked at before anything else.
//!
//! A server on loopback is reached by every page that the user's browser shows. So a request must be addressed to
//! one of our names (a page that points its own name at 127.0.0.1 is not: DNS rebinding), must not come from
//! another origin's page, and must know the token if there is one.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use sha2::{Digest as _, Sha256};

use super::ServeConfig;
use super::refusal::Refusal;
use crate::sync::Arc;

/// What a page of a foreign origin may do, in words of a browser (Fetch Metadata).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const NETWORK_ASKED: HeaderName = HeaderName::from_static("access-control-request-private-network");
const NETWORK_ALLOWED: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Names of this machine that no other has.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// What is asked of each request.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: Vec<String>,
    /// Whether other machines reach it, by whatever address of this one.
    public: bool,
    /// The server's own port; `None` where somebody else listens.
    port: Option<u16>,
    cors: Vec<String>,
    token: Option<[u8; 32]>,
}

/// From where a request comes, as far as the browser tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    /// No page, or one of our own.
    Here,
    /// A page that may read what is served.
    Friend(HeaderValue),
    /// Another page.
    Stranger,
}

impl Guard {
    pub(super) fn new(config: &ServeConfig, port: Option<u16>) -> Arc<Self> {
        let lower = |text: &String| text.to_ascii_lowercase();
        Arc::new(Self {
            hosts: config.hosts.iter().map(lower).collect(),
            public: config.public,
            port,
            cors: config.cors.clone(),
            token: config.token.as_deref().map(|token| Sha256::digest(token).into()),
        })
    }

    /// The server is addressed by a name of its own.
    fn check_host(&self, request: &Request) -> Result<Authority, Refusal> {
        let misdirected = |why: &str| {
            let text = format!("{why}; address this server as 127.0.0.1, [::1] or localhost");
            Refusal::new(StatusCode::MISDIRECTED_REQUEST, text)
        };
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.as_bytes(),
            // Before HTTP/1.1 it was optional; every browser sends it.
            (None, _) if request.version() < Version::HTTP_11 && request.uri().host().is_none() => {
                return Ok(Authority::from_static(LOOPBACK[0]));
            }
            _ => return Err(Refusal::new(StatusCode::BAD_REQUEST, "send one Host header")),
        };
        let host = Authority::try_from(host)
            .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the Host header is no host"))?;
        // A whole URL in the request line comes before the header (RFC 9112 section 3.2.2).
        let named = request.uri().authority().into_iter().chain([&host]);
        for authority in named {
            if !self.is_ours(authority) {
                return Err(misdirected("this server has no such name"));
            }
        }
        Ok(host)
    }

    fn is_ours(&self, authority: &Authority) -> bool {
        let host = authority.host().to_ascii_lowercase();
        let loopback = LOOPBACK.contains(&host.as_str());
        // An address is nobody's name, so it cannot be made to lead elsewhere.
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let known = loopback || self.hosts.contains(&host) || (self.public && address.is_ok());
        // Further names may be those of something in front of us, on a port of its own.
        let port = match self.port {
            Some(port) if loopback => authority.port_u16().unwrap_or(80) == port,
            _ => true,
        };
        known && port && !authority.as_str().contains('@')
    }

    fn origin(&self, request: &Request, host: &Authority) -> From {
        let headers = request.headers();
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(origin) = headers.get(header::ORIGIN) {
            let friend =
                origin.to_str().is_ok_and(|origin| self.cors.iter().any(|it| it == origin));
            let scheme = ["http", "https"];
            let own = scheme.iter().any(|scheme| origin == format!("{scheme}://{host}").as_str());
            return match (own, friend) {
                (true, _) => From::Here,
                (false, true) => From::Friend(origin.clone()),
                (false, false) => From::Stranger,
            };
        }
        match text(&SITE) {
            None | Some("same-origin" | "none") => From::Here,
            // A link that the user followed.
            Some(_) if text(&MODE) == Some("navigate") && text(&DEST) == Some("document") => {
                match *request.method() {
                    Method::GET | Method::HEAD => From::Here,
                    _ => From::Stranger,
                }
            }
            // An element of a friend's page, which sends no origin.
            Some(_) if !self.cors.is_empty() && self.refers(headers) => From::Here,
            Some(_) => From::Stranger,
        }
    }

    fn refers(&self, headers: &HeaderMap) -> bool {
        let referer = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
        let origin = referer.and_then(|referer| url::Url::parse(referer).ok());
        origin.is_some_and(|url| self.cors.contains(&url.origin().ascii_serialization()))
    }

    /// Takes the token off the path.
    fn check_token(&self, request: &mut Request) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let path = request.uri().path_and_query().map_or("/", |all| all.as_str());
        let inner = path.strip_prefix('/').unwrap_or(path);
        let end = inner.find(['/', '?']).unwrap_or(inner.len());
        // Digests, so that the time that comparing takes tells nothing.
        let given: [u8; 32] = Sha256::digest(&inner[..end]).into();
        if given != *token {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "the path has no valid token"));
        }
        let rest = &inner[end..];
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        let uri = Uri::try_from(rest);
        *request.uri_mut() = uri.map_err(|_| Refusal::not_found())?;
        Ok(())
    }
}

/// Lets a request through, or answers it.
pub(super) async fn guard(
    State(guard): State<Arc<Guard>>,
    mut request: Request,
    next: Next,
) -> Response {
    let from = match guard.check_host(&request) {
        Ok(host) => guard.origin(&request, &host),
        Err(refusal) => return refusal.into_response(),
    };
    if from == From::Stranger {
        let text = "pages of other origins may not read this; the server can allow one";
        return Refusal::new(StatusCode::FORBIDDEN, text).into_response();
    }
    if let Err(refusal) = guard.check_token(&mut request) {
        return refusal.into_response();
    }
    let mut response = match (&from, request.method()) {
        (From::Friend(_), &Method::OPTIONS) => preflight(request.headers()),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = if guard.cors.is_empty() { "same-origin" } else { "cross-origin" };
    headers.insert(CORP, HeaderValue::from_static(policy));
    if !guard.cors.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let From::Friend(origin) = from {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified";
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
    response
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("GET, HEAD");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    let allowed =
        "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since";
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    if asked.contains_key(NETWORK_ASKED) {
        headers.insert(NETWORK_ALLOWED, HeaderValue::from_static("true"));
    }
    response
}
