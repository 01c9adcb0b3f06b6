#!/usr/bin/env bash
# Everything that must hold before a change lands: the tests, and what the tests cannot see.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"

step() { printf '\n== %s\n' "$*"; }

step "format"
cargo fmt --all -- --check
for package in benches/peers benches/link examples/gstreamer examples/libmpv; do
    cargo fmt --manifest-path $package/Cargo.toml -- --check
done

step "clippy, all features and targets"
cargo clippy --quiet --all-features --all-targets -- -D warnings
step "clippy, no features"
cargo clippy --quiet --no-default-features -- -D warnings

scripts/test.sh

step "examples and benches build"
cargo build --quiet --all-features --examples --benches

step "the benches' harness, without the peers"
cargo clippy --quiet --manifest-path benches/peers/Cargo.toml --no-default-features --all-targets \
    --target-dir "${CARGO_TARGET_DIR:-target}" -- -D warnings

step "documentation, public and private"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --all-features --no-deps
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --all-features --no-deps --document-private-items

step "the library without features pulls no command line, no server and no decoder"
tree=$(cargo tree --edges normal --prefix none)
if grep -E '^(clap|indicatif|axum|tracing-subscriber|serde_json|criterion|symphonia(-.*)?|rodio|cpal) ' <<<"$tree"; then
    echo "these belong behind a feature or to development" >&2
    exit 1
fi
features=$(cargo tree --edges normal,features --invert hyper)
if grep 'hyper feature "server"' <<<"$features"; then
    echo "hyper's server is part of the plain library" >&2
    exit 1
fi

step "each crate's licence is what docs/licences.tsv says"
scripts/licences.sh

step "package"
cargo package --quiet --allow-dirty --list >/dev/null
cargo package --quiet --allow-dirty

printf '\nALL CHECKS PASSED\n'
