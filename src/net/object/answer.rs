//! What is asked of a store, and its answer told as the HTTP answer that it stands for.

use std::time::SystemTime;

use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use object_store::{
    Attribute, Attributes, Extensions, GetOptions, GetRange, GetResult, ObjectMeta,
};

use super::told::Told;
use super::{Asking, fault};
use crate::connection::ConnectionUse;
use crate::error::{NetworkErrorKind, Stage};
use crate::net::body::{BoxError, Source};
use crate::net::classify::{self, Head, Refused};
use crate::net::{Answer, Body, Fault, RangeRequest, headers};
use crate::sync::Arc;
use crate::validator::Validator;

/// Stands before a tag that its store writes without quotes.
const BARE: &str = "bare:";

/// What is asked of a store for `request`.
pub(super) fn options(request: &RangeRequest, told: &Told) -> GetOptions {
    let range = request.range.map(|range| match range.end {
        u64::MAX => GetRange::Offset(range.start),
        end => GetRange::Bounded(range.start..end),
    });
    let tag = request.if_range.as_deref().filter(|tag| tag.starts_with('"'));
    GetOptions {
        if_match: request.range.and(tag).map(as_sent),
        range,
        extensions: carrying(told),
        ..GetOptions::default()
    }
}

/// What is asked to know the length of an object.
pub(super) fn head_options(told: &Told) -> GetOptions {
    GetOptions { head: true, extensions: carrying(told), ..GetOptions::default() }
}

fn carrying(told: &Told) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(told.clone());
    extensions
}

impl Asking<'_> {
    /// Judges what the store gave.
    pub(super) fn accept(
        &self,
        found: GetResult,
        request: &RangeRequest,
        connection: ConnectionUse,
    ) -> Result<Answer, Fault> {
        let (status, sent) = told_of(&found, request);
        let head = Head { status, version: Version::HTTP_2, headers: &sent };
        let url = self.target.original();
        let accepted = classify::judge(request, url, self.refuse_html, head)
            .map_err(|refused| self.refuse(refused))?;
        let stream = found.into_stream();
        let stream = stream.map(|piece| piece.map_err(|e| BoxError::from(fault::innermost(&e))));
        let shown = Arc::from(self.shown.as_str());
        Ok(Answer {
            shape: accepted.shape,
            validator: accepted.validator,
            content_type: accepted.content_type,
            final_url: url.clone(),
            connection,
            multiplexed: self.told.head().is_some_and(|head| head.multiplexed),
            body: Body::new(Source::Stream(stream.boxed()), accepted.bounds, shown),
        })
    }

    /// The range begins past the end of what was `found`.
    pub(super) fn past_end(&self, found: &GetResult, request: &RangeRequest) -> Fault {
        let mut sent = described(&found.meta, &found.attributes);
        let range = format!("bytes */{}", found.meta.size);
        put(&mut sent, header::CONTENT_RANGE, &range);
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        let head = Head { status, version: Version::HTTP_2, headers: &sent };
        match classify::judge(request, self.target.original(), self.refuse_html, head) {
            Err(refused) => self.refuse(refused),
            Ok(_) => Fault::protocol(&self.shown, Stage::Headers, "past the end, and not"),
        }
    }

    fn refuse(&self, refused: Refused) -> Fault {
        match refused {
            Refused::Status => Fault::protocol(&self.shown, Stage::Headers, "no answer"),
            Refused::Protocol(why) => Fault::protocol(&self.shown, Stage::Headers, why),
            Refused::NotMedia(why) => {
                Fault::at(&self.shown, Stage::Headers, NetworkErrorKind::NotMedia(why))
            }
            Refused::Changed(seen) => Fault::Changed(seen),
            Refused::NotSatisfiable { total, validator } => {
                Fault::NotSatisfiable { total, validator }
            }
        }
    }
}

/// Status and headers that `found` stands for.
fn told_of(found: &GetResult, request: &RangeRequest) -> (StatusCode, HeaderMap) {
    let mut sent = described(&found.meta, &found.attributes);
    let range = &found.range;
    let len = range.end.saturating_sub(range.start);
    put(&mut sent, header::CONTENT_LENGTH, &len.to_string());
    if request.range.is_none() {
        return (StatusCode::OK, sent);
    }
    let last = range.end.saturating_sub(1);
    let value = format!("bytes {}-{last}/{}", range.start, found.meta.size);
    put(&mut sent, header::CONTENT_RANGE, &value);
    (StatusCode::PARTIAL_CONTENT, sent)
}

