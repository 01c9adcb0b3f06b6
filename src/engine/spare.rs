//! Connections made before they are needed: a spare one, from `Preconnect` to `SpareGone`, and that of the first request.

use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine::shared::Shared;
use crate::ids::SpareId;
use crate::net::{Net, Target};
use crate::sched::Event;
use crate::sync::Arc;

/// How long one waits for a request: less than the 20 s after which common servers close a connection on which
/// nothing was asked.
const KEPT: Duration = Duration::from_secs(15);

/// Opens it, and closes it after a while if no request has taken it.
pub(crate) fn run(
    shared: Arc<Shared>,
    target: Option<Arc<Target>>,
    spare: SpareId,
    cancel: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    // Made before the first poll, which never comes if the runtime is gone already.
    let ending = Ending { shared, spare };
    async move {
        let shared = ending.shared.clone();
        let (Some(net), Some(target)) = (&shared.net, target) else { return };
        let Some(Some(_kept)) = cancel.run_until_cancelled(net.preconnect(target)).await else {
            return;
        };
        shared.sched(Event::SpareReady { spare });
        let _ = tokio::time::timeout(KEPT, cancel.cancelled()).await;
    }
}

/// Opens the connection of the very first request while the disk is still at work for it. Its request takes it;
/// dropping the guard closes it otherwise.
pub(crate) fn greet(shared: &Shared, target: Option<Arc<Target>>) -> Option<DropGuard> {
    let (net, target) = (shared.net.clone()?, target?);
    if !shared.preconnects() {
        return None;
    }
    let cancel = CancellationToken::new();
    let guard = cancel.clone().drop_guard();
    shared.io.spawn(async move {
        let kept = cancel.run_until_cancelled(net.preconnect(target)).await;
        cancel.cancelled().await;
        drop(kept);
    });
    Some(guard)
}

/// Tells the scheduler of the end when it is dropped.
struct Ending {
    shared: Arc<Shared>,
    spare: SpareId,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.shared.sched(Event::SpareGone { spare: self.spare });
    }
}
