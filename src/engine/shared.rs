//! What every part of a running engine holds: configuration, clock, channels, the registry.

use std::collections::{BTreeMap, HashMap};
use std::thread::ThreadId;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::assets::{AssetKey, AssetStore};
use crate::byte_range::ByteRange;
use crate::config::{Config, Tunables};
use crate::engine::reader_state::ReaderState;
use crate::engine::resource::Resource;
use crate::engine::writer::Job;
use crate::error::Error;
use crate::ids::{Counter, FetchId, OriginId, ReaderId, ResourceId};
use crate::net::NetStack;
use crate::sched::Event;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use crate::time::Clock;

/// What the driver is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Something for the scheduler.
    Sched(Event),
    /// Bytes of that fetch were stored. Their share of the write budget is given back once the scheduler has heard: so no body
    /// runs further ahead of what it decides than the budget is large.
    Written { fetch: FetchId, range: ByteRange, share: Option<OwnedSemaphorePermit> },
    /// A resource was opened; its first bytes are asked for if need be.
    Register { resource: Arc<Resource>, opened: Event },
    /// A reader of a registered resource exists from now on.
    ReaderOpened { resource: Arc<Resource>, reader: Arc<ReaderState>, position: u64 },
    /// The last session of the resource is gone; `done` goes when everything is written.
    Close { resource: ResourceId, done: watch::Sender<()> },
    /// The writer has begun a new generation: nothing of the old one can be written any more.
    Restarted { resource: ResourceId },
    /// The writer could not store bytes of this fetch.
    StoreFailed { fetch: FetchId, error: Error },
    /// The writer's thread is gone; nothing can be stored any more.
    WriterGone,
    /// The engine's last handle is gone.
    Shutdown,
}

/// How a resource stands in the registry.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Being opened or closed; the channel ends when that is over.
    Busy(watch::Receiver<()>),
    /// Open, with so many sessions.
    Open { resource: Arc<Resource>, sessions: usize },
}

/// Counters that name things.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// For [`ResourceId`].
    pub(crate) resource: Counter,
    /// For [`ReaderId`].
    pub(crate) reader: Counter,
    /// For demands.
    pub(crate) demand: Counter,
    /// For hints.
    pub(crate) hint: Counter,
    /// For sessions.
    pub(crate) session: Counter,
}

impl Names {
    /// A new reader's name.
    pub(crate) fn reader(&self) -> ReaderId {
        ReaderId(self.reader.next())
    }

    /// A new resource's name.
    pub(crate) fn resource(&self) -> ResourceId {
        ResourceId(self.resource.next())
    }
}

/// What every part of a running engine holds.
pub(crate) struct Shared {
    /// As given to the builder; the tunables in it are the first ones.
    pub(crate) config: Config,
    /// The tunables now. Held while the scheduler is told, so that it hears of them in the same order.
    tunables: Mutex<Tunables>,
    /// The engine's time.
    pub(crate) clock: Clock,
    /// See [`Names`].
    pub(crate) names: Names,
    /// The HTTP clients; `None` while offline, so that nothing can be sent.
    pub(crate) net: Option<Arc<NetStack>>,
    /// The store on disk.
    pub(crate) store: AssetStore,
    /// Where a resource is stored, if the application decides that.
    pub(crate) key_of: Option<Arc<KeyFn>>,
    /// Received bytes that may wait to be written.
    pub(crate) write_budget: Arc<Semaphore>,
    /// Open resources by their key.
    pub(crate) registry: Mutex<HashMap<AssetKey, Entry>>,
    /// Origins that have been seen, by scheme, host and port.
    origins: Mutex<BTreeMap<String, OriginId>>,
    /// The engine's own runtime: the driver and what may block.
    pub(crate) own: Handle,
    /// Where requests run: the application's runtime if it gave one, else the engine's.
    pub(crate) io: Handle,
    /// The thread on which requests were last polled, where that matters (see [`Self::guard_blocking`]).
    io_thread: Mutex<Option<ThreadId>>,
    /// How often room in the store was asked for since it was last looked for.
    room_asked: AtomicU64,
    commands: mpsc::UnboundedSender<Command>,
    jobs: std::sync::mpsc::Sender<Job>,
}

/// Maps a URL to the key under which its resource is stored.
pub(crate) type KeyFn = dyn Fn(&url::Url) -> Option<String> + Send + Sync;

/// What [`Shared::new`] is made of.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) net: Option<Arc<NetStack>>,
    pub(crate) store: AssetStore,
    pub(crate) key_of: Option<Arc<KeyFn>>,
    pub(crate) own: Handle,
    pub(crate) io: Handle,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) jobs: std::sync::mpsc::Sender<Job>,
}

