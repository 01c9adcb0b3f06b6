//! What the engine's unit tests stand on: the shared parts of an engine whose driver and writer are the test.

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::assets::{AssetKey, AssetStore};
use crate::byte_range::ByteRange;
use crate::config::Config;
use crate::engine::driver::Driver;
use crate::engine::resource::{Info, Resource};
use crate::engine::shared::{Parts, Shared};
use crate::engine::writer::Job;
use crate::ids::{OriginId, ReaderId};
use crate::sched::{Event, Scheduler, Urgency};
use crate::storage::{Backend, StreamingResource};
use crate::sync::Arc;

/// An engine without threads.
pub(crate) struct Bench {
    pub(crate) shared: Arc<Shared>,
    pub(crate) driver: Driver,
    /// What the writer would get.
    pub(crate) jobs: std::sync::mpsc::Receiver<Job>,
    /// Runs only what a test makes it run.
    #[expect(dead_code, reason = "keeps the handles of the shared parts good")]
    pub(crate) runtime: Runtime,
}

impl Bench {
    pub(crate) fn new(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (commands, inbox) = mpsc::unbounded_channel();
        let (job_sender, jobs) = std::sync::mpsc::channel();
        let store = AssetStore::temporary(&config.store).unwrap();
        let scheduler = Scheduler::new(config.tunables.clone(), config.net.bulk_lanes, 1);
        let (own, io) = (runtime.handle().clone(), runtime.handle().clone());
        let parts =
            Parts { config, net: None, store, key_of: None, own, io, commands, jobs: job_sender };
        let shared = Arc::new(Shared::new(parts));
        let driver = Driver::new(shared.clone(), scheduler, inbox);
        Self { shared, driver, jobs, runtime }
    }

    /// A resource that nobody has registered yet, with what registers it.
    pub(crate) fn resource(&self) -> (Arc<Resource>, Event) {
        let id = self.shared.names.resource();
        let key = AssetKey::explicit(&format!("test/{}", id.0)).unwrap();
        let bytes = StreamingResource::new(Backend::memory());
        let resource = Resource::new(id, Some(key), OriginId(1), bytes, None, Info::default());
        let opened = Event::ResourceOpened {
            resource: id,
            origin: OriginId(1),
            len: None,
            covered: Vec::new(),
            online: true,
        };
        (Arc::new(resource), opened)
    }

    /// A blocked read of the byte at `at`.
    pub(crate) fn demand(&self, reader: ReaderId, at: u64) -> Event {
        let demand = crate::ids::DemandId(self.shared.names.demand.next());
        Event::Demand { reader, demand, range: ByteRange::at(at, 1), urgency: Urgency::Blocked }
    }
}
