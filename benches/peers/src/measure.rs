//! What a process costs: processor time and memory, as the kernel of Linux tells them. 0 elsewhere.

use std::fs;

/// Ticks of `/proc/self/stat` per second; fixed in the kernel's interface.
const TICKS: f64 = 100.0;

/// Seconds of processor time this process has used, all threads, user and system, to the nanosecond; and programs that it
/// ran, to the tick.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before may hold spaces and brackets; the last bracket ends it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let programs =
        fields.skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>();
    own_cpu_seconds() + programs / TICKS
}

#[cfg(target_os = "linux")]
fn own_cpu_seconds() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

#[cfg(not(target_os = "linux"))]
fn own_cpu_seconds() -> f64 {
    0.0
}

/// Seconds of processor time this thread has used.
pub(crate) fn thread_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok());
    nanos.unwrap_or_default() / 1e9
}

/// The most memory this process has held, in KiB.
pub(crate) fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
