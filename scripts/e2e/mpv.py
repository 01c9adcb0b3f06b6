#!/usr/bin/env python3
"""Drives mpv over its JSON IPC.

mpv.py check FILE URL: plays and seeks both; each position of URL is where it was asked for, and where FILE's is.
mpv.py seeks PLACE --label TEXT: a line of JSON for each seek, with the time until playback goes on.
"""

import argparse
import json
import random
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 60  # seconds until something that must happen counts as hung
SEED = 5  # of the order of seeks: each arm has the same


class Failed(Exception):
    """What must not happen did."""


class Mpv:
    """An mpv without picture and sound, but in real time."""

    def __init__(self):
        self.log = tempfile.NamedTemporaryFile("r", prefix="mpv-", suffix=".log")
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        theirs.set_inheritable(True)
        self.process = subprocess.Popen(
            ["mpv", "--no-config", "--idle", "--vo=null", "--ao=null", "--no-terminal", "--keep-open=yes",
             "--osd-level=0", f"--log-file={self.log.name}", f"--input-ipc-client=fd://{theirs.fileno()}"],
            pass_fds=[theirs.fileno()])
        theirs.close()
        self.lines = ours.makefile("r", encoding="utf-8", errors="replace")
        self.socket = ours
        self.number = 0
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.process.kill()
        self.process.wait()
        self.log.close()

    def message(self):
        try:
            line = self.lines.readline()
        except TimeoutError:
            raise Failed(f"nothing from mpv for {PATIENCE} s; its log ends:\n{self.log_end()}") from None
        if not line:
            raise Failed(f"mpv is gone; its log ends:\n{self.log_end()}")
        return json.loads(line)

    def command(self, *words):
        """The answer's data; events that come before it are kept."""
        self.number += 1
        self.socket.sendall(json.dumps({"command": words, "request_id": self.number}).encode() + b"\n")
        while True:
            message = self.message()
            if "event" in message:
                self.events.append(message)
            elif message.get("request_id") == self.number:
                if message["error"] != "success":
                    raise Failed(f"{words}: {message['error']}")
                return message.get("data")

    def wait(self, name):
        """The next event of that name; those before it are dropped."""
        while True:
            event = self.events.pop(0) if self.events else self.message()
            if event.get("event") == "end-file" and name != "end-file":
                raise Failed(f"playback ended: {event}\n{self.log_end()}")
            if event.get("event") == name:
                return event

    def get(self, name):
        return self.command("get_property", name)

    def load(self, place):
        """Seconds from the command until it plays."""
        began = time.monotonic()
        self.command("loadfile", place)
        self.wait("playback-restart")
        return time.monotonic() - began

    def seek(self, target):
        """Seconds from the command until playback goes on there."""
        self.events.clear()
        began = time.monotonic()
        self.command("seek", target, "absolute")
        self.wait("seek")
        self.wait("playback-restart")
        return time.monotonic() - began

    def play(self, seconds):
        """Until that much more of it was played."""
        goal = self.get("time-pos") + seconds
        self.command("observe_property", 1, "time-pos")
        while True:
            event = self.wait("property-change")
            if event["name"] == "time-pos" and (event.get("data") or 0) >= goal:
                break
        self.command("unobserve_property", 1)

    def complaints(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            return [line.rstrip() for line in log if "][e][" in line or "][f][" in line]

    def log_end(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-25:])


def positions(place, targets):
    """Where mpv is after each seek, while it pauses; then it plays on."""
    with Mpv() as mpv:
        mpv.command("set_property", "pause", True)
        mpv.load(place)
        found = []
        for share in targets:
            target = share * mpv.get("duration")
            mpv.seek(target)
            found.append((target, mpv.get("time-pos")))
        mpv.command("set_property", "pause", False)
        mpv.play(0.5)
        if complaints := mpv.complaints():
            raise Failed("\n".join(complaints))
        return found


def check(arguments):
    targets = [0.5, 0.1, 0.9, 0.25, 0.26, 0.75, 0.02, 0.6]
    ours, wanted = positions(arguments.url, targets), positions(arguments.file, targets)
    for (target, position), (_, right) in zip(ours, wanted):
        # A tenth of a second is two frames and a half, or four packets of sound. mpv keeps what came over a network in a cache, and seeks
        # in that: it may come out a packet beside.
        if abs(position - target) > 0.1 or abs(position - right) > 0.05:
            raise Failed(f"sought {target:.3f} s, is at {position:.3f} s, with the file itself at {right:.3f} s")
    print(f"plays; {len(targets)} seeks led where they should")


def seeks(arguments):
    """Each seek goes to a part of the file where nobody was yet."""
    chance = random.Random(SEED)
    parts = list(range(1, arguments.seeks + 1))
    chance.shuffle(parts)
    with Mpv() as mpv:
        load = mpv.load(arguments.place)
        mpv.play(arguments.play)
        for number, part in enumerate(parts):
            target = (part + 0.4 * chance.random()) / (arguments.seeks + 1.5) * mpv.get("duration")
            at = time.time()  # as nginx logs it
            took = mpv.seek(target)
            mpv.play(arguments.play)
            line = {"label": arguments.label, "seek": number, "at": round(at, 3), "target_s": round(target, 2), "ms": round(took * 1e3, 1)}
            if number == 0:
                line["load_ms"] = round(load * 1e3, 1)
            print(json.dumps(line), flush=True)
        if complaints := mpv.complaints():
            raise Failed("\n".join(complaints))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("check")
    command.add_argument("file")
    command.add_argument("url")
    command.set_defaults(run=check)
    command = commands.add_parser("seeks")
    command.add_argument("place")
    command.add_argument("--label", default="")
    command.add_argument("--seeks", type=int, default=14)
    command.add_argument("--play", type=float, default=0.5, help="seconds played after each seek")
    command.set_defaults(run=seeks)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except Failed as failed:
        sys.exit(f"mpv: {failed}")


main()
