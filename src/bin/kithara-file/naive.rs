//! What the demo compares with: one range request for each seek over a connection that is kept.
//!
//! The best that a player without an engine can do: it asks for just what it reads, so that its
//! connection is free and warm for the next seek. It keeps nothing and reads nothing ahead.

use std::time::Instant;

use kithara_file::Lane;
use reqwest::header::{HeaderValue, RANGE};
use reqwest::{Client, ClientBuilder, StatusCode, Url};

use crate::demo::Seek;
use crate::failure::Failure;

/// A client that goes straight to the demo's origin, whatever proxy the user has.
///
/// TLS is set to something that needs no certificates of the system: nothing here is encrypted.
pub(crate) fn client_builder(_: Lane) -> ClientBuilder {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the protocol versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Client::builder().no_proxy().tls_backend_preconfigured(tls)
}

/// The client and what it reads.
#[derive(Debug)]
pub(crate) struct Naive {
    client: Client,
    url: Url,
}

impl Naive {
    /// For the resource at `url`.
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let client = client_builder(Lane::Demand).build();
        let client = client.map_err(|error| Failure::new(format!("naive client: {error}")))?;
        let url =
            Url::parse(url).map_err(|error| Failure::new(format!("naive client: {error}")))?;
        Ok(Self { client, url })
    }

    /// Reads `buf.len()` bytes at `place` and tells how long the first and the last took.
    pub(crate) async fn seek(&self, place: u64, buf: &mut [u8]) -> Result<Seek, Failure> {
        let failed = |error: reqwest::Error| Failure::new(format!("naive request: {error}"));
        let started = Instant::now();
        let mut request = reqwest::Request::new(reqwest::Method::GET, self.url.clone());
        let range = format!("bytes={}-{}", place, place + buf.len() as u64 - 1);
        let range = HeaderValue::from_str(&range).expect("digits are a header's value");
        request.headers_mut().insert(RANGE, range);
        let mut answer = self.client.execute(request).await.map_err(failed)?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            return Err(Failure::new(format!("naive request: status {}", answer.status())));
        }
        let mut first = None;
        let mut filled = 0;
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            first.get_or_insert_with(|| started.elapsed());
            let room = &mut buf[filled..];
            let n = chunk.len().min(room.len());
            room[..n].copy_from_slice(&chunk[..n]);
            filled += n;
        }
        let complete = started.elapsed();
        // What did not come counts as wrong.
        buf[filled..].fill(0);
        Ok(Seek { first: first.unwrap_or(complete), complete })
    }
}
