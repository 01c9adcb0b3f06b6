//! A player without sound or picture: reads at a steady rate, seeks, pauses.
//!
//! A task of its own: a read that is given up for every picture would withdraw its demand each time.

use std::collections::VecDeque;
use std::io::SeekFrom;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kithara_file::{AsyncReader, Session};
use tokio::io::AsyncSeekExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::failure::Failure;

/// It asks for the next bytes so often.
const TICK: Duration = Duration::from_millis(50);

/// Read at once after a seek, playing or not: a picture, about.
const PICTURE: u64 = 64 << 10;

/// So many waits are remembered, as the server does.
const REMEMBERED: usize = 256;

/// What a player is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// Go on at this byte.
    Seek(u64),
    /// Pause if it plays, else play.
    Toggle,
}

/// How it stands. Places are in bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Played {
    pub(super) position: u64,
    /// Bytes per second of play.
    pub(super) rate: u64,
    pub(super) is_playing: bool,
    /// Since when a read waits.
    pub(super) waiting: Option<Instant>,
    /// How long the latest seeks waited for their first byte, the oldest first.
    pub(super) seeks: VecDeque<Duration>,
    /// How many there were in all.
    pub(super) seek_count: u64,
    /// How often play stood still though nobody sought.
    pub(super) stalls: u64,
    /// Whether all was played.
    pub(super) at_end: bool,
}

impl Played {
    /// A seek waited that long.
    pub(super) fn note_seek(&mut self, wait: Duration) {
        if self.seeks.len() == REMEMBERED {
            self.seeks.pop_front();
        }
        self.seeks.push_back(wait);
        self.seek_count += 1;
    }
}

/// The near end of the player.
#[derive(Debug)]
pub(super) struct Player {
    orders: mpsc::UnboundedSender<Order>,
    played: Arc<Mutex<Played>>,
}

impl Player {
    /// Plays `session` from its start at `rate` bytes per second. The task ends when a read fails, or the near end is
    /// dropped.
    pub(super) fn start(session: &Session, rate: u64) -> (Self, JoinHandle<Result<(), Failure>>) {
        let (orders, inbox) = mpsc::unbounded_channel();
        // As any player that has read the header.
        session.set_rate_hint(rate);
        let now = Played { rate, is_playing: true, ..Played::default() };
        let played = Arc::new(Mutex::new(now));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let run = Run {
            reader: session.async_reader(),
            orders: inbox,
            played: played.clone(),
            ticks,
            sought: Some(Instant::now()),
            is_filling: true,
            buf: Vec::new(),
        };
        (Self { orders, played }, tokio::spawn(run.run()))
    }

    /// Tells it. After its end nobody hears.
    pub(super) fn order(&self, order: Order) {
        if let Order::Seek(to) = order {
            // At once, so that the next key counts from there.
            lock(&self.played).position = to;
        }
        let _ = self.orders.send(order);
    }

    /// How it stands.
    pub(super) fn played(&self) -> Played {
        lock(&self.played).clone()
    }

    /// Bytes per second of play.
    pub(super) fn rate(&self) -> u64 {
        lock(&self.played).rate
    }
}

fn lock(played: &Mutex<Played>) -> std::sync::MutexGuard<'_, Played> {
    played.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Run {
    reader: AsyncReader,
    orders: mpsc::UnboundedReceiver<Order>,
    played: Arc<Mutex<Played>>,
    ticks: Interval,
    /// When the place was sought whose first byte is not there yet.
    sought: Option<Instant>,
    /// Whether the picture after a seek is not whole yet: until then waiting is no stall.
    is_filling: bool,
    buf: Vec<u8>,
}

/// What comes first.
enum Next {
    Order(Option<Order>),
    Read(Result<usize, kithara_file::Error>),
}

