# curl, FFmpeg and mpv through `serve`, to be sourced: what they make of it is what they make of the file.

# frames PLACE: a checksum of each decoded frame.
frames() { ffmpeg -nostdin -hide_banner -loglevel error -i "$1" -map 0 -f framemd5 -; }

# pcm PLACE FILE: the sound as mpv plays it, as fast as it can.
pcm() { mpv --no-config --no-terminal --no-video --untimed --ao=pcm --ao-pcm-file="$2" "$1" && [ -s "$2" ]; }

address_of() {
    local address
    for address in "${addresses[@]}"; do
        [ "${address##*/}" != "$1" ] || { echo "$address"; return 0; }
    done
    fail "serve does not say where $1 is"
}

players() {
    require_tools ffmpeg mpv || return 0
    local container file address urls=()
    step "media"
    make_clips "$dir/www/clips" 12 400k 30 96k
    chmod -R a+rX "$dir/www"
    for container in $CONTAINERS; do urls+=("$nginx/clips/clip.$container"); done
    serve "${urls[@]}" --store "$dir/store-players"
    for container in $CONTAINERS; do
        step "curl, FFmpeg and mpv: clip.$container"
        file=$dir/www/clips/clip.$container
        address=$(address_of "clip.$container")
        # mpv comes first, while nothing of it is stored.
        python3 scripts/e2e/mpv.py check "$file" "$address" || fail "mpv seeks in $container"
        pcm "$address" "$dir/ours.wav" || fail "mpv plays $container"
        pcm "$file" "$dir/file.wav" || fail "mpv plays the file $container"
        cmp "$dir/ours.wav" "$dir/file.wav" || fail "mpv makes another sound of $container"
        frames "$address" >"$dir/ours.frames" || fail "FFmpeg decodes $container"
        frames "$file" >"$dir/file.frames"
        cmp "$dir/ours.frames" "$dir/file.frames" || fail "FFmpeg makes other frames of $container"
        curl -sf -o "$dir/served.out" "$address" || fail "curl gets $container"
        cmp "$dir/served.out" "$file" || fail "curl gets other bytes of $container"
    done
    stop_serve
}
