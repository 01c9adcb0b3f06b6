#!/usr/bin/env bash
# Makes tests/media: eight seconds of synthetic sound in each format that a test decodes. Needs ffmpeg with libmp3lame and libvorbis.
#
# A chirp over a chord, so that no two moments sound alike and a decoder that lands at another place is noticed. No
# metadata and no encoder versions, so that the same ffmpeg gives the same bytes again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../tests/media"

SECONDS_LONG=8
CHIRP="0.4*sin(2*PI*(200*t+120*t*t))"
CHORD="0.15*(sin(2*PI*220*t)+sin(2*PI*277.18*t)+sin(2*PI*329.63*t))"
MONO="aevalsrc=$CHIRP+$CHORD"
STEREO="aevalsrc=$CHIRP+$CHORD|$CHORD"

# make FILE SOURCE RATE CODEC-ARGUMENTS...
make() {
    local file=$1 source=$2 rate=$3
    shift 3
    ffmpeg -hide_banner -loglevel error -y -f lavfi -i "$source:s=$rate:d=$SECONDS_LONG" \
        -map_metadata -1 -fflags +bitexact -flags:a +bitexact "$@" "$file"
}

make chirp.wav "$MONO" 8000 -c:a pcm_s16le
make chirp.flac "$MONO" 11025 -c:a flac -compression_level 8 -sample_fmt s16
make chirp.mp3 "$STEREO" 22050 -c:a libmp3lame -b:a 48k
make chirp.ogg "$STEREO" 22050 -c:a libvorbis -q:a 1
# The same samples twice: the index behind the sound (a demuxer must look at the tail first), and before it.
make chirp-tail.m4a "$STEREO" 22050 -c:a aac -b:a 48k
make chirp-front.m4a "$STEREO" 22050 -c:a aac -b:a 48k -movflags +faststart

ls -l
