"""Compares a Parquet file with the rows that it should hold, through four readers."""

import json
import sys

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet

TIMES = ("atime", "mtime", "ctime", "btime")


def check(reader, columns, expected):
    rows = len(next(iter(columns.values())))
    assert rows == len(expected), f"{reader}: {rows} rows, not {len(expected)}"
    for name, values in columns.items():
        for row, (got, want) in enumerate(zip(values, expected)):
            assert got == want[name], f"{reader}: {name} of row {row} is {got!r}, not {want[name]!r}"
    print(f"{reader}: {rows} rows, {len(columns)} columns")


def main():
    path, expect = sys.argv[1:]
    with open(expect, encoding="utf-8") as lines:
        expected = [json.loads(line) for line in lines]
    for row in expected:
        if row["path_bytes"] is not None:
            row["path_bytes"] = bytes(row["path_bytes"])
    names = list(expected[0])

    table = pyarrow.parquet.read_table(path)
    for name in TIMES:
        assert table.schema.field(name).type == pyarrow.timestamp("ns", tz="UTC"), table.schema.field(name)
    plain = {n: table[n].cast(pyarrow.int64()) if n in TIMES else table[n] for n in names}
    check("pyarrow", {n: c.to_pylist() for n, c in plain.items()}, expected)
    assert set(table["user"].to_pylist()) >= {"root", None}, "user 0 has a name, 4,000,000 has none"
    assert json.loads(table.schema.metadata[b"pwalk.roots"]) == ["/data"]
    assert table.schema.metadata[b"pwalk.verdict"] == b"PARTIAL"

    frame = polars.read_parquet(path)
    assert all(frame.schema[n] == polars.Datetime("ns", "UTC") for n in TIMES), frame.schema
    frame = frame.select(polars.col(n).to_physical() if n in TIMES else polars.col(n) for n in names)
    check("polars", {n: frame[n].to_list() for n in names}, expected)

    select = ", ".join(f'epoch_ns("{n}")' if n in TIMES else f'"{n}"' for n in names)
    duckdb.sql("set preserve_insertion_order = true")
    for prefetch in ("false", "true"):
        duckdb.sql(f"set prefetch_all_parquet_files = {prefetch}")
        rows = duckdb.sql(f"select {select} from read_parquet('{path}')").fetchall()
        check(f"duckdb, prefetch {prefetch}", dict(zip(names, zip(*rows))), expected)
    verdict = duckdb.sql(f"select value from parquet_kv_metadata('{path}') where key = 'pwalk.verdict'").fetchall()
    assert verdict[0][0] == b"PARTIAL", verdict
    big = duckdb.sql(f"select count(*) from '{path}' where size > 1000000000 and mtime < '2020-01-01'").fetchall()[0][0]
    limit = 1_577_836_800 * 10**9
    assert big == sum(r["size"] > 10**9 and r["mtime"] < limit for r in expected), "row groups pruned wrongly"

    frame = pandas.read_parquet(path, dtype_backend="pyarrow")
    columns = {n: frame[n].astype("int64[pyarrow]") if n in TIMES else frame[n] for n in names}
    columns = {n: [None if v is pandas.NA else v for v in c] for n, c in columns.items()}
    check("pandas", columns, expected)


main()
