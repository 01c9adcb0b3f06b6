//! `watch`: the coverage map for people without a browser, and a player that makes it move.
//!
//! The player reads at a steady rate as one of media would, and shows nothing. The terminal is given back however this
//! ends: a key, a signal, an error, a panic.

mod keys;
mod player;
mod screen;

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use kithara_file::{CancellationToken, Engine, Session};
use ratatui::DefaultTerminal;
use ratatui::backend::Backend as _;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::Watch;
use crate::failure::Failure;
use keys::{Key, Keys};
use player::{Order, Player};
use screen::{Rate, Screen};

/// Ten pictures a second, as the page has them.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the command.
pub(crate) async fn run(args: Watch, stop: CancellationToken) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::usage("watch draws on a terminal, and here is none")
            .advise("run it in one, or use `serve` and its page"));
    }
    let source = args.from.source()?;
    let mut builder = Engine::builder().config(args.from.config());
    if let Some(dir) = &args.store {
        builder = builder.store_dir(dir);
    }
    let engine = builder.build()?;
    let opened = stop.run_until_cancelled(engine.open(source)).await;
    let session = opened.unwrap_or_else(|| Err(kithara_file::Error::Cancelled))?;
    let shown = {
        let mut terminal = Terminal::take()?;
        show(&mut terminal.0, &args, &session, &stop).await
    };
    session.close().await;
    shown
}

/// The terminal in raw mode, on its second screen; given back when this goes, and before a panic is told.
struct Terminal(DefaultTerminal);

impl Terminal {
    fn take() -> Result<Self, Failure> {
        let taken = ratatui::try_init();
        taken.map(Self).map_err(|error| Failure::io("taking the terminal", &error))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Of a screen that was made wider meanwhile, tmux would leave rows above the prompt.
        let _ = self.0.backend_mut().clear();
        let _ = ratatui::try_restore();
    }
}

async fn show(
    terminal: &mut DefaultTerminal,
    args: &Watch,
    session: &Session,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let mut keys = Keys::listen();
    let (mut player, mut playing) = Player::start(session, args.rate);
    let mut rate = Rate::default();
    let mut mark = None;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            key = keys.next() => {
                let key = key.ok_or_else(|| Failure::new("the terminal tells no more keys"))??;
                match press(key, &mut player, session, &mut mark) {
                    Pressed::On => {}
                    Pressed::Quit => return Ok(()),
                    Pressed::Interrupt => return Err(Failure::interrupted("interrupted")),
                }
            }
            ended = &mut playing => {
                return ended.unwrap_or_else(|_| Err(Failure::new("the player ended without a result")));
            }
            () = stop.cancelled() => return Err(Failure::interrupted("interrupted")),
            _ = looks.tick() => {}
        }
        let snapshot = session.snapshot();
        let arriving = rate.note(Instant::now(), snapshot.bytes_fetched);
        let name = args.from.shown();
        let played = player.played();
        let screen = Screen { name: &name, snapshot: &snapshot, played: &played, arriving, mark };
        let drawn = terminal.draw(|frame| screen.draw(frame));
        drawn.map_err(|error| Failure::io("drawing", &error))?;
    }
}

/// What a key leads to.
enum Pressed {
    On,
    Quit,
    Interrupt,
}

fn press(key: Key, player: &mut Player, session: &Session, mark: &mut Option<u64>) -> Pressed {
    let len = session.len();
    let now = player.played().position;
    let by_seconds = |from: u64, seconds: i64| {
        let bytes = (player.rate() as i64).saturating_mul(seconds);
        from.saturating_add_signed(bytes).min(len.map_or(u64::MAX, |len| len.saturating_sub(1)))
    };
    match key {
        Key::Quit => return Pressed::Quit,
        Key::Interrupt => return Pressed::Interrupt,
        Key::Pause => player.order(Order::Toggle),
        Key::Seconds(seconds) => player.order(Order::Seek(by_seconds(now, seconds))),
        Key::Tenth(tenth) => {
            if let Some(len) = len {
                player.order(Order::Seek(screen::part(len, u64::from(tenth), 10)));
            }
        }
        Key::End => {
            if let Some(len) = len {
                player.order(Order::Seek(len.saturating_sub(player.rate())));
            }
        }
        Key::Point(steps) => {
            let Some(len) = len else { return Pressed::On };
            let step = i64::try_from(len / 50).unwrap_or(i64::MAX).saturating_mul(steps);
            let at = mark.unwrap_or(now).saturating_add_signed(step).min(len.saturating_sub(1));
            session.hint_seek(at);
            *mark = Some(at);
        }
        Key::Go => {
            if let Some(at) = mark.take() {
                player.order(Order::Seek(at));
            }
        }
        Key::Redraw => {}
    }
    Pressed::On
}
