#!/usr/bin/env bash
# Takes away what up.sh made: usage: down.sh DIR
set -uo pipefail
dir=$1
for what in nginx link; do
    if [ -s "$dir/$what.pid" ]; then
        pid=$(cat "$dir/$what.pid")
        kill "$pid" 2>/dev/null
        for _ in $(seq 50); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    fi
done
if [ -f "$dir/link.ns" ]; then
    for ns in $(cat "$dir/link.ns"); do ip netns del "$ns" 2>/dev/null; done
fi
rm -f "$dir/link.pid" "$dir/nginx.pid" "$dir/link.ns" "$dir/link.stats"
true
