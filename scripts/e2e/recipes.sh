# The recipes of examples/gstreamer and examples/libmpv, to be sourced: what they make of a URL is what they make of the file.

MOMENTS="2.5 9 0.3 7.77"

# recipe_tools: what they are built with; as require_tools.
recipe_tools() {
    require_tools pkg-config || return 1
    pkg-config --exists gstreamer-app-1.0 mpv && return 0
    local packages=(libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libmpv-dev)
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        step "installing ${packages[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >"$dir/apt.log" ||
            { tail -n 20 "$dir/apt.log" >&2; fail "cannot be installed: ${packages[*]}"; }
    elif [ -n "${CI:-}" ]; then
        fail "not installed: ${packages[*]}"
    else
        echo "SKIPPED: not installed: ${packages[*]} (install them, or run as root on a Debian system)"
        return 1
    fi
}

# recipe NAME ARGUMENTS...: runs it.
recipe() {
    local name=$1
    shift
    timeout 120 "${CARGO_TARGET_DIR:-examples/$name/target}/debug/$name-player" "$@"
}

# gst_moments PLACE, mpv_moments PLACE: how long it is, and what is there after each seek.
# shellcheck disable=SC2086 # a list of words on purpose
gst_moments() {
    # Of AAC FFmpeg's decoder makes another noise each time, and of MP3 what comes first after a seek is one of several
    # things, with the file too.
    recipe gstreamer "$1" $MOMENTS | case $1 in
        *.mp3 | *.m4a | *.mp4 | *.mkv) sed '/audio/s/, [0-9a-f]*$//' ;;
        *) cat ;;
    esac
}
# shellcheck disable=SC2086
mpv_moments() { recipe libmpv "$1" $MOMENTS; }

# gst_whole PLACE: as gst_frames of full.sh.
gst_whole() {
    rm -f "$dir"/gst.[av]
    recipe gstreamer --audio "audioconvert ! audio/x-raw,format=S16LE ! filesink location=$dir/gst.a" \
        --video "videoconvert ! video/x-raw,format=I420 ! filesink location=$dir/gst.v" "$1"
    for stream in a v; do [ ! -s "$dir/gst.$stream" ] || md5sum <"$dir/gst.$stream"; done
}

# mpv_whole PLACE: the sound as mpv plays it.
mpv_whole() {
    rm -f "$dir/recipe.wav"
    recipe libmpv --ao=pcm --ao-pcm-file="$dir/recipe.wav" --vid=no --untimed=yes "$1"
    [ -s "$dir/recipe.wav" ] && md5sum <"$dir/recipe.wav"
}

# Python's server beside nginx: one that knows no ranges is played as well.
recipes() {
    recipe_tools || return 0
    local name container file
    for name in gstreamer libmpv; do
        step "recipe $name: an origin that falls silent holds up nothing"
        cargo build --quiet --manifest-path "examples/$name/Cargo.toml" || fail "recipe $name does not build"
        timeout 300 cargo test --quiet --manifest-path "examples/$name/Cargo.toml" >"$dir/recipe.err" 2>&1 || fail "tests of recipe $name"
    done
    for container in $CONTAINERS; do
        step "recipes: clip.$container"
        file=$dir/www/clips/clip.$container
        agrees "recipe gstreamer, seeks" gst_moments "$nginx/clips/clip.$container" "file://$file"
        agrees "recipe gstreamer" gst_whole "$nginx/clips/clip.$container" "file://$file"
        agrees "recipe libmpv, seeks" mpv_moments "$nginx/clips/clip.$container" "$file"
        agrees "recipe libmpv" mpv_whole "$nginx/clips/clip.$container" "$file"
    done
    step "recipes: an origin without ranges"
    agrees "recipe gstreamer" gst_whole "$python/clips/clip.tail.mp4" "file://$dir/www/clips/clip.tail.mp4"
    agrees "recipe libmpv" mpv_whole "$python/clips/clip.tail.mp4" "$dir/www/clips/clip.tail.mp4"
}
