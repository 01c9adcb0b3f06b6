//! The peers: one file each, all behind the same two traits.

#[cfg(feature = "kithara")]
mod kithara;
mod naive;
mod ours;
mod plain;
#[cfg(feature = "stream-download")]
mod stream_download;

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail};

/// Names of the peers that were built in, the plain one first.
pub(crate) const NAMES: &[&str] = &[
    "naive",
    "ours",
    #[cfg(feature = "stream-download")]
    "stream-download",
    #[cfg(feature = "kithara")]
    "kithara",
];

/// Those that only take a whole file in, for the workload that asks for no more.
pub(crate) const PLAIN: [&str; 2] = ["curl", "bare"];

/// A library, set up as an application sets it up once: clients, pools, stores.
pub(crate) trait Peer {
    /// Version and settings, as they are reported.
    fn settings(&self) -> String;

    /// Opens `url`. Timed, so nothing belongs here that an application does once.
    fn open(&self, url: &str) -> Result<Box<dyn Player>>;
}

/// One open resource.
pub(crate) trait Player: Read + Seek + Send {
    /// Tells how many bytes will be read after each seek. Only `naive` listens: it has nothing else to go by.
    fn plan(&mut self, _bytes: usize) {}

    /// Says that a seek to `position` is likely; whether the peer has a way to be told.
    fn hint_seek(&mut self, _position: u64) -> bool {
        false
    }

    /// What moves a read of this player that another thread is blocked in, if the peer has such a thing.
    fn mover(&self) -> Option<Mover> {
        None
    }

    /// Reads that had to wait so far, if the peer counts them.
    fn waits(&self) -> Option<u64> {
        None
    }

    /// Whether opening it was the whole download, so that nobody has to read for that.
    fn is_plain(&self) -> bool {
        false
    }
}

/// Moves a player, and the read that it is blocked in, to a position.
pub(crate) type Mover = Box<dyn Fn(u64) + Send + Sync>;

/// Bytes that players of this process have read.
static READ: AtomicU64 = AtomicU64::new(0);

/// Bytes that players have read so far.
pub(crate) fn bytes_read() -> u64 {
    READ.load(Ordering::Relaxed)
}

/// A player whose bytes are counted.
struct Counted(Box<dyn Player>);

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buf)?;
        READ.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Player for Counted {
    fn plan(&mut self, bytes: usize) {
        self.0.plan(bytes);
    }

    fn hint_seek(&mut self, position: u64) -> bool {
        self.0.hint_seek(position)
    }

    fn mover(&self) -> Option<Mover> {
        self.0.mover()
    }

    fn waits(&self) -> Option<u64> {
        self.0.waits()
    }

    fn is_plain(&self) -> bool {
        self.0.is_plain()
    }
}

/// A peer all of whose players are counted.
struct Counting(Box<dyn Peer>);

impl Peer for Counting {
    fn settings(&self) -> String {
        self.0.settings()
    }

    fn open(&self, url: &str) -> Result<Box<dyn Player>> {
        Ok(Box::new(Counted(self.0.open(url)?)))
    }
}

/// How the server is spoken to over TLS.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    /// The certificate that is trusted, in PEM.
    pub(crate) ca: PathBuf,
    /// HTTP/1.1, whatever else the server offers.
    pub(crate) http1: bool,
}

/// Sets `name` up, with nothing stored; over TLS only those that can be told what to trust.
pub(crate) fn build(name: &str, tls: Option<&Tls>) -> Result<Box<dyn Peer>> {
    let known = matches!(name, "curl" | "ours");
    if tls.is_some() && !known {
        bail!("{name} is not set up for TLS here");
    }
    let peer: Box<dyn Peer> = match name {
        "naive" => Box::new(naive::Naive::new()?),
        "bare" => Box::new(plain::Bare::new()?),
        "curl" => Box::new(plain::Curl::new(tls)),
        "ours" => Box::new(ours::Ours::new(tls)?),
        #[cfg(feature = "stream-download")]
        "stream-download" => Box::new(stream_download::StreamDownloads::new()?),
        #[cfg(feature = "kithara")]
        "kithara" => Box::new(kithara::Published::new()?),
        _ => bail!("no peer {name} in this build: there are {}", NAMES.join(", ")),
    };
    Ok(Box::new(Counting(peer)))
}

/// A runtime for a peer that is asynchronous inside.
#[cfg(any(feature = "stream-download", feature = "kithara"))]
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
