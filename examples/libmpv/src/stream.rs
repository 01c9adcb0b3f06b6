//! [`Stream`]: what mpv asks a stream of bytes, answered by a [`Reader`]. No C in here.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kithara_file::{Engine, Error, Reader, ReaderHandle};

/// One open medium of mpv's. mpv calls it from one thread at a time, and cancels from any.
pub struct Stream {
    reader: Reader,
    cancel: Cancel,
}

/// Ends what a stream is doing, for good. Never blocks.
#[derive(Clone)]
pub struct Cancel {
    reader: ReaderHandle,
    canceled: Arc<AtomicBool>,
}

impl Stream {
    /// Opens `url`. Blocks until the server's first answer, or until the engine gives up.
    ///
    /// # Errors
    ///
    /// As [`Engine::open_blocking`].
    pub fn open(engine: &Engine, url: &str) -> Result<Self, Error> {
        let reader = engine.open_blocking(url)?.into_reader();
        let cancel = Cancel { reader: reader.handle(), canceled: Arc::default() };
        Ok(Self { reader, cancel })
    }

    /// What ends a read from another thread.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Some bytes of where it is; blocks until one is there. `Ok(0)` is the proven end. `None`: it failed or was canceled.
    pub fn read(&mut self, buf: &mut [u8]) -> Option<usize> {
        // An interrupt ends one read; to mpv a cancel counts for all that follow.
        if self.cancel.is_canceled() {
            return None;
        }
        match self.reader.read(buf) {
            Ok(n) => Some(n),
            Err(error) => {
                if !self.cancel.is_canceled() {
                    eprintln!("{error}");
                }
                None
            }
        }
    }

    /// Goes to `offset`, in bytes from the start. Costs nothing: only a read fetches.
    pub fn seek(&mut self, offset: u64) -> Option<u64> {
        // Without a length mpv could not use it, and takes the stream for one that only goes on.
        self.reader.len()?;
        self.reader.seek(SeekFrom::Start(offset)).ok()
    }

    /// The length in bytes, if it is known yet.
    pub fn size(&self) -> Option<u64> {
        self.reader.len()
    }
}

impl Cancel {
    /// Ends the read that is blocked, and each later one.
    pub fn now(&self) {
        self.canceled.store(true, Ordering::SeqCst);
        self.reader.interrupt();
    }

    fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::SeqCst)
    }
}
