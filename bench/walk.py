#!/usr/bin/env python3
"""Times os.walk, pwalk.walk and, if it is installed, scandir_rs.Walk on TREE, in turn: bench/walk.py TREE [RUNS].

Prints medians and the ratio to os.walk, run by run.
"""

import os
import statistics
import sys
import time

import pwalk


def seconds(walk, tree):
    begun = time.perf_counter()
    for _ in walk(tree):
        pass
    return time.perf_counter() - begun


def main():
    tree, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    walks = {"os.walk": os.walk, "pwalk.walk": pwalk.walk, "pwalk.walk, 1 thread": lambda top: pwalk.walk(top, max_threads=1)}
    try:
        import scandir_rs

        walks["scandir_rs.Walk"] = scandir_rs.Walk
    except ImportError:
        pass
    rows = [{name: seconds(walk, tree) for name, walk in walks.items()} for _ in range(runs)]
    for name in walks:
        median = statistics.median(row[name] for row in rows)
        ratio = statistics.median(row["os.walk"] / row[name] for row in rows)
        print(f"{median:9.4f} s  {ratio:6.2f} x as fast as os.walk  {name}")


main()
