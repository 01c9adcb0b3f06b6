//! From the command line to an engine: sources, configuration, folders.

use std::env;
use std::path::PathBuf;

use kithara_file::{Config, Source};
use url::Url;

use crate::args::From;
use crate::failure::Failure;

impl From {
    /// The source that is meant.
    pub(crate) fn source(&self) -> Result<Source, Failure> {
        let mut source = Source::url(&self.url)?;
        for header in &self.headers {
            // The value may be a secret: it is not repeated.
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| Failure::usage("a --header has no colon; write 'Name: value'"))?;
            source = source.header(name.trim(), value.trim())?;
        }
        Ok(match &self.key {
            Some(key) => source.key(key)?,
            None => source,
        })
    }

    /// The configuration that is meant.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        if let Some(attempts) = self.attempts {
            config.tunables.retry.max_attempts = attempts;
        }
        config
    }

    /// Whether the source is a file of this machine.
    pub(crate) fn is_file(&self) -> bool {
        Url::parse(&self.url).is_ok_and(|url| url.scheme() == "file")
    }

    /// The URL fit to be shown: without userinfo, query and fragment.
    pub(crate) fn shown(&self) -> String {
        match Url::parse(&self.url) {
            Ok(mut url) => {
                // Both fail only for URLs that cannot have a userinfo in the first place.
                let _ = url.set_username("");
                let _ = url.set_password(None);
                url.set_query(None);
                url.set_fragment(None);
                url.into()
            }
            Err(_) => String::new(),
        }
    }
}

/// The store's folder: as given, or the one in the user's cache folder.
pub(crate) fn store_dir(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(dir) = given {
        return Ok(dir);
    }
    let folder = cache_dir().ok_or_else(|| {
        Failure::new("no cache folder of the user is known").advise("name a folder with --store")
    })?;
    Ok(folder.join("kithara-file"))
}

/// The user's folder for what can be had again.
fn cache_dir() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    if let Some(dir) = absolute("XDG_CACHE_HOME") {
        return Some(dir);
    }
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    let home = env::home_dir().filter(|home| home.is_absolute())?;
    Some(home.join(if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(url: &str, headers: &[&str]) -> From {
        let headers = headers.iter().map(|&header| header.to_owned()).collect();
        From { url: url.into(), headers, key: None, attempts: None }
    }

    #[test]
    fn headers_are_split_at_the_first_colon() {
        assert!(from("http://host/x", &["Referer: http://a/b", "x-y:z"]).source().is_ok());
        assert!(from("http://host/x", &["no colon"]).source().is_err());
        assert!(from("http://host/x", &[": empty"]).source().is_err());
        assert!(from("http://host/x", &["Range: bytes=0-"]).source().is_err());
    }

    #[test]
    fn what_is_shown_of_a_url_has_no_secret() {
        let shown = from("https://user:pass@host/film.mp4?token=secret#x", &[]).shown();
        assert_eq!(shown, "https://host/film.mp4");
    }
}
