//! Whether what came is the media, or a page put in its place (N10).
//!
//! Portals and expired logins answer 200 with a page. Stored as media it would be served for ever, so
//! it is refused by its content type, before its length or version is looked at:
//!
//! - HTML is refused wherever another type is known, whatever the validator says.
//! - Other text that servers use for errors (JSON, XML, plain) is refused where audio or video is
//!   known, unless a strong validator agrees: some servers guess types differently from answer to answer.
//! - On the first open nothing is known but the URL. HTML is then refused if the path ends in an extension
//!   that is not one of a page (`film.mp4`), and accepted if it is one or there is none: then nobody
//!   said that it should be media.

use url::Url;

use super::Expectation;
use crate::validator::{Comparison, Validator};

/// Extensions whose answer may well be a page.
const PAGES: [&str; 12] =
    ["html", "htm", "xhtml", "xht", "shtml", "php", "asp", "aspx", "jsp", "cgi", "do", "pl"];

/// Why an answer of type `came` (as sent) is not the media that is expected from `asked`; `None` if it
/// may be.
pub(crate) fn refusal(
    expect: &Expectation,
    asked: &Url,
    came: Option<&str>,
    validator: &Validator,
) -> Option<String> {
    let came = essence(came?);
    let known = expect.content_type.as_deref().map(essence);
    let same = expect.validator.as_ref().map(|known| known.compare(validator));
    let refused = if is_html(&came) {
        match &known {
            Some(known) => !is_html(known),
            None => same != Some(Comparison::Same) && names_a_file(asked),
        }
    } else {
        let media = known
            .as_deref()
            .is_some_and(|known| known.starts_with("audio/") || known.starts_with("video/"));
        media && is_notice(&came) && same != Some(Comparison::Same)
    };
    refused.then(|| match known {
        Some(known) => format!("{came} in place of {known}"),
        None => format!("{came} in place of a file"),
    })
}

/// The type alone, in lower case, without parameters.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_html(essence: &str) -> bool {
    matches!(essence, "text/html" | "application/xhtml+xml")
}

/// Types in which servers tell errors.
fn is_notice(essence: &str) -> bool {
    matches!(
        essence,
        "application/json"
            | "application/problem+json"
            | "application/xml"
            | "text/xml"
            | "text/plain"
    )
}

/// Whether the path of `url` ends in an extension that is not one of a page.
fn names_a_file(url: &Url) -> bool {
    let last = url.path_segments().and_then(|mut segments| segments.next_back());
    let Some((stem, extension)) = last.and_then(|name| name.rsplit_once('.')) else { return false };
    let extension = extension.to_ascii_lowercase();
    // `v1.2` has no extension, and neither has `.hidden`.
    let plausible = (1..=5).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && extension.bytes().any(|byte| byte.is_ascii_alphabetic());
    !stem.is_empty() && plausible && !PAGES.contains(&extension.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(known: Option<&str>, path: &str, came: &str) -> bool {
        let expect =
            Expectation { content_type: known.map(str::to_owned), ..Expectation::default() };
        let url = Url::parse("http://h/").unwrap().join(path).unwrap();
        refusal(&expect, &url, Some(came), &Validator::default()).is_some()
    }

    /// N10, defect 23.
    #[test]
    fn n10_a_login_page_in_place_of_known_media_is_refused() {
        assert!(refused(Some("video/mp4"), "f", "text/html; charset=utf-8"));
        assert!(refused(Some("application/octet-stream"), "f", "Application/XHTML+xml"));
        assert!(refused(Some("audio/flac"), "f", "application/json"));
        assert!(!refused(Some("text/html"), "f.mp4", "text/html"));
        assert!(!refused(Some("video/mp4"), "f", "application/octet-stream"));
        assert!(!refused(Some("application/octet-stream"), "f", "text/plain"));
    }

    #[test]
    fn n10_on_the_first_open_the_extension_decides() {
        assert!(refused(None, "film.mp4?x=1", "text/html"));
        assert!(refused(None, "a/b.FLAC", "text/html"));
        assert!(refused(None, "song.m4a", "text/html"));
        for page in ["", "film", "page.html", "page.HTM", "get.php?f=film.mp4", "v1.2", ".hidden"] {
            assert!(!refused(None, page, "text/html"), "{page}");
        }
        assert!(!refused(None, "film.mp4", "text/plain"));
    }

    #[test]
    fn n10_a_strong_validator_that_agrees_excuses_a_changed_guess_of_the_type() {
        let tag = Validator { etag: Some("\"a\"".into()), ..Validator::default() };
        let url = Url::parse("http://h/f.wav").unwrap();
        let expect = |content_type: Option<&str>| Expectation {
            validator: Some(tag.clone()),
            content_type: content_type.map(str::to_owned),
            total: None,
        };
        let audio = expect(Some("audio/wav"));
        assert_eq!(refusal(&audio, &url, Some("text/plain"), &tag), None);
        assert!(refusal(&audio, &url, Some("text/html"), &tag).is_some());
        assert!(refusal(&audio, &url, Some("text/plain"), &Validator::default()).is_some());
        assert_eq!(refusal(&expect(None), &url, Some("text/html"), &tag), None);
        assert_eq!(refusal(&audio, &url, None, &tag), None);
    }
}
