"""The function ``create_benchmark_runner``, its runner and what that measures."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from . import _pwalk
from ._options import Path, paths, whole


class BenchmarkResult:
    """What was measured of one method.

    operation: ``"traversal"``, ``"copy_strategies"``, ``"parallel_workers"`` or ``"pipeline"``.
    method: its name. description: what it does.
    duration: the median, in seconds; min, max: the least and the most; durations: each run. None and empty if it failed.
    file_count: files that were copied; in a traversal entries that were seen, the top among them.
    total_size: bytes that were copied; in a traversal those of the files that were seen.
    throughput_mbps: megabytes (of 1,000,000 bytes) a second. files_per_second: likewise.
    baseline: what it is compared with; ratio: how many times as fast it is.
    peak_memory: the most memory of the whole process, in bytes; None where it cannot be had.
    errors: what was not done. warnings: what was done otherwise than it was asked for.
    speed_summary: all of it in a line.
    """

    operation: str
    method: str
    description: str
    failed: bool
    duration: float | None
    min: float | None
    max: float | None
    durations: list[float]
    file_count: int
    total_size: int
    throughput_mbps: float | None
    files_per_second: float | None
    baseline: str | None
    ratio: float | None
    peak_memory: int | None
    errors: list[str]
    warnings: list[str]
    speed_summary: str

    def __init__(self, operation: str, details: dict[str, Any]) -> None:
        self.operation = operation
        self.__dict__.update(details)

    def __repr__(self) -> str:
        return f"BenchmarkResult({self.operation!r}, {self.speed_summary!r})"

    def __str__(self) -> str:
        return self.speed_summary


class BenchmarkRunner:
    """Runs benchmarks: each method once to warm up and then *iterations* times, method after method.

    output_files: the files of the last benchmark, as JSON and as a page with charts; empty without *output_dir*.
    """

    output_files: list[str]

    def __init__(
        self,
        output_dir: Path | None = None,
        iterations: int = 3,
        drop_caches: bool = False,
        *,
        target: Path | None = None,
    ) -> None:
        self._output_dir = _directory("output_dir", output_dir)
        self._target = _directory("target", target)
        self._iterations = whole("iterations", iterations, 1, 1000) or 3
        self._drop_caches = bool(drop_caches)
        self.output_files = []

    def benchmark_traversal(self, path: Path) -> list[BenchmarkResult]:
        """Walking: pwalk's engine with several numbers of threads, readdir, ``os.walk``, ``os.scandir`` and ``Path.rglob``."""
        return self._run("traversal", path)["traversal"]

    def benchmark_copy_strategies(self, src: Path) -> list[BenchmarkResult]:
        """Copying by each strategy."""
        return self._run("copy_strategies", src)["copy_strategies"]

    def benchmark_parallel_workers(self, src: Path) -> list[BenchmarkResult]:
        """Copying by 1, 2, 4, 8 and 16 workers."""
        return self._run("parallel_workers", src)["parallel_workers"]

    def benchmark_pipeline(self, workspace: Path, components: Sequence[Path] | None = None) -> list[BenchmarkResult]:
        """Copying sub-directories of *workspace* (all of it, unless said), the largest first, and as the other strategies do."""
        return self._run("pipeline", workspace, components)["pipeline"]

    def run_comprehensive(
        self, path: Path, components: Sequence[Path] | None = None
    ) -> dict[str, list[BenchmarkResult]]:
        """All of these: the results by ``traversal``, ``copy_strategies``, ``parallel_workers`` and ``pipeline``."""
        return self._run("all", path, components)

    def _run(
        self, operation: str, path: Path, components: Sequence[Path] | None = None
    ) -> dict[str, list[BenchmarkResult]]:
        if isinstance(path, (list, tuple)):
            raise TypeError(f"path must be one path, not {path!r}")
        if isinstance(components, (str, bytes)):
            raise TypeError(f"components must be several names, not {components!r}")
        (top,) = paths(path)
        told, written = _pwalk.bench(
            top,
            {
                "operation": operation,
                "iterations": self._iterations,
                "drop_caches": self._drop_caches,
                "output_dir": self._output_dir,
                "target": self._target,
                "components": None if components is None else paths(list(components)),
                "walks": [] if operation not in ("traversal", "all") else _walks(top),
            },
        )
        self.output_files = [os.fspath(file) for file in written or ()]
        return {
            section["operation"]: [BenchmarkResult(section["operation"], row) for row in section["methods"]]
            for section in json.loads(told)["sections"]
        }


def create_benchmark_runner(
    output_dir: Path | None = None,
    iterations: int = 3,
    drop_caches: bool = False,
    *,
    target: Path | None = None,
) -> BenchmarkRunner:
    """A runner of benchmarks: what ``pwalk bench`` does, and Python's own ways of walking.

    *output_dir*: where results are written, as JSON and as a page with charts; nowhere unless said.
    *iterations*: how often each method is measured. *drop_caches*: empty the kernel's caches before each run; needs root.
    *target*: where copies are made, and removed again; by default the directory for temporary files.

    Its methods raise ``FileNotFoundError`` and its like for what cannot be walked or copied, ``ValueError`` for components that
    are none, ``PermissionError`` if the caches cannot be dropped, and ``OSError`` if there is no room for a copy. A method that
    fails is in the results, with its errors.
    """
    return BenchmarkRunner(output_dir, iterations, drop_caches, target=target)


def _directory(name: str, path: Path | None) -> str | None:
    if path is None:
        return None
    directory = os.fsdecode(path)
    if not directory or "\0" in directory:
        raise ValueError(f"{name} is empty or holds a NUL: {directory!r}")
    return directory


def _walks(path: str | bytes) -> list[tuple[str, str, Any]]:
    """Python's own ways of walking. Each counts the top and what is below it."""
    top = os.fsdecode(path)
    return [
        ("os.walk", "Python's os.walk", lambda: _by_walk(top)),
        ("os.scandir", "recursion over Python's os.scandir", lambda: _by_scandir(top)),
        ("Path.rglob", "Python's Path.rglob", lambda: _by_rglob(top)),
    ]


def _by_walk(top: str) -> int:
    count = 1
    for _, directories, files in os.walk(top, onerror=_fail):
        count += len(directories) + len(files)
    return count


def _fail(error: OSError) -> None:
    raise error


def _by_scandir(top: str) -> int:
    count = 1
    unread = [top]
    while unread:
        with os.scandir(unread.pop()) as entries:
            for entry in entries:
                count += 1
                if entry.is_dir(follow_symlinks=False):
                    unread.append(entry.path)
    return count


def _by_rglob(top: str) -> int:
    return 1 + sum(1 for _ in pathlib.Path(top).rglob("*"))
