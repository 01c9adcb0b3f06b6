//! One opened resource: what all its sessions, readers and fetches share.
//!
//! Coverage and its waiters live in `storage`; this adds what the answers said about the resource,
//! whether it is open yet, and its counters. Nothing here decides or waits.

use std::collections::BTreeMap;
use std::task::{Poll, Waker};

use crate::assets::{Along, AssetKey};
use crate::byte_range::ByteRange;
use crate::engine::reader_state::{ReaderList, ReaderState};
use crate::error::Error;
use crate::events::EventHub;
use crate::ids::{FetchId, OriginId, ReaderId, ResourceId};
use crate::net::{Target, redact};
use crate::sched::{Class, Estimate, ResourceView};
use crate::storage::StreamingResource;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering};
use crate::validator::Validator;

/// How far opening has come.
#[derive(Debug, Clone)]
pub(crate) enum OpenState {
    /// Waiting for the first answer.
    Pending,
    /// Bytes can be asked for.
    Open,
    /// Opening failed; the resource is of no use.
    Failed(Error),
}

/// How far it has come, and who waits for more. A channel would take some 400 bytes of each idle resource.
#[derive(Debug)]
struct Opened {
    state: OpenState,
    waiting: Vec<Waker>,
}

/// What the answers said so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Info {
    /// Counts the restarts, as the bytes do; answers to an earlier generation are void.
    pub(crate) generation: u64,
    /// Pinned by the log or by the first answer; later answers must agree.
    pub(crate) validator: Option<Validator>,
    /// Media type, as the server says.
    pub(crate) content_type: Option<String>,
    /// Where the redirects ended, without userinfo and query values.
    pub(crate) final_url: Option<String>,
    /// Whether an answer of this session agreed with the validator.
    pub(crate) validated: bool,
    /// Whether the server was seen not to do ranges.
    pub(crate) whole: bool,
    /// Whether a journal of this generation has been begun, so that received bytes may be recorded.
    pub(crate) journal_begun: bool,
    /// Whether there are stored bytes of which no strong validator says that the server still has them, and
    /// that were not compared yet.
    pub(crate) unproven: bool,
}

/// Counters of one resource, since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests sent.
    pub(crate) requests: AtomicU64,
    /// Connections made for them.
    pub(crate) connections: AtomicU64,
    /// Body bytes received.
    pub(crate) bytes_fetched: AtomicU64,
    /// Body bytes received that were covered already, or thrown away.
    pub(crate) bytes_wasted: AtomicU64,
    /// Stored bytes given back to the disk.
    pub(crate) bytes_evicted: AtomicU64,
}

/// One opened resource.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Its name in the scheduler.
    pub(crate) id: ResourceId,
    /// Its name in the store; a local file has none.
    pub(crate) key: Option<AssetKey>,
    /// Whether what is received is recorded in the store. Not if another engine holds the asset.
    pub(crate) stored: bool,
    /// Where bytes are read from that another engine stores.
    pub(crate) along: Option<Arc<Along>>,
    /// Whether parts of it go where the store's limit has no room for all of it.
    pub(crate) bounded: bool,
    /// Whether the disk takes it.
    storing: AtomicBool,
    /// The readers of all its sessions.
    readers: Mutex<ReaderList>,
    /// The origin that its requests count against.
    pub(crate) origin: OriginId,
    /// Bytes, coverage and waiters.
    pub(crate) bytes: Arc<StreamingResource>,
    /// Where requests go; the newest opener's headers count.
    target: Mutex<Option<Arc<Target>>>,
    info: Mutex<Info>,
    /// Whether a reader was given a byte, or the application was told the length.
    used: AtomicBool,
    opened: Mutex<Opened>,
    /// What the scheduler last said about this resource, for snapshots.
    pub(crate) view: Mutex<ResourceView>,
    /// What the scheduler last believed about its origin, for snapshots.
    pub(crate) estimate: Mutex<Estimate>,
    /// Running fetches, for snapshots.
    pub(crate) fetches: Mutex<BTreeMap<FetchId, (ByteRange, Class)>>,
    /// See [`Counters`].
    pub(crate) counters: Arc<Counters>,
    /// Listeners of all its sessions.
    pub(crate) events: EventHub,
}

