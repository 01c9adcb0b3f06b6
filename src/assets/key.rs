//! Which asset is meant: a hash, so that no name on disk is ever made of foreign text.
//!
//! The hash of a URL of the web leaves out userinfo, query and fragment: signed URLs of one film are one
//! asset, and secrets do not reach the disk. Where the query does tell resources apart, an explicit
//! key says so.
//!
//! Not here: where on disk the asset lies (`layout`).

use std::fmt;

use sha2::{Digest, Sha256};
use url::Url;

use crate::error::Error;

/// Longest explicit key, in bytes. It is kept in the log's header.
const MAX_KEY: usize = 1024;
/// Longest part of an explicit key between slashes, in bytes: what file systems allow.
const MAX_PART: usize = 255;

/// The identity of a stored resource: a hash of its URL without query, or of a key that the user chose.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AssetKey {
    hash: [u8; 32],
    label: Option<String>,
}

impl AssetKey {
    /// The resource at `url`, whatever its userinfo (but for a container of Azure's), query and fragment.
    pub fn for_url(url: &Url) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"url\0");
        hasher.update(url.scheme());
        hasher.update(b"\0");
        // Elsewhere a name is part of the place: the container in `abfss://container@account/key`.
        if !matches!(url.scheme(), "http" | "https") && !url.username().is_empty() {
            hasher.update(url.username());
            hasher.update(b"@");
        }
        hasher.update(url.host_str().unwrap_or_default());
        hasher.update(b"\0");
        hasher.update(url.port_or_known_default().unwrap_or(0).to_le_bytes());
        hasher.update(url.path());
        Self { hash: hasher.finalize().into(), label: None }
    }

    /// The resource that the user calls `key`: parts of plain text between slashes, as `films/one`. See
    /// [`Source::key`](crate::Source::key).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for what would be no safe relative path on some system: empty, absolute or
    /// over-long text, `.` and `..`, backslashes, colons and control characters, names that
    /// Windows keeps for devices, parts that end in a dot or a space.
    pub fn explicit(key: &str) -> Result<Self, Error> {
        check(key).map_err(|why| Error::invalid("asset key", why))?;
        let mut hasher = Sha256::new();
        hasher.update(b"key\0");
        hasher.update(key);
        Ok(Self { hash: hasher.finalize().into(), label: Some(key.to_owned()) })
    }

    /// The resource whose [`id`](Self::id) is `id`, as a listing shows it; `None` if that is no id.
    pub fn from_id(id: &str) -> Option<Self> {
        if id.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(id.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| match c {
                b'0'..=b'9' => Some(c - b'0'),
                b'a'..=b'f' => Some(c - b'a' + 10),
                _ => None,
            };
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self { hash, label: None })
    }

    /// The hash as 64 hexadecimal digits: the name on disk.
    pub fn id(&self) -> String {
        use fmt::Write as _;
        self.hash.iter().fold(String::with_capacity(64), |mut id, byte| {
            write!(id, "{byte:02x}").expect("writing to a string does not fail");
            id
        })
    }

    /// The hash itself.
    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The key as the user wrote it, if it is an explicit one.
    pub(crate) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }
}

impl fmt::Debug for AssetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssetKey({})", self.label.clone().unwrap_or_else(|| self.id()))
    }
}

/// Says what is wrong with an explicit key.
fn check(key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("must not be empty".into());
    }
    if key.len() > MAX_KEY {
        return Err(format!("must not be longer than {MAX_KEY} bytes, is {}", key.len()));
    }
    if key.starts_with('/') {
        return Err("must be relative".into());
    }
    key.split('/').try_for_each(check_part)
}

fn check_part(part: &str) -> Result<(), String> {
    if part.is_empty() || part == "." || part == ".." {
        return Err(format!("must not have the part {part:?}"));
    }
    if part.len() > MAX_PART {
        return Err(format!("no part may be longer than {MAX_PART} bytes"));
    }
    if let Some(c) = part.chars().find(|c| c.is_control() || r#"\:*?"<>|"#.contains(*c)) {
        return Err(format!("must not contain {c:?}"));
    }
    if part.ends_with(['.', ' ']) {
        return Err("no part may end in a dot or a space".into());
    }
    if is_device(part) {
        return Err(format!("{part:?} is a name that Windows keeps for a device"));
    }
    Ok(())
}

/// Whether Windows takes `part` for a device, whatever its extension.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str()) {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    number.is_some_and(|n| {
        let mut chars = n.chars();
        matches!((chars.next(), chars.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> AssetKey {
        AssetKey::for_url(&Url::parse(text).expect("a URL"))
    }

    #[test]
    fn a2_query_fragment_and_userinfo_do_not_tell_assets_apart() {
        let plain = url("https://host/film.mp4");
        assert_eq!(plain, url("https://user:pw@HOST:443/film.mp4?sig=secret#t=3"));
        for other in [
            "http://host/film.mp4",
            "https://host/film2.mp4",
            "https://host:444/film.mp4",
            "https://other/film.mp4",
        ] {
            assert_ne!(plain, url(other), "{other}");
        }
    }

    /// Defect 24: two URLs that differ in `?id=` can have two entries.
    #[test]
    fn a2_an_explicit_key_overrides_the_url() {
        let one = AssetKey::explicit("watch/1").expect("a key");
        assert_ne!(one, AssetKey::explicit("watch/2").expect("a key"));
        assert_ne!(one, url("https://host/watch"));
        assert_eq!(one.label(), Some("watch/1"));
    }

    /// Defect 22: neither secrets nor length come from the URL.
    #[test]
    fn a1_the_name_on_disk_is_64_hexadecimal_digits_whatever_the_url() {
        let long = format!("https://host/{}?token=secret", "a".repeat(5000));
        let explicit = AssetKey::explicit("films/one").expect("a key");
        for key in [url(&long), explicit] {
            let id = key.id();
            assert_eq!(id.len(), 64);
            assert!(id.bytes().all(|b| b.is_ascii_hexdigit()));
            assert_eq!(AssetKey::from_id(&id).map(|k| k.hash()), Some(key.hash()));
        }
        assert_eq!(AssetKey::from_id("../../etc/passwd"), None);
        assert_eq!(AssetKey::from_id(&"G".repeat(64)), None);
    }

    #[test]
    fn a1_explicit_keys_that_are_no_safe_path_are_refused() {
        let long_part = "x".repeat(256);
        let long = "x/".repeat(600) + "x";
        for bad in [
            "", ".", "..", "a/..", "../a", "a/../b", "/a", "//", "a//b", "a/", "a\\b", "C:\\x",
            "C:", "a\0b", "a\nb", "a\u{85}b", "con", "CON.txt", "nul", "a/NUL", "com1", "LPT9.log",
            "COM¹", "name.", "name ", "a*", "a?b", "<", "|", "conin$", &long_part, &long,
        ] {
            let error = AssetKey::explicit(bad).expect_err(bad);
            assert!(matches!(error, Error::InvalidInput { what: "asset key", .. }), "{bad:?}");
        }
        for good in ["a", "a/b/c", "films/one.mp4", "..a", "a..b", "consul", "com10", "com", "é"] {
            assert!(AssetKey::explicit(good).is_ok(), "{good:?}");
        }
    }
}