/// What tells the version and the type of an object.
fn described(meta: &ObjectMeta, attributes: &Attributes) -> HeaderMap {
    let mut sent = HeaderMap::new();
    if let Some(tag) = &meta.e_tag {
        put(&mut sent, header::ETAG, &quoted(tag));
    }
    // Without a `Date` beside it, it is a weak validator: clocks of stores are not ours.
    if let Some(date) = http_date(meta) {
        put(&mut sent, header::LAST_MODIFIED, &date);
    }
    if let Some(kind) = attributes.get(&Attribute::ContentType) {
        put(&mut sent, header::CONTENT_TYPE, kind);
    }
    // How an upload was signed, which some stores keep: the bytes are plain.
    let coding = attributes.get(&Attribute::ContentEncoding).map(|coding| coding.trim());
    if let Some(coding) = coding.filter(|coding| !coding.is_empty() && *coding != "aws-chunked") {
        put(&mut sent, header::CONTENT_ENCODING, coding);
    }
    sent
}

/// When an object was last changed, as HTTP writes it. `None` for what no date of HTTP is, and for the epoch, which
/// stands for "not told".
fn http_date(meta: &ObjectMeta) -> Option<String> {
    const LAST: i64 = 253_402_300_800;
    let seconds = meta.last_modified.timestamp();
    (1..LAST).contains(&seconds).then(|| {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds.unsigned_abs());
        httpdate::fmt_http_date(time)
    })
}

/// What is no header's value says nothing.
fn put(sent: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        sent.insert(name, value);
    }
}

/// What tells the version of an object.
pub(super) fn validator(meta: &ObjectMeta) -> Validator {
    headers::validator(&described(meta, &Attributes::new()))
}

/// The media type of an object.
pub(super) fn content_type(attributes: &Attributes) -> Option<String> {
    attributes.get(&Attribute::ContentType).map(|kind| kind.to_string())
}

/// `tag` as HTTP writes it. Not every store writes quotes; that it did not is kept in it, for `If-Match`.
fn quoted(tag: &str) -> String {
    let opaque = tag.strip_prefix("W/").unwrap_or(tag);
    let is_quoted = opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"');
    match is_quoted {
        // Would be taken for ours: as a weak one it is compared, and never goes out.
        true if tag.starts_with(&format!("\"{BARE}")) => format!("W/{tag}"),
        true => tag.to_owned(),
        false => format!("\"{BARE}{tag}\""),
    }
}

/// A tag of [`quoted`] as its store writes it.
fn as_sent(tag: &str) -> String {
    let bare = tag.strip_prefix('"').and_then(|tag| tag.strip_prefix(BARE));
    bare.and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_range::ByteRange;

    #[test]
    fn n8_a_tag_goes_back_to_its_store_as_that_writes_it() {
        for tag in ["\"abc\"", "abc", "1f-5e-7", "\"abc-12\""] {
            assert_eq!(as_sent(&quoted(tag)), tag);
            let known = Validator { etag: Some(quoted(tag)), ..Validator::default() };
            assert!(known.if_range().is_some(), "{tag}");
        }
        for weak in ["W/\"abc\"", "\"bare:abc\""] {
            let known = Validator { etag: Some(quoted(weak)), ..Validator::default() };
            assert_eq!(known.if_range(), None, "{weak}");
        }
    }

    #[test]
    fn n5_ranges_are_bounded_and_under_if_match() {
        let request = RangeRequest {
            range: Some(ByteRange::new(5, 9)),
            if_range: Some("\"a\"".into()),
            ..RangeRequest::default()
        };
        let asked = options(&request, &Told::default());
        assert_eq!(asked.range, Some(GetRange::Bounded(5..9)));
        assert_eq!(asked.if_match.as_deref(), Some("\"a\""));
        let date = RangeRequest { if_range: Some("a date".into()), ..request.clone() };
        assert_eq!(options(&date, &Told::default()).if_match, None, "a date is no tag");
        let open = RangeRequest { range: Some(ByteRange::new(5, u64::MAX)), ..request };
        assert_eq!(options(&open, &Told::default()).range, Some(GetRange::Offset(5)));
    }
}
