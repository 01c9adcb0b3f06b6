//! A range-scheduler engine for seek-heavy media players.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]
// Floors are built from the ground up; this goes once the door is open.
#![allow(dead_code)]

mod assets;
mod byte_range;
mod config;
mod engine;
mod error;
mod events;
mod ids;
mod net;
#[cfg(feature = "origin")]
#[doc(hidden)]
pub mod origin;
mod reader;
mod sched;
mod session;
mod snapshot;
mod storage;
mod sync;
mod time;
mod validator;

pub use assets::{AssetInfo, AssetKey, AssetStore, Evicted, Removed};
pub use config::{
    Config, FetchConfig, NetConfig, OnChange, ReadaheadConfig, RetryConfig, StoreConfig,
    TimeoutConfig, Tunables,
};
pub use engine::{Engine, EngineBuilder, IntoSource, Source};
pub use error::{Error, NetworkError, NetworkErrorKind, Stage, StorageError};
pub use events::{Events, SessionEvent};
pub use ids::Lane;
pub use net::{BoundHeader, ClientFactory, HeaderScope, ProviderError, UrlProvider};
pub use reader::{AsyncReader, Reader, ReaderHandle};
pub use session::Session;
pub use snapshot::{InFlight, Purpose, Snapshot};
pub use tokio_util::sync::CancellationToken;

/// The examples of the papers, which run as tests.
#[cfg(doctest)]
mod papers {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../docs/SEMANTICS.md")]
    struct Semantics;

    #[doc = include_str!("../docs/TUNING.md")]
    struct Tuning;
}
