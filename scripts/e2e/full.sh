# What only the full tier does, to be sourced: VLC and GStreamer, five origins, a hundred clients at once.

# ---- VLC and GStreamer ---------------------------------------------------------------------------------------------

# VLC refuses to be root.
vlc() {
    local as=()
    [ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    "${as[@]}" env HOME="$dir/vlc" timeout 120 cvlc -q -I dummy --no-video-title-show "$@" vlc://quit >"$dir/vlc.log" 2>&1
}

# vlc_frames PLACE: a checksum of each frame of the pictures as VLC decodes them, then one of the sound.
vlc_frames() {
    rm -f "$dir/vlc/out.avi"
    vlc "$1" --sout "#transcode{vcodec=I420,acodec=s16l,channels=2,samplerate=44100}:std{access=file,mux=avi,dst=$dir/vlc/out.avi}"
    # Packet by packet, and without their times: VLC pads the pictures' height, and its threads interleave as they come.
    ffmpeg -nostdin -loglevel error -i "$dir/vlc/out.avi" -map '0:v?' -map 0:a -c copy -f streamhash -hash md5 -
}

# vlc_bytes PLACE: a checksum of the bytes that VLC's demuxers are given.
vlc_bytes() {
    rm -f "$dir/vlc/dump"
    vlc --demux=dump --demuxdump-file="$dir/vlc/dump" "$1"
    [ -s "$dir/vlc/dump" ] && md5sum <"$dir/vlc/dump"
}

# gst_frames PLACE: checksums of the pictures and of the sound as playbin decodes them.
gst_frames() {
    rm -f "$dir"/gst.[av]
    timeout 120 gst-launch-1.0 -q playbin uri="$1" \
        audio-sink="audioconvert ! audio/x-raw,format=S16LE ! filesink location=$dir/gst.a" \
        video-sink="videoconvert ! video/x-raw,format=I420 ! filesink location=$dir/gst.v" >"$dir/gst.log" 2>&1
    for stream in a v; do [ ! -s "$dir/gst.$stream" ] || md5sum <"$dir/gst.$stream"; done
}

# agrees TOOL FUNCTION ADDRESS FILE: the function says the same of both.
agrees() {
    "$2" "$3" >"$dir/ours.frames" || fail "$1 fails through serve: $3"
    "$2" "$4" >"$dir/file.frames" || fail "$1 fails with the file $4"
    grep -q . "$dir/file.frames" || fail "$1 decodes nothing of $4"
    cmp "$dir/ours.frames" "$dir/file.frames" || fail "$1 makes other frames of $3"
}

more_players() {
    require_tools cvlc gst-launch-1.0 setpriv || return 0
    local container file reference address urls=()
    mkdir -p "$dir/vlc"
    chmod 777 "$dir/vlc"
    for container in $CONTAINERS; do urls+=("$nginx/clips/clip.$container"); done
    serve "${urls[@]}" --store "$dir/store-more"
    for container in $CONTAINERS; do
        step "VLC and GStreamer: clip.$container"
        file=$dir/www/clips/clip.$container
        address=$(address_of "clip.$container")
        # From any server its oggdemux gives 80 samples more at the end than from a file.
        reference=file://$file
        [ "$container" != ogg ] || reference=$nginx/clips/clip.ogg
        agrees GStreamer gst_frames "$address" "$reference"
        agrees VLC vlc_frames "$address" "$file"
        # Its dump of the file, since it leaves a leading ID3 tag out.
        agrees "VLC's dump" vlc_bytes "$address" "$file"
    done
    stop_serve
}

# ---- origins -------------------------------------------------------------------------------------------------------

# start_origin NAME PORT COMMAND...
start_origin() {
    local name=$1 port=$2
    shift 2
    "$@" >"$dir/$name.err" 2>&1 &
    origin_pids+=($!)
    eventually curl -sf -o /dev/null "http://127.0.0.1:$port/one.bin" || fail "$name does not answer"
}

start_apache() {
    cat >"$dir/apache.conf" <<CONF
ServerRoot $dir
ServerName 127.0.0.1
Listen 127.0.0.1:$1
PidFile $dir/apache.pid
ErrorLog $dir/apache.err
$(for module in mpm_event authz_core; do echo "LoadModule ${module}_module /usr/lib/apache2/modules/mod_$module.so"; done)
User www-data
Group www-data
DocumentRoot $dir/www
<Directory $dir/www>
    Require all granted
</Directory>
CONF
    start_origin apache "$1" apache2 -DFOREGROUND -f "$dir/apache.conf"
}

start_lighttpd() {
    cat >"$dir/lighttpd.conf" <<CONF
server.document-root = "$dir/www"
server.bind = "127.0.0.1"
server.port = $1
CONF
    start_origin lighttpd "$1" lighttpd -D -f "$dir/lighttpd.conf"
}

start_caddy() {
    start_origin caddy "$1" env HOME="$dir" XDG_CONFIG_HOME="$dir" XDG_DATA_HOME="$dir" \
        caddy file-server --root "$dir/www" --listen "127.0.0.1:$1"
}

# origin NAME ROOT: parts in no order, then all of it, then a player; each through `serve` with an empty store.
origin() {
    local name=$1 root=$2 first last container urls=("$2/big.bin")
    step "$name behind serve: ranges, whole files, mpv"
    for container in $CONTAINERS; do urls+=("$root/clips/clip.$container"); done
    serve "${urls[@]}" --store "$dir/store-$name"
    for first in 20000000 0 7654321 $((SIZE - 5)) 12345678; do
        last=$((first + 99999))
        curl -sf -r "$first-$last" "$(address_of big.bin)" |
            cmp - <(tail -c "+$((first + 1))" "$dir/www/big.bin" | head -c 100000) || fail "$name: bytes from $first on"
    done
    curl -sf -o "$dir/served.out" "$(address_of big.bin)" || fail "$name: the whole file"
    cmp "$dir/served.out" "$dir/www/big.bin" || fail "$name: other bytes"
    python3 scripts/e2e/mpv.py check "$dir/www/clips/clip.tail.mp4" "$(address_of clip.tail.mp4)" || fail "$name: mpv"
    for container in $CONTAINERS; do
        curl -sf "$(address_of "clip.$container")" | cmp - "$dir/www/clips/clip.$container" || fail "$name: $container"
    done
    stop_serve
}

origins() {
    require_tools apache2 lighttpd caddy || return 0
    local apache lighttpd caddy
    apache=$(free_port)
    start_apache "$apache"
    lighttpd=$(free_port)
    start_lighttpd "$lighttpd"
    caddy=$(free_port)
    start_caddy "$caddy"
    origin nginx "$nginx"
    origin apache "http://127.0.0.1:$apache"
    origin lighttpd "http://127.0.0.1:$lighttpd"
    origin caddy "http://127.0.0.1:$caddy"
    origin http.server "$python"
}

# ---- many at once --------------------------------------------------------------------------------------------------

crowd() {
    step "100 clients at once: each byte is fetched once"
    forget_requests
    serve "$nginx/slow/big.bin" --store "$dir/store-crowd"
    local client pids=()
    for client in $(seq 100); do
        curl -sf "${addresses[0]}" | cmp - "$dir/www/big.bin" 2>>"$dir/crowd.err" &
        pids+=($!)
    done
    for client in "${pids[@]}"; do wait "$client" || fail "one of the clients got other bytes, or not all"; done
    stop_serve
    # nginx writes a request's line at its end.
    eventually fetched_all || fail "$(body_bytes) bytes were fetched, not $SIZE"
    # Ends in order: none begins before the one in front of it has ended.
    awk '{ match($0, /bytes=[0-9]+-[0-9]+/); print substr($0, RSTART + 6, RLENGTH - 6) }' "$dir/access.log" | sort -n |
        awk -F- '$1 < next_ { print "fetched twice: from " $1; bad = 1 } { next_ = $2 + 1 } END { exit bad }' || fail "bytes were fetched twice"
    echo "$(requests) requests, $(body_bytes) bytes for 100 clients"
}
fetched_all() { [ "$(body_bytes)" = "$SIZE" ]; }
