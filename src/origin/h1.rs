//! HTTP/1.1 by hand: full control over every byte that goes out.
//!
//! One task per connection reads a head, asks the origin for the answer and writes it, with the
//! script's steps at their exact offsets. While it writes or waits it also reads, so that a client that
//! goes away is noticed at once and not at the next write.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use super::answer::{Answer, Framing, Step};
use super::log::End;
use super::parts::{Part, Parts};
use super::request::Request;
use super::shared::Shared;
use super::wire::{Control, Stream};

/// Largest head of a request.
const MAX_HEAD: usize = 64 * 1024;

/// One connection.
pub(super) struct Http1 {
    /// The origin.
    shared: Arc<Shared>,
    /// Number of the connection.
    connection: u64,
    /// From the client.
    reader: ReadHalf<Stream>,
    /// To the client.
    writer: WriteHalf<Stream>,
    /// Says how the connection is to be closed.
    control: Control,
    /// Read and not yet used.
    pending: Vec<u8>,
}

/// Why an answer, and with it the connection, ended before its time.
enum Broken {
    /// The client went away.
    Aborted,
    /// The script wants a reset.
    Reset,
    /// The script wants an orderly close.
    Close,
}

impl Http1 {
    /// A connection from which `pending` was read already.
    pub(super) fn new(
        shared: Arc<Shared>,
        connection: u64,
        stream: Stream,
        control: Control,
        pending: Vec<u8>,
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { shared, connection, reader, writer, control, pending }
    }

    /// Serves the connection until one side ends it.
    pub(super) async fn serve(mut self) {
        while let Some(request) = self.next_request().await {
            let (number, answer) = self.shared.begin(self.connection, &request);
            let outcome = self.answer(number, &request, answer).await;
            let end = match outcome {
                Ok(_) => End::Finished,
                Err(Broken::Aborted) => End::Aborted,
                Err(Broken::Reset | Broken::Close) => End::Cut,
            };
            self.shared.ended(number, end);
            match outcome {
                Ok(true) => {}
                Ok(false) | Err(Broken::Close) => return self.close().await,
                Err(Broken::Reset) => return self.reset().await,
                Err(Broken::Aborted) => return,
            }
        }
    }

    /// Reads the next head; `None` when there is none to come.
    async fn next_request(&mut self) -> Option<Request> {
        let head_len = loop {
            let end = self.pending.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            if self.pending.len() > MAX_HEAD {
                return None;
            }
            if !self.read_some().await {
                return None;
            }
        };
        let request = Request::parse(&self.pending[..head_len - 4])?;
        self.pending.drain(..head_len);
        // A request body is read and forgotten.
        let mut left = request.body_len();
        while left > 0 {
            if self.pending.is_empty() && !self.read_some().await {
                return None;
            }
            let used = left.min(self.pending.len() as u64);
            self.pending.drain(..used as usize);
            left -= used;
        }
        Some(request)
    }

    /// Reads into `pending`; false at the client's end.
    async fn read_some(&mut self) -> bool {
        matches!(self.reader.read_buf(&mut self.pending).await, Ok(count) if count > 0)
    }

    /// Sends one answer; whether the connection can serve another.
    async fn answer(
        &mut self,
        number: u64,
        request: &Request,
        answer: Answer,
    ) -> Result<bool, Broken> {
        for step in &answer.before_head {
            self.step(step).await?;
        }
        let bodiless = request.method == "HEAD" || matches!(answer.status, 100..200 | 204 | 304);
        let closes = request.wants_close() || answer.framing == Framing::Close;
        let head = head_bytes(&answer, closes);
        self.shared.head_sent(number);
        self.write_head(&head, answer.mid_head.as_ref()).await?;
        if bodiless {
            self.flush().await?;
            return Ok(!closes);
        }
        let sent = self.write_body(number, &answer).await?;
        if answer.framing == Framing::Chunked {
            self.write(b"0\r\n\r\n").await?;
        }
        self.flush().await?;
        // A body that isn't as long as promised leaves no way to go on.
        let lies = matches!(answer.framing, Framing::Lying(len) if len != sent);
        Ok(!closes && !lies && answer.framing != Framing::Silent)
    }

