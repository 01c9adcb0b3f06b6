//! What the keys mean, and a thread that waits for them.

use std::io;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use crate::failure::Failure;

/// How long the thread takes to notice that nobody listens any more.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Seek by so many seconds of play.
    Seconds(i64),
    /// Seek to so many tenths of the length.
    Tenth(u8),
    /// Seek to the last second.
    End,
    /// Play or pause.
    Pause,
    /// Move the mark by so many fiftieths of the length, and hint that it may be sought.
    Point(i64),
    /// Seek to the mark.
    Go,
    /// Draw anew: the terminal's size has changed.
    Redraw,
    /// End.
    Quit,
    /// End, as Ctrl-C does everywhere.
    Interrupt,
}

/// The keys as they are pressed.
#[derive(Debug)]
pub(super) struct Keys(mpsc::Receiver<io::Result<Key>>);

impl Keys {
    /// Listens from now on.
    pub(super) fn listen() -> Self {
        let (pressed, keys) = mpsc::channel(16);
        std::thread::spawn(move || {
            while !pressed.is_closed() {
                let key = match event::poll(PATIENCE) {
                    Ok(false) => continue,
                    Ok(true) => event::read().map(|event| meaning(&event)),
                    Err(error) => Err(error),
                };
                let Some(key) = key.transpose() else { continue };
                let failed = key.is_err();
                if pressed.blocking_send(key).is_err() || failed {
                    return;
                }
            }
        });
        Self(keys)
    }

    /// The next one; `None` after a failure. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Result<Key, Failure>> {
        let key = self.0.recv().await?;
        Some(key.map_err(|error| Failure::io("reading keys", &error)))
    }
}

fn meaning(event: &Event) -> Option<Key> {
    match event {
        Event::Resize(..) => Some(Key::Redraw),
        Event::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => None,
        Event::Key(key) => of_key(key.code, key.modifiers),
        _ => None,
    }
}

fn of_key(code: KeyCode, with: KeyModifiers) -> Option<Key> {
    Some(match code {
        KeyCode::Char('c') if with.contains(KeyModifiers::CONTROL) => Key::Interrupt,
        KeyCode::Left if with.contains(KeyModifiers::SHIFT) => Key::Point(-1),
        KeyCode::Right if with.contains(KeyModifiers::SHIFT) => Key::Point(1),
        KeyCode::Left => Key::Seconds(-10),
        KeyCode::Right => Key::Seconds(10),
        KeyCode::Down => Key::Seconds(-60),
        KeyCode::Up => Key::Seconds(60),
        KeyCode::Home => Key::Tenth(0),
        KeyCode::End => Key::End,
        KeyCode::Char(' ') => Key::Pause,
        KeyCode::Char(',') => Key::Point(-1),
        KeyCode::Char('.') => Key::Point(1),
        KeyCode::Enter => Key::Go,
        KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
        KeyCode::Char(digit) => Key::Tenth(u8::try_from(digit.to_digit(10)?).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_foot_of_the_screen_says() {
        let plain = |code| of_key(code, KeyModifiers::NONE);
        assert_eq!(plain(KeyCode::Right), Some(Key::Seconds(10)));
        assert_eq!(plain(KeyCode::Down), Some(Key::Seconds(-60)));
        assert_eq!(of_key(KeyCode::Left, KeyModifiers::SHIFT), Some(Key::Point(-1)));
        assert_eq!(plain(KeyCode::Char('7')), Some(Key::Tenth(7)));
        assert_eq!(plain(KeyCode::Char(' ')), Some(Key::Pause));
        assert_eq!(plain(KeyCode::Char('c')), None);
        assert_eq!(of_key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Interrupt));
        assert_eq!(plain(KeyCode::Char('q')), Some(Key::Quit));
        assert_eq!(plain(KeyCode::F(1)), None);
    }

    #[test]
    fn a_key_counts_when_it_goes_down() {
        let mut key = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
        assert_eq!(meaning(&Event::Key(key)), Some(Key::Go));
        key.kind = KeyEventKind::Release;
        assert_eq!(meaning(&Event::Key(key)), None);
        assert_eq!(meaning(&Event::Resize(60, 15)), Some(Key::Redraw));
    }
}
