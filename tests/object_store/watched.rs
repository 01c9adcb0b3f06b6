//! A store around another one that notes what is asked, and misbehaves by rule.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use kithara_file::object_store::path::Path;
use kithara_file::object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `None`: all of it, or the head alone.
    pub(crate) range: Option<Range<u64>>,
    pub(crate) if_match: Option<String>,
    pub(crate) head: bool,
}

/// What a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// What the inner store says.
    Serve,
    /// An error of the store's own.
    Fail,
    /// 403.
    Deny,
    /// The body breaks after so many bytes.
    BreakAfter(usize),
    /// The body ends after so many bytes, as if that were all.
    EndAfter(usize),
    /// No answer, ever.
    Hang,
}

type Rules = dyn Fn(usize, &Asked) -> Rule + Send + Sync;

pub(crate) struct Watched {
    inner: Arc<dyn ObjectStore>,
    asked: Mutex<Vec<Asked>>,
    rules: Box<Rules>,
    heeds_if_match: bool,
    /// Requests that hang, and were not dropped.
    pub(crate) hanging: Arc<AtomicUsize>,
}

impl Watched {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Self::with(inner, |_, _| Rule::Serve)
    }

    /// `rules` gets the number of the request among all, from 0, and the request.
    pub(crate) fn with(
        inner: Arc<dyn ObjectStore>,
        rules: impl Fn(usize, &Asked) -> Rule + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner,
            asked: Mutex::default(),
            rules: Box::new(rules),
            heeds_if_match: true,
            hanging: Arc::default(),
        })
    }

    pub(crate) fn careless(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        let mut careless = Self::with(inner, |_, _| Rule::Serve);
        Arc::get_mut(&mut careless).unwrap().heeds_if_match = false;
        careless
    }

    pub(crate) fn log(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The ranges asked for, by their start.
    pub(crate) fn ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<_> = self.log().into_iter().filter_map(|asked| asked.range).collect();
        ranges.sort_by_key(|range| range.start);
        ranges
    }

    async fn get(&self, location: &Path, mut options: GetOptions) -> Result<GetResult> {
        let range = options.range.as_ref().map(|range| match range {
            GetRange::Bounded(range) => range.clone(),
            GetRange::Offset(start) => *start..u64::MAX,
            GetRange::Suffix(_) => panic!("a suffix"),
        });
        let asked = Asked { range, if_match: options.if_match.clone(), head: options.head };
        let number = {
            let mut log = self.asked.lock().unwrap();
            log.push(asked.clone());
            log.len() - 1
        };
        if !self.heeds_if_match {
            options.if_match = None;
        }
        let cut = match (self.rules)(number, &asked) {
            Rule::Serve => return self.inner.get_opts(location, options).await,
            Rule::Fail => return Err(Error::Generic { store: "test", source: "boom".into() }),
            Rule::Deny => {
                let path = location.to_string();
                return Err(Error::PermissionDenied { path, source: "no".into() });
            }
            Rule::Hang => {
                self.hanging.fetch_add(1, Ordering::SeqCst);
                let _dropped = Dropped(self.hanging.clone());
                return futures::future::pending().await;
            }
            Rule::BreakAfter(len) => (len, true),
            Rule::EndAfter(len) => (len, false),
        };
        let found = self.inner.get_opts(location, options).await?;
        let (meta, range) = (found.meta.clone(), found.range.clone());
        let attributes = found.attributes.clone();
        let bytes = found.bytes().await?;
        let first = bytes.slice(..cut.0.min(bytes.len()));
        let broken = || Err(Error::Generic { store: "test", source: "the line is dead".into() });
        let rest = futures::stream::iter(cut.1.then(broken));
        let stream = futures::stream::iter([Ok(first)]).chain(rest).boxed();
        let payload = GetResultPayload::Stream(stream);
        Ok(GetResult { payload, meta, range, attributes, extensions: Default::default() })
    }
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

fn refused<'f, T: Send + 'f>() -> BoxFuture<'f, Result<T>> {
    let (operation, implementer) = ("writing".into(), "Watched".into());
    Box::pin(async { Err(Error::NotImplemented { operation, implementer }) })
}

/// The engine reads and nothing else.
impl ObjectStore for Watched {
    fn put_opts<'a, 'b, 'f>(
        &'a self,
        _: &'b Path,
        _: PutPayload,
        _: PutOptions,
    ) -> BoxFuture<'f, Result<PutResult>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        refused()
    }

    fn put_multipart_opts<'a, 'b, 'f>(
        &'a self,
        _: &'b Path,
        _: PutMultipartOptions,
    ) -> BoxFuture<'f, Result<Box<dyn MultipartUpload>>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        refused()
    }

    fn get_opts<'a, 'b, 'f>(
        &'a self,
        location: &'b Path,
        options: GetOptions,
    ) -> BoxFuture<'f, Result<GetResult>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        Box::pin(self.get(location, options))
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        futures::stream::empty().boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::empty().boxed()
    }

    fn list_with_delimiter<'a, 'b, 'f>(
        &'a self,
        _: Option<&'b Path>,
    ) -> BoxFuture<'f, Result<ListResult>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        refused()
    }

    fn copy_opts<'a, 'b, 'c, 'f>(
        &'a self,
        _: &'b Path,
        _: &'c Path,
        _: CopyOptions,
    ) -> BoxFuture<'f, Result<()>>
    where
        'a: 'f,
        'b: 'f,
        'c: 'f,
        Self: 'f,
    {
        refused()
    }
}
