//! What the screen shows: the map, the figures, the keys. Pure: the same state, the same cells.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanDuration};
use kithara_file::{Purpose, Snapshot};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::player::Played;
use crate::coverage::{Cell, Map};
use crate::figures::{Spread, ms};

/// Rows beside those of the map.
const OTHERS: u16 = 12;

/// Most rows of the map: more say no more.
const MOST: u16 = 8;

/// Upper ends of the bars of waits, in milliseconds; the last bar has none.
const STEPS: [u64; 11] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];

/// What the keys do.
const FOOT: [&str; 2] = [
    "←→ 10 s  ↑↓ 1 min  0-9 tenths  end  space pause  q quit",
    ", . or shift-←→ move the mark, which is hinted  enter seek",
];

/// Everything that is drawn.
pub(super) struct Screen<'a> {
    /// The URL as it may be shown.
    pub(super) name: &'a str,
    pub(super) snapshot: &'a Snapshot,
    pub(super) played: &'a Played,
    /// Body bytes per second that arrive.
    pub(super) arriving: u64,
    /// Where the user points, in bytes.
    pub(super) mark: Option<u64>,
}

/// `number` of `of` parts of `len`.
pub(super) fn part(len: u64, number: u64, of: u64) -> u64 {
    (u128::from(len) * u128::from(number) / u128::from(of)) as u64
}

impl Screen<'_> {
    /// Draws it. What has no room is left out, from the foot up.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        frame.render_widget(Paragraph::new(self.lines(area)), area);
    }

    fn lines(&self, area: Rect) -> Vec<Line<'static>> {
        let rows = area.height.saturating_sub(OTHERS).clamp(1, MOST);
        let mut lines = vec![self.title(area.width)];
        lines.extend(self.map(area.width, rows));
        lines.extend([legend(), Line::default()]);
        let figures = self.figures();
        let wide = usize::from(area.width / 2);
        for pair in figures.chunks(2) {
            let cells = pair.iter().map(|(name, value)| format!("{name:<12}{value}"));
            lines.push(Line::from(cells.map(|cell| format!("{cell:<wide$}")).collect::<String>()));
        }
        lines.extend(self.waits());
        lines.extend(FOOT.map(|foot| Line::styled(foot, faint())));
        lines
    }

    fn title(&self, width: u16) -> Line<'static> {
        let played = self.played;
        let state = match () {
            () if played.waiting.is_some_and(|since| since.elapsed() > PATIENCE) => "… waiting",
            () if played.at_end => "■ at the end",
            () if played.is_playing => "▶ playing",
            () => "‖ paused",
        };
        let at = clock(played.position, played.rate);
        let time = match self.snapshot.len {
            Some(len) => format!("{state}  {at} of {}", clock(len, played.rate)),
            None => format!("{state}  {at}"),
        };
        let room = usize::from(width).saturating_sub(time.chars().count() + 2);
        let name = tail(self.name, room);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        Line::from(vec![Span::styled(format!("{name:<room$}  "), bold), Span::raw(time)])
    }

    fn map(&self, width: u16, rows: u16) -> Vec<Line<'static>> {
        let map = Map::of(self.snapshot);
        let count = u64::from(width) * u64::from(rows);
        let mut cells = map.cells(count);
        // Fewer bytes than cells, or none: the rest of the rows is empty.
        let drawn = cells.len() as u64;
        cells.resize(usize::try_from(count).unwrap_or(usize::MAX), Cell::Missing);
        let marked = self.mark.filter(|_| map.len > 0);
        let marked = marked.map(|at| u128::from(at) * u128::from(drawn) / u128::from(map.len));
        let span = |(at, cell): (usize, &Cell)| match marked == Some(at as u128) {
            true => Span::styled("▼", Style::new().fg(Color::Yellow)),
            false => sign(*cell),
        };
        let spans: Vec<Span<'static>> = cells.iter().enumerate().map(span).collect();
        spans.chunks(usize::from(width.max(1))).map(|row| Line::from(row.to_vec())).collect()
    }

    fn figures(&self) -> Vec<(&'static str, String)> {
        let now = self.snapshot;
        let covered = BinaryBytes(now.covered_bytes());
        let share = |part: u64, of: u64| match of {
            0 => "-".to_owned(),
            of => format!("{:.1} %", part as f64 / of as f64 * 100.0),
        };
        let stored = match now.len {
            Some(len) => format!("{covered} ({})", share(now.covered_bytes(), len)),
            None => covered.to_string(),
        };
        let requests = match now.hedges {
            0 => now.requests.to_string(),
            hedges => format!("{} ({hedges} hedges)", now.requests),
        };
        let wasted = format!(
            "{} ({})",
            BinaryBytes(now.bytes_wasted),
            share(now.bytes_wasted, now.bytes_fetched)
        );
        vec![
            ("stored", stored),
            ("arriving", format!("{:.1} Mbit/s", (self.arriving * 8) as f64 / 1e6)),
            ("read ahead", BinaryBytes(now.window).to_string()),
            ("round trip", trip(now).map_or("-".to_owned(), |trip| format!("{trip:.1} ms"))),
            ("requests", requests),
            ("connections", now.connections.to_string()),
            ("received", BinaryBytes(now.bytes_fetched).to_string()),
            ("wasted", wasted),
            ("played", BinaryBytes(now.bytes_read).to_string()),
            ("hits", share(now.hits, now.hits + now.waits)),
        ]
    }

    fn waits(&self) -> Vec<Line<'static>> {
        let waits: Vec<Duration> = self.played.seeks.iter().copied().collect();
        let Some(spread) = Spread::of(&waits) else {
            return vec![Line::from("first byte  none yet"), Line::default()];
        };
        let last = waits.last().map_or(0.0, |last| ms(*last));
        let trips = trip(self.snapshot).and_then(|trip| spread.in_units_of(trip));
        let trips = trips.map(|trips| format!(" ({:.2} R)", trips.p50)).unwrap_or_default();
        let first = format!(
            "first byte  {last:.1} ms  median {:.1} ms{trips}  p90 {:.1} ms",
            spread.p50, spread.p90
        );
        let (seeks, stalls) = (self.played.seek_count, self.played.stalls);
        let bars = format!("seeks {seeks}  stalls {stalls}  1 ms {} 2 s", bars(&waits));
        vec![Line::from(first), Line::from(bars)]
    }
}

