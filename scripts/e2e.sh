#!/usr/bin/env bash
# The command line against servers that nobody here wrote (nginx, and Python's http.server, which knows no ranges), and real players through it.
# Bytes are compared with the file; requests are judged by nginx's access log, not by our own counters.
# usage: scripts/e2e.sh [--full]
# The short tier has curl, FFmpeg and mpv play through `serve`; --full adds VLC, GStreamer, the recipes, five origins, a hundred clients at
# once, a real S3 server, and the figures of docs/PLAYERS.md over a link with real packets (as root only).
# What it needs is installed from Debian's packages, as root; else it says what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
full=
case "${1:-}" in
    '') ;;
    --full) full=1 ;;
    *) sed -n '2,8s/^# //p' "$0" >&2; exit 2 ;;
esac
. scripts/e2e/lib.sh
. scripts/e2e/media.sh
. scripts/e2e/players.sh
. scripts/e2e/full.sh
. scripts/e2e/recipes.sh

# ---- origins -------------------------------------------------------------------------------------------------------

make_content() {
    mkdir -p "$dir/www/slow"
    python3 - "$dir/www" "$SIZE" <<'PY'
import os, random, sys
root, size = sys.argv[1], int(sys.argv[2])
with open(os.path.join(root, "big.bin"), "wb") as f:
    f.write(random.Random(2).randbytes(size))
with open(os.path.join(root, "one.bin"), "wb") as f:
    f.write(b"!")
open(os.path.join(root, "empty.bin"), "wb").close()
# Old enough for Last-Modified to be a strong validator.
for name in ("big.bin", "one.bin", "empty.bin"):
    os.utime(os.path.join(root, name), (1_600_000_000, 1_600_000_000))
PY
    ln "$dir/www/big.bin" "$dir/www/slow/big.bin"
    chmod -R a+rX "$dir"
}

start_python() {
    python3 -m http.server "$python_port" --bind 127.0.0.1 --directory "$dir/www" >"$dir/python.err" 2>&1 &
    python_pid=$!
    eventually curl -sf -o /dev/null "$python/one.bin" || fail "http.server does not answer"
}

# ---- the program ---------------------------------------------------------------------------------------------------

# get NAME ARGUMENTS...: runs to the end, output in NAME.out, messages in NAME.err.
get() {
    local name=$1
    shift
    "$program" get -o "$dir/$name.out" "$@" 2>"$dir/$name.err"
}

same() { cmp "$dir/$1.out" "$dir/www/$2" || fail "$1: other bytes than $2"; }

whole_files() {
    for file in big.bin one.bin empty.bin; do
        step "get $file from nginx"
        forget_requests
        get "nginx-$file" --store "$dir/store-whole" "$nginx/$file" || fail "get $file"
        same "nginx-$file" "$file"
        no_head
        step "get $file from http.server, which knows no ranges"
        get "python-$file" --store "$dir/store-python" "$python/$file" || fail "get $file"
        same "python-$file" "$file"
    done
}

offline_again() {
    step "the same again, offline: nothing is sent"
    forget_requests
    get offline --offline --store "$dir/store-whole" "$nginx/big.bin" || fail "get --offline"
    same offline big.bin
    [ "$(requests)" = 0 ] || fail "$(requests) requests while offline"
    if get offline-miss --offline --store "$dir/store-none" "$nginx/big.bin"; then
        fail "bytes that nobody has"
    fi
    [ "$(requests)" = 0 ] || fail "$(requests) requests while offline"
}

stored_half() { [ "$(du -sk "$1" | cut -f1)" -ge $((SIZE / 2048)) ]; }

resumes_holes_only() {
    step "killed halfway, get asks for the holes only"
    forget_requests
    "$program" get -o "$dir/resume.out" --store "$dir/store-resume" "$nginx/slow/big.bin" 2>"$dir/resume.err" &
    client_pid=$!
    eventually stored_half "$dir/store-resume" || fail "half of the file never came"
    kill -9 "$client_pid"
    wait "$client_pid" 2>/dev/null || true
    client_pid=
    # The requests of the killed one are logged when nginx notices.
    eventually grep -q . "$dir/access.log" || fail "nginx saw no request"
    forget_requests
    get resume --store "$dir/store-resume" "$nginx/slow/big.bin" || fail "get after the kill"
    same resume big.bin
    no_head
    # A kill loses a second of records at most.
    bounded_from $((SIZE / 8))
    [ "$(body_bytes)" -le $((SIZE * 3 / 4)) ] || fail "$(body_bytes) bytes sent again of $SIZE"
    grep -q '"bytes=[^"]*" "[^"-]' "$dir/access.log" || fail "no If-Range"
}

