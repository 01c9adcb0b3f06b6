//! What the fuzz targets in `fuzz/` run. Only there with `--cfg fuzzing`; no part of the crate otherwise.
//!
//! Each takes any bytes, makes of them what the code at hand takes, and panics where a promise is broken.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version};
use url::Url;

use crate::assets::log_fuzz;
use crate::byte_range::ByteRange;
use crate::net::classify::{Accepted, Head, Refused, judge};
use crate::net::content_range::{self, ContentRange};
use crate::net::{AnswerShape, Expectation, RangeRequest};
use crate::sched::sim::world::{Choices, World};
use crate::validator::Validator;

/// Bytes as numbers.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Small, middling, or anywhere up to the largest.
    fn offset(&mut self) -> u64 {
        match self.byte() % 4 {
            0 => u64::from(self.byte()),
            1 => u64::from(u16::from_le_bytes([self.byte(), self.byte()])),
            2 => u64::MAX - u64::from(self.byte()),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.byte() % 2 == 1).then(|| make(self))
    }
}

/// N6-N8: the head of an answer, to any request.
pub fn content_range(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        round_trip(text);
    }
    let mut numbers = Numbers(data);
    let start = numbers.offset();
    let asked = ByteRange::at(start, numbers.offset().max(1));
    let total = numbers.maybe(Numbers::offset);
    let validator = numbers.maybe(|numbers| Validator {
        etag: Some(format!("\"{}\"", numbers.byte() % 3)),
        ..Validator::default()
    });
    let range = (numbers.byte() % 8 != 0 && !asked.is_empty()).then_some(asked);
    let if_range = validator.as_ref().and_then(|validator| validator.etag.clone());
    let expect = Expectation { total, validator, content_type: None };
    let request = RangeRequest { range, if_range, expect, ..RangeRequest::default() };
    let status = [206, 206, 206, 200, 416, 302, 404][usize::from(numbers.byte() % 7)];
    let headers = headers(&mut numbers);
    let status = StatusCode::from_u16(status).expect("a status");
    let head = Head { status, version: Version::HTTP_11, headers: &headers };
    let url = Url::parse("http://media.example/film.mp4").expect("a URL");
    match judge(&request, &url, true, head) {
        Ok(accepted) => sound(&request, &accepted),
        Err(Refused::NotSatisfiable { total: Some(total), .. }) => {
            assert!(request.range.is_some_and(|asked| asked.start >= total), "{total} {asked}");
        }
        Err(_) => {}
    }
}

/// What is accepted says the same when it is said again.
fn round_trip(text: &str) {
    let Ok(parsed) = content_range::parse(text) else { return };
    let again = match parsed {
        ContentRange::Part { range, total } => {
            assert!(!range.is_empty() && total.is_none_or(|total| range.end <= total));
            let total = total.map_or("*".to_owned(), |total| total.to_string());
            format!("bytes {}-{}/{total}", range.start, range.end - 1)
        }
        ContentRange::Unsatisfied { total } => format!("bytes */{total}"),
    };
    assert_eq!(content_range::parse(&again), Ok(parsed));
}

/// Lines as they come, the ranges among them often well formed.
fn headers(numbers: &mut Numbers<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    while !numbers.0.is_empty() && headers.len() < 20 {
        let (name, value) = match numbers.byte() % 8 {
            0..=2 => {
                let (start, len) = (numbers.offset(), numbers.offset());
                let last = start.wrapping_add(len);
                let total = numbers.maybe(Numbers::offset);
                let total = total.map_or("*".to_owned(), |total| total.to_string());
                ("content-range", format!("bytes {start}-{last}/{total}"))
            }
            3 => ("content-range", format!("bytes */{}", numbers.offset())),
            4 => ("content-length", numbers.offset().to_string()),
            5 => ("etag", format!("\"{}\"", numbers.byte() % 3)),
            6 => ("transfer-encoding", "chunked".to_owned()),
            _ => {
                let len = usize::from(numbers.byte()).min(numbers.0.len());
                let (text, rest) = numbers.0.split_at(len);
                numbers.0 = rest;
                let names = ["content-range", "content-length", "content-encoding", "content-type"];
                let name = names[len % names.len()];
                if let Ok(value) = HeaderValue::from_bytes(text) {
                    headers.append(HeaderName::from_static(name), value);
                }
                continue;
            }
        };
        let value = HeaderValue::from_str(&value).expect("digits and marks");
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

/// What is accepted places bytes where the request wanted some, and nowhere beyond.
fn sound(request: &RangeRequest, accepted: &Accepted) {
    let bounds = &accepted.bounds;
    match accepted.shape {
        AnswerShape::Part { range, total } => {
            let asked = request.range.expect("a part only where one was asked for");
            assert!(range.contains(asked.start) && range.end <= asked.end, "{range} for {asked}");
            assert!(total.is_none_or(|total| range.end <= total), "{range} of {total:?}");
            assert!(request.expect.total.is_none_or(|total| range.end <= total));
            assert_eq!((bounds.start, bounds.asked), (range.start, asked.start));
            assert_eq!(bounds.limit, range.end);
            assert!(bounds.promised.is_some_and(|end| end >= range.end));
        }
        AnswerShape::Whole { len } => {
            assert_eq!((bounds.start, bounds.promised), (0, len));
            let known = request.expect.total.zip(len);
            assert!(known.is_none_or(|(known, told)| known == told), "{known:?}");
        }
    }
}

/// A3: any log beside a data file of any length.
pub fn log_recovery(data: &[u8]) {
    log_fuzz::recovery(data);
}

/// E6, P1-P8: any order of events; the scheduler checks its invariants after each.
pub fn scheduler(data: &[u8]) {
    let mut world = World::new(0, Choices::given(data));
    world.open();
    while !world.choices.are_over() {
        world.step();
    }
    world.recover();
}
