//! What goes first where not all can be kept: the bytes that will be used last.
//!
//! Pure. The time until a byte is used again is guessed from the cursors alone: what is ahead comes when its cursor gets
//! there, what is behind may come again, later than the same distance ahead. What somebody is about to read, or is fetched
//! for a reason, is named by the caller and stays.

use crate::byte_range::ByteRange;

/// A part of a larger run that goes has at least so many bytes: smaller ones cost more records and extents than they free.
const LEAST: u64 = 256 << 10;
/// Runs are cut at multiples of that where a part of them stays: file systems free whole blocks.
const BLOCK: u64 = 4096;
/// What is behind a cursor is used so many times later than what is as far ahead.
const BEHIND: f64 = 3.0;

/// Where somebody reads on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    /// At this byte.
    pub(crate) at: u64,
    /// So fast, in bytes per second; above zero.
    pub(crate) rate: f64,
}

/// What of `covered` goes, so that `excess` bytes do: sorted, apart from each other, nothing of `kept`. Less, or nothing,
/// if so little can go. Larger runs go in parts of about `step` bytes. Both lists need no order; `covered` has no overlaps.
pub(crate) fn victims(
    covered: &[ByteRange],
    kept: &[ByteRange],
    cursors: &[Cursor],
    step: u64,
    excess: u64,
) -> Vec<ByteRange> {
    let mut parts = parts(covered, kept, step);
    parts.sort_by(|a, b| {
        let later = time_until(*b, cursors).total_cmp(&time_until(*a, cursors));
        later.then(b.start.cmp(&a.start))
    });
    let mut gone = 0;
    parts.retain(|part| {
        let goes = gone < excess;
        gone += if goes { part.len() } else { 0 };
        goes
    });
    joined(parts)
}

/// What can go, in the pieces in which it goes.
fn parts(covered: &[ByteRange], kept: &[ByteRange], step: u64) -> Vec<ByteRange> {
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let free = covered.iter().flat_map(|run| free_parts(*run, &kept));
    free.flat_map(|part| steps(part, step)).collect()
}

/// How many seconds until `part` is used, as far as can be guessed.
fn time_until(part: ByteRange, cursors: &[Cursor]) -> f64 {
    let time = |cursor: &Cursor| {
        let ahead = part.start.saturating_sub(cursor.at) as f64;
        let behind = cursor.at.saturating_sub(part.end) as f64;
        (ahead + BEHIND * behind) / cursor.rate
    };
    // Without a cursor somebody begins at the beginning.
    let nobody = if cursors.is_empty() { part.start as f64 } else { f64::INFINITY };
    cursors.iter().map(time).fold(nobody, f64::min)
}

/// The parts of `run` that are worth giving up; all of it whatever its size. `kept` is sorted.
fn free_parts(run: ByteRange, kept: &[ByteRange]) -> Vec<ByteRange> {
    let mut parts = Vec::new();
    let mut at = run.start;
    for stays in kept.iter().filter(|stays| stays.overlaps(run)) {
        parts.push(ByteRange::new(at, stays.start.max(at)));
        at = at.max(stays.end);
    }
    parts.push(ByteRange::new(at.min(run.end), run.end));
    let whole = |part: ByteRange| {
        let start =
            if part.start == run.start { run.start } else { part.start.next_multiple_of(BLOCK) };
        let end = if part.end == run.end { run.end } else { part.end / BLOCK * BLOCK };
        ByteRange::new(start, end.max(start))
    };
    let parts = parts.into_iter().filter(|part| !part.is_empty()).map(whole);
    parts.filter(|part| *part == run || part.len() >= LEAST).collect()
}

/// `part` cut at multiples of `step`, without crumbs.
fn steps(part: ByteRange, step: u64) -> Vec<ByteRange> {
    let step = step.max(LEAST).next_multiple_of(BLOCK);
    let mut cuts = vec![part.start];
    let mut at = (part.start + LEAST).next_multiple_of(step);
    while at + LEAST <= part.end {
        cuts.push(at);
        at += step;
    }
    cuts.push(part.end);
    cuts.windows(2).map(|cut| ByteRange::new(cut[0], cut[1])).collect()
}

