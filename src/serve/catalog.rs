//! [`Catalog`]: what is served, and [`Media`]: one of it.

use std::path::Path;

use url::Url;

use super::allow::Allowed;
use super::entry::Entry;
use super::{ServeConfig, ServeError, names};
use crate::engine::{Engine, IntoSource, Source};
use crate::error::Error;
use crate::session::Session;
use crate::sync::{Arc, Mutex};

/// What is served. Cheap to clone; all clones are one.
///
/// ```
/// use kithara_file::Engine;
/// use kithara_file::serve::{Catalog, ServeConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let catalog = Catalog::new(Engine::new()?, ServeConfig::default())?;
/// let film = catalog.add("https://media.example/films/film.mp4?token=secret")?;
/// assert_eq!(film.path(), "/film.mp4");
/// assert_eq!(catalog.list().len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Catalog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    config: ServeConfig,
    allowed: Vec<Allowed>,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    ids: u64,
    uses: u64,
    listed: Vec<Listed>,
}

#[derive(Debug)]
struct Listed {
    entry: Arc<Entry>,
    /// By which URL a client had it opened; one without stays until it is removed.
    opened: Option<Url>,
    /// When it was last asked for, in uses of the list.
    used: u64,
}

/// Why a client's URL is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotOpened {
    /// Nobody allowed it.
    Forbidden,
    /// All that may be open is in use.
    Busy,
}

impl Catalog {
    /// An empty catalog whose media come through `engine`.
    ///
    /// With [`OnChange::Restart`](crate::OnChange::Restart) the engine goes on with a resource that changes; otherwise it is opened
    /// anew at the next request. Answers are of one version in any case.
    ///
    /// # Errors
    ///
    /// [`ServeError::Config`] names the field that cannot be.
    pub fn new(engine: Engine, config: ServeConfig) -> Result<Self, ServeError> {
        let allowed = config.allowed()?;
        let shared = Shared { engine, config, allowed, list: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Serves `source` under the last segment of its path, or if that is taken, under one with a number. It is
    /// opened by the first request or by [`Media::open`].
    ///
    /// # Errors
    ///
    /// [`ServeError::Source`] for what names nothing that can be opened.
    pub fn add(&self, source: impl IntoSource) -> Result<Media, ServeError> {
        let source = source.into_source()?;
        let entry = self.shared.list.lock().add(&self.shared, source, None);
        Ok(self.media(entry))
    }

    /// Serves each media file below `folder` under its name, as [`add`](Self::add) does: known by its extension, at most 1000,
    /// in the order of their paths. Links are not followed, also not one that takes a file's place later; names
    /// that begin with a dot are left out. What comes into the folder later is not served. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`ServeError::Folder`] if the folder cannot be read, or has more of them; nothing is added then.
    pub fn add_folder(&self, folder: &Path) -> Result<Vec<Media>, ServeError> {
        let failed =
            |source| ServeError::Folder { path: folder.to_owned(), source: Arc::new(source) };
        let found = super::folder::media_below(folder).map_err(failed)?;
        let mut list = self.shared.list.lock();
        let sources = found.into_iter().map(Source::path_without_links);
        let entries = sources.map(|source| list.add(&self.shared, source, None));
        Ok(entries.map(|entry| self.media(entry)).collect())
    }

    /// Serves it no longer, and ends its session: answers under way break off. Returns whether it was there.
    pub fn remove(&self, id: u64) -> bool {
        let removed = {
            let mut list = self.shared.list.lock();
            let found = list.listed.iter().position(|listed| listed.entry.id == id);
            found.map(|at| list.listed.remove(at))
        };
        if let Some(session) = removed.as_ref().and_then(|listed| listed.entry.close()) {
            session.cancel_token().cancel();
        }
        removed.is_some()
    }

    /// What is served, in the order in which it came.
    pub fn list(&self) -> Vec<Media> {
        let list = self.shared.list.lock();
        list.listed.iter().map(|listed| self.media(listed.entry.clone())).collect()
    }

    /// The medium of that number, while it is served.
    pub fn media_by_id(&self, id: u64) -> Option<Media> {
        let list = self.shared.list.lock();
        let found = list.listed.iter().find(|listed| listed.entry.id == id);
        found.map(|listed| self.media(listed.entry.clone()))
    }

    /// The engine behind it, whose [`Tunables`](crate::Tunables) hold for all media.
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// As given to [`new`](Self::new).
    pub fn config(&self) -> &ServeConfig {
        &self.shared.config
    }

    /// Ends all sessions, and waits until what they received is durable. Answers under way break off; a later
    /// request opens anew.
    ///
    /// # Cancel safety
    ///
    /// The sessions end in any case; dropping the future only stops the waiting.
    pub async fn close(&self) {
        let entries: Vec<Arc<Entry>> = {
            let list = self.shared.list.lock();
            list.listed.iter().map(|listed| listed.entry.clone()).collect()
        };
        let sessions: Vec<_> = entries.iter().filter_map(|entry| entry.close()).collect();
        for session in &sessions {
            session.cancel_token().cancel();
        }
        for session in sessions.into_iter().filter_map(Arc::into_inner) {
            session.close().await;
        }
    }

    /// What is served under that name.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        let mut list = self.shared.list.lock();
        list.touch(|listed| listed.entry.name == name)
    }

    /// What a client asked for by URL.
    pub(super) fn open_url(&self, url: &str) -> Result<Arc<Entry>, NotOpened> {
        let url = Url::parse(url).map_err(|_| NotOpened::Forbidden)?;
        if !self.shared.allowed.iter().any(|allowed| allowed.holds(&url)) {
            return Err(NotOpened::Forbidden);
        }
        let source = Source::from_url(url.clone()).map_err(|_| NotOpened::Forbidden)?;
        let (entry, gone) = {
            let mut list = self.shared.list.lock();
            if let Some(entry) = list.touch(|listed| listed.opened.as_ref() == Some(&url)) {
                return Ok(entry);
            }
            let gone = list.make_room(self.shared.config.max_opened)?;
            (list.add(&self.shared, source, Some(url)), gone)
        };
        // Outside of the lock: it ends a session.
        gone.map(|listed| listed.entry.close());
        Ok(entry)
    }

    fn media(&self, entry: Arc<Entry>) -> Media {
        let token = self.shared.config.token.clone();
        Media { entry, token }
    }
}

impl List {
    fn add(&mut self, shared: &Shared, source: Source, opened: Option<Url>) -> Arc<Entry> {
        let taken = |name: &str| self.listed.iter().any(|listed| listed.entry.name == name);
        let name = names::free(&names::of_place(&source.place), taken);
        let shown = source.shown();
        self.ids += 1;
        let (engine, linger) = (shared.engine.clone(), shared.config.linger);
        let entry = Arc::new(Entry::new(self.ids, name, shown, source, engine, linger));
        self.uses += 1;
        self.listed.push(Listed { entry: entry.clone(), opened, used: self.uses });
        entry
    }

