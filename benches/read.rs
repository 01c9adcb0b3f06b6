//! What a read costs: over stored bytes, through the engine on loopback, and after a far seek behind a
//! shaped link, there beside a naive single-range request on a kept-alive connection.
//!
//! `cargo bench --features origin --bench read`

use std::hint::black_box;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kithara_file::origin::{Content, Link, Origin};
use kithara_file::{Engine, Reader};

const MIB: u64 = 1 << 20;
/// Far enough apart that no read-ahead of one place reaches the next.
const STRIDE: u64 = 97 * MIB;

fn served(origin: &Origin, len: u64) -> String {
    origin.put("/file", Content::pattern(len));
    origin.url("/file")
}

fn reader_of(url: &str) -> Reader {
    let engine = Engine::new().expect("the defaults are valid");
    engine.open_blocking(url).expect("the origin is there").into_reader()
}

/// A seek and a read of 4 KiB over stored bytes; the floor is one positional read.
fn hit(c: &mut Criterion) {
    let origin = Origin::start();
    let mut reader = reader_of(&served(&origin, 8 * MIB));
    std::io::copy(&mut reader, &mut std::io::sink()).expect("the origin is honest");
    let mut buf = [0; 4096];
    let mut at = 0;
    c.bench_function("hit/seek and 4 KiB", |b| {
        b.iter(|| {
            at = (at + 1_234_567) % (8 * MIB - 4096);
            reader.seek(SeekFrom::Start(at)).expect("a seek does no I/O");
            reader.read_exact(black_box(&mut buf)).expect("the bytes are there");
        });
    });
}

/// A whole resource, from an origin on loopback through the store to the reader.
fn through(c: &mut Criterion) {
    let origin = Origin::builder().write_size(256 << 10).start();
    let url = served(&origin, 32 * MIB);
    let mut group = c.benchmark_group("through");
    group.throughput(Throughput::Bytes(32 * MIB)).sample_size(10);
    group.bench_function("32 MiB on loopback", |b| {
        b.iter_batched(
            || reader_of(&url),
            |mut reader| std::io::copy(&mut reader, &mut std::io::sink()).expect("honest"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Seek to first byte on a link of 40 ms and 50 Mbit/s, warm.
fn far_seek(c: &mut Criterion) {
    let link = Link::new(Duration::from_millis(40), 50_000_000);
    let origin = Origin::builder().link(link).start();
    let len = 1 << 40;
    let url = served(&origin, len);
    let mut group = c.benchmark_group("far seek, 40 ms");
    group.sample_size(20).measurement_time(Duration::from_secs(10));

    let mut reader = reader_of(&url);
    let mut at = 0;
    let mut byte = [0; 1];
    reader.read_exact(&mut byte).expect("honest");
    group.bench_function("engine", |b| {
        b.iter(|| {
            at = (at + STRIDE) % (len - MIB);
            reader.seek(SeekFrom::Start(at)).expect("a seek does no I/O");
            reader.read_exact(black_box(&mut byte)).expect("honest");
        });
    });
    drop(reader);

    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(plain_tls())
        .build()
        .expect("a client for plain http");
    let naive = async |at: u64| {
        let range = format!("bytes={at}-{}", at + 4095);
        let answer = client.get(&url).header("range", range).send().await.expect("honest");
        black_box(answer.bytes().await.expect("honest"));
    };
    runtime.block_on(naive(0));
    group.bench_function("naive, one range on a kept-alive connection", |b| {
        b.iter(|| {
            at = (at + STRIDE) % (len - MIB);
            runtime.block_on(naive(at));
        });
    });
    group.finish();
}

/// Never used; without one a client cannot be built.
fn plain_tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

criterion_group!(benches, hit, through, far_seek);
criterion_main!(benches);
