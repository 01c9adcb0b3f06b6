//! Behaviour of the scheduler on the simulated link, one situation a file.

mod blocked;
mod bounding;
mod bringing;
mod cells;
mod closing;
mod confining;
pub(super) mod drags;
mod failing;
mod filling;
mod full_speed;
mod hedging;
mod hints;
mod lengths;
mod many;
mod one_body;
mod overtaking;
mod pacing;
mod patience;
mod playing;
mod random;
mod records;
mod recovering;
mod resets;
mod scrubbing;
mod searching;
mod seeking;
mod sharing;
mod shuttling;
mod slots;
mod smoke;
mod spares;
mod told;
mod trying;
mod turns;
mod waiting;
mod whole;
mod withdrawing;

use crate::byte_range::ByteRange;
use crate::ids::FetchId;
use crate::sched::sim::{Request, Sim};
use crate::sched::{Action, Class};
use crate::time::Micros;

/// Bytes.
const KIB: u64 = 1 << 10;
/// Bytes.
const MIB: u64 = 1 << 20;

/// A large resource of known length on a fast link: 100 ms, 100 Mbit/s.
fn fast() -> Sim {
    Sim::new(256 * MIB).rate(12_500_000).stored_before(&[])
}

/// The ranges of all requests.
fn ranges(sim: &Sim) -> Vec<ByteRange> {
    sim.requests.iter().map(|request| request.range).collect()
}

/// The requests of one class.
fn of_class(sim: &Sim, class: Class) -> Vec<Request> {
    sim.requests.iter().copied().filter(|request| request.class == class).collect()
}

/// Which fetches were told to stop, and when.
fn cancelled(sim: &Sim) -> Vec<(Micros, FetchId)> {
    let cancel = |(at, action): &(Micros, Action)| match action {
        Action::CancelFetch { fetch } => Some((*at, *fetch)),
        _ => None,
    };
    sim.actions.iter().filter_map(cancel).collect()
}
