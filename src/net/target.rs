//! One source as the network sees it: where it is, what is sent with each request, and where it was
//! found last.
//!
//! A target remembers for as long as it lives where redirects led (N9): later requests go there at
//! once. When that place refuses, the way back is: forget it and ask the original URL once; then
//! ask the URL provider once; then fail. Several requests that are refused at the same time ask the
//! provider only once.

use std::fmt;

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::sync::Semaphore;
use url::{Origin, Url};

#[cfg(feature = "object-store")]
use super::object::ObjectPlace;
use crate::error::Error;
use crate::sync::{Arc, Mutex};

/// Why a [`UrlProvider`] has no URL.
pub type ProviderError = Box<dyn std::error::Error + Send + Sync>;

/// Hands out a fresh URL for a source, such as a newly signed one. Asked when the origin refuses the
/// present one with 401, 403, 404 or 410, at most once for each refused request. It runs within the time
/// given to the answer's head, and should be cancel safe.
///
/// The URL may be on another origin; headers bound to the source's origin do not follow it there.
pub type UrlProvider =
    Arc<dyn Fn() -> BoxFuture<'static, Result<Url, ProviderError>> + Send + Sync>;

/// To whom a header of the user is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HeaderScope {
    /// Only to the origin (scheme, host, port) of the source's own URL. The default.
    #[default]
    Origin,
    /// To every origin that redirects or the URL provider lead to.
    Anywhere,
}

/// A header of the user, and to whom it may be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct BoundHeader {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
    /// To whom it is sent.
    pub scope: HeaderScope,
}

impl BoundHeader {
    /// A header for the source's own origin.
    pub fn new(name: HeaderName, value: HeaderValue) -> Self {
        Self { name, value, scope: HeaderScope::Origin }
    }

    /// The same header, for every origin.
    #[must_use]
    pub fn anywhere(self) -> Self {
        Self { scope: HeaderScope::Anywhere, ..self }
    }
}

impl fmt::Debug for BoundHeader {
    /// The value is not shown: it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundHeader")
            .field("name", &self.name)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Headers that the engine sets itself; a user's would break what it relies on.
const RESERVED: [HeaderName; 9] = [
    header::RANGE,
    header::IF_RANGE,
    header::ACCEPT_ENCODING,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::CONNECTION,
    header::UPGRADE,
    header::IF_NONE_MATCH,
];

/// From where a request starts.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// The first URL to ask.
    pub(crate) url: Url,
    /// Whether `url` is where redirects led an earlier request.
    remembered: bool,
    /// Which base URL this belongs to: 0 the source's own, then one more for each provided one.
    generation: u64,
}

impl Start {
    /// Whether this is where redirects led an earlier request.
    pub(crate) fn is_remembered(&self) -> bool {
        self.remembered
    }
}

/// What a request may still try after a refusal; one for each request.
#[derive(Debug, Default)]
pub(crate) struct WaysBack {
    /// Went back from a remembered URL already.
    original: bool,
    /// Took a provided URL already.
    provided: bool,
}

/// What is learnt about a target.
#[derive(Debug)]
struct Place {
    /// The source's URL, or the last one provided.
    base: Url,
    /// How many URLs were provided.
    generation: u64,
    /// Where redirects from `base` led.
    found: Option<Url>,
}

/// One source as the network sees it.
pub(crate) struct Target {
    /// The source's URL, without userinfo.
    original: Url,
    /// Its origin, to which headers are bound.
    origin: Origin,
    headers: Vec<BoundHeader>,
    /// Name and password that stood in the URL; bound to the origin as well.
    userinfo: Option<(String, Option<String>)>,
    provider: Option<UrlProvider>,
    /// Which object of which store, if it is none of HTTP's.
    #[cfg(feature = "object-store")]
    object: Option<ObjectPlace>,
    place: Mutex<Place>,
    /// One permit: who asks the provider.
    asking: Semaphore,
}

impl Target {
    /// A source at `url`, an absolute `http` or `https` URL. Name and password in it become an
    /// `Authorization` header, unless `headers` has one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another scheme, no host, or a header that the engine sets itself.
    pub(crate) fn new(
        mut url: Url,
        headers: Vec<BoundHeader>,
        provider: Option<UrlProvider>,
    ) -> Result<Arc<Self>, Error> {
        check_scheme(&url).map_err(|why| Error::invalid("url", why))?;
        headers.iter().try_for_each(|header| check_header(&header.name))?;
        let userinfo = take_userinfo(&mut url);
        Ok(Arc::new(Self {
            #[cfg(feature = "object-store")]
            object: None,
            origin: url.origin(),
            headers,
            userinfo,
            provider,
            place: Mutex::new(Place { base: url.clone(), generation: 0, found: None }),
            asking: Semaphore::new(1),
            original: url,
        }))
    }

