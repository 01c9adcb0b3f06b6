#!/usr/bin/env bash
# Runs each fuzz target for so many seconds, or only those named: scripts/fuzz.sh SECONDS [TARGET...]
# What earlier runs found worth keeping is in fuzz/seeds, and is where each begins.
# Needs a nightly toolchain and cargo-fuzz, which it installs if it is missing. Fails on the first finding, whose input is
# then in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:?usage: scripts/fuzz.sh SECONDS [TARGET...]}
shift
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz.sh: '$seconds' is no number of seconds" >&2; exit 2; }
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(content_range log_recovery scheduler reader)

cargo +nightly --version >/dev/null || { echo "fuzz.sh: needs a nightly toolchain: rustup toolchain install nightly" >&2; exit 1; }
cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked

for target in "${targets[@]}"; do
    echo "== $target for $seconds s"
    mkdir -p "fuzz/corpus/$target"
    tar -C "fuzz/corpus/$target" --skip-old-files -xJf "fuzz/seeds/$target.tar.xz"
    # Without a sanitizer: the crate has no unsafe code, and its own checks are what is sought.
    cargo +nightly fuzz run --sanitizer none "$target" -- -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -print_final_stats=1
done
