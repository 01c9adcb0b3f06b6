#!/usr/bin/env bash
# Runs kithara-file beside what users would pick instead, and writes docs/BENCHMARKS.md with its plots from what was measured,
# and from what the simulator says of the same.
#
#   scripts/bench.sh            all links, five runs each: some hours, and a quiet machine
#   scripts/bench.sh --quick    link A once, with few seeks: minutes; shows that all of it works, gives no figures to quote
#   scripts/bench.sh --steady   only full speed over a long fat link, from a throttled origin and over TLS: half an hour
#   scripts/bench.sh --against REV [OPTIONS]    the micro benches and simulated cells of this tree and of REV in turns: ends with 1
#                               where this one is slower; see scripts/against.sh
#
# As root on Linux: over real TCP between two network namespaces (benches/link), against nginx and the scripted origin.
# Elsewhere, or with --shaped: against the scripted origin behind its in-process link.
#
# Options: --links A,B  --runs N  --peers naive,ours  --workloads far,busy  --shaped  --out DIR (measured runs are kept
# there)  --plain (only naive and ours: builds in a minute)  --no-document
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = --against ]; then
    shift
    exec scripts/against.sh "$@"
fi

links=A,B,C,D,F runs=5 peers= workloads= out= quick= shaped= steady= document=yes features=()
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=--quick runs=1 links=A ;;
        --shaped) shaped=yes ;;
        --steady) steady=yes links=B,F features=(--no-default-features) ;;
        --plain) features=(--no-default-features) ;;
        --no-document) document= ;;
        --links) links=$2; shift ;;
        --runs) runs=$2; shift ;;
        --peers) peers=$2; shift ;;
        --workloads) workloads=$2; shift ;;
        --out) out=$2; shift ;;
        -h | --help) sed -n '2,16p' "$0"; exit ;;
        *) echo "what is $1? see --help" >&2; exit 2 ;;
    esac
    shift
done

step() { printf '\n== %s\n' "$*"; }

dir=$(mktemp -d)
origin_pid=
link_up=
take_down() {
    [ -z "$origin_pid" ] || kill "$origin_pid" 2>/dev/null || true
    origin_pid=
    [ -z "$link_up" ] || benches/link/down.sh "$dir/link"
    link_up=
}
finish() {
    take_down
    [ ! -s "$dir/loopback/nginx.pid" ] || kill "$(cat "$dir/loopback/nginx.pid")"
    rm -rf "$dir"
}
trap finish EXIT

# ---- what is built -------------------------------------------------------------------------------------------------

step "building the harness"
cargo test --quiet --release --manifest-path benches/peers/Cargo.toml "${features[@]}"
cargo build --quiet --release --manifest-path benches/peers/Cargo.toml "${features[@]}"
harness="${CARGO_TARGET_DIR:-benches/peers/target}/release/peers"
# Later commands run elsewhere.
harness=$(cd "$(dirname "$harness")" && pwd)/peers

real_link() {
    [ -z "$shaped" ] && [ "$(id -u)" = 0 ] && [ "$(uname -s)" = Linux ] && [ -e /dev/net/tun ] &&
        command -v nginx >/dev/null && command -v ip >/dev/null && ip netns list >/dev/null 2>&1
}
if real_link; then real=yes; else real=; fi

out=${out:-$dir/out}
mkdir -p "$out"
results=$out/runs.jsonl
: >"$results"

# ---- what is run ---------------------------------------------------------------------------------------------------

# Everything on the link that most figures are stated for; latencies on the others, which the simulator is held against too,
# and play where packets are lost.
workloads_of() {
    if [ -n "$workloads" ]; then
        echo "$workloads"
        return
    fi
    if [ -n "$steady" ]; then
        case $1 in F-*) echo fat ;; *) echo throttled ;; esac
        return
    fi
    case $1 in
        A-cubic) echo all ;;
        A-shaped) echo all ;;
        A-bbr) echo far,busy,busy-full ;;
        D-*) echo open,far,busy,drag-random,tail,play ;;
        # Nothing but full speed there.
        F-*) echo fat ;;
        *) echo open,far,busy,drag-random,tail ;;
    esac
}

matrix() { # LINK CC ARGUMENTS...
    local link=$1 cc=$2
    shift 2
    local list=()
    [ -z "$peers" ] || list=(--peers "$peers")
    "${inside[@]}" "$harness" matrix --profile "$link" --cc "$cc" --runs "$runs" --out "$results" $quick \
        "${list[@]}" --workloads "$(workloads_of "$link-$cc")" "$@"
    # Beside plain downloads, where these mean something and take no hour.
    [ -z "$workloads$steady" ] || return 0
    if [ "$link-$cc" = A-cubic ]; then
        "${inside[@]}" "$harness" matrix --profile "$link" --cc "$cc" --runs "$runs" --out "$results" --workloads line "$@"
    fi
    # Where the line is not what holds it down.
    if [ "$link-$cc" = B-cubic ]; then
        "${inside[@]}" "$harness" matrix --profile "$link" --cc "$cc" --runs "$runs" --out "$results" --workloads throttled "$@"
    fi
}

