//! The engine: owns the runtime, the scheduler, the lanes and the store.
//!
//! The only floor that knows all others. `driver` performs what the scheduler decides, `fetch` runs
//! one request, `writer` is the one way to the disk, `open` brings resources in.

mod builder;
mod compare;
mod driver;
mod end_check;
mod fetch;
mod follow;
mod gather;
mod names;
pub(crate) mod open;
pub(crate) mod reader_state;
pub(crate) mod resource;
pub(crate) mod shared;
pub(crate) mod source;
mod spare;
mod stop;
#[cfg(test)]
mod testing;
pub(crate) mod writer;

pub use builder::EngineBuilder;
pub use source::{IntoSource, Source};

use bytes::Bytes;

use crate::assets::Generation;
use crate::config::Tunables;
use crate::engine::shared::{Command, Shared};
use crate::engine::source::Place;
use crate::error::{Error, StorageError};
use crate::ids::Lane;
use crate::net::{Net, Object, Target};
use crate::sync::{Arc, block_on};

/// Name of the thread that the driver runs on.
pub(crate) const DRIVER_THREAD: &str = "kithara-engine";

/// Opens resources and fetches, stores and reads ahead for all of them.
///
/// Cheap to clone. It lives as long as a clone of it or a session that it opened. When the last goes,
/// requests stop at once, what was received is made durable in the background, and its threads end.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) alive: Arc<Alive>,
}

/// Ends the engine when the last handle goes.
#[derive(Debug)]
pub(crate) struct Alive {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        let _ = self.shared.command(Command::Shutdown);
        // Here and not on the engine's threads, which a program that ends now takes along.
        self.shared.store.remove_if_temporary();
    }
}

impl Engine {
    /// Sets up an engine.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// An engine with the defaults and a private temporary store, which goes with it.
    ///
    /// # Errors
    ///
    /// As [`EngineBuilder::build`].
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Changes the knobs of the running engine.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] names the field that does not fit; nothing is changed then.
    pub fn reconfigure(&self, tunables: Tunables) -> Result<(), Error> {
        self.alive.shared.tune(tunables)
    }

    /// The knobs as they are now.
    pub fn tunables(&self) -> Tunables {
        self.alive.shared.tunables()
    }

    /// Fetches a small object whole, such as a playlist or a cover, and keeps it: the next call is served from
    /// the store when the origin cannot be reached or the engine is offline. A local file is just read.
    ///
    /// `max_len` bounds the size in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Network`] with `TooLarge` above `max_len`; [`Error::OfflineMiss`] when offline and not stored;
    /// others as [`open`](Self::open).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stored object is the old or the new one, never a part.
    pub async fn get_object(&self, source: impl IntoSource, max_len: u64) -> Result<Bytes, Error> {
        let source = source.into_source()?;
        let shared = self.alive.shared.clone();
        let task = self.alive.shared.own.spawn(object(shared, source, max_len));
        task.await.map_err(|_| Error::Cancelled)?
    }

    /// The same, blocking this thread.
    ///
    /// # Errors
    ///
    /// As [`get_object`](Self::get_object), and [`Error::WouldDeadlock`].
    pub fn get_object_blocking(
        &self,
        source: impl IntoSource,
        max_len: u64,
    ) -> Result<Bytes, Error> {
        self.alive.shared.guard_blocking()?;
        block_on(self.get_object(source, max_len))
    }
}

async fn object(shared: Arc<Shared>, source: Source, max_len: u64) -> Result<Bytes, Error> {
    let url = match &source.place {
        Place::Remote(url) => url.clone(),
        Place::File(path) => {
            let path = path.clone();
            let read = move || read_bounded(&path, max_len);
            return shared.own.spawn_blocking(read).await.map_err(|_| Error::Cancelled)?;
        }
    };
    let key = open::key_for(&shared, &url, source.key.clone())?;
    let fetched = match (&shared.net, source.target()?) {
        (Some(net), Some(target)) => {
            let net = net.clone();
            let limit = max_len;
            let get = async move { whole_object(net.as_ref(), &target, limit).await };
            match shared.io.spawn(get).await {
                Ok(result) => Some(result),
                Err(_) => return Err(Error::Cancelled),
            }
        }
        _ => None,
    };
    let objects = shared.store.objects();
    let room = shared.clone();
    let work = move || match fetched {
        Some(Ok(object)) => {
            let bytes = object.bytes;
            let meta =
                Generation { validator: object.validator, content_type: object.content_type };
            if let Err(error) = objects.write(&key, &meta, &bytes) {
                tracing::warn!(%error, "a fetched object could not be stored");
            }
            room.make_room();
            Ok(bytes)
        }
        // A server that cannot be reached says nothing about the object; one that says 404 does.
        Some(Err(error)) if !may_pass(&error) => Err(error),
        other => match (objects.read(&key, max_len)?, other) {
            (Some(object), _) => Ok(Bytes::from(object.bytes)),
            (None, Some(Err(error))) => Err(error),
            (None, _) => Err(Error::OfflineMiss { range: 0..max_len }),
        },
    };
    shared.own.spawn_blocking(work).await.map_err(|_| Error::Cancelled)?
}

/// Fetches an object. The end of a body that only its connection's close showed is believed if a second one
/// ends there too (E2); such servers tell nothing better.
async fn whole_object(net: &dyn Net, target: &Arc<Target>, limit: u64) -> Result<Object, Error> {
    let object = net.get_bytes(Lane::Demand, target.clone(), limit).await?;
    if object.end_proven {
        return Ok(object);
    }
    let again = net.get_bytes(Lane::Demand, target.clone(), limit).await?;
    match again.end_proven || again.bytes.len() == object.bytes.len() {
        true => Ok(again),
        false => Err(Error::Truncated { at: object.bytes.len().min(again.bytes.len()) as u64 }),
    }
}

/// Whether the origin may do better later, so that what is stored is as good as it gets.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Network(error) => error.is_retryable(),
        _ => false,
    }
}

fn read_bounded(path: &std::path::Path, max_len: u64) -> Result<Bytes, Error> {
    use std::io::Read as _;
    let failed = |source| StorageError::new("reading the file", source).at(path);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(max_len.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max_len {
        return Err(Error::invalid("max_len", format!("the file is larger than {max_len} bytes")));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the program goes on or ends right there.
    #[test]
    fn a_temporary_store_is_gone_with_the_last_handle() {
        let engine = Engine::new().expect("an engine");
        let root = engine.alive.shared.store.root().to_owned();
        let other = engine.clone();
        drop(engine);
        assert!(root.is_dir());
        drop(other);
        assert!(!root.exists());
    }
}
