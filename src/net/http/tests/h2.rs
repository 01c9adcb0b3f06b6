//! HTTP/2 and TLS against a server that writes its frames by hand.

use std::collections::HashMap;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::net::lanes::ClientFactory;
use crate::sync::Mutex;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
/// END_STREAM on DATA and HEADERS, ACK on SETTINGS.
const FLAG_1: u8 = 1;
const END_HEADERS: u8 = 4;

/// What the client said about its windows, in bytes; and what it was told.
#[derive(Debug, Clone, Copy, Default)]
struct Windows {
    stream: u32,
    connection: u32,
    /// How many requests were refused.
    refused: u32,
}

/// How a body ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Stream,
    Reset,
    Lost,
    /// Before it begins: "not processed, feel free to repeat".
    Refused,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// `:status 206` and `content-range`, as RFC 7541 has them in its static table (10 and 30).
fn part_head(range: &str) -> Vec<u8> {
    let mut block = vec![0x8a, 0x0f, 30 - 15, range.len() as u8];
    block.extend(range.as_bytes());
    block
}

async fn read_frame<S: AsyncRead + Unpin>(io: &mut S) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    io.read_exact(&mut head).await.ok()?;
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; len as usize];
    io.read_exact(&mut payload).await.ok()?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], head[4], stream, payload))
}

/// Serves one connection: answers each request with four of nine bytes, and the rest or an end.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut io: S,
    end: End,
    windows: Arc<Mutex<Windows>>,
) -> Option<()> {
    let mut preface = [0; 24];
    io.read_exact(&mut preface).await.ok()?;
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    io.write_all(&frame(SETTINGS, 0, 0, &[])).await.ok()?;
    loop {
        let (kind, flags, stream, payload) = read_frame(&mut io).await?;
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match kind {
            SETTINGS if flags & FLAG_1 == 0 => {
                let settings: HashMap<u16, u32> = (0..payload.len() / 6)
                    .map(|n| {
                        (
                            u16::from_be_bytes([payload[n * 6], payload[n * 6 + 1]]),
                            number(n * 6 + 2),
                        )
                    })
                    .collect();
                windows.lock().stream = settings.get(&4).copied().unwrap_or(65_535);
                io.write_all(&frame(SETTINGS, FLAG_1, 0, &[])).await.ok()?;
            }
            WINDOW_UPDATE if stream == 0 => windows.lock().connection = 65_535 + number(0),
            HEADERS if matches!(end, End::Refused) => {
                windows.lock().refused += 1;
                io.write_all(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 7])).await.ok()?;
            }
            HEADERS => {
                let head = part_head("bytes 0-8/10");
                io.write_all(&frame(HEADERS, END_HEADERS, stream, &head)).await.ok()?;
                io.write_all(&frame(DATA, 0, stream, b"0123")).await.ok()?;
                match end {
                    End::Stream => {
                        io.write_all(&frame(DATA, FLAG_1, stream, b"45678")).await.ok()?
                    }
                    // INTERNAL_ERROR.
                    End::Reset => {
                        io.write_all(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 2])).await.ok()?
                    }
                    End::Lost | End::Refused => {
                        io.flush().await.ok()?;
                        return None;
                    }
                }
            }
            _ => {}
        }
    }
}

/// A server on its own address; over TLS if there is a configuration for it.
async fn start(tls: Option<Arc<ServerConfig>>, end: End) -> (Url, Arc<Mutex<Windows>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}/f", listener.local_addr().unwrap());
    let windows = Arc::new(Mutex::new(Windows::default()));
    let seen = windows.clone();
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            tokio::spawn(connection(io, tls.clone(), end, seen.clone()));
        }
    });
    (Url::parse(&url).unwrap(), windows)
}

async fn connection(
    io: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    end: End,
    windows: Arc<Mutex<Windows>>,
) {
    match tls {
        None => serve(io, end, windows).await,
        Some(tls) => match tokio_rustls::TlsAcceptor::from(tls).accept(io).await {
            Ok(io) => serve(io, end, windows).await,
            Err(_) => None,
        },
    };
}

