//! A range-scheduler engine for seek-heavy media players.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]
// Floors are built from the ground up; this goes once the door is open.
#![allow(dead_code)]

mod assets;
mod byte_range;
mod config;
mod error;
mod ids;
mod net;
#[cfg(feature = "origin")]
#[doc(hidden)]
pub mod origin;
mod sched;
mod storage;
mod sync;
mod time;
mod validator;

pub use config::{
    Config, FetchConfig, NetConfig, OnChange, ReadaheadConfig, RetryConfig, StoreConfig,
    TimeoutConfig, Tunables,
};
pub use error::{Error, NetworkError, NetworkErrorKind, Stage, StorageError};
pub use ids::Lane;
pub use net::{BoundHeader, ClientFactory, HeaderScope, ProviderError, UrlProvider};
