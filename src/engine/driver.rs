//! The driver: feeds events to the scheduler and performs its actions. The only place that does.
//!
//! It runs on the engine's own thread and never blocks: requests are tasks, bytes are the
//! writer's. It invents nothing; what to fetch and when to give up is the scheduler's.
//!
//! Invariants:
//! 1. a fetch is started for `StartFetch` and for nothing else;
//! 2. every started fetch ends with one `FetchEnded`, which comes after its last `Written`;
//! 3. when the driver goes, for whatever reason, every wait of every resource ends.

mod awaited;
mod meter;
mod perform;

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::byte_range::ByteRange;
use crate::config::OnChange;
use crate::engine::names;
use crate::engine::reader_state::ReaderState;
use crate::engine::resource::{OpenState, Resource};
use crate::engine::shared::{Command, Shared};
use crate::engine::stop::{Pace, Stop};
use crate::engine::writer::Job;
use crate::error::Error;
use crate::events::SessionEvent;
use crate::ids::{DemandId, FetchId, ReaderId, ResourceId, SpareId};
use crate::observe::meters;
use crate::sched::{Action, BodyShape, Event, Failure, FetchOutcome, Remedy, Scheduler, Urgency};
use crate::sync::Arc;

/// Most commands handled before actions and snapshots are looked after.
const BATCH: usize = 64;

struct Running {
    resource: ResourceId,
    /// Generation of the resource that it asks for.
    generation: u64,
    stop: Stop,
    pace: watch::Sender<Pace>,
    range: ByteRange,
    /// Whether the answer is the whole resource, whatever was asked for.
    whole: bool,
    written: u64,
    /// The reader that waited for the next byte of this one, and was given all before it.
    follower: Option<ReaderId>,
    /// Why the writer could not store its bytes, if that is so.
    store_error: Option<Error>,
}

struct Known {
    resource: ResourceId,
    /// `None` for the probe that opens the resource.
    shared: Option<Arc<ReaderState>>,
    /// How often it was heard where the reader is.
    heard: u64,
}

/// See the module.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    scheduler: Scheduler,
    resources: BTreeMap<ResourceId, Arc<Resource>>,
    readers: BTreeMap<ReaderId, Known>,
    /// The same by their resources.
    members: BTreeSet<(ResourceId, ReaderId)>,
    fetches: BTreeMap<FetchId, Running>,
    /// What ends each spare connection, and whose it is.
    spares: BTreeMap<SpareId, (ResourceId, CancellationToken)>,
    actions: Vec<Action>,
    /// Readers that are past a mark set just now, and where they are.
    passed: Vec<(ReaderId, u64)>,
    touched: BTreeSet<ResourceId>,
    /// Failed for good after their last session went, whose `Close` is on its way: what is stored of them is void.
    void: BTreeSet<ResourceId>,
    /// The generation that each resource was last told to leave.
    left: BTreeMap<ResourceId, u64>,
    /// Requests started: as many as segments were popped.
    started: u64,
    meter: meter::Meter,
    commands: UnboundedReceiver<Command>,
}

