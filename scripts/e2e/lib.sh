# Helpers of the end-to-end tests, to be sourced: a folder for everything that goes at the end with every process, tools, nginx and
# what it saw, the program.

SIZE=$((24 * 1024 * 1024)) # whole file: seconds on the slow location, too large to sit in socket buffers
SLOW_RATE=4m               # bytes/s of nginx's /slow/: leaves time to kill somebody in the middle
PATIENCE=300               # tenths of a second until something that must happen counts as hung

dir=$(mktemp -d)
nginx_pid='' python_pid='' client_pid='' serve_pid=''
origin_pids=()
also_clean_up() { :; } # for who has more to take away
cleanup() {
    for pid in $client_pid $serve_pid $python_pid $nginx_pid "${origin_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for disk in small sealed; do umount "$dir/$disk" 2>/dev/null || true; done
    for socket in "$dir"/tmux.*; do tmux -S "$socket" kill-server 2>/dev/null || true; done
    also_clean_up
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

step() { printf '\n== %s\n' "$*"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    for file in "$dir"/*.err "$dir/access.log"; do
        [ ! -s "$file" ] || { echo "-- $(basename "$file")" >&2; tail -n 20 "$file" >&2; }
    done
    exit 1
}

# Succeeds once the command does; fails when patience runs out.
eventually() {
    local tries=$PATIENCE
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# ---- tools ---------------------------------------------------------------------------------------------------------

# The packages of Debian that the tool $1 needs.
packages_of() {
    case $1 in
        python3 | nginx | curl | ffmpeg | mpv | lighttpd | caddy) echo "$1" ;;
        apache2) echo apache2-bin ;; # the program alone: no service comes with it
        cvlc) echo vlc-bin vlc-plugin-base ;;
        gst-launch-1.0) echo gstreamer1.0-tools gstreamer1.0-plugins-{base,good,ugly} gstreamer1.0-libav ;;
        ip) echo iproute2 ;;
        *) echo "$1" ;;
    esac
}

# require_tools TOOL...: installs what is missing; where that cannot be done, fails on CI, and elsewhere returns 1 after it has said so.
require_tools() {
    local missing=() packages=()
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { missing+=("$tool"); read -ra packages <<<"${packages[*]} $(packages_of "$tool")"; }
    done
    [ "${#missing[@]}" != 0 ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        step "installing ${packages[*]}"
        apt-get update -qq
        # In this run level no package starts its service.
        RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >"$dir/apt.log" ||
            { tail -n 20 "$dir/apt.log" >&2; fail "cannot be installed: ${packages[*]}"; }
    elif [ -n "${CI:-}" ]; then
        fail "not installed: ${missing[*]}; end-to-end tests must run here: install them or run as root on a Debian system"
    else
        echo "SKIPPED: not installed: ${missing[*]} (install them, or run as root on a Debian system)"
        return 1
    fi
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# ---- nginx ---------------------------------------------------------------------------------------------------------

write_nginx_config() {
    local user=
    [ "$(id -u)" != 0 ] || user="user root;"
    cat >"$dir/nginx.conf" <<CONF
$user
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/nginx.err;
events { worker_connections 256; }
http {
    log_format seen '\$request_method \$status \$body_bytes_sent "\$http_range" "\$http_if_range" \$connection \$request_uri';
    access_log $dir/access.log seen;
    client_body_temp_path $dir/nginx.tmp;
    proxy_temp_path $dir/nginx.tmp;
    fastcgi_temp_path $dir/nginx.tmp;
    uwsgi_temp_path $dir/nginx.tmp;
    scgi_temp_path $dir/nginx.tmp;
    default_type application/octet-stream;
    types { audio/mpeg mp3; audio/flac flac; audio/ogg ogg; audio/mp4 m4a; audio/wav wav; video/mp4 mp4; video/webm webm; video/x-matroska mkv; }
    server {
        listen 127.0.0.1:$nginx_port;
        root $dir/www;
        location /media/ { alias "$PWD/tests/media/"; }
        location /slow/ { limit_rate $SLOW_RATE; }
    }
}
CONF
}

start_nginx() {
    nginx -c "$dir/nginx.conf" -p "$dir" 2>>"$dir/nginx.err" &
    nginx_pid=$!
    eventually curl -sf -o /dev/null "$nginx/one.bin" || fail "nginx does not answer"
    # It writes the line of that request after the answer.
    eventually grep -q one.bin "$dir/access.log" || fail "nginx keeps no log"
    forget_requests
}

# Its workers would finish what they are sending: a stop at once takes them along.
stop_nginx() {
    nginx -c "$dir/nginx.conf" -p "$dir" -s stop 2>>"$dir/nginx.err"
    wait "$nginx_pid" 2>/dev/null || true
    nginx_pid=
}

# ---- what nginx saw ------------------------------------------------------------------------------------------------

forget_requests() { : >"$dir/access.log"; }
requests() { wc -l <"$dir/access.log"; }
body_bytes() { awk '{ sum += $3 } END { printf "%d\n", sum }' "$dir/access.log"; }
no_head() { ! grep -q '^HEAD ' "$dir/access.log" || fail "a HEAD was sent"; }
# Every request asks for a range that ends, and begins at or after byte $1.
bounded_from() {
    awk -v first="$1" '{
        if (match($0, /"bytes=[0-9]+-[0-9]+"/) == 0) { print "no bounded range: " $0; bad = 1; next }
        split(substr($0, RSTART + 7, RLENGTH - 8), range, "-")
        if (range[1] + 0 < first + 0) { print "asked again: " $0; bad = 1 }
    } END { exit bad }' "$dir/access.log" || fail "requests that were not needed"
}

# ---- the program ---------------------------------------------------------------------------------------------------

build() {
    cargo build --quiet --features cli --bins --examples
    program="${CARGO_TARGET_DIR:-target}/debug/kithara-file"
    [ -x "$program" ] || fail "cargo built no $program"
}

# serve URL... [OPTION...]: starts `serve`; its addresses are then in the array `addresses`.
serve() {
    : >"$dir/serve.err"
    "$program" serve "$@" >"$dir/serve.log" 2>"$dir/serve.err" &
    serve_pid=$!
    eventually grep -q 'page: ' "$dir/serve.err" || fail "serve prints no address"
    mapfile -t addresses <"$dir/serve.log"
}

stop_serve() {
    kill -INT "$serve_pid"
    wait "$serve_pid" || fail "serve does not end well on Ctrl-C"
    serve_pid=''
}
