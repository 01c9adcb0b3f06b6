#!/usr/bin/env bash
# Whether docs/licences.tsv says of each crate what the crate says of itself; --write makes the table anew, to be looked at in the diff.
# Needs the crates' sources, as any build does, and no network beyond that. That the table is complete is also a test (tests/tidy).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
table=docs/licences.tsv
made=$(mktemp)
trap 'rm -f "$made"' EXIT
cargo metadata --locked --all-features --format-version 1 | python3 -c '
import json, re, sys
rows = set()
for package in json.load(sys.stdin)["packages"]:
    if package["name"] != "kithara-file":
        rows.add((package["name"], re.sub(r" */ *", " OR ", package["license"] or "none")))
for name, licence in sorted(rows):
    print(name, licence, sep="\t")
' >"$made"
if [ "${1:-}" = --write ]; then
    cp "$made" "$table"
else
    diff -u "$table" "$made" || { echo "look at these licences; then scripts/licences.sh --write, and docs/LICENSES.md" >&2; exit 1; }
fi
