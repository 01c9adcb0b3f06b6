//! The engine against a scripted origin: what `docs/SEMANTICS.md` promises, over real sockets on loopback.
//!
//! No test waits by sleeping: the origin's gates and log say when something has happened.

#![allow(clippy::unwrap_used, missing_docs)]

mod stage;
mod support;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod along;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod bounded;
mod changes;
mod compare;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod endless;
mod ends;
mod eviction;
mod faults;
mod handles;
mod hedging;
mod hits;
mod inputs;
mod kill;
mod kills;
mod lies;
mod local;
mod model;
mod names;
mod objects;
mod reading;
mod redirects;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod resting;
mod resume;
mod runtimes;
mod spares;
mod stopping;
mod telling;
