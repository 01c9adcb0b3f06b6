# Media made by ffmpeg, to be sourced. A few seconds are encoded, and repeated without encoding up to the wanted length; but FLAC, whose
# frames are numbered, as a whole.

CONTAINERS="mp3 flac ogg m4a front.mp4 tail.mp4 mkv webm"

# make_clips DIR VIDEO_SECONDS VIDEO_BITRATE AUDIO_SECONDS AUDIO_BITRATE: clip.<container> for each container, at least that long; FLAC,
# which takes most, a third.
make_clips() (
    mkdir -p "$1"
    cd "$1"
    seconds=$2 video=$3 audio_seconds=$4 audio=$5
    once=$((seconds < 20 ? seconds : 20))
    encode() { ffmpeg -nostdin -hide_banner -loglevel error -y "$@"; }
    # No two moments look or sound alike, and noise keeps the encoders from making it small.
    sound="aevalsrc=0.4*sin(2*PI*(200*t+40*t*t))+0.2*random(0)|0.4*sin(2*PI*331*t)+0.2*random(1):s=44100"
    picture="testsrc2=s=640x360:r=25:d=$once,noise=alls=20:allf=t"
    repeat() { # SECONDS OUTPUT INPUT...
        encode -stream_loop $((($1 + once - 1) / once - 1)) -i "$3" -map 0 -c copy "${@:4}" "clip.$2"
        rm "$3"
    }
    encode -f lavfi -i "$sound:d=$once" -c:a libmp3lame -b:a "$audio" once.mp3
    encode -f lavfi -i "$sound:d=$((audio_seconds / 3))" -c:a flac -sample_fmt s16 clip.flac
    encode -f lavfi -i "$sound:d=$once" -c:a libvorbis -b:a "$audio" once.ogg
    encode -f lavfi -i "$sound:d=$once" -c:a aac -b:a "$audio" once.m4a
    encode -f lavfi -i "$picture" -f lavfi -i "$sound:d=$once" -c:v libx264 -preset ultrafast -b:v "$video" -maxrate "$video" -bufsize "$video" \
        -pix_fmt yuv420p -g 50 -c:a aac -b:a 128k once.mkv
    encode -f lavfi -i "$picture" -f lavfi -i "$sound:d=$once" -c:v libvpx -deadline realtime -cpu-used 8 -b:v "$video" -g 50 \
        -c:a libvorbis -b:a 128k once.webm
    cp once.mkv twice.mkv
    cp once.mkv thrice.mkv
    repeat "$audio_seconds" mp3 once.mp3
    repeat "$audio_seconds" ogg once.ogg
    repeat "$audio_seconds" m4a once.m4a -movflags +faststart
    repeat "$seconds" mkv once.mkv
    repeat "$seconds" front.mp4 twice.mkv -movflags +faststart
    repeat "$seconds" tail.mp4 thrice.mkv
    repeat "$seconds" webm once.webm
)
