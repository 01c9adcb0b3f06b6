//! The shipped scheduler and baseline policies on simulated links, as a table.
//!
//! Simulated time, so it takes seconds, and equal seeds give equal tables on any machine:
//!
//! ```text
//! cargo bench --features sim --bench sim                 # everything, one seed
//! cargo bench --features sim --bench sim -- "A busy"     # lines with that in link, workload and policy
//! SEEDS=10 cargo bench --features sim --bench sim
//! ```
//!
//! Workloads are those of `benches/peers`, whose `peers simulate` gives the same runs one by one, as JSON. Times are in
//! milliseconds and bytes in megabytes, headers included.

fn main() {
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(1);
    print!("{}", kithara_file::sim_bench::table(&asked.join(" "), seeds));
}
