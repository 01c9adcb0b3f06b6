//! Opening a session, and telling whoever watches how that went.

use tracing::Instrument as _;

use super::Session;
use crate::engine::open;
use crate::engine::{Engine, IntoSource};
use crate::error::Error;
use crate::observe::{meters, spans};
use crate::sync::block_on;

impl Engine {
    /// Opens `source` and returns once its first answer came, or at once if its length is known from
    /// the store.
    ///
    /// Sessions of one resource share what is stored and what is being fetched.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a source that cannot be, [`Error::Network`] when the origin
    /// cannot be reached within [`RetryConfig`](crate::RetryConfig) or refuses, [`Error::OfflineMiss`] when
    /// offline and nothing is stored, [`Error::Storage`] when the store cannot be used.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future closes what was opened so far.
    pub async fn open(&self, source: impl IntoSource) -> Result<Session, Error> {
        let source = source.into_source()?;
        let shared = &self.alive.shared;
        let (number, began) = (shared.names.session.next(), shared.clock.now());
        let span = spans::session(number, &|| source.shown());
        let opening = async {
            let opened = open::open(shared, source.clone()).await;
            let open_ms = spans::ms(shared.clock.now().since(began));
            match &opened {
                Ok(hold) => {
                    let (resource, len) = (hold.resource.id.0, hold.resource.bytes.len());
                    span.record("resource_id", resource).record("open_ms", open_ms);
                    span.record("len_bytes", len);
                    tracing::debug!(resource_id = resource, open_ms, "a session is open");
                }
                Err(error) => {
                    span.record("error", tracing::field::display(error));
                    tracing::debug!(%error, open_ms, "a session could not be opened");
                }
            }
            opened
        };
        let hold = opening.instrument(span.clone()).await?;
        meters::observe(&meters::OPEN_SECONDS, shared.clock.now().since(began));
        Ok(Session::new(self.alive.clone(), hold, number, span))
    }

    /// The same, blocking this thread until the session is open.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::WouldDeadlock`] on the only thread of the runtime that
    /// was given to [`EngineBuilder::runtime`](crate::EngineBuilder::runtime).
    pub fn open_blocking(&self, source: impl IntoSource) -> Result<Session, Error> {
        self.alive.shared.guard_blocking()?;
        block_on(self.open(source))
    }
}
