//! Opening: from a source to a resource that the driver knows, shared by all sessions of one key.
//!
//! Disk work runs on the engine's blocking threads, in a task of its own: dropping the open future
//! leaves nothing half-done, the finished resource is then just closed again.

use std::collections::hash_map;
use std::fs::File;
use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tokio_util::sync::DropGuard;
use tracing::{Instrument as _, Span};
use url::Url;

use crate::assets::{Acquired, Along, AssetKey, Journal, Lease, Recovered};
use crate::byte_range::ByteRange;
use crate::engine::resource::{Info, Resource};
use crate::engine::shared::{Command, Entry, Shared};
use crate::engine::source::{Place, Source};
use crate::engine::spare;
use crate::engine::writer::{Job, Room};
use crate::error::{Error, StorageError};
use crate::events::SessionEvent;
use crate::ids::OriginId;
use crate::net::Target;
use crate::sched::Event;
use crate::storage::{Backend, StreamingResource};
use crate::sync::Arc;
use crate::validator::Validator;

/// A session's hold on a resource; the last one to go closes it.
#[derive(Debug)]
pub(crate) struct Hold {
    shared: Arc<Shared>,
    /// What is held.
    pub(crate) resource: Arc<Resource>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(done) = release(&self.shared, &self.resource) {
            let _ = self.shared.command(Command::Close { resource: self.resource.id, done });
        }
    }
}

/// Takes one session off. If it was the last, nobody may join from here on, and the closing has
/// ended when what is returned is dropped.
fn release(shared: &Shared, resource: &Resource) -> Option<watch::Sender<()>> {
    let (done, closing) = watch::channel(());
    let Some(key) = &resource.key else { return Some(done) };
    let mut registry = shared.registry.lock();
    match registry.get_mut(key) {
        Some(Entry::Open { resource: open, sessions }) if open.id == resource.id => {
            *sessions -= 1;
            (*sessions == 0).then(|| {
                registry.insert(key.clone(), Entry::Busy(closing));
                done
            })
        }
        // It failed before, and was closed by the driver then.
        _ => None,
    }
}

/// Opens `source`, or joins the sessions that have it open.
pub(crate) async fn open(shared: &Arc<Shared>, source: Source) -> Result<Hold, Error> {
    let task = {
        let shared = shared.clone();
        async move {
            match source.place.clone() {
                Place::File(path) => {
                    Ok((open_file(shared, path, source.without_links).await?, None))
                }
                Place::Remote(url) => open_remote(shared, url, source).await,
            }
        }
    };
    let opened = shared.own.spawn(task.in_current_span()).await.map_err(|_| Error::Cancelled)?;
    // Until the first answer is there: its request takes the connection.
    let (hold, _greeting) = opened?;
    hold.resource.opened().await?;
    Ok(hold)
}

/// E8: a local file is a resource that is all there, read in place.
async fn open_file(shared: Arc<Shared>, path: PathBuf, without_links: bool) -> Result<Hold, Error> {
    let opening = move || {
        let failed = |source| StorageError::new("opening the file", source).at(&path);
        let file = File::open(&path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(Error::invalid("path", format!("{} is not a file", path.display())));
        }
        if without_links && !is_where_it_says(&path, &meta) {
            let why = "there is another file by now, or a link on the way";
            return Err(failed(std::io::Error::new(std::io::ErrorKind::NotFound, why)).into());
        }
        Ok((file, meta.len(), validator_of(&meta)))
    };
    let (file, len, validator) =
        shared.own.spawn_blocking(opening).await.map_err(|_| Error::Cancelled)??;
    let covered = vec![ByteRange::new(0, len)].into_iter().filter(|r| !r.is_empty()).collect();
    let bytes = StreamingResource::restored(Backend::file(file), Some(len), covered);
    let id = shared.names.resource();
    let info = Info { validator, ..Info::default() };
    let resource = Resource::new(id, None, OriginId(0), bytes, None, info);
    let resource = Arc::new(resource);
    register(&shared, &resource)?;
    Ok(Hold { shared, resource })
}

/// Whether the file that was opened is the one at `path`, and no link led to it.
fn is_where_it_says(path: &Path, opened: &std::fs::Metadata) -> bool {
    let Ok(there) = path.symlink_metadata() else { return false };
    path.canonicalize().is_ok_and(|real| real == path) && is_same_file(&there, opened)
}

