//! A range-scheduler engine for seek-heavy media players.
//!
//! A player opens a URL and gets [`Read`](std::io::Read)` + `[`Seek`](std::io::Seek) (or tokio's `AsyncRead +
//! AsyncSeek`) at once. Behind it a scheduler fetches what the cursor waits for before anything else, reads ahead
//! within a budget, and keeps every byte in a store on disk. Seek to first byte is one round trip on a warm
//! connection, and none when the bytes are there. A read never gives a wrong byte and never a false end.
//!
//! # Quick start
//!
//! ```no_run
//! use std::io::{Read, Seek, SeekFrom};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = kithara_file::Engine::builder().store_dir("media-store").build()?;
//! let session = engine.open_blocking("https://media.example/film.mp4")?;
//! let mut reader = session.reader();
//!
//! let mut buf = [0; 4096];
//! reader.seek(SeekFrom::End(-4096))?; // free: only a read can cause a request
//! let n = reader.read(&mut buf)?; // blocks until the first byte is there
//! println!("{n} of {:?} bytes, {:?}", session.len(), session.content_type());
//! # Ok(()) }
//! ```
//!
//! In async code: [`Engine::open`] and [`Session::async_reader`]. Where one reader is enough, [`Session::into_reader`]
//! gives one that owns its session. Dropping the session ends it.
//!
//! # The door
//!
//! | what for | types |
//! |---|---|
//! | setting up | [`Engine`], [`EngineBuilder`], [`ClientFactory`], [`Lane`] |
//! | what to open | [`Source`], [`IntoSource`], [`BoundHeader`], [`HeaderScope`], [`UrlProvider`], [`ProviderError`] |
//! | reading | [`Session`], [`Reader`], [`AsyncReader`], [`ReaderHandle`], [`CancellationToken`] |
//! | watching | [`Snapshot`], [`InFlight`], [`Purpose`], [`Events`], [`SessionEvent`] |
//! | errors | [`Error`], [`NetworkError`], [`NetworkErrorKind`], [`Stage`], [`StorageError`] |
//! | knobs | [`Config`], [`Tunables`], [`ReadaheadConfig`], [`FetchConfig`], [`RetryConfig`], [`HedgingConfig`], [`TimeoutConfig`], [`NetConfig`], [`OnChange`], [`StoreConfig`] |
//! | the store, for tools | [`AssetStore`], [`AssetKey`], [`AssetInfo`], [`Evicted`], [`Removed`], [`Verified`], [`Verdict`], [`Exported`], [`ExportError`], [`IfExists`] |
//!
//! # The house
//!
//! A floor uses the floors below it, never one above. `docs/ARCHITECTURE.md` tells how they work together.
//!
//! | floor | modules | job |
//! |---|---|---|
//! | 6 | the program, `serve`, `decode` | the command line (feature `cli`), the local HTTP server (feature `serve`), what decoders want of a reader (features `rodio`, `symphonia`) |
//! | 5 | this page | the door |
//! | 4 | `session`, `reader`, `snapshot` | what is in the user's hands |
//! | 3 | `engine`, `events` | threads, requests, the one writer; knows all floors below |
//! | 2 | `assets` | the tree on disk: names, logs, locks, eviction |
//! | 1 | `sched`, `net`, `storage` | deciding; asking; holding bytes and waking readers |
//! | 0 | `error`, `config`, `ids`, `byte_range`, `connection`, `time`, `validator`, `sync`, `observe` | plain values, the door to locks, and the names of spans and metrics |
//!
//! # Papers
//!
//! In the repository: `docs/SEMANTICS.md` (what may be relied on, with the tests that show it), `docs/TUNING.md` (every knob),
//! `docs/OBSERVE.md` (spans and metrics),
//! `docs/STORE-FORMAT.md`, `docs/decisions/`.
//!
//! # Features
//!
//! None is on by default, and the plain library holds no command line, no server and no decoder.
//!
//! - `cli`: the program `kithara-file`.
//! - `rodio`: a decoder of rodio 0.23 from a [`Reader`], with length and seekability set; see the module `decode`.
//! - `symphonia`: [`Reader`] is a `MediaSource` of symphonia 0.6; see the module `decode`.
//! - `serve`: a local HTTP server for every other player; see the module `serve`.
//! - `metrics`: counters, gauges and histograms by the `metrics` facade; `docs/OBSERVE.md` names them.
//! - `object-store`: origins in object stores, `s3://`, `gs://`, `az://` or built by the application; see [`Source::url`].
//! - `origin`: a scripted HTTP origin behind a shaped link, for tests and the demo. Not part of the versioning promise.
//! - `sim`: the simulated link and clock of the scheduler's tests. Not part of the versioning promise.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod assets;
mod byte_range;
mod config;
mod connection;
#[cfg(any(feature = "rodio", feature = "symphonia"))]
pub mod decode;
mod engine;
mod error;
mod events;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
mod ids;
mod net;
mod observe;
#[cfg(feature = "origin")]
#[doc(hidden)]
pub mod origin;
mod reader;
mod sched;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim_bench {
    //! What `benches/sim.rs`, `benches/decide.rs`, `benches/peers` and `tests/decode_traces.rs` need of the simulator. Not part of the versioning promise.

    pub use crate::sched::sim::decisions::Decisions;
    pub use crate::sched::sim::figures::{Figures, figures, names};
    pub use crate::sched::sim::trace::Phase;

    /// Runs each policy through each workload on each link whose line contains `only`, and returns the table.
    #[must_use]
    pub fn table(only: &str, seeds: u64) -> String {
        crate::sched::sim::table::table(only, seeds)
    }

    /// Replays what a decoder read on link A.
    #[must_use]
    pub fn replay(trace: &str) -> Vec<Phase> {
        crate::sched::sim::trace::replay(trace)
    }
}
#[cfg(feature = "serve")]
pub mod serve;
mod session;
mod snapshot;
mod storage;
mod sync;
mod time;
mod validator;

pub use assets::{
    AssetInfo, AssetKey, AssetStore, Evicted, ExportError, Exported, IfExists, Removed, Verdict,
    Verified,
};
pub use config::{
    Config, FetchConfig, HedgingConfig, NetConfig, OnChange, ReadaheadConfig, RetryConfig,
    StoreConfig, TimeoutConfig, Tunables,
};
pub use engine::{Engine, EngineBuilder, IntoSource, Source};
pub use error::{Error, NetworkError, NetworkErrorKind, Stage, StorageError};
pub use events::{Events, SessionEvent};
pub use ids::Lane;
pub use net::{BoundHeader, ClientFactory, HeaderScope, ProviderError, UrlProvider};
/// The crate whose stores [`Source::object`] takes, in the version that it takes.
#[cfg(feature = "object-store")]
pub use object_store;
pub use reader::{AsyncReader, Reader, ReaderHandle};
pub use session::Session;
pub use snapshot::{InFlight, Purpose, Snapshot};
pub use tokio_util::sync::CancellationToken;

/// The examples of the papers, which run as tests.
#[cfg(doctest)]
mod papers {
    // It has an example of that feature.
    #[cfg(feature = "object-store")]
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../docs/SEMANTICS.md")]
    struct Semantics;

    #[doc = include_str!("../docs/OBSERVE.md")]
    struct Observe;

    #[doc = include_str!("../docs/TUNING.md")]
    struct Tuning;
}
