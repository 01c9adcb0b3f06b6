//! What may be opened by URL: never everything, so that the server is no open proxy.

use url::Url;

use super::ServeError;

/// A place, and all that lies below it.
#[derive(Debug, Clone)]
pub(super) struct Allowed {
    root: Url,
}

impl Allowed {
    /// Reads one entry of the list.
    pub(super) fn parse(text: &str) -> Result<Self, ServeError> {
        let refuse = |why: &str| ServeError::Config {
            field: "allow",
            why: format!("{why}; expected a URL such as https://media.example/films/"),
        };
        let root = Url::parse(text).map_err(|why| refuse(&why.to_string()))?;
        if !is_http(&root) || root.host_str().is_none() {
            return Err(refuse("not an http or https URL"));
        }
        if has_userinfo(&root) || root.query().is_some() || root.fragment().is_some() {
            return Err(refuse("with a name, a query or a fragment"));
        }
        Ok(Self { root })
    }

    /// Whether `url` is this place or below it. The path counts by whole segments.
    pub(super) fn holds(&self, url: &Url) -> bool {
        if !is_http(url) || has_userinfo(url) || url.origin() != self.root.origin() {
            return false;
        }
        // Servers differ in what they make of these, and some climb.
        let path = url.path().to_ascii_lowercase();
        if path.contains("%2f") || path.contains("%5c") || path.contains("%2e") {
            return false;
        }
        let root = self.root.path();
        match root.strip_suffix('/') {
            Some(folder) => {
                url.path().starts_with(folder) && url.path()[folder.len()..].starts_with('/')
            }
            None => {
                url.path() == root
                    || url.path().strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
            }
        }
    }
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn has_userinfo(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_is_allowed() {
        let allowed = Allowed::parse("https://media.example/films/").unwrap();
        let holds = |url: &str| Url::parse(url).is_ok_and(|url| allowed.holds(&url));
        assert!(holds("https://media.example/films/a.mp4"));
        assert!(holds("https://MEDIA.example:443/films/b/c.mp4?sig=x"));
        for bad in [
            "https://media.example/films",
            "https://media.example/filmsx/a.mp4",
            "https://media.example/films/../private",
            "https://media.example/films/%2e%2e/private",
            "https://media.example/films/..%2fprivate",
            "https://media.example/films/..%5Cprivate",
            "http://media.example/films/a.mp4",
            "https://media.example:8443/films/a.mp4",
            "https://media.example.evil/films/a.mp4",
            "https://media.example@evil/films/a.mp4",
            "https://user@media.example/films/a.mp4",
            "file:///films/a.mp4",
            "ftp://media.example/films/a.mp4",
        ] {
            assert!(!holds(bad), "{bad}");
        }
        let whole = Allowed::parse("http://h:8080").unwrap();
        assert!(whole.holds(&Url::parse("http://h:8080/any/thing").unwrap()));
        let file = Allowed::parse("http://h/a.mp4").unwrap();
        assert!(file.holds(&Url::parse("http://h/a.mp4").unwrap()));
        assert!(!file.holds(&Url::parse("http://h/a.mp45").unwrap()));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for bad in
            ["", "*", "media.example", "file:///x", "http://u:p@h/", "http://h/?x", "http://h/#x"]
        {
            assert!(Allowed::parse(bad).is_err(), "{bad}");
        }
    }
}
