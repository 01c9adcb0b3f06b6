//! What operators see of an engine: spans, and with feature `metrics` counters, gauges and histograms.
//!
//! Every span and metric is made here, so that its name and fields stand in one place; events are beside what
//! they tell of. `docs/OBSERVE.md` has them all, and tests compare it with the code.
//!
//! A read of bytes that are there makes no span and moves no metric: its counters are looked at by the driver.

pub(crate) mod meters;
pub(crate) mod spans;
mod waiting;

pub(crate) use waiting::{Outcome, Waiting};