origin_dies() {
    step "the origin dies in the middle: a typed error; back again: goes on"
    "$program" get -o "$dir/dies.out" --store "$dir/store-dies" "$nginx/slow/big.bin" 2>"$dir/dies.err" &
    client_pid=$!
    eventually stored_half "$dir/store-dies" || fail "half of the file never came"
    stop_nginx
    eventually gone "$client_pid" || fail "get hangs without its origin"
    if wait "$client_pid"; then fail "get succeeds without its origin"; fi
    client_pid=
    grep -qi 'connect' "$dir/dies.err" || fail "the error does not tell that connecting failed"
    start_nginx
    get dies --store "$dir/store-dies" "$nginx/slow/big.bin" || fail "get after the origin came back"
    same dies big.bin
    bounded_from $((SIZE / 8))
}

# A file system of $2 bytes in memory at $dir/$1. Only root may mount one; elsewhere the step is left out, and says so.
mount_disk() {
    mkdir -p "$dir/$1"
    mount -t tmpfs -o "size=$2,mode=700" tmpfs "$dir/$1" 2>"$dir/mount.log" && return 0
    [ -z "${CI:-}" ] || fail "no file system can be mounted here: $(cat "$dir/mount.log")"
    echo "SKIPPED: no file system can be mounted here"
    return 1
}

# What get said in its run $1.
says() { grep -qi -- "$2" "$dir/$1.err" || fail "$1: get does not say '$2'"; }

full_disk() {
    step "a disk that is really full: right bytes, words, and storing goes on when there is room"
    mount_disk small 3m || return 0
    get full --store "$dir/small/store" "$nginx/big.bin" || fail "get on a full disk"
    same full big.bin
    says full "not storing in"
    says full "no space left"
    # It is as full as it gets, and what is there is right.
    [ "$(df -k --output=avail "$dir/small" | tail -n 1)" -le 64 ] || fail "there was room left"
    get full-again --store "$dir/small/store" "$nginx/big.bin" || fail "get on a disk that was full before"
    same full-again big.bin

    # Room comes while get runs: it stores on.
    "$program" get -o "$dir/room.out" --store "$dir/small/store" "$nginx/slow/big.bin" 2>"$dir/room.err" &
    client_pid=$!
    eventually grep -q "not storing in" "$dir/room.err" || fail "get does not say that the disk is full"
    mount -o remount,size=64m "$dir/small"
    eventually grep -q "storing in .* again" "$dir/room.err" || fail "get does not say that it stores again"
    wait "$client_pid" || fail "get, when there is room again"
    client_pid=
    same room big.bin
    get rest --store "$dir/small/store" "$nginx/slow/big.bin" || fail "get of the rest"
    same rest big.bin
    get settled --offline --store "$dir/small/store" "$nginx/slow/big.bin" || fail "get --offline after all that"
    same settled big.bin
    umount "$dir/small"
}

# Half of the slow file, and some, is stored in $2 and proven; get ends as by Ctrl-C. Its run is called $1.
store_half() {
    "$program" get -o "$dir/$1.out" --store "$2" "$nginx/slow/big.bin" 2>"$dir/$1.err" &
    client_pid=$!
    eventually stored_half "$2" || fail "half of the file never came"
    kill -INT "$client_pid"
    eventually gone "$client_pid" || fail "get does not end by an interrupt"
    wait "$client_pid" 2>/dev/null || true
    client_pid=
    eventually grep -q . "$dir/access.log" || fail "nginx saw no request"
    forget_requests
}

