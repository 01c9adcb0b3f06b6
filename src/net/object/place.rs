//! Which object is meant.

use std::fmt;

use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use crate::error::Error;
use crate::sync::Arc;

/// Schemes whose store can be built from the URL and the environment.
const SCHEMES: [&str; 6] = ["s3", "s3a", "gs", "az", "abfs", "abfss"];

/// An object, and the store that has it.
#[derive(Clone)]
pub(crate) struct ObjectPlace {
    /// Where it is in the store.
    pub(super) path: Path,
    /// The application's own store; `None`: the one that the URL names.
    pub(super) store: Option<Arc<dyn ObjectStore>>,
}

impl ObjectPlace {
    /// Whether URLs of `scheme` name a store.
    pub(crate) fn is_scheme(scheme: &str) -> bool {
        SCHEMES.contains(&scheme)
    }

    /// The object at `url`, in `store` or else in the store that `url` names.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a URL without host (unless `store` is given) or path, with a password, query or fragment, or
    /// with a name where none belongs.
    pub(crate) fn new(url: &Url, store: Option<Arc<dyn ObjectStore>>) -> Result<Self, Error> {
        let refuse = |why: &str| Error::invalid("url", why);
        if url.password().is_some() {
            return Err(refuse("credentials come from the environment, not from the URL"));
        }
        // In Azure's URLs the container stands there.
        let container = matches!(url.scheme(), "az" | "abfs" | "abfss");
        if !url.username().is_empty() && !container {
            return Err(refuse("credentials come from the environment, not from the URL"));
        }
        if store.is_none() && url.host_str().is_none_or(str::is_empty) {
            return Err(refuse("it has no bucket"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse(
                "an object has no query and no fragment; write `?` as %3F, `#` as %23",
            ));
        }
        let path = Path::from_url_path(url.path())
            .map_err(|_| refuse("its path is not that of an object"))?;
        if path.as_ref().is_empty() {
            return Err(refuse("it names no object"));
        }
        Ok(Self { path, store })
    }
}

impl fmt::Debug for ObjectPlace {
    /// The store is not shown: it may have secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectPlace").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Result<String, Error> {
        ObjectPlace::new(&Url::parse(url).unwrap(), None).map(|place| place.path.to_string())
    }

    #[test]
    fn urls_name_objects() {
        assert_eq!(place("s3://films/a/b%20c.mp4").unwrap(), "a/b c.mp4");
        assert_eq!(place("s3://My_Bucket/a").unwrap(), "a");
        assert_eq!(place("abfss://box@account.dfs.core.windows.net/a/b").unwrap(), "a/b");
    }

    #[test]
    fn what_would_name_another_object_or_carry_a_secret_is_refused() {
        for bad in [
            "s3://films",
            "s3://films/",
            "s3:///film",
            "s3://films/a?versionId=1",
            "s3://films/a#1",
            "s3://KEY:SECRET@films/a",
            "s3://KEY@films/a",
            "az://box:SECRET@account/a",
            "s3://films/a//b",
        ] {
            let error = place(bad).expect_err(bad).to_string();
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
