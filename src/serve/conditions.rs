//! Conditional requests (RFC 9110 section 13), in the order of section 13.2.2.

use std::time::SystemTime;

use http::{HeaderMap, Method, StatusCode, header};

use crate::validator::Validator;

/// The status that the conditions of a request come to, if it is not to be served as it is.
pub(super) fn refuse(
    method: &Method,
    headers: &HeaderMap,
    validator: &Validator,
) -> Option<StatusCode> {
    let modified = validator.last_modified.as_deref().and_then(date);
    if let Some(tags) = list(headers, &header::IF_MATCH) {
        if !tags.matches(|tag| strong_match(tag, validator)) {
            return Some(StatusCode::PRECONDITION_FAILED);
        }
    } else if let (Some(since), Some(modified)) =
        (date_of(headers, &header::IF_UNMODIFIED_SINCE), modified)
        && modified > since
    {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if let Some(tags) = list(headers, &header::IF_NONE_MATCH) {
        return tags.matches(|tag| weak_match(tag, validator)).then_some(match reads {
            true => StatusCode::NOT_MODIFIED,
            false => StatusCode::PRECONDITION_FAILED,
        });
    }
    let since = date_of(headers, &header::IF_MODIFIED_SINCE).filter(|_| reads)?;
    (modified? <= since).then_some(StatusCode::NOT_MODIFIED)
}

/// Whether `If-Range`, if there is one, lets the range stand (section 13.1.5): a strong tag that is ours, or our very
/// date if it is a strong one.
pub(super) fn range_holds(headers: &HeaderMap, validator: &Validator) -> bool {
    let Some(value) = headers.get(header::IF_RANGE) else { return true };
    let Ok(value) = value.to_str().map(str::trim) else { return false };
    if value.starts_with('"') || value.starts_with("W/") {
        return strong_match(value, validator);
    }
    let strong = validator.last_modified.as_deref().filter(|_| validator.strong_date);
    match (strong.and_then(date), date(value)) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => false,
    }
}

/// The value of `If-Match` or `If-None-Match`.
struct Tags {
    any: bool,
    tags: Vec<String>,
}

impl Tags {
    fn matches(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.any || self.tags.iter().any(|tag| fits(tag))
    }
}

/// All fields of that name together, if there is one.
fn list(headers: &HeaderMap, name: &header::HeaderName) -> Option<Tags> {
    let mut found = Tags { any: false, tags: Vec::new() };
    let mut there = false;
    for value in headers.get_all(name) {
        there = true;
        let value = value.to_str().unwrap_or_default();
        found.any |= value.trim() == "*";
        found.tags.extend(tags(value));
    }
    there.then_some(found)
}

/// The entity tags of a list; a tag may hold commas. What is none ends the list.
fn tags(mut rest: &str) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let opaque = rest.strip_prefix("W/").unwrap_or(rest);
        let weak = rest.len() - opaque.len();
        let Some(end) = opaque.strip_prefix('"').and_then(|inner| inner.find('"')) else {
            return found;
        };
        let len = weak + end + 2;
        found.push(rest[..len].to_owned());
        rest = &rest[len..];
    }
}

fn strong_match(tag: &str, validator: &Validator) -> bool {
    validator.strong_etag() == Some(tag)
}

fn weak_match(tag: &str, validator: &Validator) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    validator.etag.as_deref().is_some_and(|ours| opaque(ours) == opaque(tag))
}

/// A date that means nothing is no condition (sections 13.1.3 and 13.1.4).
fn date_of(headers: &HeaderMap, name: &header::HeaderName) -> Option<SystemTime> {
    headers.get(name)?.to_str().ok().and_then(date)
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const MODIFIED: &str = "Mon, 07 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Tue, 08 Nov 1994 08:49:37 GMT";

    fn ours() -> Validator {
        Validator {
            etag: Some("\"a\"".into()),
            last_modified: Some(MODIFIED.into()),
            strong_date: true,
        }
    }

    fn of(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        map
    }

    fn status(headers: &[(&'static str, &'static str)]) -> Option<u16> {
        refuse(&Method::GET, &of(headers), &ours()).map(|status| status.as_u16())
    }

    #[test]
    fn each_condition_by_itself() {
        assert_eq!(status(&[("if-match", "\"a\"")]), None);
        assert_eq!(status(&[("if-match", "*")]), None);
        assert_eq!(status(&[("if-match", "\"b\", \"a\"")]), None);
        assert_eq!(status(&[("if-match", "\"b\"")]), Some(412));
        assert_eq!(status(&[("if-match", "W/\"a\"")]), Some(412), "strong comparison");
        assert_eq!(status(&[("if-unmodified-since", OLD)]), Some(412));
        assert_eq!(status(&[("if-unmodified-since", MODIFIED)]), None);
        assert_eq!(status(&[("if-none-match", "\"a\"")]), Some(304));
        assert_eq!(status(&[("if-none-match", "W/\"a\"")]), Some(304), "weak comparison");
        assert_eq!(status(&[("if-none-match", "*")]), Some(304));
        assert_eq!(status(&[("if-none-match", "\"b,\"\t, \"c\"")]), None);
        assert_eq!(status(&[("if-modified-since", OLD)]), None);
        assert_eq!(status(&[("if-modified-since", NEW)]), Some(304));
    }

    #[test]
    fn one_overrides_the_other_in_the_order_of_the_rfc() {
        let fails = ("if-unmodified-since", OLD);
        assert_eq!(status(&[("if-match", "\"a\""), fails]), None);
        let unmodified = ("if-modified-since", NEW);
        assert_eq!(status(&[("if-none-match", "\"b\""), unmodified]), None);
        assert_eq!(status(&[("if-match", "\"b\""), ("if-none-match", "\"a\"")]), Some(412));
        assert_eq!(status(&[("if-match", "\"a\""), ("if-none-match", "\"a\"")]), Some(304));
    }

    #[test]
    fn what_means_nothing_is_no_condition() {
        assert_eq!(status(&[("if-modified-since", "yesterday")]), None);
        assert_eq!(status(&[("if-unmodified-since", "yesterday")]), None);
        let headers = of(&[("if-modified-since", NEW), ("if-unmodified-since", OLD)]);
        assert_eq!(refuse(&Method::GET, &headers, &Validator::default()), None);
        let headers = of(&[("if-match", "\"a\"")]);
        let status = refuse(&Method::GET, &headers, &Validator::default());
        assert_eq!(status, Some(StatusCode::PRECONDITION_FAILED));
    }

    #[test]
    fn if_range_takes_a_strong_tag_or_the_very_date() {
        let holds = |value| range_holds(&of(&[("if-range", value)]), &ours());
        assert!(range_holds(&HeaderMap::new(), &ours()));
        assert!(holds("\"a\"") && holds(MODIFIED));
        for value in ["\"b\"", "W/\"a\"", OLD, NEW, "a", ""] {
            assert!(!holds(value), "{value}");
        }
        let weak = Validator { strong_date: false, ..ours() };
        assert!(!range_holds(&of(&[("if-range", MODIFIED)]), &weak));
        let weak = Validator { etag: Some("W/\"a\"".into()), ..ours() };
        assert!(!range_holds(&of(&[("if-range", "W/\"a\"")]), &weak));
    }
}
