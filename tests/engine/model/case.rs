//! One case of the model test: its readers, its steps, and what each step must come to.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::time::Duration;

use futures::FutureExt;
use kithara_file::{AsyncReader, ReaderHandle};

use crate::stage::{only, poll_once};
use crate::support::*;

/// Numbers that look random, the same ones for the same case (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to but without `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A reader of either skin, and where the model says that it stands.
struct Modelled {
    skin: Skin,
    handle: ReaderHandle,
    at: u64,
    /// Ordered by a handle and not yet noticed.
    ordered: Option<u64>,
    interrupted: bool,
}

enum Skin {
    Blocking(Reader),
    Async(AsyncReader),
}

impl Modelled {
    fn new(session: &Session, dice: &mut Dice) -> Self {
        let (skin, handle) = if dice.one_in(2) {
            let reader = session.reader();
            let handle = reader.handle();
            (Skin::Blocking(reader), handle)
        } else {
            let reader = session.async_reader();
            let handle = reader.handle();
            (Skin::Async(reader), handle)
        };
        Self { skin, handle, at: 0, ordered: None, interrupted: false }
    }

    /// What a non-empty read does first.
    fn notice_orders(&mut self) -> bool {
        self.at = self.ordered.take().unwrap_or(self.at);
        std::mem::take(&mut self.interrupted)
    }
}

/// One case.
pub(super) struct Case {
    pub(super) number: u64,
    pub(super) dice: Dice,
    pub(super) origin: Origin,
    pub(super) engine: Engine,
    pub(super) len: u64,
    pub(super) path: String,
    /// Closed gates: opened by a later step, or at the latest before a blocking call.
    pub(super) gates: Vec<Gate>,
    pub(super) trail: Vec<String>,
}

impl Case {
    fn note(&mut self, step: String) {
        self.trail.push(step);
    }

    pub(super) fn play(&mut self) {
        let steps = 8 + self.dice.below(24);
        let mut session = self.open();
        let mut readers = vec![Modelled::new(&session, &mut self.dice)];
        for _ in 0..steps {
            if self.dice.one_in(6) {
                self.misbehave();
            }
            let which = self.dice.below(readers.len() as u64) as usize;
            match self.dice.below(20) {
                0..=4 => self.read(&session, &mut readers[which]),
                5..=8 => self.seek(&mut readers[which]),
                9..=10 => self.try_read(&session, &mut readers[which]),
                11 => self.poll_and_drop(&session, &mut readers[which]),
                12 => self.order(&mut readers[which]),
                13 if readers.len() > 1 => {
                    self.note(format!("drop reader {which}"));
                    readers.swap_remove(which);
                }
                13 | 14 if readers.len() < 4 => {
                    self.note("new reader".into());
                    readers.push(Modelled::new(&session, &mut self.dice));
                }
                15 => self.hint(&session),
                16 => self.tune(),
                17 => {
                    self.note("fetch_all, dropped".into());
                    let mut all = Box::pin(session.fetch_all());
                    let _ = poll_once(&mut all);
                }
                18 if self.dice.one_in(3) => {
                    self.end(session, readers);
                    session = self.open();
                    readers = vec![Modelled::new(&session, &mut self.dice)];
                }
                _ => self.look(&session),
            }
        }
        self.origin.clear_rules(&self.path);
        self.open_gates();
        for reader in &mut readers {
            self.read(&session, reader);
        }
    }

    fn open(&mut self) -> Session {
        self.note("open".into());
        self.open_gates();
        for _ in 0..30 {
            match self.engine.open_blocking(self.origin.url(&self.path)) {
                Ok(session) => return session,
                Err(error) => self.allow(&error),
            }
            self.origin.clear_rules(&self.path);
        }
        panic!("it does not open");
    }

    /// An error is allowed if it is one that faults of this kind lead to, and that may pass.
    fn allow(&mut self, error: &Error) {
        self.note(format!("  {error}"));
        let known = matches!(error, Error::Network(_) | Error::Truncated { .. });
        assert!(known && !error.is_fatal(), "not allowed here: {error:?}");
    }

    pub(super) fn open_gates(&mut self) {
        self.gates.drain(..).for_each(|gate| gate.open());
    }

    fn misbehave(&mut self) {
        let bytes = self.dice.below(self.len / 2 + 2);
        let (name, rule) = match self.dice.below(9) {
            0 => ("reset", Rule::reset_after(bytes)),
            1 => ("close", Rule::close_after(bytes)),
            2 => ("shorter", Rule::shorter(bytes.max(1))),
            3 => ("503", Rule::status(503, "busy")),
            4 => ("200", Rule::ignore_range()),
            5 => ("total *", Rule::total_unknown()),
            6 | 7 => {
                let gate = Gate::new();
                self.gates.push(gate.clone());
                ("gated body", Rule::gate_body(bytes, &gate))
            }
            _ => {
                let gate = Gate::new();
                self.gates.push(gate.clone());
                ("gated head", Rule::gate_head(&gate))
            }
        };
        let times = 1 + self.dice.below(4);
        self.note(format!("origin: {name} at {bytes}, {times} times"));
        self.origin.rule(&self.path, rule.times(times));
    }

