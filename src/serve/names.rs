//! Names under which media are served: one plain path segment each.

use std::fmt::Write as _;

use crate::engine::source::Place;

/// Longest name, in bytes; longer ones lose their middle, so that the extension stays.
const LONGEST: usize = 120;

/// What a resource without a name of its own is called.
const NAMELESS: &str = "media";

/// Segments that mean something else.
const RESERVED: [&str; 2] = ["open", "_"];

/// The last segment of where the bytes are, decoded, as one harmless path segment.
pub(super) fn of_place(place: &Place) -> String {
    let last = match place {
        Place::Remote(url) => url
            .path_segments()
            .and_then(|mut segments| segments.rfind(|segment| !segment.is_empty()))
            .and_then(decode)
            .unwrap_or_default(),
        Place::File(path) => {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
    };
    tame(&last)
}

fn tame(name: &str) -> String {
    let safe = |c: char| if matches!(c, '/' | '\\') || c.is_control() { '-' } else { c };
    let name: String = name.trim_start_matches('.').chars().map(safe).collect();
    match name.is_empty() {
        true => NAMELESS.to_owned(),
        false => shorten(&name),
    }
}

fn shorten(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let half = LONGEST / 2;
    let front = (0..=half).rfind(|&at| name.is_char_boundary(at)).unwrap_or(0);
    let back = (name.len() - half..).find(|&at| name.is_char_boundary(at)).unwrap_or(name.len());
    format!("{}{}", &name[..front], &name[back..])
}

/// The first of `name`, `name-2`, `name-3` and so on that is not taken; the number goes before the extension.
pub(super) fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let taken = |name: &str| RESERVED.contains(&name) || taken(name);
    if !taken(name) {
        return name.to_owned();
    }
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    };
    (2_u64..)
        .map(|number| format!("{stem}-{number}{extension}"))
        .find(|name| !taken(name))
        .unwrap_or_default()
}

/// `name` as a path segment of a URL.
pub(super) fn encode(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Undoes `%XX`, once; `None` if that leaves no UTF-8 or a `%` stands alone.
pub(super) fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(url: &str) -> String {
        of_place(&Place::Remote(url::Url::parse(url).unwrap()))
    }

    #[test]
    fn the_last_segment_is_the_name() {
        assert_eq!(named("http://h/a/film.mp4?x=1"), "film.mp4");
        assert_eq!(named("http://h/a/film/"), "film");
        assert_eq!(named("http://h/"), "media");
        assert_eq!(named("http://h/a%20b%C3%A4.mp3"), "a bä.mp3");
        assert_eq!(of_place(&Place::File("/x/song.ogg".into())), "song.ogg");
    }

    #[test]
    fn no_name_leads_anywhere() {
        assert_eq!(named("http://h/%2e%2e%2fetc%2fpasswd"), "-etc-passwd");
        assert_eq!(named("http://h/..%5cx"), "-x");
        assert_eq!(named("http://h/.hidden"), "hidden");
        assert_eq!(named("http://h/a%00b%0d%0a"), "a-b--");
        assert_eq!(named("http://h/%ff"), "media");
        let long = named(&format!("http://h/{}.mp4", "ä".repeat(200)));
        assert!(long.len() <= LONGEST && long.ends_with(".mp4"), "{long}");
    }

    #[test]
    fn names_that_are_taken_get_a_number() {
        let taken = ["film.mp4", "film-2.mp4", "x"];
        let free = |name: &str| free(name, |name| taken.contains(&name));
        assert_eq!(free("film.mp4"), "film-3.mp4");
        assert_eq!(free("x"), "x-2");
        assert_eq!(free("song.ogg"), "song.ogg");
        assert_eq!(free("open"), "open-2");
    }

    #[test]
    fn a_segment_is_decoded_once() {
        for name in ["film.mp4", "a b", "ä/ö", "100%", "a+b", "%2e"] {
            assert_eq!(decode(&encode(name)).as_deref(), Some(name));
        }
        for bad in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode("%252e").as_deref(), Some("%2e"));
    }
}
