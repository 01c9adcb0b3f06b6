//! The two plainest downloads: what a file costs that nobody reads while it comes.
//!
//! `bare` is a loop from a response into a file, `curl` that program. They are measures for reading through to the end, and
//! play nothing: nobody can seek in them before they are done.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, bail};
use reqwest::Client;
use tokio::runtime::Runtime;

use super::{Peer, Player, Tls, naive};

/// A loop from a response into a file.
pub(crate) struct Bare {
    client: Client,
    runtime: Arc<Runtime>,
}

impl Bare {
    pub(crate) fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client: naive::client()?, runtime: Arc::new(runtime) })
    }
}

impl Peer for Bare {
    fn settings(&self) -> String {
        "reqwest 0.13; one request, each chunk written to a temporary file as it comes, on one thread".into()
    }

    fn open(&self, url: &str) -> Result<Box<dyn Player>> {
        let mut file = Downloaded::new("bare")?;
        self.runtime.block_on(async {
            let mut answer = self.client.get(url).send().await?.error_for_status()?;
            while let Some(chunk) = answer.chunk().await? {
                file.file.write_all(&chunk)?;
            }
            anyhow::Ok(())
        })?;
        Ok(Box::new(file))
    }
}

/// The program `curl`.
pub(crate) struct Curl {
    /// What it is told of TLS.
    options: Vec<OsString>,
}

impl Curl {
    pub(crate) fn new(tls: Option<&Tls>) -> Self {
        let options = tls.map(|Tls { ca, http1 }| {
            let version = if *http1 { "--http1.1" } else { "--http2" };
            vec![version.into(), "--cacert".into(), ca.into()]
        });
        Self { options: options.unwrap_or_default() }
    }
}

impl Peer for Curl {
    fn settings(&self) -> String {
        let version = Command::new("curl").arg("--version").output();
        let version = version.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
        let version = version.unwrap_or_default();
        let version: Vec<&str> = version.split_whitespace().take(2).collect();
        format!("{} -o FILE", version.join(" "))
    }

    fn open(&self, url: &str) -> Result<Box<dyn Player>> {
        let file = Downloaded::new("curl")?;
        let status = Command::new("curl")
            .args(&self.options)
            .args(["-sfo"])
            .arg(path("curl"))
            .arg(url)
            .status()?;
        if !status.success() {
            bail!("curl: {status}");
        }
        Ok(Box::new(file))
    }
}

/// Where a download goes: one at a time in a process.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}.bin"))
}

/// A whole file on the disk, read as cheaply as that can be.
struct Downloaded {
    file: File,
    position: u64,
}

impl Downloaded {
    fn new(name: &str) -> Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        Ok(Self { file: options.open(path(name))?, position: 0 })
    }
}

impl Read for Downloaded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for Downloaded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl Player for Downloaded {
    fn is_plain(&self) -> bool {
        true
    }
}
