//! What flows have written and the log does not say yet: one run of bytes per flow, with its CRC.
//!
//! A flow's end is nothing special: its run waits for the others, and all of them cost one write.

use std::collections::BTreeMap;

use super::recovery::Piece;
use crate::byte_range::ByteRange;
use crate::ids::FetchId;
use crate::time::Micros;

/// A run is recorded when it has this many bytes; a smaller figure makes a longer log.
pub(crate) const RUN_BYTES: u64 = 1 << 20;
/// A run is recorded when it is this old: what `kill -9` can lose.
pub(crate) const RUN_AGE: Micros = Micros::from_millis(250);
/// So many runs are recorded whatever their age: memory is bounded, however fast somebody seeks.
const MOST_RUNS: usize = 64;

/// The runs of all flows of one asset.
#[derive(Debug, Default)]
pub(crate) struct Runs(BTreeMap<FetchId, Run>);

#[derive(Debug)]
struct Run {
    range: ByteRange,
    crc: crc32fast::Hasher,
    since: Micros,
}

impl Run {
    fn into_piece(self) -> Piece {
        Piece { range: self.range, crc: Some(self.crc.finalize()) }
    }
}

impl Runs {
    /// Takes note of `bytes` that `flow` wrote at `offset`; gives back the runs that are due: one that these bytes do
    /// not go on with, one that they fill, and all of them if they are many.
    pub(crate) fn add(
        &mut self,
        flow: FetchId,
        offset: u64,
        bytes: &[u8],
        now: Micros,
    ) -> Vec<Piece> {
        let broken = self.0.get(&flow).is_some_and(|run| run.range.end != offset);
        let mut due = Vec::new();
        if broken {
            due.extend(self.end(flow));
        }
        let run = self.0.entry(flow).or_insert_with(|| Run {
            range: ByteRange::new(offset, offset),
            crc: crc32fast::Hasher::new(),
            since: now,
        });
        run.range.end += bytes.len() as u64;
        run.crc.update(bytes);
        if run.range.len() >= RUN_BYTES {
            due.extend(self.end(flow));
        }
        if self.0.len() >= MOST_RUNS {
            due.extend(self.take());
        }
        due
    }

    fn end(&mut self, flow: FetchId) -> Option<Piece> {
        self.0.remove(&flow).map(Run::into_piece)
    }

    /// All runs, once the oldest one is old enough: together they cost one write.
    pub(crate) fn aged(&mut self, now: Micros) -> Vec<Piece> {
        match self.due() {
            Some(due) if due <= now => self.take(),
            _ => Vec::new(),
        }
    }

    /// All runs.
    pub(crate) fn take(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.0).into_values().map(Run::into_piece).collect()
    }

    /// When the oldest run is due.
    pub(crate) fn due(&self) -> Option<Micros> {
        self.0.values().map(|run| run.since + RUN_AGE).min()
    }

    /// Whether nothing waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The same bytes in fewer pieces, in order: what lies within a neighbour goes, and neighbours that touch
/// become one of up to [`RUN_BYTES`], whose CRC follows from theirs.
pub(crate) fn compact(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_by_key(|piece| (piece.range.start, std::cmp::Reverse(piece.range.end)));
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match out.last_mut() {
            Some(last) if last.range.covers(piece.range) => {}
            Some(last) => match joined(*last, piece) {
                Some(one) => *last = one,
                None => out.push(piece),
            },
            None => out.push(piece),
        }
    }
    out
}

fn joined(a: Piece, b: Piece) -> Option<Piece> {
    let range = ByteRange::new(a.range.start, b.range.end);
    if a.range.end != b.range.start || range.len() > RUN_BYTES {
        return None;
    }
    let mut crc = crc32fast::Hasher::new_with_initial_len(a.crc?, a.range.len());
    crc.combine(&crc32fast::Hasher::new_with_initial_len(b.crc?, b.range.len()));
    Some(Piece { range, crc: Some(crc.finalize()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(start: u64, bytes: &[u8]) -> Piece {
        let range = ByteRange::at(start, bytes.len() as u64);
        Piece { range, crc: Some(crc32fast::hash(bytes)) }
    }

    #[test]
    fn a3_a_run_goes_on_while_bytes_touch_and_ends_where_they_do_not() {
        let mut runs = Runs::default();
        let (flow, other) = (FetchId(1), FetchId(2));
        assert_eq!(runs.add(flow, 10, b"abc", Micros(0)), []);
        assert_eq!(runs.add(other, 100, b"x", Micros(5)), []);
        assert_eq!(runs.add(flow, 13, b"de", Micros(9)), []);
        assert_eq!(runs.due(), Some(RUN_AGE));
        assert_eq!(runs.add(flow, 20, b"f", Micros(9)), [piece(10, b"abcde")]);
        assert_eq!(runs.due(), Some(Micros(5) + RUN_AGE));
        assert_eq!(runs.aged(Micros(4) + RUN_AGE), []);
        assert_eq!(runs.aged(Micros(5) + RUN_AGE), [piece(20, b"f"), piece(100, b"x")]);
        assert!(runs.is_empty());
    }

    #[test]
    fn a3_runs_are_no_more_than_so_many_however_young() {
        let mut runs = Runs::default();
        for flow in 1..MOST_RUNS as u64 {
            assert_eq!(runs.add(FetchId(flow), flow * 10, b"x", Micros(0)), []);
        }
        assert_eq!(runs.add(FetchId(0), 0, b"x", Micros(0)).len(), MOST_RUNS);
        assert!(runs.is_empty());
    }

    #[test]
    fn a3_a_full_run_is_due_at_once() {
        let mut runs = Runs::default();
        let bytes = vec![7; RUN_BYTES as usize];
        assert_eq!(runs.add(FetchId(1), 0, &bytes, Micros(0)), [piece(0, &bytes)]);
        assert_eq!(runs.add(FetchId(1), 50, b"x", Micros(0)), []);
        let both = runs.add(FetchId(1), 70, &bytes, Micros(0));
        assert_eq!(both, [piece(50, b"x"), piece(70, &bytes)]);
    }

    #[test]
    fn a9_compaction_keeps_the_checksums() {
        let text = b"the quick brown fox";
        let unknown = Piece { range: ByteRange::new(19, 30), crc: None };
        let pieces = vec![
            piece(10, &text[10..]),
            unknown,
            piece(4, &text[4..10]),
            piece(0, &text[..4]),
            piece(5, &text[5..7]),
        ];
        assert_eq!(compact(pieces), [piece(0, text), unknown]);
        let apart = vec![piece(5, b"b"), piece(0, b"a")];
        assert_eq!(compact(apart), [piece(0, b"a"), piece(5, b"b")]);
    }
}
