//! The `Range` header (RFC 9110 section 14): which bytes of a representation of known length are asked for.

use std::ops::Range;

/// What a `Range` header comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything: there is no range, or none that means anything.
    Whole,
    /// These, none empty, in the order asked.
    Parts(Vec<Range<u64>>),
    /// None of them is there, or they are too many: 416.
    Unsatisfiable,
}

/// One element of a range set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// `first-` or `first-last`, inclusive.
    From(u64, Option<u64>),
    /// `-count`: the last bytes.
    Suffix(u64),
}

/// Reads the value of a `Range` header for a representation of `len` bytes.
///
/// Another unit and a malformed set are ignored, as section 14.2 allows. More than `most` ranges, and more than two
/// that share a byte, are refused (section 17.15): no player needs them, and each costs a part.
pub(super) fn asked(value: &str, len: u64, most: usize) -> Asked {
    let Some(specs) = parse(value) else { return Asked::Whole };
    if specs.len() > most {
        return Asked::Unsatisfiable;
    }
    // A suffix of nothing is satisfiable (section 14.1.2), and no `Content-Range` could say so.
    if len == 0 && specs.iter().any(|spec| matches!(spec, Spec::Suffix(1..))) {
        return Asked::Whole;
    }
    let parts: Vec<_> = specs.into_iter().filter_map(|spec| spec.within(len)).collect();
    match parts.is_empty() || deepest(&parts) > 2 {
        true => Asked::Unsatisfiable,
        false => Asked::Parts(parts),
    }
}

fn parse(value: &str) -> Option<Vec<Spec>> {
    let (unit, set) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let blank = |c| c == ' ' || c == '\t';
    // Empty elements of a list count for nothing (section 5.6.1.2).
    let elements = set.split(',').map(|spec| spec.trim_matches(blank)).filter(|s| !s.is_empty());
    let specs: Vec<Spec> = elements.map(Spec::parse).collect::<Option<_>>()?;
    (!specs.is_empty()).then_some(specs)
}

/// A number of any size; one past 2^64 is further than any length.
fn number(digits: &str) -> Option<u64> {
    let all = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all.then(|| digits.parse().unwrap_or(u64::MAX))
}

impl Spec {
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        match (first, last) {
            ("", count) => number(count).map(Self::Suffix),
            (first, "") => Some(Self::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// The bytes of it that are there.
    fn within(self, len: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first, last) => {
                first..last.map_or(len, |last| last.saturating_add(1).min(len))
            }
            Self::Suffix(count) => len.saturating_sub(count)..len,
        };
        (!range.is_empty()).then_some(range)
    }
}

/// How many of the ranges the most asked-for byte is in.
fn deepest(parts: &[Range<u64>]) -> usize {
    let inside = |at: u64| parts.iter().filter(|part| part.contains(&at)).count();
    parts.iter().map(|part| inside(part.start)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(value: &str) -> Vec<Range<u64>> {
        match asked(value, 1000, 4) {
            Asked::Parts(parts) => parts,
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    #[allow(clippy::single_range_in_vec_init)]
    fn single_ranges_of_each_form_are_clipped_to_what_is_there() {
        assert_eq!(parts("bytes=0-0"), [0..1]);
        assert_eq!(parts("bytes=10-19"), [10..20]);
        assert_eq!(parts("bytes=990-"), [990..1000]);
        assert_eq!(parts("bytes=990-5000"), [990..1000]);
        assert_eq!(parts("bytes=-10"), [990..1000]);
        assert_eq!(parts("bytes=-5000"), [0..1000]);
        assert_eq!(parts("BYTES=1-2"), [1..3]);
        assert_eq!(parts("bytes=0-18446744073709551616"), [0..1000]);
        assert_eq!(parts("bytes=-99999999999999999999"), [0..1000]);
    }

    #[test]
    fn several_ranges_keep_their_order_and_lose_what_is_not_there() {
        assert_eq!(parts("bytes=500-509, 0-9"), [500..510, 0..10]);
        assert_eq!(parts("bytes=0-0,,\t-1"), [0..1, 999..1000]);
        assert_eq!(parts("bytes=0-1,5000-6000,2-3"), [0..2, 2..4]);
    }

    #[test]
    fn what_is_no_range_of_bytes_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=1-2;3-4",
            "lines=1-2",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=0x1-2",
            "bytes 1-2",
            "bytes=1-2,x",
            "bytes=1 - 2",
        ] {
            assert_eq!(asked(value, 1000, 4), Asked::Whole, "{value:?}");
        }
    }

    #[test]
    fn what_is_past_the_end_or_too_much_is_refused() {
        for value in [
            "bytes=1000-",
            "bytes=1000-1001",
            "bytes=-0",
            "bytes=99999999999999999999-",
            "bytes=0-0,1-1,2-2,3-3,4-4",
            "bytes=0-9,5-14,7-20",
            "bytes=0-,0-,0-",
        ] {
            assert_eq!(asked(value, 1000, 4), Asked::Unsatisfiable, "{value:?}");
        }
        assert!(matches!(asked("bytes=0-9,5-14", 1000, 4), Asked::Parts(_)), "two may overlap");
    }

    #[test]
    fn of_nothing_only_a_suffix_can_be_had() {
        assert_eq!(asked("bytes=0-", 0, 4), Asked::Unsatisfiable);
        assert_eq!(asked("bytes=-1", 0, 4), Asked::Whole);
        assert_eq!(asked("bytes=-0", 0, 4), Asked::Unsatisfiable);
    }
}