read_only_disk() {
    step "a store that is really read-only: right bytes, what it has from there, and words"
    mount_disk sealed 64m || return 0
    get open --store "$dir/sealed/store" "$nginx/one.bin" || fail "get before the disk is sealed"
    store_half half "$dir/sealed/store"
    mount -o remount,ro "$dir/sealed"
    for place in new store; do
        forget_requests
        get "sealed-$place" --store "$dir/sealed/$place" "$nginx/slow/big.bin" || fail "get on a read-only disk"
        same "sealed-$place" big.bin
        says "sealed-$place" "not storing in"
        says "sealed-$place" "read-only"
    done
    bounded_from $((SIZE / 8))
    forget_requests
    get sealed-offline --offline --store "$dir/sealed/store" "$nginx/one.bin" || fail "get --offline on a read-only disk"
    same sealed-offline one.bin
    [ "$(requests)" = 0 ] || fail "$(requests) requests while offline"
    mount -o remount,rw "$dir/sealed"
    [ ! -e "$dir/sealed/new" ] || fail "something was written to a read-only disk"
    get unsealed --store "$dir/sealed/store" "$nginx/slow/big.bin" || fail "get after the disk was sealed"
    get unsealed --offline --store "$dir/sealed/store" "$nginx/slow/big.bin" || fail "nothing was stored after that"
    same unsealed big.bin
    umount "$dir/sealed"
}

has_grown() { [ "$(du -sk "$1" | cut -f1)" -ge $(($2 + 1024)) ]; }

two_processes() {
    step "two processes want the same at the same time: one stores it, the other reads along what that one has proven"
    store_half begun "$dir/store-two"
    local before
    before=$(du -sk "$dir/store-two" | cut -f1)
    "$program" get -o "$dir/first.out" --store "$dir/store-two" "$nginx/slow/big.bin" 2>"$dir/first.err" &
    client_pid=$!
    eventually has_grown "$dir/store-two" "$before" || fail "the first get does not begin"
    # A query makes it no other file, but is seen in the log.
    get second --store "$dir/store-two" "$nginx/slow/big.bin?second" || fail "the second get"
    same second big.bin
    says second "another process"
    wait "$client_pid" || fail "the first get"
    client_pid=
    same first big.bin
    eventually grep -q second "$dir/access.log" || fail "nginx did not see the second get"
    grep second "$dir/access.log" >"$dir/second.log"
    # In place: nginx has it open.
    cat "$dir/second.log" >"$dir/access.log"
    bounded_from $((SIZE / 8))
    get third --offline --store "$dir/store-two" "$nginx/slow/big.bin" || fail "get --offline after both"
    same third big.bin
}

store_removed() {
    step "the store is removed under a running get: right bytes"
    "$program" get -o "$dir/removed.out" --store "$dir/store-gone" "$nginx/slow/big.bin" 2>"$dir/removed.err" &
    client_pid=$!
    eventually stored_half "$dir/store-gone" || fail "half of the file never came"
    rm -rf "$dir/store-gone"
    wait "$client_pid" || fail "get without its store"
    client_pid=
    same removed big.bin
    get anew --store "$dir/store-gone" "$nginx/big.bin" || fail "get into a store made anew"
    get anew --offline --store "$dir/store-gone" "$nginx/big.bin" || fail "nothing was stored after that"
    same anew big.bin
}

bad_input() {
    step "bad input ends in words, not in a hang or a panic"
    for url in "$nginx/none.bin" "http://127.0.0.1:$(free_port)/big.bin" "not a url" "ftp://127.0.0.1/x"; do
        if get bad --store "$dir/store-bad" "$url"; then fail "get '$url' succeeds"; fi
        [ -s "$dir/bad.err" ] || fail "get '$url' fails without a word"
        ! grep -q 'panicked' "$dir/bad.err" || fail "get '$url' panics"
    done
}

