//! One request for each place over a connection that is kept: the least a client can do for its first byte.
//!
//! It asks for what will be read, no more, so that its connection is free and warm for the next seek. It
//! keeps nothing and reads nothing ahead, and so it is the floor for one seek and useless for playing.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use anyhow::Result;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};
use tokio::runtime::Runtime;

use super::{Peer, Player};

/// Bytes of a request when nobody said how many will be read.
const PLAN: usize = 64 << 10;

/// The client.
pub(crate) struct Naive {
    client: Client,
    runtime: Arc<Runtime>,
}

impl Naive {
    pub(crate) fn new() -> Result<Self> {
        // On the reading thread itself: no hop between threads before the first byte.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client: client()?, runtime: Arc::new(runtime) })
    }
}

/// A client that goes straight to the server.
pub(super) fn client() -> Result<Client> {
    // Never used: nothing here is encrypted. A client cannot be built without.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(Client::builder().no_proxy().tls_backend_preconfigured(tls).build()?)
}

impl Peer for Naive {
    fn settings(&self) -> String {
        "reqwest 0.13; one bounded range for each place, of the bytes that will be read there (64 KiB while \
         playing), its body read to the end, the connection kept"
            .into()
    }

    fn open(&self, url: &str) -> Result<Box<dyn Player>> {
        Ok(Box::new(Cursor {
            client: self.client.clone(),
            runtime: self.runtime.clone(),
            url: url.into(),
            position: 0,
            len: None,
            plan: PLAN,
            body: None,
            held: Held::default(),
            asked: 0,
        }))
    }
}

/// Bytes that came and were not read yet.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    /// Where in the resource they begin.
    start: u64,
}

impl Held {
    /// What there is from `position` on.
    fn at(&self, position: u64) -> &[u8] {
        let skip = position.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.bytes.get(skip..)).unwrap_or_default()
    }
}

/// A place in the resource.
struct Cursor {
    client: Client,
    runtime: Arc<Runtime>,
    url: String,
    position: u64,
    len: Option<u64>,
    plan: usize,
    /// The answer being read.
    body: Option<Response>,
    /// All of that answer that came.
    held: Held,
    /// How many bytes were asked for.
    asked: usize,
}

impl Cursor {
    /// Waits for more of the answer; false at its end.
    fn more(&mut self) -> reqwest::Result<bool> {
        let Some(body) = &mut self.body else { return Ok(false) };
        let chunk = self.runtime.block_on(body.chunk())?;
        match chunk {
            Some(chunk) => self.held.bytes.extend_from_slice(&chunk),
            None => self.body = None,
        }
        Ok(self.body.is_some())
    }

    /// Asks for `len` bytes at the position.
    fn ask(&mut self, len: usize) -> io::Result<()> {
        // What is left of the last answer is read: dropped, it would cost the connection.
        while self.more().map_err(io::Error::other)? {}
        let mut end = self.position + len as u64;
        end = self.len.map_or(end, |len| end.min(len));
        let range = format!("bytes={}-{}", self.position, end - 1);
        let request = self.client.get(&self.url).header(RANGE, range);
        let answer = self.runtime.block_on(request.send()).map_err(io::Error::other)?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            return Err(io::Error::other(format!("status {}", answer.status())));
        }
        let total = answer.headers().get(CONTENT_RANGE).and_then(|value| {
            let (_, total) = value.to_str().ok()?.rsplit_once('/')?;
            total.parse().ok()
        });
        self.len = total.or(self.len);
        self.body = Some(answer);
        self.asked = usize::try_from(end - self.position).map_err(io::Error::other)?;
        self.held.bytes.clear();
        self.held.start = self.position;
        Ok(())
    }
}

impl Read for Cursor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.len.is_some_and(|len| self.position >= len) {
            return Ok(0);
        }
        if self.held.at(self.position).is_empty() {
            let goes_on = self.position == self.held.start + self.held.bytes.len() as u64;
            if !(goes_on && self.more().map_err(io::Error::other)?) {
                self.ask(self.plan.max(buf.len()))?;
                self.more().map_err(io::Error::other)?;
            }
        }
        let held = self.held.at(self.position);
        if held.is_empty() {
            return Err(io::Error::other("an answer without the bytes that were asked for"));
        }
        let n = held.len().min(buf.len());
        buf[..n].copy_from_slice(&held[..n]);
        self.position += n as u64;
        // The end of the answer goes with its last byte, so that the connection is free when it is needed.
        if n == held.len() && self.held.bytes.len() >= self.asked {
            while self.more().map_err(io::Error::other)? {}
        }
        Ok(n)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let unknown = || io::Error::other("the length is not known yet");
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => self.len.ok_or_else(unknown)?.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl Player for Cursor {
    fn plan(&mut self, bytes: usize) {
        self.plan = bytes;
    }
}