/// A read that waits no longer than this is no wait to the eye.
const PATIENCE: Duration = Duration::from_millis(100);

fn trip(now: &Snapshot) -> Option<f64> {
    now.first_byte_micros.map(|micros| micros as f64 / 1000.0)
}

fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// Told apart by sign too, not by colour alone.
fn sign(cell: Cell) -> Span<'static> {
    let (sign, colour) = match cell {
        Cell::Cursor => ("┃", Color::Reset),
        Cell::Stored => ("█", Color::Green),
        Cell::Part => ("▄", Color::Green),
        Cell::InFlight(Purpose::Read) => ("R", Color::Red),
        Cell::InFlight(Purpose::Hint) => ("H", Color::Yellow),
        Cell::InFlight(Purpose::Readahead) => ("a", Color::Blue),
        Cell::InFlight(_) => ("f", Color::Gray),
        Cell::Wanted => ("?", Color::DarkGray),
        Cell::Missing => ("·", Color::DarkGray),
    };
    Span::styled(sign, Style::new().fg(colour))
}

fn legend() -> Line<'static> {
    let cells = [
        (Cell::Stored, "stored"),
        (Cell::Part, "part"),
        (Cell::InFlight(Purpose::Read), "read"),
        (Cell::InFlight(Purpose::Hint), "hint"),
        (Cell::InFlight(Purpose::Readahead), "ahead"),
        (Cell::InFlight(Purpose::Fill), "fill"),
        (Cell::Wanted, "queued"),
        (Cell::Cursor, "here"),
    ];
    let named = |(cell, name)| [sign(cell), Span::styled(format!("{name} "), faint())];
    Line::from(cells.into_iter().flat_map(named).collect::<Vec<_>>())
}

/// How many waits were how long, as a row of bars.
fn bars(waits: &[Duration]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let mut counts = [0_usize; STEPS.len() + 1];
    for wait in waits {
        let step = STEPS.iter().position(|end| wait.as_micros() < u128::from(end * 1000));
        counts[step.unwrap_or(STEPS.len())] += 1;
    }
    let most = counts.iter().max().copied().unwrap_or(0).max(1);
    let bar = |count: usize| match count {
        0 => ' ',
        count => HEIGHTS[(count * (HEIGHTS.len() - 1)).div_ceil(most)],
    };
    counts.into_iter().map(bar).collect()
}

/// The time at which a byte is played.
fn clock(at: u64, rate: u64) -> String {
    let seconds = at / rate.max(1);
    if seconds >= 360_000 {
        return HumanDuration(Duration::from_secs(seconds)).to_string();
    }
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    match minutes / 60 {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{:02}:{seconds:02}", minutes % 60),
    }
}

/// The end of `text`, which is the telling part of a URL, without what could move the cursor.
fn tail(text: &str, room: usize) -> String {
    let clean: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
    match clean.len() > room {
        true => {
            let cut = clean.len() - room.saturating_sub(1).min(clean.len());
            std::iter::once('…').chain(clean[cut..].iter().copied()).take(room).collect()
        }
        false => clean.into_iter().collect(),
    }
}

/// Body bytes per second that came of late.
#[derive(Debug, Default)]
pub(super) struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    /// So far back is looked, as the page does.
    const SPAN: Duration = Duration::from_millis(1500);

    /// Until `now`, `fetched` bytes came; how many a second in the last second and a half.
    pub(super) fn note(&mut self, now: Instant, fetched: u64) -> u64 {
        self.0.push_back((now, fetched));
        while self.0.len() > 2 && self.0.front().is_some_and(|(at, _)| now - *at > Self::SPAN) {
            self.0.pop_front();
        }
        let (since, before) = self.0.front().copied().unwrap_or((now, fetched));
        let took = (now - since).max(Duration::from_millis(500));
        (fetched.saturating_sub(before) as f64 / took.as_secs_f64()) as u64
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
