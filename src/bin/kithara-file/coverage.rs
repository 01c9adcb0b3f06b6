//! The coverage bar: which parts of a resource are there, being fetched, missing.

use std::ops::Range;

use kithara_file::Snapshot;

/// Cells of the bar: fits a terminal of 80 columns with its frame.
const CELLS: u64 = 72;

/// What the signs mean.
pub(crate) const LEGEND: &str = "█ stored  ▄ in part  ▒ being fetched  · missing  ┃ reading here";

/// The resource as one line.
pub(crate) fn bar(snapshot: &Snapshot) -> String {
    let in_flight: Vec<Range<u64>> =
        snapshot.in_flight.iter().map(|fetch| fetch.range.clone()).collect();
    draw(snapshot.len.unwrap_or(0), &snapshot.covered, &in_flight, &snapshot.cursors)
}

fn draw(len: u64, covered: &[Range<u64>], in_flight: &[Range<u64>], cursors: &[u64]) -> String {
    let cells = CELLS.min(len);
    let edge = |cell: u64| (u128::from(len) * u128::from(cell) / u128::from(cells.max(1))) as u64;
    let sign = |cell: u64| {
        let range = edge(cell)..edge(cell + 1);
        let stored = common(&range, covered);
        if cursors.iter().any(|cursor| range.contains(cursor)) {
            '┃'
        } else if stored == range.end - range.start {
            '█'
        } else if common(&range, in_flight) > 0 {
            '▒'
        } else if stored > 0 {
            '▄'
        } else {
            '·'
        }
    };
    format!("[{}]", (0..cells).map(sign).collect::<String>())
}

/// How many bytes of `range` lie in `others`.
fn common(range: &Range<u64>, others: &[Range<u64>]) -> u64 {
    let overlap =
        |other: &Range<u64>| other.end.min(range.end).saturating_sub(other.start.max(range.start));
    others.iter().map(overlap).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans<const N: usize>(spans: [(u64, u64); N]) -> Vec<Range<u64>> {
        spans.into_iter().map(|(start, end)| start..end).collect()
    }

    #[test]
    fn each_cell_shows_what_is_most_telling() {
        let covered = spans([(0, 100), (100, 150), (7100, 7200)]);
        let bar = draw(7200, &covered, &spans([(300, 350)]), &[500]);
        let cells: Vec<char> = bar.chars().collect();
        assert_eq!(cells.len(), 74);
        assert_eq!(cells[1..8], ['█', '▄', '·', '▒', '·', '┃', '·']);
        assert_eq!(cells[72], '█');
    }

    #[test]
    fn odd_lengths_have_a_bar_too() {
        assert_eq!(draw(0, &[], &[], &[0]), "[]");
        assert_eq!(draw(1, &spans([(0, 1)]), &[], &[1]), "[█]");
        assert_eq!(draw(u64::MAX, &spans([(0, u64::MAX)]), &[], &[]).chars().count(), 74);
    }
}
