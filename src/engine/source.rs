//! What to open: a URL with its headers, or a local file.

use std::path::{Path, PathBuf};

use http::{HeaderName, HeaderValue};
use url::Url;

use crate::assets::AssetKey;
use crate::error::Error;
#[cfg(feature = "object-store")]
use crate::net::object::ObjectPlace;
use crate::net::{BoundHeader, Target, UrlProvider};
use crate::sync::Arc;

/// A resource to open.
///
/// ```
/// use kithara_file::Source;
///
/// # fn main() -> Result<(), kithara_file::Error> {
/// let source = Source::url("https://media.example/film.mp4?token=secret")?
///     .header("authorization", "Bearer abc")?
///     .key("films/42")?;
/// # drop(source); Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Source {
    pub(crate) place: Place,
    headers: Vec<BoundHeader>,
    provider: Option<UrlProvider>,
    pub(crate) key: Option<AssetKey>,
    /// Which object of which store, if it is none of HTTP's.
    #[cfg(feature = "object-store")]
    object: Option<ObjectPlace>,
    /// Whether a file must be where its path says, without a link on the way.
    pub(crate) without_links: bool,
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Behind HTTP or HTTPS, or in an object store.
    Remote(Url),
    /// In a file of this machine.
    File(PathBuf),
}

impl Source {
    /// A resource behind an `http:`, `https:` or `file:` URL; with the feature `object-store` also an object behind
    /// `s3://bucket/key`, `gs://bucket/key`, `az://container/key` or `abfss://container@account.dfs.core.windows.net/key`.
    ///
    /// Where such a store is and who asks comes from the environment, by the names that the `object_store` crate reads
    /// (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME` and so on), when
    /// it is first asked. Requests go over the engine's own HTTP clients, so what the environment says of proxies,
    /// time limits and certificates of such a store does not count.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for text that is no URL, has no host, or has another scheme. For an object also for a
    /// URL with credentials, a query or a fragment.
    pub fn url(url: &str) -> Result<Self, Error> {
        let url = Url::parse(url)
            .map_err(|why| Error::invalid("url", format!("{why}; expected http(s)://host/path")))?;
        Self::from_url(url)
    }

