"""Makes the README's picture: the page, while a film plays and is scrubbed over a slow link. As root.

usage: browser_picture.py PROGRAM PICTURE
"""

import os
import shutil
import sys
import tempfile

from browser import Browser, expect, until
from browser_page import Card
from browser_stage import ORIGIN, at_the_near_end, film, link, program, run

LINK = {"rtt_ms": 80, "down_mbit": 16, "up_mbit": 8, "queue_kib": 256}
MOST = 150_000  # bytes


def take(binary, near, picture):
    """Inside the client's namespace: plays, seeks about, and takes the picture while bytes of several kinds are on their way."""
    with program([binary, "serve", f"{ORIGIN}/film.mp4", "--store", f"{near}/store"], f"{near}/serve.log") as page, \
            Browser(f"{near}/out", 1000, 900) as browser:
        card = Card(browser, page, "film.mp4")
        browser.open(page)
        card.play("video")
        for place in (0.55, 0.2, 0.78, 0.36, 0.9, 0.64, 0.12, 0.47):
            browser.click(card.map, place)
            card.at(place * card.player["duration"])
            before = card.player["now"]
            until(lambda: card.player["now"] > before + 1.5, "it plays on")
        browser.hover(card.map, 0.694)
        browser.hover(card.map, 0.7)
        browser.run("document.querySelector('video').currentTime = 0.29 * document.querySelector('video').duration")
        kinds = lambda: {one["purpose"] for one in card.drawn["inFlight"]}
        until(lambda: len(kinds()) > 1 and not card.player["seeking"], "reads and what is read ahead are under way")
        box = browser.run("const box = document.querySelector('article').getBoundingClientRect(); return [box.bottom + scrollY]")
        clip = {"x": 0, "y": 0, "width": 1000, "height": box[0] + 14, "scale": 1}
        made = browser.screenshot("page", whole=False, format="webp", quality=80, captureBeyondViewport=True, clip=clip)
        browser.silent()
    size = os.path.getsize(made)
    expect(size <= MOST, f"the picture has {size} bytes")
    shutil.copyfile(made, picture)
    print(f"{picture}: {size} bytes")


def main():
    if sys.argv[1] == "--inside":
        return take(*sys.argv[2:])
    with tempfile.TemporaryDirectory() as near:
        os.makedirs(f"{near}/www")
        film(f"{near}/www/film.mp4", "640x360", 3000, loops=20, source="mandelbrot=s=640x360:r=24:maxiter=500")
        with link(near, **LINK):
            at_the_near_end(__file__, os.path.abspath(sys.argv[1]), near, os.path.abspath(sys.argv[2]))


if __name__ == "__main__":
    run(main)
