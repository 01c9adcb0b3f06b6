#!/usr/bin/env bash
# What the library costs whoever builds it in: the size of a hello-player, the time of a clean build, and the number of crates.
#
#   scripts/cost.sh             prints one line for each; builds in a folder of its own, which goes afterwards
#   scripts/cost.sh --crates    counts crates alone: seconds, nothing is built
#
# The hello-player opens a URL, seeks and reads; beside it stands an empty program, so that the difference is ours. Both are built
# as a small player would: optimised for size, one unit, aborting panics, stripped. `JOBS` is the number of cores to build on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

crates() { # FEATURES
    cargo tree --quiet --edges normal --prefix none --no-dedupe "$@" | sed 's/ (\*)$//' | sort -u | wc -l
}

printf 'crates in the tree of the library, itself too: %d plain, %d with serve, %d with the command line\n' \
    "$(crates)" "$(crates --features serve)" "$(crates --features cli)"
[ "${1:-}" != --crates ] || exit 0

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/src/bin"
cat >"$dir/Cargo.toml" <<TOML
[package]
name = "hello-player"
version = "0.0.0"
edition = "2024"
[dependencies]
kithara-file = { path = "$PWD" }
[profile.release]
opt-level = "s"
lto = true
codegen-units = 1
panic = "abort"
strip = true
[workspace]
TOML
cp Cargo.lock "$dir/Cargo.lock"
cat >"$dir/src/bin/hello.rs" <<'RUST'
use std::io::{Read, Seek, SeekFrom};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("which URL?")?;
    let session = kithara_file::Engine::new()?.open_blocking(url)?;
    let mut reader = session.reader();
    let mut buf = [0; 4096];
    reader.seek(SeekFrom::End(-4096))?;
    println!("{} of {:?} bytes", reader.read(&mut buf)?, session.len());
    Ok(())
}
RUST
echo 'fn main() { println!("{:?}", std::env::args().nth(1)); }' >"$dir/src/bin/empty.rs"

cd "$dir"
cargo fetch --quiet
started=$(date +%s.%N)
cargo build --quiet --release --bin hello ${JOBS:+--jobs "$JOBS"}
took=$(awk -v a="$started" -v b="$(date +%s.%N)" 'BEGIN { printf "%.0f", b - a }')
cargo build --quiet --release --bin empty
size() { stat -c %s "target/release/$1"; }
printf 'clean build of a hello-player: %d s on %s cores\n' "$took" "${JOBS:-$(nproc)}"
printf 'size of a hello-player: %d KiB, of an empty program %d KiB\n' $(($(size hello) >> 10)) $(($(size empty) >> 10))
