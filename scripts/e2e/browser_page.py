"""The page at `/` in Chromium: a film and a WAV played and scrubbed through it, the map, the figures, the knobs.

usage: browser_page.py PROGRAM FOLDER     screenshots and logs go to FOLDER
"""

import os
import shutil
import sys
import tempfile
import time

from selenium.webdriver.common.keys import Keys

from browser import PATIENCE, Browser, Failure, expect, until
from browser_stage import film, knobs_of, nginx, program, run, state_of, step, text_of

SOON = 3  # seconds in which a newcomer sees the map move


class Card:
    """One medium on the page."""

    def __init__(self, browser, page, name):
        self.browser, self.page, self.name = browser, page, name

    @property
    def drawn(self):
        """What its map was drawn from last."""
        return self.browser.run("return window.kithara?.media.find((it) => it.name === arguments[0])?.open", self.name)

    @property
    def map(self):
        return self.browser.find("canvas.map")

    def pixels(self):
        return self.browser.run("return document.querySelector('canvas.map').toDataURL()")

    @property
    def player(self):
        return self.browser.run("""const it = document.querySelector('video, audio');
            return it && {now: it.currentTime, duration: it.duration, seeking: it.seeking, paused: it.paused, ready: it.readyState,
                error: it.error && it.error.message, tag: it.localName}""")

    def play(self, tag):
        self.browser.click(self.browser.find(".player button"))
        self.runs()
        expect(self.player["tag"] == tag, f"{self.name} is played by <{self.player['tag']}>")

    def runs(self):
        """It plays: its clock goes on."""
        def looked():
            player = self.player
            if player and player["error"]:
                raise Failure(f"{self.name} does not play: {player['error']}")
            return player and player["ready"] >= 2 and not player["seeking"] and player
        before = until(looked, f"{self.name} is ready")["now"]
        until(lambda: self.player["now"] > before, f"{self.name} plays on after {before} s")

    def at(self, seconds, slack=4.0):
        """The player came to that place, and plays from there. It has played a bit since, so later is as well."""
        def there():
            player = self.player
            return not player["seeking"] and -1.5 < player["now"] - seconds < slack
        until(there, f"{self.name} at {seconds} s, not at {self.player}")
        self.runs()

    def figures(self):
        return self.browser.run("""return {text: document.querySelector('figcaption').textContent,
            bars: document.querySelector('canvas.waits').dataset.bars,
            rows: [...document.querySelectorAll('dl > div')].map((row) => row.textContent)}""")


def moves(card, since, what):
    """The map is drawn from other data than before, and looks other, in the time in which a newcomer loses patience."""
    first, picture = until(lambda: card.drawn, "a map", SOON), card.pixels()
    watched = ("covered", "cursors", "inFlight")
    until(lambda: any(card.drawn[key] != first[key] for key in watched) and card.pixels() != picture, f"{what}: the map moves",
          max(0.0, SOON - (time.monotonic() - since)))
    print(f"the map moved {time.monotonic() - since:.1f} s after {what}")