impl Shared {
    /// Puts the parts together.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { config, net, store, key_of, own, io, commands, jobs } = parts;
        let budget = usize::try_from(config.net.write_budget).unwrap_or(usize::MAX);
        Self {
            write_budget: Arc::new(Semaphore::new(budget.min(Semaphore::MAX_PERMITS))),
            tunables: Mutex::new(config.tunables.clone()),
            config,
            clock: Clock::start(),
            names: Names::default(),
            net,
            store,
            key_of,
            registry: Mutex::default(),
            origins: Mutex::default(),
            own,
            io,
            io_thread: Mutex::default(),
            room_asked: AtomicU64::new(0),
            commands,
            jobs,
        }
    }

    /// Tells the driver. Fails once the engine is gone.
    pub(crate) fn command(&self, command: Command) -> Result<(), Error> {
        // Waking the driver takes a lock of the runtime's.
        #[cfg(test)]
        crate::sync::count();
        self.commands.send(command).map_err(|_| Error::Cancelled)
    }

    /// Tells the scheduler; nobody is there to hear once the engine is gone.
    pub(crate) fn sched(&self, event: Event) {
        let _ = self.command(Command::Sched(event));
    }

    /// Gives the writer work. Fails once its thread is gone.
    pub(crate) fn job(&self, job: Job) -> Result<(), Error> {
        self.jobs.send(job).map_err(|_| Error::Cancelled)
    }

    /// Whether connections are made before they are needed.
    pub(crate) fn preconnects(&self) -> bool {
        self.tunables.lock().fetch.preconnect
    }

    /// Hands new tunables to the scheduler.
    pub(crate) fn tune(&self, tunables: Tunables) -> Result<(), Error> {
        tunables.validate()?;
        if let Some(net) = &self.net {
            net.reconfigure(tunables.retry.clone());
        }
        let mut now = self.tunables.lock();
        *now = tunables.clone();
        self.command(Command::Sched(Event::Tuned { tunables: Box::new(tunables) }))
    }

    /// The tunables now.
    pub(crate) fn tunables(&self) -> Tunables {
        self.tunables.lock().clone()
    }

    /// How much a hint for a place asks for, in bytes: as much as a read there would.
    pub(crate) fn hint_len(&self) -> u64 {
        self.tunables.lock().fetch.demand_min
    }

    /// Removes from the store what its limits have no room for. Blocks on the disk, unless another thread
    /// is at it: then that one looks once more. Offline nothing goes, since nothing could come back.
    pub(crate) fn make_room(&self) {
        // Two at once would each free the room that is short.
        if self.config.offline || self.room_asked.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        loop {
            let asked = self.room_asked.load(Ordering::Acquire);
            if let Err(error) = self.store.evict_if_short() {
                tracing::warn!(%error, "the store could not be looked through for what may go");
            }
            let rest = self.room_asked.fetch_sub(asked, Ordering::AcqRel) - asked;
            if rest == 0 {
                return;
            }
        }
    }

    /// The number of the origin that `url` belongs to.
    pub(crate) fn origin_of(&self, url: &url::Url) -> OriginId {
        let name = match url.origin() {
            // Of a scheme that is not the web's: a bucket is an origin.
            url::Origin::Opaque(_) => url[..url::Position::BeforePath].to_owned(),
            origin @ url::Origin::Tuple(..) => origin.ascii_serialization(),
        };
        let mut origins = self.origins.lock();
        let next = OriginId(origins.len() as u64 + 1);
        *origins.entry(name).or_insert(next)
    }

    /// Notes on which thread requests run; see [`Self::guard_blocking`].
    pub(crate) fn note_io_thread(&self) {
        if self.io.id() != self.own.id() {
            *self.io_thread.lock() = Some(std::thread::current().id());
        }
    }

    /// Refuses to block where that would keep the requests from running: on the only thread of the
    /// runtime that the application gave.
    ///
    /// # Errors
    ///
    /// [`Error::WouldDeadlock`].
    pub(crate) fn guard_blocking(self: &Arc<Self>) -> Result<(), Error> {
        self.guard_driver()?;
        let here = Handle::try_current().ok().map(|handle| handle.id());
        let single = match self.io.runtime_flavor() {
            RuntimeFlavor::CurrentThread => true,
            _ => self.io.metrics().num_workers() == 1,
        };
        if self.io.id() == self.own.id() || here != Some(self.io.id()) || !single {
            return Ok(());
        }
        // Either on that one thread, or in `spawn_blocking`, which looks the same from here. A task on
        // the runtime tells which thread is which; if none gets to run, nothing else will either. Another
        // thread that ran requests before proves nothing: `block_on` may have moved here since.
        let me = std::thread::current().id();
        if *self.io_thread.lock() == Some(me) {
            return Err(Error::WouldDeadlock);
        }
        match self.ask_io_thread() {
            Some(thread) if thread != me => Ok(()),
            _ => Err(Error::WouldDeadlock),
        }
    }

    /// Refuses to block on the driver's thread, which gets there through the application's callbacks. Enough for
    /// what needs no request.
    ///
    /// # Errors
    ///
    /// [`Error::WouldDeadlock`].
    pub(crate) fn guard_driver(&self) -> Result<(), Error> {
        let here = Handle::try_current().ok().map(|handle| handle.id());
        // The engine's blocking threads are in the same runtime and may.
        let driver = std::thread::current().name() == Some(super::DRIVER_THREAD);
        match here == Some(self.own.id()) && driver {
            true => Err(Error::WouldDeadlock),
            false => Ok(()),
        }
    }

    fn ask_io_thread(self: &Arc<Self>) -> Option<ThreadId> {
        /// Long beside any task's turn, short beside a user's patience.
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
        let (tell, told) = std::sync::mpsc::channel();
        let shared = self.clone();
        self.io.spawn(async move {
            shared.note_io_thread();
            let _ = tell.send(std::thread::current().id());
        });
        told.recv_timeout(PATIENCE).ok()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
