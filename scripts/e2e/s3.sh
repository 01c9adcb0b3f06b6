#!/usr/bin/env bash
# Objects of a real S3 server (moto, from Python's registry, in a venv of its own): read through, seeks, an object that is
# replaced between two requests, an empty and a missing one. Bytes are checked, and the requests counted by the server's own log.
# usage: scripts/e2e/s3.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/e2e/lib.sh

MOTO=5.2.5

s3_server() {
    python3 -m venv "$dir/venv" 2>"$dir/venv.err" || return 1
    "$dir/venv/bin/pip" install -q --disable-pip-version-check "moto[server]==$MOTO" 2>"$dir/pip.err" || return 1
    port=$(free_port)
    "$dir/venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$dir/s3.log" 2>&1 &
    origin_pids+=($!)
    endpoint=http://127.0.0.1:$port
    eventually curl -s -o /dev/null "$endpoint/" || fail "moto does not answer"
    curl -sf -o /dev/null -X PUT "$endpoint/films" || fail "no bucket"
}

# The server's log, without its colours.
s3_log() { sed 's/\x1b\[[0-9;]*m//g' "$dir/s3.log"; }

# ranged_gets KEY: how many requests for it were answered with a part.
ranged_gets() { s3_log | grep -c "GET /films/$1 HTTP/1.1\" 206" || true; }

require_tools curl python3 || exit 0
step "S3: moto $MOTO"
if ! s3_server; then
    [ -z "${CI:-}" ] || fail "moto cannot be installed"
    echo "SKIPPED: moto cannot be installed"
    exit 0
fi
step "S3: read through, seeks, a replaced object, an empty and a missing one"
AWS_ENDPOINT=$endpoint AWS_ALLOW_HTTP=true AWS_ACCESS_KEY_ID=anybody AWS_SECRET_ACCESS_KEY=anything AWS_REGION=us-east-1 S3_BUCKET=films \
    cargo test --quiet --features object-store,origin --test object_store server:: >"$dir/s3-tests.err" 2>&1 || fail "the tests against S3"
grep -q ' 4 passed' "$dir/s3-tests.err" || fail "not all tests against S3 ran"
[ "$(ranged_gets jumps.mp4)" -le 4 ] && [ "$(ranged_gets jumps.mp4)" -gt 0 ] || fail "$(ranged_gets jumps.mp4) requests for four jumps"
[ "$(s3_log | grep -c 'GET /films/replaced.mp4 HTTP/1.1" 412')" -gt 0 ] || fail "no range stood under If-Match"
[ "$(s3_log | grep -cE 'GET /films/[a-z/]*\.mp4 HTTP/1.1" 200')" = 0 ] || fail "an object was asked for whole"
