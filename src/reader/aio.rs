//! [`AsyncReader`]: tokio's `AsyncRead + AsyncSeek` over a session, on any executor.

use std::io::{self, SeekFrom};
use std::panic::UnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

use crate::error::Error;
use crate::reader::cursor::Step;
use crate::reader::{Cursor, ReaderHandle, blocking};
use crate::session::Session;

/// An asynchronous reader with its own cursor, from [`Session::async_reader`] or [`Session::into_async_reader`].
///
/// What holds for [`Reader`](crate::Reader) holds for it; a read is pending where that one blocks. It needs no
/// tokio runtime around it.
#[derive(Debug)]
pub struct AsyncReader {
    cursor: Cursor,
    session: Option<Session>,
}

/// As [`Reader`](crate::Reader).
impl UnwindSafe for AsyncReader {}

impl AsyncReader {
    pub(crate) fn new(cursor: Cursor, session: Option<Session>) -> Self {
        Self { cursor, session }
    }

    /// Reads up to `buf.len()` bytes at the cursor; zero means the proven end.
    ///
    /// # Errors
    ///
    /// [`Error`], recoverable or fatal; see [`Error::is_fatal`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future withdraws its demand, and the cursor has not moved. (A future of
    /// tokio's extension trait leaves its demand until the next read or the reader's end.)
    pub async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let mut withdrawing = Withdrawing { cursor: &mut self.cursor, armed: true };
        let result = std::future::poll_fn(|cx| poll_step(withdrawing.cursor, cx, buf)).await;
        withdrawing.armed = false;
        result
    }

    /// The same at `at`, for one who polls. A demand that is pending stays until the next read or
    /// [`withdraw`](Self::withdraw).
    #[cfg(feature = "serve")]
    pub(crate) fn poll_read_at(
        &mut self,
        cx: &mut Context<'_>,
        at: u64,
        buf: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        if self.cursor.position() != at {
            self.cursor.seek(SeekFrom::Start(at))?;
        }
        poll_step(&mut self.cursor, cx, buf)
    }

    /// Takes back the demand that nothing has answered yet, if there is one.
    #[cfg(feature = "serve")]
    pub(crate) fn withdraw(&mut self) {
        self.cursor.withdraw();
    }

    /// Where the next read begins.
    #[cfg(feature = "serve")]
    pub(crate) fn position(&self) -> u64 {
        self.cursor.position()
    }

    /// As [`Reader::try_read`](crate::Reader::try_read).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn try_read(&mut self, buf: &mut [u8]) -> Result<Option<usize>, Error> {
        blocking::try_read(&mut self.cursor, buf)
    }

    /// As [`Reader::ready_at`](crate::Reader::ready_at).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future withdraws the demand; stored bytes stay stored.
    pub async fn ready_at(&self, offset: u64) -> Result<Option<std::ops::Range<u64>>, Error> {
        self.cursor.session().ready_at(offset).await
    }

    /// A handle that moves or interrupts this reader from another task or thread.
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

    /// The session that this reader owns, if it came from [`Session::into_async_reader`].
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }
}

/// Takes the demand back if the future that made it is dropped.
struct Withdrawing<'a> {
    cursor: &'a mut Cursor,
    armed: bool,
}

impl Drop for Withdrawing<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.cursor.withdraw();
        }
    }
}

fn poll_step(
    cursor: &mut Cursor,
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<Result<usize, Error>> {
    loop {
        match cursor.step(buf)? {
            Step::Done(n) => return Poll::Ready(Ok(n)),
            Step::Missing(demanded) => ready!(cursor.poll_wait(demanded, cx))?,
        }
    }
}

impl AsyncRead for AsyncReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let free = buf.initialize_unfilled();
        let n = ready!(poll_step(&mut self.get_mut().cursor, cx, free))?;
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for AsyncReader {
    fn start_seek(self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        self.get_mut().cursor.seek(to)?;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.cursor.position()))
    }
}
