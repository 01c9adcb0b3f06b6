"""Compares what `scripts/against.sh` has run: `against.py RUNS THRESHOLD`. Ends with 1 where this tree is slower."""

import re
import statistics
import sys
from pathlib import Path

UNITS = {"ps": 1e-12, "ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}
# Of a line of the simulator: what is worse when it is more, after link, workload and policy.
CELLS = ["open", "first p50", "p90", "max", "all p50", "stalls", "stalled", "longest", "MB", "requests", "connections"]
# Below that a difference in a cell says nothing, in its own unit.
LEAST = 1.0


def measured(text):
    """Seconds of each benchmark of criterion: the middle one of its three."""
    # A long name stands on a line of its own.
    found = re.findall(r"^(\S.*?)\s+time:\s+\[\S+ \S+ (\S+) (\S+) \S+ \S+\]", text, re.MULTILINE)
    return {name: float(number) * UNITS[unit] for name, number, unit in found}


def cells(text):
    """The figures of each line of the simulator's table that is about this crate."""
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in text.splitlines()]
    return {
        f"{row[0]} {row[1]}: {what}": float(figure)
        for row in rows
        if len(row) == len(CELLS) + 3 and row[2] == "this crate"
        for what, figure in zip(CELLS, row[3:])
    }


def seconds(number):
    for unit in ("s", "ms", "µs"):
        if number >= UNITS[unit]:
            return f"{number / UNITS[unit]:.3g} {unit}"
    return f"{number / UNITS['ns']:.3g} ns"


def main(runs, threshold):
    allowed, worse, rounds = 1 + threshold / 100, [], {}
    for path in sorted(Path(runs).glob("now.*")):
        then = path.with_name("then" + path.name[3:])
        read = cells if path.name.split(".")[1] == "sim" else measured
        now, before = read(path.read_text()), read(then.read_text() if then.exists() else "")
        for name in now.keys() & before.keys():
            rounds.setdefault((read is measured, name), []).append((now[name], before[name]))
    if not rounds:
        print("nothing to compare: neither has what the other has")
        return 2
    print("| what | before | now | ratio (median) | rounds above the threshold |\n|---|---:|---:|---:|---:|")
    for (is_time, name), pairs in sorted(rounds.items()):
        show = seconds if is_time else "{:g}".format
        now, before = (statistics.median(side) for side in zip(*pairs))
        if not is_time and abs(now - before) < LEAST:
            if now != before:
                print(f"| {name} | {show(before)} | {show(now)} | differs | |")
            continue
        ratios = [a / b if b else float("inf") for a, b in pairs]
        ratio, above = statistics.median(ratios), sum(ratio > allowed for ratio in ratios)
        print(f"| {name} | {show(before)} | {show(now)} | {ratio:.2f} | {above} of {len(pairs)} |")
        if ratio > allowed and above * 2 > len(pairs):
            worse.append(name)
    print(f"\n{len(worse)} of {len(rounds)} figures are worse by more than {threshold:g} %")
    for name in worse:
        print(f"  slower: {name}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
