//! Setting an engine up: configuration, store, clients, threads.

use std::path::PathBuf;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::assets::AssetStore;
use crate::config::Config;
use crate::engine::driver::Driver;
use crate::engine::shared::{KeyFn, Parts, Shared};
use crate::engine::writer::Writer;
use crate::engine::{Alive, DRIVER_THREAD, Engine};
use crate::error::{Error, StorageError};
use crate::net::{self, ClientFactory};
use crate::sched::Scheduler;
use crate::storage::disk::{Disk, system};
use crate::sync::Arc;

/// What an engine is made from.
#[derive(Default)]
pub struct EngineBuilder {
    config: Config,
    store_dir: Option<PathBuf>,
    runtime: Option<Handle>,
    factory: Option<ClientFactory>,
    key_of: Option<Arc<KeyFn>>,
    disk: Option<Arc<dyn Disk>>,
}

impl EngineBuilder {
    /// Keeps what is received in `dir`, which is made if it is missing. Default: a private temporary
    /// store that goes with the engine.
    ///
    /// Several engines and processes may share one folder; each asset is then stored by the first that
    /// opens it, and the others stream it for themselves.
    pub fn store_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.store_dir = Some(dir.into());
        self
    }

    /// Every knob; see [`Config`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Never send anything; serve what is stored. Short for [`Config::offline`].
    pub fn offline(mut self, offline: bool) -> Self {
        self.config.offline = offline;
        self
    }

    /// Sends requests on the application's runtime, which must have its I/O and time drivers enabled and
    /// must outlive the engine. Default: on the engine's own thread.
    ///
    /// Decisions and disk writes stay on the engine's threads in any case, so a busy application does not
    /// delay reads of stored bytes.
    pub fn runtime(mut self, handle: Handle) -> Self {
        self.runtime = Some(handle);
        self
    }

    /// Builds the HTTP clients, one per [`Lane`](crate::Lane), from the builders that `factory` returns: for proxies,
    /// certificates, resolvers. What the engine relies on (no redirects, no decoding, no
    /// retries, no total timeout) is set last and wins.
    pub fn client_factory(mut self, factory: ClientFactory) -> Self {
        self.factory = Some(factory);
        self
    }

    /// Decides under which key the resource of a URL is stored; `None` falls back to the URL without
    /// query and fragment.
    pub fn key_of(
        mut self,
        key_of: impl Fn(&url::Url) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.key_of = Some(Arc::new(key_of));
        self
    }

    /// A disk of the test's own.
    #[cfg(test)]
    pub(crate) fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = Some(disk);
        self
    }

    /// Checks the configuration, opens the store and starts the engine's two threads. May be called inside
    /// or outside a runtime; does little disk I/O and no network I/O.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] names the field; [`Error::Storage`] if the store's folder is something else or a thread
    /// cannot be started; [`Error::Network`] if a client cannot be built. A folder that cannot be written is an
    /// error only offline: else nothing is stored, each session tells so ([`SessionEvent::StoreTrouble`](crate::SessionEvent::StoreTrouble)),
    /// and each open tries again.
    pub fn build(self) -> Result<Engine, Error> {
        self.config.validate()?;
        crate::observe::meters::describe();
        let store = match &self.store_dir {
            Some(dir) => {
                let disk = self.disk.unwrap_or_else(system);
                AssetStore::open_or_later(disk, dir, &self.config.store, self.config.offline)?
            }
            None => AssetStore::temporary(&self.config.store)?,
        };
        let net = match self.config.offline {
            true => None,
            false => Some(Arc::new(net::build(&self.config, self.factory.as_ref(), seed())?)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("kithara-block")
            .build()
            .map_err(|source| StorageError::new("starting the engine's runtime", source))?;
        let runtime = OwnRuntime(Some(runtime));
        let (commands, inbox) = mpsc::unbounded_channel();
        let (jobs, work) = std::sync::mpsc::channel();
        let own = runtime.get().handle().clone();
        let io = self.runtime.unwrap_or_else(|| own.clone());
        let key_of = self.key_of;
        let tunables = self.config.tunables.clone();
        let lanes = self.config.net.bulk_lanes;
        let config = self.config;
        let parts = Parts { config, net, store, key_of, own, io, commands, jobs };
        let shared = Arc::new(Shared::new(parts));

        let scheduler = Scheduler::new(tunables, lanes, seed());
        let driver = Driver::new(shared.clone(), scheduler, inbox);
        let writing = {
            let shared = shared.clone();
            spawn("kithara-writer", move || Writer::run(shared, work))?
        };
        spawn(DRIVER_THREAD, move || {
            runtime.get().block_on(driver.run());
            // Before the last barrier, which may take its time: requests end with their tasks.
            drop(runtime);
            let _ = writing.join();
        })?;
        Ok(Engine { alive: Arc::new(Alive { shared }) })
    }
}

/// The engine's runtime. Goes without waiting, so that it may be dropped anywhere.
struct OwnRuntime(Option<tokio::runtime::Runtime>);

impl OwnRuntime {
    fn get(&self) -> &tokio::runtime::Runtime {
        self.0.as_ref().expect("there until it is dropped")
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, Error> {
    let failed = |source| StorageError::new("starting a thread", source);
    Ok(thread::Builder::new().name(name.into()).spawn(work).map_err(failed)?)
}

/// A seed that differs between engines, so that many clients do not retry in step.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("store_dir", &self.store_dir)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
