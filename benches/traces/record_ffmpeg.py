#!/usr/bin/env python3
"""Records what FFmpeg's libavformat reads of a media file: opening it, taking the first packets, and seeking about in it.

usage: record_ffmpeg.py FILE ABOUT SECONDS...

The library is called as a player calls it, but reads through callbacks of this script, so each read and each seek is seen
as FFmpeg asks for it: no kernel buffer and no proxy in between. Needs python3 and FFmpeg's shared libraries, which
come with the program; no headers.
"""

import ctypes as c
import ctypes.util
import os
import sys

PACKETS = 25  # after the open and after each seek: what a player needs to have picture and sound
BUFFER = 32768  # FFmpeg's own size for its protocols
AVSEEK_SIZE = 0x10000  # "tell the length", in place of a direction
AVSEEK_FORCE = 0x20000
AVSEEK_FLAG_BACKWARD = 1
AVFMT_FLAG_CUSTOM_IO = 0x80
AVERROR_EOF = -541478725
MICROS = 1_000_000  # AV_TIME_BASE
PB_AT = 4 * c.sizeof(c.c_void_p)  # AVFormatContext.pb: the fifth field, since FFmpeg 1 and still in 7

READ = c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(c.c_uint8), c.c_int)
SEEK = c.CFUNCTYPE(c.c_int64, c.c_void_p, c.c_int64, c.c_int)


def library(name):
    path = ctypes.util.find_library(name)
    if not path:
        sys.exit(f"no lib{name} here: install FFmpeg")
    return c.CDLL(path)


def declared(avformat, avcodec, avutil):
    """Tells the types that ctypes would guess wrong."""
    pointer = c.c_void_p
    avutil.av_malloc.restype, avutil.av_malloc.argtypes = pointer, [c.c_size_t]
    avutil.av_version_info.restype = c.c_char_p
    avutil.av_opt_set.argtypes = [pointer, c.c_char_p, c.c_char_p, c.c_int]
    avformat.avio_alloc_context.restype = pointer
    avformat.avio_alloc_context.argtypes = [pointer, c.c_int, c.c_int, pointer, READ, pointer, SEEK]
    avformat.avformat_alloc_context.restype = pointer
    avformat.avformat_open_input.argtypes = [c.POINTER(pointer), c.c_char_p, pointer, pointer]
    avformat.avformat_find_stream_info.argtypes = [pointer, pointer]
    avformat.av_read_frame.argtypes = [pointer, pointer]
    avformat.av_seek_frame.argtypes = [pointer, c.c_int, c.c_int64, c.c_int]
    avcodec.av_packet_alloc.restype = pointer
    avcodec.av_packet_unref.argtypes = [pointer]


class Source:
    """The file behind the callbacks; writes the trace down."""

    def __init__(self, path):
        self.file = open(path, "rb", buffering=0)
        self.len = os.path.getsize(path)
        self.lines = []
        # Kept: the library holds only their addresses.
        self.read, self.seek = READ(self.on_read), SEEK(self.on_seek)

    def on_read(self, _opaque, buf, size):
        at = self.file.tell()
        data = self.file.read(size)
        if not data:
            return AVERROR_EOF
        c.memmove(buf, data, len(data))
        self.lines.append(f"r {at} {len(data)}")
        return len(data)

    def on_seek(self, _opaque, offset, whence):
        if whence & AVSEEK_SIZE:
            return self.len
        return self.file.seek(offset, whence & ~AVSEEK_FORCE)


def checked(code, what):
    if code < 0:
        sys.exit(f"{what}: FFmpeg's error {code}")


def record(path, about, places):
    avutil, avcodec, avformat = (library(name) for name in ("avutil", "avcodec", "avformat"))
    declared(avformat, avcodec, avutil)
    source = Source(path)
    version = avutil.av_version_info().decode()
    source.lines += [f"# FFmpeg {version}, libavformat, {PACKETS} packets after the open and after each seek"]
    source.lines += [f"# {about}", f"len {source.len}", "open"]

    pb = avformat.avio_alloc_context(avutil.av_malloc(BUFFER), BUFFER, 0, None, source.read, None, source.seek)
    context = c.c_void_p(avformat.avformat_alloc_context())
    c.c_void_p.from_address(context.value + PB_AT).value = pb
    # As the big players set it: without, a seek in an MP3 reads all that lies before.
    checked(avutil.av_opt_set(context, b"fflags", b"+fastseek", 0), "fflags")
    checked(avformat.avformat_open_input(c.byref(context), None, None, None), "open")
    checked(avformat.avformat_find_stream_info(context, None), "stream info")
    packet = avcodec.av_packet_alloc()

    def packets():
        for _ in range(PACKETS):
            if avformat.av_read_frame(context, packet) < 0:
                break
            avcodec.av_packet_unref(packet)

    packets()
    for place in places:
        source.lines.append(f"seek {place:g}")
        checked(avformat.av_seek_frame(context, -1, int(place * MICROS), AVSEEK_FLAG_BACKWARD), f"seek to {place} s")
        packets()
    print("\n".join(source.lines))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    record(sys.argv[1], sys.argv[2], [float(place) for place in sys.argv[3:]])
