#!/usr/bin/env bash
# How long mpv takes from a seek until it plays on: with the file itself, with the origin over a link with real packets, through `serve` over
# the same link, and through `serve` again once all is stored. The figures of docs/PLAYERS.md.
# usage: scripts/e2e/seeks.sh [OUT.jsonl]       CONTAINERS="mp3 mkv" chooses; MEDIA=DIR keeps the media for the next
# time, PROGRAM=FILE measures that build
# Needs root, Linux with TUN, iproute2, nginx, mpv, ffmpeg. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=$(realpath -m "${1:-target/seeks.jsonl}")
chosen=${CONTAINERS:-}
. scripts/e2e/lib.sh
. scripts/e2e/media.sh
[ -z "$chosen" ] || CONTAINERS=$chosen

export CLI_NS=kf-mpv-cli SRV_NS=kf-mpv-srv
LINK="40 50 20 256" # profile A: round trip in ms, Mbit/s down and up, KiB of queue; cubic
SEEKS=${SEEKS:-14}
origin=http://10.77.0.1:8080
also_clean_up() { [ ! -e "$dir/link" ] || benches/link/down.sh "$dir/link"; }

in_client() { ip netns exec "$CLI_NS" "$@"; }

media() {
    media=${MEDIA:-$dir/media}
    [ -e "$media/clip.webm" ] || make_clips "$media" 240 4M 2400 320k
    mkdir -p "$dir/link/www"
    chmod a+rx "$dir"
    local container
    for container in $CONTAINERS; do
        ln "$media/clip.$container" "$dir/link/www/" 2>/dev/null || cp "$media/clip.$container" "$dir/link/www/"
        # From the disk's cache in each arm, and old enough for its date to be a strong validator.
        touch -d 2020-09-13 "$dir/link/www/clip.$container"
        cat "$dir/link/www/clip.$container" >/dev/null
    done
}

# serve NAME: as in lib.sh, but beside the player.
serve() {
    : >"$dir/serve.err"
    # Not by a function: its process is to be the program itself.
    ip netns exec "$CLI_NS" "$program" serve "$origin/$1" --store "$dir/store" >"$dir/serve.log" 2>"$dir/serve.err" &
    serve_pid=$!
    eventually grep -q 'page: ' "$dir/serve.err" || fail "serve prints no address"
    mapfile -t addresses <"$dir/serve.log"
}

# arm LABEL PLACE: the seeks; each line gets the container, and the requests that nginx saw meanwhile.
arm() {
    : >"$dir/link/access.log"
    in_client python3 scripts/e2e/mpv.py seeks "$2" --label "$1" --seeks "$SEEKS" >"$dir/arm.jsonl" || fail "mpv, $1, $container"
    sed "s/^{/{\"container\": \"$container\", /" "$dir/arm.jsonl" >>"$out"
    cp "$dir/link/access.log" "$dir/$1.log"
}

measure() {
    local container=$1 name=clip.$1
    step "$container"
    rm -rf "$dir/store"
    arm local "$dir/link/www/$name"
    arm alone "$origin/$name"
    serve "$name"
    arm through "${addresses[0]}"
    # The rest of it comes as it would when it is played to its end.
    in_client curl -sf "${addresses[0]}" | cmp - "$dir/link/www/$name" || fail "other bytes of $name"
    stop_serve
    serve "$name"
    arm again "${addresses[0]}"
    requests=$(wc -l <"$dir/link/access.log")
    stop_serve
    echo "{\"container\": \"$container\", \"label\": \"again\", \"requests\": $requests}" >>"$out"
    [ -z "${KEEP_LOGS:-}" ] || { mkdir -p "$KEEP_LOGS"; for arm in alone through again; do cp "$dir/$arm.log" "$KEEP_LOGS/$container.$arm.log"; done; }
    python3 scripts/e2e/seeks.py "$out" --only "$container"
}

[ "$(id -u)" = 0 ] || { echo "SKIPPED: the figures need root, for network namespaces"; exit 0; }
require_tools ip nginx curl python3 ffmpeg mpv || exit 0
step "program, link, media"
program=${PROGRAM:-}
if [ -z "$program" ]; then
    cargo build --quiet --release --features cli --bin kithara-file
    program=$PWD/${CARGO_TARGET_DIR:-target}/release/kithara-file
fi
# shellcheck disable=SC2086 # a list of words on purpose
benches/link/up.sh "$dir/link" $LINK
media
mkdir -p "$(dirname "$out")"
mpv --version | sed -n 1p
printf '{"date": "%s", "link": "%s", "cc": "cubic", "mpv": "%s", "nginx": "%s", "commit": "%s"}\n' "$(date +%F)" "$LINK" \
    "$(mpv --version | awk 'NR == 1 { print $2 }')" "$(nginx -v 2>&1 | sed 's:.*/::')" "$(git rev-parse --short HEAD 2>/dev/null || true)" >"$out"
for container in $CONTAINERS; do measure "$container"; done
step "all"
python3 scripts/e2e/seeks.py "$out"
echo "each seek is in $out"
