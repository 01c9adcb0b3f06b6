//! Following the engine that stores a resource: a request is sent only for what that one has not proven by then.
//!
//! Nothing tells what another process does, so it is looked for: before each request, and now and then while one runs,
//! for its answer may be late, or never come, while the holder has the bytes. Where nothing is wanted nobody looks.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::engine::resource::Resource;
use crate::engine::shared::Shared;
use crate::engine::writer::{Job, Then};
use crate::sync::Arc;

/// While a request runs it is looked again after that.
const EVERY: Duration = Duration::from_millis(250);

/// Runs the `transfer` of a request for bytes from `at` on, unless the byte there has come by then without it: then `None`,
/// and nothing is sent. Cancel safe if `transfer` is.
pub(crate) async fn unless_brought<T>(
    shared: &Shared,
    resource: &Arc<Resource>,
    at: u64,
    transfer: impl Future<Output = T>,
) -> Option<T> {
    if resource.along.is_none() {
        return Some(transfer.await);
    }
    look(shared, resource).await;
    if resource.bytes.covers(at) {
        return None;
    }
    let mut transfer = pin!(transfer);
    loop {
        match tokio::time::timeout(EVERY, &mut transfer).await {
            Ok(transferred) => return Some(transferred),
            Err(_) => look(shared, resource).await,
        }
    }
}

/// Has the writer look what is there now.
async fn look(shared: &Shared, resource: &Arc<Resource>) {
    let (done, told) = oneshot::channel();
    let job = Job::Follow { resource: resource.clone(), then: Then::Tell(done) };
    if shared.job(job).is_ok() {
        // An error means that the writer is gone, which others tell.
        let _ = told.await;
    }
}
