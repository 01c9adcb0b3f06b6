//! Behaviour of the scheduler on the simulated link, one situation a file.

mod random;
mod smoke;

/// Bytes.
const KIB: u64 = 1 << 10;
/// Bytes.
const MIB: u64 = 1 << 20;
