//! Bounds that turn a hang into a failure. They are far above what a loaded machine needs, so they
//! decide nothing but that.

use std::future::Future;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The bound.
const BOUND: Duration = Duration::from_secs(60);

/// Something that runs on a thread of its own.
pub(crate) struct Running<T> {
    /// Gets the result.
    result: mpsc::Receiver<thread::Result<T>>,
}

/// Runs `work` on a thread of its own.
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Running<T> {
    let (sender, result) = mpsc::channel();
    thread::spawn(move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // Nobody to tell: the test has failed already.
        let _ = sender.send(outcome);
    });
    Running { result }
}

impl<T> Running<T> {
    /// What came out; the thread's panic goes on here, and a hang becomes one.
    #[track_caller]
    pub(crate) fn join(self) -> T {
        match self.result.recv_timeout(BOUND) {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => panic!("a thread still runs after {BOUND:?}"),
        }
    }

    /// Whether it is through; never blocks. A result found this way is kept for nobody.
    pub(crate) fn try_join(&self) -> Option<T> {
        match self.result.try_recv() {
            Ok(Ok(value)) => Some(value),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => None,
        }
    }
}

/// Runs `work` on a thread of its own and waits for it.
#[track_caller]
pub(crate) fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn(work).join()
}

/// Waits for a future.
pub(crate) async fn until<F: Future>(future: F) -> F::Output {
    match tokio::time::timeout(BOUND, future).await {
        Ok(value) => value,
        Err(_) => panic!("a future still runs after {BOUND:?}"),
    }
}