/// A certificate for 127.0.0.1 that signs itself, and a server's configuration with it.
fn certificate() -> (CertificateDer<'static>, Arc<ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (certificate, Arc::new(config))
}

/// HTTP/2 without TLS, as nothing negotiates it there.
fn plain_h2() -> HttpNet {
    let factory: ClientFactory = Arc::new(|_| reqwest::Client::builder().http2_prior_knowledge());
    HttpNet::new(&Config::default(), Some(&factory)).unwrap()
}

fn source(url: Url) -> Arc<Target> {
    Target::new(url, Vec::new(), None).unwrap()
}

/// N11: at a round trip of 200 ms the windows allow 300 Mbit/s for each stream.
#[tokio::test]
async fn n11_http2_windows_do_not_cap_the_rate() {
    let (url, windows) = start(None, End::Stream).await;
    let (net, target) = (plain_h2(), source(url));
    assert_eq!(fetch(&net, &target, 0, 9).await, ("012345678".into(), BodyEnd::Complete));
    let windows = *windows.lock();
    let needed = 300_000_000 / 8 / 5;
    assert!(windows.stream >= needed, "{windows:?}");
    assert!(windows.connection >= 2 * needed, "{windows:?}");
}

/// E2: END_STREAM is an end; a reset stream and a lost connection are none.
#[tokio::test]
async fn e2_a_reset_stream_is_a_retryable_fault_that_keeps_what_came() {
    for end in [End::Reset, End::Lost] {
        let (url, _) = start(None, end).await;
        let mut answer = plain_h2().get_range(Lane::Demand, source(url), ask(0, 9)).await.unwrap();
        assert!(answer.body.proves_end());
        let fault = read(&mut answer).await.unwrap_err();
        let error = fault.network().unwrap();
        assert_eq!((error.stage, &error.kind), (Stage::Body, &NetworkErrorKind::Connection));
    }
}

/// N3: the client's own repeating of refused streams is off; trying again is the scheduler's.
#[tokio::test]
async fn n3_a_refused_stream_is_not_repeated_behind_our_back() {
    let (url, seen) = start(None, End::Refused).await;
    let error = failed(&plain_h2(), &source(url), ask(0, 9)).await;
    assert_eq!((error.stage, &error.kind), (Stage::Headers, &NetworkErrorKind::Connection));
    assert_eq!(seen.lock().refused, 1);
}

/// N11: HTTP/2 over TLS through a user's factory that brings its own root.
#[tokio::test]
async fn n11_http2_over_tls_works_with_a_root_from_the_factory() {
    let (certificate, config) = certificate();
    let (url, windows) = start(Some(config), End::Stream).await;
    let factory: ClientFactory = Arc::new(move |_| {
        let root = reqwest::Certificate::from_der(&certificate).unwrap();
        reqwest::Client::builder().tls_certs_only([root])
    });
    let net = HttpNet::new(&Config::default(), Some(&factory)).unwrap();
    let target = source(url);
    for reused in [false, true] {
        let mut answer = net.get_range(Lane::Demand, target.clone(), ask(0, 9)).await.unwrap();
        assert_eq!(answer.connection == ConnectionUse::Reused, reused);
        assert!(answer.multiplexed);
        assert_eq!(read(&mut answer).await.unwrap(), ("012345678".into(), BodyEnd::Complete));
    }
    assert!(windows.lock().stream > 65_535, "our windows are set over the factory's");
}

#[tokio::test]
async fn n11_a_certificate_that_nobody_vouches_for_is_told_and_not_tried_again() {
    let (_, config) = certificate();
    let (url, _) = start(Some(config), End::Stream).await;
    let error = failed(&net(), &source(url), ask(0, 9)).await;
    assert_eq!(error.stage, Stage::Connect);
    assert!(
        matches!(&error.kind, NetworkErrorKind::Protocol(why) if why.starts_with("TLS")),
        "{error}"
    );
    assert!(!error.is_retryable());
}