    /// An object, which is called `url`.
    #[cfg(feature = "object-store")]
    pub(crate) fn of_object(url: Url, object: ObjectPlace) -> Arc<Self> {
        Arc::new(Self {
            object: Some(object),
            origin: url.origin(),
            headers: Vec::new(),
            userinfo: None,
            provider: None,
            place: Mutex::new(Place { base: url.clone(), generation: 0, found: None }),
            asking: Semaphore::new(1),
            original: url,
        })
    }

    /// Which object it is; `None` for what HTTP serves.
    #[cfg(feature = "object-store")]
    pub(crate) fn object(&self) -> Option<&ObjectPlace> {
        self.object.as_ref()
    }

    /// The source's own URL, without userinfo.
    pub(crate) fn original(&self) -> &Url {
        &self.original
    }

    /// The headers of the user that may go to `url`.
    pub(crate) fn headers_for(&self, url: &Url) -> HeaderMap {
        let home = url.origin() == self.origin;
        let mut map = HeaderMap::new();
        for header in &self.headers {
            if home || header.scope == HeaderScope::Anywhere {
                map.append(header.name.clone(), header.value.clone());
            }
        }
        map
    }

    /// Name and password to send to `url`, if any.
    pub(crate) fn userinfo_for(&self, url: &Url) -> Option<&(String, Option<String>)> {
        let given = self.headers.iter().any(|header| header.name == header::AUTHORIZATION);
        self.userinfo.as_ref().filter(|_| !given && url.origin() == self.origin)
    }

    /// Where the next request starts.
    pub(crate) fn start(&self) -> Start {
        let place = self.place.lock();
        Start {
            url: place.found.as_ref().unwrap_or(&place.base).clone(),
            remembered: place.found.is_some(),
            generation: place.generation,
        }
    }

    /// Redirects led from `start` to `url`, which answered.
    pub(crate) fn found(&self, start: &Start, url: &Url) {
        let mut place = self.place.lock();
        if place.generation == start.generation && *url != start.url {
            place.found = Some(url.clone());
        }
    }

    /// The request from `start` was refused (401, 403, 404 or 410, or nobody is there any more): where
    /// to try once more, if anywhere.
    ///
    /// # Errors
    ///
    /// What the provider said, or that its URL cannot be used.
    pub(crate) async fn after_refusal(
        &self,
        start: &Start,
        ways: &mut WaysBack,
    ) -> Result<Option<Start>, ProviderError> {
        if start.remembered && !ways.original {
            ways.original = true;
            return Ok(Some(self.forget(start)));
        }
        let Some(provider) = self.provider.as_ref().filter(|_| !ways.provided) else {
            return Ok(None);
        };
        ways.provided = true;
        let _turn = self.asking.acquire().await?;
        if self.place.lock().generation != start.generation {
            // Somebody else was refused too and has asked already.
            return Ok(Some(self.start()));
        }
        let url = provider().await?;
        check_scheme(&url)?;
        let mut place = self.place.lock();
        let generation = place.generation + 1;
        *place = Place { base: url.clone(), generation, found: None };
        Ok(Some(Start { url, remembered: false, generation }))
    }

    /// Forgets where redirects led `start`; gives the way from the base URL.
    fn forget(&self, start: &Start) -> Start {
        let mut place = self.place.lock();
        if place.found.as_ref() == Some(&start.url) {
            place.found = None;
        }
        Start { url: place.base.clone(), remembered: false, generation: place.generation }
    }
}

/// Refuses a header that the engine sets itself.
pub(crate) fn check_header(name: &HeaderName) -> Result<(), Error> {
    match RESERVED.contains(name) {
        true => Err(Error::invalid("header", format!("`{name}` is set by the engine"))),
        false => Ok(()),
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("url", &super::redact::url(&self.original))
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// Whether `url` can be asked at all; else why not.
pub(crate) fn check_scheme(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("scheme `{}` is not http or https", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("has no host".to_owned());
    }
    Ok(())
}

/// Takes name and password out of `url`, decoded.
fn take_userinfo(url: &mut Url) -> Option<(String, Option<String>)> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let name = percent_decode(url.username());
    let password = url.password().map(percent_decode);
    // Fails only for URLs without a host, and those were refused.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some((name, password))
}

/// Undoes `%XX`; what is no UTF-8 afterwards becomes the replacement character.
fn percent_decode(text: &str) -> String {
    // A form decoder reads `+` as a space, so it is protected first.
    let query = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(query.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
