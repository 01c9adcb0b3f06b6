//! What is read from an answer's headers.
//!
//! A header that must be single and is there twice with different values says nothing: it is taken as
//! absent, or as an error where it decides about bytes.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, header};

use super::content_range::number;
use crate::validator::Validator;

/// How much older than `Date` a `Last-Modified` must be to be strong (RFC 9110 section 8.8.2.2).
const STRONG_AGE: Duration = Duration::from_secs(60);

/// The longest `Retry-After` that is told: a longer one means "never" to everybody here, and sums of
/// times must not overflow.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A header that has to be there at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Single<'a> {
    /// Not there.
    Absent,
    /// Once, or several times with the same value.
    Value(&'a str),
    /// Several times with different values, or no text.
    Unclear,
}

/// Looks for the one value of `name`.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Single<'a> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Single::Absent };
    match first.to_str() {
        Ok(text) if values.all(|other| other == first) => Single::Value(text.trim()),
        _ => Single::Unclear,
    }
}

/// The value of a header, if it is there and clear.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    match single(headers, name) {
        Single::Value(text) => Some(text),
        Single::Absent | Single::Unclear => None,
    }
}

/// `Content-Type` as sent.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<String> {
    text(headers, &header::CONTENT_TYPE).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// The validators of an answer.
///
/// A tag without quotes is against the standard and would be read as a date in `If-Range`; it is kept as
/// a weak one, good for noticing a change and for nothing else.
pub(crate) fn validator(headers: &HeaderMap) -> Validator {
    let etag = text(headers, &header::ETAG).filter(|tag| !tag.is_empty()).map(|tag| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        let quoted = opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"');
        if quoted { tag.to_owned() } else { format!("W/\"{}\"", opaque.trim_matches('"')) }
    });
    let last_modified = text(headers, &header::LAST_MODIFIED);
    let strong_date = last_modified
        .and_then(date)
        .zip(sent_at(headers))
        .is_some_and(|(then, now)| now.duration_since(then).is_ok_and(|age| age >= STRONG_AGE));
    Validator { etag, last_modified: last_modified.map(str::to_owned), strong_date }
}

/// For how long `Retry-After` asks to wait: seconds, or a date counted from the answer's `Date`, or
/// from `now` without one.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = text(headers, &header::RETRY_AFTER)?;
    let wait = match number(value) {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(super::content_range::Malformed::Overflow) => MAX_RETRY_AFTER,
        Err(_) => {
            let from = sent_at(headers).unwrap_or(now);
            date(value)?.duration_since(from).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// When the answer was made, by its own clock.
fn sent_at(headers: &HeaderMap) -> Option<SystemTime> {
    text(headers, &header::DATE).and_then(date)
}

/// An HTTP date.
fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn n8_last_modified_is_strong_only_a_minute_before_date() {
        let strong = |modified: &str, date: &[(&'static str, &str)]| {
            let mut pairs = vec![("last-modified", modified)];
            pairs.extend(date);
            validator(&map(&pairs)).strong_date
        };
        let date = [("date", DATE)];
        assert!(strong("Sun, 06 Nov 1994 08:48:37 GMT", &date));
        assert!(!strong("Sun, 06 Nov 1994 08:48:38 GMT", &date));
        assert!(!strong("Sun, 06 Nov 1994 08:50:37 GMT", &date));
        assert!(!strong("Sun, 06 Nov 1994 08:48:37 GMT", &[]));
        assert!(!strong("yesterday", &date));
    }

    #[test]
    fn n8_tags_are_kept_as_sent_and_malformed_ones_never_go_out() {
        let tag = |value: &str| validator(&map(&[("etag", value)]));
        assert_eq!(tag("\"a\"").etag.as_deref(), Some("\"a\""));
        assert_eq!(tag("W/\"a\"").etag.as_deref(), Some("W/\"a\""));
        for odd in ["a", "\"a", "a\"", "\""] {
            assert_eq!(tag(odd).if_range(), None, "{odd}");
        }
        assert_eq!(tag("").etag, None);
        assert_eq!(validator(&map(&[("etag", "\"a\""), ("etag", "\"b\"")])).etag, None);
    }

    #[test]
    fn n4_retry_after_is_read_as_seconds_or_as_a_date() {
        let now = date(DATE).unwrap();
        let wait = |pairs: &[(&'static str, &str)]| retry_after(&map(pairs), now);
        let secs = |n| Some(Duration::from_secs(n));
        assert_eq!(wait(&[("retry-after", "7")]), secs(7));
        let later = "Sun, 06 Nov 1994 08:49:47 GMT";
        assert_eq!(wait(&[("retry-after", later)]), secs(10));
        let other = ("date", "Sun, 06 Nov 1994 08:49:40 GMT");
        assert_eq!(wait(&[("retry-after", later), other]), secs(7));
        assert_eq!(wait(&[("retry-after", DATE), ("date", later)]), secs(0));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", "-5")]), None);
        assert_eq!(wait(&[]), None);
        let never = wait(&[("retry-after", "99999999999999999999999")]);
        assert_eq!(never, Some(MAX_RETRY_AFTER));
        assert_eq!(wait(&[("retry-after", "18446744073709551615")]), never);
    }
}
