//! Lanes: one HTTP client, and so one pool of connections, for what readers wait for, and others for
//! the rest.
//!
//! On HTTP/2 one client has one connection for each origin, whose window and congestion all its streams
//! share; so a blocked read must not share a client with read-ahead.
//!
//! The client's own cleverness is off: it follows no redirect, repeats nothing, decodes nothing, sends no
//! `Referer` (that leaks signed URLs) and sets no time limit on bodies. This is set last, over whatever
//! the user's factory says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use url::Url;

use super::spare::{GreetingLayer, Shelf, Spare};
use super::tls;
use crate::config::Config;
use crate::connection::ConnectionUse;
use crate::error::{Error, NetworkError, NetworkErrorKind, Stage};
use crate::ids::Lane;
use crate::sync::{Arc, Mutex};

/// Makes the HTTP client of a lane: proxies, certificates, resolvers, cookie jars, default headers.
///
/// Called once for each lane, and once more for the demand lane: that client opens spare connections. The
/// engine sets what it relies on over it: no redirects, no retries, no decoding, no `Referer`, no time limits but for
/// connecting, HTTP/2 windows. Two things to know:
///
/// - Headers and cookies set on the builder go to every origin that redirects lead to. Set them on
///   the source to have them bound to its origin.
/// - TLS is as the builder says. If there is no process-wide crypto provider of rustls, that of ring is
///   installed before the factory is called. Where the system has no certificates and the builder
///   fails for that reason alone, it is built once more with the bundled roots, and its other TLS settings
///   are lost.
pub type ClientFactory = Arc<dyn Fn(Lane) -> ClientBuilder + Send + Sync>;

/// HTTP/2: how much a server may send on one stream before it hears from us, in bytes. Enough for
/// 300 Mbit/s at a round trip of 200 ms, where the default of 64 KiB means 2.6 Mbit/s. Also the
/// most that the client buffers of a body that nobody reads.
const STREAM_WINDOW: u32 = 8 << 20;

/// The same for all streams of a connection: two staggered requests at full speed.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// How long an idle connection is kept. Above the time between two refills of a steady reader, below
/// the 60 to 75 s after which common servers close it.
const POOL_IDLE: Duration = Duration::from_secs(55);

/// Stands for "no limit" where the builder has no way to take one back. `Duration::MAX` would overflow a
/// clock inside the client.
const NO_LIMIT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How many connections a lane remembers to have seen. More than a lane ever has at once.
const SEEN: usize = 64;

/// The client of one lane.
#[derive(Debug)]
pub(crate) struct LaneClient {
    client: Client,
    /// The connections seen last, oldest first, by both their ends.
    seen: Mutex<VecDeque<(SocketAddr, SocketAddr)>>,
    /// Connections that its requests take before they open one.
    shelf: Option<Shelf>,
}

impl LaneClient {
    fn new(client: Client, shelf: Option<Shelf>) -> Self {
        Self { client, seen: Mutex::new(VecDeque::new()), shelf }
    }

    /// The HTTP client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends `request` to `url`; tells over what kind of connection the answer came.
    pub(crate) async fn send(
        &self,
        url: &Url,
        request: RequestBuilder,
    ) -> Result<(Response, ConnectionUse), reqwest::Error> {
        let (response, took_spare) = match &self.shelf {
            Some(shelf) => shelf.send(url, request).await?,
            None => (request.send().await?, false),
        };
        let connection = match (self.is_known(response.extensions()), took_spare) {
            (true, _) => ConnectionUse::Reused,
            (false, true) => ConnectionUse::Spare,
            (false, false) => ConnectionUse::New,
        };
        Ok((response, connection))
    }

    /// Over what kind of connection an answer came that was asked for by other means than [`send`](Self::send).
    #[cfg(feature = "object-store")]
    pub(crate) fn connection_of(&self, extensions: &http::Extensions) -> ConnectionUse {
        match self.is_known(extensions) {
            true => ConnectionUse::Reused,
            false => ConnectionUse::New,
        }
    }

    /// Whether an earlier answer had come over the connection of the one with these `extensions`.
    fn is_known(&self, extensions: &http::Extensions) -> bool {
        let Some(info) = extensions.get::<HttpInfo>() else { return false };
        self.saw((info.local_addr(), info.remote_addr()))
    }

    /// Notes a connection; tells whether it was known.
    fn saw(&self, ends: (SocketAddr, SocketAddr)) -> bool {
        let mut seen = self.seen.lock();
        if seen.contains(&ends) {
            return true;
        }
        if seen.len() == SEEN {
            seen.pop_front();
        }
        seen.push_back(ends);
        false
    }
}

/// All lanes of an engine.
#[derive(Debug)]
pub(crate) struct Lanes {
    demand: LaneClient,
    bulk: Vec<LaneClient>,
    /// Opens the demand lane's spare connections; sends nothing.
    greeter: Client,
    shelf: Shelf,
}

