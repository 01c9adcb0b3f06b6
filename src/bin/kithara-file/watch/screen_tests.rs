//! The screen, cell by cell, on a terminal that only remembers.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::*;

const KIB: u64 = 1 << 10;

/// A resource of one byte for each cell of three rows of sixty.
fn snapshot() -> Snapshot {
    let mut now = Snapshot::default();
    now.len = Some(180);
    now.covered = vec![0..30, 60..90];
    now.wanted = vec![90..95, 95..100];
    now.cursors = vec![30];
    now.window = 256 * KIB;
    now.first_byte_micros = Some(40_000);
    (now.requests, now.hedges, now.connections) = (12, 1, 3);
    (now.bytes_fetched, now.bytes_wasted, now.bytes_read) = (64 * KIB, 16 * KIB, 32 * KIB);
    (now.hits, now.waits) = (9, 1);
    now
}

fn played() -> Played {
    let seeks = [5, 40, 80].map(Duration::from_millis);
    let mut played = Played { position: 30, rate: 1, is_playing: true, ..Played::default() };
    seeks.into_iter().for_each(|wait| played.note_seek(wait));
    played
}

fn drawn(snapshot: &Snapshot, played: &Played, mark: Option<u64>, size: (u16, u16)) -> Buffer {
    let name = "http://host/films/film.mp4";
    let screen = Screen { name, snapshot, played, arriving: 1_250_000, mark };
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("no I/O");
    terminal.draw(|frame| screen.draw(frame)).expect("no I/O");
    terminal.backend().buffer().clone()
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let symbols: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
    symbols.chunks(width).map(|row| row.concat()).collect()
}

#[test]
fn sixty_by_fifteen_has_everything() {
    let buffer = drawn(&snapshot(), &played(), None, (60, 15));
    let rows = rows(&buffer);
    let expected = [
        "http://host/films/film.mp4           ▶ playing  0:30 of 3:00",
        "██████████████████████████████┃·····························",
        "██████████████████████████████??????????····················",
        "····························································",
        "█stored ▄part Rread Hhint aahead ffill ?queued ┃here        ",
        "                                                            ",
        "stored      60 B (33.3 %)     arriving    10.0 Mbit/s       ",
        "read ahead  256.00 KiB        round trip  40.0 ms           ",
        "requests    12 (1 hedges)     connections 3                 ",
        "received    64.00 KiB         wasted      16.00 KiB (25.0 %)",
        "played      32.00 KiB         hits        90.0 %            ",
        "first byte  80.0 ms  median 40.0 ms (1.00 R)  p90 80.0 ms",
        "seeks 3  stalls 0  1 ms    █ ██      2 s                    ",
    ];
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(row.trim_end(), expected.chars().take(60).collect::<String>().trim_end());
    }
    assert!(rows[13].contains("space pause") && rows[14].contains("enter seek"), "{rows:?}");
}

#[test]
fn what_is_in_flight_shows_its_class_by_sign_and_colour() {
    for (purpose, sign, colour) in [
        (Purpose::Read, "R", Color::Red),
        (Purpose::Hint, "H", Color::Yellow),
        (Purpose::Readahead, "a", Color::Blue),
        (Purpose::Fill, "f", Color::Gray),
    ] {
        let span = super::sign(Cell::InFlight(purpose));
        assert_eq!((span.content.as_ref(), span.style.fg), (sign, Some(colour)));
    }
    let buffer = drawn(&snapshot(), &played(), None, (60, 15));
    assert_eq!(buffer[(0, 1)].fg, Color::Green);
    assert_eq!(buffer[(0, 2)].symbol(), "█");
    assert_eq!(buffer[(30, 2)].fg, Color::DarkGray);
}

#[test]
fn the_mark_is_drawn_over_the_map() {
    let buffer = drawn(&snapshot(), &played(), Some(125), (60, 15));
    assert_eq!(buffer[(5, 3)].symbol(), "▼");
}

#[test]
fn the_title_tells_how_the_player_stands() {
    let title = |change: fn(&mut Played)| {
        let mut played = played();
        change(&mut played);
        rows(&drawn(&snapshot(), &played, None, (60, 15)))[0].clone()
    };
    assert!(title(|played| played.is_playing = false).contains("‖ paused"));
    assert!(title(|played| played.at_end = true).contains("■ at the end"));
    let long_ago = |played: &mut Played| {
        played.waiting = Instant::now().checked_sub(Duration::from_secs(1));
    };
    assert!(title(long_ago).contains("… waiting"));
}

#[test]
fn nothing_known_and_no_room_are_drawn_too() {
    let nothing = Snapshot::default();
    for size in [(60, 15), (200, 60), (20, 5), (3, 2), (1, 1), (0, 0)] {
        drawn(&nothing, &Played::default(), Some(7), size);
        drawn(&snapshot(), &played(), Some(7), size);
    }
    let rows = rows(&drawn(&nothing, &Played::default(), None, (60, 15)));
    assert!(rows[11].starts_with("first byte  none yet"), "{rows:?}");
    assert!(rows[10].contains("hits        -"), "{rows:?}");
}

#[test]
fn a_name_that_is_too_long_keeps_its_end_and_no_control() {
    assert_eq!(tail("http://host/film.mp4", 9), "…film.mp4");
    assert_eq!(tail("a\u{1b}[2Jb", 10), "a[2Jb");
    assert_eq!(tail("abc", 0), "");
}

#[test]
fn the_rate_is_that_of_the_last_moments() {
    let (mut rate, start) = (Rate::default(), Instant::now());
    let at = |ms: u64| start + Duration::from_millis(ms);
    assert_eq!(rate.note(at(0), 0), 0);
    assert_eq!(rate.note(at(1000), 1_000_000), 1_000_000);
    assert_eq!(rate.note(at(1250), 1_000_000), 800_000);
    assert_eq!(rate.note(at(3000), 1_000_000), 0);
}

#[test]
fn times_are_read_as_clocks() {
    assert_eq!(clock(65, 1), "1:05");
    assert_eq!(clock(3_725_000, 1000), "1:02:05");
    assert_eq!(clock(5, 0), "0:05");
    assert!(clock(u64::MAX, 1).contains("year"));
}
