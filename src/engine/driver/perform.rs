//! What the scheduler asked for, done: each action, and the end of a resource.

use super::{Driver, Known, Running};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::byte_range::ByteRange;
use crate::engine::fetch::{self, Order};
use crate::engine::open;
use crate::engine::resource::{OpenState, Resource};
use crate::engine::shared::Entry;
use crate::engine::spare;
use crate::engine::stop::{Pace, Stop};
use crate::engine::writer::Job;
use crate::error::Error;
use crate::events::SessionEvent;
use crate::ids::{DemandId, ReaderId, ResourceId, SpareId};
use crate::sched::{Action, Event};
use crate::sync::Arc;

impl Driver {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::StartFetch { fetch, resource, range, lane, class, attempt } => {
                let Some(known) = self.resources.get(&resource).cloned() else {
                    debug_assert!(false, "the scheduler fetches only for registered resources");
                    return;
                };
                known.fetches.lock().insert(fetch, (range, class));
                let order = Order { fetch, range, lane, class, attempt };
                self.start(known, order);
            }
            Action::Preconnect { resource, spare } => self.preconnect(resource, spare),
            Action::CancelFetch { fetch } => {
                if let Some(running) = self.fetches.get(&fetch) {
                    running.stop.receiving();
                }
            }
            Action::PauseFetch { fetch, paused } => {
                if let Some(running) = self.fetches.get(&fetch) {
                    running.pace.send_modify(|pace| pace.paused = paused);
                }
            }
            Action::FailDemand { reader, demand, error } => self.fail_demand(reader, demand, error),
            Action::FailResource { resource, error } => self.fail_resource(resource, error),
            Action::SetRefill { reader, at } => {
                if let Some(Known { shared: Some(state), heard, .. }) = self.readers.get(&reader) {
                    self.passed.extend(state.set_mark(at, *heard).map(|at| (reader, at)));
                }
            }
            Action::Shed { resource, ranges } => self.shed(resource, ranges),
            Action::EndOfStream { resource } => self.end_of_stream(resource),
        }
    }

    fn start(&mut self, resource: Arc<Resource>, order: Order) {
        let stop = Stop::new();
        let (pace, told) = watch::channel(Pace::default());
        let running = Running {
            resource: resource.id,
            generation: resource.info().generation,
            stop: stop.clone(),
            pace,
            range: order.range,
            whole: false,
            written: 0,
            follower: None,
            store_error: None,
        };
        self.fetches.insert(order.fetch, running);
        self.started += 1;
        resource
            .events
            .emit(SessionEvent::FetchStarted { start: order.range.start, end: order.range.end });
        let task = fetch::run(self.shared.clone(), resource, order, stop, told);
        self.shared.io.spawn(task);
    }

    fn preconnect(&mut self, resource: ResourceId, spare: SpareId) {
        let target = self.resources.get(&resource).and_then(|resource| resource.target());
        let cancel = CancellationToken::new();
        self.spares.insert(spare, (resource, cancel.clone()));
        self.shared.io.spawn(spare::run(self.shared.clone(), target, spare, cancel));
    }

    fn fail_demand(&mut self, reader: ReaderId, demand: DemandId, error: Error) {
        let Some(known) = self.readers.get(&reader) else { return };
        let Some(resource) = self.resources.get(&known.resource) else { return };
        if known.shared.is_none() {
            resource.set_opened(OpenState::Failed(resource.located(error)));
            return;
        }
        resource.bytes.fail_wait(reader, demand, resource.located(error));
    }

    /// The resource is finished. What is stored of a changed one is void; of any other it stays.
    pub(super) fn fail_resource(&mut self, id: ResourceId, error: Error) {
        let Some(resource) = self.resources.get(&id).cloned() else { return };
        resource.bytes.fail(error.clone());
        resource.set_opened(OpenState::Failed(error.clone()));
        let changed = matches!(error, Error::Changed);
        resource.events.emit(SessionEvent::Failed { error });
        let (done, closing) = watch::channel(());
        if self.mark_closing(&resource, closing) {
            self.close(id, changed, done);
        } else if changed {
            self.void.insert(id);
        }
    }

    fn shed(&mut self, resource: ResourceId, ranges: Vec<ByteRange>) {
        let _ = self.shared.job(Job::Shed { resource, ranges });
    }

    fn end_of_stream(&mut self, id: ResourceId) {
        let Some(resource) = self.resources.get(&id) else { return };
        if let Some(len) = resource.bytes.len()
            && resource.bytes.commit().is_ok()
        {
            resource.events.emit(SessionEvent::EndOfStream { len });
            let _ = self.shared.job(Job::Sealed { resource: id, len });
        }
    }

    /// Stops everything about the resource and gives its asset back.
    pub(super) fn close(&mut self, id: ResourceId, discard: bool, done: watch::Sender<()>) {
        let Some(resource) = self.resources.remove(&id) else { return };
        let discard = self.void.remove(&id) || discard;
        for reader in self.readers_of(id).collect::<Vec<ReaderId>>() {
            self.forget_reader(reader);
        }
        self.left.remove(&id);
        self.meter.closed(id);
        for running in self.fetches.values().filter(|running| running.resource == id) {
            running.stop.all();
        }
        for (_, cancel) in self.spares.values().filter(|(resource, _)| *resource == id) {
            cancel.cancel();
        }
        self.feed(Event::ResourceClosed { resource: id });
        resource.set_opened(OpenState::Failed(Error::Cancelled));
        if let Some(key) = resource.key.clone() {
            let shared = self.shared.clone();
            self.shared.own.spawn(async move { open::closed(&shared, &key).await });
        }
        let _ = self.shared.job(Job::Close { resource: id, discard, done });
        self.touched.remove(&id);
    }

    /// From now on an open of the same key waits until the asset's lock is free again. False if the last
    /// session has gone just now: then that wait is arranged, and the `Close` that ends it on its way.
    fn mark_closing(&self, resource: &Resource, closing: watch::Receiver<()>) -> bool {
        let Some(key) = &resource.key else { return true };
        let mut registry = self.shared.registry.lock();
        match registry.get_mut(key) {
            Some(entry @ Entry::Open { .. }) => {
                *entry = Entry::Busy(closing);
                true
            }
            Some(Entry::Busy(_)) | None => false,
        }
    }
}
