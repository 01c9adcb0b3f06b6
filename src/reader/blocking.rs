//! [`Reader`]: `std::io::Read + Seek` over a session.

use std::io::{self, Read, Seek, SeekFrom};
use std::panic::UnwindSafe;

use crate::error::Error;
use crate::reader::cursor::Step;
use crate::reader::{Cursor, ReaderHandle};
use crate::session::Session;

/// A blocking reader with its own cursor, from [`Session::reader`] or [`Session::into_reader`].
///
/// Many may read one session at once; they share what is stored and what is being fetched. A read
/// returns as soon as one byte is there, and blocks the thread until then; `Ok(0)` means the proven
/// end. A seek does no I/O and never blocks.
///
/// Errors carry the engine's [`Error`], which [`Error::from_io`] takes out again. After one that
/// [is not fatal](Error::is_fatal) the same reader may read again. Never call it on the only thread of
/// the runtime that was given to [`EngineBuilder::runtime`](crate::EngineBuilder::runtime): it errs there with
/// [`Error::WouldDeadlock`] where the bytes are missing.
#[derive(Debug)]
pub struct Reader {
    cursor: Cursor,
    /// Kept alive by the reader that owns it.
    session: Option<Session>,
}

/// A panic leaves nothing half done that a later read trusts: each looks anew at what is there, no lock is
/// poisoned, and bytes are covered only after they are stored.
impl UnwindSafe for Reader {}

impl Reader {
    pub(crate) fn new(cursor: Cursor, session: Option<Session>) -> Self {
        Self { cursor, session }
    }

    /// Reads what is there, without ever waiting for the network: for real-time threads. `Ok(None)` means
    /// that the byte at the cursor is not there; it is asked for, and a later call may have it.
    /// `Ok(Some(0))` means the proven end.
    ///
    /// # Errors
    ///
    /// As a read.
    pub fn try_read(&mut self, buf: &mut [u8]) -> Result<Option<usize>, Error> {
        try_read(&mut self.cursor, buf)
    }

    /// Waits until the byte at `offset` is stored and returns the stored run that begins there, in bytes from
    /// the start; `None` at or past the end. The cursor stays where it is.
    ///
    /// # Errors
    ///
    /// As a read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future withdraws the demand; stored bytes stay stored.
    pub async fn ready_at(&self, offset: u64) -> Result<Option<std::ops::Range<u64>>, Error> {
        self.cursor.session().ready_at(offset).await
    }

    /// A handle that moves or interrupts this reader from another thread.
    pub fn handle(&self) -> ReaderHandle {
        ReaderHandle::new(self.cursor.shared().clone())
    }

    /// Length of the resource in bytes, if it is known yet.
    pub fn len(&self) -> Option<u64> {
        self.cursor.session().len()
    }

    /// Whether the resource is known to have no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The session that this reader owns, if it came from [`Session::into_reader`].
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }
}

/// See [`Reader::try_read`].
pub(crate) fn try_read(cursor: &mut Cursor, buf: &mut [u8]) -> Result<Option<usize>, Error> {
    match cursor.step(buf)? {
        Step::Done(n) => Ok(Some(n)),
        Step::Missing(demanded) => {
            // Registers nobody to be woken; a failure of the demand is kept until the next call.
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            match cursor.poll_wait(demanded, &mut cx) {
                std::task::Poll::Pending => Ok(None),
                std::task::Poll::Ready(Err(error)) => Err(error),
                std::task::Poll::Ready(Ok(())) => match cursor.step(buf)? {
                    Step::Done(n) => Ok(Some(n)),
                    Step::Missing(_) => Ok(None),
                },
            }
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.cursor.step(buf)? {
                Step::Done(n) => return Ok(n),
                Step::Missing(demanded) => {
                    self.cursor.session().engine().shared.guard_blocking()?;
                    self.cursor.wait(demanded)?;
                }
            }
        }
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        Ok(self.cursor.seek(to)?)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.cursor.seek(SeekFrom::Current(0))?)
    }
}
