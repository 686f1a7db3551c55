"""The compiled half of the package."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

_Path = TypeVar("_Path", str, bytes)

__version__: str

def bench(path: str | bytes, wishes: Mapping[str, object]) -> tuple[str, tuple[str, str] | None]: ...
def run_command(arguments: Sequence[str]) -> int: ...
def report(
    tops: Sequence[str | bytes], wishes: Mapping[str, object], walking: Mapping[str, object]
) -> dict[str, Any]: ...
def repair(top: str | bytes, wishes: Mapping[str, object]) -> dict[str, Any]: ...
def copy(source: str | bytes, destination: str | bytes, wishes: Mapping[str, object]) -> dict[str, Any]: ...
def copy_settings(file: str | None) -> tuple[str | None, int | None, int | None]: ...
def copy_strategies() -> list[tuple[str, str, str]]: ...
def register_copy_strategy(
    name: str, description: str, prerequisites: str, copy_file: Callable[[int, int, int, int], int]
) -> None: ...
def scan_schema() -> object: ...
def scan_stream(
    tops: Sequence[str | bytes], walking: Mapping[str, object], ended: Callable[[dict[str, Any]], object]
) -> object: ...

def catalog_since(text: str) -> tuple[bool, int]: ...

class CatalogPlace:
    warnings: list[str]
    def __new__(cls, named: str | bytes | None) -> CatalogPlace: ...
    def location(self) -> str: ...
    def create(self, init: bool) -> None: ...
    def scan(
        self, root: str | bytes, wishes: Mapping[str, object], walking: Mapping[str, object]
    ) -> dict[str, Any]: ...
    def verify(self, path: str | bytes, wishes: Mapping[str, object]) -> dict[str, Any]: ...
    def runs(self, root: str | bytes | None) -> list[dict[str, Any]]: ...
    def errors(self, run: int, is_bytes: bool) -> list[tuple[Any, str, str]]: ...
    def changes(
        self,
        since: tuple[bool, int] | None,
        run: int | None,
        path: str | bytes | None,
        types: Sequence[str],
        text: str,
    ) -> CatalogRows: ...
    def report(
        self,
        since: tuple[bool, int] | None,
        by: str | None,
        period: str | None,
        depth: int,
        path: str | bytes | None,
        text: str,
    ) -> CatalogRows: ...
    def entries(self, path: str | bytes, at: tuple[bool, int] | None, text: str) -> CatalogRows: ...
    def prune(self, keep: tuple[bool, int]) -> int: ...
    def duckdb_sql(self) -> str: ...

class CatalogRows:
    """Rows of a `Catalog`, for everything that reads Arrow. Each reader reads them anew."""

    def __arrow_c_schema__(self) -> object:
        """The columns, through Arrow's PyCapsule interface."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows, through Arrow's PyCapsule interface. The columns are always the same."""

class Walker(Generic[_Path]):
    def __new__(
        cls,
        top: _Path,
        topdown: bool,
        onerror: Callable[[OSError], object] | None,
        followlinks: bool,
        max_threads: int | None,
        ignore_snapshots: bool,
    ) -> Walker[_Path]: ...
    def __iter__(self) -> Walker[_Path]: ...
    def __next__(self) -> tuple[_Path, list[_Path], list[_Path]]: ...
    def close(self) -> None: ...

class Directory(Generic[_Path]):
    """An open directory. Iterating gives an `Entry` for each name in it, `.` and `..` included."""

    def __new__(cls, path: _Path | os.PathLike[_Path]) -> Directory[_Path]: ...
    def path(self) -> _Path:
        """The path, as it was given, with the names below it."""
    def open(self, name: _Path) -> Directory[_Path]:
        """Opens the sub-directory `name`; a symbolic link is followed."""
    def __iter__(self) -> Iterator[Entry[_Path]]: ...

class Entry(Generic[_Path]):
    """One name in a directory, as `readdir` gave it."""

    def d_ino(self) -> int:
        """The inode number that the directory says."""
    def d_type(self) -> int:
        """The type: one of the DT_ constants."""
    def d_name(self) -> _Path:
        """The name."""
    def path(self) -> _Path:
        """The path of the directory that the entry is in."""
    def directory(self) -> Directory[_Path] | None:
        """The entry opened as a `Directory`; None if it is no directory."""
