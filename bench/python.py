#!/usr/bin/env python3
"""Times the Python package, everything that is compared in turn:

bench/python.py walk TREE [RUNS]           os.walk, pwalk.walk and, if it is installed, scandir_rs.Walk
bench/python.py small [RUNS]               os.walk and pwalk.walk in a directory of 10 files, a thousand times a run
bench/python.py report TREE PWALK [RUNS]   the program PWALK, pwalk.report, and DuckDB on pwalk.scan

Prints medians and the ratio to the first, run by run. With --json, all times in seconds instead, a line for each
command: the form that `cargo xtask bench python` reads.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import pwalk


def exhaust(walk, top):
    for _ in walk(top):
        pass


def walks(tree):
    found = {
        "os.walk(T)": lambda: exhaust(os.walk, tree),
        "pwalk.walk(T)": lambda: exhaust(pwalk.walk, tree),
        "pwalk.walk(T, max_threads=1)": lambda: exhaust(lambda top: pwalk.walk(top, max_threads=1), tree),
    }
    with contextlib.suppress(ImportError):
        import scandir_rs

        found["scandir_rs.Walk(T)"] = lambda: exhaust(scandir_rs.Walk, tree)
    return found


def small(directory):
    for number in range(10):
        (pathlib.Path(directory) / f"file{number}").touch()

    def often(walk):
        for _ in range(1000):
            exhaust(walk, directory)

    return {"1,000 × os.walk(T)": lambda: often(os.walk), "1,000 × pwalk.walk(T)": lambda: often(pwalk.walk)}


def reports(tree, program, directory):
    import duckdb

    def command(name):
        output = os.path.join(directory, name)
        return lambda: subprocess.run([program, "report", tree, "-o", output, "--quiet"], check=True)

    def function(name):
        return lambda: pwalk.report(tree, os.path.join(directory, name))

    def query(sql):
        files = pwalk.scan(tree)  # noqa: F841: DuckDB finds it by its name
        duckdb.sql(sql).fetchall()

    def table():
        files = pwalk.scan(tree)  # noqa: F841
        with duckdb.connect() as memory:
            memory.sql("create table t as from files")

    return {
        "pwalk report T -o x.parquet": command("x.parquet"),
        "pwalk.report(T, 'x.parquet')": function("x.parquet"),
        "pwalk report T -o x.csv.zst": command("x.csv.zst"),
        "pwalk.report(T, 'x.csv.zst')": function("x.csv.zst"),
        "DuckDB: select count(*), sum(size) from pwalk.scan(T)": lambda: query("select count(*), sum(size) from files"),
        "DuckDB: create table t as from pwalk.scan(T)": table,
    }


def differences(old, new, program):
    import duckdb

    def diff():
        if subprocess.run([program, "diff", "--quiet", old, new]).returncode not in (0, 1):
            raise SystemExit("pwalk diff failed")

    def joined(columns, condition):
        with duckdb.connect() as memory:
            memory.sql("set threads = 2")
            side = " full outer join ".join(f"(select path, {columns} from '{file}') {name}" for file, name in ((old, "a"), (new, "b")))
            memory.sql(f"select count(*) from (select a.path p, b.path q from {side} on a.path = b.path {condition})").fetchall()

    compared = ("size", "mtime", "ctime", "mode", "uid", "gid", "inode")
    differ = " or ".join(f"a.{column} <> b.{column}" for column in compared)
    return {
        "pwalk diff A B": diff,
        "DuckDB: A full outer join B on path": lambda: joined("size", ""),
        "DuckDB: the same, where anything differs": lambda: joined(
            ", ".join(compared), f"where a.path is null or b.path is null or {differ}"
        ),
    }


def seconds(run):
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    commands = parser.add_subparsers(dest="what", required=True)
    for name, places in {"walk": ["tree"], "small": [], "report": ["tree", "program"], "diff": ["old", "new", "program"]}.items():
        command = commands.add_parser(name)
        for place in places:
            command.add_argument(place)
        command.add_argument("runs", type=int, nargs="?", default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as directory:
        if given.what == "walk":
            contenders = walks(given.tree)
        elif given.what == "small":
            contenders = small(directory)
        elif given.what == "diff":
            contenders = differences(given.old, given.new, given.program)
        else:
            contenders = reports(given.tree, given.program, directory)
        rows = [{label: seconds(run) for label, run in contenders.items()} for _ in range(given.runs)]
    first = next(iter(contenders))
    for label in contenders:
        if given.json:
            print(json.dumps({"label": label, "seconds": [row[label] for row in rows]}))
            continue
        median = statistics.median(row[label] for row in rows)
        ratio = statistics.median(row[first] / row[label] for row in rows)
        print(f"{median:9.4f} s  {ratio:6.2f} x as fast as {first}  {label}")


main()