    /// The same for a URL that is parsed already.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a URL without a host or with another scheme.
    pub fn from_url(url: Url) -> Result<Self, Error> {
        let place = match url.scheme() {
            "http" | "https" if url.host_str().is_some_and(|host| !host.is_empty()) => {
                Place::Remote(url)
            }
            "http" | "https" => return Err(Error::invalid("url", "it has no host")),
            "file" => match url.to_file_path() {
                Ok(path) => Place::File(path),
                Err(()) => return Err(Error::invalid("url", "not a path of this machine")),
            },
            #[cfg(feature = "object-store")]
            scheme if ObjectPlace::is_scheme(scheme) => return Self::of_object(url, None),
            scheme => {
                let why = format!("scheme {scheme:?} is not supported; use http, https or file");
                return Err(Error::invalid("url", why));
            }
        };
        Ok(Self::at(place))
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            headers: Vec::new(),
            provider: None,
            key: None,
            #[cfg(feature = "object-store")]
            object: None,
            without_links: false,
        }
    }

    /// An object in a store that the application has built: `store` is asked for the path of `url`.
    ///
    /// Scheme and host of `url` are a name for the store, chosen by the application. What is stored is known by `url`,
    /// so two stores must not have one name, and one store should keep its name from run to run:
    /// `Source::object(store, "s3://films/one.mp4")`.
    ///
    /// Build the store without retries of its own (`max_retries: 0`): the engine tries again, and knows which bytes
    /// are still missed.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for text that is no URL or has no path, or that has credentials, a query or a fragment.
    #[cfg(feature = "object-store")]
    pub fn object(store: Arc<dyn object_store::ObjectStore>, url: &str) -> Result<Self, Error> {
        let url = Url::parse(url).map_err(|why| Error::invalid("url", why.to_string()))?;
        Self::of_object(url, Some(store))
    }

    #[cfg(feature = "object-store")]
    fn of_object(
        url: Url,
        store: Option<Arc<dyn object_store::ObjectStore>>,
    ) -> Result<Self, Error> {
        let object = Some(ObjectPlace::new(&url, store)?);
        Ok(Self { object, ..Self::at(Place::Remote(url)) })
    }

    /// A local file: the same session, without network and without a copy.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::at(Place::File(path.into()))
    }

    /// The same for a file that is opened only if no part of `path`, which is canonical, is a link by then.
    #[cfg(feature = "serve")]
    pub(crate) fn path_without_links(path: PathBuf) -> Self {
        Self { without_links: true, ..Self::path(path) }
    }

    /// Adds a request header. It is sent to the source's own origin only, never to another one that a
    /// redirect leads to.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if name or value is not a valid header, or is one that the engine sets itself, and for an
    /// object, which takes none.
    pub fn header(self, name: &str, value: &str) -> Result<Self, Error> {
        self.with_header(name, value, false)
    }

    /// Adds a request header that is also sent to other origins that redirects lead to. Not for secrets.
    ///
    /// # Errors
    ///
    /// As [`header`](Self::header).
    pub fn header_anywhere(self, name: &str, value: &str) -> Result<Self, Error> {
        self.with_header(name, value, true)
    }

    fn with_header(mut self, name: &str, value: &str, anywhere: bool) -> Result<Self, Error> {
        #[cfg(feature = "object-store")]
        if self.object.is_some() {
            return Err(Error::invalid("header", "an object store takes none"));
        }
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::invalid("header", format!("{name:?} is not a header name")))?;
        crate::net::check_header(&name)?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| Error::invalid("header", format!("the value of {name} is not valid")))?;
        let header = BoundHeader::new(name, value);
        self.headers.push(if anywhere { header.anywhere() } else { header });
        Ok(self)
    }

    /// Asks `provider` for a fresh URL whenever the server refuses the present one (401, 403, 404,
    /// 410), as signed URLs expire. Set a [`key`](Self::key) too if the path changes with it. Never asked for an object.
    pub fn provider(mut self, provider: UrlProvider) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Stores the resource under `key` and not under its URL without query. A relative path such as
    /// `films/42`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a key that is empty, absolute, too long, or not a plain relative path.
    pub fn key(mut self, key: &str) -> Result<Self, Error> {
        self.key = Some(AssetKey::explicit(key)?);
        Ok(self)
    }

    /// Where it is, fit to be shown: without userinfo, query values and fragment.
    pub(crate) fn shown(&self) -> String {
        match &self.place {
            Place::Remote(url) => crate::net::redact::url(url),
            Place::File(path) => path.display().to_string(),
        }
    }

    /// What `net` needs of this source; `None` for a local file.
    pub(crate) fn target(&self) -> Result<Option<Arc<Target>>, Error> {
        let Place::Remote(url) = &self.place else { return Ok(None) };
        #[cfg(feature = "object-store")]
        if let Some(object) = &self.object {
            return Ok(Some(Target::of_object(url.clone(), object.clone())));
        }
        Target::new(url.clone(), self.headers.clone(), self.provider.clone()).map(Some)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("place", &self.shown()).finish_non_exhaustive()
    }
}

/// What [`Engine::open`](crate::Engine::open) takes: a [`Source`], a URL as text or parsed, or a path.
pub trait IntoSource {
    /// The source.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if it names nothing that can be opened.
    fn into_source(self) -> Result<Source, Error>;
}

impl IntoSource for Source {
    fn into_source(self) -> Result<Source, Error> {
        Ok(self)
    }
}

impl IntoSource for &str {
    fn into_source(self) -> Result<Source, Error> {
        Source::url(self)
    }
}

impl IntoSource for String {
    fn into_source(self) -> Result<Source, Error> {
        Source::url(&self)
    }
}

impl IntoSource for &String {
    fn into_source(self) -> Result<Source, Error> {
        Source::url(self)
    }
}

impl IntoSource for Url {
    fn into_source(self) -> Result<Source, Error> {
        Source::from_url(self)
    }
}

impl IntoSource for &Path {
    fn into_source(self) -> Result<Source, Error> {
        Ok(Source::path(self))
    }
}

impl IntoSource for PathBuf {
    fn into_source(self) -> Result<Source, Error> {
        Ok(Source::path(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_urls_are_refused_with_the_reason() {
        for bad in ["", "not a url", "ftp://host/x", "http://", "data:text/plain,x", "//host/x"] {
            match Source::url(bad) {
                Err(Error::InvalidInput { what: "url", why }) => assert!(!why.is_empty()),
                other => panic!("{bad:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn headers_that_the_engine_sets_are_refused() {
        let source = || Source::url("http://host/x").unwrap();
        for name in ["Range", "If-Range", "Accept-Encoding"] {
            assert!(
                matches!(source().header(name, "x"), Err(Error::InvalidInput { .. })),
                "{name}"
            );
        }
        assert!(source().header("x-token", "a\nb").is_err());
        assert!(source().header("authorization", "Bearer a").is_ok());
    }

    #[test]
    fn n1_debug_output_shows_no_secret() {
        let source = Source::url("http://user:pass@host/x?token=secret").unwrap();
        let text = format!("{source:?}");
        assert!(!text.contains("secret") && !text.contains("pass"), "{text}");
    }
}
