#!/usr/bin/env bash
# Runs all tests: unit, integration and the examples in the documentation. Needs Rust alone, no network.
# Arguments go to `cargo test`: scripts/test.sh --lib sched::
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export RUST_BACKTRACE="${RUST_BACKTRACE:-1}"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
started=$SECONDS
status=0
cargo test --all-features --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?

awk -v seconds="$((SECONDS - started))" -v status="$status" '
    /^test result:/ { suites++; passed += $4; failed += $6; ignored += $8 }
    END {
        printf "\n%s: %d passed, %d failed, %d ignored in %d suites, %d s\n",
            status == 0 ? "TESTS PASSED" : "TESTS FAILED", passed, failed, ignored, suites, seconds
        if (status == 0 && passed == 0) { print "no test ran at all"; exit 1 }
    }' "$log"
exit "$status"