    fn touch(&mut self, is_it: impl Fn(&Listed) -> bool) -> Option<Arc<Entry>> {
        let found = self.listed.iter_mut().find(|listed| is_it(listed))?;
        self.uses += 1;
        found.used = self.uses;
        Some(found.entry.clone())
    }

    /// Takes out what a client had opened and nobody uses, if there are `most` of that kind.
    fn make_room(&mut self, most: usize) -> Result<Option<Listed>, NotOpened> {
        if self.listed.iter().filter(|listed| listed.opened.is_some()).count() < most {
            return Ok(None);
        }
        // Whoever serves it, or holds a `Media`, has another.
        let idle =
            |listed: &Listed| listed.opened.is_some() && Arc::strong_count(&listed.entry) == 1;
        let oldest = (0..self.listed.len())
            .filter(|&at| idle(&self.listed[at]))
            .min_by_key(|&at| self.listed[at].used);
        oldest.map(|at| Some(self.listed.remove(at))).ok_or(NotOpened::Busy)
    }
}

/// One medium of a [`Catalog`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Media {
    entry: Arc<Entry>,
    token: Option<String>,
}

impl Media {
    /// Its number in the catalog; never given to another.
    pub fn id(&self) -> u64 {
        self.entry.id
    }

    /// The name under which it is served, not escaped.
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// Where it comes from, fit to be shown: without userinfo and query values.
    pub fn url(&self) -> &str {
        &self.entry.shown
    }

    /// Where it is served: a path from the server's root, with the [token](ServeConfig::token) if there is one.
    pub fn path(&self) -> String {
        let name = names::encode(&self.entry.name);
        match &self.token {
            Some(token) => format!("/{token}/{name}"),
            None => format!("/{name}"),
        }
    }

    /// How long its clients waited for their first byte of late, in microseconds, and how many waits there were.
    pub(super) fn seeks(&self) -> (Vec<u64>, u64) {
        self.entry.seeks.latest()
    }

    /// Its session, if it is open. Holding it keeps it open.
    pub fn session(&self) -> Option<std::sync::Arc<Session>> {
        self.entry.opened()
    }

    /// Why it could not be opened last time, or why its session had to end.
    pub fn trouble(&self) -> Option<Error> {
        self.entry.trouble()
    }

    /// Opens its session, or gives the one that is open.
    ///
    /// # Errors
    ///
    /// As [`Engine::open`](crate::Engine::open).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future closes what was opened so far.
    pub async fn open(&self) -> Result<std::sync::Arc<Session>, Error> {
        self.entry.open().await
    }
}