impl Run {
    async fn run(mut self) -> Result<(), Failure> {
        let mut due = PICTURE;
        loop {
            let next = match due {
                0 => tokio::select! {
                    order = self.orders.recv() => Next::Order(order),
                    _ = self.ticks.tick() => {
                        due = self.portion();
                        continue;
                    }
                },
                _ => {
                    self.buf.resize(usize::try_from(due).unwrap_or(usize::MAX).min(1 << 20), 0);
                    let since = *lock(&self.played).waiting.get_or_insert_with(Instant::now);
                    let next = tokio::select! {
                        order = self.orders.recv() => Next::Order(order),
                        read = self.reader.read(&mut self.buf) => Next::Read(read),
                    };
                    self.waited(since, &next);
                    next
                }
            };
            match next {
                Next::Order(None) => return Ok(()),
                Next::Order(Some(Order::Toggle)) => self.toggle(),
                Next::Order(Some(Order::Seek(to))) => {
                    self.seek(to).await?;
                    due = PICTURE;
                }
                Next::Read(read) => {
                    let n = read? as u64;
                    let mut played = lock(&self.played);
                    played.position += n;
                    played.at_end = n == 0;
                    due = if n == 0 { 0 } else { due.saturating_sub(n) };
                    self.is_filling &= due > 0;
                }
            }
        }
    }

    /// Bytes for one tick.
    fn portion(&self) -> u64 {
        let played = lock(&self.played);
        let portion = played.rate.saturating_mul(TICK.as_millis() as u64) / 1000;
        if played.is_playing && !played.at_end { portion.max(1) } else { 0 }
    }

    fn waited(&mut self, since: Instant, next: &Next) {
        let Next::Read(read) = next else { return };
        let mut played = lock(&self.played);
        played.waiting = None;
        match self.sought.take() {
            Some(sought) if read.is_ok() => played.note_seek(sought.elapsed()),
            _ if since.elapsed() > TICK && !self.is_filling => played.stalls += 1,
            _ => {}
        }
    }

    fn toggle(&mut self) {
        let mut played = lock(&self.played);
        played.is_playing = !played.is_playing;
    }

    async fn seek(&mut self, to: u64) -> Result<(), Failure> {
        self.sought = Some(Instant::now());
        self.is_filling = true;
        let sought = self.reader.seek(SeekFrom::Start(to)).await;
        sought.map_err(|error| Failure::read(&error))?;
        let mut played = lock(&self.played);
        played.waiting = None;
        played.at_end = false;
        played.position = to;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kithara_file::Engine;
    use kithara_file::origin::{Content, Origin};

    use super::*;

    /// Against a scripted origin: plays, seeks, pauses, ends with its near end.
    #[tokio::test]
    async fn it_plays_seeks_and_pauses() {
        let origin = Origin::start();
        origin.put("/file", Content::pattern(8 << 20));
        let engine = Engine::new().expect("an engine");
        let session = engine.open(origin.url("/file")).await.expect("a session");
        let (player, mut running) = Player::start(&session, 1 << 20);
        let until = async |seen: &dyn Fn(&Played) -> bool| {
            while !seen(&player.played()) {
                tokio::task::yield_now().await;
            }
        };
        until(&|played| played.position > PICTURE).await;
        player.order(Order::Seek(6 << 20));
        until(&|played| played.seek_count == 2 && played.position > 6 << 20).await;
        player.order(Order::Toggle);
        until(&|played| !played.is_playing && played.waiting.is_none()).await;
        player.order(Order::Toggle);
        player.order(Order::Seek((8 << 20) - 10));
        until(&|played| played.at_end).await;
        assert_eq!(player.played().position, 8 << 20);
        drop(player);
        let ended = (&mut running).await.expect("no panic");
        assert!(ended.is_ok(), "{ended:?}");
    }

    #[test]
    fn the_latest_waits_are_remembered_and_all_are_counted() {
        let mut played = Played::default();
        (0..300).for_each(|ms| played.note_seek(Duration::from_millis(ms)));
        assert_eq!((played.seeks.len(), played.seek_count), (256, 300));
        assert_eq!(played.seeks.back(), Some(&Duration::from_millis(299)));
    }
}
