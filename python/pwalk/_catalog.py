"""Catalogs: what changed in a tree, when, and how it was."""

from __future__ import annotations

import datetime
import json
import os
import warnings as _warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import _pwalk
from ._options import Path, how_to_walk, paths, whole
from ._pwalk import CatalogRows

_MOST = 2**63 - 1
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_TYPES = ("added", "removed", "modified", "metadata", "moved", "unseen", "bitrot")

Since = int | str | datetime.date | datetime.datetime


class RefusedError(Exception):
    """A scan was refused, and the catalog is as it was: the root is missing, empty or another directory, or most of it is gone.

    option: what ``Catalog.scan`` would have to be given: ``"accept_new_root"`` or ``"accept_mass_delete"``.
    """

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message, option)
        self.option = option

    def __str__(self) -> str:
        return str(self.args[0])


class Unread(NamedTuple):
    """What a run could not read.

    path: str, or bytes as the run's root is.
    operation: what was being done: ``"list"``, ``"stat"``, ``"open"`` …
    reason: the kind of trouble: ``"denied"``, ``"io"``, ``"timeout"`` …
    """

    path: Any
    operation: str
    reason: str


@dataclass(frozen=True)
class Run:
    """What one scan, or one verification, added to a catalog.

    id: its number; later runs have larger ones.
    root: the directory, as the catalog knows it; str, or bytes where bytes were given.
    kind: ``"scan"`` or ``"verify"``.
    started, finished: when, as times in UTC; started_ns, finished_ns: the same, exactly, in nanoseconds since 1970.
    verdict: ``"COMPLETE"``, or ``"PARTIAL"`` if something could not be read; ``Catalog.errors`` has that.
    entries, bytes: what was there, and the sum of all sizes; of a verification the files that were to be read.
    errors: how much could not be read.
    changes: of each type how many changes there are, and the sum of the sizes of what is no directory. Types are ``"added"``, ``"removed"``,
    ``"modified"``, ``"metadata"``, ``"moved"``, ``"unseen"`` and ``"bitrot"``.
    hashed_files, hashed_bytes: what was read for fingerprints.
    options: those that decide which entries there are. metadata: what was noted with the run.
    pruned: whether its changes are forgotten.
    warnings: what makes it less than it seems; only a run that was just made has them.
    """

    id: int
    root: Any
    kind: str
    started_ns: int
    finished_ns: int
    verdict: str
    entries: int
    bytes: int
    errors: int
    changes: dict[str, tuple[int, int]] = field(hash=False)
    hashed_files: int
    hashed_bytes: int
    options: dict[str, Any] = field(hash=False)
    metadata: dict[str, str] = field(hash=False)
    pruned: bool
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def started(self) -> datetime.datetime:
        """When it began."""
        return _EPOCH + datetime.timedelta(microseconds=self.started_ns // 1000)

    @property
    def finished(self) -> datetime.datetime:
        """When it was published."""
        return _EPOCH + datetime.timedelta(microseconds=self.finished_ns // 1000)

    def __str__(self) -> str:
        """The summary for people."""
        found = [f"{self.changes[name][0]:,} {name}" for name in _TYPES if self.changes[name][0]]
        lines = [
            f"{self.verdict}: run {self.id} of {os.fsdecode(self.root)!r}: {', '.join(found) or 'no changes'}",
            f"  {self.entries:,} entries, {self.bytes:,} bytes",
        ]
        if self.hashed_files:
            lines.append(f"  read {self.hashed_files:,} files, {self.hashed_bytes:,} bytes")
        if self.errors:
            lines.append(f"  {self.errors:,} could not be read, see Catalog.errors({self.id})")
        lines += [f"  {warning}" for warning in self.warnings]
        return "\n".join(lines)


class Catalog:
    """A sequence of scans of directories, and what changed between them: what ``pwalk track`` keeps.

    >>> catalog = pwalk.Catalog("/var/lib/catalog")
    >>> print(catalog.scan("/data", fingerprint="new"))
    >>> changes = catalog.changes(since="7d")
    >>> duckdb.sql("SELECT change_type, count(*) FROM changes GROUP BY ALL")
    >>> polars.DataFrame(catalog.report(by="user", period="week"))

    *where*: a directory, which is made if it is not there (str, bytes or ``os.PathLike``); a database, as ``postgresql://USER@HOST/DATABASE`` or
    ``host=… dbname=…`` (what that does not say, ``PG*`` variables and ``~/.pgpass`` do); None: the catalog that ``pwalk track`` uses, which its
    settings name (nothing else of them counts here), else ``$XDG_DATA_HOME/pwalk/catalog``. *init*: have the tables made in a database, or brought up to date, as
    ``pwalk track init`` does; nothing is dropped.

    Nothing is kept open between calls. Calls may come from several threads, and from child processes; one root is scanned by one at a time. A Ctrl-C
    ends a call with the catalog as it was.

    Methods raise ``LookupError`` for what the catalog does not know, ``ValueError`` and ``TypeError`` for arguments that cannot be, and
    ``OSError`` if the catalog cannot be read or written.
    """

    def __init__(self, where: Path | None = None, *, init: bool = False) -> None:
        named = None if where is None else _one("where", where)
        if not isinstance(where, str) and named is not None:
            # Only text can be a URL; a path that looks like one is a path.
            named = os.fsencode(named)
        self._place: _pwalk.CatalogPlace | None = _pwalk.CatalogPlace(named)
        self._location = self._place.location()
        for warning in self._place.warnings:
            _warnings.warn(warning, stacklevel=2)
        self._place.create(bool(init))

    @property
    def location(self) -> str:
        """The directory, or which database it is; without a password."""
        return self._location

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets no more calls through. What was given out before can still be read."""
        self._place = None

    def __repr__(self) -> str:
        return f"pwalk.Catalog({self._location!r})"

    @property
    def _open(self) -> _pwalk.CatalogPlace:
        if self._place is None:
            raise ValueError(f"{self!r} is closed")
        return self._place

    def scan(
        self,
        root: Path,
        *,
        fingerprint: str = "none",
        hash: str = "blake3",
        hash_threads: int | None = None,
        max_bytes_per_sec: int | None = None,
        metadata: Mapping[str, str] | None = None,
        accept_new_root: bool = False,
        accept_mass_delete: bool = False,
        max_threads: int | None = None,
        ignore_snapshots: bool = True,
        exclude: str | Sequence[str] = (),
        depth: int | None = None,
        one_file_system: bool = False,
        follow_links: bool = False,
        max_iops: int | None = None,
        progress: Callable[[int, int, int, int, Any], object] | None = None,
    ) -> Run:
        """Scan a directory and add what changed since the last time; the first scan adds everything.

        >>> run = catalog.scan("/data", exclude="*.tmp", metadata={"ticket": "4711"})
        >>> run.verdict, run.changes["added"]
        ('COMPLETE', (3, 4096))

        *root*: the directory; str, bytes or ``os.PathLike``.
        *fingerprint*: which files are read for digests of their content: ``"none"``, ``"new"`` (what is new or may have changed), ``"all"`` (every file,
        which tells bit rot), ``"sample"`` (as new, but of large files only samples). *hash*: ``"blake3"`` or ``"xxh3"``.
        *hash_threads*: how many threads read files, 1 to 1024; by default as many as there are cores. *max_bytes_per_sec*: at most so much a second.
        *metadata*: what to note with the run.
        *accept_new_root*: go on although the directory is missing, empty, or another one than last time.
        *accept_mass_delete*: go on although more than half of the entries are gone.
        *max_threads*, *ignore_snapshots*, *exclude*, *depth*, *one_file_system*, *follow_links*, *max_iops*: as of ``pwalk.report``.
        *progress*: called about five times a second with entries, directories, bytes, errors and a directory that is being read (or None), in
        this thread. What it raises ends the scan.

        Returns a ``Run``. What could not be read makes it PARTIAL; what is there stays as it was known, and is told of as unseen. Raises
        ``RefusedError`` if the root is not what it was, ``BlockingIOError`` if it is being scanned already, and the ``OSError`` that
        says why it cannot be read at all. Whatever is raised, the catalog is as it was.
        """
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be callable, not {progress!r}")
        walking = how_to_walk(
            max_threads, max_iops, depth, exclude, one_file_system, follow_links, ignore_snapshots=ignore_snapshots
        )
        wishes = {
            "fingerprint": fingerprint,
            "hash": hash,
            "hash_threads": whole("hash_threads", hash_threads, 1, 1024),
            "max_bytes_per_sec": whole("max_bytes_per_sec", max_bytes_per_sec, 1, _MOST),
            "metadata": _noted(metadata),
            "accept_new_root": bool(accept_new_root),
            "accept_mass_delete": bool(accept_mass_delete),
            "progress": progress,
        }
        return _run(self._open.scan(_one("root", root), wishes, walking))

    def verify(
        self,
        path: Path,
        *,
        max_bytes: int | None = None,
        max_files: int | None = None,
        older_than: Since | None = None,
        hash_threads: int | None = None,
        max_bytes_per_sec: int | None = None,
    ) -> Run:
        """Read files again that have a fingerprint, those first that were not read for the longest time, and see whether they are what they were.

        >>> catalog.verify("/data", max_bytes=500 * 10**9).changes["bitrot"]
        (0, 0)

        *path*: a directory that was scanned with fingerprints, or one in it. *max_bytes*, *max_files*: stop after so much.
        *older_than*: only files that were last read before: ``"90d"``, a date or a time.
        *hash_threads*, *max_bytes_per_sec*: as of ``scan``.

        Returns a ``Run``. What is rotten has changes of the type ``"bitrot"``; what the file was stays known.
        """
        before = None if older_than is None else _since("older_than", older_than)
        if before is not None and not before[0]:
            raise ValueError(f"Invalid older_than: {older_than!r}; use a duration as '90d', a date or a time")
        wishes = {
            "max_bytes": whole("max_bytes", max_bytes, 0, _MOST),
            "max_files": whole("max_files", max_files, 0, _MOST),
            "older_than": None if before is None else before[1],
            "hash_threads": whole("hash_threads", hash_threads, 1, 1024),
            "max_bytes_per_sec": whole("max_bytes_per_sec", max_bytes_per_sec, 1, _MOST),
        }
        return _run(self._open.verify(_one("path", path), wishes))

    def runs(self, root: Path | None = None) -> list[Run]:
        """All runs, the oldest first, or those of one root."""
        named = None if root is None else _one("root", root)
        return [_run(details) for details in self._open.runs(named)]

    def errors(self, run: Run | int) -> list[Unread]:
        """What a run could not read, each with a path, what was being done, and why not."""
        is_bytes = isinstance(run, Run) and isinstance(run.root, bytes)
        return [Unread(*loss) for loss in self._open.errors(_number(run), is_bytes)]

    def changes(
        self,
        since: Since | Run | None = None,
        path: Path | None = None,
        types: str | Sequence[str] | None = None,
        *,
        run: Run | int | None = None,
    ) -> CatalogRows:
        """What changed, as a stream for everything that reads Arrow.

        >>> changes = catalog.changes(since="7d", path="/data/projects", types=["added", "removed"])
        >>> duckdb.sql("SELECT change_type, count(*), sum(new_size) FROM changes GROUP BY ALL")
        >>> pyarrow.table(changes)

        *since*: changes of later runs than this one (a number or a ``Run``), or of runs after a time: ``"7d"``, ``"2026-01-31"``, a date or a
        datetime (without a zone: where this machine is). By default those of the last scan of each root and of
        verifications after it; 0: all.
        *run*: those of this run. *path*: only what is there and below it. *types*: only those of these types.

        The columns are ``run`` and those of ``pwalk diff -o changes.parquet``. Each reader reads anew; rows come run by run, and memory is
        bounded. Raises ``LookupError`` if changes that are asked for were pruned.
        """
        if since is not None and run is not None:
            raise ValueError("changes() takes since or run, not both")
        wanted = [types] if isinstance(types, str) else list(types or ())
        only = "" if run is None else f", run={run!r}"
        text = f"{self!r}.changes({since!r}, {path!r}, {types!r}{only})"
        number = None if run is None else _number(run)
        below = None if path is None else _one("path", path)
        return self._open.changes(_when("since", since), number, below, wanted, text)

    def report(
        self,
        since: Since | Run | None = None,
        by: str | None = None,
        period: str | None = None,
        depth: int = 1,
        path: Path | None = None,
    ) -> CatalogRows:
        """Count changes, as a stream for everything that reads Arrow.

        >>> polars.DataFrame(catalog.report(by="user", period="week"))

        *since*, *path*: as of ``changes``; by default all that is known. *by*: a row for each ``"dir"`` (*depth* levels below the root), ``"user"``,
        ``"group"`` or ``"extension"``. *period*: a row for each ``"day"`` or ``"week"`` (from Monday), of this machine.

        The columns: ``period`` (the first day), ``group`` (and ``group_bytes`` where that is no UTF-8), ``added``, ``added_bytes``, ``modified``,
        ``modified_bytes``, ``removed``, ``removed_bytes``, ``growth_bytes``, ``moved``, ``metadata``, ``unseen``, ``bitrot``. Directories' own
        sizes do not count.
        """
        text = f"{self!r}.report({since!r}, {by!r}, {period!r}, {depth!r}, {path!r})"
        levels = whole("depth", depth, 1, 2**32 - 1)
        below = None if path is None else _one("path", path)
        return self._open.report(_when("since", since), by, period, levels or 1, below, text)

    def entries(self, path: Path, at: Since | Run | None = None) -> CatalogRows:
        """All that is at a path and below it, as the catalog knows it, as a stream for everything that reads Arrow.

        >>> was = catalog.entries("/data/projects", at="2026-01-31")
        >>> duckdb.sql("SELECT path, size FROM was WHERE type = 'file' ORDER BY size DESC LIMIT 10")

        *at*: how it was after a run, or at a time; as of ``changes``.

        The columns are those of ``pwalk.scan`` that a catalog keeps, with ``fingerprint``, ``hashed_at`` and ``run``, the run that found it so. Rows
        come in the order of directories and names. Raises ``LookupError`` if the catalog has no scan of that, or not from then.
        """
        text = f"{self!r}.entries({path!r}, {at!r})"
        return self._open.entries(_one("path", path), _when("at", at), text)

    def ls(self, path: Path, at: Since | Run | None = None) -> CatalogRows:
        """The same as ``entries``."""
        return self.entries(path, at)

    def prune(self, keep: Since) -> int:
        """Forget the changes of old runs; how things are stays known. Returns how many runs were forgotten.

        *keep*: so many of the last runs of each root, or those since a time: ``"365d"``, a date or a datetime.
        """
        return self._open.prune(_since("keep", keep))

    def duckdb_sql(self) -> str:
        """The SQL with which DuckDB sees the catalog: the views ``files``, ``past_files``, ``file_changes`` and ``scan_runs``.

        >>> duckdb.execute(catalog.duckdb_sql())
        >>> duckdb.sql("SELECT count(*) FROM files")
        """
        return self._open.duckdb_sql()


def _run(details: dict[str, Any]) -> Run:
    details["options"] = json.loads(details["options"])
    details["warnings"] = tuple(details["warnings"])
    return Run(**details)


def _one(what: str, path: Path) -> str | bytes:
    if isinstance(path, (list, tuple)):
        raise TypeError(f"{what} must be one path, not {path!r}")
    return paths(path)[0]


def _noted(metadata: Mapping[str, str] | None) -> dict[str, str]:
    noted = dict(metadata or {})
    for key, value in noted.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata must be words and texts, not {key!r}: {value!r}")
        if not key or "=" in key:
            raise ValueError(f"metadata cannot have the key {key!r}")
    return noted


def _number(run: Run | int) -> int:
    return whole("run", run.id if isinstance(run, Run) else run, 1, _MOST) or 0


def _when(what: str, since: Since | Run | None) -> tuple[bool, int] | None:
    if since is None:
        return None
    return (False, since.id) if isinstance(since, Run) else _since(what, since)


def _since(what: str, since: Since) -> tuple[bool, int]:
    """Whether it is a time, and the number of a run, or nanoseconds since 1970."""
    if isinstance(since, str):
        return _pwalk.catalog_since(since)
    if isinstance(since, datetime.date):
        if not isinstance(since, datetime.datetime):
            since = datetime.datetime.combine(since, datetime.time())
        # Without a zone it is where this machine is.
        if not 1678 <= since.year <= 2261:
            raise ValueError(f"{what} must be a time between 1678 and 2261, not {since}")
        return True, (since.astimezone(datetime.timezone.utc) - _EPOCH) // datetime.timedelta(microseconds=1) * 1000
    if since is None or isinstance(since, bool):
        raise TypeError(f"{what} must be a run, a time or a duration, not {since!r}")
    return False, whole(what, since, 0, _MOST) or 0