impl Resource {
    /// A resource whose opening is pending, and of which nothing is stored.
    pub(crate) fn new(
        id: ResourceId,
        key: Option<AssetKey>,
        origin: OriginId,
        bytes: Arc<StreamingResource>,
        target: Option<Arc<Target>>,
        info: Info,
    ) -> Self {
        Self {
            id,
            key,
            stored: false,
            along: None,
            bounded: false,
            storing: AtomicBool::new(true),
            readers: Mutex::default(),
            origin,
            bytes,
            target: Mutex::new(target),
            info: Mutex::new(info),
            used: AtomicBool::new(false),
            opened: Mutex::new(Opened { state: OpenState::Pending, waiting: Vec::new() }),
            view: Mutex::default(),
            estimate: Mutex::default(),
            fetches: Mutex::default(),
            counters: Arc::default(),
            events: EventHub::default(),
        }
    }

    /// Whether what is received now is recorded in the store.
    pub(crate) fn is_storing(&self) -> bool {
        self.stored && self.storing.load(Ordering::Acquire)
    }

    /// The disk takes what is received, or refuses.
    pub(crate) fn set_storing(&self, storing: bool) {
        self.storing.store(storing, Ordering::Release);
    }

    /// From now on `reader` is one of its readers.
    pub(crate) fn add_reader(&self, reader: Arc<ReaderState>) {
        self.readers.lock().insert(reader);
    }

    /// It no longer is.
    pub(crate) fn remove_reader(&self, reader: ReaderId) {
        self.readers.lock().remove(reader);
    }

    /// That fetch runs no more.
    pub(crate) fn forget_fetch(&self, fetch: FetchId) {
        let mut fetches = self.fetches.lock();
        fetches.remove(&fetch);
        if fetches.is_empty() {
            // An emptied map keeps the room for eleven entries.
            *fetches = BTreeMap::new();
        }
    }

    /// Where its readers are.
    pub(crate) fn positions(&self) -> Vec<u64> {
        let readers = self.readers.lock();
        readers.iter().map(|reader| reader.position.load(Ordering::Relaxed)).collect()
    }

    /// Where requests go now; `None` for a local file.
    pub(crate) fn target(&self) -> Option<Arc<Target>> {
        self.target.lock().clone()
    }

    /// The scheduler knows no URLs; where it tells of a timeout by itself, the place is filled in here.
    pub(crate) fn located(&self, mut error: Error) -> Error {
        if let Error::Network(network) = &mut error
            && network.url.is_empty()
            && let Some(target) = self.target()
        {
            network.url = redact::url(target.original());
        }
        error
    }

    /// Sends later requests to `target`.
    pub(crate) fn retarget(&self, target: Arc<Target>) {
        *self.target.lock() = Some(target);
    }

    /// What the answers said so far.
    pub(crate) fn info(&self) -> Info {
        self.info.lock().clone()
    }

    /// Voids every byte, the length and what is known of the present generation, and begins the
    /// next one. Only the writer thread does this, between two writes.
    pub(crate) fn begin_next_generation(&self, notice: Error) {
        {
            let mut info = self.info.lock();
            *info = Info { generation: info.generation + 1, ..Info::default() };
        }
        // What `learn` let in just before is voided here.
        self.bytes.restart(None, notice);
    }

    /// Takes over what an answer says, if it belongs to the present generation; `None` if not.
    pub(crate) fn learn<T>(
        &self,
        generation: u64,
        change: impl FnOnce(&mut Info) -> T,
    ) -> Option<T> {
        let mut info = self.info.lock();
        (info.generation == generation).then(|| change(&mut info))
    }

    /// From now on a change of the resource cannot go unnoticed by the application.
    pub(crate) fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Release);
        }
    }

    /// Whether the application knows anything of the present generation.
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Acquire)
    }

    /// Says how far opening has come. Only the first outcome counts.
    pub(crate) fn set_opened(&self, state: OpenState) {
        let waiting = {
            let mut opened = self.opened.lock();
            if matches!(opened.state, OpenState::Pending) {
                opened.state = state;
            }
            std::mem::take(&mut opened.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits until opening has succeeded or failed.
    pub(crate) async fn opened(&self) -> Result<(), Error> {
        std::future::poll_fn(|cx| {
            let mut opened = self.opened.lock();
            match &opened.state {
                OpenState::Open => Poll::Ready(Ok(())),
                OpenState::Failed(error) => Poll::Ready(Err(error.clone())),
                OpenState::Pending => {
                    if !opened.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                        opened.waiting.push(cx.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }
}
