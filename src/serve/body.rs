//! The body of an answer: pulled from a reader as fast as the client takes it, and no faster.
//!
//! It ends well only when every byte that the head promised was given. Anything else is an error, on which the
//! connection is broken off, so that no client takes a part for the whole.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::held::Held;
use crate::error::Error;

/// Bytes read at once. A read waits for its first byte only, so a larger one delays nothing.
const CHUNK: usize = 64 << 10;

/// What a body consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Given as it is: the head of a part.
    Text(Bytes),
    /// Bytes of the resource.
    Part(Range<u64>),
    /// All bytes from there on, of a resource whose length nobody knows.
    Rest(u64),
}

/// An answer's body.
#[derive(Debug)]
pub(super) struct MediaBody {
    held: Option<Held>,
    pieces: VecDeque<Piece>,
    /// Read before the head was sent.
    first: VecDeque<Bytes>,
    buf: Vec<u8>,
}

impl MediaBody {
    /// A body of `pieces`, read through `held`.
    pub(super) fn new(held: Held, pieces: Vec<Piece>) -> Self {
        Self { held: Some(held), pieces: pieces.into(), first: VecDeque::new(), buf: Vec::new() }
    }

    /// Reads the first bytes: as long as the head is not sent, a failure can be told by a status.
    pub(super) async fn prime(&mut self) -> Result<(), Error> {
        loop {
            let text = matches!(self.pieces.front(), Some(Piece::Text(_)));
            match std::future::poll_fn(|cx| self.poll_bytes(cx)).await? {
                Some(bytes) => self.first.push_back(bytes),
                None => return Ok(()),
            }
            if !text {
                return Ok(());
            }
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            match self.pieces.front().cloned() {
                None => return Poll::Ready(Ok(None)),
                Some(Piece::Text(text)) => {
                    self.pieces.pop_front();
                    return Poll::Ready(Ok(Some(text)));
                }
                Some(Piece::Part(range)) if range.is_empty() => drop(self.pieces.pop_front()),
                Some(Piece::Part(range)) => {
                    let bytes = ready!(self.poll_read(cx, range.start, range.end))?;
                    if bytes.is_empty() {
                        return Poll::Ready(Err(Error::Truncated { at: range.start }));
                    }
                    let at = range.start + bytes.len() as u64;
                    self.pieces[0] = Piece::Part(at..range.end);
                    return Poll::Ready(Ok(Some(bytes)));
                }
                Some(Piece::Rest(at)) => {
                    let bytes = ready!(self.poll_read(cx, at, u64::MAX))?;
                    match bytes.is_empty() {
                        true => drop(self.pieces.pop_front()),
                        false => {
                            self.pieces[0] = Piece::Rest(at + bytes.len() as u64);
                            return Poll::Ready(Ok(Some(bytes)));
                        }
                    }
                }
            }
        }
    }

    /// Bytes from `at` on, none of them at or past `end`; no bytes at the proven end of the resource.
    fn poll_read(&mut self, cx: &mut Context<'_>, at: u64, end: u64) -> Poll<Result<Bytes, Error>> {
        let Some(held) = &mut self.held else { return Poll::Ready(Err(Error::Cancelled)) };
        self.buf.resize(CHUNK, 0);
        let most = usize::try_from(end - at).map_or(CHUNK, |most| most.min(CHUNK));
        let read = ready!(held.poll_read_at(cx, at, &mut self.buf[..most]));
        Poll::Ready(match read {
            Ok(n) => Ok(Bytes::copy_from_slice(&self.buf[..n])),
            Err(error) => {
                held.failed(&error);
                self.held = None;
                Err(error)
            }
        })
    }

    /// Bytes still to come, if that is known.
    fn left(&self) -> Option<u64> {
        let first = self.first.iter().map(|bytes| bytes.len() as u64).sum();
        self.pieces.iter().try_fold(first, |sum: u64, piece| match piece {
            Piece::Text(text) => sum.checked_add(text.len() as u64),
            Piece::Part(range) => sum.checked_add(range.end - range.start),
            Piece::Rest(_) => None,
        })
    }
}

impl Body for MediaBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Some(bytes) = this.first.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match ready!(this.poll_bytes(cx)) {
            Ok(Some(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Ok(None) => {
                // The next request may need the reader before this body is dropped.
                this.held = None;
                Poll::Ready(None)
            }
            Err(error) => {
                tracing::warn!(%error, "an answer breaks off");
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
