//! This crate, with the defaults.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use anyhow::Result;
use kithara_file::{Engine, Reader, Session};

use super::{Mover, Peer, Player, Tls};

/// The engine, with a store of its own that goes with it.
pub(crate) struct Ours {
    engine: Engine,
}

impl Ours {
    pub(crate) fn new(tls: Option<&Tls>) -> Result<Self> {
        let mut builder = Engine::builder();
        if let Some(Tls { ca, http1 }) = tls {
            let (root, http1) = (reqwest::Certificate::from_pem(&fs::read(ca)?)?, *http1);
            builder = builder.client_factory(Arc::new(move |_| {
                let client = reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]);
                if http1 { client.http1_only() } else { client }
            }));
        }
        Ok(Self { engine: builder.build()? })
    }
}

impl Peer for Ours {
    fn settings(&self) -> String {
        "this repository; Config::default(), a private temporary store".into()
    }

    fn open(&self, url: &str) -> Result<Box<dyn Player>> {
        let session = self.engine.open_blocking(url)?;
        let reader = session.reader();
        Ok(Box::new(Open { reader, session }))
    }
}

/// A reader and its session.
struct Open {
    reader: Reader,
    session: Session,
}

impl Read for Open {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }
}

impl Seek for Open {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.reader.seek(to)
    }
}

impl Player for Open {
    fn hint_seek(&mut self, position: u64) -> bool {
        self.session.hint_seek(position);
        true
    }

    fn mover(&self) -> Option<Mover> {
        let handle = self.reader.handle();
        Some(Box::new(move |position| handle.seek_to(position)))
    }

    fn waits(&self) -> Option<u64> {
        Some(self.session.snapshot().waits)
    }
}
