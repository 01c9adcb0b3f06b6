//! Media types, where the origin names none or there is no origin.

/// What players go by. Others they find out from the bytes.
const BY_EXTENSION: [(&str, &str); 19] = [
    ("aac", "audio/aac"),
    ("avi", "video/x-msvideo"),
    ("flac", "audio/flac"),
    ("m4a", "audio/mp4"),
    ("m4b", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("mka", "audio/x-matroska"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpg", "video/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("ts", "video/mp2t"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
];

/// Whether a file of that name is one that players open.
pub(super) fn is_media(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| BY_EXTENSION.iter().any(|(known, _)| *known == extension))
}

/// The type to serve as: what the origin said, unless that is nothing or a page, which nobody may make a browser
/// run under this server's name.
pub(super) fn of(told: Option<&str>, name: &str) -> String {
    match told.map(str::trim).filter(|told| is_inert(told)) {
        Some(told) => told.to_owned(),
        None => by_name(name).to_owned(),
    }
}

fn is_inert(told: &str) -> bool {
    let essence = told.split(';').next().unwrap_or_default().to_ascii_lowercase();
    let sound = http::HeaderValue::from_str(told).is_ok() && essence.contains('/');
    sound && !["html", "xml", "javascript"].iter().any(|active| essence.contains(active))
}

fn by_name(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let found = BY_EXTENSION.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
    found.map_or("application/octet-stream", |(_, media)| media)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_origin_decides_unless_it_says_nothing_or_a_page() {
        assert_eq!(of(Some("audio/mpeg"), "x.ogg"), "audio/mpeg");
        assert_eq!(of(None, "x.MP4"), "video/mp4");
        assert_eq!(of(None, "x"), "application/octet-stream");
        for active in ["text/html; charset=x", "image/svg+xml", "text/javascript", "nonsense", ""] {
            assert_eq!(of(Some(active), "x.mp3"), "audio/mpeg", "{active}");
        }
    }
}
