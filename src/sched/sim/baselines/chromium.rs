//! As Chromium's multi-buffer does it: one loader from the wanted block to the end.
//!
//! A loader that is at most 160 KiB before the wanted byte is waited for; otherwise there is a new one. An old
//! one stays, unread, while its reader is at most 1.6 MiB behind where it got. It is left unread when the
//! preload window is full: ten seconds, within 2 and 50 MiB, and read on when 1 MiB of that is used.

use super::{Book, OneChannel, Rules, Wish};
use crate::byte_range::ByteRange;
use crate::sched::sim::policy::Wake;

/// Chromium-like.
pub(crate) type Chromium = OneChannel<MultiBuffer>;

/// `kDefaultBlockSizeShift`: 32 KiB.
const BLOCK: u64 = 32 << 10;
/// `kMaxWaitForWriterOffset`: 5 blocks.
const WAITS: u64 = 5 * BLOCK;
/// `kMaxWaitForReaderOffset`: 50 blocks.
const STAYS: u64 = 50 * BLOCK;
/// `kTargetSecondsBufferedAhead`.
const AHEAD_SECONDS: u64 = 10;
/// `kMinBufferPreload`.
const AHEAD_LEAST: u64 = 2 << 20;
/// `kMaxBufferPreload`.
const AHEAD_MOST: u64 = 50 << 20;
/// `kPreloadHighExtra`: the window is overfilled by so much before it rests.
const HYSTERESIS: u64 = 1 << 20;

/// Rules of `Chromium`.
#[derive(Debug, Default)]
pub(crate) struct MultiBuffer;

impl Rules for MultiBuffer {
    fn wish(&self, book: &Book) -> Wish {
        let need = book.run_end(book.cursor);
        if need >= book.end() {
            return Wish::Keep;
        }
        let ahead = need - book.cursor;
        let rate = book.rate.unwrap_or(0);
        let window = (rate * AHEAD_SECONDS).clamp(AHEAD_LEAST, AHEAD_MOST);
        match book.channel {
            Some(channel) if channel.head <= need && need - channel.head <= WAITS => {
                let full = if channel.paused { window } else { window + HYSTERESIS };
                Wish::Pause(ahead >= full)
            }
            // The reader is in stored ground a little behind the loader.
            Some(channel)
                if book.wanted.is_none()
                    && book.cursor <= channel.head
                    && channel.head - book.cursor <= STAYS =>
            {
                Wish::Pause(true)
            }
            Some(_) if book.wanted.is_none() && ahead >= window => Wish::Close,
            None if ahead >= window || !book.started => Wish::Keep,
            _ => Wish::Open(ByteRange::new(need / BLOCK * BLOCK, book.end())),
        }
    }

    fn wake(&self) -> Wake {
        Wake::Block(BLOCK)
    }
}
