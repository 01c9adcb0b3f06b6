//! What happens when time passes.

use crate::ids::{OriginId, ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::event::Action;
use crate::sched::timer::Timer;

impl Scheduler {
    /// Some timers may be due.
    pub(super) fn on_tick(&mut self, out: &mut Vec<Action>) {
        while let Some(timer) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Backoff(resource) => self.on_backoff(resource),
                Timer::OriginPause(origin) => self.on_origin_pause(origin),
                // What waits for it is looked at after each event.
                Timer::Requests(_) => {}
                Timer::DemandBudget(reader) => self.on_budget(reader, out),
                Timer::SeekGrace(resource) => self.judge(resource, out),
                Timer::WaitReview(reader) | Timer::Hedge(reader) => self.on_review(reader),
                Timer::ScrubEnd(reader) => self.on_scrub_end(reader),
                Timer::PausedBody(fetch) => self.cancel(fetch, out),
                Timer::HintExpiry(hint) => self.on_hint_withdrawn(hint),
            }
        }
    }

    fn on_backoff(&mut self, id: ResourceId) {
        if let Some(resource) = self.resources.get_mut(&id) {
            for range in resource.retries.due(self.now) {
                resource.map.resume(range);
            }
            self.timers.put(Timer::Backoff(id), resource.retries.next());
            self.dirty.insert(id);
        }
    }

    fn on_origin_pause(&mut self, id: OriginId) {
        if let Some(origin) = self.origins.get_mut(&id) {
            origin.paused_until = None;
        }
    }

    fn on_review(&mut self, reader: ReaderId) {
        self.dirty.extend(self.readers.get(&reader).copied());
    }
}
