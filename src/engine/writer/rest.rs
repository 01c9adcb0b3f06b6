//! Files of open resources that nobody reads or writes are closed.
//!
//! Whoever has a job of a resource, or opens its file to read, has it looked at after a while, and again until it is at
//! rest. Resources that rest are not looked at, so an idle engine does nothing.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{Kept, Writer};
use crate::ids::ResourceId;
use crate::time::Micros;

/// Which resources are looked at, and when.
pub(super) struct Resting {
    after: Micros,
    /// In the order of their times, which all are as far ahead.
    looks: VecDeque<(Micros, ResourceId)>,
    /// The same by name: each is there once.
    noted: BTreeSet<ResourceId>,
}

impl Resting {
    /// Looks come `after` so long.
    pub(super) fn new(after: Duration) -> Self {
        Self { after: after.into(), looks: VecDeque::new(), noted: BTreeSet::new() }
    }

    /// Has `resource` looked at, unless that is to come.
    pub(super) fn note(&mut self, resource: ResourceId, now: Micros) {
        if self.noted.insert(resource) {
            self.looks.push_back((now + self.after, resource));
        }
    }

    /// When the next look is due.
    pub(super) fn due(&self) -> Option<Micros> {
        self.looks.front().map(|(at, _)| *at)
    }

    fn take_due(&mut self, now: Micros) -> Vec<ResourceId> {
        let due = self.looks.iter().take_while(|(at, _)| *at <= now).count();
        let due: Vec<ResourceId> = self.looks.drain(..due).map(|(_, resource)| resource).collect();
        due.iter().for_each(|resource| {
            self.noted.remove(resource);
        });
        due
    }
}

impl Kept {
    /// Whether it rests now, or needs no look in any case; false if it is to be looked at again.
    fn rest(&mut self) -> bool {
        let Some(journal) = &mut self.journal else { return true };
        let is_quiet = self.trouble.is_none() && self.to_shed.is_empty() && self.cuts.is_empty();
        is_quiet && journal.rest()
    }
}

impl Writer {
    /// Looks at those whose time has come.
    pub(super) fn rest(&mut self, now: Micros) {
        for resource in self.resting.take_due(now) {
            let Some(kept) = self.kept.get_mut(&resource) else { continue };
            if !kept.rest() {
                // It may have found that a barrier is due.
                self.awake.insert(resource);
                self.resting.note(resource, now);
            }
        }
    }
}