    /// Writes the head, with the step in its middle.
    async fn write_head(
        &mut self,
        head: &[u8],
        middle: Option<&(usize, Step)>,
    ) -> Result<(), Broken> {
        let Some((at, step)) = middle else { return self.write(head).await };
        let (before, after) = head.split_at((*at).min(head.len()));
        self.write(before).await?;
        self.step(step).await?;
        self.write(after).await
    }

    /// Writes the body, with the script's steps at their offsets; how many bytes it had.
    async fn write_body(&mut self, number: u64, answer: &Answer) -> Result<u64, Broken> {
        let mut parts = Parts::new(answer, self.shared.write_size());
        while let Some(part) = parts.next() {
            match part {
                Part::Step(step) => self.step(step).await?,
                Part::Bytes(bytes) => {
                    self.write_chunk(answer.framing, bytes).await?;
                    self.shared.body_sent(number, bytes.len() as u64);
                }
            }
        }
        Ok(parts.sent())
    }

    /// Writes a part of the body in its framing.
    async fn write_chunk(&mut self, framing: Framing, chunk: &[u8]) -> Result<(), Broken> {
        if framing != Framing::Chunked {
            return self.write(chunk).await;
        }
        let mut framed = format!("{:x}\r\n", chunk.len()).into_bytes();
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
        self.write(&framed).await
    }

    /// Writes all, unless the client goes away.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let (writer, reader, pending) = (&mut self.writer, &mut self.reader, &mut self.pending);
        tokio::select! {
            biased;
            () = gone(reader, pending) => Err(Broken::Aborted),
            written = writer.write_all(bytes) => written.map_err(|_| Broken::Aborted),
        }
    }

    /// Flushes layers above the socket, such as TLS.
    async fn flush(&mut self) -> Result<(), Broken> {
        self.writer.flush().await.map_err(|_| Broken::Aborted)
    }

    /// Does one step of the script.
    async fn step(&mut self, step: &Step) -> Result<(), Broken> {
        self.flush().await?;
        let (reader, pending) = (&mut self.reader, &mut self.pending);
        let wait = async {
            match step {
                Step::Gate(gate) => gate.pass().await,
                Step::Delay(delay) => tokio::time::sleep(*delay).await,
                Step::Stall => std::future::pending().await,
                Step::Reset => return Err(Broken::Reset),
                Step::Close => return Err(Broken::Close),
            }
            Ok(())
        };
        tokio::select! {
            biased;
            done = wait => done,
            () = gone(reader, pending) => Err(Broken::Aborted),
        }
    }

    /// Closes in good order: what was written arrives, then the end.
    async fn close(mut self) {
        if self.writer.shutdown().await.is_ok() {
            // Closing with unread input would turn into a reset; so the client goes first.
            self.pending.clear();
            while self.read_some().await {
                self.pending.clear();
            }
        }
    }

    /// Closes with a reset, after what was written.
    async fn reset(mut self) {
        self.control.reset_at_end();
        let _ = self.writer.shutdown().await;
    }
}

/// Ends when the client closes or resets; what it sends meanwhile goes to `pending`.
async fn gone(reader: &mut ReadHalf<Stream>, pending: &mut Vec<u8>) {
    loop {
        if pending.len() > MAX_HEAD {
            return std::future::pending().await;
        }
        if !matches!(reader.read_buf(pending).await, Ok(count) if count > 0) {
            return;
        }
    }
}

/// The interim heads and the head as they go out.
fn head_bytes(answer: &Answer, closes: bool) -> Vec<u8> {
    let mut out: Vec<u8> = answer.interim.concat().into_bytes();
    if let Some(raw) = &answer.raw_head {
        out.extend_from_slice(raw);
        return out;
    }
    let reason = http::StatusCode::from_u16(answer.status).ok();
    let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or("Unknown");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match answer.framing {
        Framing::Length => head.push_str(&format!("Content-Length: {}\r\n", answer.body_len())),
        Framing::Lying(len) => head.push_str(&format!("Content-Length: {len}\r\n")),
        Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        Framing::Close | Framing::Silent => {}
    }
    if closes {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    out.extend_from_slice(head.as_bytes());
    out
}
