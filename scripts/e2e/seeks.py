#!/usr/bin/env python3
"""Prints the table of what seeks.sh measured, and whether it is as docs/PLAYERS.md promises: seeks.py FILE [--only CONTAINER]."""

import argparse
import json
import sys
from statistics import median

ARMS = ["local", "alone", "through", "again"]


def tenth_slowest(values):
    """The 90th percentile, by nearest rank."""
    ordered = sorted(values)
    return ordered[-(-9 * len(ordered) // 10) - 1]


def row(name, arms):
    local, alone, through = (median(arms[arm]) for arm in ARMS[:3])
    share = (through - local) / (alone - local) if alone > local else float("nan")
    cells = [f"{median(arms[arm]):.0f} / {tenth_slowest(arms[arm]):.0f}" for arm in ARMS]
    print(f"| {name} | {' | '.join(cells)} | {share:.2f} | {tenth_slowest(arms['through']) / tenth_slowest(arms['alone']):.2f} |")
    return local, alone, through


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--only")
    arguments = parser.parse_args()
    seeks, requests = {}, {}
    for line in map(json.loads, open(arguments.file, encoding="utf-8")):
        if "ms" in line:
            seeks.setdefault(line["container"], {}).setdefault(line["label"], []).append(line["ms"])
        elif "requests" in line:
            requests[line["container"]] = line["requests"]
    if arguments.only:
        seeks = {arguments.only: seeks[arguments.only]}
    print("| container | file, ms (p50 / p90) | alone | through us | again, stored | added time, of alone's | p90, of alone's |")
    print("|---|---|---|---|---|---|---|")
    sums, missed = [0, 0, 0], []
    for container, arms in seeks.items():
        medians = row(container, arms)
        sums = [total + part for total, part in zip(sums, medians)]
        if medians[2] > 1.05 * medians[1] + 5:
            missed.append(f"{container}: through us it takes longer than alone")
        late = [(local, again) for local, again in zip(arms["local"], arms["again"]) if again > 1.1 * local + 5]
        if late:
            worst = max(again - local for local, again in late)
            missed.append(f"{container}: stored, {len(late)} of {len(arms['again'])} seeks take longer than the file's, by up to {worst:.0f} ms")
        if requests.get(container):
            missed.append(f"{container}: {requests[container]} requests though all is stored")
    if not arguments.only:
        everything = {arm: [ms for arms in seeks.values() for ms in arms[arm]] for arm in ARMS}
        row("all seeks", everything)
        share = (sums[2] - sums[0]) / (sums[1] - sums[0])
        print(f"\nadded time, medians of all containers: {share:.2f} of alone's")
        if share > 0.6:
            missed.append(f"added time is {share:.2f} of alone's, not 0.6")
        if tenth_slowest(everything["through"]) > 0.5 * tenth_slowest(everything["alone"]):
            missed.append("the 90th percentile of all seeks is more than half of alone's")
    for line in missed:
        print(f"MISSED: {line}")
    # Times depend on the machine; this does not.
    if any(requests.values()):
        sys.exit(1)


main()