def scrubs(card):
    """Clicks, a drag and keys move the player; what the seeks cost is shown."""
    browser, long = card.browser, card.player["duration"]
    before = state_of(card.page, card.name)["open"]["seekCount"]
    for place in (0.8, 0.3, 0.62):
        browser.click(card.map, place)
        card.at(place * long, slack=max(4.0, long / 100))
    browser.drag(card.map, 0.62, 0.45)
    card.at(0.45 * long, slack=max(4.0, long / 100))
    browser.keys(card.map, Keys.END)
    card.at(long - 10)
    browser.keys(card.map, Keys.HOME)
    card.at(0)
    browser.keys(card.map, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    card.at(20)
    browser.keys(card.map, Keys.ARROW_LEFT)
    card.at(10)
    open_now = until(lambda: (now := state_of(card.page, card.name)["open"])["seekCount"] > before and now, "seeks are counted")
    until(lambda: card.drawn["seekCount"] >= open_now["seekCount"], "the page knows of them")
    figures = card.figures()
    expect("median" in figures["text"] and " ms" in figures["text"], f"no latency is told: {figures['text']}")
    expect(sum(map(int, figures["bars"].split())) == min(card.drawn["seekCount"], 256), f"bars {figures['bars']}")
    expect(len(figures["rows"]) >= 8, f"figures: {figures['rows']}")
    expect(len(card.drawn["covered"]) > 1 or card.drawn["complete"], "seeks leave parts on the map")
    print(f"{card.name}: {figures['text']}")


def hints(card):
    """Where the pointer rests, something is fetched before anybody clicks."""
    def covers(place):
        # A pixel to either side: the pointer stands on whole ones.
        pixel = 1 / card.map.size["width"]
        first, last = (place - pixel) * card.drawn["len"], (place + pixel) * card.drawn["len"]
        return any(start < last and first < end for start, end in card.drawn["covered"])
    place = next((n / 50 for n in range(48, 2, -1) if not covers(n / 50)), None)
    expect(place, "all of the film is there already: nothing is left to hint at")
    card.browser.hover(card.map, place - 0.01)
    card.browser.hover(card.map, place)
    until(lambda: covers(place), f"what is under the pointer, at {place}, comes")
    under = card.browser.run("return document.querySelector('.under').textContent")
    expect(":" in under, f"no time is shown under the pointer: {under!r}")


def turns_knobs(card):
    """A knob that is turned on the page is turned in the engine, and the window follows."""
    browser, before = card.browser, knobs_of(card.page)
    browser.keys(browser.find("input[name=maxFetches]"), Keys.ARROW_LEFT)
    until(lambda: knobs_of(card.page)["maxFetches"] == before["maxFetches"] - 1, "fewer requests at once")
    browser.keys(browser.find("input[name=minWindow]"), Keys.HOME)
    browser.keys(browser.find("input[name=maxWindow]"), Keys.HOME)
    until(lambda: knobs_of(card.page)["maxWindow"] == 1 << 20, "the largest window is 1 MiB")
    until(lambda: state_of(card.page, card.name)["open"]["window"] <= 1 << 20, "the window in use follows")
    browser.click(browser.find("input[name=hedging]"))
    until(lambda: knobs_of(card.page)["hedging"] != before["hedging"], "the switch is turned")
    # What cannot be is refused in words, and the knob goes back.
    browser.keys(browser.find("input[name=minWindow]"), Keys.END)
    refused = until(lambda: browser.run("return document.querySelector('#refused').textContent"), "words for what cannot be")
    expect(knobs_of(card.page)["minWindow"] == 1 << 18, f"refused ({refused}), and turned all the same")
    shown = "return 2 ** Number(document.querySelector('input[name=minWindow]').value)"
    until(lambda: browser.run(shown) == 1 << 18, "the knob goes back")
    browser.driver.get_log("browser")  # that answer is logged as failed: rightly
    browser.keys(browser.find("input[name=maxWindow]"), Keys.END)
    until(lambda: knobs_of(card.page)["maxWindow"] == 1 << 30, "and up again")
    # The server has it before its answer is there.
    words = "return document.querySelector('#refused').textContent"
    until(lambda: browser.run(words) == "", "old words go")


def looks(browser, name):
    """Its look at both widths, light and dark."""
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        for width in (400, 1400):
            browser.resize(width, 900)
            fits = "return document.querySelector('canvas.map').width === document.querySelector('canvas.map').clientWidth"
            until(lambda: browser.run(fits), "the map is drawn anew at its new width")
            browser.fits()
            print(browser.screenshot(f"{name}-{width}-{scheme}"))
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    expect(sum(int(part) for part in ground[4:-1].split(",")) < 200, f"dark is {ground}")
    browser.scheme("light")


def film_through_serve(binary, origin, store, folder):
    step("the page of serve: a film plays and scrubs, knobs turn, hints are sent")
    command = [binary, "serve", f"{origin}/film.mp4", "--store", store]
    with program(command, f"{folder}/serve.log") as page, Browser(folder) as browser:
        print(f"Chromium {browser.version}")
        card = Card(browser, page, "film.mp4")
        browser.open(page)
        browser.find(".player button")
        browser.screenshot("film-before")
        pressed = time.monotonic()
        card.play("video")
        moves(card, pressed, "pressing Play")
        scrubs(card)
        hints(card)
        looks(browser, "film")
        browser.silent()
        turns_knobs(card)
        browser.silent()


def wav_through_demo(binary, folder):
    step("the page of demo: the map moves by itself, and its WAV plays and scrubs")
    with program([binary, "demo"], f"{folder}/demo.log") as page, Browser(folder) as browser:
        card = Card(browser, page, "music.wav")
        browser.open(page)
        moves(card, time.monotonic(), "opening the page")
        browser.screenshot("demo-moving")
        until(lambda: "yourself" in text_of(f"{folder}/demo.log"), "the demo's report is out", 2 * PATIENCE)
        browser.open(page)
        moves(card, time.monotonic(), "opening the page late")
        card.play("audio")
        scrubs(card)
        looks(browser, "demo")
        browser.silent()


def main():
    binary, folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with tempfile.TemporaryDirectory() as temporary:
        os.makedirs(f"{temporary}/www")
        film(f"{temporary}/www/film.mp4", "640x360", 2000, loops=30)
        with nginx(temporary) as origin:
            film_through_serve(binary, origin, f"{temporary}/store", folder)
        wav_through_demo(binary, folder)


if __name__ == "__main__":
    run(main)
