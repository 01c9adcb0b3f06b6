//! The coverage map in cells: which parts of a resource are there, being fetched, wanted, missing.

use std::ops::Range;

use kithara_file::{Purpose, Snapshot};

/// Cells of the bar: fits a terminal of 80 columns with its frame.
const CELLS: u64 = 72;

/// What the signs of the bar mean.
pub(crate) const LEGEND: &str = "█ stored  ▄ in part  ▒ being fetched  · missing  ┃ reading here";

/// What is most telling of a part of the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A reader is in it.
    Cursor,
    /// All of it is there.
    Stored,
    /// Some of it is on its way.
    InFlight(Purpose),
    /// Some of it is there.
    Part,
    /// Some of it is queued.
    Wanted,
    /// None of it is there.
    Missing,
}

/// What a map is drawn from; ranges are in bytes, half-open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    /// Length of the resource, or how far it is known to go.
    pub(crate) len: u64,
    pub(crate) covered: Vec<Range<u64>>,
    pub(crate) in_flight: Vec<(Range<u64>, Purpose)>,
    pub(crate) wanted: Vec<Range<u64>>,
    pub(crate) cursors: Vec<u64>,
}

impl Map {
    /// The resource as it is now.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let known = snapshot.covered.last().map_or(0, |range| range.end);
        let fetches = snapshot.in_flight.iter();
        Self {
            len: snapshot.len.unwrap_or(known),
            covered: snapshot.covered.clone(),
            in_flight: fetches.map(|fetch| (fetch.range.clone(), fetch.purpose)).collect(),
            wanted: snapshot.wanted.clone(),
            cursors: snapshot.cursors.clone(),
        }
    }

    /// In so many cells, or as many as there are bytes.
    pub(crate) fn cells(&self, count: u64) -> Vec<Cell> {
        let count = count.min(self.len);
        (0..count)
            .map(|cell| self.cell(self.edge(cell, count)..self.edge(cell + 1, count)))
            .collect()
    }

    /// Where cell `cell` of `count` begins.
    fn edge(&self, cell: u64, count: u64) -> u64 {
        (u128::from(self.len) * u128::from(cell) / u128::from(count.max(1))) as u64
    }

    fn cell(&self, range: Range<u64>) -> Cell {
        let stored: u64 = self.covered.iter().map(|other| common(&range, other)).sum();
        let fetches = self.in_flight.iter().filter(|(other, _)| common(&range, other) > 0);
        if self.cursors.iter().any(|cursor| range.contains(cursor)) {
            Cell::Cursor
        } else if stored == range.end - range.start {
            Cell::Stored
        } else if let Some(purpose) = fetches.map(|(_, purpose)| *purpose).min() {
            Cell::InFlight(purpose)
        } else if stored > 0 {
            Cell::Part
        } else if self.wanted.iter().any(|other| common(&range, other) > 0) {
            Cell::Wanted
        } else {
            Cell::Missing
        }
    }
}

/// How many bytes two ranges share.
fn common(one: &Range<u64>, other: &Range<u64>) -> u64 {
    other.end.min(one.end).saturating_sub(other.start.max(one.start))
}

/// The resource as one line.
pub(crate) fn bar(snapshot: &Snapshot) -> String {
    draw(&Map { len: snapshot.len.unwrap_or(0), ..Map::of(snapshot) })
}

fn draw(map: &Map) -> String {
    let sign = |cell| match cell {
        Cell::Cursor => '┃',
        Cell::Stored => '█',
        Cell::InFlight(_) => '▒',
        Cell::Part => '▄',
        Cell::Wanted | Cell::Missing => '·',
    };
    format!("[{}]", map.cells(CELLS).into_iter().map(sign).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(len: u64, covered: &[(u64, u64)], in_flight: &[(u64, u64)], cursors: &[u64]) -> Map {
        let spans = |spans: &[(u64, u64)]| spans.iter().map(|&(start, end)| start..end).collect();
        let fetches: Vec<Range<u64>> = spans(in_flight);
        Map {
            len,
            covered: spans(covered),
            in_flight: fetches.into_iter().map(|range| (range, Purpose::Readahead)).collect(),
            wanted: Vec::new(),
            cursors: cursors.to_vec(),
        }
    }

    #[test]
    fn each_cell_shows_what_is_most_telling() {
        let covered = [(0, 100), (100, 150), (7100, 7200)];
        let bar = draw(&map(7200, &covered, &[(300, 350)], &[500]));
        let cells: Vec<char> = bar.chars().collect();
        assert_eq!(cells.len(), 74);
        assert_eq!(cells[1..8], ['█', '▄', '·', '▒', '·', '┃', '·']);
        assert_eq!(cells[72], '█');
    }

    #[test]
    fn of_several_fetches_the_most_urgent_shows() {
        let mut map = map(400, &[], &[(0, 200)], &[]);
        map.in_flight.push((50..60, Purpose::Read));
        map.wanted.push(150..320);
        let ahead = Cell::InFlight(Purpose::Readahead);
        let cells = [Cell::InFlight(Purpose::Read), ahead, Cell::Wanted, Cell::Wanted];
        assert_eq!(map.cells(4), cells);
    }

    #[test]
    fn odd_lengths_have_a_bar_too() {
        assert_eq!(draw(&map(0, &[], &[], &[0])), "[]");
        assert_eq!(draw(&map(1, &[(0, 1)], &[], &[1])), "[█]");
        assert_eq!(draw(&map(u64::MAX, &[(0, u64::MAX)], &[], &[])).chars().count(), 74);
    }
}
