"""Compares a CSV file, plain or compressed, with the rows that it should hold, through four readers and tools."""

import gzip
import json
import shutil
import subprocess
import sys

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.csv

COLUMNS = {
    "inode": "inode",
    "parent-inode": "parent_inode",
    "directory-depth": "depth",
    "filename": "path",
    "UID": "uid",
    "st_size": "size",
    "st_dev": "dev",
    "st_blocks": "blocks",
}


def check(reader, rows, expected):
    rows = [tuple(map(str, row)) for row in rows]
    assert len(rows) == len(expected), f"{reader}: {len(rows)} rows, not {len(expected)}"
    for got, want in zip(rows, expected):
        assert got == want, f"{reader}: {got!r}, not {want!r}"
    print(f"{reader}: {len(rows)} rows")


def main():
    path, expect = sys.argv[1:]
    with open(expect, encoding="utf-8") as lines:
        expected = [json.loads(line) for line in lines]
    expected = [tuple(str(row[name]) for name in COLUMNS.values()) for row in expected]
    names = list(COLUMNS)

    select = ", ".join(f'"{n}"' for n in names)
    check("duckdb", duckdb.sql(f"select {select} from '{path}'").fetchall(), expected)
    text = pyarrow.csv.ConvertOptions(column_types={n: pyarrow.string() for n in names}, include_columns=names)
    table = pyarrow.csv.read_csv(path, convert_options=text)
    check("pyarrow", zip(*(table[n].to_pylist() for n in names)), expected)
    check("polars", polars.read_csv(path, infer_schema=False).select(names).rows(), expected)
    check("pandas", pandas.read_csv(path, dtype=str)[names].itertuples(index=False), expected)

    if path.endswith(".gz"):
        with gzip.open(path) as file:
            assert file.read().count(b"\n") == len(expected) + 1
    tool = {"gz": "gzip", "zst": "zstd"}.get(path.rsplit(".", 1)[1])
    if tool and shutil.which(tool):
        lines = subprocess.run([tool, "-dc", path], check=True, capture_output=True).stdout.count(b"\n")
        assert lines == len(expected) + 1, f"{tool}: {lines} lines"


main()
