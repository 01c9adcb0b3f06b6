//! Storage: the bytes of one resource, which of them are there, and who waits for them.
//!
//! [`StreamingResource`] is the one owner of coverage and of its waiters; readers wait nowhere
//! else. [`AtomicResource`] is a small whole object that is replaced at once.
//!
//! The files, from the inside out: `coverage` (a set of bytes), `writes` (what is on its way),
//! `places` (who waits), `state` (all of that under one lock, and every judgement), `gate` (the
//! lock and the epoch), `waiter` and `park` (how to wait), `run` (what a hit may read), `backend`
//! with `file`, `memory` and `platform` (where the bytes are), `held` (where they are while the disk refuses), `streaming` (the whole), `atomic`; `disk` is
//! the seam to the file system that the store changes files through.
//!
//! Not here: what to fetch (`sched`), names and folders, records that survive (`assets`).

pub(crate) mod atomic;
pub(crate) mod backend;
mod coverage;
pub(crate) mod disk;
pub(crate) mod file;
mod gate;
mod held;
mod memory;
mod park;
mod places;
pub(crate) mod platform;
mod run;
mod state;
mod streaming;
mod waiter;
mod writes;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    atomic::AtomicResource,
    backend::Backend,
    gate::Landed,
    run::Run,
    state::{Look, Waited},
    streaming::{Cut, StreamingResource, WriteError},
    waiter::{Nudger, Waiter},
};