impl Driver {
    /// A driver for `scheduler` that hears `commands`, with nothing open.
    pub(crate) fn new(
        shared: Arc<Shared>,
        scheduler: Scheduler,
        commands: UnboundedReceiver<Command>,
    ) -> Self {
        Self {
            shared,
            scheduler,
            commands,
            void: BTreeSet::new(),
            left: BTreeMap::new(),
            started: 0,
            meter: meter::Meter::default(),
            resources: BTreeMap::new(),
            readers: BTreeMap::new(),
            members: BTreeSet::new(),
            fetches: BTreeMap::new(),
            spares: BTreeMap::new(),
            actions: Vec::new(),
            passed: Vec::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Runs until the engine is shut down.
    pub(crate) async fn run(mut self) {
        while let Some(command) = self.next_command().await {
            if !self.handle(command) {
                return;
            }
            for _ in 1..BATCH {
                let Ok(command) = self.commands.try_recv() else { break };
                if !self.handle(command) {
                    return;
                }
            }
            self.publish();
        }
    }

    async fn next_command(&mut self) -> Option<Command> {
        let Some((at, _reason)) = self.scheduler.next_timeout() else {
            return self.commands.recv().await;
        };
        // Looked at first: commands that never cease must not keep a timer from being heard.
        if at <= self.shared.clock.now() {
            tokio::task::yield_now().await;
            return Some(Command::Sched(Event::Tick));
        }
        let deadline = self.shared.clock.instant(at).into();
        match tokio::time::timeout_at(deadline, self.commands.recv()).await {
            Ok(command) => command,
            Err(_) => Some(Command::Sched(Event::Tick)),
        }
    }

    /// Handles one command; false to end.
    fn handle(&mut self, command: Command) -> bool {
        match command {
            Command::Sched(event) => self.on_event(event),
            Command::Written { fetch, range, share } => {
                self.on_written(fetch, range);
                drop(share);
            }
            Command::Register { resource, opened } => self.on_register(resource, opened),
            Command::ReaderOpened { resource, reader, position } => {
                self.on_reader_opened(&resource, reader, position);
            }
            Command::Close { resource, done } => self.close(resource, false, done),
            Command::Restarted { resource } => self.on_restarted(resource),
            Command::StoreFailed { fetch, error } => self.on_store_failed(fetch, error),
            Command::WriterGone => self.on_writer_gone(),
            Command::Shutdown => return false,
        }
        true
    }

    fn feed(&mut self, event: Event) {
        self.touch(&event);
        let now = self.shared.clock.now();
        self.scheduler.handle(now, event, &mut self.actions);
        self.touched.extend(self.scheduler.take_changed());
        for action in std::mem::take(&mut self.actions) {
            self.perform(action);
        }
        while let Some((reader, position)) = self.passed.pop() {
            self.feed(Event::Moved { reader, position });
        }
        debug_assert_eq!(self.started, self.scheduler.popped(), "a fetch that was not popped");
    }

    /// Notes whose snapshot the event may change.
    fn touch(&mut self, event: &Event) {
        let reader = |reader| self.readers.get(reader).map(|known| known.resource);
        let fetch = |fetch| self.fetches.get(fetch).map(|running| running.resource);
        let touched = match event {
            Event::ResourceOpened { resource, .. }
            | Event::ResourceClosed { resource }
            | Event::LenKnown { resource, .. }
            | Event::GenerationChanged { resource, .. }
            | Event::Shrunk { resource, .. }
            | Event::Brought { resource, .. }
            | Event::Confined { resource, .. }
            | Event::Bounded { resource, .. }
            | Event::Shed { resource }
            | Event::ReaderOpened { resource, .. }
            | Event::Hinted { resource, .. }
            | Event::RateDeclared { resource, .. }
            | Event::PlayingChanged { resource, .. } => Some(*resource),
            Event::SpareReady { .. } | Event::SpareGone { .. } => None,
            Event::Demand { reader: id, .. }
            | Event::DemandWithdrawn { reader: id, .. }
            | Event::Moved { reader: id, .. } => reader(id),
            Event::FetchStarted { fetch: id, .. } | Event::Written { fetch: id, .. } => fetch(id),
            // The scheduler plans anew for those that they change.
            Event::ReaderClosed { .. }
            | Event::HintWithdrawn { .. }
            | Event::FetchEnded { .. }
            | Event::Tuned { .. }
            | Event::Tick => None,
        };
        self.touched.extend(touched);
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::ReaderClosed { reader } => {
                self.forget_reader(reader);
                self.feed(Event::ReaderClosed { reader });
            }
            Event::Moved { reader, .. } | Event::Demand { reader, .. } => {
                if let Some(known) = self.readers.get_mut(&reader) {
                    known.heard += 1;
                }
                if let Event::Demand { range, .. } = &event {
                    self.hurry(reader, range.start);
                }
                self.feed(event);
            }
            Event::Written { fetch, range } => self.on_written(fetch, range),
            Event::FetchEnded { fetch, outcome } => self.on_fetch_ended(fetch, outcome),
            Event::Shrunk { resource, range } => {
                self.feed(Event::Shrunk { resource, range });
                self.look_again(resource);
            }
            Event::LenKnown { resource, len } => {
                if let Some(known) = self.resources.get(&resource) {
                    // Learnt just before a restart, told after it.
                    if known.bytes.len() != Some(len) {
                        return;
                    }
                    known.events.emit(SessionEvent::LengthKnown { len });
                }
                self.feed(Event::LenKnown { resource, len });
            }
            Event::FetchStarted { fetch, shape, .. } => {
                self.feed(event);
                let Some(running) = self.fetches.get_mut(&fetch) else { return };
                running.whole = shape == BodyShape::Whole;
                if let Some(resource) = self.resources.get(&running.resource).cloned() {
                    // Whoever waits for the opening finds a snapshot that knows of the answer.
                    self.publish();
                    resource.set_opened(OpenState::Open);
                }
            }
            Event::Brought { resource, .. } => {
                self.feed(event);
                if let Some(resource) = self.resources.get(&resource).cloned() {
                    self.publish();
                    resource.set_opened(OpenState::Open);
                }
            }
            Event::SpareGone { spare } => {
                self.spares.remove(&spare);
                self.feed(Event::SpareGone { spare });
            }
            event => self.feed(event),
        }
    }

    fn on_register(&mut self, resource: Arc<Resource>, opened: Event) {
        let id = resource.id;
        self.resources.insert(id, resource.clone());
        self.meter.opened(&resource);
        self.feed(opened);
        if resource.bounded {
            let to = Some(self.shared.config.store.max_bytes);
            self.feed(Event::Bounded { resource: id, to });
        }
        let ready = resource.bytes.len().is_some() || resource.bytes.covered_bytes() > 0;
        if ready {
            self.publish();
            resource.set_opened(OpenState::Open);
            return;
        }
        let reader = self.shared.names.reader();
        self.know_reader(reader, Known { resource: id, shared: None, heard: 0 });
        self.feed(Event::ReaderOpened { resource: id, reader, position: 0 });
        let demand = DemandId(self.shared.names.demand.next());
        let range = ByteRange::at(0, 1);
        self.feed(Event::Demand { reader, demand, range, urgency: Urgency::Blocked });
    }

    fn on_reader_opened(
        &mut self,
        resource: &Arc<Resource>,
        reader: Arc<ReaderState>,
        position: u64,
    ) {
        if !self.resources.contains_key(&resource.id) {
            return;
        }
        let id = reader.id;
        self.meter.reader(resource.id, &reader);
        let known = Known { resource: resource.id, shared: Some(reader), heard: 0 };
        self.know_reader(id, known);
        self.feed(Event::ReaderOpened { resource: resource.id, reader: id, position });
        self.close_probes(resource.id);
    }

    /// The probe has done its work once there is a real reader, whose window then holds its bytes.
    fn close_probes(&mut self, resource: ResourceId) {
        let is_probe = |reader: &ReaderId| {
            self.readers.get(reader).is_some_and(|known| known.shared.is_none())
        };
        let probes: Vec<ReaderId> = self.readers_of(resource).filter(is_probe).collect();
        for reader in probes {
            self.forget_reader(reader);
            self.feed(Event::ReaderClosed { reader });
        }
    }

    /// The readers of a resource, without a look at those of others.
    fn readers_of(&self, resource: ResourceId) -> impl Iterator<Item = ReaderId> + '_ {
        let all = (resource, ReaderId(0))..=(resource, ReaderId(u64::MAX));
        self.members.range(all).map(|(_, reader)| *reader)
    }

