//! The stores that URLs name, built from the environment when they are first asked.
//!
//! One for each bucket and lane, as its requests go over that lane's HTTP client: proxies, certificates and the
//! settings of connections are those of every other request.

use std::collections::HashMap;
use std::fmt;

use futures::future::BoxFuture;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};
use url::{Position, Url};

use super::told::Told;
use crate::ids::Lane;
use crate::sync::{Arc, Mutex};

/// Stores that were asked before.
#[derive(Default)]
pub(super) struct Stores(Mutex<HashMap<(String, Lane), Arc<dyn ObjectStore>>>);

impl Stores {
    /// The store that `url` names, for requests in `lane`, which go over `client`.
    ///
    /// # Errors
    ///
    /// What the environment lacks, or has wrong. The next call looks again.
    pub(super) fn of(
        &self,
        url: &Url,
        lane: Lane,
        client: impl FnOnce() -> reqwest::Client,
    ) -> object_store::Result<Arc<dyn ObjectStore>> {
        let name = (url[..Position::BeforePath].to_owned(), lane);
        if let Some(store) = self.0.lock().get(&name) {
            return Ok(store.clone());
        }
        // Of two that are built at once one is kept.
        let store = build(url, Connector(client()))?;
        Ok(self.0.lock().entry(name).or_insert(store).clone())
    }
}

impl fmt::Debug for Stores {
    /// What the stores show of themselves is not ours to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

/// Each request is tried once: the scheduler tries again.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// Builds the store of `url`.
fn build(url: &Url, connector: Connector) -> object_store::Result<Arc<dyn ObjectStore>> {
    let once = once();
    Ok(match url.scheme() {
        "gs" => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(url.as_str())
                .with_retry(once)
                .with_http_connector(connector)
                .build()?,
        ),
        "az" | "abfs" | "abfss" => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_url(url.as_str())
                .with_retry(once)
                .with_http_connector(connector)
                .build()?,
        ),
        _ => s3(AmazonS3Builder::from_env().with_url(url.as_str()), once, connector)?,
    })
}

fn s3(
    builder: AmazonS3Builder,
    once: RetryConfig,
    connector: Connector,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    Ok(Arc::new(builder.with_retry(once).with_http_connector(connector).build()?))
}

/// S3 at `endpoint` without signatures, over `client`.
#[cfg(test)]
pub(super) fn s3_at(
    endpoint: &str,
    client: reqwest::Client,
    plain: bool,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let builder = AmazonS3Builder::new().with_bucket_name("films").with_endpoint(endpoint);
    let builder = builder.with_skip_signature(true).with_allow_http(plain);
    s3(builder, once(), Connector(client))
}

/// Sends a store's requests over a lane's client.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        let plain = plain.is_some_and(|value| value == "true");
        Ok(HttpClient::new(Service { client: self.0.clone(), plain }))
    }
}

#[derive(Debug)]
struct Service {
    client: reqwest::Client,
    /// Whether requests may go out without TLS.
    plain: bool,
}

/// A request that would go out without TLS.
#[derive(Debug, thiserror::Error)]
#[error(
    "the store's endpoint is plain HTTP, which the environment does not allow (AWS_ALLOW_HTTP and the like)"
)]
pub(super) struct PlainHttp;

impl HttpService for Service {
    fn call<'a, 'f>(
        &'a self,
        request: HttpRequest,
    ) -> BoxFuture<'f, Result<HttpResponse, HttpError>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            if !self.plain && request.uri().scheme() == Some(&http::uri::Scheme::HTTP) {
                return Err(HttpError::new(HttpErrorKind::Unknown, PlainHttp));
            }
            let told = request.extensions().get::<Told>().cloned();
            let response = HttpService::call(&self.client, request).await?;
            if let Some(told) = told {
                told.note(response.status(), response.version(), response.headers());
            }
            Ok(response)
        })
    }
}