# The server answers as nginx does, or docs/SERVE.md says why not; and curl gets the file through it.
serves() {
    step "serve and nginx, case by case"
    NGINX_ADDR=127.0.0.1:$nginx_port NGINX_ROOT=$dir/www \
        cargo test --quiet --features cli --test serve conformance >"$dir/cases.log" 2>"$dir/cases.err" || fail "nginx and we differ"

    step "curl through serve: the whole file, parts of it, and each byte once"
    forget_requests
    serve "$nginx/big.bin" --store "$dir/store-serve"
    local address=${addresses[0]}
    curl -sf -o "$dir/served.out" "$address" || fail "curl through serve"
    same served big.bin
    [ "$(body_bytes)" = "$SIZE" ] || fail "$(body_bytes) bytes were fetched, not $SIZE"
    curl -sf -r 1000000-1999999 "$address" | cmp - <(head -c 2000000 "$dir/www/big.bin" | tail -c 1000000) || fail "a part"
    curl -sf -r 0-9,100-109 "$address" | grep -aq 'Content-Range: bytes 100-109/' || fail "parts"
    [ "$(body_bytes)" = "$SIZE" ] || fail "something was fetched again"
    stop_serve
}

scrubs() {
    step "scrub against nginx"
    forget_requests
    "$program" scrub "$nginx/big.bin" --seeks 40 --json >"$dir/scrub.json" 2>"$dir/scrub.err" || fail "scrub"
    python3 -m json.tool "$dir/scrub.json" >/dev/null || fail "scrub --json is no JSON"
    [ "$(requests)" -gt 0 ] || fail "scrub sent nothing"
    no_head
}

# What the terminal of the size $1 x $2 shows, once `watch` was ended in it after it was made as large as $3 x $4.
watched_terminal() {
    # A server of its own: one that is just ending would take the next session down with it.
    socket=$dir/tmux.$3x$4
    local tmux=(tmux -S "$socket" -f /dev/null)
    "${tmux[@]}" new-session -d -x "$1" -y "$2" "PS1='> ' bash --norc --noprofile"
    "${tmux[@]}" send-keys "clear; seq 3; $program watch $nginx/media/chirp.mp3; echo over" Enter
    eventually shows 'q quit' || fail "watch draws nothing"
    "${tmux[@]}" resize-window -x "$3" -y "$4"
    eventually shows "^.\{$(($3 - 1))\}" || true
    "${tmux[@]}" send-keys q
    eventually shows '^over' || fail "watch does not end"
    "${tmux[@]}" capture-pane -p -S -100
    "${tmux[@]}" kill-server
}
shows() { tmux -S "$socket" capture-pane -p | grep -q -- "$1"; }

watches() {
    require_tools tmux || return 0
    step "watch in tmux: the terminal is given back as it was, also when it was made wider"
    for size in "100 30" "120 30" "60 12"; do
        # shellcheck disable=SC2086 # two words on purpose
        watched_terminal 100 30 $size >"$dir/terminal.txt"
        ! grep -q '^[^>]*[█▄]' "$dir/terminal.txt" || fail "rows of the map are left: $(cat "$dir/terminal.txt")"
    done
}

examples() {
    local target="${CARGO_TARGET_DIR:-target}/debug/examples"
    for example in play_blocking play_async two_cursors offline; do
        [ -e "examples/$example.rs" ] || continue
        step "example $example against nginx"
        "$target/$example" "$nginx/media/chirp.mp3" >"$dir/$example.log" 2>"$dir/$example.err" || fail "example $example"
    done
}

# --------------------------------------------------------------------------------------------------------------------

started=$SECONDS
require_tools nginx curl python3 || exit 0
nginx_port=$(free_port)
python_port=$(free_port)
nginx=http://127.0.0.1:$nginx_port
python=http://127.0.0.1:$python_port

step "origins"
make_content
write_nginx_config
start_nginx
start_python
curl -sf -r 5-9 "$nginx/big.bin" | cmp - <(head -c 10 "$dir/www/big.bin" | tail -c 5) || fail "nginx serves no ranges"
echo "nginx and http.server answer"

if [ -e src/bin/kithara-file/main.rs ]; then
    build
    whole_files
    offline_again
    resumes_holes_only
    origin_dies
    full_disk
    read_only_disk
    two_processes
    store_removed
    bad_input
    scrubs
    watches
    serves
    examples
    players
    if [ -n "$full" ] && [ -e "$dir/www/clips" ]; then
        more_players
        recipes
        origins
        crowd
        scripts/e2e/seeks.sh
    fi
else
    echo "the command line is not built yet: only the origins were checked"
fi

[ -z "$full" ] || scripts/e2e/s3.sh
scripts/e2e/browser.sh "$@"

printf '\nE2E PASSED in %d s\n' "$((SECONDS - started))"
