//! As Firefox's media cache does it: one channel from the wanted block to the end.
//!
//! The channel is sought anew when the next missing byte lies behind it or more than 1 MiB ahead. Everything
//! received is kept; a read returns when its block of 32 KiB is whole. Reading rests when a minute is
//! buffered and goes on at half a minute, by leaving the socket unread.

use super::{Book, OneChannel, Rules, Wish};
use crate::byte_range::ByteRange;
use crate::sched::sim::policy::Wake;

/// Firefox-like.
pub(crate) type Firefox = OneChannel<MediaCache>;

/// `MediaCacheStream::BLOCK_SIZE`.
const BLOCK: u64 = 32 << 10;
/// `SEEK_VS_READ_THRESHOLD`.
const READS_THROUGH: u64 = 1 << 20;
/// `media.cache_readahead_limit`, in seconds.
const FULL: u64 = 60;
/// `media.cache_resume_threshold`, in seconds.
const RESUME: u64 = 30;
/// Rate until one is known: 5 Mbit/s.
const GUESS: u64 = 625_000;

/// Rules of `Firefox`.
#[derive(Debug, Default)]
pub(crate) struct MediaCache;

impl Rules for MediaCache {
    fn wish(&self, book: &Book) -> Wish {
        let need = book.run_end(book.cursor);
        if need >= book.end() {
            return Wish::Keep;
        }
        let block = need / BLOCK * BLOCK;
        let ahead = (need - book.cursor) / book.rate.unwrap_or(GUESS).max(1);
        match book.channel {
            Some(channel) if channel.head <= need && need - channel.head <= READS_THROUGH => {
                let full = if channel.paused { RESUME } else { FULL };
                Wish::Pause(ahead >= full)
            }
            None if ahead >= RESUME || !book.started => Wish::Keep,
            _ => Wish::Open(ByteRange::new(block, book.end())),
        }
    }

    fn wake(&self) -> Wake {
        Wake::Block(BLOCK)
    }
}
