"""The function ``scan`` and its result."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

from . import _pwalk
from ._options import Path, Walking, how_to_walk, paths, unreadable


class PartialWarning(UserWarning):
    """Something could not be read, so that what was computed from a scan is not about everything."""


class Scan:
    """The metadata of every entry of a tree, for everything that reads Arrow.

    Nothing is read until a reader asks for the rows, and each reader that asks is given a new scan, as of a view in SQL.

    entries, directories, bytes: how many rows the last scan that was read to its end had, how many of them are directories,
    and the sum of all sizes; None before.
    errors: the paths that it could not read, str or bytes as the top was given.
    verdict: ``"COMPLETE"`` or ``"PARTIAL"``. In the second case a ``PartialWarning`` is given too.
    seconds: how long it took.
    """

    entries: int | None = None
    directories: int | None = None
    bytes: int | None = None
    errors: list[Any] | None = None
    verdict: str | None = None
    seconds: float | None = None

    def __init__(self, tops: list[Any], walking: Walking) -> None:
        """Made by ``scan``."""
        self._tops = tops
        self._walking = walking

    def __arrow_c_schema__(self) -> object:
        """The columns, through Arrow's PyCapsule interface."""
        return _pwalk.scan_schema()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A new scan, through Arrow's PyCapsule interface. Its columns are always the same."""
        return _pwalk.scan_stream(self._tops, self._walking, self._ended)

    def _ended(self, details: dict[str, Any]) -> None:
        """Takes what came of a scan that was read to its end."""
        details["errors"] = unreadable(details.pop("ledger").splitlines(), self._tops[0])
        self.__dict__.update(details)
        if self.verdict != "COMPLETE":
            count = len(details["errors"])
            message = f"{self!r}: PARTIAL: could not read {count} of its paths; they are in .errors"
            warnings.warn(message, PartialWarning, stacklevel=2)

    def __repr__(self) -> str:
        return f"pwalk.scan({', '.join(map(repr, self._tops))})"


def scan(
    top: Path | Sequence[Path],
    *,
    max_threads: int | None = None,
    ignore_snapshots: bool = True,
    exclude: str | Sequence[str] = (),
    depth: int | None = None,
    one_file_system: bool = False,
    follow_links: bool = False,
    max_iops: int | None = None,
) -> Scan:
    """Read the metadata of every entry of a tree as Arrow record batches, without a file.

    The result can be given to everything that takes an Arrow stream (``__arrow_c_stream__``):

    >>> files = pwalk.scan("/data")
    >>> duckdb.sql('SELECT "user", sum(size) FROM files GROUP BY ALL')
    >>> polars.DataFrame(files)
    >>> pyarrow.table(files)

    The columns are those of a Parquet report. Rows come while the walk goes on, in no order; a walk waits for a slow reader, so
    memory is bounded.

    *top*: the directory, or a list of several for one scan; str, bytes or ``os.PathLike``.
    *max_threads*: how many threads read, 1 to 4096; by default as many as pay, measured while walking. The cores are those that
    SLURM (``SLURM_CPUS_ON_NODE``), the control group and the affinity mask leave to this process.
    *max_iops*: at most so many system calls a second.
    *ignore_snapshots*: leave out ``.snapshot`` directories and their like.
    *exclude*: patterns as in ``.gitignore`` of what to leave out. *depth*: read directories down to so many levels below
    the top. *one_file_system*: stay on the top's file system. *follow_links*: follow symbolic links.

    Returns a ``Scan``, which has ``.verdict`` and ``.errors`` when it was read. Raises ``ValueError`` for options that cannot
    be, and ``OSError`` if no top is there.
    """
    tops = paths(top)
    walking = how_to_walk(
        max_threads, max_iops, depth, exclude, one_file_system, follow_links, ignore_snapshots=ignore_snapshots
    )
    _pwalk.scan_stream(tops, walking, print)
    failures = [failure for failure in map(_missing, tops) if failure is not None]
    if len(failures) == len(tops):
        raise failures[0]
    return Scan(tops, walking)


def _missing(top: str | bytes) -> OSError | None:
    try:
        os.stat(top)
    except OSError as error:
        return error
    return None
