#!/usr/bin/env bash
# Runs the micro benches and the simulated cells of this tree and of another revision in turns, and tells where this one is slower.
# Called by `scripts/bench.sh --against REV`.
#
#   scripts/against.sh REV [--rounds N] [--threshold PERCENT] [--benches decide,read,sim] [--only FILTER] [--keep DIR]
#
# Ends with 1 if the median of any figure is worse by more than the threshold (10 %) in more rounds than not. The cells of the
# simulator are exact and may not change at all unless that is meant: a difference is told, and counts by the same threshold.
# REV is built in a worktree of its own, which goes afterwards; a bench that only one of both has is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rev=${1:?which revision?}
shift
rounds=5 threshold=10 benches=decide,read,sim only= dir=
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2 ;;
        --threshold) threshold=$2 ;;
        --benches) benches=$2 ;;
        --only) only=$2 ;;
        --keep) dir=$2 ;;
        *) echo "what is $1?" >&2; exit 2 ;;
    esac
    shift 2
done

commit=$(git rev-parse --verify --quiet "$rev^{commit}") || { echo "there is no $rev" >&2; exit 2; }
if [ -n "$dir" ]; then
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
else
    dir=$(mktemp -d)
fi
finish() {
    git worktree remove --force "$dir/tree" 2>/dev/null || true
    [ -n "${kept:-}" ] || rm -rf "$dir/now" "$dir/then" "$dir/runs"
}
trap finish EXIT
git worktree remove --force "$dir/tree" 2>/dev/null || true
git worktree add --quiet --detach "$dir/tree" "$commit"

# One folder of results for each: criterion compares with what it finds there, which is no use here.
build() { # TREE NAME
    local bench found
    mkdir -p "$dir/$2"
    for bench in ${benches//,/ }; do
        found=$(cd "$1" && cargo bench --quiet --no-run --features origin,sim --bench "$bench" --message-format json 2>"$dir/$2/$bench.log" |
            sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1) || true
        if [ -n "$found" ]; then cp "$found" "$dir/$2/$bench"; else echo "$2 has no bench $bench" >&2; fi
    done
}
echo "building $(git describe --always --dirty) and $(git rev-parse --short "$commit")"
build "$PWD" now
# A folder of its own, kept for the next time: in a common one cargo takes the files of one tree for those of the other.
target=${CARGO_TARGET_DIR:-$PWD/target}
CARGO_TARGET_DIR=$target/against build "$dir/tree" then

run() { # NAME BENCH
    case $2 in
        # Name, and everything that is a number, of each line.
        sim) "$dir/$1/sim" --bench "$only" | awk -F'|' 'NF > 3 { print }' ;;
        *) (mkdir -p "$dir/runs" && cd "$dir/runs" && "$dir/$1/$2" --bench --noplot --sample-size 10 --warm-up-time 1 --measurement-time 2 $only) 2>/dev/null ;;
    esac
}
mkdir -p "$dir/runs"
for round in $(seq "$rounds"); do
    for bench in ${benches//,/ }; do
        [ -x "$dir/now/$bench" ] && [ -x "$dir/then/$bench" ] || continue
        # Equal seeds give equal cells: once is enough.
        [ "$bench" != sim ] || [ "$round" = 1 ] || continue
        # The order changes: whatever drifts meets both.
        order="now then"
        [ $((round % 2)) = 1 ] || order="then now"
        for which in $order; do
            run "$which" "$bench" >"$dir/runs/$which.$bench.$round" || true
        done
    done
done
python3 scripts/against.py "$dir/runs" "$threshold"
