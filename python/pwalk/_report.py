"""The function ``report`` and its result."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from . import _pwalk
from ._options import Path, how_to_walk, paths, unreadable, whole


class Report(tuple[str, "list[Any]"]):
    """What a report came to: unpacks as ``(output, errors)``.

    output: the path of the file, str.
    errors: the paths that could not be read, str or bytes as the top was given.
    entries, directories, bytes: how many rows there are, how many of them are directories, and the sum of all sizes.
    verdict: ``"COMPLETE"`` or ``"PARTIAL"``.
    seconds: how long it took.
    ledger: the path of the file that says what could not be read and why, or None.
    """

    entries: int
    directories: int
    bytes: int
    verdict: str
    seconds: float
    ledger: str | None

    def __new__(cls, output: str, errors: list[Any], details: dict[str, Any]) -> Report:
        """Made by ``report``."""
        made = super().__new__(cls, (output, errors))
        made.__dict__.update(details)
        return made

    @property
    def output(self) -> str:
        """The path of the file."""
        return self[0]

    @property
    def errors(self) -> list[Any]:
        """The paths that could not be read."""
        return self[1]

    def __reduce__(self) -> tuple[type[Report], tuple[str, list[Any], dict[str, Any]]]:
        return Report, (self[0], self[1], dict(vars(self)))

    def __repr__(self) -> str:
        details = "".join(f", {name}={value!r}" for name, value in vars(self).items())
        return f"Report(output={self[0]!r}, errors={self[1]!r}{details})"


def report(
    top: Path | Sequence[Path],
    output: Path | None = None,
    *,
    format: str | None = None,
    compress: str = "auto",
    max_threads: int | None = None,
    ignore_snapshots: bool = True,
    progress: Callable[[int, int, int, int, Any], object] | None = None,
    level: int | None = None,
    header: bool = True,
    exclude: str | Sequence[str] = (),
    depth: int | None = None,
    one_file_system: bool = False,
    follow_links: bool = False,
    max_iops: int | None = None,
    buffer_threshold: object = None,
) -> Report:
    """Write the metadata of every entry of a tree to a file, for DuckDB and everything that reads CSV or Parquet.

    *top*: the directory, or a list of several for one scan; str, bytes or ``os.PathLike``.
    *output*: the file; ``scan.csv.zst`` by default (``scan.csv.gz``, ``scan.csv``, ``scan.parquet`` if *compress* or *format*
    say so). It appears under its name when it is complete.
    *format*: ``"csv"`` (the classic pwalk CSV) or ``"parquet"``; by default what the name of the file says.
    *compress*: how CSV is compressed: ``"zstd"``, ``"gzip"``, ``"none"``, or ``"auto"``: as the name says. A missing suffix
    ``.zst`` or ``.gz`` is added. *level*: zstd -7 to 22, gzip 0 to 9, Parquet 1 to 22.
    *header*: whether CSV has its header line.
    *max_threads*: how many threads read, 1 to 4096; by default as many as pay, measured while walking. The cores are those that
    SLURM (``SLURM_CPUS_ON_NODE``), the control group and the affinity mask leave to this process.
    *max_iops*: at most so many system calls a second.
    *ignore_snapshots*: leave out ``.snapshot`` directories and their like.
    *exclude*: patterns as in ``.gitignore`` of what to leave out. *depth*: read directories down to so many levels below
    the top. *one_file_system*: stay on the top's file system. *follow_links*: follow symbolic links.
    *progress*: called about five times a second with entries, directories, bytes, errors and a directory that is being
    read (or None). If it raises, or on Ctrl-C, the scan stops within a second, keeps what it has, marked PARTIAL, and the
    exception goes on.
    *buffer_threshold*: accepted for older programs; memory is bounded in any case.

    Returns a ``Report``, which unpacks as ``(output, errors)``. Raises ``ValueError`` for options that cannot be, and
    ``OSError`` if the top cannot be read at all or the output not be written.
    """
    del buffer_threshold
    if compress not in ("auto", "zstd", "gzip", "none"):
        raise ValueError(f"Invalid compress: {compress!r}; use 'auto', 'zstd', 'gzip' or 'none'")
    if format not in (None, "csv", "parquet"):
        raise ValueError(f"Invalid format: {format!r}; use 'csv' or 'parquet'")
    tops = paths(top)
    walking = how_to_walk(
        max_threads, max_iops, depth, exclude, one_file_system, follow_links, ignore_snapshots=ignore_snapshots
    )
    wishes = {
        "output": _output(_default_name(format, compress) if output is None else output),
        "format": format,
        "compress": compress,
        "level": whole("level", level, -100, 100),
        "header": bool(header),
        "progress": progress,
    }
    done = _pwalk.report(tops, wishes, walking)
    errors: list[Any] = []
    if done["ledger"] is not None:
        with open(done["ledger"], "rb") as ledger:
            errors = unreadable(ledger, tops[0])
    return Report(done.pop("output"), errors, done)


def _output(path: Path) -> str:
    output = os.fsdecode(path)
    if "\0" in output:
        raise ValueError(f"the output's name holds a NUL: {output!r}")
    return output


def _default_name(format: str | None, compress: str) -> str:
    if format == "parquet":
        return "scan.parquet"
    return {"gzip": "scan.csv.gz", "none": "scan.csv"}.get(compress, "scan.csv.zst")
