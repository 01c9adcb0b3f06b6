//! The headers with which a request goes out.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::RangeRequest;
use crate::byte_range::ByteRange;

/// Least urgent value of RFC 9218.
const MAX_URGENCY: u8 = 7;

/// The headers that `request` needs, user headers aside. They go over any others of the same name.
///
/// # Errors
///
/// Why the request cannot be sent: an empty range (on the wire it would end before it starts, N5), or a
/// validator that is no header value.
pub(crate) fn headers(request: &RangeRequest) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    // Bytes are placed by their offset, so an encoded body is of no use.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(range) = request.range {
        headers.insert(header::RANGE, value(&range_value(range)?)?);
        if let Some(validator) = &request.if_range {
            headers.insert(header::IF_RANGE, value(validator)?);
        }
    }
    if request.bypass_caches {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    }
    if let Some(urgency) = request.urgency {
        let urgency = format!("u={}", urgency.min(MAX_URGENCY));
        headers.insert(HeaderName::from_static("priority"), value(&urgency)?);
    }
    Ok(headers)
}

/// `bytes=a-b` with an inclusive end; `bytes=a-` for a range without an end.
fn range_value(range: ByteRange) -> Result<String, String> {
    if range.is_empty() {
        return Err(format!("the range {range} is empty"));
    }
    if range.end == u64::MAX {
        return Ok(format!("bytes={}-", range.start));
    }
    Ok(format!("bytes={}-{}", range.start, range.end - 1))
}

/// `text` as a header's value.
fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| "a validator is no header value".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(request: &RangeRequest) -> Vec<(String, String)> {
        let headers = headers(request).unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let mut all: Vec<_> = headers.iter().map(|(n, v)| (n.to_string(), text(v))).collect();
        all.sort();
        all
    }

    fn range(start: u64, end: u64) -> RangeRequest {
        RangeRequest::of(ByteRange::new(start, end))
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn n5_ranges_are_inclusive_on_the_wire() {
        let is = |request: RangeRequest, range: &str| {
            assert_eq!(sent(&request), owned(&[("accept-encoding", "identity"), ("range", range)]));
        };
        is(range(0, 1), "bytes=0-0");
        is(range(5, 10), "bytes=5-9");
        is(range(5, u64::MAX), "bytes=5-");
        is(range(u64::MAX - 2, u64::MAX - 1), "bytes=18446744073709551613-18446744073709551613");
    }

    /// N5, defects 21 and 25: `bytes=5-4` never goes out.
    #[test]
    fn n5_an_empty_range_is_refused() {
        assert!(headers(&range(5, 5)).is_err());
        assert!(headers(&range(5, 4)).is_err());
        assert!(headers(&range(u64::MAX, u64::MAX)).is_err());
    }

    #[test]
    fn n8_if_range_goes_out_with_a_range_only() {
        let tag = Some("\"a\"".to_owned());
        let with = RangeRequest { if_range: tag.clone(), ..range(0, 9) };
        let pairs =
            [("accept-encoding", "identity"), ("if-range", "\"a\""), ("range", "bytes=0-8")];
        assert_eq!(sent(&with), owned(&pairs));
        let without = RangeRequest { if_range: tag, ..RangeRequest::default() };
        assert_eq!(sent(&without), owned(&[("accept-encoding", "identity")]));
        let broken = RangeRequest { if_range: Some("a\nb".into()), ..range(0, 9) };
        assert!(headers(&broken).is_err());
    }

    #[test]
    fn n8_caches_are_told_to_ask_and_urgency_is_told() {
        let request =
            RangeRequest { bypass_caches: true, urgency: Some(9), ..RangeRequest::default() };
        let pairs = [
            ("accept-encoding", "identity"),
            ("cache-control", "no-cache"),
            ("pragma", "no-cache"),
            ("priority", "u=7"),
        ];
        assert_eq!(sent(&request), owned(&pairs));
    }
}
