#!/usr/bin/env bash
# Records the traces anew: makes media that are long enough for a seek to mean something, lets symphonia and FFmpeg open
# them and seek about, and keeps only what they read. Needs ffmpeg (with libmp3lame, libvorbis, libx264), python3 and Rust.
#
# MEDIA=DIR keeps the media there, and takes what is there already.
#
# usage: record.sh [NAME...]      names of media: mp3 flac ogg m4a-front m4a-tail mkv mp4-front mp4-tail
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD

MINUTES=30                        # at these rates 25 to 110 MB
SEEKS=(600 1500 300 1200 1205 60) # s: forth, forth, back, forth, a little forth, near the start

if [ -n "${MEDIA:-}" ]; then
    dir=$MEDIA
    mkdir -p "$dir"
else
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
fi

# Never silent and never the same twice: constant sound would make tiny frames.
SOUND="anoisesrc=r=44100:a=0.3:c=pink:seed=1:d=$((MINUTES * 60))"
PICTURE="testsrc2=size=320x180:rate=25:duration=$((MINUTES * 60))"
QUIET=(-hide_banner -loglevel error -y)

encode() { # FILE ARGUMENTS...
    local file=$1
    shift
    [ -f "$dir/$file" ] || ffmpeg "${QUIET[@]}" "$@" -map_metadata -1 -fflags +bitexact "$dir/$file"
}

# The same packets in another file.
remux() { # FILE FROM ARGUMENTS...
    local file=$1 from=$2
    shift 2
    encode "$file" -i "$dir/$from" -c copy "$@"
}

# Makes the medium NAME: its file, and in words what it is.
make() {
    local stereo=(-f lavfi -i "$SOUND" -ac 2)
    case $1 in
        m4a-*) encode sound.mka "${stereo[@]}" -c:a aac -b:a 192k ;;
        mkv | mp4-*)
            encode picture.nut -f lavfi -i "$PICTURE" "${stereo[@]}" -map 0:v -map 1:a \
                -c:v libx264 -preset ultrafast -b:v 400k -g 250 -c:a aac -b:a 96k
            ;;
    esac
    case $1 in
        mp3) encode "${file:=$1.mp3}" "${stereo[@]}" -c:a libmp3lame -b:a 192k && about="mp3, CBR 192 kbit/s" ;;
        flac) encode "${file:=$1.flac}" "${stereo[@]}" -c:a flac && about="flac, no seek table" ;;
        ogg) encode "${file:=$1.ogg}" "${stereo[@]}" -c:a libvorbis -q:a 6 && about="ogg vorbis" ;;
        m4a-front) remux "${file:=front.m4a}" sound.mka -movflags +faststart && about="m4a, moov first" ;;
        m4a-tail) remux "${file:=tail.m4a}" sound.mka && about="m4a, moov last" ;;
        mkv) remux "${file:=picture.mkv}" picture.nut && about="mkv, h264 and aac, cues last" ;;
        mp4-front) remux "${file:=front.mp4}" picture.nut -movflags +faststart && about="mp4, h264 and aac, moov first" ;;
        mp4-tail) remux "${file:=tail.mp4}" picture.nut && about="mp4, h264 and aac, moov last" ;;
        *) echo "no medium $1" >&2; exit 2 ;;
    esac
}

symphonia() { # NAME FILE ABOUT PLACES...
    local name=$1 file=$2 about=$3
    shift 3
    cargo run --quiet --release --manifest-path ../peers/Cargo.toml --no-default-features --features record -- \
        record "$dir/$file" --about "$about" --seeks "$(IFS=,; echo "$*")" >"$dir/trace"
    mv "$dir/trace" "$here/symphonia-$name.trace"
}

ffmpeg_trace() { # NAME FILE ABOUT PLACES...
    local name=$1 file=$2 about=$3
    shift 3
    python3 record_ffmpeg.py "$dir/$file" "$about" "$@" >"$dir/trace"
    mv "$dir/trace" "$here/ffmpeg-$name.trace"
}

[ $# -gt 0 ] || set -- mp3 flac ogg m4a-front m4a-tail mkv mp4-front mp4-tail
for name in "$@"; do
    file=
    make "$name"
    about="$about; $MINUTES min, made by ffmpeg"
    ffmpeg_trace "$name" "$file" "$about" "${SEEKS[@]}"
    case $name in
        mkv | mp4-*) ;; # symphonia is here for sound
        *) symphonia "$name" "$file" "$about" "${SEEKS[@]}" ;;
    esac
    wc -l ./*-"$name".trace
done
