//! [`ServeError`]: why there is no server, or why a medium is not served.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;

/// Why a server could not be set up.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A value of [`ServeConfig`](super::ServeConfig) cannot be.
    #[error("serve config: {field} {why}")]
    Config {
        /// The field.
        field: &'static str,
        /// What would fit.
        why: String,
    },
    /// The address could not be listened at.
    #[error("cannot listen at {addr}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// Other machines reach the address, and nobody said that they may.
    #[error("{addr} is reached by other machines; that needs `public` and a token")]
    Public {
        /// The address.
        addr: SocketAddr,
    },
    /// The folder cannot be looked through, or has too many media files.
    #[error("cannot serve the folder {}", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The source cannot be opened.
    #[error(transparent)]
    Source(#[from] Error),
}