    fn know_reader(&mut self, reader: ReaderId, known: Known) {
        self.members.insert((known.resource, reader));
        self.readers.insert(reader, known);
    }

    fn forget_reader(&mut self, reader: ReaderId) {
        if let Some(known) = self.readers.remove(&reader) {
            self.members.remove(&(known.resource, reader));
            self.touched.insert(known.resource);
        }
    }

    fn on_written(&mut self, fetch: FetchId, range: ByteRange) {
        if let Some(running) = self.fetches.get_mut(&fetch) {
            running.written += range.len();
        }
        self.feed(Event::Written { fetch, range });
    }

    fn on_fetch_ended(&mut self, fetch: FetchId, outcome: FetchOutcome) {
        let Some(running) = self.fetches.remove(&fetch) else { return };
        let outcome = match running.store_error {
            Some(error) => FetchOutcome::Failed(Failure { error, remedy: Remedy::GiveUp }),
            None => outcome,
        };
        meters::fetch_ended(names::outcome(&outcome));
        if let Some(resource) = self.resources.get(&running.resource) {
            let error = match &outcome {
                FetchOutcome::Failed(failure) => Some(failure.error.clone()),
                FetchOutcome::Complete | FetchOutcome::Cancelled => None,
            };
            resource.events.emit(SessionEvent::FetchEnded {
                start: running.range.start,
                end: running.range.end,
                bytes: running.written,
                error,
            });
        }
        if let FetchOutcome::Failed(Failure { error: Error::Changed, .. }) = &outcome
            && self.may_restart(running.resource)
        {
            self.restart(running.resource, running.generation);
            self.feed(Event::FetchEnded { fetch, outcome: FetchOutcome::Cancelled });
        } else {
            self.feed(Event::FetchEnded { fetch, outcome });
        }
        // Only once the view says what is wanted now: a snapshot must not show rest where there is none.
        self.publish();
        if let Some(resource) = self.resources.get(&running.resource) {
            resource.forget_fetch(fetch);
        }
    }