on_loopback() {
    local here=line,tls-http1,tls-http2
    [ -z "$steady" ] || here=tls-http1,tls-http2
    step "loopback"
    mkdir -p "$dir/loopback/www" "$dir/loopback/tmp" "$dir/loopback/more"
    ln -f "$dir/link/www/big.bin" "$dir/loopback/www/big.bin"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 \
        -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
        -keyout "$dir/loopback/key.pem" -out "$dir/loopback/cert.pem" 2>/dev/null
    cat >"$dir/loopback/more/tls.conf" <<EOF
server {
    listen 127.0.0.1:18743 ssl http2;
    root $dir/loopback/www;
    ssl_certificate $dir/loopback/cert.pem;
    ssl_certificate_key $dir/loopback/key.pem;
}
EOF
    # Root's own, as benches/link/up.sh has it.
    sed "s#@DIR@#$dir/loopback#g; s#0.0.0.0:8080#127.0.0.1:18741#; s#0.0.0.0:8082#127.0.0.1:18742#; 1i user root;" \
        benches/link/nginx.conf >"$dir/loopback/nginx.conf"
    nginx -c "$dir/loopback/nginx.conf" -p "$dir/loopback" -e "$dir/loopback/nginx.err"
    "$harness" matrix --profile loopback --cc loopback --runs "$runs" --out "$results" --workloads "$here" \
        --url http://127.0.0.1:18741 --tls-url https://127.0.0.1:18743 --ca "$dir/loopback/cert.pem"
    kill "$(cat "$dir/loopback/nginx.pid")"
}

# What several plain downloads get together, in bytes per second: as many as we open at most.
plain_rate() {
    local seconds=10 streams=4 i pids=()
    for i in $(seq $streams); do
        ip netns exec kf-cli curl -s -o /dev/null --max-time $seconds -w '%{size_download}\n' \
            "http://10.77.0.1:8080/big.bin" >"$dir/curl.$i" &
        pids+=($!)
    done
    # They end with their time, which curl counts as a failure.
    for i in "${pids[@]}"; do wait "$i" || true; done
    cat "$dir"/curl.* | awk -v seconds=$seconds '{ sum += $1 } END { printf "%d\n", sum / seconds }'
}

on_real_link() { # LINK CC
    local link=$1 cc=$2 more=()
    step "link $link, $cc, real TCP"
    mkdir -p "$dir/link/www"
    # The files serve all links.
    [ -f "$dir/link/www/big.bin" ] || "$harness" data "$dir/link/www/big.bin" $((256 << 20))
    ln -f "$dir/link/www/big.bin" "$dir/link/www/other.bin"
    link_up=yes
    # shellcheck disable=SC2046 # five words on purpose
    CC=$cc benches/link/up.sh "$dir/link" $("$harness" profile "$link")
    ip netns exec kf-srv "$harness" origin --stay --bind 10.77.0.1:8081 --control "$dir/origin.sock" >"$dir/origin.log" &
    origin_pid=$!
    for _ in $(seq 50); do
        [ -s "$dir/origin.log" ] && break
        sleep 0.1
    done
    if [ "$link" = D ] && [ -z "$quick" ]; then
        more=(--rate "$(plain_rate | awk '{ printf "%d\n", $1 * 0.6 }')")
    fi
    inside=(ip netns exec kf-cli)
    matrix "$link" "$cc" --url http://10.77.0.1:8080 --throttled-url http://10.77.0.1:8082 --link-dir "$dir/link" \
        --origin-url http://10.77.0.1:8081 --origin-control "$dir/origin.sock" "${more[@]}"
    take_down
}

for link in ${links//,/ }; do
    if [ -n "$real" ]; then
        on_real_link "$link" cubic
        if [ "$link" = A ] && [ -z "$quick" ] && grep -qw bbr /proc/sys/net/ipv4/tcp_available_congestion_control; then
            on_real_link "$link" bbr
        fi
    else
        step "link $link, shaped in process"
        inside=()
        matrix "$link" shaped
    fi
done

if [ -n "$real" ] && [ -z "$workloads" ]; then
    on_loopback
fi

# ---- what is written -----------------------------------------------------------------------------------------------

[ -n "$document" ] || exit 0
step "writing docs/BENCHMARKS.md"
about=(
    --about "date=$(date -u +%F)"
    --about "kithara-file=$(git describe --always --dirty 2>/dev/null || echo 'no commit known')"
    --about "machine=$(nproc) cores, $(uname -s) $(uname -r | cut -d- -f1)"
    --about "compiler=$(rustc --version)"
)
if [ -n "$real" ]; then
    about+=(--about "server=$(nginx -v 2>&1 | sed 's/.*: //') for all but faults and traces, which need the scripted origin")
    about+=(--about "tcp=rmem $(tr '\t' ' ' </proc/sys/net/ipv4/tcp_rmem), wmem $(tr '\t' ' ' </proc/sys/net/ipv4/tcp_wmem)")
fi
simulated=$out/simulated.jsonl
rm -f "$simulated"
if [ -n "$steady" ]; then
    about+=(--sections steady)
    : >"$simulated"
else
    "$harness" simulate --runs "$runs" --out "$simulated"
fi
"$harness" document --from "$results" --simulated "$simulated" --into docs/BENCHMARKS.md --plots docs/benchmarks "${about[@]}"
echo "done; the runs: $results, simulated: $simulated"
