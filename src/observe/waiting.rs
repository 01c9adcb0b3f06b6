//! A read that waits for its first byte: after a seek, or because read-ahead came too late.

use tracing::Span;

use super::meters::{self, SEEK_SECONDS, STALL_SECONDS};
use super::spans;
use crate::error::Error;
use crate::ids::{ReaderId, ResourceId};
use crate::time::Micros;

/// How a wait ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome<'a> {
    /// The byte is there.
    Arrived,
    /// Nobody waits for it any more: another seek, an interrupt, the reader's end.
    Left,
    /// It cannot be had.
    Failed(&'a Error),
}

/// A wait under way.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The place whose byte is waited for.
    pub(crate) at: u64,
    span: Span,
    since: Micros,
    is_seek: bool,
}

impl Waiting {
    /// A wait that begins at `now`. `expected` is where the reader would have read on.
    pub(crate) fn begin(
        session: &Span,
        (resource, reader): (ResourceId, ReaderId),
        expected: Option<u64>,
        at: u64,
        now: Micros,
    ) -> Self {
        let is_seek = expected != Some(at);
        let span = match is_seek {
            true => spans::seek(session, resource, reader, expected, at),
            false => spans::stall(session, resource, reader, at),
        };
        Self { at, span, since: now, is_seek }
    }

    /// It ends at `now`.
    pub(crate) fn end(self, now: Micros, outcome: Outcome<'_>) {
        let span = &self.span;
        match outcome {
            Outcome::Arrived => {
                let took = now.since(self.since);
                span.record("first_byte_ms", spans::ms(took));
                span.record("outcome", "arrived");
                let histogram = if self.is_seek { &SEEK_SECONDS } else { &STALL_SECONDS };
                meters::observe(histogram, took);
            }
            Outcome::Left => {
                span.record("outcome", "left");
            }
            Outcome::Failed(error) => {
                span.record("outcome", "failed");
                span.record("error", tracing::field::display(error));
            }
        }
    }
}
