//! `Content-Range`, read strictly (RFC 9110 section 14.4).
//!
//! Pure and small, so that it can be fuzzed and mutated. What it accepts is a range of at least one
//! byte that lies inside its own total and whose exclusive end fits in 64 bits; nothing is repaired.

use crate::byte_range::ByteRange;

/// What a `Content-Range` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentRange {
    /// `bytes a-b/total`: the body holds these bytes (never none).
    Part {
        /// Half-open, so it ends at `b + 1`.
        range: ByteRange,
        /// Length of the resource; `None` for `*`.
        total: Option<u64>,
    },
    /// `bytes */total`: the range asked for is not there.
    Unsatisfied {
        /// Length of the resource.
        total: u64,
    },
}

/// Why a `Content-Range` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// Another unit, or not of the form at all.
    #[error("Content-Range is not of the form `bytes a-b/total`")]
    Form,
    /// A number that does not fit.
    #[error("Content-Range has a number that does not fit in 64 bits")]
    Overflow,
    /// The last byte is before the first one.
    #[error("Content-Range ends before it starts")]
    Backwards,
    /// The last byte is at or past the total.
    #[error("Content-Range reaches past its own total")]
    PastTotal,
}

/// Reads the value of a `Content-Range` header.
pub(crate) fn parse(value: &str) -> Result<ContentRange, Malformed> {
    let (unit, rest) = value.trim().split_once(' ').ok_or(Malformed::Form)?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return Err(Malformed::Form);
    }
    let (range, total) = rest.split_once('/').ok_or(Malformed::Form)?;
    let total = if total == "*" { None } else { Some(number(total)?) };
    if range == "*" {
        return total.map(|total| ContentRange::Unsatisfied { total }).ok_or(Malformed::Form);
    }
    let (first, last) = range.split_once('-').ok_or(Malformed::Form)?;
    let (start, last) = (number(first)?, number(last)?);
    if last < start {
        return Err(Malformed::Backwards);
    }
    let end = last.checked_add(1).ok_or(Malformed::Overflow)?;
    if total.is_some_and(|total| end > total) {
        return Err(Malformed::PastTotal);
    }
    Ok(ContentRange::Part { range: ByteRange::new(start, end), total })
}

/// Decimal digits and nothing else; `str::parse` alone would take a sign.
pub(crate) fn number(text: &str) -> Result<u64, Malformed> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::Form);
    }
    text.parse().map_err(|_| Malformed::Overflow)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(start: u64, end: u64, total: Option<u64>) -> Result<ContentRange, Malformed> {
        Ok(ContentRange::Part { range: ByteRange::new(start, end), total })
    }

    #[test]
    fn n6_the_inclusive_end_on_the_wire_becomes_exclusive() {
        assert_eq!(parse("bytes 0-0/1"), part(0, 1, Some(1)));
        assert_eq!(parse("bytes 5-9/10"), part(5, 10, Some(10)));
        assert_eq!(parse("BYTES 5-9/11"), part(5, 10, Some(11)));
        assert_eq!(parse("bytes 007-9/*"), part(7, 10, None));
        assert_eq!(parse("bytes */0"), Ok(ContentRange::Unsatisfied { total: 0 }));
        assert_eq!(parse(" bytes */7 "), Ok(ContentRange::Unsatisfied { total: 7 }));
    }

    #[test]
    fn n6_offsets_near_the_largest_number_do_not_wrap() {
        let max = u64::MAX;
        assert_eq!(parse(&format!("bytes 0-{}/{max}", max - 1)), part(0, max, Some(max)));
        assert_eq!(parse(&format!("bytes 0-{max}/*")), Err(Malformed::Overflow));
        assert_eq!(parse(&format!("bytes {max}-{max}/*")), Err(Malformed::Overflow));
        assert_eq!(parse("bytes 0-18446744073709551616/*"), Err(Malformed::Overflow));
        assert_eq!(parse("bytes 0-1/99999999999999999999999"), Err(Malformed::Overflow));
    }

    #[test]
    fn n6_a_range_that_contradicts_itself_is_refused() {
        assert_eq!(parse("bytes 5-4/10"), Err(Malformed::Backwards));
        assert_eq!(parse("bytes 0-10/10"), Err(Malformed::PastTotal));
        assert_eq!(parse("bytes 0-9/10"), part(0, 10, Some(10)));
        assert_eq!(parse("bytes 0-0/0"), Err(Malformed::PastTotal));
    }

    #[test]
    fn n6_garbage_is_refused() {
        for value in [
            "",
            "bytes",
            "bytes ",
            "bytes 0-4",
            "bytes 0-4/",
            "bytes /5",
            "bytes -4/5",
            "bytes 0-/5",
            "bytes +0-4/5",
            "bytes 0-4/-5",
            "bytes 0 - 4/5",
            "bytes  0-4/5",
            "bytes 0-4/5, bytes 0-4/5",
            "bytes 0-4/5/6",
            "bytes 0-4-5/6",
            "bytes */*",
            "bytes=0-4/5",
            "items 0-4/5",
            "bytes 0x0-0x4/5",
            "bytes ٣-٤/٥",
        ] {
            assert_eq!(parse(value), Err(Malformed::Form), "{value:?}");
        }
    }

    proptest! {
        /// N6: whatever comes, the parser neither panics nor gives a range that is empty or outside
        /// of its total.
        #[test]
        fn n6_any_text_gives_a_sound_range_or_an_error(
            value in "(bytes )?[0-9*/ -]{0,50}|.{0,40}",
        ) {
            if let Ok(ContentRange::Part { range, total }) = parse(&value) {
                prop_assert!(!range.is_empty());
                prop_assert!(total.is_none_or(|total| range.end <= total));
            }
        }

        /// N6: what is written in the standard's form is read back exactly.
        #[test]
        fn n6_every_sound_range_is_read_exactly(
            start in 0..u64::MAX - 1, len in 1..u64::MAX, beyond in proptest::option::of(0..u64::MAX),
        ) {
            let end = start.saturating_add(len);
            let total = beyond.map(|more| end.saturating_add(more));
            let told = total.map_or("*".to_owned(), |total| total.to_string());
            let value = format!("bytes {start}-{}/{told}", end - 1);
            prop_assert_eq!(parse(&value), part(start, end, total));
        }
    }
}