    fn buffer(&mut self) -> Vec<u8> {
        let most = if self.dice.one_in(4) { self.len + 10 } else { 5000 };
        vec![0; 1 + self.dice.below(most) as usize]
    }

    /// Reads until bytes, or the end, or an error that is due.
    fn read(&mut self, session: &Session, reader: &mut Modelled) {
        let mut buf = self.buffer();
        self.note(format!("read {} at {} (ordered {:?})", buf.len(), reader.at, reader.ordered));
        self.open_gates();
        let interrupted = reader.notice_orders();
        for _ in 0..40 {
            let result = match &mut reader.skin {
                Skin::Blocking(reader) => reader.read(&mut buf).map_err(typed),
                Skin::Async(reader) => wait(reader.read(&mut buf)),
            };
            match result {
                Err(Error::Interrupted) => {
                    assert!(interrupted, "interrupted by nobody");
                    return;
                }
                Err(error) => self.allow(&error),
                Ok(n) => {
                    assert!(!interrupted, "the interrupt was lost");
                    return self.got(session, reader, &buf[..n]);
                }
            }
            self.origin.clear_rules(&self.path);
        }
        panic!("it never gets its bytes");
    }

    fn try_read(&mut self, session: &Session, reader: &mut Modelled) {
        let mut buf = self.buffer();
        self.note(format!("try_read {} at {}", buf.len(), reader.at));
        let interrupted = reader.notice_orders();
        let result = match &mut reader.skin {
            Skin::Blocking(reader) => reader.try_read(&mut buf),
            Skin::Async(reader) => reader.try_read(&mut buf),
        };
        match result {
            Err(Error::Interrupted) => assert!(interrupted, "interrupted by nobody"),
            Err(error) => self.allow(&error),
            Ok(None) => {
                assert!(!interrupted && self.may_wait(session, reader.at), "nothing to wait for");
            }
            Ok(Some(n)) => {
                assert!(!interrupted, "the interrupt was lost");
                self.got(session, reader, &buf[..n]);
            }
        }
    }

    /// Past the end there is something to wait for only while the end is unknown.
    fn may_wait(&self, session: &Session, at: u64) -> bool {
        at < self.len || session.len().is_none()
    }

    /// D2: a future that is dropped has done nothing, unless it was ready.
    fn poll_and_drop(&mut self, session: &Session, reader: &mut Modelled) {
        let mut buf = self.buffer();
        self.note(format!("poll and drop {} at {}", buf.len(), reader.at));
        let Skin::Async(skin) = &mut reader.skin else {
            let Skin::Blocking(skin) = &reader.skin else { return };
            let _ = Box::pin(skin.ready_at(reader.at)).now_or_never();
            return;
        };
        let polled = skin.read(&mut buf).now_or_never();
        let interrupted = reader.notice_orders();
        match polled {
            None => assert!(!interrupted && self.may_wait(session, reader.at)),
            Some(Err(Error::Interrupted)) => assert!(interrupted),
            Some(Err(error)) => self.allow(&error),
            Some(Ok(n)) => self.got(session, reader, &buf[..n]),
        }
    }

    /// Right bytes, all of them covered, and never an end before the end.
    fn got(&mut self, session: &Session, reader: &mut Modelled, bytes: &[u8]) {
        let (at, n) = (reader.at, bytes.len() as u64);
        if n == 0 {
            assert!(at >= self.len, "an end at {at} of {}", self.len);
            assert!(session.len().is_none_or(|len| len == self.len));
            return;
        }
        assert!(at + n <= self.len, "{n} bytes at {at} of {}", self.len);
        assert_eq!(pattern::first_wrong(bytes, at, 0), None, "{n} bytes at {at}");
        let covered = session.coverage();
        assert!(
            covered.iter().any(|run| run.start <= at && at + n <= run.end),
            "{n} bytes at {at} were read outside of {covered:?}"
        );
        reader.at += n;
        assert_eq!(reader.handle.position(), reader.at);
    }

