//! The least that a client can do.

use super::{Book, OneChannel, Rules, Wish};
use crate::byte_range::ByteRange;

/// One request for each place, of the bytes that will be read there, over a kept connection; nothing is kept.
pub(crate) type Naive = OneChannel<SingleRange>;

/// One request from the seek to the end, dropped at the next one; nothing is kept.
pub(crate) type OpenEnded = OneChannel<ToTheEnd>;

/// What an open-ended client has read out of its socket and not used yet; the rest waits in the machine.
const READ_OUT: u64 = 64 << 10;

/// Rules of `Naive`.
#[derive(Debug, Default)]
pub(crate) struct SingleRange;

impl Rules for SingleRange {
    fn wish(&self, book: &Book) -> Wish {
        match (book.wanted, book.channel) {
            // An answer is read to its end, so that its connection is kept.
            (Some(range), None) if book.run_end(range.start) == range.start => {
                Wish::Open(ByteRange::at(range.start, range.len().max(book.plan)))
            }
            _ => Wish::Keep,
        }
    }

    fn keeps(&self) -> bool {
        false
    }
}

/// Rules of `OpenEnded`.
#[derive(Debug, Default)]
pub(crate) struct ToTheEnd;

impl Rules for ToTheEnd {
    fn wish(&self, book: &Book) -> Wish {
        let here = book.cursor;
        let on = match book.channel {
            Some(channel) if here >= channel.range.start && here <= channel.head => channel,
            _ => match book.wanted {
                Some(range) => return Wish::Open(ByteRange::new(range.start, book.end())),
                None => return Wish::Keep,
            },
        };
        // It had that byte, and threw it away.
        if book.asked && on.head != here {
            return Wish::Open(ByteRange::new(here, book.end()));
        }
        Wish::Pause(book.wanted.is_none() && on.head - here >= READ_OUT)
    }

    fn keeps(&self) -> bool {
        false
    }
}
