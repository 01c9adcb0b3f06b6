//! This crate, with the defaults.

use std::io::{self, Read, Seek, SeekFrom};

use anyhow::Result;
use kithara_file::{Engine, Reader, Session};

use super::{Mover, Peer, Player};

/// The engine, with a store of its own that goes with it.
pub(crate) struct Ours {
    engine: Engine,
}

impl Ours {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { engine: Engine::builder().build()? })
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
