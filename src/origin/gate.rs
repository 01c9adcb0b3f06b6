//! A gate that a test opens: the origin's way to wait without a clock.

use std::sync::Arc;

use super::watched::Watched;

/// A place where an answer waits until the test lets it on. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Watched<State>>);

/// Who came and who may pass.
#[derive(Debug, Default)]
struct State {
    /// Everyone passes, from now on.
    open: bool,
    /// How many may still pass while the gate is not open.
    permits: u64,
    /// How many have come to the gate so far.
    arrived: u64,
    /// How many have passed it so far.
    passed: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Watched::new(State::default())))
    }

    /// Lets everyone pass, now and later.
    pub fn open(&self) {
        self.0.update(|state| state.open = true);
    }

    /// Closes an open gate and takes back unused permits.
    pub fn close(&self) {
        self.0.update(|state| {
            state.open = false;
            state.permits = 0;
        });
    }

    /// Lets `count` more pass: who waits now, or who comes next.
    pub fn admit(&self, count: u64) {
        self.0.update(|state| state.permits += count);
    }

    /// How many have come to the gate so far.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.0.read(|state| state.arrived)
    }

    /// Blocks until `count` have come to the gate since it was made.
    ///
    /// # Panics
    ///
    /// If that takes 30 s.
    #[track_caller]
    pub fn wait_arrived(&self, count: u64) {
        self.0.wait("arrivals at a gate", |state| (state.arrived >= count).then_some(()));
    }

    /// `wait_arrived` for async code.
    ///
    /// # Panics
    ///
    /// If that takes 30 s.
    pub async fn until_arrived(&self, count: u64) {
        let look = |state: &mut State| (state.arrived >= count).then_some(());
        self.0.until_bounded("arrivals at a gate", look).await;
    }

    /// Comes to the gate and waits to be let on. Given up by dropping.
    pub(super) async fn pass(&self) {
        self.0.update(|state| state.arrived += 1);
        self.0
            .until(|state| {
                if !state.open {
                    state.permits = state.permits.checked_sub(1)?;
                }
                state.passed += 1;
                Some(())
            })
            .await;
    }
}
