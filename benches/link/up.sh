#!/usr/bin/env bash
# Two network namespaces, a real-TCP link between them, and nginx at its far end.
#
# usage: up.sh DIR RTT_MS DOWN_MBIT UP_MBIT QUEUE_KIB [LOSS_PPM]        down.sh DIR takes all of it away
#
# The player is 10.77.0.2 in the namespace kf-cli, the origin 10.77.0.1 in kf-srv (CLI_NS and SRV_NS rename them, so that two
# links can stand side by side); nginx listens on port 8080 and serves DIR/www. Congestion control is pinned by route:
# CC=cubic unless you say CC=bbr; the host's own default is not used. Buffer limits are the host's (net.ipv4.tcp_rmem).
# DIR/link.stats counts the bytes over the link; DIR/access.log has each request with its range and connection.
#
# Needs root, Linux, iproute2 and nginx.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 5 ] || { sed -n '4p' "$0" >&2; exit 2; }
mkdir -p "$1/www" "$1/tmp"
dir=$(cd "$1" && pwd)
shift
cli=${CLI_NS:-kf-cli} srv=${SRV_NS:-kf-srv} cc=${CC:-cubic}

for ns in "$cli" "$srv"; do
    if ip netns list | grep -qw "$ns"; then
        echo "the namespace $ns is in use: run down.sh, or set CLI_NS and SRV_NS" >&2
        exit 1
    fi
done
grep -qw "$cc" /proc/sys/net/ipv4/tcp_available_congestion_control || modprobe "tcp_$cc" 2>/dev/null ||
    { echo "this kernel has no congestion control $cc" >&2; exit 1; }

cargo build --quiet --release --manifest-path "$here/Cargo.toml"
# Where cargo put it, whatever it was told of its target folder.
target=${CARGO_TARGET_DIR:-$here/target}

for ns in "$cli" "$srv"; do
    ip netns add "$ns"
    ip netns exec "$ns" ip link set lo up
done
echo "$cli $srv" >"$dir/link.ns"

"$target/release/link" "$cli" 10.77.0.2 "$srv" 10.77.0.1 "$1" "$2" "$3" "$4" "${5:-0}" "$dir/link.stats" >"$dir/link.log" 2>&1 &
echo $! >"$dir/link.pid"
for _ in $(seq 50); do
    grep -q 'link up' "$dir/link.log" && break
    sleep 0.1
done
grep -q 'link up' "$dir/link.log" || { cat "$dir/link.log" >&2; "$here/down.sh" "$dir"; exit 1; }

ip netns exec "$srv" ip route replace 10.77.0.2 dev lnk0 scope link src 10.77.0.1 congctl lock "$cc"
ip netns exec "$cli" ip route replace 10.77.0.1 dev lnk0 scope link src 10.77.0.2 congctl lock "$cc"
# What earlier connections found out about the path is not handed on to later ones: each run meets the same link.
for ns in "$cli" "$srv"; do
    ip netns exec "$ns" sysctl -qw net.ipv4.tcp_no_metrics_save=1
done

sed "s#@DIR@#$dir#g" "$here/nginx.conf" >"$dir/nginx.conf"
# nginx gives up its rights; what it serves and writes must be reachable without.
[ "$(id -u)" != 0 ] || sed -i '1i user root;' "$dir/nginx.conf"
ip netns exec "$srv" nginx -c "$dir/nginx.conf" -p "$dir" -e "$dir/nginx.err"
echo "$(cat "$dir/link.log"), $cc"
