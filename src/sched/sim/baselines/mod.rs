//! Baselines: what users would have without this crate, coded after what the sources of players and browsers
//! say, and driven by the same world as the scheduler.
//!
//! All have one channel: one request at a time. After each event they look at the book (what is stored, where
//! the reader is, how far the channel got) and say what the channel should do; `OneChannel` does the rest.
//!
//! | file | does |
//! |---|---|
//! | `naive` | one request for each place, on a kept connection; one request up to the end, dropped at each seek |
//! | `firefox` | reads on if the place is at most 1 MiB ahead, otherwise reopens; blocks of 32 KiB |
//! | `chromium` | the same with 160 KiB ahead, 1.6 MiB behind, and a preload window |
//! | `exo` | reopens at each seek, up to the end of the hole |

mod chromium;
mod exo;
mod firefox;
mod naive;
#[cfg(test)]
mod tests;

use rangemap::RangeSet;

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::ids::{FetchId, Lane, ReaderId, ResourceId};
use crate::sched::sim::policy::{Policy, Wake};
use crate::sched::{Action, Class, Event};
use crate::time::Micros;

pub(crate) use chromium::Chromium;
pub(crate) use exo::ExoPlayer;
pub(crate) use firefox::Firefox;
pub(crate) use naive::{Naive, OpenEnded};

/// A reader tells again where it is after so many bytes.
const TELLS: u64 = 32 << 10;
/// Stands for the end of a resource whose length is not known yet.
const UNKNOWN_END: u64 = 1 << 39;

/// The one request that runs.
#[derive(Debug, Clone, Copy)]
struct Channel {
    fetch: FetchId,
    /// What it asked for.
    range: ByteRange,
    /// Where it got.
    head: u64,
    paused: bool,
}

/// What is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    len: Option<u64>,
    covered: RangeSet<u64>,
    /// Where the reader is, as far as it told.
    cursor: u64,
    /// So many bytes are read after a seek.
    plan: u64,
    /// What a blocked read waits for.
    wanted: Option<ByteRange>,
    /// Somebody read at all.
    started: bool,
    /// A read became blocked just now.
    asked: bool,
    channel: Option<Channel>,
    /// How fast the reader consumes, in bytes per second.
    rate: Option<u64>,
}

impl Book {
    /// The end of the stored run at `at`; `at` itself if that byte is missing.
    fn run_end(&self, at: u64) -> u64 {
        self.covered.get(&at).map_or(at, |run| run.end)
    }

    /// The first stored byte after `at`, or the end.
    fn hole_end(&self, at: u64) -> u64 {
        let next = self.covered.overlapping(&(at..UNKNOWN_END)).next();
        next.map_or(self.end(), |run| run.start.max(at))
    }

    fn end(&self) -> u64 {
        self.len.unwrap_or(UNKNOWN_END)
    }
}

/// What the channel should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Go on as it is, or stay closed.
    Keep,
    /// Be read, or be left unread.
    Pause(bool),
    /// Be closed, and nothing in its place.
    Close,
    /// Be closed if there is one, and a new request be made.
    Open(ByteRange),
}

/// One way to use one channel.
pub(crate) trait Rules: Default {
    /// What the channel should do now.
    fn wish(&self, book: &Book) -> Wish;

    /// When a blocked read returns.
    fn wake(&self) -> Wake {
        Wake::FirstByte
    }

    /// Whether what was received is kept.
    fn keeps(&self) -> bool {
        true
    }
}

/// Does what the rules wish.
#[derive(Debug, Default)]
pub(crate) struct OneChannel<R> {
    rules: R,
    book: Book,
    made: u64,
}

impl<R: Rules> OneChannel<R> {
    fn note(&mut self, event: &Event, out: &mut Vec<Action>) {
        let book = &mut self.book;
        book.asked = false;
        match event {
            Event::ResourceOpened { len, covered, .. } => {
                book.len = *len;
                book.covered.extend(covered.iter().map(|range| range.to_std()));
            }
            Event::LenKnown { len, .. } => book.len = Some(*len),
            Event::Demand { reader, range, .. } => {
                (book.asked, book.started) = (true, true);
                book.wanted = Some(range.until(book.end()));
                if !self.rules.keeps() {
                    book.covered.clear();
                }
                self.at(*reader, range.start, out);
            }
            Event::Moved { reader, position } => self.at(*reader, *position, out),
            Event::DemandWithdrawn { .. } => book.wanted = None,
            Event::RateDeclared { bytes_per_second, .. } => book.rate = *bytes_per_second,
            Event::Written { fetch, range } => {
                book.covered.insert(range.to_std());
                if let Some(channel) = book.channel.as_mut().filter(|one| one.fetch == *fetch) {
                    channel.head = range.end;
                }
            }
            Event::FetchEnded { fetch, .. } => {
                book.channel = book.channel.filter(|one| one.fetch != *fetch);
            }
            _ => {}
        }
        // A read that got what it waited for waits no longer; one that is woken by whole blocks waits for its block.
        let until = |range: &ByteRange| match self.rules.wake() {
            Wake::FirstByte => range.end,
            Wake::Block(size) => {
                range.end.max((range.start / size + 1) * size).min(self.book.end())
            }
        };
        let got = |range: &ByteRange| self.book.run_end(range.start) >= until(range);
        self.book.wanted = self.book.wanted.filter(|range| !got(range));
    }

    fn at(&mut self, reader: ReaderId, position: u64, out: &mut Vec<Action>) {
        self.book.cursor = position;
        out.push(Action::SetRefill { reader, at: position + TELLS });
    }

    fn close(&mut self, out: &mut Vec<Action>) {
        if let Some(channel) = self.book.channel.take() {
            out.push(Action::CancelFetch { fetch: channel.fetch });
            if !self.rules.keeps() {
                self.book.covered.clear();
            }
        }
    }

    fn open(&mut self, range: ByteRange, out: &mut Vec<Action>) {
        let range = range.until(self.book.end());
        if range.is_empty() {
            return;
        }
        self.made += 1;
        let (fetch, resource) = (FetchId(self.made), ResourceId(1));
        self.book.channel = Some(Channel { fetch, range, head: range.start, paused: false });
        let (lane, class, attempt) = (Lane::Demand, Class::Blocked, 1);
        out.push(Action::StartFetch { fetch, resource, range, lane, class, attempt });
    }
}

impl<R: Rules> Policy for OneChannel<R> {
    fn begin(_: &Tunables, _: u8, _: u64) -> Self {
        Self { rules: R::default(), book: Book::default(), made: 0 }
    }

    fn handle(&mut self, _: Micros, event: Event, out: &mut Vec<Action>) {
        self.note(&event, out);
        match self.rules.wish(&self.book) {
            Wish::Keep => {}
            Wish::Pause(paused) => {
                if let Some(channel) = &mut self.book.channel
                    && channel.paused != paused
                {
                    channel.paused = paused;
                    out.push(Action::PauseFetch { fetch: channel.fetch, paused });
                }
            }
            Wish::Close => self.close(out),
            Wish::Open(range) => {
                self.close(out);
                self.open(range, out);
            }
        }
    }

    fn plan(&mut self, bytes: u64) {
        self.book.plan = bytes;
    }

    fn due(&self) -> Option<Micros> {
        None
    }

    fn popped(&self) -> Option<u64> {
        None
    }

    fn asks_once(&self, _: ResourceId) -> bool {
        false
    }

    fn wake(&self) -> Wake {
        self.rules.wake()
    }

    fn keeps(&self) -> bool {
        self.rules.keeps()
    }
}