    fn seek(&mut self, reader: &mut Modelled) {
        let place = self.dice.below(self.len + self.len / 8 + 2);
        let from = reader.ordered.take().unwrap_or(reader.at);
        reader.at = from;
        let (to, expected) = match self.dice.below(4) {
            0 => {
                let by = place as i64 - from as i64;
                (SeekFrom::Current(by), Some(place))
            }
            1 => (SeekFrom::End(place as i64 - self.len as i64), Some(place)),
            2 if self.dice.one_in(4) => (SeekFrom::Current(-(from as i64) - 1), None),
            _ => (SeekFrom::Start(place), Some(place)),
        };
        self.note(format!("seek {to:?} from {from}"));
        let result = match &mut reader.skin {
            Skin::Blocking(reader) => reader.seek(to),
            Skin::Async(skin) => {
                let sought = tokio::io::AsyncSeek::start_seek(std::pin::Pin::new(skin), to);
                sought.map(|()| reader.handle.position())
            }
        };
        match (result, expected) {
            (Ok(at), Some(expected)) => {
                assert_eq!(at, expected);
                reader.at = at;
            }
            (Err(error), None) => assert_eq!(error.kind(), ErrorKind::InvalidInput),
            // The length may be unknown yet; then nothing has moved.
            (Err(error), Some(_)) => {
                assert!(matches!(to, SeekFrom::End(_)), "{error:?}");
                assert_eq!(error.kind(), ErrorKind::Unsupported);
            }
            (Ok(at), None) => panic!("sought before the start, to {at}"),
        }
    }

    /// E11: orders by handle while no read is on.
    fn order(&mut self, reader: &mut Modelled) {
        if self.dice.one_in(3) {
            self.note("interrupt".into());
            reader.handle.interrupt();
            reader.interrupted = true;
        } else {
            let to = self.dice.below(self.len + 2);
            self.note(format!("seek_to {to}"));
            reader.handle.seek_to(to);
            reader.ordered = Some(to);
        }
    }

    fn hint(&mut self, session: &Session) {
        let start = self.dice.below(self.len + 2);
        let end = start + self.dice.below(self.len);
        self.note(format!("hints {start}..{end}"));
        match self.dice.below(5) {
            0 => session.hint_seek(start),
            1 => session.prefetch(start..end, None),
            2 => session.prefetch(start..end, Some(Duration::from_millis(1))),
            3 => session.set_rate_hint(end - start),
            _ => session.set_playing(self.dice.one_in(2)),
        }
    }

    /// P8: the knobs are turned while everything runs.
    fn tune(&mut self) {
        let mut tunables = config(&mut self.dice).tunables;
        tunables.fetch.seek_grace = Duration::from_millis(self.dice.below(3));
        self.note(format!("reconfigure: {:?} {:?}", tunables.fetch, tunables.readahead.enabled));
        self.engine.reconfigure(tunables).unwrap();
    }

    /// D1: whichever way it ends, every reader says so.
    fn end(&mut self, session: Session, readers: Vec<Modelled>) {
        let how = self.dice.below(3);
        self.note(format!("end {how}"));
        match how {
            0 => drop(session),
            1 => wait(session.close()),
            _ => {
                session.cancel_token().cancel();
                drop(session);
            }
        }
        for mut reader in readers {
            let ended = match &mut reader.skin {
                Skin::Blocking(reader) => reader.read(&mut [0; 3]).map_err(typed),
                Skin::Async(reader) => wait(reader.read(&mut [0; 3])),
            };
            assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
        }
    }

    fn look(&mut self, session: &Session) {
        let snapshot = session.snapshot();
        let merged = |spans: &[std::ops::Range<u64>]| {
            spans.iter().all(|span| span.start < span.end)
                && spans.windows(2).all(|pair| pair[0].end < pair[1].start)
        };
        assert!(merged(&snapshot.covered) && merged(&snapshot.wanted), "{snapshot:?}");
        assert!(snapshot.covered.last().is_none_or(|last| last.end <= self.len));
        assert!(snapshot.len.is_none_or(|len| len == self.len));
        if snapshot.complete && self.len > 0 {
            assert_eq!(session.coverage(), only(0..self.len));
        }
        if self.dice.one_in(2) {
            self.note("a gate opens".into());
            self.gates.pop().into_iter().for_each(|gate| gate.open());
        }
    }
}

fn typed(error: std::io::Error) -> Error {
    assert!(!matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::UnexpectedEof));
    Error::from_io(&error).unwrap_or_else(|| panic!("not the engine's: {error:?}")).clone()
}

/// Unlike `block_on` of the support, without a bound: that is the watchdog's.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(super) fn config(dice: &mut Dice) -> Config {
    let mut config = if dice.one_in(2) { frugal() } else { quick() };
    let tunables = &mut config.tunables;
    tunables.retry.max_attempts = 1 + dice.below(4) as u32;
    tunables.readahead.initial_window = 4 << (10 + dice.below(4));
    tunables.readahead.min_window = 8 << 10;
    if dice.one_in(2) {
        tunables.readahead.whole_file = 0;
    }
    tunables.fetch.max_fetches = 1 + dice.below(4) as u32;
    tunables.fetch.demand_min = 4 << 10;
    tunables.fetch.demand_max = 4 << (10 + dice.below(4));
    tunables.fetch.segment_max = 64 << 10;
    tunables.fetch.wait_min = dice.below(8 << 10);
    config
}
