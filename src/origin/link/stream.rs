//! The two ends of a connection over the link: the stream that the server's code speaks over, and the
//! pump between the link and the client's socket.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::pipe::{FlowId, Item};
use super::{Network, Way};
use crate::origin::wire::Control;

/// Puts the link between `socket` and the stream that is returned. Needs a tokio runtime.
pub(in crate::origin) fn connect(
    network: &Arc<Network>,
    flow: FlowId,
    socket: TcpStream,
    control: Control,
) -> Shaped {
    network.open(flow);
    tokio::spawn(pump(Arc::clone(network), flow, socket, control.clone()));
    Shaped {
        network: Arc::clone(network),
        flow,
        control,
        unread: Bytes::new(),
        ended: false,
        finished: false,
    }
}

/// The server's end of a connection.
#[derive(Debug)]
pub(in crate::origin) struct Shaped {
    /// The link.
    network: Arc<Network>,
    /// Number of the connection.
    flow: FlowId,
    /// How it shall end.
    control: Control,
    /// Arrived and not read.
    unread: Bytes,
    /// The client said that nothing more comes.
    ended: bool,
    /// An end was put behind everything written.
    finished: bool,
}

impl Drop for Shaped {
    fn drop(&mut self) {
        // Without an end what is still in the send buffer goes with the connection; with one
        // the pump brings all of it to the client first.
        if !self.finished {
            self.network.close(self.flow);
        }
    }
}

impl AsyncRead for Shaped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() && !self.ended {
            match ready!(self.network.poll_take(Way::Up, self.flow, cx)) {
                Some(Item::Data(bytes)) => self.unread = bytes,
                Some(Item::Fin) => self.ended = true,
                Some(Item::Reset) | None => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
            }
        }
        let len = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..len]);
        self.unread.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Shaped {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.network.poll_send(Way::Down, self.flow, bytes, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finished {
            self.finished = true;
            let end = if self.control.is_reset_at_end() { Item::Reset } else { Item::Fin };
            self.network.finish(Way::Down, self.flow, end);
        }
        Poll::Ready(Ok(()))
    }
}

/// Carries bytes between the client's socket and the link until both ways have ended.
async fn pump(network: Arc<Network>, flow: FlowId, mut socket: TcpStream, control: Control) {
    let _closing = Closing { network: Arc::clone(&network), flow };
    let (reader, writer) = socket.split();
    let reset = {
        let up = std::pin::pin!(pump_up(&network, flow, reader));
        let down = std::pin::pin!(pump_down(&network, flow, writer));
        match futures::future::select(up, down).await {
            // The client said its last; what is on the way to it may still be wanted.
            futures::future::Either::Left(((), down)) => down.await,
            futures::future::Either::Right((Ended::Finished, up)) => {
                up.await;
                Ended::Finished
            }
            futures::future::Either::Right((ended, _)) => ended,
        }
    };
    if matches!(reset, Ended::Reset) || control.is_reset_at_end() {
        // Fails only for a socket that is gone already.
        let _ = socket.set_zero_linger();
    }
}

/// Forgets the connection on the link when the pump ends, whichever way.
struct Closing {
    /// The link.
    network: Arc<Network>,
    /// The connection.
    flow: FlowId,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.network.close(self.flow);
    }
}

/// How the way down ended.
enum Ended {
    /// In good order; the client was told.
    Finished,
    /// By a reset.
    Reset,
    /// The server or the client is gone.
    Gone,
}

/// From the client's socket into the link.
async fn pump_up(network: &Network, flow: FlowId, mut reader: ReadHalf<'_>) {
    let mut buf = vec![0; 16 * 1024];
    loop {
        let len = match reader.read(&mut buf).await {
            Ok(0) => return network.finish(Way::Up, flow, Item::Fin),
            Ok(len) => len,
            Err(_) => return network.finish(Way::Up, flow, Item::Reset),
        };
        let mut rest = &buf[..len];
        while !rest.is_empty() {
            match poll_fn(|cx| network.poll_send(Way::Up, flow, rest, cx)).await {
                Ok(sent) => rest = &rest[sent..],
                Err(_) => return,
            }
        }
    }
}

/// From the link to the client's socket.
async fn pump_down(network: &Network, flow: FlowId, mut writer: WriteHalf<'_>) -> Ended {
    loop {
        match poll_fn(|cx| network.poll_take(Way::Down, flow, cx)).await {
            Some(Item::Data(bytes)) => {
                if writer.write_all(&bytes).await.is_err() {
                    return Ended::Gone;
                }
            }
            Some(Item::Fin) => {
                // Fails only for a socket that is gone already.
                let _ = writer.shutdown().await;
                return Ended::Finished;
            }
            Some(Item::Reset) => return Ended::Reset,
            None => return Ended::Gone,
        }
    }
}