    /// A change may go by unnoticed while the application knows nothing of the old generation.
    fn may_restart(&self, resource: ResourceId) -> bool {
        let unused = self.resources.get(&resource).is_some_and(|resource| !resource.is_used());
        unused || self.shared.config.net.on_change == OnChange::Restart
    }

    /// Leaves `generation`, once: several requests may find out about the same change.
    fn restart(&mut self, id: ResourceId, generation: u64) {
        let Some(resource) = self.resources.get(&id) else { return };
        if self.left.get(&id).is_some_and(|left| generation <= *left) {
            return;
        }
        self.left.insert(id, generation);
        for running in self.fetches.values().filter(|running| running.resource == id) {
            running.stop.all();
        }
        let notice = Error::Restarted;
        let _ = self.shared.job(Job::Restart { resource: resource.clone(), notice });
    }

    fn on_restarted(&mut self, id: ResourceId) {
        let Some(resource) = self.resources.get(&id) else { return };
        resource.events.emit(SessionEvent::Restarted);
        self.feed(Event::GenerationChanged { resource: id, len: None });
        self.look_again(id);
    }

    /// Makes every reader of the resource demand anew. Readers see that bytes have gone before the scheduler
    /// does: what they demanded in between was met by bytes that are no longer there.
    fn look_again(&self, id: ResourceId) {
        let readers = self.readers_of(id).filter_map(|reader| self.readers.get(&reader));
        readers.filter_map(|known| known.shared.as_ref()).for_each(|reader| reader.nudge());
    }

    fn on_store_failed(&mut self, fetch: FetchId, error: Error) {
        if let Some(running) = self.fetches.get_mut(&fetch) {
            running.store_error.get_or_insert(error);
            running.stop.all();
        }
    }

    fn on_writer_gone(&mut self) {
        let all: Vec<ResourceId> = self.resources.keys().copied().collect();
        for resource in all {
            self.perform(Action::FailResource { resource, error: Error::Cancelled });
        }
    }

    /// Refreshes what snapshots show.
    fn publish(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        for &id in &touched {
            if let Some(resource) = self.resources.get(&id) {
                let view = self.scheduler.view(id);
                self.meter.seen(resource, view.hedges);
                *resource.view.lock() = view;
                *resource.estimate.lock() = self.scheduler.estimate(resource.origin);
            }
        }
        self.meter.look(&touched, self.fetches.len(), |reader| self.readers.contains_key(reader));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.shared.job(Job::Shutdown);
        // What was sent and not yet heard can only be a resource that somebody waits for.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Register { resource, .. } = command {
                self.resources.insert(resource.id, resource);
            }
        }
        for running in self.fetches.values() {
            running.stop.all();
        }
        for (_, spare) in self.spares.values() {
            spare.cancel();
        }
        for resource in self.resources.values() {
            resource.bytes.fail(Error::Cancelled);
            resource.set_opened(OpenState::Failed(Error::Cancelled));
            resource.events.emit(SessionEvent::Failed { error: Error::Cancelled });
        }
        self.meter.end();
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