impl Lanes {
    /// Builds the clients.
    ///
    /// # Errors
    ///
    /// `Client` if one cannot be built.
    pub(crate) fn new(config: &Config, factory: Option<&ClientFactory>) -> Result<Self, Error> {
        let maker = Maker::new(config, factory)?;
        let shelf = Shelf::default();
        let taking = shelf.taking();
        let demand = maker.make(Lane::Demand, |builder| builder.connector_layer(taking.clone()))?;
        let bulk = (0..config.net.bulk_lanes.max(1))
            .map(|n| Ok(LaneClient::new(maker.make(Lane::Bulk(n), |builder| builder)?, None)));
        let bulk = bulk.collect::<Result<_, Error>>()?;
        let greeter = maker.make(Lane::Demand, |builder| builder.connector_layer(GreetingLayer))?;
        Ok(Self { demand: LaneClient::new(demand, Some(shelf.clone())), bulk, greeter, shelf })
    }

    /// Opens a connection to where `url` is for a later request of the demand lane.
    pub(crate) async fn preconnect(&self, url: &Url) -> Option<Spare> {
        self.shelf.fill(&self.greeter, url).await
    }

    /// The client of `lane`; numbers above the configured ones go round.
    pub(crate) fn lane(&self, lane: Lane) -> &LaneClient {
        match lane {
            Lane::Demand => &self.demand,
            Lane::Bulk(n) => &self.bulk[usize::from(n) % self.bulk.len()],
        }
    }
}

/// What all clients are made from.
struct Maker<'a> {
    config: &'a Config,
    factory: Option<&'a ClientFactory>,
    tls: rustls::ClientConfig,
}

impl<'a> Maker<'a> {
    fn new(config: &'a Config, factory: Option<&'a ClientFactory>) -> Result<Self, Error> {
        if factory.is_some() {
            tls::install_provider_if_none();
        }
        let tls = tls::config().map_err(|error| no_client("TLS", Arc::new(error)))?;
        Ok(Self { config, factory, tls })
    }

    /// Builds a client for `lane`, with `more` set last.
    fn make(
        &self,
        lane: Lane,
        more: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, Error> {
        let built = match self.factory {
            None => more(self.musts(self.plain())).build(),
            Some(factory) => match more(self.musts(limits_off(factory(lane)))).build() {
                Err(error) if tls::lacks_system_certificates(&error) => {
                    let builder = limits_off(factory(lane));
                    more(self.musts(builder.tls_backend_preconfigured(self.tls.clone()))).build()
                }
                built => built,
            },
        };
        built.map_err(|error| no_client(&format!("lane {lane}"), Arc::new(error.without_url())))
    }

    /// The builder that is used without a factory.
    fn plain(&self) -> ClientBuilder {
        Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .user_agent(self.config.net.user_agent.as_str())
    }

    /// What the engine relies on.
    fn musts(&self, builder: ClientBuilder) -> ClientBuilder {
        builder
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .tcp_nodelay(true)
            .connect_timeout(self.config.timeouts.connect)
            .pool_idle_timeout(POOL_IDLE)
            .http2_adaptive_window(false)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
    }
}

/// Takes back time limits on bodies that a factory may have set: they run while nobody reads.
fn limits_off(builder: ClientBuilder) -> ClientBuilder {
    builder.timeout(NO_LIMIT).read_timeout(NO_LIMIT)
}

/// No client came about for `what`.
fn no_client(what: &str, source: Arc<dyn std::error::Error + Send + Sync>) -> Error {
    Error::from(NetworkError {
        url: what.to_owned(),
        stage: Stage::Prepare,
        kind: NetworkErrorKind::Client("it could not be built".into()),
        excerpt: None,
        retry_after: None,
        attempts: 1,
        source: Some(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n12_a_connection_seen_before_is_told_and_memory_is_bounded() {
        let tls = tls::config().unwrap();
        let client = Client::builder().tls_backend_preconfigured(tls).build().unwrap();
        let lane = LaneClient::new(client, None);
        let remote = SocketAddr::from(([127, 0, 0, 1], 80));
        let end = |port| (SocketAddr::from(([127, 0, 0, 1], port)), remote);
        assert!(!lane.saw(end(1)));
        assert!(lane.saw(end(1)));
        for port in 2..=SEEN as u16 + 1 {
            assert!(!lane.saw(end(port)));
        }
        assert_eq!(lane.seen.lock().len(), SEEN);
        assert!(!lane.saw(end(1)), "the oldest was forgotten");
    }

    #[test]
    fn n11_every_lane_has_its_own_client_and_numbers_go_round() {
        let mut config = Config::default();
        config.net.bulk_lanes = 2;
        let made = Arc::new(Mutex::new(Vec::new()));
        let log = made.clone();
        let factory: ClientFactory = Arc::new(move |lane| {
            log.lock().push(lane);
            Client::builder()
        });
        let lanes = Lanes::new(&config, Some(&factory)).unwrap();
        assert_eq!(*made.lock(), [Lane::Demand, Lane::Bulk(0), Lane::Bulk(1), Lane::Demand]);
        assert!(std::ptr::eq(lanes.lane(Lane::Bulk(3)), lanes.lane(Lane::Bulk(1))));
        assert!(!std::ptr::eq(lanes.lane(Lane::Bulk(0)), lanes.lane(Lane::Bulk(1))));
    }

    #[test]
    fn n11_a_factory_whose_client_cannot_be_built_is_a_typed_error() {
        let factory: ClientFactory =
            Arc::new(|_| Client::builder().tls_backend_preconfigured("no TLS backend"));
        let error = Lanes::new(&Config::default(), Some(&factory)).unwrap_err();
        let Error::Network(error) = error else { panic!("{error}") };
        assert!(matches!(error.kind, NetworkErrorKind::Client(_)), "{error}");
    }
}
