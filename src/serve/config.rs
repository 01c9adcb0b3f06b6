//! [`ServeConfig`]: what the server allows, and how much of it.

use std::time::Duration;

use super::ServeError;
use super::allow::Allowed;

/// What the server allows. The defaults suit one user and the players on one machine.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServeConfig {
    /// What `/open?url=` may open: `http` or `https` URLs, each standing for itself and all that lies below its
    /// path. Default none: only what was [added](super::Catalog::add) is served.
    pub allow: Vec<String>,
    /// Names beside `127.0.0.1`, `[::1]` and `localhost` that a request's `Host` may have, without port. Default
    /// none. Whoever mounts the [`router`](super::router) in a server that others reach needs that server's names here.
    pub hosts: Vec<String>,
    /// Origins whose pages may read what is served, as `https://app.example`. Default none: a browser lets no
    /// other page embed or read it.
    pub cors: Vec<String>,
    /// First segment that every path must have, at least 16 of the characters that need no escape in a URL. Default none: whoever
    /// reaches the port may read.
    pub token: Option<String>,
    /// Whether [`Server::bind`](super::Server::bind) may listen where other machines reach it. Default false. Then any address
    /// is good as `Host`; names still have to be in `hosts`.
    pub public: bool,
    /// How long read-ahead goes on after a client has hung up; players do so at each seek and come back at once.
    /// Default 5 s. Longer fetches more for those who do not come back.
    pub linger: Duration,
    /// Most ranges in one request; one with more is answered with 416. Default 16.
    pub max_ranges: usize,
    /// Most resources that `/open?url=` has open; the one that was not used for the longest time goes. Default 32.
    pub max_opened: usize,
    /// Most connections of a [`Server`](super::Server). Default 256. Above it, the one that has been idle for the longest time
    /// is closed; where none is idle, the new one.
    pub max_connections: usize,
    /// How long a connection may be idle, and how long a request's head may take. Default 30 s.
    pub head_timeout: Duration,
    /// How long answers may go on once a [`Server`](super::Server) is told to stop. Default 2 s.
    pub grace: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            hosts: Vec::new(),
            cors: Vec::new(),
            token: None,
            public: false,
            linger: Duration::from_secs(5),
            max_ranges: 16,
            max_opened: 32,
            max_connections: 256,
            head_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(2),
        }
    }
}

/// Least length of a token, in characters: it is to be guessed by nobody.
const TOKEN: usize = 16;

fn ensure(holds: bool, field: &'static str, why: &str) -> Result<(), ServeError> {
    if holds { Ok(()) } else { Err(ServeError::Config { field, why: why.into() }) }
}

impl ServeConfig {
    /// Checks the values, and reads the list of what may be opened.
    pub(super) fn allowed(&self) -> Result<Vec<Allowed>, ServeError> {
        ensure(self.max_ranges > 0, "max_ranges", "must be at least 1")?;
        ensure(self.max_opened > 0, "max_opened", "must be at least 1")?;
        ensure(self.max_connections > 0, "max_connections", "must be at least 1")?;
        ensure(!self.head_timeout.is_zero(), "head_timeout", "must not be zero")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        if let Some(token) = &self.token {
            let fits = token.len() >= TOKEN && token.chars().all(plain);
            ensure(fits, "token", "must be at least 16 letters, digits, `-`, `.`, `_` or `~`")?;
        }
        for origin in &self.cors {
            let parsed = url::Url::parse(origin).map(|url| url.origin().ascii_serialization());
            let fits = parsed.is_ok_and(|parsed| parsed == *origin && parsed != "null");
            ensure(fits, "cors", "must be origins such as https://app.example, without a path")?;
        }
        self.allow.iter().map(|text| Allowed::parse(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_that_cannot_be_is_refused_with_the_field() {
        let field = |change: fn(&mut ServeConfig)| {
            let mut config = ServeConfig::default();
            change(&mut config);
            match config.allowed() {
                Err(ServeError::Config { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(field(|config| config.max_ranges = 0), "max_ranges");
        assert_eq!(field(|config| config.max_opened = 0), "max_opened");
        assert_eq!(field(|config| config.max_connections = 0), "max_connections");
        assert_eq!(field(|config| config.head_timeout = Duration::ZERO), "head_timeout");
        assert_eq!(field(|config| config.token = Some("short".into())), "token");
        assert_eq!(field(|config| config.token = Some("a/../../../../../b".into())), "token");
        assert_eq!(field(|config| config.cors = vec!["*".into()]), "cors");
        assert_eq!(field(|config| config.cors = vec!["https://a/b".into()]), "cors");
        assert_eq!(field(|config| config.allow = vec!["file:///etc".into()]), "allow");
        assert!(ServeConfig::default().allowed().is_ok());
    }
}
