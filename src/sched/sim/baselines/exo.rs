//! As ExoPlayer with a cache does it: every seek out of the buffer reopens.
//!
//! At each place it asks for exactly the hole there, however near the running request may be. What is stored
//! costs nothing. Loading rests when 50 s are buffered.

use super::{Book, OneChannel, Rules, Wish};
use crate::byte_range::ByteRange;

/// ExoPlayer-like.
pub(crate) type ExoPlayer = OneChannel<CacheDataSource>;

/// `DEFAULT_MAX_BUFFER_MS`, in seconds.
const FULL: u64 = 50;
/// Most bytes in the buffer, `DEFAULT_VIDEO_BUFFER_SIZE`.
const FULL_BYTES: u64 = 125 << 20;
/// Rate until one is known: 5 Mbit/s.
const GUESS: u64 = 625_000;
/// It goes on loading when so many bytes of the buffer are used.
const STEP: u64 = 64 << 10;

/// Rules of `ExoPlayer`.
#[derive(Debug, Default)]
pub(crate) struct CacheDataSource;

impl Rules for CacheDataSource {
    fn wish(&self, book: &Book) -> Wish {
        let need = book.run_end(book.cursor);
        let hole = ByteRange::new(need, book.hole_end(need));
        let most = (book.rate.unwrap_or(GUESS) * FULL).min(FULL_BYTES);
        let full = need - book.cursor >= most;
        match book.channel {
            Some(channel) if channel.head == need => {
                let rested = channel.paused && need - book.cursor + STEP > most;
                Wish::Pause(full || rested)
            }
            Some(_) if need >= book.end() || full => Wish::Close,
            None if need >= book.end() || full || !book.started => Wish::Keep,
            _ => Wish::Open(hole),
        }
    }
}