/// The same bytes, sorted, those that touch as one.
fn joined(mut parts: Vec<ByteRange>) -> Vec<ByteRange> {
    parts.sort_unstable();
    let mut out: Vec<ByteRange> = Vec::new();
    for part in parts {
        match out.last_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange::new(start * KIB, end * KIB)
    }

    fn cursor(at: u64, rate: f64) -> Cursor {
        Cursor { at: at * KIB, rate }
    }

    #[test]
    fn a6_what_is_furthest_from_every_cursor_goes_first() {
        let covered = [range(0, 1024), range(4096, 5120), range(9216, 10240)];
        let go = |cursors: &[Cursor], excess| victims(&covered, &[], cursors, MIB, excess * KIB);
        assert_eq!(go(&[cursor(0, 1.0)], 1), [range(9216, 10240)]);
        assert_eq!(go(&[cursor(0, 1.0), cursor(9216, 1.0)], 1), [range(4096, 5120)]);
        assert_eq!(go(&[cursor(0, 1.0)], 1025), [range(4096, 5120), range(9216, 10240)]);
        assert_eq!(go(&[], 1), [range(9216, 10240)], "somebody begins at the beginning");
    }

    #[test]
    fn a6_what_is_behind_counts_as_three_times_as_far() {
        let covered = [range(0, 1024), range(5120, 6144)];
        // 1 MiB behind, and 3 MiB ahead, or a little more and less.
        let at = |at| victims(&covered, &[], &[cursor(at, 1.0)], MIB, 1);
        assert_eq!(at(2048), [range(5120, 6144)]);
        assert_eq!(at(2049), [range(0, 1024)]);
    }

    #[test]
    fn a6_time_counts_and_not_distance() {
        let covered = [range(2048, 3072), range(12288, 13312)];
        let slow_and_fast = [cursor(1024, 1.0), cursor(8192, 10.0)];
        assert_eq!(victims(&covered, &[], &slow_and_fast, MIB, 1), [range(2048, 3072)]);
    }

    #[test]
    fn a6_a_large_run_goes_by_parts_and_never_in_crumbs() {
        let covered = [range(0, 8192)];
        let kept = [range(4096, 8192)];
        let go = |excess| victims(&covered, &kept, &[cursor(4096, 1.0)], MIB, excess * KIB);
        assert_eq!(go(1), [range(0, 1024)]);
        assert_eq!(go(1025), [range(0, 2048)]);
        assert_eq!(go(9000), [range(0, 4096)], "no more than can go");
        let crumb = victims(&covered, &[range(255, 8192)], &[], MIB, MIB);
        assert_eq!(crumb, [], "a part of less than 256 KiB stays");
        let island = victims(&[range(5000, 5004)], &[], &[], MIB, MIB);
        assert_eq!(island, [range(5000, 5004)], "a whole run goes however small");
    }

    #[test]
    fn a6_runs_are_cut_at_blocks() {
        let run = ByteRange::new(1000, 3 * MIB + 1000);
        let kept = [ByteRange::new(MIB + 1, MIB + 5000)];
        let gone = victims(&[run], &kept, &[], MIB, u64::MAX);
        assert_eq!(gone, [ByteRange::new(1000, MIB), ByteRange::new(MIB + 8192, 3 * MIB + 1000),]);
    }

    fn runs(most: usize) -> impl Strategy<Value = Vec<ByteRange>> {
        let pairs = proptest::collection::vec((1_u64..3000, 1_u64..3000), 0..most);
        pairs.prop_map(|pairs| {
            let mut at = 0;
            let run = |(gap, len): (u64, u64)| {
                let start = at + gap * 1111;
                at = start + len * 1013;
                ByteRange::new(start, at)
            };
            pairs.into_iter().map(run).collect()
        })
    }

    proptest! {
        #[test]
        fn a6_what_goes_was_there_is_not_kept_and_is_no_more_than_needed(
            covered in runs(12),
            kept in proptest::collection::vec((0_u64..20_000_000, 0_u64..2_000_000), 0..6),
            cursors in proptest::collection::vec((0_u64..20_000_000, 1_u32..100), 0..4),
            step in 1_u64..3_000_000,
            excess in 0_u64..20_000_000,
        ) {
            let kept: Vec<ByteRange> =
                kept.into_iter().map(|(start, len)| ByteRange::at(start, len)).collect();
            let cursors: Vec<Cursor> =
                cursors.into_iter().map(|(at, rate)| Cursor { at, rate: f64::from(rate) }).collect();
            let gone = victims(&covered, &kept, &cursors, step, excess);
            let all = victims(&covered, &kept, &cursors, step, u64::MAX);
            let bytes = |ranges: &[ByteRange]| ranges.iter().map(|r| r.len()).sum::<u64>();
            for part in &gone {
                prop_assert!(!part.is_empty());
                prop_assert!(covered.iter().any(|run| run.covers(*part)), "{} was not there", part);
                prop_assert!(!kept.iter().any(|stays| stays.overlaps(*part)), "{} is kept", part);
                prop_assert!(all.iter().any(|part_of| part_of.covers(*part)));
            }
            prop_assert!(gone.windows(2).all(|two| two[0].end < two[1].start));
            prop_assert!(bytes(&gone) >= excess.min(bytes(&all)), "too little goes");
            // One step, with the crumb before it and the one behind it.
            let step = step.max(LEAST).next_multiple_of(BLOCK);
            prop_assert!(bytes(&gone) < excess.saturating_add(step + 2 * LEAST).max(1));
            // Nothing that stays will be used later than what goes.
            let (go, stay): (Vec<ByteRange>, Vec<ByteRange>) = parts(&covered, &kept, step)
                .into_iter()
                .partition(|part| gone.iter().any(|of| of.covers(*part)));
            let time = |part: &ByteRange| time_until(*part, &cursors);
            let first = go.iter().map(time).fold(f64::INFINITY, f64::min);
            prop_assert!(stay.iter().all(|part| time(part) <= first));
        }
    }
}
