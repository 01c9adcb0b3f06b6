//! The byte stream under a connection, plain or shaped or wrapped, and how it is to be closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What a connection speaks over.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Any stream.
pub type Stream = Box<dyn Io>;

/// Wraps an accepted stream, for TLS.
pub type Acceptor = Arc<dyn Fn(Stream) -> BoxFuture<'static, io::Result<Stream>> + Send + Sync>;

/// The hand on a stream that is hidden below others.
#[derive(Debug, Clone, Default)]
pub(super) struct Control(Arc<AtomicBool>);

impl Control {
    /// The stream's end shall be a reset, after everything that was written.
    pub(super) fn reset_at_end(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it shall.
    pub(super) fn is_reset_at_end(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// An unshaped connection.
#[derive(Debug)]
pub(super) struct Direct {
    /// The socket.
    socket: TcpStream,
    /// How it shall end.
    control: Control,
}

impl Direct {
    /// Wraps an accepted socket.
    pub(super) fn new(socket: TcpStream, control: Control) -> Self {
        Self { socket, control }
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        if self.control.is_reset_at_end() {
            // Fails only for a socket that is gone already.
            let _ = self.socket.set_zero_linger();
        }
    }
}

impl AsyncRead for Direct {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Direct {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.control.is_reset_at_end() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// A stream of which something was read already.
pub(super) struct Prefixed {
    /// What was read and is to be read again.
    prefix: Vec<u8>,
    /// The rest.
    stream: Stream,
}

impl Prefixed {
    /// `prefix`, then `stream`.
    pub(super) fn new(prefix: Vec<u8>, stream: Stream) -> Self {
        Self { prefix, stream }
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let len = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix[..len]);
        self.prefix.drain(..len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
