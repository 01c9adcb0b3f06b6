"""Chromium's own far seeks, from `currentTime` to `seeked`, over a real-TCP link: alone, and through `kithara-file serve` at its side.

usage: browser_seeks.py PROGRAM FOLDER [MEDIUM...]     figures go to FOLDER/seeks.jsonl

Both arms open the medium's own address, as a user does, with a new profile and an empty store, and seek to the same places, which lie
far from each other and from all that either arm may hold. After each seek the medium plays on for a while, then comes the next one.
"""

import datetime
import json
import os
import random
import statistics
import sys
import tempfile

from browser import Browser, expect, until
from browser_stage import ORIGIN, at_the_near_end, ffmpeg, film, link, program, run, step

LINK = {"rtt_ms": 40, "down_mbit": 50, "up_mbit": 20, "queue_kib": 256}
SEEKS = 14
PLAYED = 1.5  # seconds of media after each seek
MOST = 0.7    # of the median alone

SEEK = """const [to, done] = arguments, it = document.querySelector('video, audio'), began = performance.now();
it.addEventListener('seeked', () => done(performance.now() - began), {once: true});
it.currentTime = to;"""


def make_media(www):
    film(f"{www}/front.mp4", "640x360", 4000, loops=60)
    # The same film, its index at the end.
    ffmpeg("-i", f"{www}/front.mp4", "-c", "copy", f"{www}/tail.mp4")
    noise = "anoisesrc=c=pink:r=44100:a=0.4:d={}:seed=1,aformat=channel_layouts=stereo"
    minute = f"{www}/minute.mp3"
    ffmpeg("-f", "lavfi", "-i", noise.format(60), "-c:a", "libmp3lame", "-b:a", "320k", minute)
    ffmpeg("-stream_loop", "59", "-i", minute, "-c", "copy", f"{www}/long.mp3")
    os.remove(minute)
    # Its frames are numbered, so it cannot be made of copies.
    ffmpeg("-f", "lavfi", "-i", noise.format(1800), "-c:a", "flac", "-sample_fmt", "s16", "-compression_level", "0", f"{www}/long.flac")


MEDIA = ("front.mp4", "tail.mp4", "long.mp3", "long.flac")


def places(duration):
    """Each in a part of its own, the first part left out, in mixed order."""
    mixed = random.Random(7)
    part = duration / (SEEKS + 1)
    found = [n * part + mixed.random() * part / 4 for n in range(1, SEEKS + 1)]
    mixed.shuffle(found)
    return found


def seeks(address, folder, log):
    """Milliseconds of each seek, and requests that the origin saw meanwhile."""
    with Browser(folder) as browser:
        browser.open(address)
        look = "const it = document.querySelector('video, audio'); return it && [it.currentTime, it.duration, it.readyState, it.seeking]"

        def plays(from_second):
            return lambda: (seen := browser.run(look)) and seen[2] >= 2 and not seen[3] and seen[0] >= from_second and seen
        duration = until(plays(PLAYED), f"{address} plays")[1]
        before, times = len(open(log, encoding="utf-8").readlines()), []
        for place in places(duration):
            times.append(browser.driver.execute_async_script(SEEK, place))
            until(plays(place + PLAYED), f"{address} plays on from {place:.0f} s")
        return browser.version, times, len(open(log, encoding="utf-8").readlines()) - before


def measure(binary, folder, near, media):
    """Inside the client's namespace: both arms, one medium after the other."""
    log, rows = f"{near}/access.log", []
    for medium in media:
        row = {"medium": medium, "date": datetime.date.today().isoformat(), **LINK, "cc": "cubic"}
        for arm in ("alone", "through us"):
            step(f"{medium}, {arm}")
            if arm == "alone":
                version, times, requests = seeks(f"{ORIGIN}/{medium}", folder, log)
            else:
                with tempfile.TemporaryDirectory() as store:
                    command = [binary, "serve", f"{ORIGIN}/{medium}", "--store", store]
                    with program(command, f"{folder}/serve-{medium}.log") as page:
                        version, times, requests = seeks(f"{page}{medium}", folder, log)
            ordered = sorted(times)
            row["chromium"] = version
            row[arm] = {"median": statistics.median(times), "p90": ordered[int(0.9 * (len(ordered) - 1) + 0.5)],
                        "requests": requests, "seeks": [round(one, 1) for one in times]}
            print(" ".join(f"{one:.0f}" for one in times), f"ms; {requests} requests", flush=True)
        row["of alone"] = row["through us"]["median"] / row["alone"]["median"]
        rows.append(row)
        with open(f"{folder}/seeks.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    table(rows)
    slow = [row["medium"] for row in rows if row["of alone"] > MOST]
    expect(not slow, f"more than {MOST} of the median alone: {', '.join(slow)}")


def table(rows):
    first = rows[0]
    print(f"\nChromium {first['chromium']}, {first['date']}, link {LINK}, cubic; {SEEKS} far seeks, ms to `seeked`\n")
    print("| medium | alone: median, p90 | through us: median, p90 | of alone | requests, alone and through us |\n|---|---|---|---|---|")
    for row in rows:
        alone, ours = row["alone"], row["through us"]
        print(f"| {row['medium']} | {alone['median']:.0f}, {alone['p90']:.0f} | {ours['median']:.0f}, {ours['p90']:.0f} | "
              f"{row['of alone']:.2f} | {alone['requests']}, {ours['requests']} |")
    sys.stdout.flush()


def main():
    if sys.argv[1] == "--inside":
        return measure(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
    binary, folder, media = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:] or MEDIA
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as near:
        os.makedirs(f"{near}/www")
        step("media")
        make_media(f"{near}/www")
        with link(near, **LINK):
            at_the_near_end(__file__, binary, folder, near, *media)


if __name__ == "__main__":
    run(main)
