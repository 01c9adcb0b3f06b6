//! What a decision of the scheduler costs, by how much there is to decide about: the mean time of an event, over seeks into holes
//! with all that follows from them, and what a snapshot shows afterwards.
//!
//! `cargo bench --features sim --bench decide`

use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use kithara_file::sim_bench::Decisions;

fn decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("an event");
    group.sample_size(30);
    for (what, cases) in [
        ("segments", [1_000, 10_000, 100_000, 1_000_000].map(|n| (n, 1, 1)).to_vec()),
        ("cursors", [10, 100, 1_000].map(|n| (10_000, n, 1)).to_vec()),
        ("resources", [10, 1_000, 10_000].map(|n| (1_000, 1, n)).to_vec()),
    ] {
        for (segments, cursors, resources) in cases {
            let mut decisions = Decisions::new(segments, cursors, resources);
            let number = match what {
                "segments" => segments,
                "cursors" => cursors,
                _ => resources,
            };
            group.bench_function(BenchmarkId::new(what, number), |b| {
                b.iter_custom(|events| {
                    let (started, mut told) = (Instant::now(), 0);
                    while told < events {
                        told += decisions.step();
                    }
                    started.elapsed().mul_f64(events as f64 / told as f64)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