#[cfg(unix)]
fn is_same_file(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// As far as std tells: a file, of one length and one time of change.
#[cfg(not(unix))]
fn is_same_file(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    one.is_file() && one.len() == other.len() && one.modified().ok() == other.modified().ok()
}

/// What tells a file from what it was before: its length and its time of change, as web servers have it.
fn validator_of(meta: &std::fs::Metadata) -> Option<Validator> {
    /// As old as a date must be to be a strong one (RFC 9110 section 8.8.2.2).
    const OLD: std::time::Duration = std::time::Duration::from_secs(60);
    let modified = meta.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    // No date of HTTP is later than the year 9999.
    if since.as_secs() >= 253_402_300_800 {
        return None;
    }
    Some(Validator {
        etag: Some(format!("\"{:x}-{:x}\"", since.as_nanos(), meta.len())),
        last_modified: Some(httpdate::fmt_http_date(modified)),
        strong_date: modified.elapsed().is_ok_and(|age| age >= OLD),
    })
}

async fn open_remote(
    shared: Arc<Shared>,
    url: Url,
    source: Source,
) -> Result<(Hold, Option<DropGuard>), Error> {
    let key = key_for(&shared, &url, source.key.clone())?;
    let target = source.target()?;
    let opening = match Opening::begin(&shared, &key, target.clone()).await {
        Begun::Joined(hold) => return Ok((hold, None)),
        Begun::First(opening) => opening,
    };
    let (found, greeting) = {
        let (own, shared) = (&shared.own, shared.clone());
        let (key, target) = (key.clone(), target.clone());
        let acquire = move || {
            let unknown = shared.store.is_unknown(&key);
            let greeting = if unknown { spare::greet(&shared, target) } else { None };
            Found::acquire(&shared.store, &key, shared.config.offline).map(|it| (it, greeting))
        };
        let span = Span::current();
        let acquire = move || span.in_scope(acquire);
        own.spawn_blocking(acquire).await.map_err(|_| Error::Cancelled)??
    };
    if found.is_new() {
        // Room for it is made beside the opening, which never waits for that nor fails by it (A6).
        let shared = shared.clone();
        shared.own.clone().spawn_blocking(move || shared.make_room());
    }
    let origin = shared.origin_of(&url);
    let id = shared.names.resource();
    let (info, along) = (found.info(), found.reads_along());
    let mut resource = Resource::new(id, Some(key), origin, found.bytes, target, info);
    resource.stored = found.journal.is_some();
    // What is read along takes no room.
    resource.bounded = !found.pinned && !along;
    resource.along = found.along;
    let resource = Arc::new(resource);
    if let Some((error, _)) = &found.refused {
        resource.set_storing(false);
        resource.events.emit(SessionEvent::StoreTrouble { error: error.clone().into() });
    }
    shared.job(Job::Keep { resource: resource.clone(), journal: found.journal })?;
    let hold = opening.done(resource.clone());
    register(&shared, &resource)?;
    if let Some((error, room)) = found.refused {
        shared.job(Job::StoreRefused { resource: id, error, room })?;
    }
    Ok((hold, greeting))
}

pub(crate) fn key_for(
    shared: &Shared,
    url: &Url,
    explicit: Option<AssetKey>,
) -> Result<AssetKey, Error> {
    if let Some(key) = explicit {
        return Ok(key);
    }
    match shared.key_of.as_ref().and_then(|key_of| key_of(url)) {
        Some(key) => AssetKey::explicit(&key),
        None => Ok(AssetKey::for_url(url)),
    }
}

/// What the store has of the resource.
struct Found {
    bytes: Arc<StreamingResource>,
    recovered: Recovered,
    /// `None` if the asset is held elsewhere: then nothing is recorded.
    journal: Option<Box<Journal>>,
    /// Why the store cannot be used, and where the bytes go instead.
    refused: Option<(StorageError, Room)>,
    /// Where somebody else has what is covered.
    along: Option<Arc<Along>>,
    /// Whether the user wants all of it to stay.
    pinned: bool,
}

impl Found {
    /// Never fails for the disk's sake while there is a network to stream from.
    fn acquire(
        store: &crate::assets::AssetStore,
        key: &AssetKey,
        offline: bool,
    ) -> Result<Self, Error> {
        let held = store.acquire(key, offline).and_then(|acquired| match acquired {
            Acquired::Held(lease) => Self::held(lease).map(Some),
            Acquired::Absent => Ok(Some(Self::nothing(Backend::memory()))),
            Acquired::Elsewhere => Ok(None),
        });
        match held {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Ok(Self::beside(store, key, None)),
            // What refuses to be written may be read all the same.
            Err(Error::Storage(error)) if !offline => Ok(Self::beside(store, key, Some(error))),
            Err(error) => {
                let found = Self::beside(store, key, None);
                let is_told = found.reads_along() || store.is_unknown(key);
                if is_told { Ok(found) } else { Err(error) }
            }
        }
    }

    fn held(lease: Lease) -> Result<Self, Error> {
        let recovered = lease.recovered.clone();
        let covered = recovered.covered.clone();
        let bytes = StreamingResource::restored(lease.bytes()?, recovered.len, covered);
        let pinned = lease.is_pinned();
        let journal = Some(Box::new(lease.into_journal()));
        Ok(Self { bytes, recovered, journal, refused: None, along: None, pinned })
    }

    /// The asset is not ours: somebody else has it, or the store refuses. What the log proves is read where it is; the
    /// rest is streamed without storing, into a file that has no name and goes with the session. Where there is no place
    /// for one, memory has to do.
    fn beside(
        store: &crate::assets::AssetStore,
        key: &AssetKey,
        refused: Option<StorageError>,
    ) -> Self {
        let (file, refused) = match tempfile::tempfile() {
            Ok(file) => (Some(file), refused.map(|error| (error, Room::Scratch))),
            Err(source) => {
                let no_file = StorageError::new("making a temporary file", source);
                (None, Some((refused.unwrap_or(no_file), Room::None)))
            }
        };
        let Some(along) = store.look_along(key).map(Arc::new) else {
            let backend = file.map_or_else(Backend::nowhere, Backend::file);
            return Self { refused, ..Self::nothing(backend) };
        };
        let recovered = along.found().clone();
        let (len, covered) = (recovered.len, recovered.covered.clone());
        let bytes = StreamingResource::restored(Backend::custom(along.over(file)), len, covered);
        Self { bytes, recovered, journal: None, refused, along: Some(along), pinned: false }
    }

    fn nothing(backend: Backend) -> Self {
        let bytes = StreamingResource::new(backend);
        let recovered = Recovered::default();
        let (journal, refused, along) = (None, None, None);
        Self { bytes, recovered, journal, refused, along, pinned: false }
    }

    /// Whether somebody else has bytes of it.
    fn reads_along(&self) -> bool {
        self.along.as_ref().is_some_and(|along| !along.found().covered.is_empty())
    }

    /// Whether the asset will be stored and nothing of it is yet.
    fn is_new(&self) -> bool {
        self.journal.is_some() && self.recovered.meta.is_none()
    }

    fn info(&self) -> Info {
        let meta = self.recovered.meta.as_ref();
        let weak = meta.is_some_and(|meta| meta.validator.if_range().is_none());
        Info {
            unproven: weak && !self.recovered.covered.is_empty(),
            validator: meta.map(|meta| meta.validator.clone()),
            content_type: meta.and_then(|meta| meta.content_type.clone()),
            journal_begun: meta.is_some(),
            ..Info::default()
        }
    }
}

fn register(shared: &Arc<Shared>, resource: &Arc<Resource>) -> Result<(), Error> {
    let opened = Event::ResourceOpened {
        resource: resource.id,
        origin: resource.origin,
        len: resource.bytes.len(),
        covered: resource.bytes.covered(),
        online: shared.net.is_some() && resource.target().is_some(),
    };
    shared.command(Command::Register { resource: resource.clone(), opened })
}

/// Our turn to open a key: the registry says busy until `done`, or until this is dropped.
struct Opening {
    shared: Arc<Shared>,
    key: Option<AssetKey>,
    _busy: watch::Sender<()>,
}

enum Begun {
    Joined(Hold),
    First(Opening),
}

impl Opening {
    /// Joins the open resource of `key`, or waits until nobody is opening or closing it.
    async fn begin(shared: &Arc<Shared>, key: &AssetKey, target: Option<Arc<Target>>) -> Begun {
        loop {
            let mut busy = {
                let mut registry = shared.registry.lock();
                match registry.entry(key.clone()) {
                    hash_map::Entry::Vacant(vacant) => {
                        let (sender, receiver) = watch::channel(());
                        vacant.insert(Entry::Busy(receiver));
                        let (shared, key) = (shared.clone(), Some(key.clone()));
                        return Begun::First(Self { shared, key, _busy: sender });
                    }
                    hash_map::Entry::Occupied(mut occupied) => match occupied.get_mut() {
                        Entry::Open { resource, sessions } => {
                            *sessions += 1;
                            if let Some(target) = target {
                                resource.retarget(target);
                            }
                            let (shared, resource) = (shared.clone(), resource.clone());
                            return Begun::Joined(Hold { shared, resource });
                        }
                        Entry::Busy(busy) => busy.clone(),
                    },
                }
            };
            // Ends with an error when the sender goes, which is what is waited for.
            while busy.changed().await.is_ok() {}
            forget_ended(shared, key);
        }
    }

    /// Puts the opened resource into the registry, held once.
    fn done(mut self, resource: Arc<Resource>) -> Hold {
        if let Some(key) = self.key.take() {
            let entry = Entry::Open { resource: resource.clone(), sessions: 1 };
            self.shared.registry.lock().insert(key, entry);
        }
        Hold { shared: self.shared.clone(), resource }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.shared.registry.lock().remove(&key);
        }
    }
}

/// Takes a closing that has ended out of the registry.
fn forget_ended(shared: &Shared, key: &AssetKey) {
    let mut registry = shared.registry.lock();
    if let Some(Entry::Busy(busy)) = registry.get(key)
        && busy.has_changed().is_err()
    {
        registry.remove(key);
    }
}

/// Ends when the asset of `resource` is closed and durable; at once if it is not closing.
pub(crate) async fn closed(shared: &Shared, key: &AssetKey) {
    let busy = match shared.registry.lock().get(key) {
        Some(Entry::Busy(busy)) => Some(busy.clone()),
        Some(Entry::Open { .. }) | None => None,
    };
    if let Some(mut busy) = busy {
        while busy.changed().await.is_ok() {}
        forget_ended(shared, key);
    }
}
